package ephemeral

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// clock is the one clock of a double. It stands still if it has a start, and runs with that
// of the machine if not. It can be moved forward only: what has expired stays so.
type clock struct {
	start time.Time // zero for one that runs

	mu    sync.Mutex
	ahead time.Duration // how far it was moved
	moved chan struct{} // closed at the next move
}

// lastYear bounds the times that a clock can be moved to: later ones have no RFC 3339.
const lastYear = 9000

var errBackward = errors.New("the clock can be moved forward only: reset takes it back to its start")

func newClock(start time.Time) *clock { return &clock{start: start, moved: make(chan struct{})} }

// now returns the time.
func (c *clock) now() time.Time {
	now, _ := c.reading()
	return now
}

// reading returns the time, and a channel that is closed when the clock is moved.
func (c *clock) reading() (time.Time, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at(), c.moved
}

// at returns the time. The caller holds mu.
func (c *clock) at() time.Time {
	base := c.start
	if base.IsZero() {
		base = time.Now()
	}
	return base.Add(c.ahead).UTC()
}

// advance moves the clock by a duration.
func (c *clock) advance(d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.move(d)
}

// set moves the clock to a time.
func (c *clock) set(to time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := to.Sub(c.at())
	if to.Year() > lastYear || c.at().Add(d).Before(to) { // Sub saturates
		return fmt.Errorf("the time must be before the year %d, and not more than 290 years ahead", lastYear)
	}
	return c.move(d)
}

func (c *clock) move(d time.Duration) error {
	switch {
	case d < 0:
		return errBackward
	case c.ahead+d < 0, c.at().Add(d).Year() > lastYear:
		return fmt.Errorf("the time must be before the year %d, and not more than 290 years ahead", lastYear)
	}
	c.ahead += d
	close(c.moved)
	c.moved = make(chan struct{})
	return nil
}

// wait waits until the clock shows a time or ctx is done, and returns the error of a deadline
// that has passed. moved is the channel of an earlier reading.
func (c *clock) wait(ctx context.Context, until time.Time, moved <-chan struct{}) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
		var now time.Time
		if now, moved = c.reading(); !now.Before(until) {
			return context.DeadlineExceeded
		}
	}
}
