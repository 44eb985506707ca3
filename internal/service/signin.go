package service

import (
	"context"
	"errors"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// SignIn is what a right password leads to: a pair of tokens, or a challenge
// where the user needs a second factor.
type SignIn struct {
	Pair           identity.TokenPair // zero where there is a challenge
	ChallengeToken string             // "" where there is a pair
	Challenge      identity.Challenge
	// MustEnrol says that the pair is good for enrolling a second factor only.
	MustEnrol bool
}

// SignIn signs a user in with a password. Whether the address is unknown, the
// user inactive or without a password, or the password wrong: the error is the
// same Unauthenticated, after the same time. Forbidden is for a right password
// from an address that is not allowed, TooManyRequests for too many tries.
func (s *Service) SignIn(ctx context.Context, actor identity.Actor, email string, password identity.Password) (SignIn, error) {
	now := s.now()
	attempt := signinAttempt(email, actor.Source)
	if err := s.begin(ctx, &attempt, now); err != nil {
		return SignIn{}, err
	}
	user, hash, err := s.store.UserByEmail(ctx, email)
	if err != nil && identity.KindOf(err) != identity.NotFound {
		s.takeBack(ctx, attempt)
		return SignIn{}, err
	}
	usableHash := hash
	if !user.Active {
		usableHash = ""
	}
	matches, err := s.passwords.Matches(ctx, hashingCaller(actor), usableHash, password)
	if err != nil {
		s.takeBack(ctx, attempt)
		return SignIn{}, err
	}
	if !matches {
		return SignIn{}, s.failSignIn(ctx, actor, user, attempt, signinFailure(user), now)
	}
	newHash := ""
	if s.passwords.Outdated(hash) { // the only time at which there is a password to hash again
		if newHash, err = s.passwords.Hash(ctx, hashingCaller(actor), password); err != nil {
			newHash = "" // there is a next time
		}
	}
	var result SignIn
	var outcome error
	account := attempt.everywhere()
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		result, outcome = SignIn{}, nil
		user, err := usableUser(ctx, tx, user.ID)
		if errors.Is(err, errNoUsableUser) {
			outcome = errInvalidCredentials()
			return account.succeed(ctx, tx)
		}
		if err != nil {
			return err
		}
		current, err := tx.PasswordHash(ctx, user.ID)
		if err != nil {
			return err
		}
		if current != hash { // it has just been changed
			outcome = errInvalidCredentials()
			return account.succeed(ctx, tx)
		}
		if !user.AllowList.Allows(actor.Source) {
			outcome = errAddressNotAllowed()
			if err := account.succeed(ctx, tx); err != nil {
				return err
			}
			return refuse(ctx, tx, asUser(actor, user), now, "ip_not_allowed")
		}
		if newHash != "" {
			if err := tx.UpdatePasswordHash(ctx, user.ID, newHash); err != nil {
				return err
			}
		}
		if user.TFA {
			if err := account.succeed(ctx, tx); err != nil {
				return err
			}
			result, err = s.challenge(ctx, tx, actor, user, attempt.at, now)
			return err
		}
		if err := attempt.succeed(ctx, tx); err != nil {
			return err
		}
		if result.MustEnrol, err = tx.RequiresTFA(ctx, user.ID); err != nil {
			return err
		}
		result.Pair, err = s.openSession(ctx, tx, asUser(actor, user), user, now)
		return err
	})
	if err == nil {
		err = outcome
	}
	return result, err
}

func signinFailure(user identity.User) string {
	switch {
	case user.ID == 0:
		return "unknown_user"
	case !user.Active:
		return "inactive_user"
	}
	return "wrong_password"
}

// failSignIn records a failure and returns what to tell: the same for each reason.
func (s *Service) failSignIn(ctx context.Context, actor identity.Actor, user identity.User, attempt attempt, reason string, now time.Time) error {
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		if err := attempt.fail(ctx, tx); err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{Type: identity.UserSigninFailed, Time: now, Actor: actor, SubjectID: user.ID, Reason: reason})
	})
	if err != nil {
		return err
	}
	return errInvalidCredentials()
}

func errInvalidCredentials() error {
	return identity.Errorf(identity.Unauthenticated, "invalid_credentials", "The e-mail address or the password is wrong.")
}

func errAddressNotAllowed() error {
	return identity.Errorf(identity.Forbidden, "ip_not_allowed", "Requests from this address are not allowed.")
}

// asUser is the caller, now known to be a user.
func asUser(actor identity.Actor, user identity.User) identity.Actor {
	actor.Name, actor.UserID = sessionName, user.ID
	return actor
}

var errNoUsableUser = errors.New("no user who may get in")

// usableUser returns a user as it is now, locked, or errNoUsableUser if it is
// gone or inactive.
func usableUser(ctx context.Context, tx *store.Tx, id int64) (identity.User, error) {
	user, err := tx.UserForUpdate(ctx, id)
	if identity.KindOf(err) == identity.NotFound || err == nil && !user.Active {
		err = errNoUsableUser
	}
	return user, err
}
