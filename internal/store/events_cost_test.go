package store

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/pgtest"
)

// TestEventsCostTheSame reads, of 100,000 events, totals and pages by each
// filter, and an equal refusal, and asks PostgreSQL how many rows it has read
// for them: with the values at hand, and with a plan for any values, as a
// prepared statement gets.
func TestEventsCostTheSame(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), pgtest.New(t)
	if _, err := Migrate(ctx, url); err != nil {
		t.Fatal(err)
	}
	s, err := Open(url, Options{MaxConns: 1}) // what SET says holds for the connection
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	const (
		second = "'2026-01-01Z'::timestamptz + i * interval '1 second'"
		id     = "CASE WHEN i % 10 > 0 THEN 1 ELSE i % 1000 END"
	)
	for _, statement := range []string{
		// Nine in ten are of one kind, one user, one token; the rest is spread.
		`INSERT INTO events (type, happened_at, actor_name, actor_token_id, actor_user_id, source, request_id, subject_type,
			subject_id, changes, reason)
		SELECT CASE WHEN i % 10 > 0 THEN 'USER_UPDATED' WHEN i % 100 = 0 THEN 'USER_ACCESS_REFUSED' ELSE 'USER_CREATED' END,
			` + second + `, 'x', ` + id + `, ` + id + `, '', '', 'user', ` + id + `, '{}', CASE WHEN i % 10 > 0 THEN '' WHEN i % 20 = 0 THEN 'ip_not_allowed' ELSE 'rare' || i END
		FROM generate_series(1, 100000) i`,
		"ANALYZE events",
	} {
		if _, err := s.write.db.ExecContext(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	filters := map[string]identity.EventFilter{"none": {}}
	for name, id := range map[string]int64{"most": 1, "some": 10, "none": 5_000} {
		filters["user: "+name] = identity.EventFilter{UserID: id}
		filters["actor: "+name] = identity.EventFilter{ActorUserID: id}
		filters["token: "+name] = identity.EventFilter{ActorTokenID: id}
	}
	for _, kind := range []identity.EventType{identity.UserUpdated, identity.UserCreated, identity.WebhookDeleted} {
		filters["type: "+string(kind)] = identity.EventFilter{Type: kind}
	}
	for _, at := range []time.Duration{-time.Hour, time.Minute, 12 * time.Hour, 1000 * time.Hour} {
		filters["since: "+at.String()] = identity.EventFilter{Since: start.Add(at)}
		filters["until: "+at.String()] = identity.EventFilter{Until: start.Add(at)}
	}
	for _, reason := range []string{"ip_not_allowed", "rare10", "no_such_reason"} {
		filters["reason: "+reason] = identity.EventFilter{Reason: reason}
		for _, at := range []time.Duration{-time.Hour, 99_990 * time.Second, 1000 * time.Hour} {
			filters["reason: "+reason+" since "+at.String()] = identity.EventFilter{Reason: reason, Since: start.Add(at)}
		}
	}
	check := func(what, query string, args []any, limit float64) {
		t.Helper()
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			if got := rowsRead(t, s, mode, query, args); got > limit {
				t.Errorf("%s, %s: %v rows are read, want at most %v\n%s", what, mode, got, limit, query)
			}
		}
	}
	const limit, counted = 50, 300
	for name, filter := range filters {
		query, args := eventTotal(filter, counted)
		check(name+", total", query, args, counted+1)
		page := identity.EventQuery{Filter: filter, Limit: limit}
		deep := filter.CursorAfter(identity.Event{ID: 50_000, Time: start.Add(50_000 * time.Second)})
		for _, page.After = range []*identity.Cursor{nil, deep} {
			query, args := eventPage(page, 0)
			check(fmt.Sprintf("%s, page after %v", name, page.After), query, args, limit+1)
		}
	}
	for _, at := range []time.Duration{-time.Hour, 99_990 * time.Second, 1000 * time.Hour} {
		e := identity.Event{Type: identity.UserAccessDenied, Time: start.Add(at), Actor: identity.Actor{Name: "x"}}
		query, args := equalRefusal(e, time.Minute)
		check("an equal refusal", query, args, 1)
	}
}

// rowsRead runs a query and returns how many rows the tables and indexes gave,
// those included that a filter threw away. A scan of the whole table reads
// endlessly many: how far it goes depends on what was deleted.
func rowsRead(t *testing.T, s *Store, mode, query string, args []any) float64 {
	t.Helper()
	literals := make([]string, len(args))
	for i, arg := range args {
		literals[i] = fmt.Sprintf("'%v'", arg)
		if at, isTime := arg.(timestamp); isTime {
			literals[i] = at.Format("'2006-01-02 15:04:05.999999Z07:00'")
		}
	}
	call := "EXECUTE measured"
	if len(args) > 0 {
		call += "(" + strings.Join(literals, ", ") + ")"
	}
	var plan string
	for _, statement := range []string{"DEALLOCATE ALL", "SET plan_cache_mode = " + mode, "PREPARE measured AS " + query} {
		if _, err := s.write.db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	if err := s.write.db.GetContext(t.Context(), &plan, "EXPLAIN (ANALYZE, FORMAT JSON) "+call); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	type node map[string]any
	var read func(n node) float64
	read = func(n node) float64 {
		number := func(name string) float64 { value, _ := n[name].(float64); return value }
		kind, _ := n["Node Type"].(string)
		if kind == "" || kind == "Seq Scan" {
			return math.Inf(1)
		}
		sum := 0.0
		if strings.Contains(kind, "Scan") {
			rows := number("Actual Rows") + number("Rows Removed by Filter") + number("Rows Removed by Index Recheck")
			sum = number("Actual Loops") * rows
		}
		children, _ := n["Plans"].([]any)
		for _, child := range children {
			child, _ := child.(map[string]any)
			sum += read(child)
		}
		return sum
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal([]byte(plan), &plans); err != nil || len(plans) != 1 {
		t.Fatal(err)
	}
	return read(plans[0].Plan)
}
