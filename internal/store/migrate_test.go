package store

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/rosterhq/roster/internal/pgtest"
)

// oldDatabase is a database whose schema is brought up to date step by step.
type oldDatabase struct {
	*Store
	t        *testing.T
	provider *goose.Provider
}

// eachOld runs a test on an empty database of each engine.
func eachOld(t *testing.T, test func(t *testing.T, d oldDatabase)) {
	t.Helper()
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
			test(t, oldDatabase{s, t, provider})
		})
	}
}

// upTo migrates up to a version.
func (d oldDatabase) upTo(version int64) {
	d.t.Helper()
	if _, err := d.provider.UpTo(d.t.Context(), version); err != nil {
		d.t.Fatal(err)
	}
}

// migrate migrates up to the latest version.
func (d oldDatabase) migrate() {
	d.t.Helper()
	if _, err := d.Store.migrate(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
}

func (d oldDatabase) execute(statement string, args ...any) {
	d.t.Helper()
	if _, err := d.write.db.ExecContext(d.t.Context(), statement, args...); err != nil {
		d.t.Fatalf("%s: %v", statement, err)
	}
}

// insertUser inserts the user 1. The schema must be that of version 7 or 8.
func (d oldDatabase) insertUser() {
	d.t.Helper()
	d.execute(`INSERT INTO users (id, name, name_folded, email, email_folded, password_hash, phone, active, tfa,
			allow_list, client_tags, can_view_masked_data, created_at)
		VALUES (1, '', '', '', '', '', '', true, false, '', '[]', false, $1)`, timestamp{})
}

// TestMigrationErasesWhatOutlivedItsUser upgrades a database of the release
// before, in which users have been deleted: what was kept of them goes, of others
// nothing does.
func TestMigrationErasesWhatOutlivedItsUser(t *testing.T) {
	t.Parallel()
	eachOld(t, func(t *testing.T, d oldDatabase) {
		const before = 8
		d.upTo(before)
		const user, gone = 1, 2
		const zero = "'0001-01-01 00:00:00+00'"
		d.insertUser()
		for _, id := range []int{user, gone} {
			for _, event := range []struct {
				kind        string
				token       int
				subjectType string
				subject     int
				changes     string // of the user ID
			}{
				{"USER_SIGNIN_FAILED", 0, "user", id, `{}`},
				{"USER_UPDATED", 9, "user", id, `{}`},
				{"TOKEN_CREATED", 9, "token", 5, `{"name":{"new":"of ID","old":""},"userId":{"new":ID,"old":0}}`},
				{"TOKEN_REVOKED", 9, "token", 5, `{"name":{"new":"","old":"of ID"},"userId":{"new":0,"old":ID}}`},
				{"TOKEN_CREATED", 9, "token", 6, `{"name":{"new":"of a service","old":""}}`},
			} {
				d.execute(fmt.Sprintf(`INSERT INTO events (type, happened_at, actor_name, actor_token_id, actor_user_id, source,
						request_id, subject_type, subject_id, changes)
					VALUES ('%s', %s, '', %d, 0, '192.0.2.%d', '', '%s', %d, '%s')`, event.kind, zero, event.token, id,
					event.subjectType, event.subject, strings.ReplaceAll(event.changes, "ID", fmt.Sprint(id))))
			}
			d.execute(fmt.Sprintf(`INSERT INTO idempotency_keys (caller, key, fingerprint, user_id, answer, created_at)
				VALUES ('user 1', '%d', 'SHA-256', %d, '{}', %s)`, id, id, zero))
		}
		d.migrate()
		var got []string
		err := d.write.db.SelectContext(t.Context(), &got,
			"SELECT type || ' ' || source || ' ' || changes || ' ' || count || ' ' || person_id FROM events ORDER BY id")
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			`USER_SIGNIN_FAILED 192.0.2.1 {} 1 0`,
			`USER_UPDATED 192.0.2.1 {} 1 0`,
			`TOKEN_CREATED 192.0.2.1 {"name":{"new":"of 1","old":""},"userId":{"new":1,"old":0}} 1 1`,
			`TOKEN_REVOKED 192.0.2.1 {"name":{"new":"","old":"of 1"},"userId":{"new":0,"old":1}} 1 1`,
			`TOKEN_CREATED 192.0.2.1 {"name":{"new":"of a service","old":""}} 1 0`,
			`USER_SIGNIN_FAILED  {} 1 0`,
			`USER_UPDATED 192.0.2.2 {} 1 0`,
			`TOKEN_CREATED 192.0.2.2 {} 1 2`,
			`TOKEN_REVOKED 192.0.2.2 {} 1 2`,
			`TOKEN_CREATED 192.0.2.2 {"name":{"new":"of a service","old":""}} 1 0`,
		}
		if got, want := strings.Join(got, "\n"), strings.Join(want, "\n"); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
		var keys int
		err = d.write.db.GetContext(t.Context(), &keys, "SELECT count(*) FROM idempotency_keys")
		if err != nil || keys != 0 {
			t.Errorf("%d keys, %v", keys, err)
		}
	})
}

// TestMigrationNamesTheMakersOfWebhooks: who made a webhook of the release before stands in
// its event, if that is still there.
func TestMigrationNamesTheMakersOfWebhooks(t *testing.T) {
	t.Parallel()
	eachOld(t, func(t *testing.T, d oldDatabase) {
		const before = 11
		d.upTo(before)
		for id := range 3 {
			d.execute(`INSERT INTO webhooks (id, url, events, format, auth, active, created_at)
				VALUES ($1, '', '', '', '', true, $2)`, id+1, timestamp{})
		}
		for _, event := range []string{
			"'WEBHOOK_CREATED', 'webhook', 1, 7, 0", "'WEBHOOK_UPDATED', 'webhook', 1, 8, 0",
			"'WEBHOOK_CREATED', 'webhook', 2, 7, 9", "'TOKEN_CREATED', 'token', 3, 7, 9",
		} {
			d.execute(`INSERT INTO events (type, subject_type, subject_id, actor_user_id, actor_token_id,
				happened_at, actor_name, source, request_id, changes) VALUES (`+event+", $1, '', '', '', '{}')", timestamp{})
		}
		d.migrate()
		var got []string
		err := d.write.db.SelectContext(t.Context(), &got,
			"SELECT id || ' ' || created_by_user || ' ' || created_by_token FROM webhooks ORDER BY id")
		if want := "1 7 0, 2 7 9, 3 0 0"; err != nil || strings.Join(got, ", ") != want {
			t.Errorf("%v, %v, want %s", got, err, want)
		}
	})
}
