package service

import (
	"context"
	"net/netip"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

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
		{secret.Digest(kind + " " + from + " " + identity.EmailKey(email)), pairRule},
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
