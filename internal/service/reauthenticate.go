package service

import (
	"context"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/notify"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// Reauthentication is what a right password leads to in a session: the session is
// fresh, or a code of the second factor is needed as well.
type Reauthentication struct {
	FreshUntil time.Time         // zero where a code is needed
	Provider   identity.Provider // of the code that is needed; "" for none
	ExpiresAt  time.Time         // of a code that has been mailed
}

// Reauthenticate makes the caller's session fresh: it takes the password again and,
// where the user has a second factor, a code of it; without a code it says which one
// is needed, and mails one where there is no authenticator. Guesses are bounded
// together with those at sign-in. The errors are Conflict for a caller without a
// session, Invalid (password, code) and TooManyRequests.
func (s *Service) Reauthenticate(ctx context.Context, actor identity.Actor, password identity.Password, code string) (Reauthentication, error) {
	if actor.SessionID == 0 {
		return Reauthentication{}, errNoSession("This token belongs to no session, and has nothing to prove.")
	}
	user, err := s.store.User(ctx, actor.UserID)
	if err != nil {
		return Reauthentication{}, err
	}
	verifiedHash, err := s.verifyPassword(ctx, actor, user, password, "password")
	if err != nil {
		return Reauthentication{}, err
	}
	now := s.now()
	var attempt attempt
	switch {
	case user.TFA && code == "": // to have codes mailed without end must not be possible, either
		attempt = newAttempt("code by mail", string(user.Email), actor.Source)
	case user.TFA:
		attempt = codeAttempt(user, actor.Source)
	}
	if err := s.begin(ctx, &attempt, now); err != nil {
		return Reauthentication{}, err
	}
	return s.reauthenticate(ctx, actor, verifiedHash, code, attempt, now)
}

// reauthenticate is the transaction of Reauthenticate. attempt is what it counts
// for, empty for users without a second factor.
func (s *Service) reauthenticate(ctx context.Context, actor identity.Actor, verifiedHash, code string, attempt attempt, now time.Time,
) (Reauthentication, error) {
	sealer, err := s.sealing(ctx)
	if err != nil {
		return Reauthentication{}, err
	}
	var result Reauthentication
	var outcome error
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		result, outcome = Reauthentication{}, nil
		user, err := tx.UserForUpdate(ctx, actor.UserID)
		if err != nil {
			return err
		}
		if _, err := s.current(ctx, tx, actor); err != nil {
			return err
		}
		hash, err := tx.PasswordHash(ctx, user.ID)
		if err != nil {
			return err
		}
		if hash != verifiedHash { // it has just been changed
			return identity.InvalidField("password", "wrong_password", "is not the current password")
		}
		if user.TFA {
			challenge, codeDigest, err := s.sessionChallenge(ctx, tx, actor, user, code == "", now)
			if err != nil {
				return err
			}
			if code == "" {
				result.Provider, result.ExpiresAt = challenge.Provider, challenge.ExpiresAt
				return attempt.fail(ctx, tx) // each mail counts
			}
			factor, err := checkCode(ctx, tx, sealer, challenge, codeDigest, code, now)
			if err != nil {
				return err
			}
			if factor == "" {
				outcome = identity.InvalidField("code", "invalid_code", "is wrong, or was used before")
				return countWrongCode(ctx, tx, actor, challenge, attempt, now)
			}
			if err := attempt.succeed(ctx, tx); err != nil {
				return err
			}
			if err := factorUsed(ctx, tx, actor, factor, now); err != nil {
				return err
			}
		}
		if err := tx.DeleteSessionChallenges(ctx, actor.SessionID); err != nil {
			return err
		}
		result.FreshUntil = now.Add(identity.FreshPeriod)
		if err := tx.FreshenSession(ctx, actor.SessionID, user.ID, result.FreshUntil); err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.UserReauthenticated, Time: now, Actor: actor, SubjectID: user.ID,
		})
	})
	if err != nil { // no code was looked at
		s.takeBack(ctx, attempt.everywhere())
		return result, err
	}
	return result, outcome
}

// sessionChallenge returns what a session is to be asked for: a code of the
// authenticator, which needs nothing to be kept, or one by mail. anew mails one.
func (s *Service) sessionChallenge(ctx context.Context, tx *store.Tx, actor identity.Actor, user identity.User, anew bool, now time.Time,
) (challenge identity.Challenge, codeDigest string, err error) {
	challenge = identity.Challenge{UserID: user.ID, SessionID: actor.SessionID, ExpiresAt: now.Add(challengeTTL).Truncate(time.Second)}
	if challenge.Provider, err = providerOf(ctx, tx, user.ID); err != nil || challenge.Provider == identity.ProviderTOTP {
		return challenge, "", err
	}
	if !anew {
		kept, codeDigest, err := tx.SessionChallengeForUpdate(ctx, actor.SessionID)
		if identity.KindOf(err) == identity.NotFound || err == nil && kept.ExpiredAt(now) {
			err = identity.InvalidField("code", "invalid_code", "has not been mailed, or is over; ask for one by sending no code")
		}
		return kept, codeDigest, err
	}
	if err := tx.DeleteSessionChallenges(ctx, actor.SessionID); err != nil {
		return challenge, "", err
	}
	if challenge.ID, err = tx.InsertChallenge(ctx, challenge, secret.Digest(secret.NewToken())); err != nil {
		return challenge, "", err
	}
	return challenge, "", notify.SigninCode(ctx, tx, challenge, now)
}
