package backoffice_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// A page ends at 8 MiB of texts; names, quotes and the row that is the last come on top.
const (
	pageBound    = 8 << 20
	pageOverhead = 64 << 10
)

// fill inserts rows from 1 to n, which the statement finds in n(i). TEXT in it is a
// text of so many letters, EPOCH a time.
func fill(t *testing.T, engine, url string, n, letters int, insert string) {
	t.Helper()
	text := fmt.Sprintf("replace(hex(zeroblob(%d)), '00', 'x')", letters)
	if engine == "postgres" {
		text = fmt.Sprintf("repeat('x', %d)", letters)
	}
	statement := fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) ", n) +
		strings.NewReplacer("TEXT", text, "EPOCH", epoch[engine]).Replace(insert)
	if _, err := openDatabase(t, engine, url).ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// epoch is a time as each engine keeps it.
var epoch = map[string]string{"sqlite": "0", "postgres": "'1970-01-01 00:00:00+00'"}

// walk follows the links from a page on and returns how often each row was shown, how
// many pages there were and the total of the first.
func walk(t *testing.T, s *apitest.Server, path, key string) (shown map[string]int, pages, total int) {
	t.Helper()
	shown = map[string]int{}
	for {
		get := s.Do
		if pages > 1 {
			get = unchecked(t, s) // to hold megabytes against the contract takes long
		}
		answer := get(http.MethodGet, path, nil)
		if answer.Status != http.StatusOK || len(answer.Body) > pageBound+pageOverhead {
			t.Fatalf("%s: %d, %d bytes", path, answer.Status, len(answer.Body))
		}
		var list struct {
			Total *int
			Data  []map[string]json.RawMessage
		}
		if err := json.Unmarshal(answer.Body, &list); err != nil {
			t.Fatal(err)
		}
		if pages++; pages == 1 {
			total = *list.Total
		}
		for _, row := range list.Data {
			shown[string(row[key])]++
		}
		link := answer.Header.Get("Link")
		if link == "" {
			return shown, pages, total
		}
		if len(list.Data) == 0 {
			t.Fatalf("%s: an empty page leads on", path)
		}
		path = nextPath(t, link)
	}
}

// unchecked is Do without a look at the contract.
func unchecked(t *testing.T, s *apitest.Server) func(string, string, any, ...apitest.Option) *apitest.Answer {
	t.Helper()
	return func(method, path string, _ any, _ ...apitest.Option) *apitest.Answer {
		request, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+apitest.AdminToken)
		response, err := s.HTTP.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return &apitest.Answer{Status: response.StatusCode, Header: response.Header, Body: body}
	}
}

func checkWalk(t *testing.T, s *apitest.Server, path, key string, rows, least, most int) {
	t.Helper()
	shown, pages, total := walk(t, s, path, key)
	if len(shown) != rows || total != rows || pages < least || pages > most {
		t.Errorf("%s: %d rows on %d pages, total %d", path, len(shown), pages, total)
	}
	for row, times := range shown {
		if times != 1 {
			t.Errorf("%s: %s is shown %d times", path, row, times)
		}
	}
}

// fillEvents makes n events of 200 KB each, beside the one there is.
func fillEvents(t *testing.T, engine, url string, n int) {
	t.Helper()
	fill(t, engine, url, n, 200_000, `INSERT INTO events (type, happened_at, actor_name, actor_token_id, actor_user_id, source,
			request_id, subject_type, subject_id, changes, reason)
		SELECT 'USER_UPDATED', EPOCH, 'x', 0, 0, '', 'r', 'user', i, '{"name":{"old":"","new":"' || TEXT || '"}}', '' FROM n`)
}

// TestBigEvents: however large events are, they are read page by page.
func TestBigEvents(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := storetest.URL(t, engine)
			s := apitest.New(t, url)
			fillEvents(t, engine, url, 250)
			checkWalk(t, s, events+"?limit=100", "id", 251, 6, 8)
			checkWalk(t, s, events+"?limit=10&filter[user]=7", "id", 1, 1, 1)
		})
	}
}

// TestBigEventsInMemory: six pages of events took 1.2 GB. It does not run beside
// other tests, as it looks at what all of them take.
func TestBigEventsInMemory(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			url := storetest.URL(t, engine)
			s := apitest.New(t, url)
			fillEvents(t, engine, url, 1000)
			var first struct{ Data []struct{ ID int64 } }
			grown := allocated(func() {
				answer := unchecked(t, s)(http.MethodGet, events+"?limit=1000", nil)
				if err := json.Unmarshal(answer.Body, &first); err != nil || len(answer.Body) > pageBound+pageOverhead {
					t.Errorf("%d bytes, %v", len(answer.Body), err)
				}
			})
			// What PostgreSQL sends beyond the page is read and forgotten.
			if most := uint64(400 << 20); grown > most || len(first.Data) < 40 {
				t.Errorf("a page of %d takes %d MiB", len(first.Data), grown>>20)
			}
		})
	}
}

