package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// signInView is the form to sign in, or to type the code of the second factor.
type signInView struct {
	Email    string
	Problem  string // why the last try failed; "" for the first
	Wait     string // how long to wait before the next try
	Next     string // the page to show afterwards
	Held     heldForm
	Token    string // of the challenge; "" for the password
	Provider identity.Provider
}

// signInKey is where the Echo context has the signInView of a try, for the answer to its error.
const signInKey = "signin"

// showSignIn shows the form to sign in, also to a user who is signed in, as somebody else.
func (h *handlers) showSignIn(c echo.Context, _ identity.Actor) error {
	return h.renderSignIn(c, http.StatusOK, signInView{Next: Prefix})
}

func (h *handlers) renderSignIn(c echo.Context, status int, view signInView) error {
	title := "Sign in"
	if view.Token != "" {
		title = "Second factor"
	}
	actor := api.ActorOf(c)
	anonymous := identity.Actor{Source: actor.Source}
	return h.render(c, anonymous, status, "signin", page{Title: title, View: view})
}

// signIn takes the password. A user without a second factor is signed in.
func (h *handlers) signIn(c echo.Context, actor identity.Actor) error {
	values, err := form(c)
	if err != nil {
		return err
	}
	view := signInView{Email: values.Get("email"), Next: nextIn(values), Held: heldIn(values)}
	c.Set(signInKey, view)
	result, err := h.service.SignIn(c.Request().Context(), actor, view.Email, identity.Password(values.Get("password")))
	if err != nil {
		return err
	}
	if result.ChallengeToken != "" {
		view.Token, view.Provider = result.ChallengeToken, result.Challenge.Provider
		return h.renderSignIn(c, http.StatusOK, view)
	}
	if result.MustEnrol {
		view.Next, view.Held = Prefix+"/me/totp", heldForm{}
	}
	return h.enter(c, result.Pair, view)
}

// confirmSignIn takes the code of the second factor.
func (h *handlers) confirmSignIn(c echo.Context, actor identity.Actor) error {
	values, err := form(c)
	if err != nil {
		return err
	}
	view := signInView{
		Email: values.Get("email"), Next: nextIn(values), Held: heldIn(values),
		Token: values.Get("token"), Provider: identity.Provider(values.Get("provider")),
	}
	c.Set(signInKey, view)
	code := strings.TrimSpace(values.Get("code"))
	pair, err := h.service.ConfirmSignIn(c.Request().Context(), actor, view.Token, code)
	if err != nil {
		return err
	}
	return h.enter(c, pair, view)
}

// signInFailed shows the form again, with what was wrong.
func (h *handlers) signInFailed(c echo.Context, view signInView, f api.Failure) error {
	view.Problem = f.Message
	if f.RetryAfter > 0 {
		view.Wait = waiting(f.RetryAfter)
	}
	if view.Token != "" && f.Code == "invalid_token" {
		view.Token, view.Problem = "", "The code is over: too late, or too many wrong ones. Sign in again."
	}
	return h.renderSignIn(c, f.Status, view)
}

// enter gives the browser its cookie. The token is new with each sign-in, so a cookie that
// was planted before is worth nothing.
func (h *handlers) enter(c echo.Context, pair identity.TokenPair, view signInView) error {
	if err := h.service.HoldSession(c.Request().Context(), pair.Access.Token); err != nil {
		return err
	}
	h.setCookie(c, api.CookieName(h.site.Secure()), pair.Access.Token, 0)
	if view.Held.Action == "" {
		return h.seeOther(c, view.Next, "")
	}
	actor := api.ActorOf(c)
	return h.render(c, identity.Actor{Source: actor.Source}, http.StatusOK, "continue",
		page{Title: "Go on", View: view})
}

func (h *handlers) signOut(c echo.Context, actor identity.Actor) error {
	if err := h.service.SignOut(c.Request().Context(), actor); err != nil {
		return err
	}
	h.setCookie(c, api.CookieName(h.site.Secure()), "", -1)
	return h.seeOther(c, Prefix, "signed_out")
}

// renewCookie gives the browser another cookie, after its session has got more rights or its
// user another password: a copy of the old cookie is worth nothing then.
func (h *handlers) renewCookie(c echo.Context, actor identity.Actor) error {
	token, err := h.service.RenewSession(c.Request().Context(), actor)
	if err != nil {
		return err
	}
	h.setCookie(c, api.CookieName(h.site.Secure()), token, 0)
	return nil
}

// enrolFirst confines a session that must enrol a second factor to the pages on which it
// does so.
func enrolFirst(routes []api.Route) []api.Route {
	for i, route := range routes {
		open := []string{"/me/totp", "/prove", "/signout"}
		if route.Public || slices.Contains(open, route.Path) {
			continue
		}
		routes[i].Handler = func(c echo.Context, actor identity.Actor) error {
			if err := actor.RequireEnrolled(); err != nil {
				return err
			}
			return route.Handler(c, actor)
		}
	}
	return routes
}

// nextIn returns the page that a form leads to: one of ours, and not the form to sign in.
func nextIn(values url.Values) string {
	next := ownPath(values.Get("next"))
	if strings.HasPrefix(next, Prefix+"/signin") {
		return Prefix
	}
	return next
}

const heldPrefix = "held."

// heldIn returns the form that a sign-in carries along.
func heldIn(values url.Values) heldForm {
	action := ownPath(values.Get("held-action"))
	if values.Get("held-action") == "" || action == Prefix {
		return heldForm{}
	}
	inner := url.Values{}
	for name, list := range values {
		if name, ok := strings.CutPrefix(name, heldPrefix); ok {
			inner[name] = list
		}
	}
	return heldForm{Action: action, Fields: fieldsOf(inner)}
}
