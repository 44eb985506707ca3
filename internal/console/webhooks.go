package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
)

func (h *handlers) webhookRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/webhooks", Handler: h.listWebhooks},
		{Method: http.MethodGet, Path: "/webhooks/new", Handler: h.newWebhook},
		{Method: http.MethodPost, Path: "/webhooks/new", Handler: h.createWebhook},
		{Method: http.MethodGet, Path: "/webhooks/:webhookId", Handler: h.showWebhook},
		{Method: http.MethodGet, Path: "/webhooks/:webhookId/edit", Handler: h.editWebhook},
		{Method: http.MethodPost, Path: "/webhooks/:webhookId/edit", Handler: h.updateWebhook},
		{Method: http.MethodGet, Path: "/webhooks/:webhookId/rotate", Handler: h.confirmRotation},
		{Method: http.MethodPost, Path: "/webhooks/:webhookId/rotate", Handler: h.rotateWebhook},
		{Method: http.MethodGet, Path: "/webhooks/:webhookId/delete", Handler: h.confirmWebhookDeletion},
		{Method: http.MethodPost, Path: "/webhooks/:webhookId/delete", Handler: h.deleteWebhook},
		{Method: http.MethodPost, Path: "/webhooks/:webhookId/test", Handler: h.testWebhook},
		{Method: http.MethodGet, Path: "/webhooks/:webhookId/redeliver", Handler: h.confirmRedelivery},
		{Method: http.MethodPost, Path: "/webhooks/:webhookId/redeliver", Handler: h.redeliverAll, Timeout: retryTimeout},
		{Method: http.MethodPost, Path: "/webhooks/:webhookId/deliveries/:deliveryId/redeliver", Handler: h.redeliverOne},
	}
}

const webhooksPath = Prefix + "/webhooks"

// webhooksView is the list of webhooks.
type webhooksView struct {
	Rows  []webhookRow
	Total int64
	Range string
	Prev  string
	Next  string
}

// webhookRow is one webhook as pages show it.
type webhookRow struct {
	ID      int64
	Href    string
	Host    string
	URL     string
	Events  []identity.EventType
	Format  string
	Auth    string
	Active  bool
	Version int64
	Waiting int64
	Dead    int64
	Done    int64
	Created moment
	Changed moment
}

// The ways of a webhook as pages call them.
var (
	authWords = map[identity.WebhookAuth]string{
		identity.WebhookAuthStandard:    "Signed (Standard Webhooks)",
		identity.WebhookAuthBISignature: "Signed (BI-Signature)",
		identity.WebhookAuthBearer:      "A fixed token",
		identity.WebhookAuthNone:        "None",
	}
	formatWords = map[identity.WebhookFormat]string{
		identity.WebhookFormatPowens: "Powens: masked data",
		identity.WebhookFormatV2:     "v2: the whole user",
	}
)

