// Package outbox sends what transactions have put into the outbox: it claims
// messages for a while, hands them to the sender of their channel and settles them.
// Delivery is at least once. Any number of workers may share one database.
package outbox

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// Sender delivers one message, and tells what HTTP status it was answered with,
// 0 for none. After an error it is tried again later, unless delivery.IsPermanent
// says that this is of no use. An delivery.Error or *identity.Error in it is
// shown with the message.
type Sender func(ctx context.Context, m delivery.Message) (status int, err error)

// Options are what a worker is made of.
type Options struct {
	Store   *store.Store
	Senders map[delivery.Channel]Sender
	Clock   func() time.Time
	Logger  *slog.Logger
	Metrics *Metrics // may be nil
}

// Worker sends messages.
type Worker struct {
	options Options

	mu   sync.Mutex
	busy map[delivery.Destination]bool // what this worker is sending to
	work sync.WaitGroup

	database chan struct{} // a place for each transaction that runs at once
}

const (
	// sendTimeout bounds one attempt.
	sendTimeout = 12 * time.Second
	// lease is how long a message is claimed for, and so how long it waits after
	// its worker has died; it is renewed as long as an attempt takes.
	lease = 5 * time.Second
	// perDestination is how many messages to one destination are on their way at once.
	perDestination = 4
	// transactions is how many transactions a worker has at once at the most, and
	// transactionTimeout how long each may take.
	transactions       = 2
	transactionTimeout = 3 * time.Second
	// pollInterval is how often to look for messages that have become due.
	pollInterval = time.Second
)

// renewInterval is how often a claim is renewed.
var renewInterval = 2 * time.Second // not a constant for its test only

// New returns a worker.
func New(options Options) *Worker {
	return &Worker{options: options, busy: map[delivery.Destination]bool{}, database: make(chan struct{}, transactions)}
}

// Run sends messages as they become due, until ctx ends and what is on its way
// has been settled. Each destination is served for itself, so that a slow one delays
// no other.
func (w *Worker) Run(ctx context.Context) {
	defer w.work.Wait()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		w.startDue(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-w.options.Store.Enqueued():
		}
	}
}

// Once sends all that is due and returns when it is recorded.
func (w *Worker) Once(ctx context.Context) {
	w.startDue(ctx)
	w.work.Wait()
}

func (w *Worker) startDue(ctx context.Context) {
	due, err := w.options.Store.DueDestinations(ctx, w.options.Clock())
	if err != nil && ctx.Err() == nil {
		w.options.Logger.WarnContext(ctx, "looking for messages to send", "error", err)
	}
	for _, to := range due {
		w.mu.Lock()
		started := w.busy[to]
		w.busy[to] = true
		w.mu.Unlock()
		if !started {
			w.work.Go(func() { w.drain(ctx, to) })
		}
	}
}

// drain sends what is due to one destination, some at a time.
func (w *Worker) drain(ctx context.Context, to delivery.Destination) {
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.busy, to)
	}()
	for ctx.Err() == nil {
		now := w.options.Clock()
		var messages []delivery.Message
		err := w.inTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			messages, err = tx.ClaimMessages(ctx, to, now, now.Add(lease), perDestination)
			return err
		})
		if err != nil {
			if ctx.Err() == nil {
				w.options.Logger.WarnContext(ctx, "claiming messages", "to", to.String(), "error", err)
			}
			return
		}
		if len(messages) == 0 {
			return
		}
		attempts := make([]attempt, len(messages))
		var sending sync.WaitGroup
		for i, message := range messages {
			sending.Go(func() { attempts[i] = w.try(ctx, message) })
		}
		sent := make(chan struct{})
		go func() {
			sending.Wait()
			close(sent)
		}()
		w.keep(ctx, to, messages, now.Add(lease), sent)
		w.settle(ctx, to, attempts)
	}
}

// inTx runs a transaction as one of a few at a time: what is to be sent can wait,
// requests should not notice.
func (w *Worker) inTx(ctx context.Context, fn func(ctx context.Context, tx *store.Tx) error) error {
	w.database <- struct{}{}
	defer func() { <-w.database }()
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	return w.options.Store.InTx(ctx, func(tx *store.Tx) error { return fn(ctx, tx) })
}

