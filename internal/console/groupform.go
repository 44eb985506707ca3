package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
)

// groupForm is the form of a group.
type groupForm struct {
	Heading     string
	Action      string
	Cancel      string
	Problems    problems
	Name        string
	Permissions []permissionRow
	RequireTFA  bool
	Fields      []field // the version and what the form began with
}

// groupFields take part in a merge.
var groupFields = []mergeField{
	{Name: identity.FieldName, Label: labelOf(identity.FieldName)},
	{Name: identity.FieldPermissions, Label: labelOf(identity.FieldPermissions)},
	{Name: identity.FieldRequireTFA, Label: labelOf(identity.FieldRequireTFA), Text: textYesNo},
}

// groupValues returns a group as the form has it.
func groupValues(group identity.Group) url.Values {
	values := url.Values{
		identity.FieldName:        {string(group.Name)},
		identity.FieldPermissions: permissionNames(group.Permissions),
	}
	if group.RequireTFA {
		values.Set(identity.FieldRequireTFA, ticked)
	}
	return values
}

// groupIn reads the form of a group. The error is Invalid.
func groupIn(values url.Values) (identity.Group, error) {
	var list identity.Problems
	name, err := identity.ParseLabel(values.Get(identity.FieldName))
	addProblem(&list, identity.FieldName, err)
	group := identity.Group{
		Name: name, Permissions: permissionsIn(values[identity.FieldPermissions], &list),
		RequireTFA: values.Get(identity.FieldRequireTFA) == ticked,
	}
	return group, list.Err()
}

// groupChange returns what differs between two states of a group.
func groupChange(before, after identity.Group) identity.GroupChange {
	var change identity.GroupChange
	if before.Name != after.Name {
		change.Name = &after.Name
	}
	if before.Permissions != after.Permissions {
		change.Permissions = &after.Permissions
	}
	if before.RequireTFA != after.RequireTFA {
		change.RequireTFA = &after.RequireTFA
	}
	return change
}

// groupBody returns the body of the call that makes a change.
func groupBody(change identity.GroupChange) string {
	body := map[string]any{}
	if change.Name != nil {
		body[identity.FieldName] = *change.Name
	}
	if change.Permissions != nil {
		body[identity.FieldPermissions] = permissionNames(*change.Permissions)
	}
	if change.RequireTFA != nil {
		body[identity.FieldRequireTFA] = *change.RequireTFA
	}
	return jsonText(body)
}

func jsonText(body any) string {
	text, err := json.Marshal(body)
	if err != nil {
		return "" // strings, numbers and lists of them can be written
	}
	return string(text)
}

func groupFormFrom(actor identity.Actor, values url.Values, list problems) groupForm {
	return groupForm{
		Problems: list, Name: values.Get(identity.FieldName),
		Permissions: permissionBoxes(actor, values[identity.FieldPermissions]),
		RequireTFA:  values.Get(identity.FieldRequireTFA) == ticked,
	}
}

func (h *handlers) newGroup(c echo.Context, actor identity.Actor) error {
	if err := actor.Require(identity.GroupsManage); err != nil {
		return err
	}
	return h.renderNewGroup(c, actor, http.StatusOK, url.Values{}, problems{})
}

func (h *handlers) renderNewGroup(c echo.Context, actor identity.Actor, status int, values url.Values, list problems,
) error {
	view := groupFormFrom(actor, values, list)
	view.Heading, view.Action, view.Cancel = "New group", groupsPath+"/new", groupsPath
	return h.render(c, actor, status, "groupform", groupPage(view.Heading, view, nil))
}

// createGroup reviews a new group, and then creates it.
func (h *handlers) createGroup(c echo.Context, actor identity.Actor) error {
	values, err := form(c)
	if err != nil {
		return err
	}
	if values.Get("step") == stepEdit {
		return h.renderNewGroup(c, actor, http.StatusOK, values, problems{})
	}
	group, err := groupIn(values)
	if err == nil {
		err = actor.RequireCover(group.Permissions, false)
	}
	if err == nil && values.Get("step") == stepSave {
		if group, err = h.service.CreateGroup(c.Request().Context(), actor, group); err == nil {
			return h.seeOther(c, groupPath(group.ID), "group_created")
		}
	}
	if err != nil {
		list, ok := problemsOf(err)
		if !ok {
			return err
		}
		return h.renderNewGroup(c, actor, statusOf(err), values, list)
	}
	body := groupBody(identity.GroupChange{
		Name: &group.Name, Permissions: &group.Permissions, RequireTFA: &group.RequireTFA,
	})
	return h.render(c, actor, http.StatusOK, "review", groupPage("New group", reviewView{
		Heading: "Create this group?", Action: groupsPath + "/new", Save: "Create the group", Cancel: groupsPath,
		Changes: changesFrom(identity.Group{}.Diff(group), nil), Rights: permissionRows(group.Permissions),
		Message: "Nobody is in it yet. Each member will be able to do this:", Fields: keptFields(values),
	}, h.apiCall(c, http.MethodPost, "/api/v2/groups", nil, body)))
}

