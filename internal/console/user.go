package console

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
)

// userHead is what every page of one user begins with.
type userHead struct {
	Row     userRow
	Tab     string // profile, access, network, security or activity
	Version int64
	Created moment
	Changed moment
	Actions []userAction
	Denied  []deniedActions
}

// userAction is a button of the head. Post sends a form; else it is a link.
type userAction struct {
	Label, Path  string
	Post, Danger bool
}

// deniedActions are the buttons that are missing for one reason.
type deniedActions struct{ Labels, Reason string }

// profileView is the first page of one user.
type profileView struct {
	Head      userHead
	Phone     string
	Reason    string // why the user is inactive; "" for no known reason
	Groups    []link
	Addresses string
	Tags      []string
	Unmasked  bool
}

func (h *handlers) showUser(c echo.Context, actor identity.Actor) error {
	user, err := h.userOf(c, actor)
	if err != nil {
		return err
	}
	names := h.groupNames(c.Request().Context(), actor)
	return h.render(c, actor, http.StatusOK, "user", page{
		Title: userTitle(user), Nav: "users", View: profileViewFrom(actor, user, names, h.now()),
		API: h.apiCall(c, http.MethodGet, apiUserPath(user.ID), nil, ""),
	})
}

// userOf returns the user of a path, as the caller sees it.
func (h *handlers) userOf(c echo.Context, actor identity.Actor) (identity.User, error) {
	id, err := idOf(c, "userId", "user")
	if err != nil {
		return identity.User{}, err
	}
	return h.service.User(c.Request().Context(), actor, id)
}

func apiUserPath(id int64) string { return "/api/v2/users/" + strconv.FormatInt(id, 10) }

func profileViewFrom(actor identity.Actor, user identity.User, names map[int64]string, now time.Time) profileView {
	view := profileView{
		Head: userHeadFrom(actor, user, "profile", names, now), Phone: string(user.Phone),
		Reason: blockedText(user.BlockedCode), Addresses: allowedText(actor, user), Unmasked: user.CanViewMaskedData,
	}
	for _, id := range user.Groups {
		view.Groups = append(view.Groups, link{groupPath(id), groupName(names, id)})
	}
	for _, tag := range user.ClientTags {
		view.Tags = append(view.Tags, tagLine(tag))
	}
	return view
}

// blockedText returns why a user is inactive, in words; "" for no known reason.
func blockedText(code identity.BlockedCode) string {
	switch code {
	case identity.NoBlockedCode:
		return ""
	case identity.EmailChanged:
		return "The new e-mail address is not confirmed yet"
	}
	return string(code)
}

// allowedText summarises an allow-list. A mask has one entry, however long the list is.
func allowedText(actor identity.Actor, user identity.User) string {
	switch {
	case len(user.AllowList) == 0:
		return "Any address"
	case !actor.SeesUnmasked(user.ID):
		return "Only some addresses"
	}
	n := len(user.AllowList)
	if n == 1 {
		return "1 address or range"
	}
	return number(int64(n)) + " addresses and ranges"
}

func userHeadFrom(actor identity.Actor, user identity.User, tab string, names map[int64]string, now time.Time,
) userHead {
	head := userHead{
		Row: userRowFrom(actor, user, names, now), Tab: tab, Version: user.Version,
		Created: momentOf(user.CreatedAt, now), Changed: momentOf(user.UpdatedAt, now),
	}
	path := userPath(user.ID)
	head.add(mayEdit(actor, user.ID), userAction{Label: "Edit", Path: path + "/edit"})
	if user.LastSigninAt.IsZero() {
		head.add(mayInvite(actor, user), userAction{Label: "Send invitation", Path: path + "/invite", Post: true})
	} else {
		head.add(mayMailLink(actor, user), userAction{Label: "Send reset link", Path: path + "/reset-link", Post: true})
	}
	if user.Active {
		head.add(lacks(actor, identity.UsersUpdate),
			userAction{Label: "Deactivate", Path: path + "/deactivate", Danger: true})
	} else {
		head.add(lacks(actor, identity.UsersUpdate), userAction{Label: "Activate", Path: path + "/activate"})
	}
	head.add(mayDelete(actor, user.ID), userAction{Label: "Delete", Path: path + "/delete", Danger: true})
	return head
}

// add adds an action, or the reason why there is none.
func (h *userHead) add(reason string, action userAction) {
	if reason == "" {
		h.Actions = append(h.Actions, action)
		return
	}
	i := slices.IndexFunc(h.Denied, func(d deniedActions) bool { return d.Reason == reason })
	if i < 0 {
		h.Denied = append(h.Denied, deniedActions{action.Label, reason})
		return
	}
	h.Denied[i].Labels += ", " + strings.ToLower(action.Label)
}

// mayEdit returns why the caller may not edit a user; "" if it may. Users may change some
// fields of themselves.
func mayEdit(actor identity.Actor, id int64) string {
	if actor.Is(id) {
		return ""
	}
	return lacks(actor, identity.UsersUpdate)
}

func mayDelete(actor identity.Actor, id int64) string {
	if actor.Is(id) {
		return ""
	}
	return lacks(actor, identity.UsersDelete)
}

// mayMailLink returns why the caller cannot have a link mailed to a user.
func mayMailLink(actor identity.Actor, user identity.User) string {
	if !user.Active {
		return "An inactive user gets no link. Activate the user first."
	}
	return lacksUnmasked(actor, user.ID)
}

// lacksUnmasked returns why the caller sees masks of a user; "" if it sees all.
func lacksUnmasked(actor identity.Actor, id int64) string {
	if actor.SeesUnmasked(id) {
		return ""
	}
	return "This needs the right to see unmasked data. A member of the group Administrators can give it to you."
}

func mayInvite(actor identity.Actor, user identity.User) string {
	if reason := lacks(actor, identity.UsersUpdate); reason != "" {
		return reason
	}
	return mayMailLink(actor, user)
}

// userTitle returns the name as the caller sees it. A name that is an address is masked
// there already.
func userTitle(user identity.User) string { return string(user.Name) }

// allGroups returns the groups that the caller may see, by id, and false if it may see none.
func (h *handlers) allGroups(ctx context.Context, actor identity.Actor) ([]identity.Group, bool, error) {
	if lacks(actor, identity.GroupsView) != "" {
		return nil, false, nil
	}
	var all []identity.Group
	for {
		groups, total, err := h.service.Groups(ctx, actor,
			identity.Page{Limit: identity.MaxPageSize, Offset: int64(len(all))})
		if err != nil {
			return nil, false, err
		}
		all = append(all, groups...)
		if len(groups) == 0 || int64(len(all)) >= total {
			return all, true, nil
		}
	}
}
