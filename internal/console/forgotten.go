package console

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// forgottenView is the form that asks for a link to choose a new password.
type forgottenView struct {
	Email    string
	Problems problems
}

func (h *handlers) forgottenRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/forgotten", Handler: h.showForgotten, Public: true},
		{Method: http.MethodPost, Path: "/forgotten", Handler: h.askForLink, Public: true},
	}
}

func (h *handlers) showForgotten(c echo.Context, actor identity.Actor) error {
	return h.renderForgotten(c, actor, http.StatusOK, forgottenView{})
}

func (h *handlers) renderForgotten(c echo.Context, actor identity.Actor, status int, view forgottenView) error {
	return h.render(c, actor, status, "forgotten", page{Title: "Forgotten password", View: view})
}

// askForLink answers the same whether there is a user with the address or not.
func (h *handlers) askForLink(c echo.Context, actor identity.Actor) error {
	values, err := form(c)
	if err != nil {
		return err
	}
	var wrong identity.Problems
	email, err := identity.ParseEmail(values.Get("email"))
	addProblem(&wrong, identity.FieldEmail, err)
	if err := wrong.Err(); err != nil {
		view := forgottenView{Email: values.Get("email")}
		view.Problems, _ = problemsOf(err)
		return h.renderForgotten(c, actor, http.StatusBadRequest, view)
	}
	if err := h.service.ForgotPassword(c.Request().Context(), actor, email); err != nil {
		return err
	}
	return h.seeOther(c, Prefix+"/forgotten", "forgotten")
}
