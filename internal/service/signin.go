package service

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// challengeTTL is how long a sign-in waits for its second factor.
const challengeTTL = 10 * time.Minute

// SignIn is what a right password leads to: a pair of tokens, or a challenge
// where the user needs a second factor.
type SignIn struct {
	Pair           identity.TokenPair // zero where there is a challenge
	ChallengeToken string             // "" where there is a pair
	Challenge      identity.Challenge
}

// SignIn signs a user in with a password. Whether the address is unknown, the
// user inactive or without a password, or the password wrong: the error is the
// same Unauthenticated, after the same time. Forbidden is for a right password
// from an address that is not allowed, TooManyRequests for too many tries.
func (s *Service) SignIn(ctx context.Context, actor identity.Actor, email string, password identity.Password) (SignIn, error) {
	now := s.now()
	attempt := signinAttempt(email, actor.Source)
	if err := s.begin(ctx, attempt, now); err != nil {
		return SignIn{}, err
	}
	user, hash, err := s.store.UserByEmail(ctx, email)
	if err != nil && identity.KindOf(err) != identity.NotFound {
		return SignIn{}, err
	}
	usableHash := hash
	if !user.Active {
		usableHash = ""
	}
	matches, err := s.passwords.Matches(ctx, usableHash, password)
	if err != nil {
		s.takeBack(ctx, attempt)
		return SignIn{}, err
	}
	if !matches {
		return SignIn{}, s.failSignIn(ctx, actor, user, attempt, signinFailure(user), now)
	}
	newHash := ""
	if s.passwords.Outdated(hash) { // the only time at which there is a password to hash again
		if newHash, err = s.passwords.Hash(ctx, password); err != nil {
			newHash = "" // there is a next time
		}
	}
	var result SignIn
	var outcome error
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		result, outcome = SignIn{}, nil
		user, err := usableUser(ctx, tx, user.ID)
		if errors.Is(err, errNoUsableUser) {
			outcome = errInvalidCredentials()
			return nil
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
			return nil
		}
		if !user.AllowList.Allows(actor.Source) {
			outcome = errAddressNotAllowed()
			return refuse(ctx, tx, asUser(actor, user), now, "ip_not_allowed")
		}
		if newHash != "" {
			if err := tx.UpdatePasswordHash(ctx, user.ID, newHash); err != nil {
				return err
			}
		}
		if user.TFA {
			result, err = s.challenge(ctx, tx, user, now)
			return err
		}
		if err := attempt.succeed(ctx, tx); err != nil {
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
		if err := attempt.fail(ctx, tx, now); err != nil {
			return err
		}
		return tx.Emit(ctx, identity.Event{Type: identity.UserSigninFailed, Time: now, Actor: actor, SubjectID: user.ID, Reason: reason})
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

// The bounds of attempts: by address and source, lest passwords be guessed; by
// source, lest one password be tried on everyone; by the user's second factor
// from anywhere, which takes knowing the password.
var (
	pairRule   = identity.ThrottleRule{Most: 5, Window: time.Minute, Lock: 10 * time.Minute}
	sourceRule = identity.ThrottleRule{Most: 30, Window: time.Minute, Lock: 10 * time.Minute}
	codeRule   = identity.ThrottleRule{Most: 50, Window: time.Hour, Lock: 10 * time.Minute}
)

// attempt is what one try counts for.
type attempt []throttled

type throttled struct {
	key  string
	rule identity.ThrottleRule
}

func signinAttempt(email string, source netip.Addr) attempt {
	return newAttempt("signin", email, source)
}

// newAttempt counts for an address from a source, and for the source. What is
// kept of either is a digest.
func newAttempt(kind, email string, source netip.Addr) attempt {
	from := sourceKey(source)
	return attempt{
		{secret.Digest(kind + " " + from + " " + identity.FoldASCII(email)), pairRule},
		{secret.Digest(kind + " " + from), sourceRule},
	}
}

// sourceKey is what counts as one source: an IPv6 host has a /64 to choose from.
func sourceKey(source netip.Addr) string {
	const network = 64
	if source.Is6() {
		if prefix, err := source.Prefix(network); err == nil {
			return prefix.String()
		}
	}
	return source.String()
}

// begin counts a try before it is made, in a transaction of its own: whatever
// becomes of it, it has been counted.
func (s *Service) begin(ctx context.Context, a attempt, now time.Time) error {
	var wait time.Duration
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		wait = 0
		var begun []identity.Throttle
		for _, t := range a {
			throttle, err := tx.Throttle(ctx, t.key)
			if err != nil {
				return err
			}
			after, atLeast := t.rule.Begin(throttle, now)
			begun, wait = append(begun, after), max(wait, atLeast)
		}
		if wait > 0 {
			return nil // a try that is not made counts for nothing
		}
		for i, t := range a {
			if err := tx.SetThrottle(ctx, t.key, begun[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && wait > 0 {
		tooMany := identity.Errorf(identity.TooManyRequests, "too_many_attempts", "There were too many attempts. Try again later.")
		tooMany.RetryAfter = wait
		err = tooMany
	}
	return err
}

// takeBack uncounts a try that could not be made. If that fails, too, it counts
// until the window ends.
func (s *Service) takeBack(ctx context.Context, a attempt) {
	ctx = context.WithoutCancel(ctx)
	_ = s.store.InTx(ctx, func(tx *store.Tx) error { return a.succeed(ctx, tx) })
}

func (a attempt) fail(ctx context.Context, tx *store.Tx, now time.Time) error {
	return a.change(ctx, tx, func(rule identity.ThrottleRule, t identity.Throttle) identity.Throttle { return rule.Fail(t, now) })
}

func (a attempt) succeed(ctx context.Context, tx *store.Tx) error {
	return a.change(ctx, tx, identity.ThrottleRule.Succeed)
}

func (a attempt) change(ctx context.Context, tx *store.Tx, change func(identity.ThrottleRule, identity.Throttle) identity.Throttle) error {
	for _, t := range a {
		throttle, err := tx.Throttle(ctx, t.key)
		if err != nil {
			return err
		}
		if err := tx.SetThrottle(ctx, t.key, change(t.rule, throttle)); err != nil {
			return err
		}
	}
	return nil
}
