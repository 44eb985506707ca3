// Package apitest runs the whole service for tests, from HTTP down to a fresh
// database on each engine, and checks every answer against its contract.
package apitest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/config"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/jobs"
	"github.com/rosterhq/roster/internal/outbox"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/service"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// AdminToken is the administrator token of every test server.
const AdminToken = "test-administrator-token-0123456789"

// Server is a running service.
type Server struct {
	URL     string
	Log     *Log
	Clock   *Clock
	Store   *store.Store
	Service *service.Service
	HTTP    *httptest.Server

	app     *app.App
	options app.Options
	tb      testing.TB

	mu    sync.Mutex
	mails []delivery.Mail
	fail  int // the number of deliveries that will still fail
}

// Clock is a clock that only Advance moves.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows a time.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Each runs fn against a fresh service on each engine.
func Each(t *testing.T, fn func(t *testing.T, s *Server)) {
	t.Helper()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			fn(t, New(t, storetest.URL(t, engine)))
		})
	}
}

// New starts a service on a migrated database. Requests come from 127.0.0.1, which is a
// trusted proxy, so that From can set their address.
func New(tb testing.TB, databaseURL string) *Server {
	tb.Helper()
	s := NewOn(tb, storetest.Open(tb, databaseURL), &Clock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)})
	if _, err := s.Service.SetUp(tb.Context(), service.Setup{Token: AdminToken}); err != nil {
		tb.Fatal(err)
	}
	return s
}

