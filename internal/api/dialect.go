// Package api holds the code that the dialects share: it declares routes, reads bodies
// and queries, and turns errors into answers. It knows no dialect.
package api

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
)

// Dialect is one API over the service: its contract, its routes, its authentication
// scheme and the body of its errors.
type Dialect struct {
	Name   string // short: a part of the contract's address
	Prefix string // of every path, such as /api/v2
	// Contract is the OpenAPI document that describes the dialect; nil for pages.
	Contract []byte
	Routes   []Route
	Scheme   Scheme
	// WriteError writes the status and the body of a failure; see Answer.
	WriteError func(c echo.Context, f Failure) error
	// Webhook writes the body of a webhook in the dialect's format, which is called
	// WebhookFormat; nil where the dialect has none.
	Webhook       delivery.WebhookRenderer
	WebhookFormat identity.WebhookFormat
	// Files are served without a credential at Prefix + /static/; nil for none. They lie in
	// one folder. With their FileVersion as the parameter v, browsers keep them for good.
	Files fs.FS
}

// FileVersion returns a digest of a file's content, in hexadecimal.
func FileVersion(content []byte) string {
	const length = 8 // bytes; it tells releases apart and is no secret
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:length])
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
	// Public routes read no credential: their caller is anonymous.
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
	MaxPublicBody = 16 << 10 // of a public route
	MaxBody       = 1 << 20  // of any other route
)

// SchemeOf returns the scheme of a route.
func (d Dialect) SchemeOf(r Route) Scheme {
	if r.Scheme != nil {
		return *r.Scheme
	}
	return d.Scheme
}

// BodyLimit returns the maximum size of a request body, in bytes.
func (r Route) BodyLimit() int64 {
	switch {
	case r.MaxBody > 0:
		return r.MaxBody
	case r.Public:
		return MaxPublicBody
	}
	return MaxBody
}

// Handler answers a request of a caller. It may write and flush its answer in pieces.
// If it returns an error after the first byte, the server cuts the connection, so that
// the client sees that the answer is incomplete.
type Handler func(c echo.Context, actor identity.Actor) error

const actorKey = "actor" // in the Echo context

// SetActor keeps the caller of a request: an anonymous one until its credential is checked.
func SetActor(c echo.Context, actor identity.Actor) { c.Set(actorKey, actor) }

// ActorOf returns the caller of a request, for the answer to an error and for the log.
func ActorOf(c echo.Context) identity.Actor {
	actor, _ := c.Get(actorKey).(identity.Actor)
	return actor
}
