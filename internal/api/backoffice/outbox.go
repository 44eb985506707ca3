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
		CreateTime: wireTime(m.CreatedAt), AttemptTime: wireTime(m.AttemptedAt), SettleTime: wireTime(m.CompletedAt),
	}
	if m.State == delivery.Pending {
		body.DueTime = wireTime(m.DueAt)
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

// listOutbox lists the messages that have not been delivered. The delivered ones
// are in the webhooks' logs.
func (h *handlers) listOutbox(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	page, states := pageOf(q), statesOf(q, delivery.Pending, delivery.Dead)
	if err := q.Err(); err != nil {
		return err
	}
	messages, total, err := h.service.Messages(c.Request().Context(), actor, delivery.Filter{States: states}, page)
	if err != nil {
		return err
	}
	return writePage(h, c, page, messages, total, deliveryFrom)
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
