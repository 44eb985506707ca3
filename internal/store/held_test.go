package store

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/pgtest"
)

// TestMigrationHoldsNoSession upgrades a database with sessions: they go on as they were. The
// release before writes sessions without the new column, and they are as before too.
func TestMigrationHoldsNoSession(t *testing.T) {
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
			execute := func(statement string) {
				t.Helper()
				if _, err := s.write.db.ExecContext(t.Context(), statement); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
			zero := "'0001-01-01 00:00:00+00'"
			if engine == "sqlite" {
				zero = "-62135596800000000"
			}
			session := func(id string) {
				execute(`INSERT INTO sessions (id, user_id, created_at, expires_at) VALUES (` + id + `, 1, ` + zero + `, ` + zero + `)`)
				execute(`INSERT INTO tokens (name, digest, user_id, session_id, permissions, can_view_masked_data, allow_list,
					created_at, expires_at) VALUES ('session', 'digest ` + id + `', 1, ` + id + `, '*', true, '', ` + zero + `, ` + zero + `)`)
			}
			const before, sessionsOfReleaseBefore = 8, 11
			if _, err := provider.UpTo(t.Context(), before); err != nil {
				t.Fatal(err)
			}
			execute(`INSERT INTO users (id, name, name_folded, email, email_folded, password_hash, phone, active, tfa,
					allow_list, client_tags, can_view_masked_data, created_at)
				VALUES (1, '', '', '', '', '', '', true, false, '', '[]', false, ` + zero + `)`)
			if _, err := provider.UpTo(t.Context(), sessionsOfReleaseBefore); err != nil {
				t.Fatal(err)
			}
			session("101")
			if _, err := s.migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			session("102")
			for _, digest := range []string{"digest 101", "digest 102"} {
				grant, err := s.Grant(t.Context(), digest)
				if err != nil || grant.SessionIdle != 0 || grant.Token.SessionID == 0 {
					t.Errorf("%s: %+v, %v", digest, grant, err)
				}
			}
			err = s.InTx(t.Context(), func(tx *Tx) error {
				grant, err := tx.Grant(t.Context(), "digest 102")
				if err != nil {
					return err
				}
				return tx.HoldSession(t.Context(), 102, grant.Token.ID, 12*time.Hour, time.Unix(1e9, 0))
			})
			if err != nil {
				t.Fatal(err)
			}
			held, err := s.Grant(t.Context(), "digest 102")
			if err != nil || held.SessionIdle != 12*time.Hour || !held.Token.ExpiresAt.Equal(time.Unix(1e9, 0)) {
				t.Errorf("%+v, %v", held, err)
			}
			if other, err := s.Grant(t.Context(), "digest 101"); err != nil || other.SessionIdle != 0 ||
				!other.Token.ExpiresAt.IsZero() {
				t.Errorf("%+v, %v", other, err)
			}
		})
	}
}
