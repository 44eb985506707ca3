// Package console holds the pages for operators at /console. It is a dialect whose
// credential is a cookie and whose answers are HTML. It has no rules of its own: each
// page reads or changes through the service, as the user who has signed in.
package console

import (
	"embed"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/service"
)

// Prefix starts every path of the console.
const Prefix = "/console"

//go:embed static
var staticFiles embed.FS

type handlers struct {
	service *service.Service
	site    api.Site
	now     func() time.Time
}

// New returns the console over a service. now returns the time that pages count from.
func New(s *service.Service, site api.Site, now func() time.Time) api.Dialect {
	h := &handlers{service: s, site: site, now: now}
	static, err := fs.Sub(staticFiles, "static")
	if err != nil {
		panic(err) // it is embedded
	}
	return api.Dialect{
		Name: "console", Prefix: Prefix, Scheme: api.Cookie(site.Secure()), WriteError: h.writeError, Files: static,
		Routes: enrolFirst(slices.Concat(h.setupRoutes(), h.signInRoutes(), h.forgottenRoutes(), h.meRoutes(),
			h.totpRoutes(), h.userRoutes(), h.editRoutes(), h.groupRoutes(), h.tokenRoutes(), h.webhookRoutes(),
			h.outboxRoutes(), h.activityRoutes(), h.accessRoutes(), h.networkRoutes(), h.securityRoutes(),
			h.userActivityRoutes(), h.jobRoutes())),
	}
}

func (h *handlers) signInRoutes() []api.Route {
	// A form that was open when the session ended comes along with the sign-in.
	const maxHeldForm = 64 << 10
	return []api.Route{
		{Method: http.MethodGet, Path: "", Handler: h.home},
		{Method: http.MethodGet, Path: "/signin", Handler: h.showSignIn, Public: true},
		{Method: http.MethodGet, Path: "/signin/code", Handler: h.showSignIn, Public: true},
		{Method: http.MethodPost, Path: "/signin", Handler: h.signIn, Public: true, MaxBody: maxHeldForm},
		{Method: http.MethodPost, Path: "/signin/code", Handler: h.confirmSignIn, Public: true, MaxBody: maxHeldForm},
		{Method: http.MethodPost, Path: "/signout", Handler: h.signOut},
		{Method: http.MethodPost, Path: "/prove", Handler: h.prove},
	}
}

func (h *handlers) userRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/users", Handler: h.listUsers},
		{Method: http.MethodGet, Path: "/users.csv", Handler: h.downloadUsers, Timeout: csvTimeout},
		{Method: http.MethodGet, Path: "/users/find", Handler: h.askFind},
		{Method: http.MethodPost, Path: "/users/find", Handler: h.findUsers},
		{Method: http.MethodPost, Path: "/users/bulk", Handler: h.bulkUsers, Timeout: csvTimeout},
		{Method: http.MethodGet, Path: "/users/:userId", Handler: h.showUser},
	}
}

// seeOther answers a form that has done its work: the browser shows the page at a path,
// with one sentence of notes, and "reload" repeats nothing (RFC 9110 §15.4.4).
func (h *handlers) seeOther(c echo.Context, path, note string) error {
	if note != "" {
		h.setNote(c, note)
	}
	setHeaders(c.Response().Header(), newNonce())
	return c.Redirect(http.StatusSeeOther, path)
}
