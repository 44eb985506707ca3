package store

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Clock tells the time of the database, by which all instances go: what they count,
// claim and let expire together must not depend on how well their own clocks are set.
// On SQLite, which has one host, it is the local clock, and so it is before the first
// Sync. It is safe for concurrent use.
type Clock struct {
	store   *Store
	local   func() time.Time
	reading atomic.Pointer[reading]
}

// reading is the time of both clocks at one moment.
type reading struct{ database, local time.Time }

// slowReading is how long it takes to ask for the time when the answer is of no use: it
// may be off by half of that.
const slowReading = time.Second

// NewClock returns the clock of a store's database. local is time.Now but in tests.
func NewClock(s *Store, local func() time.Time) *Clock {
	return &Clock{store: s, local: local}
}

// Sync asks the database for the time, which was read there halfway between question and
// answer. An answer that took long is dropped where there is an earlier one.
func (c *Clock) Sync(ctx context.Context) error {
	query := c.store.pool.engine.clock
	if query == "" {
		return nil
	}
	before := c.local()
	var now timestamp
	if err := c.store.get(ctx, &now, query); err != nil {
		return fmt.Errorf("the database's clock: %w", err)
	}
	after := c.local()
	took := after.Sub(before)
	if took > slowReading && c.reading.Load() != nil {
		return nil
	}
	c.reading.Store(&reading{database: now.Add(took / 2), local: after})
	return nil
}

// Now returns the time of the database: that of the last Sync and what has passed since,
// by the local clock's monotonic part, so that it does not matter when that clock is set.
func (c *Clock) Now() time.Time {
	local := c.local()
	r := c.reading.Load()
	if r == nil {
		return local
	}
	return r.database.Add(local.Sub(r.local))
}
