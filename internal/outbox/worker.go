// Package outbox sends what transactions have put into the outbox: it claims
// messages for a while, hands them to the sender of their lane and settles them.
// Delivery is at least once. Any number of workers may share one database.
package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// Sender delivers one message. After an error it is tried again later, unless
// identity.IsPermanent says that this is of no use.
type Sender func(ctx context.Context, m identity.Message) error

// Options are what a worker is made of.
type Options struct {
	Store *store.Store
	// Senders has the sender of each kind of lane: what its name begins with, up
	// to a slash.
	Senders map[string]Sender
	Clock   func() time.Time
	Logger  *slog.Logger
}

// Worker sends messages.
type Worker struct {
	options Options

	mu   sync.Mutex
	busy map[string]bool // the lanes that this worker is working on
	work sync.WaitGroup
}

const (
	// sendTimeout bounds one attempt, and lease is how long a message is claimed
	// for: well beyond it, so that nobody else takes it meanwhile.
	sendTimeout = 15 * time.Second
	lease       = time.Minute
	// perLane is how many messages of a lane are on their way at once.
	perLane = 4
	// pollInterval is how often to look for messages that have become due.
	pollInterval = time.Second
	// settleTimeout bounds recording an outcome, which is done also at the end.
	settleTimeout = 3 * time.Second
)

// New returns a worker.
func New(options Options) *Worker {
	return &Worker{options: options, busy: map[string]bool{}}
}

// Run sends messages as they become due, until ctx ends and what is on its way
// has been settled. Each lane is worked on for itself, so that a receiver that
// is slow delays nobody else.
func (w *Worker) Run(ctx context.Context) {
	defer w.work.Wait()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		w.startDueLanes(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-w.options.Store.Enqueued():
		}
	}
}

// Once sends all that is due and returns when it has been settled.
func (w *Worker) Once(ctx context.Context) {
	w.startDueLanes(ctx)
	w.work.Wait()
}

func (w *Worker) startDueLanes(ctx context.Context) {
	lanes, err := w.options.Store.DueLanes(ctx, w.options.Clock())
	if err != nil && ctx.Err() == nil {
		w.options.Logger.WarnContext(ctx, "looking for messages to send", "error", err)
	}
	for _, lane := range lanes {
		w.mu.Lock()
		started := w.busy[lane]
		w.busy[lane] = true
		w.mu.Unlock()
		if !started {
			w.work.Go(func() { w.drain(ctx, lane) })
		}
	}
}

// drain sends what is due in one lane.
func (w *Worker) drain(ctx context.Context, lane string) {
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.busy, lane)
	}()
	for ctx.Err() == nil {
		now := w.options.Clock()
		var messages []identity.Message
		err := w.options.Store.InTx(ctx, func(tx *store.Tx) (err error) {
			messages, err = tx.ClaimMessages(ctx, lane, now, now.Add(lease), perLane)
			return err
		})
		if err != nil {
			if ctx.Err() == nil {
				w.options.Logger.WarnContext(ctx, "claiming messages", "lane", lane, "error", err)
			}
			return
		}
		if len(messages) == 0 {
			return
		}
		var sending sync.WaitGroup
		for _, message := range messages {
			sending.Go(func() { w.handle(ctx, message) })
		}
		sending.Wait()
	}
}

// handle sends one message and records what became of it.
func (w *Worker) handle(ctx context.Context, m identity.Message) {
	var err error
	expired := !m.ExpiresAt.IsZero() && !w.options.Clock().Before(m.ExpiresAt)
	if !expired {
		err = w.send(ctx, m)
	}
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	settleErr := w.options.Store.InTx(settle, func(tx *store.Tx) error {
		now := w.options.Clock()
		switch {
		case expired:
			return tx.SettleMessage(settle, m.ID, identity.MessageDead, "it was of no use any more", now)
		case err == nil && m.Lane == identity.LaneMail:
			return tx.DropMessage(settle, m.ID) // what it said is nobody's business any more
		case err == nil:
			return tx.SettleMessage(settle, m.ID, identity.MessageDone, "", now)
		case ctx.Err() != nil: // we are about to end: no fault of the receiver
			return tx.ReleaseMessage(settle, m.ID, m.Attempts, now)
		}
		wait, again := identity.RetryAfter(m.Attempts, rand.Float64()) //nolint:gosec // jitter, no secret
		if !again || identity.IsPermanent(err) {
			return tx.SettleMessage(settle, m.ID, identity.MessageDead, err.Error(), now)
		}
		return tx.RetryMessage(settle, m.ID, m.Attempts, err.Error(), now.Add(wait))
	})
	if settleErr != nil { // the lease ends, and it will be sent again
		w.options.Logger.WarnContext(ctx, "settling a message", "message_id", m.ID, "error", settleErr)
	}
	if err != nil && ctx.Err() == nil {
		w.options.Logger.WarnContext(ctx, "sending a message", "message_id", m.ID, "lane", m.Lane, "attempt", m.Attempts, "error", err)
	}
}

func (w *Worker) send(ctx context.Context, m identity.Message) error {
	kind, _, _ := strings.Cut(m.Lane, "/")
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	sender := w.options.Senders[kind]
	if sender == nil {
		return fmt.Errorf("this release has no sender for %s", kind)
	}
	return sender(ctx, m)
}
