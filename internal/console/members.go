package console

import (
	"context"
	"fmt"
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

// maxPasted bounds the people that one form names.
const maxPasted = 200

// fieldPeople is the field of pasted addresses and ids.
const fieldPeople = "people"

// membersView is the form to add members, and then its review and its result.
type membersView struct {
	Name     string
	Href     string // of the group
	Pasted   string
	Problems problems
	Review   bool
	New      []userRow
	Already  []userRow
	NotFound []string
	Rights   []permissionRow
	Failed   []failedRow
	Added    int
}

// failedRow is a user who could not be changed, and why.
type failedRow struct {
	Row    userRow
	Reason string
}

func (h *handlers) askMembers(c echo.Context, actor identity.Actor) error {
	group, err := h.groupFor(c, actor, deniedMembers)
	if err != nil {
		return err
	}
	return h.renderMembers(c, actor, http.StatusOK, group, membersView{})
}

func (h *handlers) renderMembers(c echo.Context, actor identity.Actor, status int, group identity.Group,
	view membersView,
) error {
	view.Name, view.Href, view.Rights = string(group.Name), groupPath(group.ID), permissionRows(group.Permissions)
	return h.render(c, actor, status, "members", groupPage("Add members to "+view.Name, view, nil))
}

// addMembers shows whom pasted texts name, and then adds those who were shown.
func (h *handlers) addMembers(c echo.Context, actor identity.Actor) error {
	values, err := form(c)
	if err != nil {
		return err
	}
	group, err := h.groupFor(c, actor, deniedMembers)
	if err != nil {
		return err
	}
	view := membersView{Pasted: values.Get(fieldPeople)}
	switch values.Get("step") {
	case stepEdit:
		return h.renderMembers(c, actor, http.StatusOK, group, view)
	case stepSave:
		return h.saveMembers(c, actor, group, values, view)
	}
	names := pasted(view.Pasted)
	if problem := pastedProblem(len(names)); problem != "" {
		view.Problems = problems{Message: "Nobody is added yet.", Fields: []identity.FieldError{
			{Field: fieldPeople, Code: "out_of_range", Message: problem},
		}}
		return h.renderMembers(c, actor, http.StatusBadRequest, group, view)
	}
	people, err := h.service.FindUsers(c.Request().Context(), actor, names)
	if err != nil {
		return err
	}
	view.Review, view.NotFound = true, people.NotFound
	for _, user := range people.Users {
		row := userRowFrom(actor, user, nil, h.now())
		if slices.Contains(user.Groups, group.ID) {
			view.Already = append(view.Already, row)
		} else {
			view.New = append(view.New, row)
		}
	}
	return h.renderMembers(c, actor, http.StatusOK, group, view)
}

func pastedProblem(n int) string {
	switch {
	case n == 0:
		return "names nobody: type at least one address or id"
	case n > maxPasted:
		return fmt.Sprintf("names %s people: %d at most go at once", number(int64(n)), maxPasted)
	}
	return ""
}

// saveMembers adds the users of a review. It shows who could not be added.
func (h *handlers) saveMembers(c echo.Context, actor identity.Actor, group identity.Group, values url.Values,
	view membersView,
) error {
	var ids []int64
	for _, text := range values[identity.FieldUserID] {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id < 1 {
			return identity.Errorf(identity.Invalid, "invalid_id", "The form names a user that cannot be.")
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 || len(ids) > maxPasted {
		return identity.Errorf(identity.Invalid, "out_of_range", "The form has to name 1 to %d users.", maxPasted)
	}
	var err error
	if view.Added, view.Failed, err = h.setMembers(c.Request().Context(), actor, group.ID, ids, true); err != nil {
		return err
	}
	if len(view.Failed) == 0 {
		return h.seeOther(c, groupPath(group.ID), "members_added")
	}
	return h.renderMembers(c, actor, http.StatusConflict, group, view)
}

// setMembers puts users into a group, or takes them out of it. It returns how many it has
// changed and who could not be changed. It returns an error that is ours, such as a database
// that is away; what was changed before stays.
func (h *handlers) setMembers(ctx context.Context, actor identity.Actor, groupID int64, ids []int64, member bool,
) (done int, failed []failedRow, err error) {
	for _, id := range ids {
		user, err := h.setMember(ctx, actor, groupID, id, member)
		switch kind := identity.KindOf(err); {
		case err == nil:
			done++
		case kind == identity.Internal || kind == identity.Unavailable:
			return done, failed, err
		default:
			if user.ID == 0 {
				user = identity.User{ID: id, Name: identity.Name(fmt.Sprintf("User %d", id))}
			}
			failed = append(failed, failedRow{userRowFrom(actor, user, nil, h.now()), api.FailureFrom(err).Message})
		}
	}
	return done, failed, nil
}

// setMember puts a user into a group, or takes it out. It changes the groups that the user
// has at that moment: it tries again if somebody else changes the user meanwhile.
func (h *handlers) setMember(ctx context.Context, actor identity.Actor, groupID, id int64, member bool,
) (identity.User, error) {
	const tries = 3
	var user identity.User
	var err error
	for range tries {
		if user, err = h.service.User(ctx, actor, id); err != nil {
			return user, err
		}
		groups := groupsWithout(user.Groups, groupID)
		if member {
			groups = append(groups, groupID)
		}
		_, err = h.service.UpdateUser(ctx, actor, id, service.UserUpdate{
			Change: identity.UserChange{Groups: &groups},
			Match:  identity.VersionMatch{Conditional: true, Versions: []int64{user.Version}},
		})
		if identity.KindOf(err) != identity.Precondition {
			break
		}
	}
	return user, err
}

func groupsWithout(groups []int64, id int64) []int64 {
	return slices.DeleteFunc(slices.Clone(groups), func(g int64) bool { return g == id })
}

// pasted returns the addresses and ids of a text, each once. They stand on lines of their
// own, or between commas, semicolons or spaces; "Jane Doe <jane@example.com>" is the address.
func pasted(text string) []string {
	var names []string
	seen := map[string]bool{}
	add := func(name string) {
		if key := identity.Fold(name); name != "" && !seen[key] {
			seen[key] = true
			names = append(names, name)
		}
	}
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune("\r\n,;", r) }) {
		_, inner, hasStart := strings.Cut(part, "<")
		if inner, _, hasEnd := strings.Cut(inner, ">"); hasStart && hasEnd {
			add(strings.TrimSpace(inner))
			continue
		}
		for name := range strings.FieldsSeq(part) {
			add(strings.Trim(name, `"'<>`))
		}
	}
	return names
}

// removeView asks before a user is taken out of a group.
type removeView struct {
	Row    userRow
	Name   string // of the group
	Href   string
	Rights []permissionRow
	Self   bool
}

func (h *handlers) askRemoveMember(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	text := strconv.FormatInt(q.Int(identity.FieldUserID, 1, 1<<62, 0), 10)
	if err := q.Err(); err != nil {
		return err
	}
	group, user, err := h.memberOf(c, actor, text)
	if err != nil {
		return err
	}
	if err := errDenied(deniedMembers(actor, group)); err != nil {
		return err
	}
	view := removeView{
		Row: userRowFrom(actor, user, nil, h.now()), Name: string(group.Name), Href: groupPath(group.ID),
		Rights: permissionRows(group.Permissions), Self: actor.Is(user.ID),
	}
	body := jsonText(map[string]any{identity.FieldGroups: groupsWithout(user.Groups, group.ID)})
	call := h.apiCall(c, http.MethodPatch, "/api/v2/users/"+text, nil, body)
	return h.render(c, actor, http.StatusOK, "remove", groupPage("Take out of "+view.Name, view, call))
}

// memberOf returns the group of the path and a member of it by id, or NotFound.
func (h *handlers) memberOf(c echo.Context, actor identity.Actor, text string) (identity.Group, identity.User, error) {
	group, err := h.groupOf(c, actor)
	if err != nil {
		return group, identity.User{}, err
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return group, identity.User{}, errNoPage("There is no user with this number.")
	}
	user, err := h.service.User(c.Request().Context(), actor, id)
	if err == nil && !slices.Contains(user.Groups, group.ID) {
		err = errNoPage("This user is not in the group any more.")
	}
	return group, user, err
}

func (h *handlers) removeMember(c echo.Context, actor identity.Actor) error {
	values, err := form(c)
	if err != nil {
		return err
	}
	group, user, err := h.memberOf(c, actor, values.Get(identity.FieldUserID))
	if err != nil {
		return err
	}
	if _, err := h.setMember(c.Request().Context(), actor, group.ID, user.ID, false); err != nil {
		return err
	}
	return h.seeOther(c, groupPath(group.ID), "member_removed")
}
