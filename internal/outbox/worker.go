// Package outbox sends what transactions have put into the outbox: it claims
// messages for a while, hands them to the sender of their lane and settles them.
// Delivery is at least once. Any number of workers may share one database.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// Sender delivers one message, and tells what HTTP status it was answered with,
// 0 for none. After an error it is tried again later, unless identity.IsPermanent
// says that this is of no use.
type Sender func(ctx context.Context, m identity.Message) (status int, err error)

// Options are what a worker is made of.
type Options struct {
	Store *store.Store
	// Senders has the sender of each kind of lane: what its name begins with, up
	// to a slash.
	Senders map[string]Sender
	Clock   func() time.Time
	Logger  *slog.Logger
	Metrics *Metrics // may be nil
}

// Worker sends messages.
type Worker struct {
	options Options

	mu   sync.Mutex
	busy map[string]bool // the lanes that this worker is working on
	work sync.WaitGroup
}

const (
	// sendTimeout bounds one attempt.
	sendTimeout = 12 * time.Second
	// lease is how long a message is claimed for, and so how long it waits after
	// its worker has died; it is renewed as long as an attempt takes.
	lease = 5 * time.Second
	// perLane is how many messages of a lane are on their way at once.
	perLane = 4
	// pollInterval is how often to look for messages that have become due.
	pollInterval = time.Second
	// settleTimeout bounds recording an outcome, which is done also at the end.
	settleTimeout = 3 * time.Second
)

// renewInterval is how often a claim is renewed.
var renewInterval = 2 * time.Second // not a constant for its test only

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
		settled := make(chan struct{})
		go func() {
			sending.Wait()
			close(settled)
		}()
		w.keep(ctx, lane, messages, now.Add(lease), settled)
	}
}

// keep renews the lease of messages until they are settled.
func (w *Worker) keep(ctx context.Context, lane string, messages []identity.Message, leaseEnd time.Time, settled <-chan struct{}) {
	ticker := time.NewTicker(renewInterval)
	defer ticker.Stop()
	for {
		select {
		case <-settled:
			return
		case <-ticker.C:
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
		next := w.options.Clock().Add(lease)
		err := w.options.Store.InTx(ctx, func(tx *store.Tx) error {
			for _, m := range messages {
				if err := tx.RenewMessage(ctx, m.ID, leaseEnd, next); err != nil {
					return err
				}
			}
			return nil
		})
		cancel()
		if err != nil { // another worker may send them once more
			w.options.Logger.WarnContext(ctx, "renewing the claim of messages", "lane", lane, "error", err)
			continue
		}
		leaseEnd = next
	}
}

// handle sends one message and records what became of it.
func (w *Worker) handle(ctx context.Context, m identity.Message) {
	var err error
	expires := !m.ExpiresAt.IsZero() && !w.options.Clock().Before(m.ExpiresAt)
	m.Status, m.LastError = 0, ""
	if expires {
		m.LastError = "it was of no use any more"
	} else if m.Status, err = w.send(ctx, m); err != nil {
		m.LastError = explain(err)
	}
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	var became outcome
	settleErr := w.options.Store.InTx(settle, func(tx *store.Tx) (txErr error) {
		now := w.options.Clock()
		became, txErr = settleIn(settle, tx, m, err, expires, ctx.Err() != nil, now)
		return txErr
	})
	if settleErr != nil { // the lease ends, and it will be sent again
		became = unknown
		w.options.Logger.WarnContext(ctx, "settling a message", "message_id", m.ID, "error", settleErr)
	}
	w.options.Metrics.count(m.Lane, became)
	if err != nil && ctx.Err() == nil {
		w.options.Logger.WarnContext(ctx, "sending a message", "message_id", m.ID, "lane", m.Lane, "attempt", m.Attempts, "error", err)
	}
}

// settleIn decides what an attempt means for its message. ending says that we are
// about to end, so that a failure is no fault of the receiver.
func settleIn(ctx context.Context, tx *store.Tx, m identity.Message, err error, expires, ending bool, now time.Time) (outcome, error) {
	switch {
	case expires:
		return expired, tx.SettleMessage(ctx, m, identity.MessageDead, now)
	case err == nil && m.Lane == identity.LaneMail:
		return sent, tx.DropMessage(ctx, m.ID) // what it said is nobody's business any more
	case err == nil:
		return sent, tx.SettleMessage(ctx, m, identity.MessageDone, now)
	case ending:
		return released, tx.ReleaseMessage(ctx, m.ID, m.Attempts, now)
	}
	wait, again := identity.RetryAfter(m.Attempts, rand.Float64()) //nolint:gosec // jitter, no secret
	if !again || identity.IsPermanent(err) {
		return dead, tx.SettleMessage(ctx, m, identity.MessageDead, now)
	}
	return failed, tx.RetryMessage(ctx, m, now.Add(wait))
}

// explain is an error for the operators who look at a message: what the database
// says is for the log.
func explain(err error) string {
	var ours *identity.Error
	if errors.As(err, &ours) {
		return ours.Message
	}
	return err.Error()
}

func (w *Worker) send(ctx context.Context, m identity.Message) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	kind := identity.LaneKind(m.Lane)
	sender := w.options.Senders[kind]
	if sender == nil {
		return 0, fmt.Errorf("this release has no sender for %s", kind)
	}
	return sender(ctx, m)
}
