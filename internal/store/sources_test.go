package store

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/pgtest"
)

// TestMigrationKnowsEarlierSources: who has signed in of late is known where that was.
func TestMigrationKnowsEarlierSources(t *testing.T) {
	t.Parallel()
	for engine, url := range map[string]string{
		"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "roster.db"), "postgres": pgtest.New(t),
	} {
		t.Run(engine, func(t *testing.T) {
			s, err := openForMigration(url)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			provider, err := newProvider(s.write.db, s.write.engine)
			if err != nil {
				t.Fatal(err)
			}
			const before, with = 7, 8
			if _, err := provider.UpTo(t.Context(), before); err != nil {
				t.Fatal(err)
			}
			execute := func(statement string, args ...any) {
				t.Helper()
				if _, err := s.write.db.ExecContext(t.Context(), statement, args...); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
			const day = 24 * time.Hour
			now := time.Now().UTC().Truncate(time.Second)
			execute(`INSERT INTO users (id, name, name_folded, email, email_folded, password_hash, phone, active, tfa,
					allow_list, client_tags, can_view_masked_data, created_at)
				VALUES (1, '', '', '', '', '', '', true, false, '', '[]', false, $1)`, timestamp{now})
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
				execute(`INSERT INTO events (type, happened_at, actor_name, actor_token_id, actor_user_id, source, request_id,
						subject_type, subject_id, changes) VALUES ($1, $2, '', 0, $3, $4, '', 'user', $3, '{}')`,
					e.kind, timestamp{now.Add(-e.age)}, e.user, e.source)
			}
			if _, err := provider.UpTo(t.Context(), with); err != nil {
				t.Fatal(err)
			}
			var rows []struct {
				UserID int       `db:"user_id"`
				Source string    `db:"source"`
				First  timestamp `db:"first_seen_at"`
				Last   timestamp `db:"last_seen_at"`
			}
			if err := s.write.db.SelectContext(t.Context(), &rows, "SELECT * FROM user_sources"); err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprint(rows)
			if len(rows) != 1 || rows[0].UserID != 1 || rows[0].Source != "192.0.2.1" ||
				!rows[0].First.Equal(now.Add(-80*day)) || !rows[0].Last.Equal(now.Add(-3*day)) {
				t.Errorf("%s", got)
			}
		})
	}
}