// TestBigRecords: the same by position.
func TestBigRecords(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := storetest.URL(t, engine)
			s := apitest.New(t, url)
			user := s.CreateUser("a@example.com")
			const n, size = 300, 64<<10 - 8
			fill(t, engine, url, n, size, fmt.Sprintf(`INSERT INTO records (user_id, type, id, attributes, created_at)
				SELECT %d, CASE WHEN i %% 3 = 0 THEN 'tags' ELSE 'bills' END, i || '', '{"a":"' || TEXT || '"}', EPOCH FROM n`, user))
			records := apitest.UserPath(user) + "/records"
			checkWalk(t, s, records+"?limit=1000", "id", n, 3, 3)
			checkWalk(t, s, records+"?limit=100", "id", n, 3, 3)
			checkWalk(t, s, records+"?limit=50&filter[type]=tags", "id", n/3, 2, 2)
			last := s.Do(http.MethodGet, records+"?limit=1000&filter[type]=tags&offset=1", nil)
			if link := last.Header.Get("Link"); link != "" {
				t.Errorf("a link behind the last page: %s", link)
			}
		})
	}
}

// TestDeliveriesDoNotLoadWhatTheySay: one page of deliveries took 220 MB.
func TestDeliveriesDoNotLoadWhatTheySay(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			url := storetest.URL(t, engine)
			s := apitest.New(t, url)
			path, _ := createWebhook(s, apitest.NewReceiver(t).URL, changes{"active": false})
			const n, size = 1000, 200_000
			fill(t, engine, url, n, size, `INSERT INTO outbox (lane, topic, user_id, payload, created_at, due_at, expires_at)
				SELECT 'webhook/1', 'USER_SYNCED', i, TEXT, EPOCH, EPOCH, EPOCH FROM n`)
			for _, list := range []string{path + "/deliveries", outboxURL} {
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
}

// allocated returns how many bytes fn has asked for.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestListsLeadOn: a list by position has a link wherever more follows, with all
// that was asked for.
func TestListsLeadOn(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		user := s.CreateUser("a@example.com")
		records := apitest.UserPath(user) + "/records"
		var hook string
		const n = 5
		for i := range n {
			s.CreateGroup(fmt.Sprint("Group ", i))
			s.CreateToken(0, nil)
			hook, _ = createWebhook(s, fmt.Sprintf("https://example.com/%d", i), changes{"active": false})
			s.Do(http.MethodPut, fmt.Sprintf("%s/tags/%d", records, i), attributes(changes{})).Want(http.StatusCreated)
		}
		for range n {
			s.Do(http.MethodPost, hook+"/test", nil).Want(http.StatusAccepted)
		}
		for path, rows := range map[string]int{
			groups: n + 1, tokens: n + 1, webhooks: n, records: n, hook + "/deliveries": n, outboxURL: n, users: 1,
		} {
			for _, limit := range []int{1, 2, n - 1} {
				checkWalk(t, s, fmt.Sprintf("%s?limit=%d", path, limit), "id", rows, (rows+limit-1)/limit, (rows+limit-1)/limit)
			}
			lastPages := []string{"?limit=100", "?limit=1&offset=9", "?limit=2&offset=9223372036854775807", fmt.Sprintf("?offset=%d", rows-1)}
			for _, last := range lastPages {
				if link := s.Do(http.MethodGet, path+last, nil).Want(http.StatusOK).Header.Get("Link"); link != "" {
					t.Errorf("%s: a link behind the last page: %s", path+last, link)
				}
			}
		}
		for query, want := range map[string]string{
			records + "?limit=2&filter[type]=tags&offset=1":         records + "?filter%5Btype%5D=tags&limit=2&offset=3",
			hook + "/deliveries?filter[state]=pending&limit=1":      hook + "/deliveries?filter%5Bstate%5D=pending&limit=1&offset=1",
			outboxURL + "?limit=3&filter%5Bstate%5D=pending":        outboxURL + "?filter%5Bstate%5D=pending&limit=3&offset=3",
			apitest.UserPath(user) + "/records?limit=1&offset=0003": records + "?limit=1&offset=4",
		} {
			if got := nextPath(t, s.Do(http.MethodGet, query, nil).Header.Get("Link")); got != want {
				t.Errorf("%s: %s, want %s", query, got, want)
			}
		}
		at := s.At("https://roster.example.com")
		got, want := at.Do(http.MethodGet, groups+"?limit=1", nil).Header.Get("Link"), "https://roster.example.com"+groups+"?limit=1&offset=1"
		if got != "<"+want+`>; rel="next"` {
			t.Errorf("%s, want %s", got, want)
		}
	})
}
