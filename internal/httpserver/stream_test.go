package httpserver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// streamed is a server with the one route GET /api/stream, its log, and what was
// reported to it as refused, with the state of the context that it was reported in.
type streamed struct {
	*httptest.Server
	log        bytes.Buffer
	refused    error
	refusedCtx error
}

// stream starts a server whose own deadlines are shorter than the route may take.
func stream(t *testing.T, timeout time.Duration, handler api.Handler) *streamed {
	t.Helper()
	s := &streamed{}
	s.Server = httptest.NewUnstartedServer(New(Options{
		Dialects: []api.Dialect{{
			Prefix:     "/api",
			Routes:     []api.Route{{Method: http.MethodGet, Path: "/stream", Handler: handler, Timeout: timeout}},
			Scheme:     api.Bearer,
			WriteError: func(c echo.Context, f api.Failure) error { return c.String(f.Status, f.Message) },
		}},
		Authenticate: func(context.Context, string, identity.Origin) (identity.Actor, error) {
			return identity.Actor{}, nil
		},
		Denied: func(ctx context.Context, _ identity.Actor, err error) {
			s.refused, s.refusedCtx = err, ctx.Err()
		},
		Logger: slog.New(slog.NewJSONHandler(&s.log, nil)),
	}))
	s.Config.ReadTimeout, s.Config.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond
	s.Start()
	return s
}

// read returns the answer, as far as it comes, after calling begun when its first
// line is there. The server has ended when it returns.
func (s *streamed) read(t *testing.T, begun func()) (body string, err error) {
	t.Helper()
	defer s.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/api/stream", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer x")
	response, err := s.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	first := make([]byte, len("one\n"))
	if _, err := io.ReadFull(response.Body, first); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%d %q %v", response.StatusCode, first, err)
	}
	begun()
	rest, err := io.ReadAll(response.Body)
	return string(first) + string(rest), err
}

// TestStream: the client has the first piece of an answer while the second is not
// made yet, and the second although the server's own deadlines are over by then.
func TestStream(t *testing.T) {
	t.Parallel()
	proceed := make(chan struct{})
	s := stream(t, time.Minute, func(c echo.Context, _ identity.Actor) error {
		_, _ = io.WriteString(c.Response(), "one\n")
		c.Response().Flush()
		<-proceed
		deadline := time.After(100 * time.Millisecond)
		select {
		case <-c.Request().Context().Done():
			return c.Request().Context().Err()
		case <-deadline:
		}
		_, err := io.WriteString(c.Response(), "two\n")
		return err
	})
	body, err := s.read(t, func() { close(proceed) })
	if body != "one\ntwo\n" || err != nil || strings.Contains(s.log.String(), "ERROR") {
		t.Errorf("%q %v %s", body, err, &s.log)
	}
}

// TestStreamThatFails: the client sees that the answer is not whole, and no error
// body in it; the log has the error, and a refusal is reported.
func TestStreamThatFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end func(c echo.Context) error
		log string
	}{
		"error": {func(echo.Context) error { return errors.New("the database is away") }, "the database is away"},
		"panic": {func(echo.Context) error { panic("a bug") }, "a bug"},
		"refusal": {func(echo.Context) error {
			return identity.Errorf(identity.Forbidden, "revoked", "Not any more.")
		}, "Not any more"},
		"late refusal": {func(c echo.Context) error {
			<-c.Request().Context().Done()
			return identity.Errorf(identity.Forbidden, "revoked", "Not any more.").WithCause(c.Request().Context().Err())
		}, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stream(t, 200*time.Millisecond, func(c echo.Context, _ identity.Actor) error {
				_, _ = io.WriteString(c.Response(), "one\n")
				c.Response().Flush()
				return test.end(c)
			})
			body, err := s.read(t, func() {})
			if body != "one\n" || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q %v", body, err)
			}
			if log := s.log.String(); !strings.Contains(log, "ERROR") || !strings.Contains(log, test.log) {
				t.Errorf("log: %s", log)
			}
			isRefusal := strings.Contains(name, "refusal")
			if isRefusal != (identity.KindOf(s.refused) == identity.Forbidden) || s.refusedCtx != nil {
				t.Errorf("refused: %v, %v", s.refused, s.refusedCtx)
			}
		})
	}
}
