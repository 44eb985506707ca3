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

// outboxRun holds how fast a full outbox was sent, and how fast requests were
// answered meanwhile.
type outboxRun struct {
	engine   string
	webhooks int
	alone    float64  // messages per second without other load
	loaded   float64  // messages per second while users are read
	quiet    result   // of the reads while nothing is sent
	during   []result // of the reads in each second while messages are sent
}

// measureOutbox fills the outbox with messages to some webhooks and measures how fast
// it empties, once without and once with requests meanwhile.
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
	s.normal, err = startServer(ctx, s.databaseURL, o.serverLog, o.roster, "serve", "--webhook-allow-private=127.0.0.1")
	if err != nil {
		return run, err
	}
	if s.token, err = s.makeToken(ctx); err != nil {
		return run, err
	}
	db, err := store.Open(s.databaseURL, store.Options{Prepare: true})
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	f := filler{db: db, webhooks: webhooks, messages: o.outbox}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		f.arrived.Add(1)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer receiver.Close()
	if f.sample, err = s.makeWebhooks(ctx, db, receiver.URL, webhooks); err != nil {
		return run, err
	}
	for f.arrived.Load() < 1 && ctx.Err() == nil { // the sample itself is sent too
		time.Sleep(time.Millisecond)
	}
	progress("%s: sending %d messages to %d webhooks", s, o.outbox, webhooks)
	err = run.measure(ctx, o, s, &f)
	return run, err
}

// measure measures the outbox alone, the reads alone, and both together.
func (run *outboxRun) measure(ctx context.Context, o options, s *subject, f *filler) (err error) {
	wait := func() error { time.Sleep(time.Millisecond); return nil }
	if run.alone, err = f.drain(ctx, wait); err != nil {
		return err
	}
	reading := load{
		addr: s.normal.addr, connections: o.connections, duration: o.duration, warmUp: time.Second,
		accepts: []int{http.StatusOK}, request: s.request(scenario{method: http.MethodGet, target: s.anyUser}),
	}
	if run.quiet, err = reading.run(ctx); err != nil {
		return err
	}
	reading.warmUp, reading.duration = 0, time.Second
	run.loaded, err = f.drain(ctx, func() error {
		r, err := reading.run(ctx)
		run.during = append(run.during, r)
		return err
	})
	return err
}

// makeWebhooks creates webhooks and returns a message to one of them.
func (s *subject) makeWebhooks(ctx context.Context, db *store.Store, url string, n int) (delivery.Message, error) {
	for range n {
		body, err := json.Marshal(map[string]any{"url": url, "events": []string{"USER_DELETED"}, "format": "v2"})
		if err != nil {
			return delivery.Message{}, err
		}
		r, err := s.normal.call(ctx, http.MethodPost, "/api/v2/webhooks", adminToken, body)
		if err != nil || r.status != http.StatusCreated {
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

// filler fills the outbox and counts the messages that arrive.
type filler struct {
	db       *store.Store
	sample   delivery.Message // the messages are copies of it
	webhooks int
	messages int
	arrived  atomic.Int64
}

// fill adds the messages to the outbox in one transaction and returns the time of its
// end.
func (f *filler) fill(ctx context.Context) (time.Time, error) {
	f.arrived.Store(0)
	err := f.db.InTx(ctx, func(tx *store.Tx) error {
		for i := range f.messages {
			m := delivery.Message{
				To: delivery.ToWebhook(int64(1 + i%f.webhooks)), Topic: f.sample.Topic,
				Payload: f.sample.Payload, CreatedAt: time.Now(),
			}
			if _, err := tx.Enqueue(ctx, m); err != nil {
				return err
			}
		}
		return nil
	})
	return time.Now(), err
}

// drain fills the outbox and calls meanwhile until all messages have arrived. It
// returns the messages per second, or the error of fill or meanwhile.
func (f *filler) drain(ctx context.Context, meanwhile func() error) (perSecond float64, err error) {
	begun, err := f.fill(ctx)
	if err != nil {
		return 0, err
	}
	ended := make(chan time.Duration, 1)
	go func() {
		for f.arrived.Load() < int64(f.messages) && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		ended <- time.Since(begun)
	}()
	for {
		select {
		case elapsed := <-ended:
			return float64(f.messages) / elapsed.Seconds(), ctx.Err()
		default:
		}
		if err := meanwhile(); err != nil {
			return 0, err
		}
	}
}

// measureOutboxes measures the outbox on each engine, with one webhook and with ten.
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
	fmt.Println("| engine | webhooks | sent/s alone | sent/s beside reads " +
		"| reads/s alone | p50 | p99 | reads/s meanwhile | p50 | p99 |")
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, run := range runs {
		during := medians(run.during)
		fmt.Printf("| %s | %d | %.0f | %.0f | %s | %s |\n", run.engine, run.webhooks, run.alone, run.loaded,
			cells("%.0f", run.quiet), cells("%.0f", during))
	}
}
