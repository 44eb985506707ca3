package store

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/pgtest"
)

// TestOutboxGoesByItsIndex: what a worker asks of the outbox every second is looked up
// in one index, also for rows of the version before, which writes lane alone.
func TestOutboxGoesByItsIndex(t *testing.T) {
	t.Parallel()
	for engine, url := range map[string]string{
		"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "roster.db"), "postgres": pgtest.New(t),
	} {
		t.Run(engine, func(t *testing.T) {
			if _, err := Migrate(t.Context(), url); err != nil {
				t.Fatal(err)
			}
			s, err := Open(url, Options{MaxConns: 1}) // what SET says holds for the connection
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			explain, zero := "EXPLAIN QUERY PLAN ", "0"
			setUp := []string{"ANALYZE"}
			if engine == "postgres" {
				explain, zero = "EXPLAIN ", "'2026-01-01Z'::timestamptz"
				setUp = append(setUp, "SET plan_cache_mode = force_generic_plan")
			}
			setUp = append([]string{`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
				INSERT INTO outbox (lane, user_id, payload, created_at, due_at, expires_at)
				SELECT CASE i % 11 WHEN 0 THEN 'mail' ELSE 'webhook/' || (i % 11) END, 0, '{}', ` +
				strings.Repeat(zero+", ", 2) + zero + ` FROM n`}, setUp...)
			for _, statement := range setUp {
				if _, err := s.write.db.ExecContext(t.Context(), statement); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
			now := timestamp{time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)}
			wantDue, wantClaim := "(channel=? AND webhook_id>?)", "(channel=? AND webhook_id=? AND due_at<?)"
			if engine == "postgres" {
				wantDue, wantClaim = "(webhook_id > ", "(due_at <= "
			}
			for _, ask := range []struct {
				query, want string
				args        []any
			}{{dueDestinations, wantDue, []any{now}}, {claimable, wantClaim, []any{"webhook", 7, now, 4}}} {
				plan := planOf(t, s, explain+ask.query, ask.args)
				bad := func(part string) bool { return strings.Contains(plan, part) }
				if !strings.Contains(plan, "outbox_due") || !strings.Contains(plan, ask.want) ||
					slices.ContainsFunc([]string{"Seq Scan on outbox", "Sort", "TEMP B-TREE"}, bad) {
					t.Errorf("%s\n%s", ask.query, plan)
				}
			}
			due, err := s.DueDestinations(t.Context(), now.Time)
			if err != nil || len(due) != 11 || due[0].String() != "mail" || due[10].String() != "webhook/10" {
				t.Errorf("%v, %v", due, err)
			}
		})
	}
}

// planOf returns the plan that an engine has for a query.
func planOf(t *testing.T, s *Store, explain string, args []any) string {
	t.Helper()
	rows, err := s.write.db.QueryxContext(t.Context(), explain, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var plan []string
	for rows.Next() {
		columns, err := rows.SliceScan()
		if err != nil {
			t.Fatal(err)
		}
		switch line := columns[len(columns)-1].(type) { // SQLite has ids before it
		case string:
			plan = append(plan, line)
		case []byte:
			plan = append(plan, string(line))
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(plan, "\n")
}
