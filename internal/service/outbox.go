package service

import (
	"context"
	"time"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/notify"
	"github.com/rosterhq/roster/internal/store"
)

// Messages returns a page of the messages that match, the latest first, and how
// many there are.
func (s *Service) Messages(ctx context.Context, actor identity.Actor, filter delivery.Filter, page identity.Page,
) ([]delivery.Message, int64, error) {
	if err := actor.Require(identity.WebhooksManage); err != nil {
		return nil, 0, err
	}
	return s.store.Messages(ctx, filter, page)
}

// RetryMessage queues a message that is dead or done again, with a new set of attempts,
// and returns it. The errors are Forbidden, NotFound and Conflict: it is pending, erased
// or expired.
func (s *Service) RetryMessage(ctx context.Context, actor identity.Actor, id int64) (delivery.Message, error) {
	if err := actor.Require(identity.WebhooksManage); err != nil {
		return delivery.Message{}, err
	}
	return s.requeue(ctx, actor, id, delivery.Destination{}, func(tx *store.Tx, now time.Time) error {
		return emit(ctx, tx, identity.Event{Type: identity.MessageRetried, Time: now, Actor: actor, SubjectID: id})
	})
}

// MessageCounts returns how many messages there are, by destination and state.
func (s *Service) MessageCounts(ctx context.Context, actor identity.Actor) ([]delivery.Count, error) {
	if err := actor.Require(identity.WebhooksManage); err != nil {
		return nil, err
	}
	return s.store.MessageCounts(ctx)
}

// RetryDead is RetryMessage for all dead messages that match and can be queued again, whatever
// states the filter has. It returns how many it has queued, also with an error: it queues them
// in parts, each with an event of its own.
func (s *Service) RetryDead(ctx context.Context, actor identity.Actor, filter delivery.Filter) (int64, error) {
	if err := actor.Require(identity.WebhooksManage); err != nil {
		return 0, err
	}
	const part = 1000 // short transactions, so that others do not wait long
	now := s.now()
	var total, last int64 // a message that dies again meanwhile is not queued again
	for {
		var ids []int64
		err := s.store.InTx(ctx, func(tx *store.Tx) error {
			actor, err := s.current(ctx, tx, actor)
			if err != nil {
				return err
			}
			if err := actor.Require(identity.WebhooksManage); err != nil {
				return err
			}
			if ids, err = tx.RequeueDead(ctx, filter, last, part, now); err != nil || len(ids) == 0 {
				return err
			}
			event := identity.Event{
				Type: identity.MessageRetried, Time: now, Actor: actor,
				Changes: identity.Changes{identity.FieldDeliveries: {New: int64(len(ids))}},
			}
			if filter.To.WebhookID != 0 {
				event.Type, event.SubjectID = identity.WebhookRedelivered, filter.To.WebhookID
			}
			return emit(ctx, tx, event)
		})
		if err != nil || len(ids) == 0 {
			return total, err
		}
		total, last = total+int64(len(ids)), ids[len(ids)-1]
	}
}

// Deliveries returns a page of the messages of a webhook, the latest first, and
// how many there are. The errors are Forbidden and NotFound.
func (s *Service) Deliveries(ctx context.Context, actor identity.Actor, webhookID int64, states []delivery.State,
	page identity.Page,
) ([]delivery.Message, int64, error) {
	webhook, err := s.Webhook(ctx, actor, webhookID)
	if err != nil {
		return nil, 0, err
	}
	return s.store.Messages(ctx, delivery.Filter{To: delivery.ToWebhook(webhook.ID), States: states}, page)
}

// Redeliver is RetryMessage for a message of one webhook.
func (s *Service) Redeliver(ctx context.Context, actor identity.Actor, webhookID, id int64) (delivery.Message, error) {
	webhook, err := s.Webhook(ctx, actor, webhookID)
	if err != nil {
		return delivery.Message{}, err
	}
	return s.requeue(ctx, actor, id, delivery.ToWebhook(webhook.ID), func(tx *store.Tx, now time.Time) error {
		return emit(ctx, tx, identity.Event{
			Type: identity.WebhookRedelivered, Time: now, Actor: actor, SubjectID: webhookID,
			Changes: identity.Changes{identity.FieldDelivery: {New: id}},
		})
	})
}

// requeue makes a message due again and calls record. A message with another destination
// than to is NotFound; the zero Destination allows any.
func (s *Service) requeue(ctx context.Context, actor identity.Actor, id int64, to delivery.Destination,
	record func(*store.Tx, time.Time) error,
) (delivery.Message, error) {
	now := s.now()
	var message delivery.Message
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		var err error
		if message, err = tx.MessageForUpdate(ctx, id); err != nil {
			return err
		}
		actor, err := s.current(ctx, tx, actor)
		if err != nil {
			return err
		}
		if err := actor.Require(identity.WebhooksManage); err != nil {
			return err
		}
		if to != (delivery.Destination{}) && message.To != to {
			return identity.Errorf(identity.NotFound, "not_found",
				"There is no delivery of this webhook with the id %d.", id)
		}
		if err := message.Queueable(now); err != nil {
			return err
		}
		if err := tx.RequeueMessage(ctx, id, now); err != nil {
			return err
		}
		if message, err = tx.Message(ctx, id); err != nil {
			return err
		}
		return record(tx, now)
	})
	return message, err
}

// TestWebhook sends a ping to one webhook and returns the message. The errors are
// Forbidden and NotFound.
func (s *Service) TestWebhook(ctx context.Context, actor identity.Actor, id int64) (delivery.Message, error) {
	webhook, err := s.Webhook(ctx, actor, id)
	if err != nil {
		return delivery.Message{}, err
	}
	now := s.now()
	var message delivery.Message
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		messageID, err := notify.Ping(ctx, tx, webhook.ID, now)
		if err != nil {
			return err
		}
		if message, err = tx.Message(ctx, messageID); err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.WebhookTested, Time: now, Actor: actor, SubjectID: id,
			Changes: identity.Changes{identity.FieldDelivery: {New: messageID}},
		})
	})
	return message, err
}
