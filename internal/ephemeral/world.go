package ephemeral

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/mail"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// world is all that a reset replaces: the app with its database, the time, what has left, and
// what goes wrong.
type world struct {
	ctx    context.Context //nolint:containedctx // the end of the world ends all its requests
	cancel context.CancelFunc

	store    *store.Memory
	app      *app.App
	clock    *clock
	random   *random
	faults   faults
	mails    box[Mail]
	webhooks box[Webhook]

	background sync.WaitGroup
	requests   sync.WaitGroup
}

const (
	// pollInterval is how often jobs and messages are looked for that have become due.
	pollInterval = 20 * time.Millisecond
	// hashesAtOnce is so many that no sign-in of a test waits for another one.
	hashesAtOnce = 32
	// hangTime is how long a receiver that hangs takes: longer than Roster waits.
	hangTime = 10 * time.Second
)

// newWorld returns a world with the content of a snapshot. Its background work has not begun.
func newWorld(ctx context.Context, o Options, snapshot []byte, random *random) (_ *world, err error) {
	w := &world{clock: newClock(o.Clock), random: random}
	w.ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if w.store, err = store.OpenMemory(ctx, snapshot, isAway); err != nil {
		return nil, err
	}
	w.app, err = app.New(ctx, app.Options{
		Config: o.Config, Logger: o.Logger, Store: w.store.Store, Clock: w.clock.now, Deliver: w.deliver,
		Passwords: secret.NewPasswords(secret.MinCost, hashesAtOnce),
		Double: &app.Double{
			// random is another one after the seed.
			Random:    func(messageID int64) io.Reader { return w.random.of(messageID) },
			RequestID: func() string { return w.random.requestID() },
			Posts:     w.posts, Throttled: o.Throttled, PollInterval: pollInterval,
		},
	})
	if err != nil {
		return nil, errors.Join(err, w.store.Close())
	}
	return w, nil
}

// begin starts the background work.
func (w *world) begin() { w.background.Go(func() { w.app.Work(w.ctx) }) }

// end ends all requests and the background work, waits for them, and closes the database.
func (w *world) end() error {
	w.cancel()
	w.requests.Wait()
	w.background.Wait()
	return errors.Join(w.app.Close(), w.store.Close())
}

// serve answers a request. The end of the world ends it.
func (w *world) serve(response http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(w.faults.request(r.Context()))
	defer cancel()
	stop := context.AfterFunc(w.ctx, cancel)
	defer stop()
	w.app.Server.ServeHTTP(response, r.WithContext(ctx))
}

// move moves the clock and deletes what has expired, as a server does every ten minutes.
func (w *world) move(ctx context.Context, move func(*clock) error) error {
	if err := move(w.clock); err != nil {
		return err
	}
	return w.app.Service.Prune(ctx)
}

// deliver keeps a mail.
func (w *world) deliver(_ context.Context, m delivery.Mail) error {
	if w.faults.get().SMTP == smtpDown {
		return delivery.Error("the server refused the connection")
	}
	subject, text, html, err := mail.Compose(m, nil)
	if err != nil {
		return &delivery.Permanent{Cause: err}
	}
	w.mails.add(func(n int) Mail {
		return Mail{
			N: n, ID: m.ID, To: string(m.To), Kind: string(m.Kind), Subject: subject, Text: text, HTML: html,
			Code: m.Code, Link: m.Link, ExpiresAt: m.ExpiresAt, SentAt: w.clock.now(),
		}
	})
	return nil
}

// posts returns what webhooks go through: it keeps each attempt, and lets it out of the
// process only for a receiver on this machine.
func (w *world) posts(network http.RoundTripper) http.RoundTripper { return &postbox{w, network} }

type postbox struct {
	world   *world
	network http.RoundTripper
}

// RoundTrip posts to loopback. Any other receiver is said to have answered 204.
func (p *postbox) RoundTrip(r *http.Request) (*http.Response, error) {
	now, moved := p.world.clock.reading()
	sent := Webhook{
		ID: r.Header.Get("Roster-Delivery"), URL: r.URL.String(), Event: r.Header.Get("Roster-Event"),
		Header: r.Header.Clone(), SentAt: now,
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body, sent.Body = io.NopCloser(bytes.NewReader(body)), string(body)
	if p.world.faults.get().Webhooks == webhooksHang {
		sent.Error = "the receiver hangs"
		p.keep(sent) // before it ends: who has seen it can move the clock
		return nil, p.world.clock.wait(r.Context(), now.Add(hangTime), moved)
	}
	answer, err := p.post(r)
	if err != nil {
		sent.Error = err.Error()
	} else {
		sent.Status = answer.StatusCode
	}
	if p.world.ctx.Err() == nil { // else the attempt was cut off
		p.keep(sent)
	}
	return answer, err
}

func (p *postbox) keep(sent Webhook) {
	p.world.webhooks.add(func(n int) Webhook {
		sent.N = n
		return sent
	})
}

func (p *postbox) post(r *http.Request) (*http.Response, error) {
	if isLoopback(r.URL.Hostname()) {
		return p.network.RoundTrip(r)
	}
	return &http.Response{
		Status: "204 No Content", StatusCode: http.StatusNoContent, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, Request: r,
	}, nil
}

// isLoopback reports whether a host name is localhost or an address of loopback. Other names
// are not looked up: they could lead anywhere.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return identity.FoldASCII(host) == "localhost" || err == nil && addr.Unmap().IsLoopback()
}
