package service

import (
	"context"
	"errors"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// SignIn is the result of a right password: a pair of tokens, or a challenge
// if the user has a second factor.
type SignIn struct {
	Pair           identity.TokenPair // zero where there is a challenge
	ChallengeToken string             // "" where there is a pair
	Challenge      identity.Challenge
	// MustEnrol says that the pair can only be used to enrol a second factor.
	MustEnrol bool
}

// SignIn signs a user in with a password. Where the address is unknown, the user is
// inactive or has no password, or the password is wrong, it returns the same
// Unauthenticated after the same time. It returns Forbidden for a right password from an
// address that is not allowed, and TooManyRequests for too many tries.
func (s *Service) SignIn(ctx context.Context, actor identity.Actor, email string, password identity.Password,
) (SignIn, error) {
	now := s.now()
	attempt := signinAttempt(email, actor.Source)
	if err := s.begin(ctx, &attempt, now); err != nil {
		return SignIn{}, err
	}
	result, err := s.signIn(ctx, actor, email, password, attempt, now)
	if errors.Is(err, errHashReplaced) {
		// Another sign-in has upgraded the hash. If it is another password, this one does not match now.
		result, err = s.signIn(ctx, actor, email, password, attempt, now)
	}
	if errors.Is(err, errHashReplaced) {
		s.takeBack(ctx, attempt.everywhere())
		err = errInvalidCredentials()
	}
	return result, err
}

// errHashReplaced says that a user has another hash than the one that a password has matched.
var errHashReplaced = errors.New("the hash has been replaced meanwhile")

// signIn is SignIn after the attempt is counted. With errHashReplaced nothing has happened.
func (s *Service) signIn(ctx context.Context, actor identity.Actor, email string, password identity.Password,
	attempt attempt, now time.Time,
) (SignIn, error) {
	user, hash, matches, err := s.matchPassword(ctx, actor, email, password)
	if err != nil {
		s.takeBack(ctx, attempt)
		return SignIn{}, err
	}
	if !matches {
		return SignIn{}, s.failSignIn(ctx, actor, user, attempt, signinFailure(user), now)
	}
	match := passwordMatch{
		userID: user.ID, hash: hash, newHash: s.upgradedHash(ctx, actor, hash, password), attempt: attempt,
	}
	var result SignIn
	err = s.decide(ctx, func(tx *store.Tx) (denied, err error) {
		result, denied, err = s.admit(ctx, tx, actor, match, now)
		return denied, err
	})
	return result, err
}

// matchPassword returns the user with an address, the zero User for none, and whether
// this is the user's password. It takes the same time in each case.
func (s *Service) matchPassword(ctx context.Context, actor identity.Actor, email string, password identity.Password,
) (user identity.User, hash string, matches bool, err error) {
	user, hash, err = s.store.UserByEmail(ctx, email)
	if err != nil && identity.KindOf(err) != identity.NotFound {
		return user, hash, false, err
	}
	decoys, err := s.store.PasswordDecoys(ctx)
	if err != nil {
		return user, hash, false, err
	}
	usableHash := hash
	if !user.Active {
		usableHash = ""
	}
	matches, err = s.passwords.Matches(ctx, hashingCaller(actor), usableHash, password, decoys)
	return user, hash, matches, err
}

// upgradedHash returns the password hashed as new ones are, or "" if the hash is of that kind and
// cost already. Only a sign-in has the password that this takes. If hashing fails, it
// returns "": the next sign-in tries again.
func (s *Service) upgradedHash(ctx context.Context, actor identity.Actor, hash string, password identity.Password,
) string {
	if !s.passwords.Outdated(hash) {
		return ""
	}
	newHash, err := s.passwords.Hash(ctx, hashingCaller(actor), password)
	if err != nil {
		return ""
	}
	return newHash
}

// passwordMatch is a right password, before the transaction that signs its user in.
type passwordMatch struct {
	userID  int64
	hash    string  // what the password matched
	newHash string  // replaces hash; "" if hash stays
	attempt attempt // what the try has counted for
}

// admit is the transaction of SignIn. It checks the locked user again, and opens a
// session or asks for the second factor. denied is the answer to a caller who gets in
// no further; the transaction commits all the same.
func (s *Service) admit(ctx context.Context, tx *store.Tx, actor identity.Actor, match passwordMatch, now time.Time,
) (result SignIn, denied, err error) {
	account := match.attempt.everywhere()
	user, err := usableUser(ctx, tx, match.userID)
	if errors.Is(err, errNoUsableUser) {
		return SignIn{}, errInvalidCredentials(), account.succeed(ctx, tx)
	}
	if err != nil {
		return SignIn{}, nil, err
	}
	current, err := tx.PasswordHash(ctx, user.ID)
	if err != nil {
		return SignIn{}, nil, err
	}
	if current != match.hash {
		return SignIn{}, nil, errHashReplaced
	}
	if !user.AllowList.Allows(actor.Source) {
		return SignIn{}, errAddressNotAllowed(), denyAddress(ctx, tx, actor, user, account, now)
	}
	if match.newHash != "" {
		if err := tx.UpdatePasswordHash(ctx, user.ID, match.newHash); err != nil {
			return SignIn{}, nil, err
		}
	}
	if user.TFA {
		if err := account.succeed(ctx, tx); err != nil {
			return SignIn{}, nil, err
		}
		result, err = s.challenge(ctx, tx, actor, user, match.attempt.at, now)
		return result, nil, err
	}
	if err := match.attempt.succeed(ctx, tx); err != nil {
		return SignIn{}, nil, err
	}
	if result.MustEnrol, err = tx.RequiresTFA(ctx, user.ID); err != nil {
		return SignIn{}, nil, err
	}
	result.Pair, err = s.openSession(ctx, tx, asUser(actor, user), user, now)
	return result, nil, err
}

// denyAddress takes back what counts for a user who has shown all but comes from an
// address that is not allowed, and records that.
func denyAddress(ctx context.Context, tx *store.Tx, actor identity.Actor, user identity.User, account attempt,
	now time.Time,
) error {
	if err := account.succeed(ctx, tx); err != nil {
		return err
	}
	return recordDenial(ctx, tx, asUser(actor, user), now, codeAddressNotAllowed)
}

// decide runs a transaction that can end in a denial. It commits what a denial has
// written and returns denied; only err rolls back.
func (s *Service) decide(ctx context.Context, fn func(tx *store.Tx) (denied, err error)) error {
	var denied error
	err := s.store.InTx(ctx, func(tx *store.Tx) (err error) {
		denied, err = fn(tx)
		return err
	})
	if err != nil {
		return err
	}
	return denied
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

// failSignIn records a failure and returns the same error for each reason.
func (s *Service) failSignIn(ctx context.Context, actor identity.Actor, user identity.User, attempt attempt,
	reason string, now time.Time,
) error {
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		if err := attempt.fail(ctx, tx); err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.UserSigninFailed, Time: now, Actor: actor, SubjectID: user.ID, Reason: reason,
		})
	})
	if err != nil {
		return err
	}
	return errInvalidCredentials()
}

func errInvalidCredentials() error {
	return identity.Errorf(identity.Unauthenticated, "invalid_credentials", "The e-mail address or the password is wrong.")
}

// codeAddressNotAllowed is the code of the error and the reason in the event.
const codeAddressNotAllowed = "ip_not_allowed"

func errAddressNotAllowed() error {
	return identity.Errorf(identity.Forbidden, codeAddressNotAllowed, "Requests from this address are not allowed.")
}

// asUser returns the caller as the user who has just been identified.
func asUser(actor identity.Actor, user identity.User) identity.Actor {
	actor.Name, actor.UserID = sessionName, user.ID
	return actor
}

var errNoUsableUser = errors.New("no user who may sign in")

// usableUser locks a user and returns it, or errNoUsableUser if it is gone or inactive.
func usableUser(ctx context.Context, tx *store.Tx, id int64) (identity.User, error) {
	user, err := tx.UserForUpdate(ctx, id)
	if identity.KindOf(err) == identity.NotFound || err == nil && !user.Active {
		err = errNoUsableUser
	}
	return user, err
}
