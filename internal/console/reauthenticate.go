package console

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// codeReauthenticate is the code of the error that Reauthenticate puts right.
const codeReauthenticate = "reauthentication_required"

// provePath is where the password goes that is asked for again.
const provePath = Prefix + "/prove"

// proofView asks for the password again, before something that takes a fresh session. The
// form that was refused comes along.
type proofView struct {
	Problem  string
	Next     string
	Held     heldForm
	Provider identity.Provider // of the code that is needed as well; "" for none yet
}

// prove makes the session fresh, and goes on with what was refused.
func (h *handlers) prove(c echo.Context, actor identity.Actor) error {
	values, err := form(c)
	if err != nil {
		return err
	}
	view := proofView{Next: nextIn(values), Held: heldIn(values)}
	result, err := h.service.Reauthenticate(c.Request().Context(), actor, identity.Password(values.Get("password")),
		strings.TrimSpace(values.Get("code")))
	if err != nil {
		f := api.FailureFrom(err)
		if f.Kind != identity.Invalid && f.Kind != identity.TooManyRequests {
			return err
		}
		view.Problem, view.Provider = f.Message, identity.Provider(values.Get("provider"))
		for _, field := range f.Fields {
			view.Problem = labelOf(field.Field) + " " + field.Message + "."
		}
		return h.renderProof(c, actor, f.Status, view)
	}
	if view.Provider = result.Provider; view.Provider != "" {
		return h.renderProof(c, actor, http.StatusOK, view)
	}
	if err := h.renewCookie(c, actor); err != nil {
		return err
	}
	if view.Held.Action == "" {
		return h.seeOther(c, view.Next, "")
	}
	return h.render(c, identity.Actor{Source: actor.Source}, http.StatusOK, "continue",
		page{Title: "Go on", View: signInView{Next: view.Next, Held: view.Held}})
}

func (h *handlers) renderProof(c echo.Context, actor identity.Actor, status int, view proofView) error {
	return h.render(c, identity.Actor{Source: actor.Source}, status, "prove",
		page{Title: "Prove that it is you", View: view})
}
