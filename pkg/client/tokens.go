package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// ServiceToken is a token for a program.
type ServiceToken struct {
	ID                int64     `json:"id"`
	Name              string    `json:"name"`
	Permissions       []string  `json:"permissions"`
	UserID            int64     `json:"userId"` // the user that it acts for; 0 for none
	IPWhitelist       []string  `json:"ipWhitelist"`
	CanViewMaskedData bool      `json:"canViewMaskedData"`
	CreatedAt         time.Time `json:"createdAt"`
	ExpiresAt         time.Time `json:"expiresAt"`  // zero for never
	LastUsedAt        time.Time `json:"lastUsedAt"` // zero for never
	CreatedBy         Creator   `json:"createdBy"`
	IssuerGone        bool      `json:"issuerGone"`      // who made it has been deleted, deactivated or revoked
	Secret            string    `json:"token,omitempty"` // what Token takes; in the answer to Create only
}

// Creator is who made a token or a webhook. It is zero for the command line and the configuration, and where it is not
// known.
type Creator struct {
	UserID  int64 `json:"userId"`  // 0 for none
	TokenID int64 `json:"tokenId"` // 0 for none
}

// text returns the creator as filters name it: the token, or else the user; "" for none.
func (c Creator) text() string {
	switch {
	case c.TokenID != 0:
		return "token:" + strconv.FormatInt(c.TokenID, 10)
	case c.UserID != 0:
		return strconv.FormatInt(c.UserID, 10)
	}
	return ""
}

// TokenCreate is a new token. Name must be given.
type TokenCreate struct {
	Name              string    `json:"name"`
	Permissions       []string  `json:"permissions"`
	UserID            int64     `json:"userId,omitempty"`
	IPWhitelist       []string  `json:"ipWhitelist,omitempty"`
	CanViewMaskedData bool      `json:"canViewMaskedData,omitempty"`
	ExpiresAt         time.Time `json:"expiresAt,omitzero"` // zero for as late as may be
	NeverExpires      bool      `json:"-"`                  // for callers who hold every permission
}

// MarshalJSON returns the token as the API wants it, with null for one that never expires.
func (t TokenCreate) MarshalJSON() ([]byte, error) {
	type fields TokenCreate
	if !t.NeverExpires {
		return json.Marshal(fields(t))
	}
	return json.Marshal(struct {
		fields

		ExpiresAt any `json:"expiresAt"`
	}{fields: fields(t)})
}

// Introspection is what a token stands for at the moment (RFC 7662). All but Active is zero where the token is no good.
type Introspection struct {
	Active            bool     `json:"active"`
	TokenType         string   `json:"token_type"`
	Subject           string   `json:"sub"`       // the id of the user, or token: and the id of a token that acts for none
	Username          string   `json:"username"`  // the user's address, to callers with canViewMaskedData
	ClientID          string   `json:"client_id"` // the id of the service token; "" for a session
	TokenID           string   `json:"jti"`
	Scope             string   `json:"scope"` // Permissions, separated by spaces
	IssuedAt          int64    `json:"iat"`   // seconds since 1970
	ExpiresAt         int64    `json:"exp"`   // seconds since 1970; 0 for never
	UserID            int64    `json:"userId"`
	Permissions       []string `json:"permissions"`
	CanViewMaskedData bool     `json:"canViewMaskedData"`
	ClientTags        []Tag    `json:"clientTags"`
	IPAllowed         bool     `json:"ipAllowed"` // whether it may be used from the address that was asked about
}

// Tokens is the part of the API about service tokens.
type Tokens struct{ c *Client }

// TokenList says which service tokens are listed. Its zero value lists all.
type TokenList struct {
	CreatedBy     Creator
	UserID        int64     // the user that they act for; 0 for any
	ExpiresAfter  time.Time // at this time or later; zero for any
	ExpiresBefore time.Time // zero for any
	Size          int       // how many are asked for at once, 1 to 1000; 0 for 50
}

// List returns the service tokens that match.
func (s *Tokens) List(ctx context.Context, which TokenList) iter.Seq2[ServiceToken, error] {
	q := Page{which.Size}.query()
	setText(q, "filter[createdBy]", which.CreatedBy.text())
	setInt(q, "filter[userId]", which.UserID)
	setTime(q, "filter[expiresAfter]", which.ExpiresAfter)
	setTime(q, "filter[expiresBefore]", which.ExpiresBefore)
	return list[ServiceToken](ctx, s.c, "/tokens", q)
}

// Get returns a token.
func (s *Tokens) Get(ctx context.Context, id int64) (ServiceToken, error) {
	return one[ServiceToken](ctx, s.c, newCall(http.MethodGet, path("tokens", id), nil))
}

// Create makes a token. Its Secret is in this answer only.
func (s *Tokens) Create(ctx context.Context, token TokenCreate) (ServiceToken, error) {
	if token.Permissions == nil {
		token.Permissions = []string{}
	}
	return one[ServiceToken](ctx, s.c, newCall(http.MethodPost, "/tokens", token))
}

// Delete revokes a token.
func (s *Tokens) Delete(ctx context.Context, id int64) error {
	return s.c.remove(ctx, path("tokens", id))
}

// Introspect tells what a token stands for, and, where ip is not "", whether it may be used from that address.
func (s *Tokens) Introspect(ctx context.Context, token, ip string) (Introspection, error) {
	form := url.Values{"token": {token}}
	setText(form, "ip", ip)
	r := newCall(http.MethodPost, "/introspect", form)
	r.safe = true
	return one[Introspection](ctx, s.c, r)
}