func (h *handlers) listWebhooks(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	at := pageIn(q)
	if err := q.Err(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	webhooks, total, err := h.service.Webhooks(ctx, actor, identity.WebhookFilter{}, at)
	if err != nil {
		return err
	}
	counts, err := h.service.MessageCounts(ctx, actor)
	if err != nil {
		return err
	}
	view := webhooksView{Total: total}
	for _, w := range webhooks {
		view.Rows = append(view.Rows, webhookRowFrom(w, counts, h.now()))
	}
	values := c.QueryParams()
	view.Range, view.Prev, view.Next = pagerOf(values, webhooksPath, at.Offset, at.Limit, len(webhooks), total)
	return h.render(c, actor, http.StatusOK, "webhooks", page{
		Title: "Webhooks", Nav: "webhooks", View: view, API: h.apiCall(c, http.MethodGet, "/api/v2/webhooks", values, ""),
	})
}

func webhookRowFrom(w identity.Webhook, counts []delivery.Count, now time.Time) webhookRow {
	row := webhookRow{
		ID: w.ID, Href: placeOf("webhooks", w.ID), Host: webhookHost(w.URL), URL: string(w.URL), Events: w.Events,
		Format: formatWords[w.Format], Auth: authWords[w.Auth], Active: w.Active, Version: w.Version,
		Created: momentOf(w.CreatedAt, now), Changed: momentOf(w.UpdatedAt, now),
	}
	for _, c := range counts {
		if c.To != delivery.ToWebhook(w.ID) {
			continue
		}
		switch c.State {
		case delivery.Pending:
			row.Waiting = c.Count
		case delivery.Dead:
			row.Dead = c.Count
		case delivery.Done:
			row.Done = c.Count
		}
	}
	return row
}

// webhookView is the page of one webhook.
type webhookView struct {
	Row       webhookRow
	LastError string // the latest of what has not arrived; "" for none
	LastTried moment
	Lacks     string // why the caller may not change the webhook; "" if it may
	Tabs      []stateTab
	Rows      []messageRow
	Back      string
	OfOne     bool // all deliveries are for one receiver
	Range     string
	Prev      string
	Next      string
}

func (h *handlers) showWebhook(c echo.Context, actor identity.Actor) error {
	webhook, err := h.webhookOf(c, actor)
	if err != nil {
		return err
	}
	q := api.NewQuery(c)
	at, states := pageIn(q), statesOf(q)
	if err := q.Err(); err != nil {
		return err
	}
	ctx, path := c.Request().Context(), placeOf("webhooks", webhook.ID)
	messages, total, err := h.service.Deliveries(ctx, actor, webhook.ID, states, at)
	if err != nil {
		return err
	}
	counts, err := h.service.MessageCounts(ctx, actor)
	if err != nil {
		return err
	}
	missed, _, err := h.service.Deliveries(ctx, actor, webhook.ID, []delivery.State{delivery.Pending, delivery.Dead},
		identity.Page{Limit: defaultRows})
	if err != nil {
		return err
	}
	counts = countsOf(counts, delivery.Filter{To: delivery.ToWebhook(webhook.ID)})
	values := c.QueryParams()
	view := webhookView{
		Row: webhookRowFrom(webhook, counts, h.now()), Lacks: lacksForWebhook(actor, webhook),
		Tabs: stateTabs(counts, values, path, h.now()), Back: c.Request().URL.RequestURI(), OfOne: true,
		Rows: messageRowsFrom(messages, h.messageNames(ctx, actor, messages), path+"/deliveries/%d/redeliver", h.now()),
	}
	if last := lastFailure(missed); last.LastError != "" {
		view.LastError, view.LastTried = last.LastError, momentOf(last.AttemptedAt, h.now())
	}
	view.Range, view.Prev, view.Next = pagerOf(values, path, at.Offset, at.Limit, len(messages), total)
	return h.render(c, actor, http.StatusOK, "webhook", page{
		Title: "Webhook " + strconv.FormatInt(webhook.ID, 10), Nav: "webhooks", View: view,
		API: h.apiCall(c, http.MethodGet, webhookAPI(webhook.ID)+"/deliveries", values, ""),
	})
}

// lastFailure returns the message that has failed last; the zero message for none.
func lastFailure(messages []delivery.Message) delivery.Message {
	var last delivery.Message
	for _, m := range messages {
		if m.LastError != "" && !m.AttemptedAt.Before(last.AttemptedAt) {
			last = m
		}
	}
	return last
}

func webhookAPI(id int64) string { return "/api/v2/webhooks/" + strconv.FormatInt(id, 10) }

// webhookOf returns the webhook that the path names.
func (h *handlers) webhookOf(c echo.Context, actor identity.Actor) (identity.Webhook, error) {
	id, err := idOf(c, "webhookId", "webhook")
	if err != nil {
		return identity.Webhook{}, err
	}
	return h.service.Webhook(c.Request().Context(), actor, id)
}

// lacksForWebhook returns why the caller may not change a webhook, which tells its receiver
// more than the caller may read; "" if it may.
func lacksForWebhook(actor identity.Actor, webhook identity.Webhook) string {
	permissions, unmasked := webhook.Reads()
	if actor.RequireCover(permissions, unmasked) == nil {
		return ""
	}
	return "The receiver of this webhook is told more than you may see. " +
		"A member of the group Administrators can change it, or give you what is missing."
}

// renderSecret shows the secret of a webhook. No other page can show it again.
func (h *handlers) renderSecret(c echo.Context, actor identity.Actor, webhook identity.Webhook, view secretView) error {
	view.Name, view.Next = webhookHost(webhook.URL), placeOf("webhooks", webhook.ID)
	return h.render(c, actor, http.StatusOK, "secret", page{Title: view.Heading, Nav: "webhooks", View: view})
}

// askWebhook asks before a webhook is changed in a way that cannot be undone.
func (h *handlers) askWebhook(c echo.Context, actor identity.Actor, webhook identity.Webhook, view confirmView,
	call *apiCall,
) error {
	view.Up, view.Denied = link{placeOf("webhooks", webhook.ID), webhookHost(webhook.URL)}, lacksForWebhook(actor, webhook)
	view.Fields = []field{{"version", strconv.FormatInt(webhook.Version, 10)}}
	return h.render(c, actor, http.StatusOK, "confirm", page{
		Title: view.Button, Nav: "webhooks", View: view, API: call,
	})
}

func (h *handlers) confirmRotation(c echo.Context, actor identity.Actor) error {
	webhook, err := h.webhookOf(c, actor)
	if err != nil {
		return err
	}
	return h.askWebhook(c, actor, webhook, confirmView{
		Heading: "Replace the secret?", Action: placeOf("webhooks", webhook.ID) + "/rotate", Button: "Replace the secret",
		Texts: []string{"The webhook gets a new secret. It is shown once. The old one signs as well for 24 hours, so that " +
			"the receiver can change over."},
	}, h.apiCall(c, http.MethodPost, webhookAPI(webhook.ID)+"/rotate", nil, ""))
}

func (h *handlers) confirmWebhookDeletion(c echo.Context, actor identity.Actor) error {
	webhook, err := h.webhookOf(c, actor)
	if err != nil {
		return err
	}
	counts, err := h.service.MessageCounts(c.Request().Context(), actor)
	if err != nil {
		return err
	}
	row := webhookRowFrom(webhook, counts, h.now())
	return h.askWebhook(c, actor, webhook, confirmView{
		Heading: "Delete the webhook?", Action: row.Href + "/delete", Button: "Delete the webhook",
		Texts: []string{fmt.Sprintf("The receiver is told nothing more. This also deletes %s that wait, %s that were given "+
			"up and the record of %s that were delivered. It cannot be undone.", count(row.Waiting, "message"),
			number(row.Dead), number(row.Done))},
	}, h.apiCall(c, http.MethodDelete, webhookAPI(webhook.ID), nil, ""))
}

// rotateWebhook replaces the secret. The version in the form makes a form that is sent twice
// replace it once.
func (h *handlers) rotateWebhook(c echo.Context, actor identity.Actor) error {
	id, values, err := h.webhookForm(c)
	if err != nil {
		return err
	}
	webhook, secret, err := h.service.RotateWebhook(c.Request().Context(), actor, id, versionIn(values))
	if err != nil {
		return err
	}
	return h.renderSecret(c, actor, webhook, secretView{
		Heading: "The new secret", Secret: secret,
		Text: "The old secret signs as well for 24 hours. Until then, give the receiver the new one.",
	})
}

func (h *handlers) deleteWebhook(c echo.Context, actor identity.Actor) error {
	id, values, err := h.webhookForm(c)
	if err != nil {
		return err
	}
	if err := h.service.DeleteWebhook(c.Request().Context(), actor, id, versionIn(values)); err != nil {
		return err
	}
	return h.seeOther(c, webhooksPath, "webhook_deleted")
}

// webhookForm reads a form about the webhook that the path names.
func (h *handlers) webhookForm(c echo.Context) (int64, url.Values, error) {
	id, err := idOf(c, "webhookId", "webhook")
	if err != nil {
		return 0, nil, err
	}
	values, err := form(c)
	return id, values, err
}

func (h *handlers) testWebhook(c echo.Context, actor identity.Actor) error {
	id, err := idOf(c, "webhookId", "webhook")
	if err != nil {
		return err
	}
	if _, err := h.service.TestWebhook(c.Request().Context(), actor, id); err != nil {
		return err
	}
	return h.seeOther(c, placeOf("webhooks", id), "webhook_tested")
}

func (h *handlers) redeliverOne(c echo.Context, actor identity.Actor) error {
	id, values, err := h.webhookForm(c)
	if err != nil {
		return err
	}
	message, err := idOf(c, "deliveryId", "delivery")
	if err != nil {
		return err
	}
	if _, err := h.service.Redeliver(c.Request().Context(), actor, id, message); err != nil {
		return err
	}
	return h.seeOther(c, backIn(values, placeOf("webhooks", id)), "message_retried")
}

func (h *handlers) confirmRedelivery(c echo.Context, actor identity.Actor) error {
	webhook, err := h.webhookOf(c, actor)
	if err != nil {
		return err
	}
	total, err := h.countDead(c, actor, delivery.Filter{To: delivery.ToWebhook(webhook.ID)})
	if err != nil {
		return err
	}
	query := url.Values{"filter[webhook]": {strconv.FormatInt(webhook.ID, 10)}}
	return h.render(c, actor, http.StatusOK, "retry", page{
		Title: "Send again", Nav: "webhooks", API: h.apiCall(c, http.MethodPost, "/api/v2/outbox/retry", query, ""),
		View: retryView{
			Action: placeOf("webhooks", webhook.ID) + "/redeliver", Cancel: placeOf("webhooks", webhook.ID), Count: total,
			What: "message",
		},
	})
}

func (h *handlers) redeliverAll(c echo.Context, actor identity.Actor) error {
	webhook, err := h.webhookOf(c, actor)
	if err != nil {
		return err
	}
	return h.retryDead(c, actor, delivery.Filter{To: delivery.ToWebhook(webhook.ID)}, placeOf("webhooks", webhook.ID))
}

// errSameWebhook refuses a form that is sent twice.
func errSameWebhook(id int64) error {
	return identity.Errorf(identity.Conflict, "webhook_exists",
		"Webhook %d with this URL was created while you had the form open. Begin again if you want another one.", id)
}

// newestWith returns the newest webhook with a URL, 0 for none. There are few webhooks.
func (h *handlers) newestWith(c echo.Context, actor identity.Actor, address identity.WebhookURL) (int64, error) {
	webhooks, _, err := h.service.Webhooks(c.Request().Context(), actor, identity.WebhookFilter{},
		identity.Page{Limit: identity.MaxPageSize})
	var newest int64
	for _, w := range webhooks {
		if w.URL == address {
			newest = max(newest, w.ID)
		}
	}
	return newest, err
}

// knownEvents returns the events of a form in their order, without those that do not exist.
func knownEvents(names []string) []identity.EventType {
	return slices.DeleteFunc(slices.Clone(identity.WebhookEvents), func(e identity.EventType) bool {
		return !slices.Contains(names, string(e))
	})
}
