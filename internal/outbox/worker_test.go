package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/outbox"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// bench is a worker with a store and a clock.
type bench struct {
	*outbox.Worker

	t     *testing.T
	store *store.Store
	now   time.Time

	mu  sync.Mutex
	got []string
}

// newBench returns a worker whose senders of mails and webhooks call send.
func newBench(t *testing.T, s *store.Store, send func(delivery.Message) (int, error)) *bench {
	t.Helper()
	b := &bench{t: t, store: s, now: noon}
	sender := func(_ context.Context, m delivery.Message) (int, error) {
		b.mu.Lock()
		b.got = append(b.got, m.Payload)
		b.mu.Unlock()
		return send(m)
	}
	b.Worker = outbox.New(outbox.Options{
		Store: s, Clock: b.clock, Logger: slog.New(slog.DiscardHandler),
		Senders: map[delivery.Channel]outbox.Sender{delivery.ChannelMail: sender, delivery.ChannelWebhook: sender},

		RenewInterval: 10 * time.Millisecond,
	})
	return b
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) enqueue(m delivery.Message) int64 {
	b.t.Helper()
	var id int64
	err := b.store.InTx(b.t.Context(), func(tx *store.Tx) (err error) {
		m.CreatedAt = b.now
		id, err = tx.Enqueue(b.t.Context(), m)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

// sent sends what is due and returns what was handed to the senders, in any order.
func (b *bench) sent() string {
	b.Once(b.t.Context())
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.got
	b.got = nil
	slices.Sort(got)
	return strings.Join(got, " ")
}

func (b *bench) message(id int64) delivery.Message {
	b.t.Helper()
	m, err := b.store.Message(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

func TestOutcomes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		outcomes := map[string]struct {
			status int
			err    error
		}{
			"good": {204, nil}, "bad": {500, delivery.Errorf("HTTP %d", 500)},
			"never":            {410, &delivery.Permanent{Cause: delivery.ErrWebhookGone}},
			"inside":           {0, errors.New("pq: 10.0.0.7 says secret")},
			"inside, for good": {0, &delivery.Permanent{Cause: errors.New("secret")}},
			"cut off": {
				0,
				fmt.Errorf("%w: %w", delivery.Error("it was interrupted"), errors.New("by 10.0.0.7")),
			},
			"away": {
				0,
				identity.Errorf(identity.Unavailable, "x",
					"The database is away.").WithCause(errors.New("10.0.0.7 refused")),
			},
		}
		b := newBench(t, s, func(m delivery.Message) (int, error) {
			outcome := outcomes[m.Payload]
			return outcome.status, outcome.err
		})
		ids := map[string]int64{}
		for name := range outcomes {
			ids[name] = b.enqueue(delivery.Message{To: delivery.ToWebhook(7), Payload: name})
		}
		ids["late"] = b.enqueue(delivery.Message{To: delivery.ToWebhook(7), Payload: "late", ExpiresAt: noon})
		ids["strange"] = b.enqueue(delivery.Message{
			To:      delivery.Destination{Channel: "pigeon", WebhookID: 1},
			Payload: "strange",
		})
		mail := b.enqueue(delivery.Message{To: delivery.ToMail(), Payload: "good"})
		if got := b.sent(); got != "away bad cut off good good inside inside, for good never" {
			t.Errorf("sent %s", got)
		}
		for name, want := range map[string]string{
			"good": "done 1 204 ", "bad": "pending 1 500 HTTP 500", "away": "pending 1 0 The database is away.",
			"never":            "dead 1 410 HTTP 410: the receiver is gone for good",
			"late":             "dead 1 0 it was of no use any more",
			"strange":          "pending 1 0 this release has no sender for pigeon",
			"inside":           "pending 1 0 it could not be sent; the log tells why",
			"inside, for good": "dead 1 0 it could not be sent; the log tells why",
			"cut off":          "pending 1 0 it was interrupted",
		} {
			m := b.message(ids[name])
			if got := fmt.Sprint(m.State, " ", m.Attempts, " ", m.Status, " ", m.LastError); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
			if pending := m.State == delivery.Pending; pending != m.CompletedAt.IsZero() || !m.AttemptedAt.Equal(noon) ||
				pending && !m.DueAt.After(noon.Add(3*time.Second)) {
				t.Errorf("%s: %+v", name, m)
			}
		}
		if _, err := s.Message(t.Context(), mail); identity.KindOf(err) != identity.NotFound {
			t.Errorf("a mail that was sent is kept: %v", err)
		}
		if got := b.sent(); got != "" {
			t.Errorf("at once again: %s", got)
		}
		outcomes["bad"] = outcomes["good"]
		outcomes["inside"], outcomes["cut off"] = outcomes["never"], outcomes["never"]
		b.now = b.now.Add(time.Minute)
		if got := b.sent(); got != "away bad cut off inside" {
			t.Errorf("a minute later: %s", got)
		}
		if m := b.message(ids["bad"]); m.State != delivery.Done || m.Attempts != 2 || m.LastError != "" {
			t.Errorf("%+v", m)
		}
	})
}

// TestDestinations checks that each destination has four messages in progress, independently of the
// others.
func TestDestinations(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		const destinations, perDestination, messages = 3, 4, 9
		var mu sync.Mutex
		active := map[delivery.Destination]int{}
		reached := make(chan struct{})
		b := newBench(t, s, func(m delivery.Message) (int, error) {
			mu.Lock()
			active[m.To]++
			full := 0
			for to, n := range active {
				if n > perDestination {
					t.Errorf("%d at once to %s", n, to)
				}
				if n == perDestination {
					full++
				}
			}
			if full == destinations {
				select {
				case <-reached:
				default:
					close(reached)
				}
			}
			mu.Unlock()
			<-reached // waits until all destinations are full
			mu.Lock()
			defer mu.Unlock()
			active[m.To]--
			return 0, nil
		})
		for i := range destinations * messages {
			b.enqueue(delivery.Message{
				To:      delivery.ToWebhook(int64(1 + i%destinations)),
				Payload: fmt.Sprintf("%02d", i),
			})
		}
		if got := strings.Count(b.sent(), " ") + 1; got != destinations*messages {
			t.Errorf("%d messages", got)
		}
	})
}

