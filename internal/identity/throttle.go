package identity

import "time"

// Throttle is how often something was tried of late. It is kept in the
// database, so that all instances count together.
type Throttle struct {
	StartedAt   time.Time // of the window that is being counted
	Attempts    int       // failed ones, and those whose outcome is not known yet
	Failures    int
	LockedUntil time.Time
}

// ThrottleRule bounds attempts: after Most failures within a Window there are
// none for the length of Lock. Attempts whose outcome is not known yet count as
// well, so that many at once do not pass together, but they lock nothing: they
// may all be good ones.
type ThrottleRule struct {
	Most   int
	Window time.Duration
	Lock   time.Duration
}

// Begin counts an attempt, or returns how long to wait before the next one.
func (r ThrottleRule) Begin(t Throttle, now time.Time) (after Throttle, wait time.Duration) {
	if wait := t.LockedUntil.Sub(now); wait > 0 {
		return t, min(wait, r.Lock) // no longer than that, though a clock was set back
	}
	if age := now.Sub(t.StartedAt); age >= r.Window || age < 0 {
		t = Throttle{StartedAt: now}
	}
	if t.Attempts >= r.Most {
		return t, time.Second
	}
	t.Attempts++
	return t, 0
}

// Fail records that an attempt has failed.
func (r ThrottleRule) Fail(t Throttle, now time.Time) Throttle {
	t.Failures++
	if t.Failures >= r.Most {
		return Throttle{StartedAt: now, LockedUntil: now.Add(r.Lock)}
	}
	return t
}

// Succeed takes an attempt back: good ones are not bounded.
func (ThrottleRule) Succeed(t Throttle) Throttle {
	t.Attempts = max(0, t.Attempts-1)
	return t
}