func (h *handlers) editGroup(c echo.Context, actor identity.Actor) error {
	group, err := h.groupFor(c, actor, deniedChange)
	if err != nil {
		return err
	}
	return h.renderGroupForm(c, actor, http.StatusOK, group, groupValues(group), problems{})
}

func (h *handlers) renderGroupForm(c echo.Context, actor identity.Actor, status int, group identity.Group,
	values url.Values, list problems,
) error {
	view := groupFormFrom(actor, values, list)
	view.Heading, view.Action = "Edit "+string(group.Name), groupPath(group.ID)+"/edit"
	view.Cancel = groupPath(group.ID)
	view.Fields = append(beforeFields(groupFields, groupValues(group)),
		field{"version", strconv.FormatInt(group.Version, 10)})
	return h.render(c, actor, status, "groupform", groupPage(view.Heading, view, nil))
}

// changeGroup reviews a change of a group, and then saves it.
func (h *handlers) changeGroup(c echo.Context, actor identity.Actor) error {
	values, err := form(c)
	if err != nil {
		return err
	}
	takeMerge(values)
	group, err := h.groupOf(c, actor)
	if err != nil {
		return err
	}
	if values.Get("version") != strconv.FormatInt(group.Version, 10) {
		return h.mergeGroup(c, actor, group, values)
	}
	if values.Get("step") == stepEdit {
		return h.renderGroupForm(c, actor, http.StatusOK, group, values, problems{})
	}
	wanted, err := groupIn(values)
	if err == nil {
		err = errDenied(deniedChange(actor, group))
	}
	if err == nil {
		err = actor.RequireCover(wanted.Permissions, false)
	}
	change := groupChange(group, wanted)
	if err == nil && change == (identity.GroupChange{}) {
		err = identity.Errorf(identity.Invalid, "no_change", "You have changed nothing.")
	}
	if err == nil && values.Get("step") == stepSave {
		match := identity.VersionMatch{Conditional: true, Versions: []int64{group.Version}}
		_, err = h.service.UpdateGroup(c.Request().Context(), actor, group.ID, change, match)
		if err == nil {
			return h.seeOther(c, groupPath(group.ID), "group_changed")
		}
		if identity.KindOf(err) == identity.Precondition {
			if group, err = h.groupOf(c, actor); err != nil {
				return err
			}
			return h.mergeGroup(c, actor, group, values)
		}
	}
	if err != nil {
		list, ok := problemsOf(err)
		if !ok {
			return err
		}
		return h.renderGroupForm(c, actor, statusOf(err), group, values, list)
	}
	return h.reviewGroup(c, actor, group, wanted, values)
}

func (h *handlers) mergeGroup(c echo.Context, actor identity.Actor, group identity.Group, values url.Values) error {
	view := mergeFrom(groupFields, beforeIn(values), groupValues(group), values, group.Version)
	path := groupPath(group.ID)
	return h.renderMerge(c, actor, "groups", path+"/edit", path, view)
}

func (h *handlers) reviewGroup(c echo.Context, actor identity.Actor, group, wanted identity.Group, values url.Values,
) error {
	view := reviewView{
		Heading: "Save these changes?", Up: link{groupPath(group.ID), string(group.Name)},
		Action: groupPath(group.ID) + "/edit", Save: "Save the changes", Cancel: groupPath(group.ID),
		Changes: changesFrom(group.Diff(wanted), nil), Fields: keptFields(values),
	}
	if n, err := h.members(c.Request().Context(), actor, group.ID); err == nil {
		view.Message = "This is about " + count(n, "member") + "."
	}
	if gained := wanted.Permissions &^ group.Permissions; gained != 0 {
		view.Message = strings.TrimSpace(view.Message + " Each member will also be able to do this:")
		view.Rights = permissionRows(gained)
	}
	call := h.apiCall(c, http.MethodPatch, apiGroupPath(group.ID), nil, groupBody(groupChange(group, wanted)))
	return h.render(c, actor, http.StatusOK, "review", groupPage("Edit "+string(group.Name), view, call))
}
