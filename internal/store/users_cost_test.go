package store

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/pgtest"
)

const manyUsers = 100_000

// fillUsers stores manyUsers users on an engine: one in ten is inactive, one in a thousand
// has no second factor, one per minute is created, and one in two has signed in an hour
// later. A hundred are locked, many have been.
func fillUsers(t *testing.T, engine string) *Store {
	t.Helper()
	if raceDetector {
		t.Skip("plans do not depend on the race detector, and to fill the table takes minutes with it")
	}
	url := "sqlite:" + filepath.Join(t.TempDir(), "roster.db")
	at := func(micros string) string { return micros }
	if engine == "postgres" {
		url = pgtest.New(t)
		at = func(micros string) string {
			return "'1970-01-01Z'::timestamptz + (" + micros + ") * interval '1 microsecond'"
		}
	}
	if _, err := Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	s, err := Open(url, Options{MaxConns: 1}) // what SET says holds for the connection
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	const never = "-62135596800000000"
	created := fmt.Sprintf("%d + i * 60000000", firstUser.UnixMicro())
	signedIn := "CASE WHEN i % 2 = 0 THEN " + created + " + 3600000000 ELSE " + never + " END"
	numbers := func(n int) string {
		return fmt.Sprintf("WITH RECURSIVE n (i) AS (SELECT CAST(1 AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < %d) ", n)
	}
	for _, statement := range []string{
		numbers(manyUsers) + `INSERT INTO users (name, name_folded, email, email_folded, password_hash, phone, active, tfa,
			allow_list, client_tags, can_view_masked_data, created_at, last_signin_at, password_decoy)
		SELECT 'User ' || i, 'user ' || i, 'u' || i || '@example.com', 'u' || i || '@example.com', '',
			CASE WHEN i % 3 = 0 THEN '+1804' || (1000000 + i) ELSE '' END, i % 10 <> 0, i % 1000 <> 1,
			'', '[]', false, ` + at(created) + ", " + at(signedIn) +
			", CASE WHEN i % 10 = 0 THEN 'decoy ' || (i % 3) ELSE '' END FROM n",
		numbers(22_000) + `INSERT INTO throttles (key, started_at, attempts, failures, locked_until, user_id, blocked_until)
		SELECT 'key ' || i, ` + at("0") + ", 0, 0, " + at("0") + ", i * 4, " +
			at(fmt.Sprintf("%d + CASE WHEN i %% 220 = 0 THEN 60000000 ELSE -60000000 END", firstUser.UnixMicro())) + " FROM n",
		numbers(manyUsers) + "INSERT INTO memberships (user_id, group_id) SELECT i, 1 FROM n",
		"ANALYZE",
	} {
		if _, err := s.write.db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	return s
}

var firstUser = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// searches are filters of which few users of fillUsers are found, and by which index.
func searches() map[string]identity.UserFilter {
	minute := func(n int) time.Time { return firstUser.Add(time.Duration(n) * time.Minute) }
	yes := true
	return map[string]identity.UserFilter{
		"users_by_creation, the latest": {CreatedAfter: minute(manyUsers - 20)},
		"users_by_creation, the first":  {CreatedBefore: minute(20)},
		"users_by_creation, between":    {CreatedAfter: minute(5000), CreatedBefore: minute(5020)},
		"signins_by_time, the latest":   {SigninAfter: minute(manyUsers + 20)},
		"signins_by_time, between":      {SigninAfter: minute(5000), SigninBefore: minute(5040), Active: &yes},
		"throttles_by_block":            {Locked: &yes, LockedAt: firstUser},
	}
}

// TestUserSearchesCostLittle asks PostgreSQL how many rows it reads for lists and counts by
// period and lock, as TestEventsCostTheSame does, and reports how long the counts take that
// a home page has.
func TestUserSearchesCostLittle(t *testing.T) {
	t.Parallel()
	s := fillUsers(t, "postgres")
	ctx := t.Context()
	const few, limit = 150, 50
	check := func(what string, modes []string, query string, args []any, most float64) {
		t.Helper()
		for _, mode := range modes {
			if got := rowsRead(t, s, mode, query, args); got > most {
				t.Errorf("%s, %s: %v rows are read, want at most %v", what, mode, got, most)
			}
		}
	}
	both := []string{"force_custom_plan", "force_generic_plan"}
	for name, filter := range searches() {
		for _, sort := range []identity.UserSort{identity.SortByID, identity.SortByName, identity.SortByLastSignin} {
			q := identity.UserQuery{Filter: filter, Sort: sort, Limit: limit}
			where := s.userConditions(filter, true)
			// Each match is read from the index, from the CTE, for the count, and with its groups.
			most := 6.0 * few
			ids := collectMatches(q, where, where.search, 5000)
			check(name+" by "+string(sort), both, s.pool.engine.pageQuery(q, ids), ids.args, most)
		}
		query, args := s.boundedCount(filter, 10_000)
		check(name+", count", both, query, args, 3*few)
	}
	// A period that many match is read in its order, and counted to the bound.
	yes := true
	old := identity.UserFilter{SigninBefore: firstUser.Add(24 * 365 * time.Hour), Active: &yes}
	query, args := s.boundedCount(old, 10_000)
	check("all of them, count", both, query, args, 10_001)
	q := identity.UserQuery{Filter: old, Sort: identity.SortByLastSignin, Limit: limit, NoTotal: true}
	ids := walkOrder(q, s.userConditions(old, false), perRow, 0)
	check("all of them, a page", both, s.pool.engine.pageQuery(q, ids), ids.args, 10*limit)
	none := identity.UserFilter{TFA: new(bool), Active: &yes}
	query, args = s.boundedCount(none, 10_000)
	check("no second factor, count", both[:1], query, args, few)
	e := s.pool.engine
	check("by email", both, e.usersByEmail(), []any{`["u7@example.com","u8@example.com"]`, 1001}, 10)
	check("by phone", both, e.usersByPhone(), []any{`["+18041000009"]`, 1001}, 10)
	check("by id", both, e.usersByID(), []any{`[1,2]`, 1001}, 10)
	check("decoys", both, selectDecoys, nil, 20)
	if _, err := s.write.db.ExecContext(ctx, "RESET plan_cache_mode"); err != nil {
		t.Fatal(err)
	}
	for name, filter := range map[string]identity.UserFilter{
		"active, not seen for long": old, "no second factor": none, "locked": {Locked: &yes, LockedAt: firstUser}, "all": {},
	} {
		begun := time.Now()
		count, err := s.UserCount(ctx, filter)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %+v in %v", name, count, time.Since(begun))
	}
}

// TestUserSearchesByIndexOnSQLite: the same searches do not scan the table.
func TestUserSearchesByIndexOnSQLite(t *testing.T) {
	t.Parallel()
	s := fillUsers(t, "sqlite")
	check := func(what, index, query string, args []any) {
		t.Helper()
		plan := planOf(t, s, "EXPLAIN QUERY PLAN "+query, args)
		lines := strings.Split(plan, "\n")
		scans := slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "SCAN users") })
		if scans && !strings.Contains(plan, "CO-ROUTINE") && !strings.Contains(plan, "MATERIALIZE") ||
			!strings.Contains(plan, index) {
			t.Errorf("%s: want %s\n%s\n%s", what, index, query, plan)
		}
	}
	for name, filter := range searches() {
		index, _, _ := strings.Cut(name, ",")
		where := s.userConditions(filter, true)
		q := identity.UserQuery{Filter: filter, Sort: identity.SortByID, Limit: 50}
		ids := collectMatches(q, where, where.search, 5000)
		check(name, index, s.pool.engine.pageQuery(q, ids), ids.args)
		query, args := s.boundedCount(filter, 10_000)
		check(name+", count", index, query, args)
	}
	yes := true
	none := identity.UserFilter{TFA: new(bool), Active: &yes}
	query, args := s.boundedCount(none, 10_000)
	check("no second factor, count", "users_by_active_tfa", query, args)
	check("by email", "users_email_folded", s.pool.engine.usersByEmail(), []any{`["u7@example.com"]`, 9})
	check("by phone", "users_by_phone", s.pool.engine.usersByPhone(), []any{`["+18041000009"]`, 9})
	check("by id", "INTEGER PRIMARY KEY", s.pool.engine.usersByID(), []any{`[1]`, 9})
	check("decoys", "SEARCH users USING COVERING INDEX users_by_decoy", selectDecoys, nil)
	for name, filter := range map[string]identity.UserFilter{
		"not seen for long": {SigninBefore: time.Now(), Active: &yes}, "no second factor": none,
		"locked": {Locked: &yes, LockedAt: firstUser}, "all": {},
	} {
		begun := time.Now()
		count, err := s.UserCount(t.Context(), filter)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %+v in %v", name, count, time.Since(begun))
	}
}

