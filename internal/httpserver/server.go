// Package httpserver connects the network with the dialects: it does routing, request
// ids, logs, metrics, the client's address, limits, error answers, health checks and
// documentation.
package httpserver

import (
	"bytes"
	"cmp"
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

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// Options are the parameters of New.
type Options struct {
	// Dialects are mounted side by side. The first one also writes the errors for paths
	// of no dialect, and its contract describes those paths.
	Dialects []api.Dialect
	// Home is the path that the root leads to, without a slash at its start.
	Home string
	// SignIn is the path of the page to sign in, without a slash at its start; "" for none.
	SignIn string
	// Authenticate returns the caller of a credential.
	Authenticate func(ctx context.Context, credential string, origin identity.Origin) (identity.Actor, error)
	// Denied records what an authenticated caller was denied.
	Denied func(ctx context.Context, actor identity.Actor, err error)
	// Ready returns nil when requests can be served.
	Ready func(context.Context) error
	// TrustedProxies are the peers whose X-Forwarded-For and X-Request-Id are used.
	TrustedProxies []identity.AddressRange
	// Secure means that clients reach the service by HTTPS. Answers then have the header
	// that restricts browsers to HTTPS (RFC 6797).
	Secure bool
	// Timeout limits the work on a request of a route without a Timeout. 0 is four
	// seconds: clients do not wait longer.
	Timeout time.Duration
	Logger  *slog.Logger
	Metrics *Metrics // may be nil
	// Trace makes every request a span; see StartTracing.
	Trace bool
	// RequestID returns a new id for a request. With nil, it is a UUID (RFC 9562, version 7).
	RequestID func() string
}

// Server is the HTTP side of Roster.
type Server struct {
	options  Options
	echo     *echo.Echo
	draining atomic.Bool

	warnForwarded sync.Once // the warning about an X-Forwarded-For that is ignored
}

// requestTimeout is the default of Options.Timeout.
const requestTimeout = 4 * time.Second

// New returns a server with all routes.
func New(options Options) *Server {
	options.Timeout = cmp.Or(options.Timeout, requestTimeout)
	if options.RequestID == nil {
		options.RequestID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	s := &Server{options: options, echo: echo.New()}
	e := s.echo
	e.JSONSerializer = serializer{}
	e.HTTPErrorHandler = s.handleError
	// Echo's own extractor trusts the X-Forwarded-For of any client.
	e.IPExtractor = func(r *http.Request) string { return s.source(r).String() }
	if options.Trace {
		e.Use(traceRequest)
	}
	e.Use(s.observe, recoverPanic, wholeSegments)

	serveGet(e, "/healthz", func(c echo.Context) error { return c.JSON(http.StatusOK, health{"ok"}) })
	serveGet(e, "/readyz", s.ready)
	registerPages(e, options.Dialects, options.Home, options.SignIn)
	for _, dialect := range options.Dialects {
		if dialect.Files != nil {
			registerFiles(e, dialect.Files, dialect.Prefix+"/static/:file")
		}
		for _, route := range dialect.Routes {
			handler := s.handler(dialect.SchemeOf(route), route)
			e.Add(route.Method, dialect.Prefix+route.Path, handler)
			if route.Method == http.MethodGet { // RFC 9110 §9.1: GET implies HEAD
				e.Add(http.MethodHead, dialect.Prefix+route.Path, handler)
			}
		}
	}
	return s
}

// ServeHTTP answers one request. It routes by the decoded path, because /%75sers and
// /users are the same address (RFC 3986 §6.2.2.2), which Echo does not know. Only a
// path with an encoded slash keeps its encoded form, for wholeSegments.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(strings.ToLower(r.URL.RawPath), "%2f") {
		r.URL.RawPath = ""
	}
	s.echo.ServeHTTP(w, r)
}

type health struct {
	Status string `json:"status"`
}

// ready answers load balancers: 503 while the database is not available, its schema is
// too old, or this instance shuts down.
func (s *Server) ready(c echo.Context) error {
	const readyTimeout = time.Second
	ctx, cancel := context.WithTimeout(c.Request().Context(), readyTimeout)
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

// handler returns the handler of a route with all checks before it.
func (s *Server) handler(scheme api.Scheme, route api.Route) echo.HandlerFunc {
	next := s.authenticated(scheme, route.Handler)
	if route.Public {
		next = s.anonymous(route.Handler)
	}
	next = s.limitTime(route.Timeout, limitBody(route.BodyLimit(), guarded(scheme, route.Public, next)))
	return func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
		api.SetActor(c, identity.Anonymous(s.origin(c)))
		return next(c)
	}
}

