package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Webhook is an address that events are posted to.
type Webhook struct {
	ID         int64     `json:"id"`
	URL        string    `json:"url"`
	Events     []string  `json:"events"`
	Format     string    `json:"format"`
	Auth       string    `json:"auth"`
	Active     bool      `json:"active"`
	CreateTime time.Time `json:"createTime"`
	UpdateTime time.Time `json:"updateTime"` // zero before the first change
	CreatedBy  Creator   `json:"createdBy"`
	Version    int64     `json:"version"` // for IfVersion
	// Secret signs the posts. It is in the answers to Create and Rotate, and to an Update that moves the webhook to
	// another scheme, host or port.
	Secret string `json:"secret,omitempty"`
}

// WebhookCreate is a new webhook. URL and Events must be given.
type WebhookCreate struct {
	URL    string   `json:"url"`
	Events []string `json:"events"`
	Format string   `json:"format,omitempty"` // powens, which "" is too, or v2
	Auth   string   `json:"auth,omitempty"`   // standard, which "" is too, bi_signature, bearer or none
	Active *bool    `json:"active,omitempty"` // nil for true
	Token  string   `json:"token,omitempty"`  // for the Auth bearer
}

// WebhookUpdate is a change of a webhook. What is nil stays as it is.
type WebhookUpdate struct {
	URL    *string   `json:"url,omitempty"`
	Events *[]string `json:"events,omitempty"`
	Format *string   `json:"format,omitempty"`
	Auth   *string   `json:"auth,omitempty"`
	Active *bool     `json:"active,omitempty"`
	Token  *string   `json:"token,omitempty"` // new("") takes it away
}

// MarshalJSON returns the change as the API wants it, with null for an empty token.
func (w WebhookUpdate) MarshalJSON() ([]byte, error) {
	type fields WebhookUpdate
	return json.Marshal(struct {
		fields

		Token *emptyIsNull `json:"token,omitempty"`
	}{fields(w), (*emptyIsNull)(w.Token)})
}

// Delivery is a mail or a post that is on its way, has arrived, or was given up.
type Delivery struct {
	ID          int64     `json:"id"`
	Kind        string    `json:"kind"`      // mail or webhook
	WebhookID   int64     `json:"webhookId"` // 0 for a mail
	Topic       string    `json:"topic"`     // the type of the event, PING, or the kind of mail
	UserID      int64     `json:"userId"`    // 0 for none
	State       string    `json:"state"`     // pending, done or dead
	Attempts    int       `json:"attempts"`
	StatusCode  int       `json:"statusCode"` // of the last answer; 0 for none
	LastError   string    `json:"lastError"`
	CreateTime  time.Time `json:"createTime"`
	AttemptTime time.Time `json:"attemptTime"` // zero before the first attempt
	DueTime     time.Time `json:"dueTime"`     // zero once it is settled
	SettleTime  time.Time `json:"settleTime"`  // zero until it is
}

// DeliveryList says which deliveries are listed.
type DeliveryList struct {
	State string // pending, done or dead; "" for all, in the outbox for pending and dead
	Size  int    // how many are asked for at once, 1 to 1000; 0 for 50
	// Only is for the outbox.
	Only Messages
}

// Messages selects messages of the outbox; all set fields must hold.
type Messages struct {
	Kind      string // mail or webhook; "" for both
	WebhookID int64  // 0 for all
	UserID    int64  // about this user; 0 for all
}

func (m Messages) set(q url.Values) url.Values {
	setText(q, "filter[kind]", m.Kind)
	setInt(q, "filter[webhook]", m.WebhookID)
	setInt(q, "filter[user]", m.UserID)
	return q
}

// MessageCount is how many messages of a kind and a webhook are in a state.
type MessageCount struct {
	Kind             string    `json:"kind"`      // mail or webhook
	WebhookID        int64     `json:"webhookId"` // 0 for mails
	State            string    `json:"state"`     // pending, done or dead
	Count            int64     `json:"count"`
	OldestCreateTime time.Time `json:"oldestCreateTime"`
}

func deliveries(ctx context.Context, c *Client, path string, which DeliveryList) iter.Seq2[Delivery, error] {
	q := which.Only.set(Page{which.Size}.query())
	setText(q, "filter[state]", which.State)
	return list[Delivery](ctx, c, path, q)
}