// TestPagesByIndexAlone: whatever the order and the offset, PostgreSQL reads no row of users that is not in the page,
// but the entries of one index, from the nearer end. Where few match, it reads those.
func TestPagesByIndexAlone(t *testing.T) {
	t.Parallel()
	s := fillUsers(t, "postgres")
	if _, err := s.write.db.ExecContext(t.Context(), "VACUUM users, signins, memberships"); err != nil {
		t.Fatal(err)
	}
	no, yes := false, true
	const limit, deep = 50, manyUsers / 10
	for name, filter := range map[string]identity.UserFilter{
		"all": {}, "inactive": {Active: &no}, "active with a second factor": {Active: &yes, TFA: &yes},
		"a group": {Group: 1}, "active in a group": {Active: &yes, Group: 1},
	} {
		n, err := s.blockTotals(t.Context(), filter)
		if err != nil {
			t.Fatal(err)
		}
		for sort, order := range userOrders {
			if sort == identity.SortByID { // which begins at a block
				continue
			}
			q := identity.UserQuery{Filter: filter, Sort: sort, Limit: limit, Offset: n.Matches * 9 / 10}
			table, groups := n.cheapest(q)
			if table != anyTable {
				t.Errorf("%s by %s: %d matches are collected", name, sort, n.Matches)
			}
			ids := walkOrder(q, s.userConditions(filter, false), groups, n.Matches)
			for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
				// A page has a row of users, of signins and of memberships for each user.
				most := 1.2*deep + 4*limit
				if filter.Group != 0 { // and the walk a hash of the group
					most += manyUsers
				}
				query := s.pool.engine.pageQuery(q, ids)
				if got := rowsRead(t, s, mode, query, ids.args); got > most {
					t.Errorf("%s by %s, %s: %v rows are read, want at most %v", name, order.column, mode, got, most)
				}
			}
		}
	}
	for name, filter := range map[string]identity.UserFilter{
		"no second factor": {TFA: &no}, "active without": {TFA: &no, Active: &yes},
	} {
		q := identity.UserQuery{Filter: filter, Sort: identity.SortByName, Limit: limit}
		n, err := s.blockTotals(t.Context(), filter)
		if err != nil {
			t.Fatal(err)
		}
		table, _ := n.cheapest(q)
		if table != flags {
			t.Errorf("%s: %d matches are not collected", name, n.Matches)
		}
		ids := collectMatches(q, s.userConditions(filter, true), flags, 0)
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			most := float64(6 * (n.Matches + limit))
			if got := rowsRead(t, s, mode, s.pool.engine.pageQuery(q, ids), ids.args); got > most {
				t.Errorf("%s, %s: %v rows are read, want at most %v", name, mode, got, most)
			}
		}
	}
}

