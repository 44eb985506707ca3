package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// Source is an address that a user has signed in from.
type Source struct {
	Address       string    `json:"address"` // IPv4, or the /64 of IPv6
	FirstSeenTime time.Time `json:"firstSeenTime"`
	LastSeenTime  time.Time `json:"lastSeenTime"`
}

// SigninState tells of failed tries to sign in as a user.
type SigninState struct {
	WrongPasswords int       `json:"wrongPasswords"` // in the last 24 hours
	WrongCodes     int       `json:"wrongCodes"`     // in the last hour
	LockedUntil    time.Time `json:"lockedUntil"`    // from one address at least; zero if nothing is locked
	// LockedEverywhereUntil is for all addresses. A lock by wrong passwords leaves out those that the user has signed in
	// from within 90 days.
	LockedEverywhereUntil time.Time `json:"lockedEverywhereUntil"`
}

// Access is what a user may do.
type Access struct {
	Permissions       []GivenPermission `json:"permissions"`
	CanViewMaskedData bool              `json:"canViewMaskedData"`
	TFARequiredBy     []GroupName       `json:"tfaRequiredBy"`
}

// GivenPermission is a permission with the groups that give it.
type GivenPermission struct {
	Permission string      `json:"permission"`
	Groups     []GroupName `json:"groups"`
}

// GroupName is the id and the name of a group.
type GroupName struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// Holdings are what a user holds.
type Holdings struct {
	Sessions        int64        `json:"sessions"`
	TokensActingFor HeldTokens   `json:"tokensActingFor"`
	TokensCreated   HeldTokens   `json:"tokensCreated"`
	WebhooksCreated HeldWebhooks `json:"webhooksCreated"`
}

// HeldTokens are tokens of which the first ten have names, for callers with tokens.manage.
type HeldTokens struct {
	Total int64          `json:"total"`
	First []ServiceToken `json:"first"` // ID and Name
}

// HeldWebhooks are webhooks of which the first ten have URLs, for callers with webhooks.manage.
type HeldWebhooks struct {
	Total int64     `json:"total"`
	First []Webhook `json:"first"` // ID and URL
}

// Sources returns the addresses that a user has signed in from in the last 90 days, the latest first.
func (s *Users) Sources(ctx context.Context, id int64, page Page) iter.Seq2[Source, error] {
	return list[Source](ctx, s.c, path("users", id, "sources"), page.query())
}

// SigninState returns how many tries to sign in as a user have failed, and what they have locked.
func (s *Users) SigninState(ctx context.Context, id int64) (SigninState, error) {
	return one[SigninState](ctx, s.c, newCall(http.MethodGet, path("users", id, "signin-state"), nil))
}

// Access returns what a user may do, and which groups give it.
func (s *Users) Access(ctx context.Context, id int64) (Access, error) {
	return one[Access](ctx, s.c, newCall(http.MethodGet, path("users", id, "access"), nil))
}

// Holdings returns what a user holds: sessions, tokens, webhooks.
func (s *Users) Holdings(ctx context.Context, id int64) (Holdings, error) {
	return one[Holdings](ctx, s.c, newCall(http.MethodGet, path("users", id, "holdings"), nil))
}
