package httpserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// newServer returns a server with one dialect of two calls: one panics, one sends on
// started and waits for release.
func newServer(log io.Writer, started chan<- struct{}, release <-chan struct{}, ready error) *Server {
	return New(Options{
		Dialects: []api.Dialect{{
			Prefix: "/api",
			Routes: []api.Route{
				{Method: http.MethodGet, Path: "/panic", Handler: func(echo.Context, identity.Actor) error {
					panic("secret plan")
				}},
				{Method: http.MethodGet, Path: "/wait", Handler: func(c echo.Context, _ identity.Actor) error {
					started <- struct{}{}
					<-release
					return c.String(http.StatusOK, "done")
				}},
			},
			Scheme:     api.Bearer,
			WriteError: func(c echo.Context, f api.Failure) error { return c.String(f.Status, f.Message) },
		}},
		Authenticate: func(context.Context, string, identity.Origin) (identity.Actor, error) {
			return identity.Actor{}, nil
		},
		Ready:   func(context.Context) error { return ready },
		Logger:  slog.New(slog.NewJSONHandler(log, nil)),
		Metrics: NewMetrics(),
	})
}

func get(s http.Handler, path string) *httptest.ResponseRecorder {
	request := httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, http.NoBody)
	request.Header.Set("Authorization", "Bearer x")
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, request)
	return recorder
}

func TestPanicIsOneAnswerAndOneLogLine(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := newServer(&log, nil, nil, nil)
	answer := get(s, "/api/panic")
	if answer.Code != http.StatusInternalServerError || strings.Contains(answer.Body.String(), "secret plan") {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	var line struct {
		Error     string
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, &log)
	}
	if !strings.Contains(line.Error, "secret plan") || !strings.Contains(line.Error, "server_test.go") ||
		line.RequestID != answer.Header().Get("X-Request-Id") {
		t.Errorf("%+v", line)
	}
	if answer := get(s, "/healthz"); answer.Code != http.StatusOK {
		t.Errorf("afterwards: %d", answer.Code)
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	if got := get(newServer(io.Discard, nil, nil, nil), "/readyz"); got.Code != http.StatusOK {
		t.Errorf("%d", got.Code)
	}
	away := newServer(io.Discard, nil, nil, errors.New("password=hunter2 refused"))
	got := get(away, "/readyz")
	if got.Code != http.StatusServiceUnavailable || strings.Contains(got.Body.String(), "hunter2") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	if got := get(away, "/healthz"); got.Code != http.StatusOK {
		t.Errorf("healthz: %d", got.Code)
	}
}

// TestShutdownFinishesRequests checks that the server first reports that it is not
// ready, and that a request in progress gets its answer.
func TestShutdownFinishesRequests(t *testing.T) {
	defer goleak.VerifyNone(t)
	started, release := make(chan struct{}), make(chan struct{})
	s := newServer(io.Discard, started, release, nil)
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Run(ctx, listener) }()

	answer := make(chan string, 1)
	go func() { answer <- ask("http://" + listener.Addr().String() + "/api/wait") }()
	<-started
	stop()
	for get(s, "/readyz").Code != http.StatusServiceUnavailable {
		runtime.Gosched()
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped with a request in progress: %v", err)
	case got := <-answer:
		t.Fatalf("answered too early: %s", got)
	default:
	}
	close(release)
	if got := <-answer; got != "200 OK done" {
		t.Error(got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func ask(url string) string {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return err.Error()
	}
	request.Header.Set("Authorization", "Bearer x")
	response, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(response.Body)
	return response.Status + " " + string(body)
}

func FuzzSourceAddress(f *testing.F) {
	f.Add("10.0.0.1", "127.0.0.1")
	f.Add("junk, 10.0.0.1", "127.0.0.1")
	f.Add("10.0.0.1, [::1]:80,", "192.0.2.1")
	f.Fuzz(func(t *testing.T, forwardedFor, peerText string) {
		peer, err := netip.ParseAddr(peerText)
		if err != nil {
			t.Skip("a peer has an address")
		}
		proxy, err := identity.ParseAddressRange("127.0.0.0/8")
		if err != nil {
			t.Fatal(err)
		}
		got := sourceAddress(peer, []string{forwardedFor}, []identity.AddressRange{proxy})
		if !proxy.Contains(peer) && got != peer.Unmap().WithZone("") {
			t.Errorf("%s from %s: %s", forwardedFor, peer, got)
		}
		// The entries to the left of an untrusted address make no difference.
		again := sourceAddress(peer, []string{"198.51.100.1", forwardedFor}, []identity.AddressRange{proxy})
		if got.IsValid() && !proxy.Contains(got) && again != got {
			t.Errorf("%s: %s, with more to the left %s", forwardedFor, got, again)
		}
	})
}

// TestUnknownProxy checks that the log warns once of a proxy that is not configured.
func TestUnknownProxy(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := &Server{options: Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}}
	for range 3 {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.RemoteAddr = "192.0.2.1:1234"
		s.source(r)
		if log.Len() > 0 {
			t.Error("a warning without a proxy")
		}
	}
	for range 3 {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.RemoteAddr = "192.0.2.1:1234"
		r.Header.Set("X-Forwarded-For", "198.51.100.7")
		if got := s.source(r); got.String() != "192.0.2.1" {
			t.Errorf("%s is trusted", got)
		}
	}
	if n := strings.Count(log.String(), "ROSTER_TRUSTED_PROXIES"); n != 1 {
		t.Errorf("%d warnings: %s", n, log.String())
	}
}
