package backoffice

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
)

// webhookBody is a webhook in an answer. Only the answers to creation, rotation and a
// move to another origin, which make a new secret, have Secret.
type webhookBody struct {
	ID         int64                  `json:"id"`
	URL        identity.WebhookURL    `json:"url"`
	Events     []identity.EventType   `json:"events"`
	Format     identity.WebhookFormat `json:"format"`
	Auth       identity.WebhookAuth   `json:"auth"`
	Active     bool                   `json:"active"`
	Secret     string                 `json:"secret,omitempty"`
	CreateTime wireTime               `json:"createTime"`
	UpdateTime wireTime               `json:"updateTime"`
	CreatedBy  *creatorBody           `json:"createdBy"`
	Version    int64                  `json:"version"`
}

func webhookFrom(w identity.Webhook) webhookBody {
	return webhookBody{
		ID: w.ID, URL: w.URL, Events: w.Events, Format: w.Format, Auth: w.Auth, Active: w.Active,
		CreateTime: onWire(w.CreatedAt), UpdateTime: onWire(w.UpdatedAt), CreatedBy: creatorFrom(w.CreatedBy),
		Version: w.Version,
	}
}

func withSecret(w identity.Webhook, secret string) webhookBody {
	body := webhookFrom(w)
	body.Secret = secret
	return body
}

// webhookEvent is an event that webhooks can subscribe to.
type webhookEvent identity.EventType

func (e *webhookEvent) UnmarshalText(text []byte) error {
	event, err := identity.ParseWebhookEvent(string(text))
	*e = webhookEvent(event)
	return err
}

type createWebhookRequest struct {
	URL    *identity.WebhookURL    `json:"url"    validate:"required"`
	Events *[]webhookEvent         `json:"events" validate:"required"`
	Format *identity.WebhookFormat `json:"format"`
	Auth   *identity.WebhookAuth   `json:"auth"`
	Active *bool                   `json:"active"`
	Token  *identity.WebhookToken  `json:"token"  null:"absent"`
}

type updateWebhookRequest struct {
	URL    *identity.WebhookURL    `json:"url"`
	Events *[]webhookEvent         `json:"events"`
	Format *identity.WebhookFormat `json:"format"`
	Auth   *identity.WebhookAuth   `json:"auth"`
	Active *bool                   `json:"active"`
	Token  *identity.WebhookToken  `json:"token"  null:"empty"`
}

func (r updateWebhookRequest) change() identity.WebhookChange {
	change := identity.WebhookChange{URL: r.URL, Format: r.Format, Auth: r.Auth, Active: r.Active, Token: r.Token}
	if r.Events != nil {
		events := make([]identity.EventType, len(*r.Events))
		for i, event := range *r.Events {
			events[i] = identity.EventType(event)
		}
		change.Events = &events
	}
	return change
}

func (h *handlers) listWebhooks(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	page, filter := pageOf(q), identity.WebhookFilter{}
	filter.CreatedBy.UserID, filter.CreatedBy.TokenID = userOrToken(q, "filter[createdBy]")
	if err := q.Err(); err != nil {
		return err
	}
	webhooks, total, err := h.service.Webhooks(c.Request().Context(), actor, filter, page)
	if err != nil {
		return err
	}
	return writePage(h, c, page, webhooks, total, webhookFrom)
}

func (h *handlers) getWebhook(c echo.Context, actor identity.Actor) error {
	id, err := api.PathID(c, "webhookId")
	if err != nil {
		return err
	}
	webhook, err := h.service.Webhook(c.Request().Context(), actor, id)
	if err != nil {
		return err
	}
	return writeWebhook(c, webhook, "")
}

// writeWebhook answers with a webhook and its secret, which may be empty.
func writeWebhook(c echo.Context, webhook identity.Webhook, secret string) error {
	setVersion(c, webhook.Version)
	return c.JSON(http.StatusOK, withSecret(webhook, secret))
}

func (h *handlers) createWebhook(c echo.Context, actor identity.Actor) error {
	request, err := api.Bind[createWebhookRequest](c)
	if err != nil {
		return err
	}
	webhook, secret, err := h.service.CreateWebhook(c.Request().Context(), actor, updateWebhookRequest(request).change())
	if err != nil {
		return err
	}
	setVersion(c, webhook.Version)
	address := h.link(c, Prefix+"/webhooks/"+strconv.FormatInt(webhook.ID, 10))
	return created(c, address, withSecret(webhook, secret))
}

func (h *handlers) updateWebhook(c echo.Context, actor identity.Actor) error {
	id, err := api.PathID(c, "webhookId")
	if err != nil {
		return err
	}
	request, err := api.Bind[updateWebhookRequest](c)
	if err != nil {
		return err
	}
	match, err := versionMatch(c)
	if err != nil {
		return err
	}
	webhook, secret, err := h.service.UpdateWebhook(c.Request().Context(), actor, id, request.change(), match)
	if err != nil {
		return err
	}
	return writeWebhook(c, webhook, secret)
}

func (h *handlers) rotateWebhook(c echo.Context, actor identity.Actor) error {
	id, err := api.PathID(c, "webhookId")
	if err != nil {
		return err
	}
	match, err := versionMatch(c)
	if err != nil {
		return err
	}
	webhook, secret, err := h.service.RotateWebhook(c.Request().Context(), actor, id, match)
	if err != nil {
		return err
	}
	return writeWebhook(c, webhook, secret)
}

func (h *handlers) deleteWebhook(c echo.Context, actor identity.Actor) error {
	id, err := api.PathID(c, "webhookId")
	if err != nil {
		return err
	}
	match, err := versionMatch(c)
	if err != nil {
		return err
	}
	if err := h.service.DeleteWebhook(c.Request().Context(), actor, id, match); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (h *handlers) testWebhook(c echo.Context, actor identity.Actor) error {
	id, err := api.PathID(c, "webhookId")
	if err != nil {
		return err
	}
	message, err := h.service.TestWebhook(c.Request().Context(), actor, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, deliveryFrom(message))
}

// renderWebhook returns the body of a message in the webhook format v2.
func renderWebhook(m delivery.WebhookMessage) ([]byte, error) {
	body := struct {
		ID          int64              `json:"id"`
		Type        identity.EventType `json:"type"`
		Time        wireTime           `json:"time"`
		User        *userBody          `json:"user"` // null for a ping
		Connections json.RawMessage    `json:"connections,omitempty"`
	}{ID: m.ID, Type: m.Type, Time: onWire(m.Time), Connections: m.Connections}
	if m.User.ID != 0 {
		user := userFrom(m.User)
		body.User = &user
	}
	return json.Marshal(body)
}
