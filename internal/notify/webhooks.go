// Package notify decides which users and webhooks get a message about an event, and with
// what content. It puts mails and the messages of webhooks into the outbox, in the
// transaction of the change, and reads them when they are sent. It checks no rights and
// sends nothing.
package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// webhookOrder is the payload of a webhook's message: the event and its user, in no wire
// format. A dialect writes the body when the message is sent.
type webhookOrder struct {
	Type        identity.EventType
	Time        time.Time
	User        json.RawMessage `json:",omitempty"` // of store.MarshalUser; none in a ping
	Connections json.RawMessage
}

// Webhooks puts an event into the outbox, once for each active webhook that has subscribed
// to it. If the event has no user, it reads the user in the transaction.
func Webhooks(ctx context.Context, tx *store.Tx, event identity.Event) error {
	if !slices.Contains(identity.WebhookEvents, event.Type) {
		return nil
	}
	webhooks, err := tx.ActiveWebhooks(ctx)
	if err != nil {
		return err
	}
	webhooks = slices.DeleteFunc(webhooks, func(w identity.Webhook) bool { return !w.Subscribes(event.Type) })
	if len(webhooks) == 0 {
		return nil
	}
	if event.User == nil {
		user, err := tx.User(ctx, event.SubjectID)
		if err != nil {
			return err
		}
		event.User = &user
	}
	user, err := store.MarshalUser(*event.User)
	if err != nil {
		return err
	}
	order := webhookOrder{Type: event.Type, Time: event.Time, User: user, Connections: event.Connections}
	for _, webhook := range webhooks {
		if _, err := enqueueWebhook(ctx, tx, webhook.ID, event.User.ID, order); err != nil {
			return err
		}
	}
	return nil
}

// Ping puts a message that tests a webhook into the outbox, and returns its id.
func Ping(ctx context.Context, tx *store.Tx, webhookID int64, now time.Time) (id int64, err error) {
	return enqueueWebhook(ctx, tx, webhookID, 0, webhookOrder{Type: identity.WebhookPing, Time: now})
}

func enqueueWebhook(ctx context.Context, tx *store.Tx, webhookID, userID int64, order webhookOrder,
) (id int64, err error) {
	payload, err := json.Marshal(order)
	if err != nil {
		return 0, fmt.Errorf("webhook order: %w", err)
	}
	return tx.Enqueue(ctx, delivery.Message{
		To: delivery.ToWebhook(webhookID), Topic: string(order.Type), UserID: userID, Payload: string(payload),
		CreatedAt: order.Time,
	})
}

// WebhookMessage reads the payload of a webhook's message.
func WebhookMessage(m delivery.Message) (delivery.WebhookMessage, error) {
	var order webhookOrder
	if err := json.Unmarshal([]byte(m.Payload), &order); err != nil {
		return delivery.WebhookMessage{}, fmt.Errorf("webhook order: %w", err)
	}
	message := delivery.WebhookMessage{ID: m.ID, Type: order.Type, Time: order.Time}
	if order.Type == identity.UserSynced {
		message.Connections = order.Connections
	}
	if order.Type == identity.WebhookPing {
		return message, nil
	}
	var err error
	if message.User, err = store.UnmarshalUser(order.User); err != nil {
		return delivery.WebhookMessage{}, fmt.Errorf("webhook order: %w", err)
	}
	return message, nil
}