// Webhooks is the part of the API about webhooks.
type Webhooks struct{ c *Client }

// WebhookList says which webhooks are listed. Its zero value lists all.
type WebhookList struct {
	CreatedBy Creator
	Size      int // how many are asked for at once, 1 to 1000; 0 for 50
}

// List returns the webhooks that match.
func (s *Webhooks) List(ctx context.Context, which WebhookList) iter.Seq2[Webhook, error] {
	q := Page{which.Size}.query()
	setText(q, "filter[createdBy]", which.CreatedBy.text())
	return list[Webhook](ctx, s.c, "/webhooks", q)
}

// Get returns a webhook.
func (s *Webhooks) Get(ctx context.Context, id int64) (Webhook, error) {
	return one[Webhook](ctx, s.c, newCall(http.MethodGet, path("webhooks", id), nil))
}

// Create creates a webhook. Its Secret is in this answer only.
func (s *Webhooks) Create(ctx context.Context, webhook WebhookCreate) (Webhook, error) {
	return one[Webhook](ctx, s.c, newCall(http.MethodPost, "/webhooks", webhook))
}

// Update changes a webhook and returns the new version. It takes IfVersion.
func (s *Webhooks) Update(ctx context.Context, id int64, change WebhookUpdate, options ...CallOption) (Webhook, error) {
	return one[Webhook](ctx, s.c, newCall(http.MethodPatch, path("webhooks", id), change, options...))
}

// Delete deletes a webhook. It takes IfVersion.
func (s *Webhooks) Delete(ctx context.Context, id int64, options ...CallOption) error {
	return s.c.remove(ctx, path("webhooks", id), options...)
}

// Rotate gives a webhook a new secret. For a day the old one signs, too. It takes IfVersion.
func (s *Webhooks) Rotate(ctx context.Context, id int64, options ...CallOption) (Webhook, error) {
	return one[Webhook](ctx, s.c, newCall(http.MethodPost, path("webhooks", id, "rotate"), nil, options...))
}

// Test sends a ping.
func (s *Webhooks) Test(ctx context.Context, id int64) (Delivery, error) {
	return one[Delivery](ctx, s.c, newCall(http.MethodPost, path("webhooks", id, "test"), nil))
}

// Deliveries returns what was and is to be sent to a webhook, the latest first.
func (s *Webhooks) Deliveries(ctx context.Context, id int64, which DeliveryList) iter.Seq2[Delivery, error] {
	return deliveries(ctx, s.c, path("webhooks", id, "deliveries"), which)
}

// Redeliver sends a delivery once more.
func (s *Webhooks) Redeliver(ctx context.Context, id, deliveryID int64) (Delivery, error) {
	where := path("webhooks", id, "deliveries", deliveryID, "redeliver")
	return one[Delivery](ctx, s.c, newCall(http.MethodPost, where, nil))
}

// Outbox is the part of the API about what has not arrived, mails and posts.
type Outbox struct{ c *Client }

// List returns messages, the latest first.
func (s *Outbox) List(ctx context.Context, which DeliveryList) iter.Seq2[Delivery, error] {
	return deliveries(ctx, s.c, "/outbox", which)
}

// Retry puts a message back into the queue.
func (s *Outbox) Retry(ctx context.Context, id int64) (Delivery, error) {
	return one[Delivery](ctx, s.c, newCall(http.MethodPost, path("outbox", id, "retry"), nil))
}

// Counts returns how many messages there are, by kind, webhook and state.
func (s *Outbox) Counts(ctx context.Context) ([]MessageCount, error) {
	answer, err := one[struct{ Data []MessageCount }](ctx, s.c, newCall(http.MethodGet, "/outbox/counts", nil))
	return answer.Data, err
}

// RetryDead puts all dead messages that match back into the queue, and returns how many.
func (s *Outbox) RetryDead(ctx context.Context, which Messages) (int64, error) {
	r := newCall(http.MethodPost, "/outbox/retry", nil)
	which.set(r.query)
	answer, err := one[struct{ Count int64 }](ctx, s.c, r)
	return answer.Count, err
}
