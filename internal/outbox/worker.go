// Package outbox sends the messages that transactions have put into the outbox: it claims
// messages for a while, passes them to the sender of their channel and completes them.
// Delivery is at least once. Any number of workers may share one database.
package outbox

import (
	"cmp"
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

// Sender delivers one message and returns the HTTP status of the answer, 0 for none. After
// an error the message is tried again later, unless delivery.IsPermanent is true. A
// delivery.Error or *identity.Error in the error is shown with the message.
type Sender func(ctx context.Context, m delivery.Message) (status int, err error)

// Options are the parts of a Worker.
type Options struct {
	Store   *store.Store
	Senders map[delivery.Channel]Sender
	Clock   func() time.Time
	Logger  *slog.Logger
	Metrics *Metrics // may be nil

	PollInterval  time.Duration // how often to look for messages that have become due, 0 for a second
	RenewInterval time.Duration // how often a claim is renewed, 0 for two seconds
	// Steady sends the messages of a destination one after the other, and tries again after
	// exact waits. It is for a test double, whose results must not depend on chance.
	Steady bool
}

// Worker sends messages.
type Worker struct {
	options Options

	mu   sync.Mutex
	busy map[delivery.Destination]bool // the destinations that this worker sends to
	work sync.WaitGroup

	database chan struct{} // a place for each transaction that runs at once
}

const (
	// sendTimeout bounds one attempt.
	sendTimeout = 12 * time.Second
	// lease is how long a message is claimed for, and so how long it waits after its worker
	// has died. It is renewed while an attempt runs.
	lease = 5 * time.Second
	// perDestination bounds the messages that are sent to one destination at once.
	perDestination = 4
	// transactions bounds the transactions of a worker at once, transactionTimeout the time
	// of each.
	transactions       = 2
	transactionTimeout = 3 * time.Second
	// pollInterval is how often the worker looks for messages by default.
	pollInterval = time.Second
	// renewInterval is how often a claim is renewed by default.
	renewInterval = 2 * time.Second
)

// New returns a worker.
func New(options Options) *Worker {
	options.RenewInterval = cmp.Or(options.RenewInterval, renewInterval)
	options.PollInterval = cmp.Or(options.PollInterval, pollInterval)
	return &Worker{options: options, busy: map[delivery.Destination]bool{}, database: make(chan struct{}, transactions)}
}

// Run sends messages as they become due until ctx ends, and returns when the attempts that
// have begun are complete. The messages of each destination are sent separately, so that a
// slow one delays no other.
func (w *Worker) Run(ctx context.Context) {
	defer w.work.Wait()
	ticker := time.NewTicker(w.options.PollInterval)
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

// Once sends all due messages and returns when the attempts are complete.
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

// drain sends the due messages of one destination, a few at a time.
func (w *Worker) drain(ctx context.Context, to delivery.Destination) {
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.busy, to)
	}()
	atOnce := perDestination
	if w.options.Steady {
		atOnce = 1
	}
	for ctx.Err() == nil {
		now := w.options.Clock()
		var messages []delivery.Message
		err := w.inTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			messages, err = tx.ClaimMessages(ctx, to, now, now.Add(lease), atOnce)
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
		w.complete(ctx, to, attempts)
	}
}

// inTx runs a transaction. It waits while others of this worker run, so that they do not
// delay requests.
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
	ticker := time.NewTicker(w.options.RenewInterval)
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
		if err != nil { // another worker may send them as well
			w.options.Logger.WarnContext(ctx, "renewing the claim of messages", "to", to.String(), "error", err)
			continue
		}
		leaseEnd = next
	}
}

// attempt is one attempt to send a message, with its result.
type attempt struct {
	delivery.Message // with the status and the error of the attempt

	err     error
	expired bool // the message had expired and was not sent
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

// complete records the results of the attempts.
func (w *Worker) complete(ctx context.Context, to delivery.Destination, attempts []attempt) {
	ending := ctx.Err() != nil
	outcomes := make([]outcome, len(attempts))
	err := w.inTx(context.WithoutCancel(ctx), func(ctx context.Context, tx *store.Tx) (err error) {
		now := w.options.Clock()
		for i, a := range attempts {
			if outcomes[i], err = w.completeIn(ctx, tx, a, ending, now); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range attempts {
		if err != nil { // the lease expires, and the message is sent again
			outcomes[i] = unknown
		}
		w.options.Metrics.count(to.Channel, outcomes[i])
	}
	if err != nil {
		w.options.Logger.WarnContext(ctx, "completing messages", "to", to.String(), "error", err)
	}
}

// completeIn updates the message of an attempt. ending says that the process ends, which may
// be the reason of a failure: then the attempt does not count.
func (w *Worker) completeIn(ctx context.Context, tx *store.Tx, a attempt, ending bool, now time.Time) (outcome, error) {
	m := a.Message
	switch {
	case a.expired:
		return expired, tx.CompleteMessage(ctx, m, delivery.Dead, now)
	case a.err == nil && m.To.Channel == delivery.ChannelMail:
		return sent, tx.DropMessage(ctx, m.ID) // its content is personal and no longer needed
	case a.err == nil:
		return sent, tx.CompleteMessage(ctx, m, delivery.Done, now)
	case ending:
		return released, tx.ReleaseMessage(ctx, m.ID, m.Attempts, now)
	}
	chance := 0.5
	if !w.options.Steady {
		chance = rand.Float64() //nolint:gosec // jitter, no secret
	}
	wait, again := delivery.RetryAfter(m.Attempts, chance)
	if !again || delivery.IsPermanent(a.err) {
		return dead, tx.CompleteMessage(ctx, m, delivery.Dead, now)
	}
	return failed, tx.RetryMessage(ctx, m, now.Add(wait))
}

// explain returns the text of an error that is shown with a message. Its readers may not see
// the content of the message, so it returns only the texts of delivery.Error and
// identity.Error. Other errors are only logged.
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
