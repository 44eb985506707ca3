package backoffice

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
)

// deliveryBody is a message of the outbox without its content.
type deliveryBody struct {
	ID          int64            `json:"id"`
	Kind        delivery.Channel `json:"kind"`
	WebhookID   *int64           `json:"webhookId"`
	Topic       string           `json:"topic"`
	UserID      *int64           `json:"userId"`
	State       delivery.State   `json:"state"`
	Attempts    int              `json:"attempts"`
	StatusCode  *int             `json:"statusCode"`
	LastError   *string          `json:"lastError"`
	CreateTime  wireTime         `json:"createTime"`
	AttemptTime wireTime         `json:"attemptTime"`
	DueTime     wireTime         `json:"dueTime"`
	SettleTime  wireTime         `json:"settleTime"`
}

func deliveryFrom(m delivery.Message) deliveryBody {
	body := deliveryBody{
		ID: m.ID, Kind: m.To.Channel, WebhookID: orNull(m.To.WebhookID), Topic: m.Topic, UserID: orNull(m.UserID),
		State: m.State, Attempts: m.Attempts, StatusCode: orNull(m.Status), LastError: orNull(m.LastError),
		CreateTime: onWire(m.CreatedAt), AttemptTime: onWire(m.AttemptedAt), SettleTime: onWire(m.CompletedAt),
	}
	if m.State == delivery.Pending {
		body.DueTime = onWire(m.DueAt)
	}
	return body
}

// statesOf reads filter[state]. It returns all of the given states where the
// parameter is absent.
func statesOf(q *api.Query, states ...delivery.State) []delivery.State {
	if !q.Has("filter[state]") {
		return states
	}
	return []delivery.State{oneOf(q, "filter[state]", states...)}
}

func (h *handlers) listDeliveries(c echo.Context, actor identity.Actor) error {
	id, err := api.PathID(c, "webhookId")
	if err != nil {
		return err
	}
	q := api.NewQuery(c)
	page, states := pageOf(q), statesOf(q, delivery.Pending, delivery.Done, delivery.Dead)
	if err := q.Err(); err != nil {
		return err
	}
	messages, total, err := h.service.Deliveries(c.Request().Context(), actor, id, states, page)
	if err != nil {
		return err
	}
	return writePage(h, c, page, messages, total, deliveryFrom)
}

func (h *handlers) redeliver(c echo.Context, actor identity.Actor) error {
	webhookID, err := api.PathID(c, "webhookId")
	if err != nil {
		return err
	}
	id, err := api.PathID(c, "deliveryId")
	if err != nil {
		return err
	}
	message, err := h.service.Redeliver(c.Request().Context(), actor, webhookID, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, deliveryFrom(message))
}

// messageFilter reads the filters of the outbox but that of the state.
func messageFilter(q *api.Query) delivery.Filter {
	filter := delivery.Filter{UserID: q.Int("filter[user]", 1, maxInt64, 0)}
	if q.Has("filter[kind]") {
		filter.Channel = oneOf(q, "filter[kind]", delivery.ChannelMail, delivery.ChannelWebhook)
	}
	if id := q.Int("filter[webhook]", 1, maxInt64, 0); id != 0 {
		filter.To = delivery.ToWebhook(id)
	}
	return filter
}

// listOutbox lists messages: those that have not been delivered where no state is asked for.
func (h *handlers) listOutbox(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	page, filter := pageOf(q), messageFilter(q)
	filter.States = []delivery.State{delivery.Pending, delivery.Dead}
	if q.Has("filter[state]") {
		filter.States = []delivery.State{oneOf(q, "filter[state]", delivery.Pending, delivery.Dead, delivery.Done)}
	}
	if err := q.Err(); err != nil {
		return err
	}
	messages, total, err := h.service.Messages(c.Request().Context(), actor, filter, page)
	if err != nil {
		return err
	}
	return writePage(h, c, page, messages, total, deliveryFrom)
}

// messageCount is how many messages of a destination are in a state.
type messageCount struct {
	Kind      delivery.Channel `json:"kind"`
	WebhookID *int64           `json:"webhookId"`
	State     delivery.State   `json:"state"`
	Count     int64            `json:"count"`
	Oldest    wireTime         `json:"oldestCreateTime"`
}

func messageCountFrom(c delivery.Count) messageCount {
	return messageCount{
		Kind: c.To.Channel, WebhookID: orNull(c.To.WebhookID), State: c.State, Count: c.Count, Oldest: onWire(c.Oldest),
	}
}

func (h *handlers) countOutbox(c echo.Context, actor identity.Actor) error {
	if err := api.NewQuery(c).Err(); err != nil {
		return err
	}
	counts, err := h.service.MessageCounts(c.Request().Context(), actor)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, struct {
		Data []messageCount `json:"data"`
	}{dataFrom(counts, messageCountFrom)})
}

func (h *handlers) retryDead(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	filter := messageFilter(q)
	if err := q.Err(); err != nil {
		return err
	}
	count, err := h.service.RetryDead(c.Request().Context(), actor, filter)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, struct {
		Count int64 `json:"count"`
	}{count})
}

func (h *handlers) retryMessage(c echo.Context, actor identity.Actor) error {
	id, err := api.PathID(c, "messageId")
	if err != nil {
		return err
	}
	message, err := h.service.RetryMessage(c.Request().Context(), actor, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, deliveryFrom(message))
}
