// Package ephemeral is Roster as a test double: the real service over a database in memory,
// with a clock that can be moved, known tokens and codes, and a look at the mails and webhooks
// that leave. roster serve --ephemeral and pkg/rostertest start the same double.
//
// Its secrets can be known beforehand. It therefore listens on loopback only, answers only to
// names of loopback, and has no setting that leads to a real database, mail server or key.
// Nothing here is part of a server: the paths below /_test exist in this package alone.
package ephemeral

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rosterhq/roster/internal/config"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/service"
	"github.com/rosterhq/roster/internal/store"
)

// Options are the settings of a double. The zero value is a double with the defaults.
type Options struct {
	// Config has the settings of the service, of which those in settings count; nil is the
	// defaults.
	Config *config.Config
	// Addr is the address to listen on, host:port on loopback; "" is 127.0.0.1:0.
	Addr string
	// Seed is the YAML of what exists from the start, and SeedName its name in errors.
	Seed     []byte
	SeedName string
	// Clock is the time at which the clock stands still until it is moved. If it is zero, the
	// clock runs.
	Clock time.Time
	// Throttled keeps the limits of attempts.
	Throttled bool
	// Logger may be nil, for none.
	Logger *slog.Logger
}

// Double is a running double. It is safe for concurrent use.
type Double struct {
	URL   string // with the address and the port
	Token string // of an administrator; it does not expire
	// Tokens are the tokens of the seed by name, and Secrets those of its webhooks by URL.
	Tokens  map[string]string
	Secrets map[string]string

	options  Options
	snapshot []byte // after the seed
	server   *http.Server
	control  http.Handler
	serving  sync.WaitGroup

	mu    sync.RWMutex
	world *world
}

// schema is the content of a database that was migrated. A process needs it once.
var schema = sync.OnceValues(func() (snapshot []byte, err error) {
	ctx := context.Background()
	m, err := store.OpenMemory(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	return m.Snapshot(ctx)
})

// Start starts a double, which serves until Close. The error is for an address that is not on
// loopback or in use, and for a seed that is wrong: it names the line.
func Start(ctx context.Context, o Options) (_ *Double, err error) {
	listener, err := listen(ctx, o.Addr)
	if err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Config = settings(o.Config, listener.Addr().String())
	d := &Double{URL: "http://" + listener.Addr().String(), options: o}
	d.control = d.routes()
	if err := d.begin(ctx); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	const readHeaderTimeout = 5 * time.Second
	d.server = &http.Server{
		Handler: d, ReadHeaderTimeout: readHeaderTimeout,
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	d.serving.Go(func() {
		if err := d.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			o.Logger.Error("the double cannot serve", "error", err)
		}
	})
	return d, nil
}

// listen listens on an address of loopback. A name is trusted only after its address is known.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil || !isLoopback(host) {
		return nil, fmt.Errorf("a double can be reached from this machine only: the address must be one such as "+
			"127.0.0.1:0, not %q", addr)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if host, _, err := net.SplitHostPort(listener.Addr().String()); err != nil || !isLoopback(host) {
		return nil, errors.Join(fmt.Errorf("%s is not an address of this machine only", addr), listener.Close())
	}
	return listener, nil
}

// settings returns the settings of a double that listens on an address: of the given ones those
// that lead to nothing real.
func settings(given *config.Config, addr string) *config.Config {
	if given == nil {
		const month = 30 * 24 * time.Hour
		given = &config.Config{
			AccessTokenTTL: time.Hour, RefreshTokenTTL: month, SessionTTL: month,
			Console: true, ConsoleIdleTTL: 12 * time.Hour,
		}
	}
	return &config.Config{
		AccessTokenTTL: given.AccessTokenTTL, RefreshTokenTTL: given.RefreshTokenTTL, SessionTTL: given.SessionTTL,
		Console: given.Console, ConsoleIdleTTL: given.ConsoleIdleTTL, RequireAdminTFA: given.RequireAdminTFA,
		PublicURL: given.PublicURL, AllowedHosts: given.AllowedHosts, PasswordList: given.PasswordList,

		Addr: addr, SecretKey: strings.Repeat("double", 6), WebhookAllowPrivate: loopback(),
	}
}