// NewOn starts a service on an open store that is set up.
func NewOn(tb testing.TB, db *store.Store, clock *Clock) *Server {
	tb.Helper()
	const month = 30 * 24 * time.Hour
	log := &Log{}
	s := newServer(tb, clock, log, app.Options{
		Config: &config.Config{
			Addr:           "localhost:8080",
			AccessTokenTTL: time.Hour, RefreshTokenTTL: month, SessionTTL: month,
			Console: true, ConsoleIdleTTL: 12 * time.Hour,
			TrustedProxies: loopback(tb), WebhookAllowPrivate: loopback(tb), // the address of the tests
		},
		Logger: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Store:  db,
		Clock:  clock.Now,
		// A busy machine fails no test: no password waits for another, and requests have time.
		Passwords:      secret.NewPasswords(secret.MinCost, 32),
		RequestTimeout: time.Minute,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var background sync.WaitGroup
	ready := make(chan struct{})
	background.Go(func() { db.Listen(ctx, func() { close(ready) }) })
	<-ready
	tb.Cleanup(func() {
		s.HTTP.Close()
		cancel()
		background.Wait()
		s.checkLog()
	})
	return s
}

// Another starts another instance on the server's store, with changed options.
func (s *Server) Another(change func(*app.Options)) *Server {
	s.tb.Helper()
	options := s.options
	options.Config = new(*s.options.Config)
	change(&options)
	return newServer(s.tb, s.Clock, s.Log, options)
}

func newServer(tb testing.TB, clock *Clock, log *Log, options app.Options) *Server {
	tb.Helper()
	s := &Server{Log: log, Clock: clock, options: options, tb: tb}
	if options.Deliver == nil {
		options.Deliver = s.keepMail
	}
	var err error
	if s.app, err = app.New(tb.Context(), options); err != nil {
		tb.Fatal(err)
	}
	s.Store, s.Service = s.app.Store, s.app.Service
	s.HTTP = httptest.NewServer(s.app.Server)
	s.URL = s.HTTP.URL
	tb.Cleanup(func() {
		s.HTTP.Close()
		if err := s.app.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// keepMail keeps a mail for Mails, and fails as FailMails says.
func (s *Server) keepMail(_ context.Context, m delivery.Mail) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
	if s.fail > 0 {
		s.fail--
		return errors.New("the connection was lost after the mail")
	}
	return nil
}

// loopback returns the address of the tests.
func loopback(tb testing.TB) []identity.AddressRange {
	tb.Helper()
	addr, err := identity.ParseAddressRange("127.0.0.1")
	if err != nil {
		tb.Fatal(err)
	}
	return []identity.AddressRange{addr}
}

// At returns another instance with a public URL.
func (s *Server) At(publicURL string) *Server {
	s.tb.Helper()
	parsed, err := url.Parse(publicURL)
	if err != nil {
		s.tb.Fatal(err)
	}
	return s.Another(func(o *app.Options) { o.Config.PublicURL = parsed })
}

// Exposed returns another instance that trusts no proxy, so that it ignores the address
// and the request ids that a test sends.
func (s *Server) Exposed() *Server {
	s.tb.Helper()
	return s.Another(func(o *app.Options) { o.Config.TrustedProxies = nil })
}

// WithPasswords returns another instance with its own hashing of passwords.
func (s *Server) WithPasswords(passwords *secret.Passwords) *Server {
	s.tb.Helper()
	return s.Another(func(o *app.Options) { o.Passwords = passwords })
}

// NewWorker returns the worker of another instance, which passes its mails to deliver.
func (s *Server) NewWorker(deliver func(context.Context, delivery.Mail) error) *outbox.Worker {
	s.tb.Helper()
	return s.Another(func(o *app.Options) { o.Deliver = deliver }).app.Worker
}

// OutboxMetrics returns the metrics of the server's worker.
func (s *Server) OutboxMetrics() *outbox.Metrics { return s.app.OutboxMetrics }

// Send delivers all due messages of the outbox.
func (s *Server) Send() { s.app.Worker.Once(s.tb.Context()) }

// JobWorker returns the server's worker of jobs.
func (s *Server) JobWorker() *jobs.Worker { return s.app.Jobs }

// Step gives one running job its turn and reports whether there was one.
func (s *Server) Step() bool { return s.app.Jobs.Step(s.tb.Context()) }

// RunJobs runs the jobs that are started until none needs a worker.
func (s *Server) RunJobs() {
	for s.Step() {
	}
}

// BaseURL starts the links in mails.
const BaseURL = "http://localhost:8080"

// secretPattern matches tokens, password hashes and the passwords of tests, which all
// contain Secret. None of them must be logged.
var secretPattern = regexp.MustCompile(
	`rst_[A-Za-z0-9_-]{8,}|\$2[aby]\$|[A-Za-z0-9]*Secret[A-Za-z0-9-]*\d|` + AdminToken)

// checkLog fails the test if the log has a secret, at any level.
func (s *Server) checkLog() {
	s.tb.Helper()
	if found := secretPattern.FindString(s.Log.String()); found != "" {
		s.tb.Errorf("the log has a secret: %s", found)
	}
}

// FailMails makes the next n deliveries return an error although the mail arrives.
func (s *Server) FailMails(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = n
}

// Mails calls Send and returns the mails since the last call.
func (s *Server) Mails() []delivery.Mail {
	s.tb.Helper()
	s.Send()
	s.mu.Lock()
	defer s.mu.Unlock()
	mails := s.mails
	s.mails = nil
	return mails
}

// Mail returns the only one of Mails. It ends the test unless there is exactly one.
func (s *Server) Mail() delivery.Mail {
	s.tb.Helper()
	mails := s.Mails()
	if len(mails) != 1 {
		s.tb.Fatalf("%d mails, want one: %+v", len(mails), mails)
	}
	return mails[0]
}

// Log is the log of a server.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write adds to the log.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns the whole log.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Option changes a request.
type Option func(*http.Request)

// Host sets the Host header.
func Host(host string) Option { return func(r *http.Request) { r.Host = host } }

// Header sets a header; an empty value removes it.
func Header(name, value string) Option {
	return func(r *http.Request) {
		r.Header.Del(name)
		if value != "" {
			r.Header.Set(name, value)
		}
	}
}

// As replaces the administrator's token; "" sends none.
func As(token string) Option {
	if token == "" {
		return Header("Authorization", "")
	}
	return Header("Authorization", "Bearer "+token)
}

// From sets the address that the request comes from.
func From(address string) Option {
	return Header("X-Forwarded-For", netip.MustParseAddr(address).String())
}

// Do sends a request as the administrator and checks the answer against the contract.
// It sends a body of a string or bytes unchanged, url.Values as a form, anything else as
// JSON, and no body for nil.
func (s *Server) Do(method, path string, body any, options ...Option) *Answer {
	s.tb.Helper()
	request := s.request(method, path, body, options...)
	response, err := s.HTTP.Client().Do(request)
	if err != nil {
		s.tb.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	answer := &Answer{Status: response.StatusCode, Header: response.Header, tb: s.tb, call: method + " " + path}
	if answer.Body, err = io.ReadAll(response.Body); err != nil {
		s.tb.Fatalf("%s: %v", answer.call, err)
	}
	if err := checkContract(request, answer); err != nil {
		s.tb.Errorf("%s: %d %s\nbreaks the contract: %v", answer.call, answer.Status, answer.Body, err)
	}
	return answer
}

func (s *Server) request(method, path string, body any, options ...Option) *http.Request {
	s.tb.Helper()
	var reader io.Reader = http.NoBody
	contentType := "application/json"
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	case []byte:
		reader = bytes.NewReader(b)
	case url.Values:
		reader = strings.NewReader(b.Encode())
		contentType = "application/x-www-form-urlencoded"
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			s.tb.Fatal(err)
		}
		reader = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(context.Background(), method, s.URL+path, reader)
	if err != nil {
		s.tb.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+AdminToken)
	if body != nil {
		request.Header.Set("Content-Type", contentType)
	}
	for _, option := range options {
		option(request)
	}
	return request
}

// NewUser returns a complete body for the creation of a user, with the changes.
func NewUser(email string, changes ...map[string]any) map[string]any {
	body := map[string]any{
		"name": "Mary", "email": email, "password": "MySecret123", "active": true, "tfa": false, "groups": []int{},
	}
	for _, change := range changes {
		for field, value := range change {
			body[field] = value
			if value == Absent {
				delete(body, field)
			}
		}
	}
	return body
}

// Absent as a value in NewUser's changes removes the field.
var Absent = &struct{ absent bool }{true}

// CreateUser creates a user and returns its id.
func (s *Server) CreateUser(email string, changes ...map[string]any) int64 {
	s.tb.Helper()
	return s.Do(http.MethodPost, "/api/v2/users", NewUser(email, changes...)).Want(http.StatusCreated).ID()
}

// CreateGroup creates a group and returns its id.
func (s *Server) CreateGroup(name string, permissions ...string) int64 {
	s.tb.Helper()
	body := map[string]any{"name": name, "permissions": append([]string{}, permissions...)}
	return s.Do(http.MethodPost, "/api/v2/groups", body).Want(http.StatusCreated).ID()
}

// CreateToken creates a service token and returns its secret. For userID 0 the token
// acts for no user.
func (s *Server) CreateToken(userID int64, permissions []string, changes ...map[string]any) string {
	s.tb.Helper()
	body := map[string]any{"name": "test", "permissions": append([]string{}, permissions...), "canViewMaskedData": true}
	if userID != 0 {
		body["userId"] = userID
	}
	for _, change := range changes {
		for field, value := range change {
			body[field] = value
		}
	}
	var answer struct{ Token string }
	s.Do(http.MethodPost, "/api/v2/tokens", body).Want(http.StatusCreated).Decode(&answer)
	return answer.Token
}

// AllPermissions returns the list that stands for all permissions.
func AllPermissions() []string { return []string{"*"} }

// NamedPermissions returns the names of all current permissions.
func NamedPermissions() []string { return identity.AllPermissions.Names()[1:] }

// SignIn signs in a user who has the password of NewUser, and returns the access token.
func (s *Server) SignIn(email string, options ...Option) string {
	s.tb.Helper()
	var answer struct{ AccessToken struct{ Token string } }
	s.TrySignIn(email, Password, options...).Want(http.StatusOK).Decode(&answer)
	return answer.AccessToken.Token
}

// UserPath returns the path of a user.
func UserPath(id int64) string { return fmt.Sprintf("/api/v2/users/%d", id) }
