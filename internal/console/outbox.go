package console

import (
	"math"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
)

// retryTimeout bounds an action on all messages, which works in parts.
const retryTimeout = time.Minute

func (h *handlers) outboxRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/outbox", Handler: h.listOutbox},
		{Method: http.MethodGet, Path: "/outbox/retry", Handler: h.confirmRetry},
		{Method: http.MethodPost, Path: "/outbox/retry", Handler: h.retryAll, Timeout: retryTimeout},
		{Method: http.MethodPost, Path: "/outbox/:messageId/retry", Handler: h.retryOne},
	}
}

const outboxPath = Prefix + "/outbox"

// outboxView is a page of the messages that are to be sent, or were.
type outboxView struct {
	Tabs     []stateTab
	Filter   outboxFilter
	Rows     []messageRow
	Back     string // where an action on a row leads
	OfOne    bool
	RetryAll string // the page that asks; "" if nothing was given up
	Range    string
	Prev     string
	Next     string
}

type outboxFilter struct{ State, Kind, Webhook, User string }

// outboxFilterOf reads the filters of the list, which are those of the Back Office API.
func outboxFilterOf(q *api.Query) delivery.Filter {
	filter := delivery.Filter{UserID: q.Int("filter[user]", 1, math.MaxInt64, 0)}
	if q.Has("filter[kind]") {
		filter.Channel = delivery.Channel(q.OneOf("filter[kind]", string(delivery.ChannelMail),
			string(delivery.ChannelWebhook)))
	}
	if id := q.Int("filter[webhook]", 1, math.MaxInt64, 0); id != 0 {
		filter.To = delivery.ToWebhook(id)
	}
	return filter
}

// statesOf reads the choice of the states, which is one of them or all of these.
func statesOf(q *api.Query, all ...delivery.State) []delivery.State {
	if !q.Has("filter[state]") {
		return all
	}
	return []delivery.State{delivery.State(q.OneOf("filter[state]", string(delivery.Pending), string(delivery.Dead),
		string(delivery.Done)))}
}

func (h *handlers) listOutbox(c echo.Context, actor identity.Actor) error {
	if dropEmpty(c) {
		return toCleanAddress(c)
	}
	q := api.NewQuery(c)
	filter, at := outboxFilterOf(q), pageIn(q)
	filter.States = statesOf(q, delivery.Pending, delivery.Dead)
	if err := q.Err(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	messages, total, err := h.service.Messages(ctx, actor, filter, at)
	if err != nil {
		return err
	}
	counts, err := h.outboxCounts(c, actor, filter)
	if err != nil {
		return err
	}
	values := c.QueryParams()
	view := outboxView{
		Tabs: stateTabs(counts, values, outboxPath, h.now()),
		Filter: outboxFilter{
			values.Get("filter[state]"), values.Get("filter[kind]"), values.Get("filter[webhook]"), values.Get("filter[user]"),
		},
		Rows: messageRowsFrom(messages, h.messageNames(ctx, actor, messages), outboxPath+"/%d/retry", h.now()),
		Back: c.Request().URL.RequestURI(),
	}
	if hasDead := slices.ContainsFunc(counts, func(c delivery.Count) bool {
		return c.State == delivery.Dead
	}); hasDead {
		view.RetryAll = addressWith(values, outboxPath+"/retry", "filter[state]", "", "offset", "", "limit", "")
	}
	view.Range, view.Prev, view.Next = pagerOf(values, outboxPath, at.Offset, at.Limit, len(messages), total)
	return h.render(c, actor, http.StatusOK, "outbox", page{
		Title: "Outbox", Nav: "outbox", View: view, API: h.apiCall(c, http.MethodGet, "/api/v2/outbox", values, ""),
	})
}

// outboxCounts returns how many messages match a filter, in each state that has any.
func (h *handlers) outboxCounts(c echo.Context, actor identity.Actor, f delivery.Filter) ([]delivery.Count, error) {
	ctx := c.Request().Context()
	if f.UserID == 0 {
		counts, err := h.service.MessageCounts(ctx, actor)
		return countsOf(counts, f), err
	}
	var counts []delivery.Count
	for _, state := range []delivery.State{delivery.Pending, delivery.Dead, delivery.Done} {
		f.States = []delivery.State{state}
		_, total, err := h.service.Messages(ctx, actor, f, identity.Page{Limit: 1})
		if err != nil {
			return nil, err
		}
		if total > 0 {
			counts = append(counts, delivery.Count{State: state, Count: total})
		}
	}
	return counts, nil
}

// countsOf returns the counts of what a filter selects by its channel and destination.
func countsOf(counts []delivery.Count, f delivery.Filter) []delivery.Count {
	return slices.DeleteFunc(slices.Clone(counts), func(c delivery.Count) bool {
		return f.Channel != "" && c.To.Channel != f.Channel || f.To != (delivery.Destination{}) && c.To != f.To
	})
}

// retryOne sends one message again.
func (h *handlers) retryOne(c echo.Context, actor identity.Actor) error {
	id, err := idOf(c, "messageId", "message")
	if err != nil {
		return err
	}
	values, err := form(c)
	if err != nil {
		return err
	}
	if _, err := h.service.RetryMessage(c.Request().Context(), actor, id); err != nil {
		return err
	}
	return h.seeOther(c, backIn(values, outboxPath), "message_retried")
}

// backIn returns the page that a form comes from, which is one of ours.
func backIn(values url.Values, otherwise string) string {
	if path := ownPath(values.Get("back")); path != Prefix {
		return path
	}
	return otherwise
}

// retryView asks whether all messages are sent again that were given up.
type retryView struct {
	Action string
	Cancel string
	Count  int64
	What   string // "messages", or "deliveries of the webhook hooks.example.com"
}

// retryFilter reads which messages an action on all is about.
func retryFilter(c echo.Context) (delivery.Filter, error) {
	dropEmpty(c)
	q := api.NewQuery(c)
	filter := outboxFilterOf(q)
	return filter, q.Err()
}

func (h *handlers) confirmRetry(c echo.Context, actor identity.Actor) error {
	filter, err := retryFilter(c)
	if err != nil {
		return err
	}
	total, err := h.countDead(c, actor, filter)
	if err != nil {
		return err
	}
	return h.render(c, actor, http.StatusOK, "retry", page{
		Title: "Send again", Nav: "outbox", API: h.apiCall(c, http.MethodPost, "/api/v2/outbox/retry", c.QueryParams(), ""),
		View: retryView{
			Action: c.Request().URL.RequestURI(), Cancel: addressWith(c.QueryParams(), outboxPath), Count: total,
			What: "message",
		},
	})
}

func (h *handlers) countDead(c echo.Context, actor identity.Actor, filter delivery.Filter) (int64, error) {
	filter.States = []delivery.State{delivery.Dead}
	_, total, err := h.service.Messages(c.Request().Context(), actor, filter, identity.Page{Limit: 1})
	return total, err
}

func (h *handlers) retryAll(c echo.Context, actor identity.Actor) error {
	filter, err := retryFilter(c)
	if err != nil {
		return err
	}
	return h.retryDead(c, actor, filter, addressWith(c.QueryParams(), outboxPath))
}

// retryDead sends again what was given up, and shows a page.
func (h *handlers) retryDead(c echo.Context, actor identity.Actor, filter delivery.Filter, next string) error {
	n, err := h.service.RetryDead(c.Request().Context(), actor, filter)
	switch {
	case err != nil:
		return err
	case n == 0:
		return h.seeOther(c, next, "nothing_retried")
	}
	return h.seeOther(c, next, "dead_retried")
}
