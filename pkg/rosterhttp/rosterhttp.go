// Package rosterhttp protects the handlers of a service with Roster's tokens.
//
//	guard := rosterhttp.New(roster) // a *client.Client
//	mux.Handle("GET /accounts", guard.Require("users.view")(accounts))
//
// and in the handler:
//
//	caller := rosterhttp.CallerFrom(r.Context())
//
// The guard asks Roster what the bearer token of a request stands for (RFC 7662), and whether it may be used from
// the client's address. Its own token, that of the client, needs tokens.introspect and canViewMaskedData; without
// the second one Roster does not tell whether an address is allowed.
//
// Answers are kept for a few seconds; see [TTL]. For so long a token that was revoked, or a right that was taken away,
// still counts. While Roster cannot be asked, the guard answers 503 to every request that needs a new answer.
//
// However many requests there are, a few questions are on their way to Roster at once; see [MaxInFlight]. Requests with
// the same token and address share one.
package rosterhttp

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rosterhq/roster/pkg/client"
)

// Caller is who has sent a request.
type Caller struct {
	Subject           string // the id of the user, or token: and the id of a token that acts for none
	UserID            int64  // 0 for a token that acts for no user
	Username          string // the user's e-mail address; "" for a token that acts for no user
	ClientID          string // the id of the service token; "" for a user who has signed in
	Permissions       []string
	CanViewMaskedData bool
	ClientTags        []client.Tag
	Address           netip.Addr // of the client
}

// Has reports whether the caller has a permission.
func (c Caller) Has(permission string) bool {
	return slices.Contains(c.Permissions, permission) || slices.Contains(c.Permissions, "*")
}

type contextKey struct{}

// CallerFrom returns the caller of a request that a guard has let through. For any other
// request it returns the zero Caller, which has no permission.
func CallerFrom(ctx context.Context) Caller {
	caller, _ := ctx.Value(contextKey{}).(Caller)
	return caller
}

// Guard lets the requests of those through who may send them. It may be used by several goroutines.
type Guard struct {
	roster  *client.Client
	ttl     time.Duration
	trusted []netip.Prefix

	turns chan struct{} // one for each question that is on its way

	mu        sync.Mutex
	good, bad cache // apart, so that tokens that are made up do not push out those that are in use
	questions map[key]*question
}

// Option changes a new guard.
type Option func(*Guard)

// TTL sets how long an answer of Roster counts; 0 asks for each request. It is 10 seconds without this option.
func TTL(d time.Duration) Option {
	return func(g *Guard) { g.ttl = d }
}

// CacheSize bounds the number of kept answers for good tokens, and separately for others.
// The default is 10,000. An answer takes about a kilobyte.
func CacheSize(most int) Option {
	return func(g *Guard) { g.good.most, g.bad.most = most, most }
}

// MaxInFlight bounds how many questions are on their way to Roster at once, so that a flood of tokens does not open a
// connection for each. Other requests wait for their turn, for at most 5 seconds, and are then answered 503. The
// default is 16; less than 1 is 1.
func MaxInFlight(most int) Option {
	return func(g *Guard) { g.turns = make(chan struct{}, max(most, 1)) }
}

// TrustedProxies names the proxies in front of the service. For a request from one of them,
// the client's address is the right-most one in X-Forwarded-For that is not a proxy's.
// Without this option the header is ignored.
func TrustedProxies(prefixes ...netip.Prefix) Option {
	return func(g *Guard) { g.trusted = prefixes }
}

// New returns a guard that asks a Roster.
func New(roster *client.Client, options ...Option) *Guard {
	const ttl, most, inFlight = 10 * time.Second, 10_000, 16
	g := &Guard{
		roster: roster, ttl: ttl, good: cache{most: most}, bad: cache{most: most}, turns: make(chan struct{}, inFlight),
		questions: map[key]*question{},
	}
	for _, option := range options {
		option(g)
	}
	return g
}

// Require returns a middleware that lets a request through if its token is good and has all of the permissions; without
// any, each good token is let through. It answers 401 or 403 to others, and 503 while Roster cannot be asked.
func (g *Guard) Require(permissions ...string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			caller, refusal := g.check(r, permissions)
			if refusal != nil {
				refusal.write(w)
				return
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, caller)))
		})
	}
}

