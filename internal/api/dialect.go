// Package api is what the dialects share: how routes are declared, bodies and
// queries read, errors dispatched. It knows no dialect.
package api

import (
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
)

// Dialect is one API over the service: its contract, the table of its routes, the
// way in which its callers say who they are, and the body of its errors.
type Dialect struct {
	Name   string // short, as part of an address
	Prefix string // of every path, such as /api/v2
	// Contract is the OpenAPI document that describes the dialect.
	Contract []byte
	Routes   []Route
	Scheme   Scheme
	// WriteError writes the status and the body of a failure; see Answer.
	WriteError func(c echo.Context, f Failure) error
}

// Route is one call. Path is relative to the dialect's prefix, in Echo's syntax.
type Route struct {
	Method  string
	Path    string
	Handler Handler
	// Public routes take no credential: their caller is anonymous.
	Public bool
	// Scheme is how the callers of this route say who they are; nil for the
	// dialect's scheme.
	Scheme *Scheme
	// MaxBody bounds the request body, in bytes; 0 for the default.
	MaxBody int64
	// Timeout bounds the work on a request; 0 for the default of a few seconds.
	Timeout time.Duration
}

// The default bounds of a request body, in bytes.
const (
	MaxPublicBody = 16 << 10 // of a public route, which anybody may call
	MaxBody       = 1 << 20  // of any other
)

// SchemeOf returns the scheme of a route.
func (d Dialect) SchemeOf(r Route) Scheme {
	if r.Scheme != nil {
		return *r.Scheme
	}
	return d.Scheme
}

// BodyLimit is the most bytes that the body of a request may have.
func (r Route) BodyLimit() int64 {
	switch {
	case r.MaxBody > 0:
		return r.MaxBody
	case r.Public:
		return MaxPublicBody
	}
	return MaxBody
}

// Handler answers a request of a caller. It may write and flush its answer piece by
// piece: where it returns an error after the first byte, the connection is cut, so
// that the client sees that the answer is not whole.
type Handler func(c echo.Context, actor identity.Actor) error