// keep renews the lease of messages until they are sent.
func (w *Worker) keep(ctx context.Context, to delivery.Destination, messages []delivery.Message, leaseEnd time.Time,
	sent <-chan struct{},
) {
	ticker := time.NewTicker(renewInterval)
	defer ticker.Stop()
	for {
		select {
		case <-sent:
			return
		case <-ticker.C:
		}
		next := w.options.Clock().Add(lease)
		err := w.inTx(context.WithoutCancel(ctx), func(ctx context.Context, tx *store.Tx) error {
			for _, m := range messages {
				if err := tx.RenewMessage(ctx, m.ID, leaseEnd, next); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil { // another worker may send them once more
			w.options.Logger.WarnContext(ctx, "renewing the claim of messages", "to", to.String(), "error", err)
			continue
		}
		leaseEnd = next
	}
}

// attempt is what became of sending a message once.
type attempt struct {
	delivery.Message // with the status and the error of the attempt

	err     error
	expired bool // it was of no use any more, and not sent
}

// try sends one message.
func (w *Worker) try(ctx context.Context, m delivery.Message) attempt {
	a := attempt{Message: m}
	a.Status, a.LastError = 0, ""
	if a.expired = !m.ExpiresAt.IsZero() && !w.options.Clock().Before(m.ExpiresAt); a.expired {
		a.LastError = "it was of no use any more"
		return a
	}
	if a.Status, a.err = w.send(ctx, m); a.err != nil {
		a.LastError = explain(a.err)
		if ctx.Err() == nil {
			w.options.Logger.WarnContext(ctx, "sending a message", "message_id", m.ID, "to", m.To.String(),
				"attempt", m.Attempts, "error", a.err)
		}
	}
	return a
}

// settle records what became of the attempts.
func (w *Worker) settle(ctx context.Context, to delivery.Destination, attempts []attempt) {
	ending := ctx.Err() != nil
	became := make([]outcome, len(attempts))
	err := w.inTx(context.WithoutCancel(ctx), func(ctx context.Context, tx *store.Tx) (err error) {
		now := w.options.Clock()
		for i, a := range attempts {
			if became[i], err = settleIn(ctx, tx, a, ending, now); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range attempts {
		if err != nil { // the lease ends, and it will be sent again
			became[i] = unknown
		}
		w.options.Metrics.count(to.Channel, became[i])
	}
	if err != nil {
		w.options.Logger.WarnContext(ctx, "settling messages", "to", to.String(), "error", err)
	}
}

// settleIn decides what an attempt means for its message. ending says that we are
// about to end, so that a failure is no fault of the receiver.
func settleIn(ctx context.Context, tx *store.Tx, a attempt, ending bool, now time.Time) (outcome, error) {
	m := a.Message
	switch {
	case a.expired:
		return expired, tx.CompleteMessage(ctx, m, delivery.Dead, now)
	case a.err == nil && m.To.Channel == delivery.ChannelMail:
		return sent, tx.DropMessage(ctx, m.ID) // what it said is nobody's business any more
	case a.err == nil:
		return sent, tx.CompleteMessage(ctx, m, delivery.Done, now)
	case ending:
		return released, tx.ReleaseMessage(ctx, m.ID, m.Attempts, now)
	}
	wait, again := delivery.RetryAfter(m.Attempts, rand.Float64()) //nolint:gosec // jitter, no secret
	if !again || delivery.IsPermanent(a.err) {
		return dead, tx.CompleteMessage(ctx, m, delivery.Dead, now)
	}
	return failed, tx.RetryMessage(ctx, m, now.Add(wait))
}

// explain is an error for those who look at a message, who may be people that must
// not see what is in it or around it: words of ours, or none. The rest is for the log.
func explain(err error) string {
	var ours *identity.Error
	if errors.As(err, &ours) {
		return ours.Message
	}
	var failure delivery.Error
	if errors.As(err, &failure) {
		return string(failure)
	}
	return "it could not be sent; the log tells why"
}

func (w *Worker) send(ctx context.Context, m delivery.Message) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	sender := w.options.Senders[m.To.Channel]
	if sender == nil {
		return 0, delivery.Errorf("this release has no sender for %s", m.To.Channel)
	}
	return sender(ctx, m)
}