func loopback() []identity.AddressRange {
	var ranges []identity.AddressRange
	for _, text := range []string{"127.0.0.0/8", "::1"} {
		r, err := identity.ParseAddressRange(text)
		if err != nil {
			panic(err) // a constant
		}
		ranges = append(ranges, r)
	}
	return ranges
}

// begin makes the first world: it creates the administrator's token and what the seed has, and
// keeps the database for Reset.
func (d *Double) begin(ctx context.Context) (err error) {
	migrated, err := schema()
	if err != nil {
		return err
	}
	w, err := newWorld(ctx, d.options, migrated, newRandom("seed"))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.end())
		}
	}()
	if err := w.store.Begin(ctx, w.clock.now()); err != nil {
		return err
	}
	d.Token = secret.NewToken(w.random)
	_, err = w.app.Service.SetUp(ctx, service.Setup{Token: d.Token, RequireAdminTFA: d.options.Config.RequireAdminTFA})
	if err != nil {
		return err
	}
	if err := d.seed(ctx, w); err != nil {
		return err
	}
	if d.snapshot, err = w.store.Snapshot(ctx); err != nil {
		return err
	}
	w.random = newRandom("run") // as after a reset
	d.world = w
	w.begin()
	return nil
}

// Close ends the double and all its requests.
func (d *Double) Close() error {
	err := d.server.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	err = errors.Join(err, d.world.end())
	d.serving.Wait()
	return err
}

// Reset returns to the seed: what was stored, sent and set since is gone. Requests that are
// under way end with an error, later ones wait.
func (d *Double) Reset(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	next, err := newWorld(ctx, d.options, d.snapshot, newRandom("run"))
	if err != nil {
		return err
	}
	err = d.world.end()
	d.world = next
	next.begin()
	return err
}

// current returns the world, with a request in it that done ends.
func (d *Double) current() (w *world, done func()) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	d.world.requests.Add(1)
	return d.world, d.world.requests.Done
}

// Mails returns the mails that have left to an address, or to all for "", after the first so
// many. It waits until ctx is done for the first of them.
func (d *Double) Mails(ctx context.Context, to string, after int) []Mail {
	w, done := d.current()
	defer done()
	key := identity.EmailKey(to)
	return awaitIn(ctx, w, &w.mails, after, func(m Mail) bool { return to == "" || identity.EmailKey(m.To) == key })
}

// Webhooks returns the attempts to post webhooks to a URL, or to all for "", after the first so
// many. It waits until ctx is done for the first of them.
func (d *Double) Webhooks(ctx context.Context, url string, after int) []Webhook {
	w, done := d.current()
	defer done()
	return awaitIn(ctx, w, &w.webhooks, after, func(h Webhook) bool { return url == "" || h.URL == url })
}

// awaitIn waits at most until the end of the world.
func awaitIn[T any](ctx context.Context, w *world, b *box[T], after int, match func(T) bool) []T {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(w.ctx, cancel)
	defer stop()
	return b.await(ctx, after, match)
}

// Now returns the time of the double's clock.
func (d *Double) Now() time.Time {
	w, done := d.current()
	defer done()
	return w.clock.now()
}

// Advance moves the clock forward. What has become due is done soon after.
func (d *Double) Advance(ctx context.Context, by time.Duration) error {
	w, done := d.current()
	defer done()
	return w.move(ctx, func(c *clock) error { return c.advance(by) })
}

// SetFaults lets things go wrong; the zero value ends that. The error names the field that is
// wrong.
func (d *Double) SetFaults(f Faults) error {
	w, done := d.current()
	defer done()
	_, err := w.faults.change(func(now *Faults) { *now = f })
	return err
}

// WebhookEvents returns the events that a webhook can be told of.
func WebhookEvents() []string {
	var names []string
	for _, event := range identity.WebhookEvents {
		names = append(names, string(event))
	}
	return names
}
