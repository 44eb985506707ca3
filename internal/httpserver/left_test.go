package httpserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// TestClientLeft checks that work which its client has left has a status of its own in the log and
// in the metrics, and that an error of ours does not hide behind that.
func TestClientLeft(t *testing.T) {
	t.Parallel()
	away := identity.Errorf(identity.Unavailable, "database_unavailable", "Try again.")
	for name, test := range map[string]struct {
		leaves bool
		err    error
		status int
		level  string
	}{
		"left":               {true, away.WithCause(context.Canceled), 499, "INFO"},
		"left, but a bug":    {true, errors.New("a bug"), 500, "ERROR"},
		"left after the end": {true, nil, 200, "INFO"},
		"stayed":             {false, fmt.Errorf("work of ours: %w", context.Canceled), 500, "ERROR"},
		"stayed too long":    {false, away, 503, "ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			var log bytes.Buffer
			metrics := NewMetrics()
			s := New(Options{
				Dialects: []api.Dialect{{
					Prefix: "/api",
					Routes: []api.Route{{
						Method: http.MethodGet, Path: "/work",
						Handler: func(c echo.Context, _ identity.Actor) error {
							if test.leaves {
								leave()
							}
							if test.err != nil {
								return test.err
							}
							return c.String(http.StatusOK, "done")
						},
					}},
					Scheme:     api.Bearer,
					WriteError: func(c echo.Context, f api.Failure) error { return c.String(f.Status, f.Message) },
				}},
				Authenticate: func(context.Context, string, identity.Origin) (identity.Actor, error) {
					return identity.Actor{}, nil
				},
				Logger: slog.New(slog.NewJSONHandler(&log, nil)), Metrics: metrics,
			})
			recorder := httptest.NewRecorder()
			request := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/work", http.NoBody)
			request.Header.Set("Authorization", "Bearer x")
			s.ServeHTTP(recorder, request)
			if left := test.status == 499; left && recorder.Code != 503 || !left && recorder.Code != test.status {
				t.Errorf("answered with %d", recorder.Code)
			}
			if text := log.String(); !strings.Contains(text, fmt.Sprintf(`"status":%d,`, test.status)) ||
				!strings.Contains(text, `"level":"`+test.level+`"`) {
				t.Errorf("log: %s", text)
			}
			scrape := httptest.NewRecorder()
			metrics.ServeHTTP(scrape, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
			if !strings.Contains(scrape.Body.String(), fmt.Sprintf(`route="/api/work",status="%d"`, test.status)) {
				t.Errorf("not counted as %d", test.status)
			}
		})
	}
}
