package identity

import (
	"math/rand/v2"
	"testing"
	"time"
)

var day0 = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestThrottle(t *testing.T) {
	t.Parallel()
	rule := ThrottleRule{Max: 3, Window: time.Minute, Lock: 10 * time.Minute}
	now := day0
	var throttle Throttle
	begin := func(want time.Duration) {
		t.Helper()
		after, wait := rule.Begin(throttle, now)
		if wait != want {
			t.Errorf("%+v: wait %v, want %v", throttle, wait, want)
		}
		throttle = after
	}
	for range 20 { // good ones are not bounded
		begin(0)
		throttle = rule.Succeed(throttle, now)
	}
	begin(0)
	begin(0)
	begin(0)
	begin(time.Second) // three are under way; the fourth locks nothing
	throttle = rule.Succeed(rule.Fail(rule.Fail(throttle, now), now), now)
	begin(0)
	throttle = rule.Fail(throttle, now)
	begin(10 * time.Minute)
	now = now.Add(10*time.Minute - time.Second)
	begin(time.Second)
	now = now.Add(time.Second)
	begin(0)
	throttle = rule.Fail(throttle, now)
	begin(0)
	throttle = rule.Fail(throttle, now)
	now = now.Add(time.Minute) // they are out of the window
	begin(0)
	if len(throttle.Tries) != 1 || throttle.Tries[0].Failed {
		t.Errorf("%+v", throttle)
	}
}

// TestBlockedUntil: the end of a block is the time from which Begin lets a try through.
func TestBlockedUntil(t *testing.T) {
	t.Parallel()
	for _, rule := range []ThrottleRule{
		{Max: 3, Window: time.Minute, Lock: 10 * time.Minute}, {Max: 3, Window: time.Hour}, {Max: 1, Window: time.Second},
	} {
		var throttle Throttle
		now := day0
		for i := range 40 {
			until := rule.BlockedUntil(throttle)
			after, wait := rule.Begin(throttle, now)
			if blocked := until.After(now); blocked != (wait > 0) || blocked && !until.Equal(now.Add(wait)) {
				t.Errorf("%+v at %v: blocked until %v, but Begin waits %v", rule, now, until, wait)
			}
			if wait == 0 {
				throttle = rule.Fail(after, now)
				if i%4 == 0 {
					throttle = rule.Succeed(after, now)
				}
			}
			now = now.Add(time.Duration(i*i) * time.Second / 4)
		}
		failed := rule.FailedSince(Throttle{Tries: []Try{{At: day0, Failed: true}, {At: day0}}}, day0)
		gone := rule.FailedSince(Throttle{Tries: []Try{{At: day0, Failed: true}}}, day0.Add(rule.Window))
		if failed != 1 || gone != 0 {
			t.Errorf("%+v: %d failed, %d after the window", rule, failed, gone)
		}
	}
}

// TestThrottleHasNoEdge: a fixed window lets twice as many through around its edge.
func TestThrottleHasNoEdge(t *testing.T) {
	t.Parallel()
	rule := ThrottleRule{Max: 5, Window: time.Minute}
	var throttle Throttle
	var checked []time.Time
	for second := range 600 {
		now := day0.Add(time.Duration(second) * time.Second)
		after, wait := rule.Begin(throttle, now)
		if wait > 0 {
			if next, _ := rule.Begin(throttle, now.Add(wait)); len(next.Tries) != 5 {
				t.Fatalf("at %d s: after %s it is not free", second, wait)
			}
			continue
		}
		throttle = rule.Fail(after, now)
		checked = append(checked, now)
	}
	if most := mostWithin(checked, time.Minute); most != 5 || len(checked) != 50 {
		t.Errorf("%d within a minute, %d in ten", most, len(checked))
	}
}

// TestThrottleLocks: Max failures within a window lock, whenever they began.
func TestThrottleLocks(t *testing.T) {
	t.Parallel()
	rule := ThrottleRule{Max: 3, Window: time.Hour, Lock: 2 * time.Hour}
	var throttle Throttle
	at := func(minutes int) time.Time { return day0.Add(time.Duration(minutes) * time.Minute) }
	for _, minute := range []int{0, 10, 59} {
		var wait time.Duration
		if throttle, wait = rule.Begin(throttle, at(minute)); wait != 0 {
			t.Fatalf("minute %d: %s", minute, wait)
		}
		throttle = rule.Fail(throttle, at(minute))
	}
	for minute, want := range map[int]time.Duration{
		59: 2 * time.Hour, 61: 118 * time.Minute, 178: time.Minute, 179: 0,
		-100000: 2 * time.Hour, // set back
	} {
		if _, wait := rule.Begin(throttle, at(minute)); wait != want {
			t.Errorf("minute %d: %s, want %s", minute, wait, want)
		}
	}
}

