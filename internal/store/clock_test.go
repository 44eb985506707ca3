package store_test

import (
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// TestClock: on PostgreSQL the time is the database's, whatever the local clock says,
// and goes on by what passes here; on SQLite it is the local clock.
func TestClock(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		local := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
		asked := 0
		slow := time.Duration(0) // how long a question takes
		clock := store.NewClock(s, func() time.Time {
			asked++
			local = local.Add(slow)
			return local
		})
		if !clock.Now().Equal(local) {
			t.Errorf("before it is known: %s", clock.Now())
		}
		sync := func() {
			t.Helper()
			if err := clock.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		sync()
		if time.Until(s.Clock().Now()).Abs() > time.Minute {
			t.Errorf("the store's own: %s", s.Clock().Now())
		}
		if clock.Now().Equal(local) { // SQLite
			if asked != 2 { // by Now, and not by Sync
				t.Errorf("asked %d times", asked)
			}
			return
		}
		near := func(want time.Time) {
			t.Helper()
			if got := clock.Now(); got.Sub(want).Abs() > time.Minute { // the machine may be busy
				t.Errorf("%s, want %s", got, want)
			}
		}
		near(time.Now())
		local = local.Add(time.Hour)
		near(time.Now().Add(time.Hour))
		sync()
		near(time.Now())
		// An answer that took hours, as far as anybody knows, is dropped.
		slow = 2 * time.Hour
		sync()
		slow = 0
		near(time.Now().Add(4 * time.Hour))
		// Half of what an answer took has passed since.
		fresh := store.NewClock(s, func() time.Time {
			local = local.Add(2 * time.Hour)
			return local
		})
		if err := fresh.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		clock = fresh
		near(time.Now().Add(time.Hour + 2*time.Hour))
	})
}
