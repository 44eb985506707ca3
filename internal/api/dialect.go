// Package api is what the dialects share: how routes are declared, bodies and
// queries read, errors dispatched. It knows no dialect.
package api

import (
	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
)

// Dialect is one API over the service: the table of its routes and the way it
// tells of errors.
type Dialect struct {
	Prefix string // of every path, such as /api/v2
	Routes []Route
	// WriteError answers with an error: an *identity.Error, an *echo.HTTPError,
	// or any other, of which nothing may be shown.
	WriteError func(c echo.Context, err error) error
}

// Route is one call. Path is relative to the dialect's prefix, in Echo's syntax.
type Route struct {
	Method  string
	Path    string
	Handler Handler
	// Public routes take no credential: their caller is anonymous.
	Public bool
}

// Handler answers a request of a caller.
type Handler func(c echo.Context, actor identity.Actor) error
