package console

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
)

// Bounds of a page of sessions.
const (
	sessionsPerPage  = 20
	maxSessionOffset = 1 << 30
)

// sessionsView is a page of the sessions of the operator.
type sessionsView struct {
	Rows   []sessionRow
	Total  int64
	Others int64 // without this one
	Range  string
	Prev   string
	Next   string
}

// sessionRow is one session.
type sessionRow struct {
	ID      int64
	Client  string
	Source  string
	Began   moment
	Used    moment
	Current bool
}

func sessionsViewFrom(actor identity.Actor, sessions []identity.Session, total int64, shown identity.Page,
	now time.Time,
) sessionsView {
	view := sessionsView{Total: total, Others: max(total-1, 0)}
	for _, s := range sessions {
		row := sessionRow{
			ID: s.ID, Client: clientName(s.Client), Source: s.Source, Began: momentOf(s.CreatedAt, now),
			Used: momentOf(s.LastUsedAt, now), Current: s.ID == actor.SessionID,
		}
		if row.Source == "" {
			row.Source = "unknown"
		}
		view.Rows = append(view.Rows, row)
	}
	values := url.Values{}
	if shown.Offset > 0 {
		values.Set("offset", offsetText(shown.Offset))
	}
	view.Range, view.Prev, view.Next = pagerOf(values, mePath, shown.Offset, shown.Limit, len(sessions), total)
	return view
}

// Names of browsers and systems, by a word in User-Agent. The first that is found counts:
// browsers name the ones that they are like as well.
var (
	browserNames = [][2]string{
		{"Edg", "Edge"},
		{"OPR/", "Opera"},
		{"SamsungBrowser", "Samsung Internet"},
		{"Firefox", "Firefox"},
		{"FxiOS", "Firefox"},
		{"CriOS", "Chrome"},
		{"Chrome", "Chrome"},
		{"Safari", "Safari"},
	}
	systemNames = [][2]string{
		{"Android", "Android"},
		{"iPhone", "iPhone"},
		{"iPad", "iPad"},
		{"Windows", "Windows"},
		{"Mac OS X", "macOS"},
		{"CrOS", "ChromeOS"},
		{"Linux", "Linux"},
	}
)

// clientName returns the name of a client as people know it, such as "Firefox on Linux", or
// what the client says of itself.
func clientName(userAgent string) string {
	name, system := productIn(userAgent, browserNames), productIn(userAgent, systemNames)
	switch {
	case userAgent == "":
		return "Unknown client"
	case name == "" || !strings.HasPrefix(userAgent, "Mozilla/"):
		return userAgent
	case system == "":
		return name
	}
	return name + " on " + system
}

func productIn(userAgent string, names [][2]string) string {
	for _, name := range names {
		if strings.Contains(userAgent, name[0]) {
			return name[1]
		}
	}
	return ""
}

// endSession ends another session of the operator.
func (h *handlers) endSession(c echo.Context, actor identity.Actor) error {
	id, err := idOf(c, "sessionId", "session")
	if err != nil {
		return err
	}
	if id == actor.SessionID {
		return h.signOut(c, actor)
	}
	if err := h.service.EndSession(c.Request().Context(), actor, actor.UserID, id); err != nil {
		return err
	}
	return h.seeOther(c, mePath, "session_ended")
}

// askEndSessions says how many sessions will end.
func (h *handlers) askEndSessions(c echo.Context, actor identity.Actor) error {
	_, total, err := h.service.Sessions(c.Request().Context(), actor, actor.UserID, identity.Page{Limit: 1})
	if err != nil {
		return err
	}
	others := count(max(total-1, 0), "other session")
	return h.render(c, actor, http.StatusOK, "confirm", page{
		Title: "End sessions", Nav: "me", View: confirmView{
			Heading: "End all your other sessions?", Up: link{mePath, "Me"}, Action: mePath + "/sessions/end",
			Texts: []string{"This ends " + others + ". Sign-ins that wait for a code and links to choose a new password end " +
				"as well. This session stays."},
			Button: "End " + others,
		},
		API: h.apiCall(c, http.MethodDelete, "/api/v2/users/me/sessions", nil, ""),
	})
}

func (h *handlers) endSessions(c echo.Context, actor identity.Actor) error {
	if err := h.service.EndSessions(c.Request().Context(), actor, actor.UserID); err != nil {
		return err
	}
	return h.seeOther(c, mePath, "sessions_ended")
}
