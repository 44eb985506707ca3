package service

import (
	"context"
	"errors"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// sessionName is the name of a session's access tokens, and of its caller.
const sessionName = "session"

// openSession starts a session of a user whose sign-in is complete.
func (s *Service) openSession(ctx context.Context, tx *store.Tx, actor identity.Actor, user identity.User,
	now time.Time,
) (identity.TokenPair, error) {
	id, err := tx.InsertSession(ctx, user.ID, identity.Session{
		CreatedAt: now, LastUsedAt: now, ExpiresAt: s.refreshEnd(now, now), FreshUntil: now.Add(identity.FreshPeriod),
		Source: sourceText(actor.Source), Client: actor.Client,
	})
	if err != nil {
		return identity.TokenPair{}, err
	}
	pair, err := s.issue(ctx, tx, id, user.ID, now, now)
	if err != nil {
		return identity.TokenPair{}, err
	}
	if err := noteSource(ctx, tx, actor, user, now); err != nil {
		return identity.TokenPair{}, err
	}
	if err := tx.SetLastSignin(ctx, user.ID, now); err != nil {
		return identity.TokenPair{}, err
	}
	return pair, emit(ctx, tx, identity.Event{Type: identity.UserSignedIn, Time: now, Actor: actor, SubjectID: user.ID})
}

// refreshEnd returns when a session ends if it is not used after now: at the latest
// SessionTTL after the sign-in.
func (s *Service) refreshEnd(signedInAt, now time.Time) time.Time {
	return earlier(now.Add(s.options.RefreshTTL), signedInAt.Add(s.options.SessionTTL)).Truncate(time.Second)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// issue gives a session its next pair of tokens. The access token acts for the user with
// the rights that the user has at each moment.
func (s *Service) issue(ctx context.Context, tx *store.Tx, sessionID, userID int64, signedInAt, now time.Time,
) (identity.TokenPair, error) {
	end := s.refreshEnd(signedInAt, now)
	accessEnd := earlier(now.Add(s.options.AccessTTL).Truncate(time.Second), end)
	pair := identity.TokenPair{
		Access:  identity.IssuedToken{Token: secret.NewToken(), CreatedAt: now, ExpiresAt: accessEnd},
		Refresh: identity.IssuedToken{Token: secret.NewToken(), CreatedAt: now, ExpiresAt: end},
	}
	_, err := tx.InsertToken(ctx, identity.Token{
		Name: sessionName, UserID: userID, SessionID: sessionID, Permissions: identity.AllPermissions,
		CanViewMaskedData: true, CreatedAt: now, ExpiresAt: pair.Access.ExpiresAt, LastUsedAt: now,
	}, secret.Digest(pair.Access.Token))
	if err != nil {
		return identity.TokenPair{}, err
	}
	return pair, tx.InsertRefreshToken(ctx, sessionID, secret.Digest(pair.Refresh.Token), pair.Refresh.ExpiresAt)
}

// HoldSession makes the session of an access token one of a browser, which holds that token
// alone: the refresh token is deleted, and each use extends the session by HeldTTL, up to
// SessionTTL. It returns Unauthenticated for a token of no session, and for one that is over.
func (s *Service) HoldSession(ctx context.Context, accessToken string) error {
	now := s.now()
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		grant, err := tx.Grant(ctx, secret.Digest(accessToken))
		if identity.KindOf(err) == identity.NotFound || err == nil && (grant.Token.SessionID == 0 || !usable(grant, now)) {
			return errInvalidToken()
		}
		if err != nil {
			return err
		}
		end := s.heldEnd(grant, s.options.HeldTTL, now)
		return tx.HoldSession(ctx, grant.Token.SessionID, grant.Token.ID, s.options.HeldTTL, end)
	})
}

// RenewSession gives the caller's session another access token in place of the one that was
// presented, and returns it. Copies of the old one are worth nothing from then on. It returns
// Conflict for a caller without a session, and Unauthenticated if the token has just been
// replaced.
func (s *Service) RenewSession(ctx context.Context, actor identity.Actor) (accessToken string, err error) {
	if actor.SessionID == 0 {
		return "", errNoSession("This token belongs to no session.")
	}
	accessToken = secret.NewToken()
	return accessToken, s.store.InTx(ctx, func(tx *store.Tx) error {
		_, grant, err := s.regrant(ctx, tx, actor)
		if err != nil {
			return err
		}
		deleted, err := tx.DeleteToken(ctx, grant.Token.ID)
		if err == nil && !deleted { // another call was faster
			err = errInvalidToken()
		}
		if err != nil {
			return err
		}
		_, err = tx.InsertToken(ctx, grant.Token, secret.Digest(accessToken))
		return err
	})
}

// heldEnd returns when a held session ends if it is not used after now.
func (s *Service) heldEnd(grant store.Grant, idle time.Duration, now time.Time) time.Time {
	return earlier(now.Add(idle), grant.SessionCreatedAt.Add(s.options.SessionTTL)).Truncate(time.Second)
}