// TestTwoWorkers checks that a message is claimed by one worker at a time.
func TestTwoWorkers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var mu sync.Mutex
		times := map[string]int{}
		send := func(m delivery.Message) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			times[m.Payload]++
			return 0, nil
		}
		one, two := newBench(t, s, send), newBench(t, s, send)
		const n = 200
		for i := range n {
			one.enqueue(delivery.Message{To: delivery.ToWebhook(int64(1 + i%2)), Payload: fmt.Sprint(i)})
		}
		var both sync.WaitGroup
		both.Go(func() { one.sent() })
		both.Go(func() { two.sent() })
		both.Wait()
		for payload, count := range times {
			if count != 1 {
				t.Errorf("%s: %d times", payload, count)
			}
		}
		if len(times) != n {
			t.Errorf("%d messages", len(times))
		}
	})
}

// TestLateFailure checks that a worker whose lease has ended does not change when the message is tried
// again.
func TestLateFailure(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		begun, fail := make(chan struct{}), make(chan struct{})
		late := newBench(t, s, func(delivery.Message) (int, error) {
			close(begun)
			<-fail
			return 0, errors.New("too late")
		})
		id := late.enqueue(delivery.Message{To: delivery.ToWebhook(1), Payload: "x"})
		var first sync.WaitGroup
		first.Go(func() { late.sent() })
		<-begun
		second := newBench(t, s, func(delivery.Message) (int, error) {
			close(fail)
			first.Wait()
			m, err := s.Message(t.Context(), id)
			if err != nil || m.Attempts != 2 || m.DueAt.Before(noon.Add(time.Minute)) || m.LastError != "" {
				t.Errorf("put off by the late worker: %+v %v", m, err)
			}
			return 0, nil
		})
		second.now = noon.Add(time.Minute)
		if got := second.sent(); got != "x" || second.message(id).State != delivery.Done {
			t.Errorf("sent %q, %+v", got, second.message(id))
		}
	})
}

