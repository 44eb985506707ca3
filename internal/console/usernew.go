package console

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

// newUserView is the form of a new user.
type newUserView struct {
	Values   url.Values
	Groups   groupChoices
	Problems problems
	Typed    bool // a password is typed; else the user is invited
	Denied   string
	Path     string // of the form
}

// Value returns the first value of a field.
func (v newUserView) Value(name string) string { return v.Values.Get(name) }

// The fields that only the form of a new user has.
const (
	fieldHow     = "how"
	howPassword  = "password"
	fieldKey     = "key"
	fieldAnother = "another"
)

const newUserPath = Prefix + "/users/new"

// showNewUser shows the form. The groups may be given, so that one form follows another.
func (h *handlers) showNewUser(c echo.Context, actor identity.Actor) error {
	values := url.Values{fieldKey: {rand.Text()}}
	for _, name := range []string{identity.FieldGroups, fieldHow, fieldAnother} {
		if given := c.QueryParams()[name]; given != nil {
			values[name] = given
		}
	}
	return h.renderNewUser(c, actor, http.StatusOK, values, problems{})
}

func (h *handlers) renderNewUser(c echo.Context, actor identity.Actor, status int, values url.Values, p problems,
) error {
	groups, visible, err := h.allGroups(c.Request().Context(), actor)
	if err != nil {
		return err
	}
	view := newUserView{
		Values: values, Groups: groupChoicesFrom(actor, groups, visible, values), Problems: p,
		Typed: values.Get(fieldHow) == howPassword, Denied: lacks(actor, identity.UsersCreate), Path: newUserPath,
	}
	view.Groups.Problem = p.Of(identity.FieldGroups)
	return h.render(c, actor, status, "usernew", page{
		Title: "New user", Nav: "users", View: view,
		API: h.apiCall(c, http.MethodPost, "/api/v2/users", nil, newUserJSON(values)),
	})
}

// newUserJSON returns the request that creates the user of a form, without a password.
func newUserJSON(values url.Values) string {
	change, _ := userChangeFrom(values, true) // what is wrong stays as it is
	body := map[string]any{
		identity.FieldName: values.Get(identity.FieldName), identity.FieldEmail: values.Get(identity.FieldEmail),
		identity.FieldActive: true, identity.FieldTFA: *change.TFA, identity.FieldGroups: *change.Groups,
	}
	if values.Get(fieldHow) == howPassword {
		body[identity.FieldPassword] = "…"
	} else {
		body["invite"] = true
	}
	return jsonText(body)
}

// createUser creates a user, once however often one form is sent.
func (h *handlers) createUser(c echo.Context, actor identity.Actor) error {
	values, err := form(c)
	if err != nil {
		return err
	}
	if values.Get("step") == stepFilter {
		return h.renderNewUser(c, actor, http.StatusOK, values, problems{})
	}
	user, err := newUserFrom(values)
	id := int64(0)
	if err == nil {
		var created identity.User
		var answer service.Answer
		created, answer, err = h.service.CreateUser(c.Request().Context(), actor, user, idempotencyOf(values))
		id = max(created.ID, answer.UserID)
	}
	if err != nil {
		return h.newUserAgain(c, actor, values, err)
	}
	note := "created"
	if user.Invite {
		note = "invited_new"
	}
	if values.Get(fieldAnother) != ticked {
		return h.seeOther(c, userPath(id), note)
	}
	query := url.Values{fieldAnother: {ticked}}
	for _, name := range []string{identity.FieldGroups, fieldHow} {
		if len(values[name]) > 0 {
			query[name] = values[name]
		}
	}
	return h.seeOther(c, newUserPath+"?"+query.Encode(), note)
}

func (h *handlers) newUserAgain(c echo.Context, actor identity.Actor, values url.Values, err error) error {
	p, ok := problemsOf(err)
	if !ok {
		return err
	}
	f := api.FailureFrom(err)
	if f.Code == "idempotency_key_reused" {
		values.Set(fieldKey, rand.Text())
		p = problems{Message: "This form has created a user already. Send it again to create another one."}
	}
	return h.renderNewUser(c, actor, f.Status, values, p)
}

// newUserFrom reads the form of a new user.
func newUserFrom(values url.Values) (service.NewUser, error) {
	change, err := userChangeFrom(values, true)
	var problems identity.Problems
	if wrong, ok := errors.AsType[*identity.Error](err); ok {
		for _, f := range wrong.Fields {
			problems.Add(f.Field, f.Code, f.Message)
		}
	}
	list := identity.AllowList(parsedLines(&problems, identity.FieldAllowList, values,
		identity.MaxAllowListEntries, identity.ParseAddressRange))
	change.AllowList, change.Active = &list, new(true)
	user := service.NewUser{User: change.Apply(identity.User{}), Invite: values.Get(fieldHow) != howPassword}
	if !user.Invite {
		user.Password = *parsed(&problems, identity.FieldPassword, values.Get(identity.FieldPassword), identity.ParsePassword)
		user.Notify = values.Get(fieldNotify) == ticked
	}
	return user, problems.Err()
}

// idempotencyOf returns the key of a form. A key that no form has had is none.
func idempotencyOf(values url.Values) service.Idempotency {
	const maxLength = 64
	key := values.Get(fieldKey)
	if len(key) > maxLength || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		key = ""
	}
	if key != "" {
		key = "console " + key // apart from the keys of the user's own calls
	}
	request := url.Values{}
	for name, list := range values {
		skipped := []string{identity.FieldPassword, fieldKey, fieldAnother, fieldGroupFilter, "step"}
		if !slices.Contains(skipped, name) {
			request[name] = list
		}
	}
	return service.Idempotency{
		Key: key, Request: request.Encode(),
		Render: func(user identity.User) []byte { return []byte(strconv.FormatInt(user.ID, 10)) },
	}
}
