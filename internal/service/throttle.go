package service

import (
	"context"
	"net/netip"
	"strconv"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// The bounds of attempts.
var (
	// pairRule is for an address from one source: it stops guesses of one password.
	pairRule = identity.ThrottleRule{Max: 5, Window: time.Minute, Lock: 10 * time.Minute}
	// sourceRule is for one source: it stops guesses of one password for many users.
	sourceRule = identity.ThrottleRule{Max: 30, Window: time.Minute, Lock: 10 * time.Minute}
	// accountRule is for an address from all sources: it stops many sources together.
	accountRule = identity.ThrottleRule{Max: 100, Window: 24 * time.Hour}
	// codeRule is for the second factor of a user from all sources, which takes the password.
	codeRule = identity.ThrottleRule{Max: 50, Window: time.Hour, Lock: time.Hour}
)

// attempt is one try, with the throttles that count it.
type attempt struct {
	counts []throttled
	at     time.Time // by the clock of the throttles; set by begin
}

type throttled struct {
	key        string
	rule       identity.ThrottleRule
	everywhere bool
	// email is the address of the user that this keeps out after too many tries; "" if it is
	// about no user.
	email string
	// spares reports whether this try is allowed, and not counted, although there were too
	// many; may be nil.
	spares func(ctx context.Context, tx *store.Tx, now time.Time) (bool, error)
}

// signinAttempt returns the attempt to guess a password: it counts for the address from the
// source, for the source, and for the address. The limit of the address does not stop
// sources from which its user has signed in before. An address without a user counts the
// same.
func signinAttempt(email string, source netip.Addr) attempt {
	account := throttled{key: accountKey(email), rule: accountRule, everywhere: true, email: email}
	account.spares = func(ctx context.Context, tx *store.Tx, now time.Time) (bool, error) {
		return tx.IsKnownSource(ctx, email, sourceKey(source), now.Add(-identity.SourcePeriod))
	}
	a := newAttempt("signin", email, source)
	a.counts[0].email = email
	a.counts = append(a.counts, account)
	return a
}

// accountKey is the key for the address from all sources, codeKey that for the codes of a
// user from all sources.
func accountKey(email string) string { return secret.Digest("account " + identity.EmailKey(email)) }

func codeKey(userID int64) string { return secret.Digest("code " + strconv.FormatInt(userID, 10)) }

// here returns the part of an attempt that counts for its source. It bounds the work that
// one source can cause.
func (a attempt) here() attempt { return a.part(false) }

// everywhere returns the part of an attempt that counts for the user from all sources. It
// is taken back as soon as no guess was wrong, because it could lock out all sources. To
// take both parts back, take back the whole attempt: so rows are always locked in one
// order.
func (a attempt) everywhere() attempt { return a.part(true) }

func (a attempt) part(everywhere bool) attempt {
	part := attempt{at: a.at}
	for _, t := range a.counts {
		if t.everywhere == everywhere {
			part.counts = append(part.counts, t)
		}
	}
	return part
}

// codeAttempt returns the attempt to guess a code, at sign-in or in a session.
func codeAttempt(user identity.User, source netip.Addr) attempt {
	email := string(user.Email)
	a := newAttempt("code", email, source)
	a.counts[0].email = email
	a.counts = append(a.counts, throttled{key: codeKey(user.ID), rule: codeRule, everywhere: true, email: email})
	return a
}

// newAttempt returns an attempt that counts for an address from a source, and for the
// source. Only digests of both are stored, and, of sign-ins and codes, the id of the user.
func newAttempt(kind, email string, source netip.Addr) attempt {
	from := sourceKey(source)
	return attempt{counts: []throttled{
		{key: secret.Digest(kind + " " + from + " " + identity.EmailKey(email)), rule: pairRule},
		{key: secret.Digest(kind + " " + from), rule: sourceRule},
	}}
}

// set stores the tries. It also stores whom they keep out, so that locked users can be found.
func (t throttled) set(ctx context.Context, tx *store.Tx, tries identity.Throttle) error {
	return tx.SetThrottle(ctx, t.key, tries, t.email, t.rule.BlockedUntil(tries))
}

// sourceKey returns what counts as one source: an address, or the /64 of an IPv6 address,
// which one host can have as a whole.
func sourceKey(source netip.Addr) string {
	const network = 64
	if source.Is6() {
		if prefix, err := source.Prefix(network); err == nil {
			return prefix.String()
		}
	}
	return source.String()
}

// begin counts a try before it is made, in a transaction of its own, so that it counts even
// if the process ends. It returns TooManyRequests if the try must not be made.
func (s *Service) begin(ctx context.Context, a *attempt, now time.Time) error {
	if s.options.Unthrottled {
		a.at, a.counts = now, nil
		return nil
	}
	asked := a.counts
	var wait time.Duration
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		wait, a.at, a.counts = 0, now, nil
		throttles := make([]identity.Throttle, len(asked))
		for i, t := range asked {
			var err error
			if throttles[i], err = tx.LockThrottle(ctx, t.key); err != nil {
				return err
			}
			a.at = throttles[i].Clock(a.at)
		}
		var begun []identity.Throttle
		for i, t := range asked {
			after, atLeast := t.rule.Begin(throttles[i], a.at)
			if atLeast > 0 && t.spares != nil {
				spared, err := t.spares(ctx, tx, now)
				if err != nil {
					return err
				}
				if spared {
					continue
				}
			}
			a.counts, begun, wait = append(a.counts, t), append(begun, after), max(wait, atLeast)
		}
		if wait > 0 {
			return nil // a try that is not made counts for nothing
		}
		for i, t := range a.counts {
			if err := t.set(ctx, tx, begun[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && wait > 0 {
		tooMany := identity.Errorf(identity.TooManyRequests, "too_many_attempts",
			"There were too many attempts. Try again later.")
		tooMany.RetryAfter = wait
		err = tooMany
	}
	return err
}

// takeBack uncounts a try that could not be made. If that fails, it counts until the window
// ends.
func (s *Service) takeBack(ctx context.Context, a attempt) {
	ctx = context.WithoutCancel(ctx)
	_ = s.store.InTx(ctx, func(tx *store.Tx) error { return a.succeed(ctx, tx) })
}

func (a attempt) fail(ctx context.Context, tx *store.Tx) error {
	return a.change(ctx, tx, identity.ThrottleRule.Fail)
}

func (a attempt) succeed(ctx context.Context, tx *store.Tx) error {
	return a.change(ctx, tx, identity.ThrottleRule.Succeed)
}

func (a attempt) change(ctx context.Context, tx *store.Tx,
	change func(identity.ThrottleRule, identity.Throttle, time.Time) identity.Throttle,
) error {
	for _, t := range a.counts {
		throttle, err := tx.LockThrottle(ctx, t.key)
		if err != nil {
			return err
		}
		if err := t.set(ctx, tx, change(t.rule, throttle, a.at)); err != nil {
			return err
		}
	}
	return nil
}