// TestRollback checks that messages of a rolled back transaction are not sent.
func TestRollback(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBench(t, s, func(delivery.Message) (int, error) { return 0, nil })
		undone := errors.New("undone")
		err := s.InTx(t.Context(), func(tx *store.Tx) error {
			if _, err := tx.Enqueue(t.Context(),
				delivery.Message{To: delivery.ToMail(), Payload: "x", CreatedAt: noon}); err != nil {
				return err
			}
			return undone
		})
		if !errors.Is(err, undone) {
			t.Fatal(err)
		}
		if got := b.sent(); got != "" {
			t.Errorf("sent %s", got)
		}
	})
}

// TestEnd checks that Run returns when its context ends, and releases the interrupted messages.
func TestEnd(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		sending := make(chan struct{})
		sender := func(ctx context.Context, _ delivery.Message) (int, error) {
			close(sending)
			<-ctx.Done()
			return 0, ctx.Err()
		}
		worker := outbox.New(outbox.Options{
			Store: s, Clock: func() time.Time { return noon }, Logger: slog.New(slog.DiscardHandler),
			Senders: map[delivery.Channel]outbox.Sender{delivery.ChannelMail: sender},
		})
		b := newBench(t, s, nil)
		var running sync.WaitGroup
		running.Go(func() { worker.Run(ctx) })
		id := b.enqueue(delivery.Message{To: delivery.ToMail(), Payload: "x"})
		<-sending
		cancel()
		running.Wait()
		if m := b.message(id); m.State != delivery.Pending || m.Attempts != 0 || m.DueAt.After(noon) {
			t.Errorf("%+v", m)
		}
	})
}

// TestSlowAttempt checks that no other worker claims a message during a long attempt.
func TestSlowAttempt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var b *bench
		var id int64
		b = newBench(t, s, func(delivery.Message) (int, error) {
			claimed := b.message(id).DueAt
			b.mu.Lock()
			b.now = b.now.Add(4 * time.Second)
			b.mu.Unlock()
			for b.message(id).DueAt.Equal(claimed) { // without a renewal it ends when the test times out
				if t.Context().Err() != nil {
					return 0, t.Context().Err()
				}
			}
			if due := b.message(id).DueAt; !due.Equal(noon.Add(9 * time.Second)) {
				t.Errorf("due at %v", due)
			}
			return 200, nil
		})
		id = b.enqueue(delivery.Message{To: delivery.ToWebhook(1), Payload: "x"})
		if got := b.sent(); got != "x" || b.message(id).State != delivery.Done {
			t.Errorf("sent %q, %+v", got, b.message(id))
		}
	})
}

// TestRenewal checks that only the holder of a claim can extend it.
func TestRenewal(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBench(t, s, func(delivery.Message) (int, error) { return 0, nil })
		id := b.enqueue(delivery.Message{To: delivery.ToWebhook(1), Payload: "x"})
		end := noon.Add(5 * time.Second)
		renew := func(from, to time.Time) time.Time {
			t.Helper()
			err := s.InTx(t.Context(), func(tx *store.Tx) error { return tx.RenewMessage(t.Context(), id, from, to) })
			if err != nil {
				t.Fatal(err)
			}
			return b.message(id).DueAt
		}
		err := s.InTx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.ClaimMessages(t.Context(), delivery.ToWebhook(1), noon, end, 1)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := renew(end, end.Add(time.Second)); !got.Equal(end.Add(time.Second)) {
			t.Errorf("due at %v", got)
		}
		if got := renew(end, end.Add(time.Hour)); !got.Equal(end.Add(time.Second)) {
			t.Errorf("renewed by a worker that no longer holds it: %v", got)
		}
	})
}
