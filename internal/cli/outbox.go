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

// List lists the undelivered messages of the server that match, the latest first; limit bounds them, 0 is none.
func (o Outbox) List(ctx context.Context, sh *Shell, which client.DeliveryList, limit int) error {
	roster, err := o.connect(ctx, sh)
	if err != nil {
		return err
	}
	which.Size = pageSize(limit)
	return printList(sh, o.Output, first(limit, roster.Outbox.List(ctx, which)),
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
