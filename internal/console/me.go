package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

// mePath is the page of the operator who has signed in.
const mePath = Prefix + "/me"

// meView is what operators see and change of themselves.
type meView struct {
	Profile  profileForm
	Password problems
	Factor   factorView
	Sessions sessionsView
}

// profileForm is the form with what operators may change of their profile.
type profileForm struct {
	Name     string
	Email    string // cannot be changed here
	Phone    string
	Version  int64
	Before   []field
	Problems problems
}

func (h *handlers) meRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/me", Handler: h.showMe},
		{Method: http.MethodPost, Path: "/me/profile", Handler: h.changeProfile},
		{Method: http.MethodPost, Path: "/me/password", Handler: h.changePassword},
		{Method: http.MethodPost, Path: "/me/display", Handler: h.changeDisplay},
		{Method: http.MethodGet, Path: "/me/sessions/end", Handler: h.askEndSessions},
		{Method: http.MethodPost, Path: "/me/sessions/end", Handler: h.endSessions},
		{Method: http.MethodPost, Path: "/me/sessions/:sessionId/end", Handler: h.endSession},
	}
}

func (h *handlers) showMe(c echo.Context, actor identity.Actor) error {
	return h.renderMe(c, actor, http.StatusOK, func(*meView) {})
}

// renderMe shows the page, with what a form has brought in place of what is stored.
func (h *handlers) renderMe(c echo.Context, actor identity.Actor, status int, bring func(*meView)) error {
	ctx := c.Request().Context()
	user, err := h.service.User(ctx, actor, actor.UserID)
	if err != nil {
		return err
	}
	factor, err := h.service.SecondFactor(ctx, actor, actor.UserID)
	if err != nil {
		return err
	}
	q := api.NewQuery(c)
	shown := identity.Page{Limit: sessionsPerPage, Offset: q.Int("offset", 0, maxSessionOffset, 0)}
	if err := q.Err(); err != nil {
		return err
	}
	sessions, total, err := h.service.Sessions(ctx, actor, actor.UserID, shown)
	if err != nil {
		return err
	}
	view := meView{
		Profile: profileFormFrom(user), Factor: factorViewFrom(factor, h.now()),
		Sessions: sessionsViewFrom(actor, sessions, total, shown, h.now()),
	}
	bring(&view)
	return h.render(c, actor, status, "me", page{
		Title: "Me", Nav: "me", View: view, API: h.apiCall(c, http.MethodGet, "/api/v2/users/me", nil, ""),
	})
}

// profileFields are the fields of the form, for the case that somebody else has changed one.
var profileFields = []mergeField{
	{Name: identity.FieldName, Label: labelOf(identity.FieldName)},
	{Name: identity.FieldPhone, Label: labelOf(identity.FieldPhone)},
}

func profileValues(user identity.User) url.Values {
	return url.Values{identity.FieldName: {string(user.Name)}, identity.FieldPhone: {string(user.Phone)}}
}

func profileFormFrom(user identity.User) profileForm {
	return profileForm{
		Name: string(user.Name), Email: string(user.Email), Phone: string(user.Phone), Version: user.Version,
		Before: beforeFields(profileFields, profileValues(user)),
	}
}

