package console

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

func (h *handlers) groupRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/groups", Handler: h.listGroups},
		{Method: http.MethodGet, Path: "/groups/new", Handler: h.newGroup},
		{Method: http.MethodPost, Path: "/groups/new", Handler: h.createGroup},
		{Method: http.MethodGet, Path: "/groups/:groupId", Handler: h.showGroup},
		{Method: http.MethodGet, Path: "/groups/:groupId/edit", Handler: h.editGroup},
		{Method: http.MethodPost, Path: "/groups/:groupId/edit", Handler: h.changeGroup},
		{Method: http.MethodGet, Path: "/groups/:groupId/delete", Handler: h.askDeleteGroup},
		{Method: http.MethodPost, Path: "/groups/:groupId/delete", Handler: h.deleteGroup, Timeout: manyTimeout},
		{Method: http.MethodGet, Path: "/groups/:groupId/add", Handler: h.askMembers},
		{Method: http.MethodPost, Path: "/groups/:groupId/add", Handler: h.addMembers, Timeout: manyTimeout},
		{Method: http.MethodGet, Path: "/groups/:groupId/remove", Handler: h.askRemoveMember},
		{Method: http.MethodPost, Path: "/groups/:groupId/remove", Handler: h.removeMember},
	}
}

// manyTimeout bounds a change of many users.
const manyTimeout = time.Minute

// groupsView is a page of the list of groups.
type groupsView struct {
	Rows   []groupRow
	Denied string // why the caller cannot create a group
	Range  string
	Prev   string
	Next   string
}

// groupRow is a group in a list.
type groupRow struct {
	Href        string
	Name        string
	Members     string // how many; "" if the caller may not know
	Permissions []permissionRow
	RequireTFA  bool
}

