package store

import (
	"fmt"
	"testing"
	"time"
)

// TestMigrationKnowsEarlierSources: who has signed in of late is known where that was.
func TestMigrationKnowsEarlierSources(t *testing.T) {
	t.Parallel()
	eachOld(t, func(t *testing.T, d oldDatabase) {
		const before, with = 7, 8
		d.upTo(before)
		const day = 24 * time.Hour
		now := time.Now().UTC().Truncate(time.Second)
		d.insertUser()
		for _, e := range []struct {
			kind, source string
			user         int
			age          time.Duration
		}{
			{"USER_SIGNED_IN", "192.0.2.1", 1, 80 * day},
			{"USER_SIGNED_IN", "192.0.2.1", 1, 3 * day},
			{"USER_SIGNED_IN", "192.0.2.1", 1, 70 * day},
			{"USER_SIGNED_IN", "192.0.2.2", 1, 91 * day},
			{"USER_SIGNED_IN", "2001:db8::1", 1, day},
			{"USER_SIGNED_IN", "::ffff:192.0.2.9", 1, day},
			{"USER_SIGNED_IN", "", 1, day},
			{"USER_SIGNIN_FAILED", "192.0.2.3", 1, day},
			{"USER_SIGNED_IN", "192.0.2.4", 2, day}, // who is gone
		} {
			d.execute(`INSERT INTO events (type, happened_at, actor_name, actor_token_id, actor_user_id, source, request_id,
					subject_type, subject_id, changes) VALUES ($1, $2, '', 0, $3, $4, '', 'user', $3, '{}')`,
				e.kind, timestamp{now.Add(-e.age)}, e.user, e.source)
		}
		d.upTo(with)
		var rows []struct {
			UserID int       `db:"user_id"`
			Source string    `db:"source"`
			First  timestamp `db:"first_seen_at"`
			Last   timestamp `db:"last_seen_at"`
		}
		if err := d.write.db.SelectContext(t.Context(), &rows, "SELECT * FROM user_sources"); err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(rows)
		if len(rows) != 1 || rows[0].UserID != 1 || rows[0].Source != "192.0.2.1" ||
			!rows[0].First.Equal(now.Add(-80*day)) || !rows[0].Last.Equal(now.Add(-3*day)) {
			t.Errorf("%s", got)
		}
	})
}
