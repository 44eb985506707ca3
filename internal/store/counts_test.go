package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// texts returns the rows of a query of one column.
func (d oldDatabase) texts(query string) []string {
	d.t.Helper()
	var rows []string
	if err := d.write.db.SelectContext(d.t.Context(), &rows, query); err != nil {
		d.t.Fatalf("%s: %v", query, err)
	}
	return rows
}

// checkCounts compares what triggers keep with what they keep it of: user_counts, and signins.
func (d oldDatabase) checkCounts() {
	d.t.Helper()
	const sums = "sum(users) || ' users, ' || sum(active) || ' ' || sum(tfa) || ' ' || sum(active_tfa)"
	counted := d.texts("SELECT group_id || ' ' || block || ': ' || " + sums + ` FROM user_counts
		GROUP BY group_id, block HAVING sum(users) <> 0 OR sum(active) <> 0 OR sum(tfa) <> 0 OR sum(active_tfa) <> 0`)
	actual := d.texts("SELECT group_id || ' ' || (id >> 10) || ': ' || " + sums + ` FROM
		(SELECT 0 AS group_id, id FROM users UNION ALL SELECT group_id, user_id FROM memberships) AS members
		JOIN (SELECT id, 1 AS users, CASE WHEN active THEN 1 ELSE 0 END AS active, CASE WHEN tfa THEN 1 ELSE 0 END AS tfa,
			CASE WHEN active AND tfa THEN 1 ELSE 0 END AS active_tfa FROM users) AS people USING (id)
		GROUP BY group_id, id >> 10`)
	slices.Sort(counted)
	slices.Sort(actual)
	if !slices.Equal(counted, actual) {
		d.t.Errorf("counted\n%s\nare\n%s", strings.Join(counted, "\n"), strings.Join(actual, "\n"))
	}
	const copied = "id || ' ' || CASE WHEN active THEN 'active' ELSE '' END || CASE WHEN tfa THEN ' tfa' ELSE '' END"
	if got, want := d.texts("SELECT "+copied+" FROM signins ORDER BY id"),
		d.texts("SELECT "+copied+" FROM users ORDER BY id"); !slices.Equal(got, want) {
		d.t.Errorf("signins has\n%v\nof\n%v", got, want)
	}
}

// countedGroups are the groups of a walk, which come and go.
const countedGroups = 4

// walk makes a random change to users, memberships or groups, of one or of many, with no lock but
// those that the statements take.
func walk(ctx context.Context, tx *Tx, r *rand.Rand) error {
	const ids = 3 << blockBits
	id, group := 1+r.IntN(ids), 2+r.IntN(countedGroups)
	flag := func() bool { return r.IntN(2) == 0 }
	run := func(statement string, args ...any) error {
		_, err := tx.exec(ctx, statement, args...)
		return err
	}
	join := func(condition string) error {
		return run("INSERT INTO memberships (user_id, group_id) SELECT users.id, groups.id FROM users, groups WHERE groups.id = " +
			fmt.Sprint(group) + " AND users." + condition + " ON CONFLICT DO NOTHING")
	}
	switch r.IntN(12) {
	case 0:
		return run("DELETE FROM users WHERE id = $1", id)
	case 1:
		return run("DELETE FROM users WHERE id > $1 AND id < $2", id, id+ids/20)
	case 2:
		return run("UPDATE users SET active = $2, tfa = $3 WHERE id = $1", id, flag(), flag())
	case 3:
		return run("UPDATE users SET active = NOT active WHERE id > $1 AND id < $2", id, id+ids/20)
	case 4:
		return run("UPDATE users SET tfa = $2 WHERE id = (SELECT max(user_id) FROM memberships WHERE group_id = $1)", group, flag())
	case 5:
		return run("DELETE FROM memberships WHERE group_id = $1", group)
	case 6:
		return run("DELETE FROM memberships WHERE user_id > $1 AND user_id < $2", id, id+ids/20)
	case 7:
		return join(fmt.Sprintf("id >= %d AND users.id < %d", id, id+ids/20))
	case 8:
		return join(fmt.Sprint("id = ", id))
	case 9:
		if err := run("DELETE FROM memberships WHERE group_id = $1", group); err != nil {
			return err
		}
		if err := run("DELETE FROM groups WHERE id = $1", group); err != nil {
			return err
		}
		return insertCountedGroup(ctx, tx, group)
	}
	for range 1 + r.IntN(20) {
		row := rowOf(identity.User{Active: flag(), TFA: flag()})
		row.emailKey = fmt.Sprint(r.Uint64())
		args := append(row.arguments(insertColumns), 1+r.IntN(ids))
		err := run(insertUsers[:len("INSERT INTO users (")]+columnNames(insertColumns)+", id) VALUES "+
			valueList(1, len(args))+" ON CONFLICT DO NOTHING", args...)
		if err != nil {
			return err
		}
	}
	return join(fmt.Sprint("id % 3 = ", id%3))
}

