package service

import (
	"context"
	"errors"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// sessionName is what the caller of a session is called where tokens have names.
const sessionName = "session"

// openSession starts a session of a user who has shown everything that it takes.
func (s *Service) openSession(ctx context.Context, tx *store.Tx, actor identity.Actor, user identity.User, now time.Time) (identity.TokenPair, error) {
	id, err := tx.InsertSession(ctx, user.ID, now, now.Add(s.options.RefreshTTL))
	if err != nil {
		return identity.TokenPair{}, err
	}
	pair, err := s.issue(ctx, tx, id, user.ID, now)
	if err != nil {
		return identity.TokenPair{}, err
	}
	if err := tx.RecordSignin(ctx, user.ID, now); err != nil {
		return identity.TokenPair{}, err
	}
	return pair, emit(ctx, tx, actor, now, identity.UserSignedIn, user.ID, nil)
}

// issue gives a session its next pair of tokens. An access token is a token
// that acts for the user with whatever the user may do at each moment.
func (s *Service) issue(ctx context.Context, tx *store.Tx, sessionID, userID int64, now time.Time) (identity.TokenPair, error) {
	issued := func(ttl time.Duration) identity.IssuedToken {
		return identity.IssuedToken{Token: secret.NewToken(), CreatedAt: now, ExpiresAt: now.Add(ttl).Truncate(time.Second)}
	}
	pair := identity.TokenPair{Access: issued(s.options.AccessTTL), Refresh: issued(s.options.RefreshTTL)}
	_, err := tx.InsertToken(ctx, identity.Token{
		Name: sessionName, UserID: userID, SessionID: sessionID, Permissions: identity.AllPermissions, CanViewMaskedData: true,
		CreatedAt: now, ExpiresAt: pair.Access.ExpiresAt, LastUsedAt: now,
	}, secret.Digest(pair.Access.Token))
	if err != nil {
		return identity.TokenPair{}, err
	}
	return pair, tx.InsertRefreshToken(ctx, sessionID, secret.Digest(pair.Refresh.Token), pair.Refresh.ExpiresAt)
}

// Refresh returns the next pair of tokens for a refresh token, which works once:
// presented again it ends the session, for then two have it (RFC 9700 §4.14.2).
// The errors are Unauthenticated and, for the address, Forbidden.
func (s *Service) Refresh(ctx context.Context, actor identity.Actor, token string) (identity.TokenPair, error) {
	now := s.now()
	digest := secret.Digest(token)
	found, err := s.store.RefreshToken(ctx, digest)
	if identity.KindOf(err) == identity.NotFound {
		return identity.TokenPair{}, errInvalidToken()
	}
	if err != nil {
		return identity.TokenPair{}, err
	}
	var pair identity.TokenPair
	var outcome error
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		pair, outcome = identity.TokenPair{}, errInvalidToken()
		user, err := usableUser(ctx, tx, found.UserID) // the user first, as in all that locks both
		if errors.Is(err, errNoUsableUser) {
			return nil
		}
		if err != nil {
			return err
		}
		actor := asUser(actor, user)
		refresh, err := tx.RefreshTokenForUpdate(ctx, digest)
		switch {
		case identity.KindOf(err) == identity.NotFound:
			return nil
		case err != nil:
			return err
		case !now.Before(refresh.ExpiresAt):
			return nil
		case !refresh.UsedAt.IsZero():
			if _, err := tx.DeleteSession(ctx, refresh.SessionID, user.ID); err != nil {
				return err
			}
			return tx.Emit(ctx, identity.Event{
				Type: identity.UserSessionRevoked, Time: now, Actor: actor, SubjectID: user.ID, Reason: "refresh_token_reused",
			})
		case !user.AllowList.Allows(actor.Source):
			outcome = errAddressNotAllowed()
			return refuse(ctx, tx, actor, now, "ip_not_allowed")
		}
		outcome = nil
		if err := tx.UseRefreshToken(ctx, refresh.ID, now); err != nil {
			return err
		}
		if err := tx.ExtendSession(ctx, refresh.SessionID, now, now.Add(s.options.RefreshTTL)); err != nil {
			return err
		}
		pair, err = s.issue(ctx, tx, refresh.SessionID, user.ID, now)
		return err
	})
	if err == nil {
		err = outcome
	}
	return pair, err
}

// SignOut ends the caller's session with all its tokens. A caller without one,
// such as a service token, gets a Conflict.
func (s *Service) SignOut(ctx context.Context, actor identity.Actor) error {
	if actor.SessionID == 0 {
		return identity.Errorf(identity.Conflict, "no_session", "This token belongs to no session. Revoke it instead.")
	}
	now := s.now()
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		deleted, err := tx.DeleteSession(ctx, actor.SessionID, actor.UserID)
		if err != nil || !deleted {
			return err
		}
		return emit(ctx, tx, actor, now, identity.UserSignedOut, actor.UserID, nil)
	})
}

// Prune forgets sessions, challenges, links, counts of attempts, kept answers and
// messages that are over. It may be called at any time by any instance.
func (s *Service) Prune(ctx context.Context) error {
	now := s.now()
	return s.store.InTx(ctx, func(tx *store.Tx) error { return tx.Prune(ctx, now) })
}
