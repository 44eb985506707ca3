package console

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// SetupPath is the path of the page that creates the first administrator. The code follows
// as the parameter code.
const SetupPath = Prefix + "/setup"

// setupView is the form for the first administrator.
type setupView struct {
	Code     string
	Name     string
	Email    string
	Problems problems
}

func (h *handlers) setupRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/setup", Handler: h.showSetup, Public: true},
		{Method: http.MethodPost, Path: "/setup", Handler: h.setUp, Public: true},
	}
}

// requireOwnHost returns Forbidden for a request to a host that is not known as ours: the
// page of an attacker whose name leads to this machine (DNS rebinding) gets nothing.
func (h *handlers) requireOwnHost(r *http.Request) error {
	if _, known := h.site.Origin(r); known {
		return nil
	}
	return identity.Errorf(identity.Forbidden, "unknown_host",
		"Open this page at localhost, or at the host of ROSTER_PUBLIC_URL or of ROSTER_ALLOWED_HOSTS.")
}

func (h *handlers) showSetup(c echo.Context, actor identity.Actor) error {
	if err := h.requireOwnHost(c.Request()); err != nil {
		return err
	}
	code := c.QueryParam("code")
	if err := h.service.CheckSetupCode(c.Request().Context(), code); err != nil {
		return err
	}
	return h.render(c, actor, http.StatusOK, "setup", page{Title: "Set up", View: setupView{Code: code}})
}

func (h *handlers) setUp(c echo.Context, actor identity.Actor) error {
	if err := h.requireOwnHost(c.Request()); err != nil {
		return err
	}
	values, err := form(c)
	if err != nil {
		return err
	}
	view := setupView{Code: values.Get("code"), Name: values.Get("name"), Email: values.Get("email")}
	pair, err := h.createFirstUser(c, actor, values)
	if err != nil {
		wrong, ok := problemsOf(err)
		if !ok || identity.KindOf(err) != identity.Invalid {
			return err
		}
		view.Problems = wrong
		return h.render(c, actor, api.FailureFrom(err).Status, "setup", page{Title: "Set up", View: view})
	}
	return h.enter(c, pair, signInView{Next: Prefix})
}

func (h *handlers) createFirstUser(c echo.Context, actor identity.Actor, values url.Values,
) (identity.TokenPair, error) {
	var wrong identity.Problems
	name, err := identity.ParseName(values.Get("name"))
	addProblem(&wrong, identity.FieldName, err)
	email, err := identity.ParseEmail(values.Get("email"))
	addProblem(&wrong, identity.FieldEmail, err)
	password, err := identity.ParsePassword(values.Get("password"))
	addProblem(&wrong, identity.FieldPassword, err)
	addAgain(&wrong, values)
	if err := wrong.Err(); err != nil {
		return identity.TokenPair{}, err
	}
	return h.service.CreateFirstUser(c.Request().Context(), actor, values.Get("code"), name, email, password)
}
