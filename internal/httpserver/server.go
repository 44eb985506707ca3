// Package httpserver is what stands between the network and the dialects:
// routing, request ids, logs, metrics, the client's address, limits, the
// one place where errors become answers, health and documentation.
package httpserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// Options are what a server is made of.
type Options struct {
	// Dialects are mounted side by side; the first one also answers for paths
	// that belong to none, and its contract describes them.
	Dialects []api.Dialect
	// Authenticate returns the caller that a credential stands for.
	Authenticate func(ctx context.Context, credential string, origin identity.Origin) (identity.Actor, error)
	// Refused records what an authenticated caller was refused.
	Refused func(ctx context.Context, actor identity.Actor, err error)
	// Ready returns nil when requests can be served.
	Ready func(context.Context) error
	// TrustedProxies are the peers whose X-Forwarded-For and X-Request-Id are
	// believed.
	TrustedProxies []identity.AddressRange
	// Secure says that clients reach the service by HTTPS: answers then tell
	// browsers to use nothing else (RFC 6797).
	Secure  bool
	Logger  *slog.Logger
	Metrics *Metrics // may be nil
}

// Server is the HTTP side of Roster.
type Server struct {
	options  Options
	echo     *echo.Echo
	draining atomic.Bool

	disbelieved sync.Once // the warning of an X-Forwarded-For that does not count
}

// requestTimeout ends the work on a request of a route without a Timeout; a client
// that has waited longer has given up or will.
const requestTimeout = 4 * time.Second

// New returns a server with all routes.
func New(options Options) *Server {
	s := &Server{options: options, echo: echo.New()}
	e := s.echo
	e.JSONSerializer = serializer{}
	e.HTTPErrorHandler = s.handleError
	// Echo would believe any client's X-Forwarded-For.
	e.IPExtractor = func(r *http.Request) string { return s.source(r).String() }
	e.Use(traceRequest, s.observe, recoverPanic, wholeSegments)

	serveGet(e, "/healthz", func(c echo.Context) error { return c.JSON(http.StatusOK, health{"ok"}) })
	serveGet(e, "/readyz", s.ready)
	registerPages(e, options.Dialects)
	for _, dialect := range options.Dialects {
		for _, route := range dialect.Routes {
			handler := s.handler(dialect.SchemeOf(route), route)
			e.Add(route.Method, dialect.Prefix+route.Path, handler)
			if route.Method == http.MethodGet { // RFC 9110 §9.1: where GET is, HEAD is
				e.Add(http.MethodHead, dialect.Prefix+route.Path, handler)
			}
		}
	}
	return s
}

// ServeHTTP answers one request. It is found by its decoded path: Echo would
// take /%75sers for another address than /users, which it is not (RFC 3986
// §6.2.2.2). Only a path with an encoded slash keeps its encoded form, by which
// wholeSegments knows it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(strings.ToLower(r.URL.RawPath), "%2f") {
		r.URL.RawPath = ""
	}
	s.echo.ServeHTTP(w, r)
}

type health struct {
	Status string `json:"status"`
}

// ready answers for load balancers: 503 while the database is away, its schema
// is too old, or this instance is about to end.
func (s *Server) ready(c echo.Context) error {
	const patience = time.Second
	ctx, cancel := context.WithTimeout(c.Request().Context(), patience)
	defer cancel()
	err := s.options.Ready(ctx)
	if err == nil && !s.draining.Load() {
		return c.JSON(http.StatusOK, health{"ok"})
	}
	if err != nil {
		s.options.Logger.WarnContext(ctx, "not ready", "error", err)
	}
	return c.JSON(http.StatusServiceUnavailable, health{"unavailable"})
}

// handler is all that a request passes on its way to a route.
func (s *Server) handler(scheme api.Scheme, route api.Route) echo.HandlerFunc {
	next := s.authenticated(scheme, route.Handler)
	if route.Public {
		next = s.anonymous(route.Handler)
	}
	next = limitTime(route.Timeout, limitBody(route.BodyLimit(), guarded(scheme, route.Public, next)))
	return func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
		return next(c)
	}
}

