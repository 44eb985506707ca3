// Package rostertest is Roster in a test, in the same process: the real service over a database
// in memory.
//
//	r := rostertest.Start(t)
//	mary := r.CreateUser(t, "mary@example.com", func(u *client.UserCreate) { u.SendNotify = true })
//	mail := r.Mail(t, "mary@example.com")
//	session := r.SignIn(t, "mary@example.com", rostertest.Password)
//	r.Advance(2 * time.Hour) // the access token has expired
//
// Each Start is a Roster of its own, so that tests can run in parallel. Ids, tokens and codes
// are the same at each run of a test that makes its calls one after the other. Roster ends with
// the test. roster serve --ephemeral is the same for programs in other languages.
package rostertest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/ephemeral"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/pkg/client"
	"github.com/rosterhq/roster/pkg/webhooksig"
)

// Password is the password of the users that CreateUser creates.
const Password = "seven-Kettles-by-the-sea" //nolint:gosec // it protects nothing

// patience is how long Mail and Next wait.
const patience = 5 * time.Second

// Roster is a running Roster.
type Roster struct {
	URL    string
	Token  string         // of an administrator; it does not expire
	Client *client.Client // with Token
	// Tokens are the tokens of the seed by name, and Secrets those of its webhooks by URL.
	Tokens  map[string]string
	Secrets map[string]string

	double *ephemeral.Double
	http   *http.Client
	tb     testing.TB

	mu    sync.Mutex
	read  map[int]bool     // the mails that Mail and SignIn have returned or used
	steps map[string]int64 // the time step of the last code by the secret of an authenticator
	hooks int
}

// Mail is a mail that has left: To, Kind, Subject, Text, HTML, and what Text has of a Code or a
// Link with its ExpiresAt.
type Mail = ephemeral.Mail

// Delivery is an attempt to post a webhook: URL, Event, Header, Body, and the Status of the
// answer.
type Delivery = ephemeral.Webhook

// Faults are what goes wrong on purpose: SMTP is "down", Webhooks "hang", and Database is how
// many of the next requests find the database away.
type Faults = ephemeral.Faults

// Option changes a Roster that starts.
type Option func(testing.TB, *ephemeral.Options)

// Clock makes the clock stand still at a time until Advance moves it. Without it, the clock
// runs.
func Clock(at time.Time) Option {
	return func(_ testing.TB, o *ephemeral.Options) { o.Clock = at }
}

// Seed creates what a file has; docs/testing.md has the format.
func Seed(file string) Option {
	return func(tb testing.TB, o *ephemeral.Options) {
		tb.Helper()
		content, err := os.ReadFile(file) //nolint:gosec // a file of the test
		if err != nil {
			tb.Fatal(err)
		}
		o.Seed, o.SeedName = content, file
	}
}

// Throttled keeps the limits of attempts to guess passwords and codes.
func Throttled() Option {
	return func(_ testing.TB, o *ephemeral.Options) { o.Throttled = true }
}

// Start starts a Roster that ends with the test. It fails the test for a seed that is wrong.
func Start(tb testing.TB, options ...Option) *Roster {
	tb.Helper()
	o := ephemeral.Options{
		Logger: slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	for _, option := range options {
		option(tb, &o)
	}
	d, err := ephemeral.Start(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	transport := &http.Transport{}
	r := &Roster{
		URL: d.URL, Token: d.Token, Tokens: d.Tokens, Secrets: d.Secrets, double: d, tb: tb,
		http: &http.Client{Transport: transport, Timeout: time.Minute},
		read: map[int]bool{}, steps: map[string]int64{},
	}
	tb.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := d.Close(); err != nil {
			tb.Error(err)
		}
	})
	r.Client = r.As(d.Token)
	return r
}

// As returns a client with a token; "" sends none. It does not repeat calls.
func (r *Roster) As(token string) *client.Client {
	c, err := client.New(r.URL, client.Token(token), client.HTTPClient(r.http), client.Retries(0))
	if err != nil {
		r.tb.Fatal(err)
	}
	return c
}

// CreateUser creates an active user with Password, in no group. change may change that.
func (r *Roster) CreateUser(tb testing.TB, email string, change ...func(*client.UserCreate)) client.User {
	tb.Helper()
	name, _, _ := strings.Cut(email, "@")
	create := client.UserCreate{Name: name, Email: email, Password: Password, Active: true}
	for _, fn := range change {
		fn(&create)
	}
	user, err := r.Client.Users.Create(tb.Context(), create)
	if err != nil {
		tb.Fatal(err)
	}
	return user
}

