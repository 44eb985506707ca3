package httpserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// clientRequestIDKey is where the Echo context has the client's id of a request.
const clientRequestIDKey = "clientRequestID"

// statusClientLeft is the status, in the log and in the metrics, of a request whose client did
// not wait for its end, so that the work was stopped. nginx calls it 499. No client sees it: one
// that has only ended its own side of the connection gets the answer to the error.
const statusClientLeft = 499

// observe gives a request its id and, after the answer, writes its log line and its
// metrics. It logs nothing of the query, the headers or the bodies, which hold secrets
// and personal data. It cuts the connection where a handler returns an error after the
// answer has begun: the client would take the answer for a complete one.
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
		route, status := c.Path(), c.Response().Status
		if route == "" {
			route = "none"
		}
		left := client.Err() != nil && (cut || errors.Is(err, context.Canceled))
		if left {
			status = statusClientLeft
		}
		if s.options.Metrics != nil {
			s.options.Metrics.observe(c.Request().Method, route, status, elapsed)
		}
		if left || !cut && status < http.StatusInternalServerError { // the answer has the error
			err = nil
		}
		s.log(c, route, status, elapsed, err)
		if cut {
			panic(http.ErrAbortHandler) // makes net/http drop the connection
		}
		return nil
	}
}

// log writes the log line of a request, with the error that its answer does not have.
func (s *Server) log(c echo.Context, route string, status int, elapsed time.Duration, err error) {
	level := slog.LevelInfo
	attributes := []slog.Attr{
		slog.String("request_id", requestID(c)),
		slog.String("method", c.Request().Method),
		slog.String("route", route),
		slog.String("path", c.Request().URL.Path),
		slog.Int("status", status),
		slog.Float64("elapsed_ms", float64(elapsed.Microseconds())/1000),
		slog.String("source", c.RealIP()),
	}
	if id := clientRequestID(c); id != "" {
		attributes = append(attributes, slog.String("client_request_id", id))
	}
	if actor := api.ActorOf(c); actor.TokenID != 0 || actor.UserID != 0 {
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

// identify gives a request its id: that of a trusted proxy, or a new one. Any other
// client could send an id that it has seen elsewhere, so that id is kept beside the new
// one and never replaces it. An id that is repeated or not safe for logs and headers is
// ignored.
func (s *Server) identify(c echo.Context) {
	given := c.Request().Header.Values(echo.HeaderXRequestID)
	isGiven := len(given) == 1 && isRequestID(given[0])
	if isGiven && api.FromProxy(c.Request(), s.options.TrustedProxies) {
		c.Response().Header().Set(echo.HeaderXRequestID, given[0])
		return
	}
	if isGiven {
		c.Set(clientRequestIDKey, given[0])
	}
	c.Response().Header().Set(echo.HeaderXRequestID, s.options.RequestID())
}

func isRequestID(s string) bool {
	isPlain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.:/+=", r)
	}
	return s != "" && len(s) <= identity.MaxRequestIDLength &&
		!strings.ContainsFunc(s, func(r rune) bool { return !isPlain(r) })
}

// recoverPanic turns a panic into an error with the stack, which the log shows and the
// answer does not.
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