// changeProfile shows what a form changes and, once that was seen, saves it.
func (h *handlers) changeProfile(c echo.Context, actor identity.Actor) error {
	values, err := form(c)
	if err != nil {
		return err
	}
	takeMerge(values)
	again := func(wrong problems, status int) error {
		return h.renderMe(c, actor, status, func(view *meView) {
			view.Profile.Name, view.Profile.Phone = values.Get(identity.FieldName), values.Get(identity.FieldPhone)
			view.Profile.Problems = wrong
		})
	}
	in, err := profileUpdate(values)
	if err == nil && values.Get("step") == stepEdit {
		return again(problems{}, http.StatusOK)
	}
	var user identity.User
	if err == nil {
		user, err = h.service.User(c.Request().Context(), actor, actor.UserID)
	}
	if err == nil && in.Match.Check(user.Version) != nil {
		return h.mergeProfile(c, actor, user, values)
	}
	if err == nil && values.Get("step") == stepSave {
		_, err = h.service.UpdateUser(c.Request().Context(), actor, actor.UserID, in)
		if identity.KindOf(err) == identity.Precondition { // between the look and the change
			if user, err = h.service.User(c.Request().Context(), actor, actor.UserID); err == nil {
				return h.mergeProfile(c, actor, user, values)
			}
		}
		if err == nil {
			return h.seeOther(c, mePath, "profile_saved")
		}
	}
	if err != nil {
		wrong, ok := problemsOf(err)
		if !ok {
			return err
		}
		return again(wrong, api.FailureFrom(err).Status)
	}
	changes := changesFrom(user.Diff(in.Change.Apply(user)), nil)
	if len(changes) == 0 {
		return h.seeOther(c, mePath, "unchanged")
	}
	return h.render(c, actor, http.StatusOK, "review", page{Title: "Your change", Nav: "me", View: reviewView{
		Heading: "Your change", Changes: changes, Action: mePath + "/profile", Fields: keptFields(values), Save: "Save",
		Cancel: mePath,
	}})
}

func (h *handlers) mergeProfile(c echo.Context, actor identity.Actor, user identity.User, values url.Values) error {
	view := mergeFrom(profileFields, beforeIn(values), profileValues(user), values, user.Version)
	if len(view.Both)+len(view.Yours)+len(view.Theirs) == 0 { // the form was sent twice
		return h.seeOther(c, mePath, "profile_saved")
	}
	return h.renderMerge(c, actor, "me", mePath+"/profile", mePath, view)
}

// profileUpdate reads the form.
func profileUpdate(values url.Values) (service.UserUpdate, error) {
	var wrong identity.Problems
	name, err := identity.ParseName(values.Get(identity.FieldName))
	addProblem(&wrong, identity.FieldName, err)
	phone, err := identity.ParsePhone(values.Get(identity.FieldPhone))
	addProblem(&wrong, identity.FieldPhone, err)
	return service.UserUpdate{
		Change: identity.UserChange{Name: &name, Phone: &phone},
		Match:  versionIn(values),
	}, wrong.Err()
}

// changePassword changes the operator's password. The browser gets another cookie: a
// copy of the old one is worth nothing, and all other sessions end.
func (h *handlers) changePassword(c echo.Context, actor identity.Actor) error {
	values, err := form(c)
	if err != nil {
		return err
	}
	var wrong identity.Problems
	password, err := identity.ParsePassword(values.Get(identity.FieldPassword))
	addProblem(&wrong, identity.FieldPassword, err)
	addAgain(&wrong, values)
	if err = wrong.Err(); err == nil {
		current := identity.Password(values.Get(identity.FieldCurrentPassword))
		_, err = h.service.UpdateUser(c.Request().Context(), actor, actor.UserID, service.UserUpdate{
			Change: identity.UserChange{Password: &password}, CurrentPassword: &current,
		})
	}
	if err != nil {
		f := api.FailureFrom(err)
		found, ok := problemsOf(err)
		if f.Kind == identity.TooManyRequests {
			found, ok = problems{Message: f.Message + " You can try again in " + waiting(f.RetryAfter) + "."}, true
		}
		if !ok {
			return err
		}
		return h.renderMe(c, actor, f.Status, func(view *meView) { view.Password = found })
	}
	if err := h.renewCookie(c, actor); err != nil {
		return err
	}
	return h.seeOther(c, mePath, "password_changed")
}

// displayPeriod is how long a browser keeps how it wants its pages. Each change begins it
// again.
const displayPeriod = 365 * 24 * time.Hour

func (h *handlers) changeDisplay(c echo.Context, _ identity.Actor) error {
	values, err := form(c)
	if err != nil {
		return err
	}
	var words []string
	if scheme := values.Get("scheme"); slices.Contains([]string{"light", "dark"}, scheme) {
		words = append(words, scheme)
	}
	if values.Get("keys") == "" {
		words = append(words, "nokeys")
	}
	period := displayPeriod
	if len(words) == 0 {
		period = -1
	}
	h.setCookie(c, displayCookie, strings.Join(words, "-"), period)
	return h.seeOther(c, mePath, "display_saved")
}
