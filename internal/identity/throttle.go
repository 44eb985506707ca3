package identity

import (
	"slices"
	"time"
)

// Throttle has the recent attempts of one key. It is stored in the database, so that all
// instances count together.
type Throttle struct {
	Tries       []Try     // the oldest first
	LatestAt    time.Time // of those that were counted, also if they were taken back
	LockedUntil time.Time
}

// Try is an attempt that counts: it has failed, or its outcome is not known yet.
type Try struct {
	At     time.Time // to the microsecond
	Failed bool
}

// ThrottleRule bounds attempts: no more than Max within any Window, and after Max
// failures none for the length of Lock, which may be 0. Attempts whose outcome is
// not known yet count as well, so that many at once do not pass together, but they
// lock nothing: they may all be good ones.
type ThrottleRule struct {
	Max    int // from 1 to 100: a throttle keeps the time of each
	Window time.Duration
	Lock   time.Duration
}

// Clock returns now, or the time of the latest try where that is later. A throttle
// counts by this clock, which never goes back: earlier tries count also after a clock was
// set back, or if that of another instance is behind.
func (t Throttle) Clock(now time.Time) time.Time {
	if t.LatestAt.After(now) {
		return t.LatestAt
	}
	return now
}

// Begin counts an attempt, at the throttle's Clock, or returns how long to wait
// before the next one.
func (r ThrottleRule) Begin(t Throttle, now time.Time) (after Throttle, wait time.Duration) {
	now = t.Clock(now)
	if wait := t.LockedUntil.Sub(now); wait > 0 {
		return t, min(wait, r.Lock) // also after a clock was set back
	}
	recent := r.recent(t, now)
	if len(recent) < r.Max {
		return Throttle{Tries: append(recent, Try{At: now}), LatestAt: now, LockedUntil: t.LockedUntil}, 0
	}
	if slices.ContainsFunc(recent, func(try Try) bool { return !try.Failed }) {
		return t, time.Second // a pending try may succeed at any moment
	}
	return t, recent[0].At.Add(r.Window).Sub(now)
}

// Fail records that the attempt that was counted at a time has failed.
func (r ThrottleRule) Fail(t Throttle, at time.Time) Throttle {
	t.Tries = slices.Clone(t.Tries)
	if i := t.pending(at); i >= 0 {
		t.Tries[i].Failed = true
	}
	failures := 0
	for _, try := range t.Tries {
		if try.Failed {
			failures++
		}
	}
	// All stored tries lie within the window of the latest one.
	if failures >= r.Max && r.Lock > 0 {
		t.LockedUntil = t.Clock(at).Add(r.Lock)
	}
	return t
}

// Succeed takes the attempt that was counted at a time back: good ones are not
// bounded.
func (ThrottleRule) Succeed(t Throttle, at time.Time) Throttle {
	if i := t.pending(at); i >= 0 {
		t.Tries = slices.Delete(slices.Clone(t.Tries), i, i+1)
	}
	return t
}

// BlockedUntil returns until when no attempt is let through, because so many have failed;
// the zero time if there were not so many.
func (r ThrottleRule) BlockedUntil(t Throttle) time.Time {
	failed := slices.DeleteFunc(slices.Clone(t.Tries), func(try Try) bool { return !try.Failed })
	until := t.LockedUntil
	if len(failed) >= r.Max {
		if end := failed[len(failed)-r.Max].At.Add(r.Window); end.After(until) {
			until = end
		}
	}
	return until
}

// FailedSince returns how many attempts have failed in the window that ends now.
func (r ThrottleRule) FailedSince(t Throttle, now time.Time) int {
	failed := 0
	for _, try := range r.recent(t, now) {
		if try.Failed {
			failed++
		}
	}
	return failed
}

// recent returns a copy of the tries that lie within the window that ends now.
func (r ThrottleRule) recent(t Throttle, now time.Time) []Try {
	return slices.DeleteFunc(slices.Clone(t.Tries), func(try Try) bool { return now.Sub(try.At) >= r.Window })
}

// pending returns the index of an attempt that was counted at a time and whose outcome is
// not known yet, or -1 if it is no longer stored.
func (t Throttle) pending(at time.Time) int {
	return slices.IndexFunc(t.Tries, func(try Try) bool { return !try.Failed && try.At.Equal(at) })
}