// Refresh returns the next pair of tokens for a refresh token. The token works once: a
// second use means that it was stolen and ends the session (RFC 9700 §4.14.2). The errors
// are Unauthenticated and, for the address, Forbidden.
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
		case !now.Before(refresh.ExpiresAt), !now.Before(refresh.SignedInAt.Add(s.options.SessionTTL)):
			return nil
		case !refresh.UsedAt.IsZero():
			if _, err := tx.DeleteSession(ctx, refresh.SessionID, user.ID); err != nil {
				return err
			}
			return emit(ctx, tx, identity.Event{
				Type: identity.UserSessionRevoked, Time: now, Actor: actor, SubjectID: user.ID, Reason: "refresh_token_reused",
			})
		case !user.AllowList.Allows(actor.Source):
			outcome = errAddressNotAllowed()
			return recordDenial(ctx, tx, actor, now, codeAddressNotAllowed)
		}
		outcome = nil
		if err := tx.UseRefreshToken(ctx, refresh.ID, now); err != nil {
			return err
		}
		if err := tx.ExtendSession(ctx, refresh.SessionID, now, s.refreshEnd(refresh.SignedInAt, now)); err != nil {
			return err
		}
		pair, err = s.issue(ctx, tx, refresh.SessionID, user.ID, refresh.SignedInAt, now)
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
		return errNoSession("This token belongs to no session. Revoke it instead.")
	}
	now := s.now()
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		deleted, err := tx.DeleteSession(ctx, actor.SessionID, actor.UserID)
		if err != nil || !deleted {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.UserSignedOut, Time: now, Actor: actor, SubjectID: actor.UserID,
		})
	})
}

func errNoSession(message string) error {
	return identity.Errorf(identity.Conflict, "no_session", "%s", message)
}

// Sessions returns a page of a user's sessions, the latest first, and how many there are.
// Users may see their own; those of others take users.view. The sources are masked for a
// caller without CanViewMaskedData.
func (s *Service) Sessions(ctx context.Context, actor identity.Actor, userID int64, page identity.Page,
) ([]identity.Session, int64, error) {
	if !actor.Is(userID) {
		if err := actor.Require(identity.UsersView); err != nil {
			return nil, 0, err
		}
	}
	if _, err := s.store.User(ctx, userID); err != nil {
		return nil, 0, err
	}
	sessions, total, err := s.store.Sessions(ctx, userID, s.now(), page)
	if !actor.SeesUnmasked(userID) {
		for i := range sessions {
			sessions[i] = sessions[i].Masked()
		}
	}
	return sessions, total, err
}

// EndSession ends one session of a user. Users may end their own; those of others take
// users.update and every permission of the user. The errors are Forbidden and NotFound.
func (s *Service) EndSession(ctx context.Context, actor identity.Actor, userID, id int64) error {
	return s.endSessions(ctx, actor, userID, func(tx *store.Tx, actor identity.Actor, now time.Time) error {
		deleted, err := tx.DeleteSession(ctx, id, userID)
		if err == nil && !deleted {
			err = identity.Errorf(identity.NotFound, "not_found", "The user has no session with the id %d.", id)
		}
		if err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.UserSessionRevoked, Time: now, Actor: actor, SubjectID: userID,
			Changes: identity.Changes{identity.FieldSession: {Old: id}},
		})
	})
}

// EndSessions ends all sessions of a user but the caller's own, and deletes the user's
// challenges and links. The rights are those of EndSession.
func (s *Service) EndSessions(ctx context.Context, actor identity.Actor, userID int64) error {
	return s.endSessions(ctx, actor, userID, func(tx *store.Tx, actor identity.Actor, now time.Time) error {
		if err := tx.EndSessions(ctx, userID, ownSession(actor, userID)); err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.UserSessionRevoked, Time: now, Actor: actor, SubjectID: userID,
		})
	})
}

func (s *Service) endSessions(ctx context.Context, actor identity.Actor, userID int64,
	end func(*store.Tx, identity.Actor, time.Time) error,
) error {
	mayTry := func(actor identity.Actor) error {
		switch {
		case actor.Is(userID):
			return nil
		case actor.ActsFor(userID):
			return actor.RequireSession(userID)
		}
		return actor.Require(identity.UsersUpdate)
	}
	if err := mayTry(actor); err != nil {
		return err
	}
	now := s.now()
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		_, actor, err := s.lockTouched(ctx, tx, actor, userID, mayTry)
		if err != nil {
			return err
		}
		return end(tx, actor, now)
	})
}

// Prune deletes expired sessions, challenges, links, counts of attempts, stored answers
// and messages. Any instance may call it at any time.
func (s *Service) Prune(ctx context.Context) error {
	now := s.now()
	err := s.store.InTx(ctx, func(tx *store.Tx) error { return tx.Prune(ctx, now) })
	const batch = 1000 // short transactions, so that others do not wait long
	for deleted := int64(1); err == nil && deleted > 0; {
		err = s.store.InTx(ctx, func(tx *store.Tx) (err error) {
			deleted, err = tx.PruneImportRows(ctx, batch)
			return err
		})
	}
	return err
}
