package httpserver

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
)

// actorKey is where the caller of a request is kept for its log line.
const actorKey = "actor"

// observe gives a request its id and, when it has been answered, its log line
// and its metrics. Nothing of the query, the headers or the bodies is logged:
// that is where secrets and people's data are.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		header := c.Response().Header()
		header.Set(echo.HeaderXRequestID, newRequestID(c.Request().Header.Get(echo.HeaderXRequestID)))
		header.Set(echo.HeaderXContentTypeOptions, "nosniff")

		err := next(c)
		if err != nil {
			s.handleError(err, c)
		}

		elapsed := time.Since(start)
		route := c.Path()
		if route == "" {
			route = "none"
		}
		if s.options.Metrics != nil {
			s.options.Metrics.observe(c.Request().Method, route, c.Response().Status, elapsed)
		}
		s.log(c, route, elapsed, err)
		return nil
	}
}

func (s *Server) log(c echo.Context, route string, elapsed time.Duration, err error) {
	level := slog.LevelInfo
	attributes := []slog.Attr{
		slog.String("request_id", requestID(c)),
		slog.String("method", c.Request().Method),
		slog.String("route", route),
		slog.String("path", c.Request().URL.Path),
		slog.Int("status", c.Response().Status),
		slog.Float64("elapsed_ms", float64(elapsed.Microseconds())/1000),
		slog.String("source", c.RealIP()),
	}
	if actor, ok := c.Get(actorKey).(identity.Actor); ok {
		attributes = append(attributes, slog.Int64("token_id", actor.TokenID), slog.Int64("user_id", actor.UserID))
	}
	if c.Response().Status >= http.StatusInternalServerError && err != nil {
		level = slog.LevelError
		attributes = append(attributes, slog.Any("error", err))
	}
	s.options.Logger.LogAttrs(c.Request().Context(), level, "request", attributes...)
}

func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

// newRequestID keeps the id that a proxy or client has given, if it is fit for
// logs and headers, or makes one.
func newRequestID(given string) string {
	const most = 128
	isPlain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.:/+=", r)
	}
	if given != "" && len(given) <= most && !strings.ContainsFunc(given, func(r rune) bool { return !isPlain(r) }) {
		return given
	}
	return uuid.Must(uuid.NewV7()).String()
}

// recoverPanic turns a panic into an error: one answer without a stack, one log
// line with it, and the next request is served.
func recoverPanic(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			if cause, ok := value.(error); ok && errors.Is(cause, http.ErrAbortHandler) {
				panic(value) // net/http's own way to drop a connection
			}
			err = fmt.Errorf("panic: %v\n%s", value, debug.Stack())
		}()
		return next(c)
	}
}
