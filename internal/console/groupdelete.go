package console

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
)

// deleteGroupView says what it means to delete a group.
type deleteGroupView struct {
	Name     string
	Href     string
	Members  int64
	TooMany  bool // more than one form takes out
	Denied   string
	Rights   []permissionRow
	Fields   []field
	Problems problems
	Failed   []failedRow
	Users    string // the members in the list of users
}

func (h *handlers) askDeleteGroup(c echo.Context, actor identity.Actor) error {
	group, err := h.groupFor(c, actor, deniedChange)
	if err != nil {
		return err
	}
	return h.renderDelete(c, actor, http.StatusOK, group, deleteGroupView{})
}

func (h *handlers) renderDelete(c echo.Context, actor identity.Actor, status int, group identity.Group,
	view deleteGroupView,
) error {
	view.Name, view.Href, view.Rights = string(group.Name), groupPath(group.ID), permissionRows(group.Permissions)
	view.Users = addressWith(nil, Prefix+"/users", "filter[group]", strconv.FormatInt(group.ID, 10))
	if view.Denied = lacks(actor, identity.UsersView); view.Denied == "" {
		var err error
		if view.Members, err = h.members(c.Request().Context(), actor, group.ID); err != nil {
			return err
		}
		if view.TooMany = view.Members > maxPasted; view.Members > 0 {
			view.Denied = lacks(actor, identity.UsersUpdate)
		}
	}
	view.Fields = []field{
		{"version", strconv.FormatInt(group.Version, 10)}, {"members", strconv.FormatInt(view.Members, 10)},
	}
	return h.render(c, actor, status, "groupdelete", groupPage("Delete "+view.Name, view,
		h.apiCall(c, http.MethodDelete, apiGroupPath(group.ID), nil, "")))
}

// deleteGroup takes all members out of a group, and then deletes it. It does neither if the
// group or the number of its members is not what the page has said.
func (h *handlers) deleteGroup(c echo.Context, actor identity.Actor) error {
	values, err := form(c)
	if err != nil {
		return err
	}
	group, err := h.groupFor(c, actor, deniedChange)
	if err != nil {
		return err
	}
	failed, err := h.emptyGroup(c, actor, group, values)
	if err == nil && len(failed) == 0 {
		if err = h.service.DeleteGroup(c.Request().Context(), actor, group.ID, versionIn(values)); err == nil {
			return h.seeOther(c, groupsPath, "group_deleted")
		}
	}
	view := deleteGroupView{Failed: failed, Problems: problems{Message: "Some members could not be taken out."}}
	if err == nil {
		return h.renderDelete(c, actor, http.StatusConflict, group, view)
	}
	list, ok := problemsOf(err)
	if identity.KindOf(err) == identity.Precondition {
		list, ok = problems{Message: "This was changed while you looked at it. Look again at what it says now."}, true
	}
	if !ok {
		return err
	}
	view.Problems = list
	return h.renderDelete(c, actor, statusOf(err), group, view)
}

// emptyGroup takes the members out of a group, if they are as many as a form says.
func (h *handlers) emptyGroup(c echo.Context, actor identity.Actor, group identity.Group, values url.Values,
) ([]failedRow, error) {
	said, err := strconv.ParseInt(values.Get("members"), 10, 64)
	if err != nil || said == 0 {
		return nil, nil // then the service refuses if there are any
	}
	ctx := c.Request().Context()
	users, err := h.service.Users(ctx, actor, identity.UserQuery{
		Filter: identity.UserFilter{Group: group.ID}, Sort: identity.SortByID, Limit: maxPasted,
	})
	if err != nil {
		return nil, err
	}
	isSame := users.Total == said && values.Get("version") == strconv.FormatInt(group.Version, 10)
	if !isSame || len(users.Users) != int(users.Total) {
		return nil, identity.Errorf(identity.Precondition, "stale_version", "The members have changed.")
	}
	ids := make([]int64, len(users.Users))
	for i, user := range users.Users {
		ids[i] = user.ID
	}
	_, failed, err := h.setMembers(ctx, actor, group.ID, ids, false)
	return failed, err
}
