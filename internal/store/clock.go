package store

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Clock tells the time of the database, which all instances use: what they count, claim
// and let expire together must not depend on how well their own clocks are set. On
// SQLite, which has one host, and before the first Sync it is the local clock. It is
// safe for concurrent use.
type Clock struct {
	store   *Store
	local   func() time.Time
	reading atomic.Pointer[reading]
}

// reading holds the times of both clocks at one moment.
type reading struct{ database, local time.Time }

// slowReading is the duration of a query for the time above which the answer is not used:
// the answer may be off by half the duration.
const slowReading = time.Second

// NewClock returns the clock of a store's database. local is time.Now except in tests.
func NewClock(s *Store, local func() time.Time) *Clock {
	return &Clock{store: s, local: local}
}

// Sync reads the time of the database and assumes that it was read halfway between query
// and answer. A slow answer is dropped if an earlier one is known. Where Sync fails, Now
// goes on from the earlier reading.
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

// Now returns the time of the last Sync plus what has passed since. The local clock's
// monotonic part measures that, so that setting the local clock changes nothing.
func (c *Clock) Now() time.Time {
	local := c.local()
	r := c.reading.Load()
	if r == nil {
		return local
	}
	return r.database.Add(local.Sub(r.local))
}
