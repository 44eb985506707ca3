// Package api is what the dialects share: how routes are declared, bodies and
// queries read, errors dispatched. It knows no dialect.
package api

import (
	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/delivery"
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
	// Webhook writes the body of a webhook in the dialect's format, which is called
	// WebhookFormat; nil where the dialect has none.
	Webhook       delivery.WebhookRenderer
	WebhookFormat identity.WebhookFormat
}

// WebhookRenderers returns what writes the bodies of webhooks, by format.
func WebhookRenderers(dialects []Dialect) map[identity.WebhookFormat]delivery.WebhookRenderer {
	renderers := map[identity.WebhookFormat]delivery.WebhookRenderer{}
	for _, dialect := range dialects {
		if dialect.Webhook != nil {
			renderers[dialect.WebhookFormat] = dialect.Webhook
		}
	}
	return renderers
}

// Route is one call. Path is relative to the dialect's prefix, in Echo's syntax.
type Route struct {
	Method  string
	Path    string
	Handler Handler
	// Public routes take no credential: their caller is anonymous. They take
	// bodies of application/json only, and nothing from the pages of other sites.
	Public bool
	// MaxBody bounds the request body, in bytes; 0 for the default.
	MaxBody int64
}

// The default bounds of a request body, in bytes.
const (
	MaxPublicBody = 16 << 10 // of a public route, which anybody may call
	MaxBody       = 1 << 20  // of any other
)

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

// Handler answers a request of a caller.
type Handler func(c echo.Context, actor identity.Actor) error