// TestPagesByIndexOnSQLite: the same walks go by the index of the order, without a look into the table, except by address
// with status or second factor.
func TestPagesByIndexOnSQLite(t *testing.T) {
	t.Parallel()
	s := fillUsers(t, "sqlite")
	yes := true
	for sort, index := range map[identity.UserSort]string{
		identity.SortByName: "users_by_name", identity.SortByCreation: "users_by_creation",
		identity.SortByLastSignin: "signins_by_time", identity.SortByEmail: "users_email_folded",
	} {
		for _, filter := range []identity.UserFilter{{}, {Active: &yes}, {TFA: &yes, Group: 1}} {
			q := identity.UserQuery{Filter: filter, Sort: sort, Limit: 50, Offset: 70_000}
			ids := walkOrder(q, s.userConditions(filter, false), forAll, manyUsers)
			plan := planOf(t, s, "EXPLAIN QUERY PLAN "+s.pool.engine.pageQuery(q, ids), ids.args)
			want := "SCAN u USING COVERING INDEX " + index
			if sort == identity.SortByEmail && filter.TFA != nil || sort == identity.SortByEmail && filter.Active != nil {
				want = "SCAN u USING INDEX " + index
			}
			if !strings.Contains(plan, want) || !strings.Contains(plan, "SEARCH users USING INTEGER PRIMARY KEY") {
				t.Errorf("by %s, %+v: want %s\n%s", sort, filter, want, plan)
			}
		}
	}
}

// TestSearchOfAnAddress: the trigram index is read for the part of an address that others do not share.
func TestSearchOfAnAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"mary@example.com": "mary", "ma@example.com": "ma@example.com", "@example.com": "@example.com", "mary": "mary",
		"mär@x@y": "mär",
	} {
		if got := rarePart(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
