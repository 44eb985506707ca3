// Package client is a client of Roster's API at /api/v2.
//
//	c, err := client.New("https://roster.example.com", client.Token(token))
//	mary, err := c.Users.Create(ctx, client.UserCreate{Name: "Mary", Email: "mary@example.com", Password: "…"})
//	for user, err := range c.Users.List(ctx, client.UserList{Status: "active"}) { … }
//
// Every field of an answer can be read as it is: where the API has null, the client has the zero value. What Roster
// refuses is an [*Error]. In an update a nil field stays as it is; new("Ann") sets one.
//
// A call waits and is repeated after an error that may pass, if to repeat it does no harm. It is not repeated after its
// context is done. A Client may be used by several goroutines.
package client

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client calls one Roster.
type Client struct {
	Users    *Users
	Groups   *Groups
	Tokens   *Tokens
	Webhooks *Webhooks
	Events   *Events
	Outbox   *Outbox
	Jobs     *Jobs
	Sessions *Sessions
	Records  *Records

	base    string // without a slash at its end
	token   string
	http    *http.Client
	retries int
}

// Option changes a new client.
type Option func(*Client)

// Token sends a token with each call.
func Token(token string) Option {
	return func(c *Client) { c.token = token }
}

// HTTPClient sends the calls through a copy of h. Redirects are not followed. Without this option a call has 30 seconds
// for each try.
func HTTPClient(h *http.Client) Option {
	return func(c *Client) { c.http = new(*h) }
}

// Retries sets how often a call is repeated at most; 0 for never. It is 3 without this option.
func Retries(most int) Option {
	return func(c *Client) { c.retries = most }
}

// New returns a client of the Roster at an address such as https://roster.example.com. The error is for an address that
// is none.
func New(address string, options ...Option) (*Client, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the address of Roster: %w", err)
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.User != nil, u.RawQuery != "", u.Fragment != "":
		return nil, errors.New("the address of Roster must be one such as https://roster.example.com")
	}
	const patience, retries = 30 * time.Second, 3
	c := &Client{base: strings.TrimRight(u.String(), "/"), http: &http.Client{Timeout: patience}, retries: retries}
	for _, option := range options {
		option(c)
	}
	// The API has no redirects. To follow one could send the token over a plain connection.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Users, c.Groups, c.Tokens = &Users{c}, &Groups{c}, &Tokens{c}
	c.Webhooks, c.Events, c.Outbox = &Webhooks{c}, &Events{c}, &Outbox{c}
	c.Sessions, c.Records = &Sessions{c}, &Records{c}
	c.Jobs = &Jobs{c}
	return c, nil
}

// CallOption changes one call.
type CallOption func(*call)

// IfVersion lets the call change or delete this version only. If there is another by now, the error has the code
// stale_version.
func IfVersion(version int64) CallOption {
	return func(c *call) { c.set("If-Match", fmt.Sprintf(`"%d"`, version)) }
}

// IdempotencyKey replaces the random key of a creation, so that it can be repeated by another process: within 24 hours
// the same key and the same user get the first answer again. It has 1 to 255 visible ASCII characters.
func IdempotencyKey(key string) CallOption {
	return func(c *call) { c.set("Idempotency-Key", key) }
}

// Force lets a change of a user pass that shuts its own author out.
func Force() CallOption {
	return func(c *call) { c.query.Set("force", "true") }
}
