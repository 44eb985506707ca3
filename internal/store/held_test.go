package store

import (
	"testing"
	"time"
)

// TestMigrationHoldsNoSession upgrades a database with sessions: they go on as they were. The
// release before writes sessions without the new column, and they are as before too.
func TestMigrationHoldsNoSession(t *testing.T) {
	t.Parallel()
	eachOld(t, func(t *testing.T, d oldDatabase) {
		session := func(id int64, digest string) {
			d.execute("INSERT INTO sessions (id, user_id, created_at, expires_at) VALUES ($1, 1, $2, $2)", id, timestamp{})
			d.execute(`INSERT INTO tokens (name, digest, user_id, session_id, permissions, can_view_masked_data, allow_list,
				created_at, expires_at) VALUES ('session', $1, 1, $2, '*', true, '', $3, $3)`, digest, id, timestamp{})
		}
		const before, sessionsOfReleaseBefore = 8, 11
		d.upTo(before)
		d.insertUser()
		d.upTo(sessionsOfReleaseBefore)
		session(101, "digest 101")
		d.migrate()
		session(102, "digest 102")
		for _, digest := range []string{"digest 101", "digest 102"} {
			grant, err := d.Grant(t.Context(), digest)
			if err != nil || grant.SessionIdle != 0 || grant.Token.SessionID == 0 {
				t.Errorf("%s: %+v, %v", digest, grant, err)
			}
		}
		err := d.InTx(t.Context(), func(tx *Tx) error {
			grant, err := tx.Grant(t.Context(), "digest 102")
			if err != nil {
				return err
			}
			return tx.HoldSession(t.Context(), 102, grant.Token.ID, 12*time.Hour, time.Unix(1e9, 0))
		})
		if err != nil {
			t.Fatal(err)
		}
		held, err := d.Grant(t.Context(), "digest 102")
		if err != nil || held.SessionIdle != 12*time.Hour || !held.Token.ExpiresAt.Equal(time.Unix(1e9, 0)) {
			t.Errorf("%+v, %v", held, err)
		}
		if other, err := d.Grant(t.Context(), "digest 101"); err != nil || other.SessionIdle != 0 ||
			!other.Token.ExpiresAt.IsZero() {
			t.Errorf("%+v, %v", other, err)
		}
	})
}
