package console

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

func (h *handlers) accessRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/users/:userId/access", Handler: h.showAccess},
		{Method: http.MethodGet, Path: "/users/:userId/access/add", Handler: h.reviewMembership(true)},
		{Method: http.MethodPost, Path: "/users/:userId/access/add", Handler: h.changeMembership(true)},
		{Method: http.MethodGet, Path: "/users/:userId/access/remove", Handler: h.reviewMembership(false)},
		{Method: http.MethodPost, Path: "/users/:userId/access/remove", Handler: h.changeMembership(false)},
	}
}

// accessView is what a user may do, and which groups give it.
type accessView struct {
	Head         userHead
	Groups       []userGroupRow
	Others       []groupChoice // the groups that the user is not in
	Denied       string        // why the caller cannot change the groups
	DeniedRights string        // why the caller does not see what the groups give
	Permissions  []givenRow
	Unmasked     bool
	RequiredBy   []link // the groups that require a second factor
}

// userGroupRow is a group that a user is in.
type userGroupRow struct {
	link

	RemoveHref string
	Denied     string // why the caller cannot take the user out
}

// givenRow is a permission with the groups that give it.
type givenRow struct {
	permissionRow

	By []link
}

func (h *handlers) showAccess(c echo.Context, actor identity.Actor) error {
	user, err := h.userOf(c, actor)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	groups, visible, err := h.allGroups(ctx, actor)
	if err != nil {
		return err
	}
	view := accessViewFrom(actor, user, groups, visible)
	view.Head = userHeadFrom(actor, user, "access", groupNamesOf(groups), h.now())
	access, denied, err := h.accessOf(ctx, actor, user.ID)
	if err != nil {
		return err
	}
	if view.DeniedRights = denied; denied == "" {
		view.showRights(access)
	}
	return h.render(c, actor, http.StatusOK, "useraccess", page{
		Title: "Access of a user", Nav: "users", View: view,
		API: h.apiCall(c, http.MethodGet, apiUserPath(user.ID)+"/access", nil, ""),
	})
}

// accessOf returns what a user may do, or why the caller may not know.
func (h *handlers) accessOf(ctx context.Context, actor identity.Actor, id int64) (identity.Access, string, error) {
	access, err := h.service.Access(ctx, actor, id)
	denied, err := deniedBy(err)
	return access, denied, err
}

// deniedBy returns why a caller is denied something that is a part of a page, with who can
// change that, or an error that is none of a denial.
func deniedBy(err error) (string, error) {
	if err == nil || identity.KindOf(err) != identity.Forbidden {
		return "", err
	}
	f := api.FailureFrom(err)
	return strings.TrimSpace(f.Message + " " + missing(f)), nil
}

// accessViewFrom returns the groups of a user, and those that the user is not in. visible
// says that the caller may see groups.
func accessViewFrom(actor identity.Actor, user identity.User, groups []identity.Group, visible bool) accessView {
	view := accessView{Denied: lacks(actor, identity.UsersUpdate), Unmasked: user.CanViewMaskedData}
	known := map[int64]identity.Group{}
	for _, group := range groups {
		known[group.ID] = group
		if !slices.Contains(user.Groups, group.ID) {
			view.Others = append(view.Others, groupChoice{
				ID: group.ID, Name: string(group.Name), Locked: deniedCover(actor, group),
			})
		}
	}
	if view.Denied == "" && !visible {
		view.Denied = lacks(actor, identity.GroupsView)
	}
	names := groupNamesOf(groups)
	for _, id := range user.Groups {
		row := userGroupRow{
			link: link{groupPath(id), groupName(names, id)},
			RemoveHref: addressWith(nil, accessPath(user.ID)+"/remove",
				identity.FieldGroupID, strconv.FormatInt(id, 10)),
		}
		if group, ok := known[id]; ok {
			row.Denied = deniedCover(actor, group)
		}
		view.Groups = append(view.Groups, row)
	}
	return view
}

func accessPath(id int64) string { return userPath(id) + "/access" }

func (v *accessView) showRights(access identity.Access) {
	v.Permissions = givenRows(access)
	v.RequiredBy = groupLinks(access.TFARequiredBy)
}

// givenRows returns the permissions of a user. A group that gives everything stands beside
// Everything only.
func givenRows(access identity.Access) []givenRow {
	var rows []givenRow
	for _, given := range access.Permissions {
		groups := given.Groups
		if given.Permission != identity.Everything {
			groups = slices.DeleteFunc(slices.Clone(groups), func(g identity.Group) bool {
				return g.Permissions.Has(identity.Everything)
			})
		}
		if len(groups) > 0 {
			rows = append(rows, givenRow{permissionRowFrom(given.Permission), groupLinks(groups)})
		}
	}
	return rows
}

