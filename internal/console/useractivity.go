package console

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

func (h *handlers) userActivityRoutes() []api.Route {
	return []api.Route{{Method: http.MethodGet, Path: "/users/:userId/activity", Handler: h.showUserActivity}}
}

// userActivityView is what was done to a user.
type userActivityView struct {
	Head   userHead
	Denied string
	Rows   []eventRow
	Range  string
	Prev   string // the first page
	Next   string // older events
	All    string // the same events in the list of all, which has filters
	By     string // what the user has done
}

func activityOf(name string, id int64) string {
	return addressWith(nil, Prefix+"/activity", name, strconv.FormatInt(id, 10))
}

func (h *handlers) showUserActivity(c echo.Context, actor identity.Actor) error {
	user, err := h.userOf(c, actor)
	if err != nil {
		return err
	}
	q := api.NewQuery(c)
	query := identity.EventQuery{
		Filter: identity.EventFilter{UserID: user.ID}, Limit: int(q.Int("limit", 1, maxRows, defaultRows)),
	}
	query.After = cursorIn(q, query.Filter)
	if err := q.Err(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	view := userActivityView{Head: userHeadFrom(actor, user, "activity", h.groupNames(ctx, actor), h.now())}
	events, err := h.service.Events(ctx, actor, query)
	if view.Denied, err = deniedBy(err); err != nil {
		return err
	}
	if view.Denied == "" {
		view.Rows = eventRowsFrom(events.Events, h.eventNames(ctx, actor, events.Events), h.now())
		view.Range, view.Prev, view.Next = eventPager(events, query, c.QueryParams(), userPath(user.ID)+"/activity")
		view.All, view.By = activityOf("filter[user]", user.ID), activityOf("filter[actor]", user.ID)
	}
	parameters := url.Values{"filter[user]": {strconv.FormatInt(user.ID, 10)}}
	for name, list := range c.QueryParams() {
		parameters[name] = list
	}
	return h.render(c, actor, http.StatusOK, "useractivity", page{
		Title: "Activity of a user", Nav: "users", View: view,
		API: h.apiCall(c, http.MethodGet, "/api/v2/events", parameters, ""),
	})
}