// SignIn signs a user in and returns a client with the session's access token. A code that is
// mailed is taken out of the mail. factor is the secret of the user's authenticator, if there
// is one; as each code counts once, SignIn moves the clock to the next code where the
// current one has been used.
func (r *Roster) SignIn(tb testing.TB, email, password string, factor ...string) *client.Client {
	tb.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	sessions := r.As("").Sessions
	before := len(r.double.Mails(ended(), "", 0))
	signIn, err := sessions.SignIn(tb.Context(), email, password)
	if err != nil {
		tb.Fatal(err)
	}
	pair := signIn.TokenPair
	if signIn.CodeRequired {
		code := ""
		switch {
		case signIn.Challenge.Provider == "email":
			code = r.mailedCode(tb, email, before)
		case len(factor) == 0:
			tb.Fatalf("%s has an authenticator: SignIn needs its secret", email)
		default:
			code = r.totpCode(tb, factor[0])
		}
		if pair, err = sessions.Confirm(tb.Context(), signIn.Challenge.Token, code); err != nil {
			tb.Fatal(err)
		}
	}
	return r.As(pair.AccessToken.Token)
}

// mailedCode returns the code of a mail after the first so many. The mail counts as read.
func (r *Roster) mailedCode(tb testing.TB, email string, after int) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	for ctx.Err() == nil {
		for _, m := range r.double.Mails(ctx, email, after) {
			after = m.N
			if m.Code != "" {
				r.read[m.N] = true
				return m.Code
			}
		}
	}
	tb.Fatalf("no code was mailed to %s", email)
	return ""
}

// totpCode returns a code that has not been used.
func (r *Roster) totpCode(tb testing.TB, factor string) string {
	tb.Helper()
	now := r.Now()
	step := secret.TOTPStepAt(now)
	if last := r.steps[factor]; step <= last {
		step = last + 1
		r.Advance(secret.TOTPStepTime(step).Sub(now))
	}
	r.steps[factor] = step
	code, err := secret.TOTPCode(factor, step)
	if err != nil {
		tb.Fatal(err)
	}
	return code
}

// Mail waits for the next mail to an address that it has not returned, and returns it. SignIn
// takes the mails with its codes. It fails the test if there is none within five seconds.
func (r *Roster) Mail(tb testing.TB, to string) Mail {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	for after := 0; ctx.Err() == nil; {
		for _, m := range r.double.Mails(ctx, to, after) {
			after = m.N
			if r.first(m.N) {
				return m
			}
		}
	}
	tb.Fatalf("no mail to %s", to)
	return Mail{}
}

// first reports that a mail is read for the first time.
func (r *Roster) first(n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.read[n]
	r.read[n] = true
	return first
}

// Advance moves the clock forward. What has become due by that is done soon after. It fails the
// test for a negative duration.
func (r *Roster) Advance(by time.Duration) {
	r.tb.Helper()
	if err := r.double.Advance(r.tb.Context(), by); err != nil {
		r.tb.Fatal(err)
	}
}

// Now returns the time by Roster's clock.
func (r *Roster) Now() time.Time { return r.double.Now() }

// SetFaults lets things go wrong; the zero value ends that.
func (r *Roster) SetFaults(f Faults) {
	r.tb.Helper()
	if err := r.double.SetFaults(f); err != nil {
		r.tb.Fatal(err)
	}
}

// Reset returns to the start: only what the seed has exists, and the clock is set back.
func (r *Roster) Reset() {
	r.tb.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.double.Reset(r.tb.Context()); err != nil {
		r.tb.Fatal(err)
	}
	r.read, r.steps = map[int]bool{}, map[string]int64{}
}

// Hook is a webhook whose posts Next returns. They do not leave the process.
type Hook struct {
	URL    string
	Secret string // signs the posts
	ID     int64

	roster *Roster
	seen   int
}

// Webhook creates a webhook of the format v2 for events such as USER_CREATED, or for all that
// there are.
func (r *Roster) Webhook(tb testing.TB, events ...string) *Hook {
	tb.Helper()
	if len(events) == 0 {
		events = ephemeral.WebhookEvents()
	}
	r.mu.Lock()
	r.hooks++
	url := fmt.Sprintf("https://hook-%d.example/", r.hooks)
	r.mu.Unlock()
	created, err := r.Client.Webhooks.Create(tb.Context(), client.WebhookCreate{URL: url, Events: events, Format: "v2"})
	if err != nil {
		tb.Fatal(err)
	}
	return &Hook{URL: created.URL, Secret: created.Secret, ID: created.ID, roster: r}
}

// Next waits for the next post, checks its signature by the clock of its time, and returns it. It
// fails the test if there is none within five seconds.
func (h *Hook) Next(tb testing.TB) Delivery {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	found := h.roster.double.Webhooks(ctx, h.URL, h.seen)
	if len(found) == 0 {
		tb.Fatalf("no post to %s", h.URL)
	}
	h.seen = found[0].N
	verifier := webhooksig.Verifier{Secrets: []string{h.Secret}, Now: func() time.Time { return found[0].SentAt }}
	if err := verifier.Standard(found[0].Header, []byte(found[0].Body)); err != nil {
		tb.Fatal(err)
	}
	return found[0]
}

// ended returns a context that is done, so that nothing is waited for.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