// guarded calls the scheme's guard before the handler.
func guarded(scheme api.Scheme, public bool, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := scheme.Guard(c.Request(), public); err != nil {
			return err
		}
		return next(c)
	}
}

// authenticated passes the caller to the handler. It reports to Options.Denied each
// Forbidden that the handler returns, for every route of every dialect, also where the
// answer has begun, the client has gone or the timeout has passed. It reports nothing
// without a caller: Authenticate and the operations of public routes record what they
// deny themselves.
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
		api.SetActor(c, actor)
		err = next(c, actor)
		if identity.KindOf(err) == identity.Forbidden {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), s.options.Timeout)
			defer cancel()
			s.options.Denied(ctx, actor, err)
		}
		return err
	}
}

// anonymous calls the handler of a public route with an anonymous caller.
func (s *Server) anonymous(next api.Handler) echo.HandlerFunc {
	return func(c echo.Context) error { return next(c, api.ActorOf(c)) }
}

// origin returns the address, the ids and the client of a request.
func (s *Server) origin(c echo.Context) identity.Origin {
	return identity.Origin{
		Source: s.source(c.Request()), Client: client(c.Request()),
		RequestID: requestID(c), ClientRequestID: clientRequestID(c),
	}
}

// client returns the User-Agent of a request, cut to its printable characters and to
// identity.MaxClientLength.
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

// handleError answers every error in the form of the path's dialect. It does nothing
// where the answer has begun.
func (s *Server) handleError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	dialect := s.options.Dialects[0]
	for _, d := range s.options.Dialects {
		if path := c.Request().URL.Path; path == d.Prefix || strings.HasPrefix(path, d.Prefix+"/") {
			dialect = d
		}
	}
	switch {
	case errors.Is(err, echo.ErrNotFound):
		c.Response().Header().Del(echo.HeaderAllow)
		err = echo.NewHTTPError(http.StatusNotFound, "There is nothing at this address.")
	case errors.Is(err, echo.ErrMethodNotAllowed):
		allowed := c.Response().Header().Get(echo.HeaderAllow)
		err = echo.NewHTTPError(http.StatusMethodNotAllowed, fmt.Sprintf("Only %s can be used here.", allowed))
	}
	if writeErr := dialect.Answer(c, err); writeErr != nil {
		s.options.Logger.ErrorContext(c.Request().Context(), "answering with an error",
			"error", writeErr, "request_id", requestID(c))
	}
}

// wholeSegments keeps Echo from matching /users/:id with /users/1/2: a parameter at the
// end of a path takes slashes, too. It returns NotFound for a path with an encoded
// slash: a proxy in front may read it as a slash or as part of a name, and the proxy's
// rules must apply to the address that is served.
func wholeSegments(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().URL.RawPath != "" {
			return echo.ErrNotFound
		}
		route, path := c.Path(), c.Request().URL.Path
		if strings.Contains(route, ":") && strings.Count(route, "/") != strings.Count(path, "/") {
			return echo.ErrNotFound
		}
		return next(c)
	}
}

// serializer encodes a whole answer before it sends the first byte, so that an encoding
// error does not leave half an answer. A handler that streams writes to the response
// itself.
//
// The answers of requests that have ended lend it their memory.
type serializer struct{ echo.DefaultJSONSerializer }

// maxKeptBuffer bounds the memory that an answer leaves to later ones, in bytes: a page is smaller.
const maxKeptBuffer = 64 << 10

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (serializer) Serialize(c echo.Context, value any, _ string) error {
	buffer, _ := buffers.Get().(*bytes.Buffer)
	defer func() {
		if buffer.Cap() <= maxKeptBuffer {
			buffers.Put(buffer)
		}
	}()
	buffer.Reset()
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false) // nosniff keeps browsers from reading it as HTML
	if err := encoder.Encode(value); err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderContentLength, strconv.Itoa(buffer.Len()))
	_, err := c.Response().Write(buffer.Bytes())
	return err
}