// refusal is why a request is not let through.
type refusal struct {
	status    int
	challenge string
	message   string
}

func (f *refusal) write(w http.ResponseWriter) {
	if f.challenge != "" {
		w.Header().Set("WWW-Authenticate", f.challenge)
	}
	if f.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, f.message, f.status)
}

const realm = `Bearer realm="roster"`

func (g *Guard) check(r *http.Request, permissions []string) (Caller, *refusal) {
	token, ok := bearer(r)
	if !ok {
		return Caller{}, &refusal{http.StatusUnauthorized, realm, "Send an access token."}
	}
	address := clientAddress(r, g.trusted)
	if !address.IsValid() { // to ask without an address would be to ask for less
		return Caller{}, &refusal{http.StatusForbidden, "", "Your address cannot be told."}
	}
	found, err := g.introspect(r.Context(), token, address)
	if err != nil {
		return Caller{}, &refusal{http.StatusServiceUnavailable, "", "Access cannot be checked at the moment."}
	}
	caller := Caller{
		Subject: found.Subject, UserID: found.UserID, Username: found.Username, ClientID: found.ClientID,
		Permissions: slices.Clone(found.Permissions), CanViewMaskedData: found.CanViewMaskedData,
		ClientTags: slices.Clone(found.ClientTags), Address: address,
	}
	switch {
	case !found.Active:
		return Caller{}, &refusal{
			http.StatusUnauthorized, realm + `, error="invalid_token"`, "The access token is unknown, expired or revoked.",
		}
	case !found.IPAllowed:
		return Caller{}, &refusal{http.StatusForbidden, "", "The access token may not be used from your address."}
	}
	for _, permission := range permissions {
		if !caller.Has(permission) {
			message := fmt.Sprintf("This needs the permission %s.", permission)
			return Caller{}, &refusal{http.StatusForbidden, realm + `, error="insufficient_scope"`, message}
		}
	}
	return caller, nil
}

// bearer returns the token of a request, if it has one that could be a token of Roster.
func bearer(r *http.Request) (string, bool) {
	const most = 4096
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	token = strings.TrimSpace(token)
	strange := strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' })
	return token, strings.EqualFold(scheme, "Bearer") && token != "" && len(token) <= most && !strange
}

// cache keeps answers. It has no lock of its own.
type cache struct {
	most    int
	entries map[key]entry
}

// key has no token in it, so that a dump of the memory has none for longer than its request.
type key struct {
	token   [sha256.Size]byte
	address netip.Addr
}

type entry struct {
	found client.Introspection
	until time.Time
}

func (c *cache) get(k key, now time.Time) (client.Introspection, bool) {
	e, ok := c.entries[k]
	if ok && !now.Before(e.until) {
		delete(c.entries, k)
		ok = false
	}
	return e.found, ok
}

// put keeps an answer, in the place of any other one if there are too many.
func (c *cache) put(k key, found client.Introspection, until time.Time) {
	if c.most <= 0 {
		return
	}
	if c.entries == nil {
		c.entries = map[key]entry{}
	}
	if _, known := c.entries[k]; !known && len(c.entries) >= c.most {
		for other := range c.entries {
			delete(c.entries, other)
			break
		}
	}
	c.entries[k] = entry{found, until}
}

// clientAddress is the peer, or, where the peer is a trusted proxy, the right-most address of X-Forwarded-For that is
// not one. It is the zero Addr where that entry is no address.
func clientAddress(r *http.Request, trusted []netip.Prefix) netip.Addr {
	isTrusted := func(a netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	address := parseAddress(r.RemoteAddr)
	headers := r.Header.Values("X-Forwarded-For")
	if len(headers) == 0 {
		return address
	}
	for _, entry := range slices.Backward(strings.Split(strings.Join(headers, ","), ",")) {
		if !isTrusted(address) {
			break
		}
		address = parseAddress(strings.TrimSpace(entry))
	}
	return address
}

// parseAddress reads an address, with a port or in brackets or neither; the zero Addr for anything else.
func parseAddress(text string) netip.Addr {
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}
		}
		address = withPort.Addr()
	}
	return address.Unmap().WithZone("")
}