// guarded refuses what the scheme's guard refuses.
func guarded(scheme api.Scheme, public bool, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := scheme.Guard(c.Request(), public); err != nil {
			return err
		}
		return next(c)
	}
}

// authenticated finds the caller and hands it to the handler. It reports to
// Options.Refused each Forbidden that the handler returns, for every route of every
// dialect, also where the answer has begun, the client has gone or the time is up.
// There is nothing to report where no caller is known: Authenticate records the
// tokens that it refuses itself, and so do the operations behind public routes.
func (s *Server) authenticated(scheme api.Scheme, next api.Handler) echo.HandlerFunc {
	return func(c echo.Context) error {
		credential, err := scheme.Credential(c.Request())
		if err != nil {
			return err
		}
		actor, err := s.options.Authenticate(c.Request().Context(), credential, s.origin(c))
		if err != nil {
			return err
		}
		c.Set(actorKey, actor)
		err = next(c, actor)
		if identity.KindOf(err) == identity.Forbidden {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), requestTimeout)
			defer cancel()
			s.options.Refused(ctx, actor, err)
		}
		return err
	}
}

// anonymous hands a request on whose caller need not be known.
func (s *Server) anonymous(next api.Handler) echo.HandlerFunc {
	return func(c echo.Context) error { return next(c, identity.Anonymous(s.origin(c))) }
}

// origin is where a request comes from and what it is called.
func (s *Server) origin(c echo.Context) identity.Origin {
	return identity.Origin{
		Source: s.source(c.Request()), RequestID: requestID(c), ClientRequestID: clientRequestID(c), Client: client(c.Request()),
	}
}

// client is what a client calls itself, as far as it is fit to be kept and shown.
func client(r *http.Request) string {
	name := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(r.UserAgent(), ""))
	if runes := []rune(name); len(runes) > identity.MaxClientLength {
		return string(runes[:identity.MaxClientLength])
	}
	return name
}

// handleError is where every error becomes an answer, in the words of the
// dialect that the path belongs to. It adds nothing to an answer that has begun.
func (s *Server) handleError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	dialect := s.options.Dialects[0]
	for _, d := range s.options.Dialects {
		if strings.HasPrefix(c.Request().URL.Path, d.Prefix+"/") {
			dialect = d
		}
	}
	switch {
	case errors.Is(err, echo.ErrNotFound):
		c.Response().Header().Del(echo.HeaderAllow)
		err = echo.NewHTTPError(http.StatusNotFound, "There is nothing at this address.")
	case errors.Is(err, echo.ErrMethodNotAllowed):
		err = echo.NewHTTPError(http.StatusMethodNotAllowed, fmt.Sprintf("Only %s can be used here.", c.Response().Header().Get(echo.HeaderAllow)))
	}
	if writeErr := dialect.Answer(c, err); writeErr != nil {
		s.options.Logger.ErrorContext(c.Request().Context(), "answering with an error", "error", writeErr, "request_id", requestID(c))
	}
}

// wholeSegments keeps Echo from matching /users/:id with /users/1/2: it lets a
// parameter at the end of a path take slashes, too. A path with an encoded slash
// is nowhere: a proxy in front may take it for a slash or for part of a name, and
// its rules must hold for the address that is served.
func wholeSegments(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().URL.RawPath != "" {
			return echo.ErrNotFound
		}
		if route := c.Path(); strings.Contains(route, ":") && strings.Count(route, "/") != strings.Count(c.Request().URL.Path, "/") {
			return echo.ErrNotFound
		}
		return next(c)
	}
}

// serializer encodes an answer whole before its first byte is sent, so that one
// that cannot be encoded is an error and not half an answer. A handler that streams
// writes to the response itself.
type serializer struct{ echo.DefaultJSONSerializer }

func (serializer) Serialize(c echo.Context, value any, _ string) error {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false) // nobody reads this as HTML: it says nosniff
	if err := encoder.Encode(value); err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderContentLength, strconv.Itoa(buffer.Len()))
	_, err := c.Response().Write(buffer.Bytes())
	return err
}
