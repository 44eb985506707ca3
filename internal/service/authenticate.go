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

// Authenticate returns the caller of a bearer token. It checks on every request that the
// token exists and has not expired, that its user (if it acts for one) is active, and
// that both allow-lists contain the source. The errors are Unauthenticated and, for the
// address, Forbidden.
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
	actor := actorOf(grant, now).From(origin)
	actor.Credential = secret.Digest(credential)
	if !allows(grant, origin.Source) {
		err := errAddressNotAllowed()
		s.Denied(ctx, actor, err)
		return identity.Actor{}, err
	}
	if now.Sub(grant.Token.LastUsedAt) >= lastUseResolution {
		s.touch(ctx, grant, origin.Source, now)
	}
	return actor, nil
}

// current returns the caller with the rights that it has now, read in the transaction. An
// operation calls it after it has its locks, so that rights that were taken away while
// it waited no longer count. The errors are those of Authenticate.
func (s *Service) current(ctx context.Context, tx *store.Tx, actor identity.Actor) (identity.Actor, error) {
	now, _, err := s.regrant(ctx, tx, actor)
	return now, err
}

// lockTouched locks the user that an operation changes, and returns it and the caller as
// current does. may checks whether the caller may try; a caller who is not that user in person
// needs every permission of the user as well. The errors are those of current and may,
// Forbidden and NotFound.
func (s *Service) lockTouched(ctx context.Context, tx *store.Tx, actor identity.Actor, userID int64,
	may func(identity.Actor) error,
) (identity.User, identity.Actor, error) {
	user, err := tx.UserForUpdate(ctx, userID)
	if err != nil {
		return user, actor, err
	}
	if actor, err = s.current(ctx, tx, actor); err != nil {
		return user, actor, err
	}
	if err := may(actor); err != nil || actor.Is(userID) {
		return user, actor, err
	}
	permissions, err := lockGroups(ctx, tx, nil, user.Groups, false)
	if err != nil {
		return user, actor, err
	}
	return user, actor, actor.RequireCover(permissions, user.CanViewMaskedData)
}

// regrant is current, and also returns the grant that it has read; the zero Grant for the
// command line.
func (s *Service) regrant(ctx context.Context, tx *store.Tx, actor identity.Actor,
) (identity.Actor, store.Grant, error) {
	if actor.Credential == "" && actor.SessionID == 0 && actor.TokenID == 0 { // the command line
		return actor, store.Grant{}, nil
	}
	grant, err := tx.GrantOf(ctx, actor)
	return s.regranted(actor, grant, err)
}

// regranted is regrant for a grant that is read, or the error of reading it.
func (s *Service) regranted(actor identity.Actor, grant store.Grant, err error) (identity.Actor, store.Grant, error) {
	now := s.now()
	switch {
	case identity.KindOf(err) == identity.NotFound, err == nil && !usable(grant, now):
		return actor, store.Grant{}, errInvalidToken()
	case err != nil:
		return actor, store.Grant{}, err
	case !allows(grant, actor.Source):
		return actor, store.Grant{}, errAddressNotAllowed()
	}
	again := actorOf(grant, now)
	actor.Name = again.Name
	actor.Permissions, actor.CanViewMaskedData = again.Permissions, again.CanViewMaskedData
	actor.Fresh, actor.MustEnrol = again.Fresh, again.MustEnrol
	return actor, grant, nil
}

// usable reports whether a token has not expired and its user, if any, is active.
func usable(grant store.Grant, now time.Time) bool {
	return !grant.Token.ExpiredAt(now) && (grant.Token.UserID == 0 || grant.UserActive)
}

// allows reports whether a token may be used from an address.
func allows(grant store.Grant, source netip.Addr) bool {
	return grant.Token.AllowList.Allows(source) && grant.UserAllowList.Allows(source)
}

// actorOf returns the caller of a token, with the rights that it has at a time.
func actorOf(grant store.Grant, now time.Time) identity.Actor {
	token := grant.Token
	actor := identity.Actor{
		Name: string(token.Name), TokenID: token.ID, UserID: token.UserID, SessionID: token.SessionID,
		Permissions: token.Permissions, CanViewMaskedData: token.CanViewMaskedData,
	}
	if token.UserID != 0 { // it acts for the user, so never beyond the user's own rights
		// users.self is about the user alone, so every user has it.
		actor.Permissions &= grant.UserPermissions | identity.PermissionSet(identity.UsersSelf)
		actor.CanViewMaskedData = actor.CanViewMaskedData && grant.UserCanViewMaskedData
	}
	if token.SessionID != 0 { // events name the user, not one of many access tokens
		actor.TokenID = 0
		actor.Fresh = now.Before(grant.SessionFreshUntil)
		actor.MustEnrol = grant.UserMustEnrol
	}
	if actor.MustEnrol {
		actor.Permissions, actor.CanViewMaskedData = 0, false
	}
	return actor
}

func errInvalidToken() error {
	return identity.Errorf(identity.Unauthenticated, "invalid_token", "The access token is unknown, expired or revoked.")
}

// touch records the use of a token and extends a held session: by what was set when the
// session began or, if that is less, by what is set now. A failure is logged: a database
// that takes no writes must not stop requests that only read.
func (s *Service) touch(ctx context.Context, grant store.Grant, source netip.Addr, now time.Time) {
	token := grant.Token
	const timeout = time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		before := now.Add(-lastUseResolution)
		if err := tx.TouchToken(ctx, token.ID, token.SessionID, sourceText(source), now, before); err != nil {
			return err
		}
		if grant.SessionIdle == 0 {
			return nil
		}
		return tx.ExtendHeld(ctx, token.SessionID, token.ID, s.heldEnd(grant, min(grant.SessionIdle, s.options.HeldTTL), now))
	})
	if err != nil {
		slog.WarnContext(ctx, "recording the use of a token", "token_id", token.ID, "error", err)
	}
}

// sourceText returns an address as it is stored; "" if it is unknown.
func sourceText(source netip.Addr) string {
	if !source.IsValid() {
		return ""
	}
	return source.String()
}
