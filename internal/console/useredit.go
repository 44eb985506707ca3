package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

// userFormView is the form of a user.
type userFormView struct {
	Head     userHead
	Values   url.Values
	All      bool // not only what users may change of themselves
	Masked   bool
	Denied   string // why there is no more than that
	Groups   groupChoices
	Before   []field
	Problems problems
}

// Value returns the first value of a field.
func (v userFormView) Value(name string) string { return v.Values.Get(name) }

func (h *handlers) editRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/users/:userId/edit", Handler: h.showUserForm},
		{Method: http.MethodPost, Path: "/users/:userId/edit", Handler: h.editUser},
		{Method: http.MethodGet, Path: "/users/new", Handler: h.showNewUser},
		{Method: http.MethodPost, Path: "/users/new", Handler: h.createUser},
		{Method: http.MethodPost, Path: "/users/:userId/reset-link", Handler: h.sendResetLink},
		{Method: http.MethodPost, Path: "/users/:userId/invite", Handler: h.sendInvitation},
		{Method: http.MethodGet, Path: "/users/:userId/activate", Handler: h.showAct(activate)},
		{Method: http.MethodPost, Path: "/users/:userId/activate", Handler: h.doAct(activate)},
		{Method: http.MethodGet, Path: "/users/:userId/deactivate", Handler: h.showAct(deactivate)},
		{Method: http.MethodPost, Path: "/users/:userId/deactivate", Handler: h.doAct(deactivate)},
		{Method: http.MethodGet, Path: "/users/:userId/delete", Handler: h.showAct(remove)},
		{Method: http.MethodPost, Path: "/users/:userId/delete", Handler: h.doAct(remove)},
	}
}

// userEdit is what the steps of an edit have in common.
type userEdit struct {
	user    identity.User // as the caller sees it
	groups  []identity.Group
	visible bool // the caller may see groups
	all     bool
	values  url.Values
}

func (h *handlers) newUserEdit(c echo.Context, actor identity.Actor) (userEdit, error) {
	user, err := h.userOf(c, actor)
	if err != nil {
		return userEdit{}, err
	}
	if mayEdit(actor, user.ID) != "" {
		return userEdit{}, actor.Require(identity.UsersUpdate)
	}
	e := userEdit{user: user, all: lacks(actor, identity.UsersUpdate) == ""}
	e.groups, e.visible, err = h.allGroups(c.Request().Context(), actor)
	return e, err
}

func (h *handlers) showUserForm(c echo.Context, actor identity.Actor) error {
	e, err := h.newUserEdit(c, actor)
	if err != nil {
		return err
	}
	e.values = userValues(e.user, e.all)
	e.values.Set("version", strconv.FormatInt(e.user.Version, 10))
	for _, f := range beforeFields(e.mergeFields(), e.values) {
		e.values.Add(f.Name, f.Value)
	}
	return h.renderUserForm(c, actor, e, http.StatusOK, problems{})
}

// editUser takes the form: it shows the form again, what it will change, or saves it.
func (h *handlers) editUser(c echo.Context, actor identity.Actor) error {
	e, err := h.newUserEdit(c, actor)
	if err != nil {
		return err
	}
	if e.values, err = form(c); err != nil {
		return err
	}
	takeMerge(e.values)
	// What the form had is taken, or refused: nothing that was typed is dropped in silence.
	e.all = e.values.Has(identity.FieldEmail)
	step := e.values.Get("step")
	if step == stepFilter || step == stepEdit {
		return h.renderUserForm(c, actor, e, http.StatusOK, problems{})
	}
	if e.values.Get("version") != strconv.FormatInt(e.user.Version, 10) {
		return h.mergeUser(c, actor, e)
	}
	change, err := userChangeFrom(e.values, e.all)
	if err == nil {
		change, err = change.Unmasked(e.user, actor)
	}
	if err != nil {
		return h.userFormAgain(c, actor, e, err)
	}
	change, changes := onlyChanged(change, e.user)
	switch {
	case len(changes) == 0:
		return h.seeOther(c, userPath(e.user.ID), "unchanged")
	case step == stepSave:
		return h.saveUser(c, actor, e, change)
	}
	return h.reviewUser(c, actor, e, changes)
}

func (h *handlers) saveUser(c echo.Context, actor identity.Actor, e userEdit, change identity.UserChange) error {
	_, err := h.service.UpdateUser(c.Request().Context(), actor, e.user.ID, service.UserUpdate{
		Change: change, Notify: e.values.Get(fieldNotify) == ticked,
		Match: identity.VersionMatch{Conditional: true, Versions: []int64{e.user.Version}},
	})
	switch identity.KindOf(err) {
	case identity.Precondition: // since the page has read it
		if e.user, err = h.userOf(c, actor); err != nil {
			return err
		}
		return h.mergeUser(c, actor, e)
	default:
		if err != nil {
			return h.userFormAgain(c, actor, e, err)
		}
	}
	return h.seeOther(c, userPath(e.user.ID), "saved")
}