// TestThrottleTakesItsOwnBack: whose outcome is known first does not matter.
func TestThrottleTakesItsOwnBack(t *testing.T) {
	t.Parallel()
	rule := ThrottleRule{Max: 3, Window: time.Minute, Lock: time.Hour}
	var throttle Throttle
	times := []time.Time{day0, day0.Add(30 * time.Second), day0.Add(40 * time.Second)}
	for _, at := range times {
		throttle, _ = rule.Begin(throttle, at)
	}
	if _, wait := rule.Begin(throttle, times[2]); wait != time.Second {
		t.Errorf("three under way: %s", wait)
	}
	throttle = rule.Fail(throttle, times[1])
	throttle = rule.Succeed(throttle, times[0])
	throttle = rule.Succeed(throttle, times[0]) // there is none any more
	throttle = rule.Succeed(throttle, times[1]) // it has failed
	want := []Try{{times[1], true}, {times[2], false}}
	if len(throttle.Tries) != 2 || throttle.Tries[0] != want[0] || throttle.Tries[1] != want[1] {
		t.Errorf("%v", throttle.Tries)
	}
}

// mostWithin returns how many of the times, in order, lie within one window.
func mostWithin(times []time.Time, window time.Duration) int {
	most := 0
	for i, first := range times {
		n := 0
		for _, at := range times[i:] {
			if at.Sub(first) < window {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// walkThrottle tries again and again while the clock takes the steps, and knows of
// every second outcome a few steps later only. It returns the times, by the throttle's
// clock, of the tries that count.
func walkThrottle(t *testing.T, rule ThrottleRule, steps []int16) []time.Time {
	t.Helper()
	var throttle Throttle
	var counted, open []time.Time
	now := day0
	for i, step := range steps {
		now = now.Add(time.Duration(step) * time.Second)
		clock := throttle.Clock(now)
		after, wait := rule.Begin(throttle, now)
		switch locked := clock.Before(throttle.LockedUntil); {
		case wait == 0:
			throttle = after
			at := throttle.LatestAt
			if locked || !at.Equal(clock) {
				t.Fatalf("step %d: counted at %s, locked %v", i, at, locked)
			}
			if i%3 == 0 { // a good one
				throttle = rule.Succeed(throttle, at)
				continue
			}
			counted = append(counted, at)
			if i%2 == 0 {
				open = append(open, at)
			} else {
				throttle = rule.Fail(throttle, at)
			}
		case wait < 0 || wait > max(rule.Lock, rule.Window):
			t.Fatalf("step %d: wait %s", i, wait)
		case !locked: // then so many were made in the window that ends now
			n := 0
			for _, at := range counted {
				if clock.Sub(at) < rule.Window {
					n++
				}
			}
			if n < rule.Max {
				t.Fatalf("step %d: refused after %d", i, n)
			}
		}
		if len(open) > 2 {
			throttle, open = rule.Fail(throttle, open[0]), open[1:]
		}
		if len(throttle.Tries) > rule.Max {
			t.Fatalf("step %d keeps %d", i, len(throttle.Tries))
		}
	}
	return counted
}

// TestThrottleProperty: whatever the times, also backwards, there are never more than
// Max within any window of the throttle's clock.
func TestThrottleProperty(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, rule := range []ThrottleRule{
		{Max: 5, Window: time.Minute, Lock: 10 * time.Minute},
		{Max: 50, Window: time.Hour, Lock: time.Hour},
		{Max: 100, Window: 24 * time.Hour},
		{Max: 1, Window: time.Second, Lock: time.Second},
		{Max: 3, Window: time.Hour, Lock: time.Second},
	} {
		for range 30 {
			steps := make([]int16, 500)
			for i := range steps {
				steps[i] = int16(random.IntN(40))
				if random.IntN(20) == 0 {
					steps[i] = int16(random.IntN(8000) - 4000)
				}
			}
			if most := mostWithin(walkThrottle(t, rule, steps), rule.Window); most > rule.Max {
				t.Fatalf("%+v: %d within a window", rule, most)
			}
		}
	}
}

// TestThrottleOfClocksThatDiffer: two instances try in turn, whose clocks are ten
// minutes apart.
func TestThrottleOfClocksThatDiffer(t *testing.T) {
	t.Parallel()
	rule := ThrottleRule{Max: 5, Window: time.Minute, Lock: 10 * time.Minute}
	var throttle Throttle
	checked := 0
	for i := range 60 {
		now := day0.Add(time.Duration(i)*time.Second + time.Duration(i%2)*10*time.Minute)
		after, wait := rule.Begin(throttle, now)
		if wait == 0 {
			throttle = rule.Fail(after, after.Clock(now))
			checked++
		}
	}
	if checked > 6 { // the first one looks ten minutes old to the other instance
		t.Errorf("%d were checked", checked)
	}
}

func FuzzThrottle(f *testing.F) {
	f.Add(uint8(5), uint16(60), uint16(600), []byte{0, 1, 2, 3, 250, 100, 0, 0, 0, 0, 0, 0, 200, 5})
	f.Add(uint8(1), uint16(1), uint16(0), []byte{128, 127, 0})
	f.Fuzz(func(t *testing.T, most uint8, window, lock uint16, deltas []byte) {
		rule := ThrottleRule{
			Max: 1 + int(most)%100, Window: time.Duration(1+int(window)) * time.Second,
			Lock: time.Duration(lock) * time.Second,
		}
		steps := make([]int16, min(len(deltas), 500))
		for i := range steps {
			steps[i] = int16(int8(deltas[i])) * int16(1+i%40)
		}
		if got := mostWithin(walkThrottle(t, rule, steps), rule.Window); got > rule.Max {
			t.Fatalf("%+v: %d within a window", rule, got)
		}
	})
}
