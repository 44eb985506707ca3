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

// The bounds of attempts: by address and source, so that passwords are not guessed;
// by source, so that one password is not tried on everyone; by address from
// everywhere, so that many sources do not guess together; by the user's second factor
// from everywhere, which takes knowing the password.
var (
	pairRule    = identity.ThrottleRule{Most: 5, Window: time.Minute, Lock: 10 * time.Minute}
	sourceRule  = identity.ThrottleRule{Most: 30, Window: time.Minute, Lock: 10 * time.Minute}
	accountRule = identity.ThrottleRule{Most: 100, Window: 24 * time.Hour}
	codeRule    = identity.ThrottleRule{Most: 50, Window: time.Hour, Lock: time.Hour}
)

// attempt is one try, and what it counts for.
type attempt struct {
	counts []throttled
	at     time.Time // by the clock of the throttles; set by begin
}

type throttled struct {
	key        string
	rule       identity.ThrottleRule
	everywhere bool
	// spares reports whether this try is made, and does not count, although there were
	// too many; may be nil.
	spares func(ctx context.Context, tx *store.Tx, now time.Time) (bool, error)
}

// signinAttempt counts a guess of a password: for an address from a source, for the
// source, and for the address, which is tried too often for everyone but those who
// come from where its user has signed in before. Whether there is such a user makes
// no difference.
func signinAttempt(email string, source netip.Addr) attempt {
	account := throttled{key: secret.Digest("account " + identity.EmailKey(email)), rule: accountRule, everywhere: true}
	account.spares = func(ctx context.Context, tx *store.Tx, now time.Time) (bool, error) {
		return tx.IsKnownSource(ctx, email, sourceKey(source), now.Add(-identity.SourcePeriod))
	}
	a := newAttempt("signin", email, source)
	a.counts = append(a.counts, account)
	return a
}

// here is the part of an attempt that counts for its source: it bounds how much work
// one source can make.
func (a attempt) here() attempt { return a.part(false) }

// everywhere is the part that counts for the user, wherever it comes from. It is taken
// back as soon as nothing was guessed wrong: no lock of everyone must come of that.
// Whoever takes both parts back takes back the whole attempt, so that the rows are
// always locked in one order.
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

// codeAttempt counts a guess of a code, at sign-in and in a session.
func codeAttempt(user identity.User, source netip.Addr) attempt {
	a := newAttempt("code", string(user.Email), source)
	a.counts = append(a.counts, throttled{
		key: secret.Digest("code " + strconv.FormatInt(user.ID, 10)), rule: codeRule, everywhere: true,
	})
	return a
}

// newAttempt counts for an address from a source, and for the source. What is
// kept of either is a digest.
func newAttempt(kind, email string, source netip.Addr) attempt {
	from := sourceKey(source)
	return attempt{counts: []throttled{
		{key: secret.Digest(kind + " " + from + " " + identity.EmailKey(email)), rule: pairRule},
		{key: secret.Digest(kind + " " + from), rule: sourceRule},
	}}
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
func (s *Service) begin(ctx context.Context, a *attempt, now time.Time) error {
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
				if spared { // for this rule it is no try
					continue
				}
			}
			a.counts, begun, wait = append(a.counts, t), append(begun, after), max(wait, atLeast)
		}
		if wait > 0 {
			return nil // a try that is not made counts for nothing
		}
		for i, t := range a.counts {
			if err := tx.SetThrottle(ctx, t.key, begun[i]); err != nil {
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

// takeBack uncounts a try that could not be made. If that fails, too, it counts
// until the window ends.
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
		if err := tx.SetThrottle(ctx, t.key, change(t.rule, throttle, a.at)); err != nil {
			return err
		}
	}
	return nil
}
