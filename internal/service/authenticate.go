package service

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// lastUseResolution is how exact a token's last use is recorded.
const lastUseResolution = time.Minute

// Authenticate returns the caller that a bearer token stands for. What decides,
// on every request and as things are now: the token exists and has not expired,
// its user (if it acts for one) is active, and both allow-lists hold the source.
// The errors are Unauthenticated and, for the address, Forbidden.
func (s *Service) Authenticate(ctx context.Context, credential string, origin identity.Origin) (identity.Actor, error) {
	now := s.now()
	grant, err := s.store.Grant(ctx, secret.Digest(credential))
	if err != nil {
		if identity.KindOf(err) == identity.NotFound {
			return identity.Actor{}, errInvalidToken()
		}
		return identity.Actor{}, err
	}
	if !usable(grant, now) {
		return identity.Actor{}, errInvalidToken()
	}
	actor := actorOf(grant).From(origin)
	if !allows(grant, origin.Source) {
		err := errAddressNotAllowed()
		s.Refused(ctx, actor, err)
		return identity.Actor{}, err
	}
	if now.Sub(grant.Token.LastUsedAt) >= lastUseResolution {
		s.touch(ctx, grant.Token, now)
	}
	return actor, nil
}

// usable reports whether a token still stands for someone.
func usable(grant store.Grant, now time.Time) bool {
	return !grant.Token.ExpiredAt(now) && (grant.Token.UserID == 0 || grant.UserActive)
}

// allows reports whether a token may be used from an address.
func allows(grant store.Grant, source netip.Addr) bool {
	return grant.Token.AllowList.Allows(source) && grant.UserAllowList.Allows(source)
}

// actorOf returns whom a token stands for and what that one may do.
func actorOf(grant store.Grant) identity.Actor {
	token := grant.Token
	actor := identity.Actor{
		Name: string(token.Name), TokenID: token.ID, UserID: token.UserID, SessionID: token.SessionID,
		Permissions: token.Permissions, CanViewMaskedData: token.CanViewMaskedData,
	}
	if token.SessionID != 0 { // its access tokens come and go; it is the user who acts
		actor.TokenID = 0
	}
	if token.UserID != 0 { // it acts for the user, so never beyond the user's own rights
		actor.Permissions &= grant.UserPermissions
		actor.CanViewMaskedData = actor.CanViewMaskedData && grant.UserCanViewMaskedData
	}
	return actor
}

func errInvalidToken() error {
	return identity.Errorf(identity.Unauthenticated, "invalid_token", "The access token is unknown, expired or revoked.")
}

// touch records the use of a token. That it fails, say because the database
// takes no writes, is no reason to refuse a request that may only read.
func (s *Service) touch(ctx context.Context, token identity.Token, now time.Time) {
	const patience = time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		return tx.TouchToken(ctx, token.ID, now, now.Add(-lastUseResolution))
	})
	if err != nil {
		slog.WarnContext(ctx, "recording the use of a token", "token_id", token.ID, "error", err)
	}
}
