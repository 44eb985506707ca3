package service

import (
	"context"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/notify"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// Reauthentication is the result of a right password in a session: the session is
// fresh, or a code of the second factor is needed as well.
type Reauthentication struct {
	FreshUntil time.Time         // zero where a code is needed
	Provider   identity.Provider // of the code that is needed; "" for none
	ExpiresAt  time.Time         // of a code that has been mailed
}

// Reauthenticate makes the caller's session fresh: it takes the password again and, if
// the user has a second factor, a code. Without a code it returns which one is needed,
// and mails one if there is no authenticator. Guesses are bounded together with those at
// sign-in. The errors are Conflict for a caller without a session, Invalid (password,
// code) and TooManyRequests.
func (s *Service) Reauthenticate(ctx context.Context, actor identity.Actor, password identity.Password, code string,
) (Reauthentication, error) {
	if actor.SessionID == 0 {
		return Reauthentication{}, errNoSession("This token belongs to no session, and has nothing to prove.")
	}
	user, err := s.store.User(ctx, actor.UserID)
	if err != nil {
		return Reauthentication{}, err
	}
	verifiedHash, err := s.verifyPassword(ctx, actor, user, password, identity.FieldPassword)
	if err != nil {
		return Reauthentication{}, err
	}
	now := s.now()
	var attempt attempt
	switch {
	case user.TFA && code == "": // bounds how many codes are mailed
		attempt = newAttempt("code by mail", string(user.Email), actor.Source)
	case user.TFA:
		attempt = codeAttempt(user, actor.Source)
	}
	if err := s.begin(ctx, &attempt, now); err != nil {
		return Reauthentication{}, err
	}
	return s.reauthenticate(ctx, actor, verifiedHash, codeAnswer{code: code, attempt: attempt, at: now})
}

// reauthenticate is the transaction of Reauthenticate. The attempt of the answer is
// empty for users without a second factor.
func (s *Service) reauthenticate(ctx context.Context, actor identity.Actor, verifiedHash string, answer codeAnswer,
) (Reauthentication, error) {
	var err error
	if answer.sealer, err = s.sealing(ctx); err != nil {
		return Reauthentication{}, err
	}
	var result Reauthentication
	var denied error
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		result, denied = Reauthentication{}, nil
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
			return errWrongPassword(identity.FieldPassword)
		}
		if user.TFA && answer.code == "" {
			result, err = s.requestCode(ctx, tx, actor, user, answer)
			return err
		}
		if user.TFA {
			if denied, err = s.checkSessionCode(ctx, tx, actor, user, answer); denied != nil || err != nil {
				return err
			}
		}
		result.FreshUntil, err = freshen(ctx, tx, actor, answer.at)
		return err
	})
	if err != nil { // no code was looked at
		s.takeBack(ctx, answer.attempt.everywhere())
		return result, err
	}
	return result, denied
}

// requestCode returns which code a session needs, and mails it if there is no
// authenticator.
func (s *Service) requestCode(ctx context.Context, tx *store.Tx, actor identity.Actor, user identity.User,
	answer codeAnswer,
) (Reauthentication, error) {
	challenge, _, err := s.sessionChallenge(ctx, tx, actor, user, true, answer.at)
	if err != nil {
		return Reauthentication{}, err
	}
	result := Reauthentication{Provider: challenge.Provider, ExpiresAt: challenge.ExpiresAt}
	return result, answer.attempt.fail(ctx, tx) // each mail counts
}

// checkSessionCode checks the code that a session has given and uses it up. denied is
// the answer to a wrong one; the transaction has to commit it.
func (s *Service) checkSessionCode(ctx context.Context, tx *store.Tx, actor identity.Actor, user identity.User,
	answer codeAnswer,
) (denied, err error) {
	challenge, codeDigest, err := s.sessionChallenge(ctx, tx, actor, user, false, answer.at)
	if err != nil {
		return nil, err
	}
	factor, err := answer.check(ctx, tx, challenge, codeDigest)
	if err != nil {
		return nil, err
	}
	if factor == "" {
		denied = identity.InvalidField(identity.FieldCode, codeInvalidCode, "is wrong, or was used before")
		return denied, countWrongCode(ctx, tx, actor, challenge, answer)
	}
	if err := answer.attempt.succeed(ctx, tx); err != nil {
		return nil, err
	}
	return nil, factorUsed(ctx, tx, actor, factor, answer.at)
}

// freshen makes the caller's session fresh, and returns until when.
func freshen(ctx context.Context, tx *store.Tx, actor identity.Actor, now time.Time) (time.Time, error) {
	if err := tx.DeleteSessionChallenges(ctx, actor.SessionID); err != nil {
		return time.Time{}, err
	}
	freshUntil := now.Add(identity.FreshPeriod)
	if err := tx.FreshenSession(ctx, actor.SessionID, actor.UserID, freshUntil); err != nil {
		return time.Time{}, err
	}
	return freshUntil, emit(ctx, tx, identity.Event{
		Type: identity.UserReauthenticated, Time: now, Actor: actor, SubjectID: actor.UserID,
	})
}

// sessionChallenge returns the challenge that a session answers: for a code of the
// authenticator, which is not stored, or for one by mail. anew mails a new code.
func (s *Service) sessionChallenge(ctx context.Context, tx *store.Tx, actor identity.Actor, user identity.User,
	anew bool, now time.Time,
) (challenge identity.Challenge, codeDigest string, err error) {
	challenge = identity.Challenge{
		UserID: user.ID, SessionID: actor.SessionID, ExpiresAt: now.Add(challengeTTL).Truncate(time.Second),
	}
	if challenge.Provider, err = providerOf(ctx, tx, user.ID); err != nil || challenge.Provider == identity.ProviderTOTP {
		return challenge, "", err
	}
	if !anew {
		kept, codeDigest, err := tx.SessionChallengeForUpdate(ctx, actor.SessionID)
		if identity.KindOf(err) == identity.NotFound || err == nil && kept.ExpiredAt(now) {
			err = identity.InvalidField(identity.FieldCode, codeInvalidCode,
				"has not been mailed, or is over; ask for one by sending no code")
		}
		return kept, codeDigest, err
	}
	if err := tx.DeleteSessionChallenges(ctx, actor.SessionID); err != nil {
		return challenge, "", err
	}
	digest := secret.Digest(secret.NewToken(s.random(noMessage)))
	if challenge.ID, err = tx.InsertChallenge(ctx, challenge, digest); err != nil {
		return challenge, "", err
	}
	return challenge, "", notify.SigninCode(ctx, tx, challenge, now)
}
