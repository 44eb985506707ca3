package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"time"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/store"
)

// outboxRun is how long it took to send a full outbox, and how requests fared.
type outboxRun struct {
	engine   string
	webhooks int
	alone    float64  // messages per second with nothing else to do
	loaded   float64  // and while users are read
	quiet    result   // of those reads when nothing is sent
	during   []result // and second by second while it is
}

// measureOutbox fills the outbox with so many messages to some webhooks, once
// without and once with requests beside, and sees how fast it empties.
func measureOutbox(ctx context.Context, o options, engine, dir string, webhooks int) (run outboxRun, err error) {
	run = outboxRun{engine: engine, webhooks: webhooks}
	if dir, err = os.MkdirTemp(dir, "outbox-"); err != nil {
		return run, err
	}
	s, err := newSubject(ctx, engine, o.users[0], dir)
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if s.normal, err = startServer(ctx, s.databaseURL, o.serverLog, o.roster, "serve", "--webhook-allow-private=127.0.0.1"); err != nil {
		return run, err
	}
	if s.token, err = s.makeToken(ctx); err != nil {
		return run, err
	}
	var arrived atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived.Add(1)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer receiver.Close()
	db, err := store.Open(s.databaseURL, store.Options{Prepare: true})
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	sample, err := s.makeWebhooks(ctx, db, receiver.URL, webhooks)
	if err != nil {
		return run, err
	}

	for arrived.Load() < 1 && ctx.Err() == nil { // the sample itself
		time.Sleep(time.Millisecond)
	}
	progress("%s: sending %d messages to %d webhooks", s, o.outbox, webhooks)
	arrived.Store(0)
	begun, err := fill(ctx, db, sample, webhooks, o.outbox)
	if err != nil {
		return run, err
	}
	if run.alone, err = drained(ctx, &arrived, begun, o.outbox, func() error { time.Sleep(time.Millisecond); return nil }); err != nil {
		return run, err
	}
	reading := load{
		addr: s.normal.addr, connections: o.connections, duration: o.duration, warmUp: time.Second, accepts: []int{http.StatusOK},
		request: s.request(scenario{method: http.MethodGet, target: s.anyUser}),
	}
	if run.quiet, err = reading.run(ctx); err != nil {
		return run, err
	}
	arrived.Store(0)
	if begun, err = fill(ctx, db, sample, webhooks, o.outbox); err != nil {
		return run, err
	}
	reading.warmUp, reading.duration = 0, time.Second
	run.loaded, err = drained(ctx, &arrived, begun, o.outbox, func() error {
		r, err := reading.run(ctx)
		run.during = append(run.during, r)
		return err
	})
	return run, err
}

// makeWebhooks registers webhooks and returns a message to one of them.
func (s *subject) makeWebhooks(ctx context.Context, db *store.Store, url string, n int) (delivery.Message, error) {
	for range n {
		body, err := json.Marshal(map[string]any{"url": url, "events": []string{"USER_DELETED"}, "format": "v2"})
		if err != nil {
			return delivery.Message{}, err
		}
		if r, err := s.normal.call(ctx, http.MethodPost, "/api/v2/webhooks", adminToken, body); err != nil || r.status != http.StatusCreated {
			return delivery.Message{}, errors.Join(err, fmt.Errorf("make a webhook: %d %s", r.status, r.body))
		}
	}
	r, err := s.normal.call(ctx, http.MethodPost, "/api/v2/webhooks/1/test", adminToken, nil)
	var answer struct{ ID int64 }
	if err := errors.Join(err, json.Unmarshal(r.body, &answer)); err != nil {
		return delivery.Message{}, err
	}
	return db.Message(ctx, answer.ID)
}

// fill puts messages into the outbox, all at once, and returns when they can be
// seen.
func fill(ctx context.Context, db *store.Store, sample delivery.Message, webhooks, n int) (time.Time, error) {
	err := db.InTx(ctx, func(tx *store.Tx) error {
		for i := range n {
			m := delivery.Message{To: delivery.ToWebhook(int64(1 + i%webhooks)), Topic: sample.Topic, Payload: sample.Payload, CreatedAt: time.Now()}
			if _, err := tx.Enqueue(ctx, m); err != nil {
				return err
			}
		}
		return nil
	})
	return time.Now(), err
}

// drained returns how many messages arrived per second until all had, with
// something going on meanwhile.
func drained(ctx context.Context, arrived *atomic.Int64, begun time.Time, n int, meanwhile func() error) (float64, error) {
	ended := make(chan time.Duration, 1)
	go func() {
		for arrived.Load() < int64(n) && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		ended <- time.Since(begun)
	}()
	for {
		select {
		case elapsed := <-ended:
			return float64(n) / elapsed.Seconds(), ctx.Err()
		default:
		}
		if err := meanwhile(); err != nil {
			return 0, err
		}
	}
}

// measureOutboxes measures the outbox on each engine, with one receiver and with
// ten.
func measureOutboxes(ctx context.Context, o options, dir string) error {
	var runs []outboxRun
	for _, engine := range o.engines {
		for _, webhooks := range []int{1, 10} {
			run, err := measureOutbox(ctx, o, engine, dir, webhooks)
			if err != nil {
				return fmt.Errorf("%s: %w", engine, err)
			}
			runs = append(runs, run)
		}
	}
	printOutbox(o, runs)
	return nil
}

func printOutbox(o options, runs []outboxRun) {
	fmt.Printf("\n## Outbox: %d messages, %d users, reads over %d connections\n\n", o.outbox, o.users[0], o.connections)
	fmt.Println("| engine | webhooks | sent/s alone | sent/s beside reads | reads/s alone | p50 | p99 | reads/s meanwhile | p50 | p99 |")
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, run := range runs {
		of := func(figure func(result) float64) float64 { return medianOf(run.during, figure) }
		fmt.Printf("| %s | %d | %.0f | %.0f | %.0f | %s | %s | %.0f | %s | %s |\n", run.engine, run.webhooks, run.alone, run.loaded,
			run.quiet.rate, milliseconds(run.quiet.p50), milliseconds(run.quiet.p99), of(func(r result) float64 { return r.rate }),
			milliseconds(time.Duration(of(func(r result) float64 { return float64(r.p50) }))), milliseconds(time.Duration(of(func(r result) float64 { return float64(r.p99) }))))
	}
}