// userFormAgain shows the form with what is wrong, or returns an error that another page
// shows.
func (h *handlers) userFormAgain(c echo.Context, actor identity.Actor, e userEdit, err error) error {
	p, ok := problemsOf(err)
	if !ok {
		return err
	}
	return h.renderUserForm(c, actor, e, api.FailureFrom(err).Status, p)
}

func (h *handlers) renderUserForm(c echo.Context, actor identity.Actor, e userEdit, status int, p problems) error {
	view := e.view(h, actor)
	view.Problems, view.Groups.Problem = p, p.Of(identity.FieldGroups)
	for _, f := range fieldsOf(e.values) {
		if f.Name == "version" || strings.HasPrefix(f.Name, beforePrefix) {
			view.Before = append(view.Before, f)
		}
	}
	return h.render(c, actor, status, "useredit", page{Title: "Edit a user", Nav: "users", View: view})
}

func (e userEdit) view(h *handlers, actor identity.Actor) userFormView {
	view := userFormView{
		Head:   userHeadFrom(actor, e.user, "profile", groupNamesOf(e.groups), h.now()),
		Values: e.values, All: e.all, Masked: !actor.SeesUnmasked(e.user.ID),
	}
	if e.all {
		view.Groups = groupChoicesFrom(actor, e.groups, e.visible, e.values)
	} else {
		view.Denied = lacks(actor, identity.UsersUpdate)
	}
	return view
}

// reviewUser shows what the form will change.
func (h *handlers) reviewUser(c echo.Context, actor identity.Actor, e userEdit, changes identity.Changes) error {
	path, notify := userPath(e.user.ID), e.values.Get(fieldNotify) == ticked
	view := reviewView{
		Heading: reviewHeading, Up: link{path, string(e.user.Name)}, Warnings: effectsOf(changes),
		Changes: changesFrom(changes, groupNamesOf(e.groups)), Action: path + "/edit", Fields: keptFields(e.values),
		Save: "Save", Cancel: path,
	}
	if notify {
		view.Message = "The user is told by mail, if the e-mail address or the second factor changes."
	}
	body := jsonOf(changes, notify)
	return h.render(c, actor, http.StatusOK, "review", page{
		Title: reviewHeading, Nav: "users", View: view,
		API: h.apiCall(c, http.MethodPatch, apiUserPath(e.user.ID), nil, body),
	})
}

// effectsOf returns what a change does besides, in sentences.
func effectsOf(changes identity.Changes) []string {
	var effects []string
	if _, ok := changes[identity.FieldEmail]; ok {
		effects = append(effects, "The user signs in with the new address from then on. All sessions of the user end, "+
			"and invitations and reset links that were mailed before are void.")
	}
	if tfa, ok := changes[identity.FieldTFA]; ok && tfa.New == true {
		effects = append(effects, "The user needs a code to sign in from then on. All sessions of the user end.")
	}
	return effects
}

// mergeFields are the fields of the form of a user that two people may have changed.
func (e userEdit) mergeFields() []mergeField {
	names := groupNamesOf(e.groups)
	fields := []mergeField{
		{Name: identity.FieldName},
		{Name: identity.FieldEmail},
		{Name: identity.FieldPhone},
		{Name: identity.FieldTFA, Text: textYesNo},
		{Name: identity.FieldGroups, Text: func(values []string) string {
			ids := groupsFrom(&identity.Problems{}, values)
			return valueText(identity.FieldGroups, *ids, names)
		}},
		{Name: identity.FieldClientTags},
		{Name: identity.FieldCanViewMaskedData, Text: textYesNo},
	}
	if !e.all {
		fields = []mergeField{{Name: identity.FieldName}, {Name: identity.FieldPhone}}
	}
	for i := range fields {
		fields[i].Label = labelOf(fields[i].Name)
	}
	return fields
}

// mergeUser shows what somebody else has changed meanwhile. A form that was sent twice has
// nothing to choose.
func (h *handlers) mergeUser(c echo.Context, actor identity.Actor, e userEdit) error {
	yours := e.values
	if change, err := userChangeFrom(yours, e.all); err == nil { // spelled like what is stored
		yours = userValues(change.Apply(e.user), e.all)
	}
	view := mergeFrom(e.mergeFields(), beforeIn(e.values), userValues(e.user, e.all), yours, e.user.Version)
	path := userPath(e.user.ID)
	if len(view.Both)+len(view.Theirs)+len(view.Yours) == 0 {
		return h.seeOther(c, path, "unchanged")
	}
	view.keep(fieldNotify, e.values[fieldNotify])
	return h.renderMerge(c, actor, "users", path+"/edit", path, view)
}
