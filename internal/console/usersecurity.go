package console

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

func (h *handlers) securityRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/users/:userId/security", Handler: h.showSecurity},
		{Method: http.MethodGet, Path: "/users/:userId/security/factor", Handler: h.askFactor},
		{Method: http.MethodPost, Path: "/users/:userId/security/factor", Handler: h.resetFactor},
		{Method: http.MethodGet, Path: "/users/:userId/security/end", Handler: h.askEnd},
		{Method: http.MethodPost, Path: "/users/:userId/security/end", Handler: h.endUserSessions},
	}
}

// securityView is how a user signs in, and where.
type securityView struct {
	Head         userHead
	Factor       factorView
	RequiredBy   []link // the groups that require a second factor
	DeniedReset  string // why the caller cannot reset the second factor
	State        signinView
	Sessions     []userSessionRow
	Total        int64
	Others       int64  // sessions that "end all" ends
	DeniedEnd    string // why the caller cannot end sessions
	EndAll       string
	Range        string
	Prev         string
	Next         string
	DeniedGroups string // why RequiredBy is not known
}

// signinView is what tries to sign in have left.
type signinView struct {
	WrongPasswords, WrongCodes string
	Locked, LockedEverywhere   moment
	IsLocked, Everywhere       bool
}

// userSessionRow is one session of a user.
type userSessionRow struct {
	Started, Used, Ends moment
	Source              string
	Hidden              bool // Source is a mask
	Client              string
	Mine                bool // the session of this request
	EndHref             string
}

func securityPath(id int64) string { return userPath(id) + "/security" }

