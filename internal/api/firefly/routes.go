// Package firefly is the users API of Firefly III at /api/v1, for its existing
// clients: its JSON:API bodies, its pages, its errors and its lenient reading of
// requests, over the service's operations.
package firefly

import (
	_ "embed"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

// Prefix starts every path of the dialect.
const Prefix = "/api/v1"

//go:embed openapi.yaml
var contract []byte

type handlers struct {
	service *service.Service
	site    api.Site
}

// New returns the dialect over a service at a site.
func New(s *service.Service, site api.Site) api.Dialect {
	h := &handlers{service: s, site: site}
	routes := []api.Route{
		{Method: http.MethodGet, Path: "/users", Handler: h.listUsers},
		{Method: http.MethodPost, Path: "/users", Handler: h.createUser},
		{Method: http.MethodGet, Path: "/users/:id", Handler: h.getUser},
		{Method: http.MethodPut, Path: "/users/:id", Handler: h.updateUser},
		{Method: http.MethodDelete, Path: "/users/:id", Handler: h.deleteUser},

		{Method: http.MethodGet, Path: "/users/:id/:name", Handler: h.getRelated},
		{Method: http.MethodGet, Path: "/users/:id/relationships/:name", Handler: h.getRelationship},
	}
	for i := range routes {
		routes[i].Handler = forAdministrators(routes[i].Handler)
	}
	return api.Dialect{
		Name: "firefly", Prefix: Prefix, Contract: contract, Routes: routes, Scheme: api.Bearer, WriteError: writeError,
	}
}

// forAdministrators returns an error before it calls the handler, unless the caller has
// all permissions and the client accepts JSON: no change is made whose answer the
// client rejects.
func forAdministrators(next api.Handler) api.Handler {
	return func(c echo.Context, actor identity.Actor) error {
		if err := actor.RequireAll(); err != nil {
			return err
		}
		accept := c.Request().Header.Get(echo.HeaderAccept)
		accepts := func(mediaType string) bool { return api.Accepts(accept, mediaType) }
		if !slices.ContainsFunc([]string{mimeJSONAPI, echo.MIMEApplicationJSON}, accepts) {
			return echo.NewHTTPError(http.StatusNotAcceptable,
				"Your request must accept application/json or application/vnd.api+json.")
		}
		return next(c, actor)
	}
}

// base returns what starts the links in the answer to a request.
func (h *handlers) base(c echo.Context) string { return h.site.Base(c.Request()) + Prefix }