func insertCountedGroup(ctx context.Context, tx *Tx, id int) error {
	_, err := tx.exec(ctx, `INSERT INTO groups (id, name, name_folded, permissions, created_at)
		VALUES ($1, '', $2, '', $3) ON CONFLICT DO NOTHING`, id, fmt.Sprint(id), timestamp{})
	return err
}

// TestUserCountsStayExact makes random changes, on PostgreSQL many at once, and compares the counts
// before and after they are folded together.
func TestUserCountsStayExact(t *testing.T) {
	t.Parallel()
	eachOld(t, func(t *testing.T, d oldDatabase) {
		d.migrate()
		inTx := func(fn func(tx *Tx) error) error { return d.InTx(t.Context(), fn) }
		for id := range countedGroups {
			if err := inTx(func(tx *Tx) error { return insertCountedGroup(t.Context(), tx, id+2) }); err != nil {
				t.Fatal(err)
			}
		}
		walkers, steps := 1, 300
		if d.write.engine.foldCounts != "" {
			walkers, steps = 8, 100
		}
		var done atomic.Int64
		var walking sync.WaitGroup
		for i := range walkers {
			walking.Go(func() {
				r := rand.New(rand.NewPCG(14, uint64(i)))
				for range steps {
					err := inTx(func(tx *Tx) error {
						if walkers > 1 { // most wait for each other in a circle, which takes a second to be found
							if _, err := tx.exec(t.Context(), "SET LOCAL lock_timeout = '30ms'"); err != nil {
								return err
							}
						}
						for range 1 + r.IntN(2) {
							if err := walk(t.Context(), tx, r); err != nil {
								return err
							}
						}
						return nil
					})
					// What another walker has deleted cannot be referred to, and some wait for each other.
					if err == nil {
						done.Add(1)
					} else if walkers == 1 {
						t.Error(err)
					}
					if walkers == 1 {
						d.checkCounts()
					}
				}
			})
		}
		walking.Wait()
		t.Logf("%d of %d transactions succeeded", done.Load(), walkers*steps)
		if done.Load() < int64(walkers*steps/2) {
			t.Errorf("only %d transactions succeeded", done.Load())
		}
		d.checkCounts()
		if err := inTx(func(tx *Tx) error { return tx.Prune(t.Context(), time.Now()) }); err != nil {
			t.Fatal(err)
		}
		d.checkCounts()
		many := d.texts("SELECT group_id || ' ' || block FROM user_counts GROUP BY group_id, block HAVING count(*) > 1")
		if len(many) > 0 {
			t.Errorf("still spread: %v", many)
		}
		total, err := d.CountUsers(t.Context(), identity.UserFilter{Group: 2, Active: new(bool)})
		if want := d.texts("SELECT count(*) || '' FROM users JOIN memberships ON user_id = id WHERE group_id = 2 AND NOT active"); err != nil || fmt.Sprint(total) != want[0] {
			t.Errorf("%d, %v, want %s", total, err, want)
		}
	})
}

// TestMigrationCountsUsers upgrades a database with users, groups and sign-ins. The version
// before, which may still run, reads its counts, and its stamps of sign-ins are seen.
func TestMigrationCountsUsers(t *testing.T) {
	t.Parallel()
	eachOld(t, func(t *testing.T, d oldDatabase) {
		const before = 17
		d.upTo(before)
		at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
		for _, id := range []int{2, 3} {
			d.execute("INSERT INTO groups (id, name, name_folded, permissions, created_at) VALUES ($1, '', $2, '', $3)",
				id, fmt.Sprint(id), timestamp{})
		}
		for i := range 60 {
			id := 1 + 100*i
			d.execute(`INSERT INTO users (id, name, name_folded, email, email_folded, password_hash, phone, active, tfa,
					allow_list, client_tags, can_view_masked_data, created_at, last_signin_at)
				VALUES ($1, '', '', '', $2, '', '', $3, $4, '', '[]', false, $5, $6)`,
				id, fmt.Sprint(id), i%3 != 0, i%4 != 0, timestamp{}, timestamp{at.Add(time.Duration(i) * time.Minute)})
			for _, group := range []int{2, 3}[:i%3] {
				d.execute("INSERT INTO memberships (user_id, group_id) VALUES ($1, $2)", id, group)
			}
		}
		blocks := d.texts("SELECT block || ': ' || users || ' ' || active FROM user_blocks ORDER BY block")
		d.migrate()
		d.checkCounts()
		if got := d.texts("SELECT block || ': ' || users || ' ' || active FROM user_blocks ORDER BY block"); !slices.Equal(got, blocks) {
			t.Errorf("%v, want %v", got, blocks)
		}
		signedIn := func(id int64) time.Time {
			t.Helper()
			user, err := d.User(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			return user.LastSigninAt
		}
		if got, want := signedIn(501), at.Add(5*time.Minute); !got.Equal(want) {
			t.Errorf("signed in %v, want %v", got, want)
		}
		later := at.Add(24 * time.Hour)
		d.execute("UPDATE users SET last_signin_at = $1 WHERE id = 501", timestamp{later})
		if got := signedIn(501); !got.Equal(later) {
			t.Errorf("signed in %v, want %v", got, later)
		}
	})
}