func (h *handlers) listGroups(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	page := pageIn(q)
	if err := q.Err(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	groups, total, err := h.service.Groups(ctx, actor, page)
	if err != nil {
		return err
	}
	view := groupsView{Denied: lacks(actor, identity.GroupsManage)}
	for _, group := range groups {
		view.Rows = append(view.Rows, groupRowFrom(group, h.memberText(ctx, actor, group.ID)))
	}
	view.Range, view.Prev, view.Next = pagerOf(c.QueryParams(), groupsPath, page.Offset, page.Limit, len(groups), total)
	return h.render(c, actor, http.StatusOK, "groups", groupPage("Groups", view,
		h.apiCall(c, http.MethodGet, "/api/v2/groups", c.QueryParams(), "")))
}

const groupsPath = Prefix + "/groups"

func groupPath(id int64) string { return groupsPath + "/" + strconv.FormatInt(id, 10) }

// pageIn reads the page of a list that is ordered by id.
func pageIn(q *api.Query) identity.Page {
	return identity.Page{
		Limit: int(q.Int("limit", 1, maxRows, defaultRows)), Offset: q.Int("offset", 0, math.MaxInt64, 0),
	}
}

// groupPage is a page below Groups.
func groupPage(title string, view any, call *apiCall) page {
	return page{Title: title, Nav: "groups", View: view, API: call}
}

func groupRowFrom(group identity.Group, members string) groupRow {
	return groupRow{
		Href: groupPath(group.ID), Name: string(group.Name), Members: members,
		Permissions: permissionRows(group.Permissions), RequireTFA: group.RequireTFA,
	}
}

// members returns how many users are in a group.
func (h *handlers) members(ctx context.Context, actor identity.Actor, id int64) (int64, error) {
	users, err := h.service.Users(ctx, actor, identity.UserQuery{
		Filter: identity.UserFilter{Group: id}, Sort: identity.SortByID, Limit: 1,
	})
	return users.Total, err
}

// memberText returns how many users are in a group; "" for a caller who may not know. A
// list must not fail for it.
func (h *handlers) memberText(ctx context.Context, actor identity.Actor, id int64) string {
	n, err := h.service.CountUsers(ctx, actor, identity.UserFilter{Group: id})
	switch {
	case err != nil:
		return ""
	case n.IsLowerBound:
		return "more than " + number(n.Total)
	}
	return number(n.Total)
}

// groupView is the page of one group.
type groupView struct {
	ID           int64
	Row          groupRow
	DeniedChange string // why the caller cannot change or delete it
	DeniedAdd    string // why the caller cannot put users in and take them out
	DeniedSee    string // why the caller does not see the members
	Users        []memberRow
	UsersHref    string // the members in the list of users
	Range        string
	Prev         string
	Next         string
	Created      moment
	Changed      moment
	Version      int64
}

type memberRow struct {
	userRow

	RemoveHref string
}

func (h *handlers) showGroup(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	page := pageIn(q)
	if err := q.Err(); err != nil {
		return err
	}
	group, err := h.groupOf(c, actor)
	if err != nil {
		return err
	}
	view := groupViewFrom(actor, group, h.now())
	if view.DeniedSee == "" {
		users, err := h.service.Users(c.Request().Context(), actor, identity.UserQuery{
			Filter: identity.UserFilter{Group: group.ID}, Sort: identity.SortByName, Limit: page.Limit, Offset: page.Offset,
		})
		if err != nil {
			return err
		}
		view.showMembers(actor, users, page, c.QueryParams(), h.now())
	}
	return h.render(c, actor, http.StatusOK, "group", groupPage(string(group.Name), view,
		h.apiCall(c, http.MethodGet, apiGroupPath(group.ID), nil, "")))
}

func apiGroupPath(id int64) string { return "/api/v2/groups/" + strconv.FormatInt(id, 10) }

// groupOf returns the group that the path names.
func (h *handlers) groupOf(c echo.Context, actor identity.Actor) (identity.Group, error) {
	id, err := idOf(c, "groupId", "group")
	if err != nil {
		return identity.Group{}, err
	}
	return h.service.Group(c.Request().Context(), actor, id)
}

// groupFor returns the group that the path names, or why the caller is denied what it is for.
func (h *handlers) groupFor(c echo.Context, actor identity.Actor, denied func(identity.Actor, identity.Group) string,
) (identity.Group, error) {
	group, err := h.groupOf(c, actor)
	if err == nil {
		err = errDenied(denied(actor, group))
	}
	return group, err
}

func groupViewFrom(actor identity.Actor, group identity.Group, now time.Time) groupView {
	return groupView{
		ID: group.ID, Row: groupRowFrom(group, ""),
		DeniedChange: deniedChange(actor, group), DeniedAdd: deniedMembers(actor, group),
		DeniedSee: lacks(actor, identity.UsersView),
		Created:   momentOf(group.CreatedAt, now), Changed: momentOf(group.UpdatedAt, now), Version: group.Version,
		UsersHref: addressWith(nil, Prefix+"/users", "filter[group]", strconv.FormatInt(group.ID, 10)),
	}
}

func (v *groupView) showMembers(actor identity.Actor, users identity.UserPage, page identity.Page, values url.Values,
	now time.Time,
) {
	for _, user := range users.Users {
		v.Users = append(v.Users, memberRow{
			userRowFrom(actor, user, nil, now),
			addressWith(nil, v.Row.Href+"/remove", "userId", strconv.FormatInt(user.ID, 10)),
		})
	}
	v.Row.Members = number(users.Total)
	v.Range, v.Prev, v.Next = pagerOf(values, v.Row.Href, page.Offset, page.Limit, len(users.Users), users.Total)
}

// deniedChange returns why the caller cannot change a group; "" if the caller can try.
func deniedChange(actor identity.Actor, group identity.Group) string {
	if reason := lacks(actor, identity.GroupsManage); reason != "" {
		return reason
	}
	if group.ID == identity.AdministratorsID {
		return "Administrators can be neither changed nor deleted."
	}
	return deniedCover(actor, group)
}

// deniedMembers returns why the caller cannot change who is in a group.
func deniedMembers(actor identity.Actor, group identity.Group) string {
	if reason := lacks(actor, identity.UsersUpdate); reason != "" {
		return reason
	}
	return deniedCover(actor, group)
}

func deniedCover(actor identity.Actor, group identity.Group) string {
	if actor.RequireCover(group.Permissions, false) == nil {
		return ""
	}
	return "This group gives permissions that you do not hold yourself: " + notHeld(actor, group.Permissions) +
		". A member of the group Administrators can do it."
}

// errDenied is the error for a page that leads to nothing for the caller; nil for no reason.
func errDenied(reason string) error {
	if reason == "" {
		return nil
	}
	return identity.Errorf(identity.Forbidden, "denied", "%s", reason)
}
