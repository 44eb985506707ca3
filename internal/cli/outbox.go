package cli

import (
	"context"

	"github.com/rosterhq/roster/pkg/client"
)

// Outbox has the flags of the commands about undelivered messages, which work on a server or on the database of
// this host.
type Outbox struct {
	remoteOutput
}

// OutboxFilter says which messages are listed. Its zero value lists all that are not delivered.
type OutboxFilter struct {
	State   string // pending or dead
	Kind    string // mail or webhook
	Webhook int64  // for this webhook
	User    int64  // about this user
	Limit   int    // how many at most
}

// List lists the messages of the server that match, the latest first.
func (o Outbox) List(ctx context.Context, sh *Shell, f OutboxFilter) error {
	roster, err := o.connect(ctx, sh)
	if err != nil {
		return err
	}
	which := client.DeliveryList{
		State: f.State, Only: client.Messages{Kind: f.Kind, WebhookID: f.Webhook, UserID: f.User}, Size: pageSize(f.Limit),
	}
	return printList(sh, o.Output, first(f.Limit, roster.Outbox.List(ctx, which)),
		"id", "kind", "webhookId", "topic", "userId", "state", "attempts", "dueTime", "lastError")
}

// Retry queues messages again. It goes on after an error, and fails if there was one.
func (o Outbox) Retry(ctx context.Context, sh *Shell, ids []int64) error {
	roster, err := o.connect(ctx, sh)
	if err != nil {
		return err
	}
	return eachOf(ctx, sh, ids, func(id int64) error {
		if _, err := roster.Outbox.Retry(ctx, id); err != nil {
			return err
		}
		sh.say("Message %d is queued again.", id)
		return nil
	})
}

// Counts shows how many messages there are.
func (o Outbox) Counts(ctx context.Context, sh *Shell) error {
	roster, err := o.connect(ctx, sh)
	if err != nil {
		return err
	}
	counts, err := roster.Outbox.Counts(ctx)
	if err != nil {
		return err
	}
	return printList(sh, o.Output, func(yield func(client.MessageCount, error) bool) {
		for _, count := range counts {
			if !yield(count, nil) {
				return
			}
		}
	})
}
