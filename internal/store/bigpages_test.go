package store_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// fill inserts rows from 1 to n, as n(i) in the statement. It replaces TEXT by a text of so many
// letters and EPOCH by a time.
func fill(t *testing.T, engine, url string, n, letters int, insert string) {
	t.Helper()
	text := fmt.Sprintf("replace(hex(zeroblob(%d)), '00', 'x')", letters)
	if engine == "postgres" {
		text = fmt.Sprintf("repeat('x', %d)", letters)
	}
	statement := fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) ", n) +
		strings.NewReplacer("TEXT", text, "EPOCH", epoch[engine]).Replace(insert)
	if _, err := apitest.OpenDatabase(t, engine, url).ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// epoch is a time as each engine keeps it.
var epoch = map[string]string{"sqlite": "0", "postgres": "'1970-01-01 00:00:00+00'"}

// fillEvents inserts n events of 200 KB each, beside the existing one.
func fillEvents(t *testing.T, engine, url string, n int) {
	t.Helper()
	fill(t, engine, url, n, 200_000, `INSERT INTO events (type, happened_at, actor_name, actor_token_id,
			actor_user_id, source, request_id, subject_type, subject_id, changes, reason)
		SELECT 'USER_UPDATED', EPOCH, 'x', 0, 0, '', 'r', 'user', i,
			'{"name":{"old":"","new":"' || TEXT || '"}}', '' FROM n`)
}

// TestBigEvents checks that large events are read page by page.
func TestBigEvents(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		fillEvents(t, engine, url, 250)
		s.CheckWalk(apitest.EventsPath+"?limit=100", "id", 251, 6, 8)
		s.CheckWalk(apitest.EventsPath+"?limit=10&filter[user]=7", "id", 1, 1, 1)
	})
}

// TestBigEventsInMemory checks the memory for a page: six pages once took 1.2 GB. It measures the
// whole process, so it does not run in parallel.
func TestBigEventsInMemory(t *testing.T) {
	apitest.EachAlone(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		fillEvents(t, engine, url, 1000)
		var first struct{ Data []struct{ ID int64 } }
		grown := allocated(func() {
			answer := s.GetPage(apitest.EventsPath + "?limit=1000")
			if err := json.Unmarshal(answer.Body, &first); err != nil || len(answer.Body) > apitest.MaxPage {
				t.Errorf("%d bytes, %v", len(answer.Body), err)
			}
		})
		// What PostgreSQL sends beyond the page is read and forgotten.
		if most := uint64(400 << 20); grown > most || len(first.Data) < 40 {
			t.Errorf("a page of %d takes %d MiB", len(first.Data), grown>>20)
		}
	})
}

// TestBigRecords checks the same for pages by position.
func TestBigRecords(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		user := s.CreateUser("a@example.com")
		const n, size = 300, 64<<10 - 8
		fill(t, engine, url, n, size, fmt.Sprintf(`INSERT INTO records (user_id, type, id, attributes, created_at)
			SELECT %d, CASE WHEN i %% 3 = 0 THEN 'tags' ELSE 'bills' END, i || '',
				'{"a":"' || TEXT || '"}', EPOCH FROM n`, user))
		records := apitest.UserPath(user) + "/records"
		s.CheckWalk(records+"?limit=1000", "id", n, 3, 3)
		s.CheckWalk(records+"?limit=100", "id", n, 3, 3)
		s.CheckWalk(records+"?limit=50&filter[type]=tags", "id", n/3, 2, 2)
		last := s.Do(http.MethodGet, records+"?limit=1000&filter[type]=tags&offset=1", nil)
		if link := last.Header.Get("Link"); link != "" {
			t.Errorf("a link behind the last page: %s", link)
		}
	})
}

// TestDeliveriesDoNotLoadWhatTheySay checks the memory for a page, which once took 220 MB. It does not
// run in parallel.
func TestDeliveriesDoNotLoadWhatTheySay(t *testing.T) {
	apitest.EachAlone(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		path, _ := s.CreateWebhook(apitest.NewReceiver(t).URL, changes{"active": false})
		const n, size = 1000, 200_000
		fill(t, engine, url, n, size, `INSERT INTO outbox (lane, topic, user_id, payload, created_at, due_at,
				expires_at)
			SELECT 'webhook/1', 'USER_SYNCED', i, TEXT, EPOCH, EPOCH, EPOCH FROM n`)
		for _, list := range []string{path + "/deliveries", apitest.OutboxPath} {
			grown := allocated(func() {
				body := s.Do(http.MethodGet, list+"?limit=1000", nil).Want(http.StatusOK).Body
				if strings.Contains(string(body), "xxxx") {
					t.Error("a payload is shown")
				}
			})
			if most := uint64(100 << 20); grown > most { // with the checks of the test itself
				t.Errorf("%s: a page takes %d MiB", list, grown>>20)
			}
		}
	})
}

// allocated returns how many bytes fn allocates.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestEventTotalIsBounded checks that the total counts so many events and no more.
func TestEventTotalIsBounded(t *testing.T) {
	t.Parallel()
	const counted = 10_000
	apitest.EachDatabase(t, func(t *testing.T, s *apitest.Server, _ string, db *sql.DB) {
		const columns = "type, happened_at, actor_name, actor_token_id, actor_user_id, source, request_id, " +
			"subject_type, subject_id, changes, reason"
		double := "INSERT INTO events (" + columns + ") SELECT " + columns + " FROM events"
		for range 13 {
			apitest.Execute(t, db, double) // of the one event that there is
		}
		apitest.Execute(t, db, double+" ORDER BY id LIMIT "+fmt.Sprint(counted-1<<13))
		check := func(query string, bounded bool) {
			t.Helper()
			body := s.Do(http.MethodGet, apitest.EventsPath+query, nil).Want(http.StatusOK).Object()
			bound, present := body["totalIsLowerBound"]
			if body["total"] != float64(counted) || present != bounded || bounded && bound != true {
				t.Errorf("%s: total %v, lower bound %v", query, body["total"], bound)
			}
		}
		check("", false)
		check("?filter[type]=TOKEN_CREATED", false)
		s.CreateToken(0, nil)
		check("", true)
		check("?filter[type]=TOKEN_CREATED", true)
		check("?filter[since]=2020-01-01T00:00:00Z", true)
		check("?offset=9990&limit=20", true)
		answer := s.Do(http.MethodGet, apitest.EventsPath+"?offset=9990&limit=20", nil).Want(http.StatusOK).Object()
		if data, _ := answer["data"].([]any); len(data) != 11 {
			t.Errorf("%d events from 9990 on", len(data))
		}
	})
}