func groupLinks(groups []identity.Group) []link {
	var links []link
	for _, group := range groups {
		links = append(links, link{groupPath(group.ID), string(group.Name)})
	}
	return links
}

// membershipView is the page that shows what a group gives or takes, and asks.
type membershipView struct {
	Head     userHead
	Add      bool
	Action   string
	GroupID  int64
	Group    link
	Changes  []change
	Rights   []permissionRow // which the user gets or loses
	Known    bool            // false if the caller may not know the rights
	Requires bool            // the group requires a second factor
	Self     bool
	Denied   string
	Problems problems
}

// membershipOf returns the user of the path and a group.
func (h *handlers) membershipOf(c echo.Context, actor identity.Actor, groupID int64,
) (identity.User, identity.Group, error) {
	user, err := h.userOf(c, actor)
	if err != nil {
		return user, identity.Group{}, err
	}
	group, err := h.service.Group(c.Request().Context(), actor, groupID)
	return user, group, err
}

// reviewMembership shows what putting a user into a group, or taking it out, changes.
func (h *handlers) reviewMembership(add bool) api.Handler {
	return func(c echo.Context, actor identity.Actor) error {
		q := api.NewQuery(c)
		id := q.Int(identity.FieldGroupID, 1, math.MaxInt64, 0)
		if id == 0 {
			q.Fail(identity.FieldGroupID, "required", "is missing: choose a group")
		}
		if err := q.Err(); err != nil {
			return err
		}
		user, group, err := h.membershipOf(c, actor, id)
		if err != nil {
			return err
		}
		return h.renderMembership(c, actor, http.StatusOK, user, group, add, problems{})
	}
}

func (h *handlers) renderMembership(c echo.Context, actor identity.Actor, status int, user identity.User,
	group identity.Group, add bool, p problems,
) error {
	ctx := c.Request().Context()
	if slices.Contains(user.Groups, group.ID) == add {
		return h.seeOther(c, accessPath(user.ID), "unchanged")
	}
	names := h.groupNames(ctx, actor)
	wanted := groupsWithout(user.Groups, group.ID)
	if add {
		wanted = append(wanted, group.ID)
		slices.Sort(wanted)
	}
	access, denied, err := h.accessOf(ctx, actor, user.ID)
	if err != nil {
		return err
	}
	changed := identity.UserChange{Groups: &wanted}
	view := membershipView{
		Head: userHeadFrom(actor, user, "access", names, h.now()), Add: add, GroupID: group.ID,
		Action: accessPath(user.ID) + "/remove", Group: link{groupPath(group.ID), string(group.Name)},
		Changes: changesFrom(user.Diff(changed.Apply(user)), names), Rights: rightsOf(access, group),
		Known: denied == "", Requires: add && group.RequireTFA, Self: actor.Is(user.ID),
		Denied: deniedMembers(actor, group), Problems: p,
	}
	title, body := "Take a user out of a group", map[string]any{identity.FieldGroups: wanted}
	if add {
		view.Action, title = accessPath(user.ID)+"/add", "Add a user to a group"
	}
	return h.render(c, actor, status, "usermembership", page{
		Title: title, Nav: "users", View: view,
		API: h.apiCall(c, http.MethodPatch, apiUserPath(user.ID), nil, jsonText(body)),
	})
}

// rightsOf returns the permissions that a user gets by one more group, or loses with one.
func rightsOf(access identity.Access, group identity.Group) []permissionRow {
	var others identity.Permissions // given by other groups
	for _, given := range access.Permissions {
		if slices.ContainsFunc(given.Groups, func(g identity.Group) bool { return g.ID != group.ID }) {
			others |= identity.PermissionSet(given.Permission)
		}
	}
	if others.Has(identity.Everything) {
		return nil
	}
	return permissionRows(group.Permissions &^ others)
}

// changeMembership puts a user into a group, or takes it out, after reviewMembership.
func (h *handlers) changeMembership(add bool) api.Handler {
	note := "taken_out"
	if add {
		note = "added_to"
	}
	return func(c echo.Context, actor identity.Actor) error {
		values, err := form(c)
		if err != nil {
			return err
		}
		id, err := strconv.ParseInt(values.Get(identity.FieldGroupID), 10, 64)
		if err != nil || id < 1 {
			return errNoPage("There is no group with this number.")
		}
		user, group, err := h.membershipOf(c, actor, id)
		if err != nil {
			return err
		}
		_, err = h.setMember(c.Request().Context(), actor, group.ID, user.ID, add)
		if p, isProblem := problemsOf(err); err != nil && isProblem {
			return h.renderMembership(c, actor, statusOf(err), user, group, add, p)
		}
		if err != nil {
			return err
		}
		return h.seeOther(c, accessPath(user.ID), note)
	}
}