func (h *handlers) showSecurity(c echo.Context, actor identity.Actor) error {
	user, err := h.userOf(c, actor)
	if err != nil {
		return err
	}
	q := api.NewQuery(c)
	at := pageIn(q)
	if err := q.Err(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	factor, err := h.service.SecondFactor(ctx, actor, user.ID)
	if err != nil {
		return err
	}
	state, err := h.service.SigninState(ctx, actor, user.ID)
	if err != nil {
		return err
	}
	sessions, total, err := h.service.Sessions(ctx, actor, user.ID, at)
	if err != nil {
		return err
	}
	access, denied, err := h.accessOf(ctx, actor, user.ID)
	if err != nil {
		return err
	}
	view := securityView{
		Head: userHeadFrom(actor, user, "security", h.groupNames(ctx, actor), h.now()), DeniedGroups: denied,
		Factor:     factorViewFrom(factor, h.now()),
		RequiredBy: groupLinks(access.TFARequiredBy), DeniedReset: deniedReset(actor, user, access),
		State: signinViewFrom(state, h.now()), Total: total, Others: total - ownSessions(actor, user.ID),
		DeniedEnd: deniedEnd(actor, user, access), EndAll: securityPath(user.ID) + "/end",
	}
	for _, session := range sessions {
		view.Sessions = append(view.Sessions, userSessionRowFrom(actor, user.ID, session, h.now()))
	}
	view.Range, view.Prev, view.Next = pagerOf(c.QueryParams(), securityPath(user.ID), at.Offset, at.Limit, len(sessions),
		total)
	return h.render(c, actor, http.StatusOK, "usersecurity", page{
		Title: "Security of a user", Nav: "users", View: view,
		API: h.apiCall(c, http.MethodGet, apiUserPath(user.ID)+"/sessions", c.QueryParams(), ""),
	})
}

// ownSessions is how many sessions of a user are the caller's, which "end all" leaves.
func ownSessions(actor identity.Actor, id int64) int64 {
	if actor.UserID == id && actor.SessionID != 0 {
		return 1
	}
	return 0
}

func signinViewFrom(state identity.SigninState, now time.Time) signinView {
	return signinView{
		WrongPasswords: triesText(state.WrongPasswords), WrongCodes: triesText(state.WrongCodes),
		Locked: momentOf(state.LockedUntil, now), LockedEverywhere: momentOf(state.LockedEverywhereUntil, now),
		IsLocked: !state.LockedUntil.IsZero(), Everywhere: !state.LockedEverywhereUntil.IsZero(),
	}
}

func triesText(n int) string {
	if n == 0 {
		return "none"
	}
	return number(int64(n))
}

func userSessionRowFrom(actor identity.Actor, userID int64, session identity.Session, now time.Time) userSessionRow {
	row := userSessionRow{
		Started: momentOf(session.CreatedAt, now), Used: momentOf(session.LastUsedAt, now),
		Ends: momentOf(session.ExpiresAt, now), Source: session.Source, Client: clientName(session.Client),
		Hidden: session.Source != "" && !actor.SeesUnmasked(userID),
		Mine:   actor.SessionID == session.ID && actor.UserID == userID,
	}
	if !row.Mine {
		row.EndHref = addressWith(nil, securityPath(userID)+"/end", identity.FieldSession, strconv.FormatInt(session.ID, 10))
	}
	return row
}

// deniedEnd returns why the caller cannot end the sessions of a user; "" if it can try.
func deniedEnd(actor identity.Actor, user identity.User, access identity.Access) string {
	if actor.Is(user.ID) {
		return ""
	}
	if reason := lacks(actor, identity.UsersUpdate); reason != "" {
		return reason
	}
	return deniedTouch(actor, user, access)
}

// deniedTouch returns why the caller cannot act on a user who holds more than the caller.
// An access that the caller may not know has nothing: then the service says it.
func deniedTouch(actor identity.Actor, user identity.User, access identity.Access) string {
	var held identity.Permissions
	for _, given := range access.Permissions {
		held |= identity.PermissionSet(given.Permission)
	}
	if actor.RequireCover(held, user.CanViewMaskedData) == nil {
		return ""
	}
	more := notHeld(actor, held)
	if more == "" {
		more = "seeing unmasked data"
	}
	return "This user holds what you do not hold yourself: " + more + ". A member of the group Administrators can do it."
}

// deniedReset returns why the caller cannot reset the second factor of a user.
func deniedReset(actor identity.Actor, user identity.User, access identity.Access) string {
	if reason := deniedEnd(actor, user, access); reason != "" {
		return reason
	}
	return lacksUnmasked(actor, user.ID)
}

// askUser shows the page that asks. It has the reason of a denial in the place of the button.
func (h *handlers) askUser(c echo.Context, actor identity.Actor, user identity.User, view confirmView,
	method, path string, err error,
) error {
	status := http.StatusOK
	if err != nil {
		var ok bool
		if view.Problems, ok = problemsOf(err); !ok {
			return err
		}
		status = statusOf(err)
	}
	view.Up = link{securityPath(user.ID), string(user.Name)}
	view.Person, view.Self = new(userRowFrom(actor, user, nil, h.now())), actor.Is(user.ID)
	return h.render(c, actor, status, "confirm", page{
		Title: view.Heading, Nav: "users", View: view, API: h.apiCall(c, method, path, nil, ""),
	})
}

// askFactor asks before the second factor is reset.
func (h *handlers) askFactor(c echo.Context, actor identity.Actor) error {
	user, err := h.userOf(c, actor)
	if err != nil {
		return err
	}
	return h.renderFactor(c, actor, user, nil)
}

func (h *handlers) renderFactor(c echo.Context, actor identity.Actor, user identity.User, problem error) error {
	access, _, err := h.accessOf(c.Request().Context(), actor, user.ID)
	if err != nil {
		return err
	}
	view := confirmView{
		Heading: "Reset the second factor?", Action: securityPath(user.ID) + "/factor", Button: "Reset the second factor",
		Denied: deniedReset(actor, user, access),
		Texts: []string{
			"The authenticator and the recovery codes of 1 user are deleted. If there are any, all other sessions of the " +
				"user end.",
			"A user who needs a second factor gets codes by mail from then on, until a new authenticator is set up. " +
				"Somebody who reads the mail of the user and has the password gets in then: ask the user in person first.",
		},
	}
	return h.askUser(c, actor, user, view, http.MethodDelete, apiUserPath(user.ID)+"/totp", problem)
}

func (h *handlers) resetFactor(c echo.Context, actor identity.Actor) error {
	user, err := h.userOf(c, actor)
	if err != nil {
		return err
	}
	if err := h.service.ResetTOTP(c.Request().Context(), actor, user.ID); err != nil {
		return h.renderFactor(c, actor, user, err)
	}
	return h.seeOther(c, securityPath(user.ID), "user_factor_reset")
}

// askEnd asks before one session ends (session=ID), or all.
func (h *handlers) askEnd(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	session := q.Int(identity.FieldSession, 1, math.MaxInt64, 0)
	if err := q.Err(); err != nil {
		return err
	}
	user, err := h.userOf(c, actor)
	if err != nil {
		return err
	}
	return h.renderEnd(c, actor, user, session, nil)
}

func (h *handlers) renderEnd(c echo.Context, actor identity.Actor, user identity.User, session int64, problem error,
) error {
	ctx := c.Request().Context()
	access, _, err := h.accessOf(ctx, actor, user.ID)
	if err != nil {
		return err
	}
	view := confirmView{Action: securityPath(user.ID) + "/end", Denied: deniedEnd(actor, user, access)}
	path := apiUserPath(user.ID) + "/sessions"
	if session != 0 {
		id := strconv.FormatInt(session, 10)
		view.Heading, view.Button = "End a session?", "End 1 session"
		view.Texts = []string{"1 session ends at once. The user has to sign in again there."}
		view.Fields = []field{{identity.FieldSession, id}}
		return h.askUser(c, actor, user, view, http.MethodDelete, path+"/"+id, problem)
	}
	_, total, err := h.service.Sessions(ctx, actor, user.ID, identity.Page{Limit: 1})
	if err != nil {
		return err
	}
	n := count(total-ownSessions(actor, user.ID), "session")
	view.Heading, view.Button = "End all sessions?", "End "+n
	view.Texts = []string{
		n + " of this user: the user is signed out there at once. Sign-ins that wait for a code end as well, and reset " +
			"links that were mailed before are void.",
	}
	if ownSessions(actor, user.ID) == 1 {
		view.Texts = append(view.Texts, "The session that you use now stays.")
	}
	return h.askUser(c, actor, user, view, http.MethodDelete, path, problem)
}

// endUserSessions ends one session, or all.
func (h *handlers) endUserSessions(c echo.Context, actor identity.Actor) error {
	user, err := h.userOf(c, actor)
	if err != nil {
		return err
	}
	values, err := form(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	if text := values.Get(identity.FieldSession); text != "" {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id < 1 {
			return errNoPage("There is no session with this number.")
		}
		if err := h.service.EndSession(ctx, actor, user.ID, id); err != nil {
			return h.renderEnd(c, actor, user, id, err)
		}
		return h.seeOther(c, securityPath(user.ID), "user_session_ended")
	}
	if err := h.service.EndSessions(ctx, actor, user.ID); err != nil {
		return h.renderEnd(c, actor, user, 0, err)
	}
	return h.seeOther(c, securityPath(user.ID), "user_sessions_ended")
}
