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

// Webhooks puts events into the outbox, each once for each of the webhooks that has subscribed to
// it. If an event has no user, it reads the user in the transaction.
func Webhooks(ctx context.Context, tx *store.Tx, webhooks []identity.Webhook, events ...identity.Event) error {
	events = slices.DeleteFunc(slices.Clone(events), func(e identity.Event) bool {
		return !slices.Contains(identity.WebhookEvents, e.Type)
	})
	var messages []delivery.Message
	for _, event := range events {
		var order webhookOrder
		for _, webhook := range webhooks {
			if !webhook.Subscribes(event.Type) {
				continue
			}
			if order.User == nil {
				var err error
				if order, err = orderOf(ctx, tx, &event); err != nil {
					return err
				}
			}
			message, err := webhookMessage(webhook.ID, event.User.ID, order)
			if err != nil {
				return err
			}
			messages = append(messages, message)
		}
	}
	return tx.EnqueueAll(ctx, messages)
}

// orderOf returns the payload of an event's messages. It gives the event its user, if it has none.
func orderOf(ctx context.Context, tx *store.Tx, event *identity.Event) (webhookOrder, error) {
	if event.User == nil {
		user, err := tx.User(ctx, event.SubjectID)
		if err != nil {
			return webhookOrder{}, err
		}
		event.User = &user
	}
	user, err := store.MarshalUser(*event.User)
	return webhookOrder{Type: event.Type, Time: event.Time, User: user, Connections: event.Connections}, err
}

// Ping puts a message that tests a webhook into the outbox, and returns its id.
func Ping(ctx context.Context, tx *store.Tx, webhookID int64, now time.Time) (id int64, err error) {
	message, err := webhookMessage(webhookID, 0, webhookOrder{Type: identity.WebhookPing, Time: now})
	if err != nil {
		return 0, err
	}
	return tx.Enqueue(ctx, message)
}

func webhookMessage(webhookID, userID int64, order webhookOrder) (delivery.Message, error) {
	payload, err := json.Marshal(order)
	if err != nil {
		return delivery.Message{}, fmt.Errorf("webhook order: %w", err)
	}
	return delivery.Message{
		To: delivery.ToWebhook(webhookID), Topic: string(order.Type), UserID: userID, Payload: string(payload),
		CreatedAt: order.Time,
	}, nil
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
