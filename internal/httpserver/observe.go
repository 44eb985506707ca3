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

// Where what is known of a request is kept for its log line.
const (
	actorKey           = "actor"           // the caller
	clientRequestIDKey = "clientRequestID" // what the client calls the request
)

// observe gives a request its id and, when it has been answered, its log line
// and its metrics. Nothing of the query, the headers or the bodies is logged:
// that is where secrets and people's data are. An answer that ends in an error after
// it has begun is cut off: a client would take it for a whole one.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start, client := time.Now(), c.Request().Context()
		header := c.Response().Header()
		s.identify(c)
		header.Set(echo.HeaderXContentTypeOptions, "nosniff")
		header.Set(echo.HeaderReferrerPolicy, "no-referrer")
		if s.options.Secure {
			header.Set(echo.HeaderStrictTransportSecurity, "max-age=31536000") // a year, in seconds
		}

		err := next(c)
		cut := err != nil && c.Response().Committed
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
		if told := !cut && c.Response().Status < http.StatusInternalServerError; told || cut && client.Err() != nil {
			err = nil // the answer says it, or the client has gone
		}
		s.log(c, route, elapsed, err)
		if cut {
			panic(http.ErrAbortHandler) // net/http's own way to drop a connection
		}
		return nil
	}
}

// log writes the log line of a request, with the error that its answer does not tell.
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
	if id := clientRequestID(c); id != "" {
		attributes = append(attributes, slog.String("client_request_id", id))
	}
	if actor, ok := c.Get(actorKey).(identity.Actor); ok {
		attributes = append(attributes, slog.Int64("token_id", actor.TokenID), slog.Int64("user_id", actor.UserID))
	}
	if err != nil {
		level = slog.LevelError
		attributes = append(attributes, slog.Any("error", err))
	}
	s.options.Logger.LogAttrs(c.Request().Context(), level, "request", attributes...)
}

func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

func clientRequestID(c echo.Context) string {
	id, _ := c.Get(clientRequestIDKey).(string)
	return id
}

// identify gives a request its id: that of a trusted proxy, or one of ours. The
// id that any other client gives could be one that it has seen elsewhere, so it
// is kept beside ours and never in its place. What is not fit for logs and
// headers, or is there twice, counts for nothing.
func (s *Server) identify(c echo.Context) {
	given := c.Request().Header.Values(echo.HeaderXRequestID)
	isGiven := len(given) == 1 && isRequestID(given[0])
	if isGiven && s.fromProxy(c.Request()) {
		c.Response().Header().Set(echo.HeaderXRequestID, given[0])
		return
	}
	if isGiven {
		c.Set(clientRequestIDKey, given[0])
	}
	c.Response().Header().Set(echo.HeaderXRequestID, uuid.Must(uuid.NewV7()).String())
}

func isRequestID(s string) bool {
	isPlain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.:/+=", r)
	}
	return s != "" && len(s) <= identity.MaxRequestIDLength &&
		!strings.ContainsFunc(s, func(r rune) bool { return !isPlain(r) })
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
				panic(value)
			}
			err = fmt.Errorf("panic: %v\n%s", value, debug.Stack())
		}()
		return next(c)
	}
}
