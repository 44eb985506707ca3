package firefly_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store/storetest"
)

type list struct {
	Data []struct{ ID string }
	Meta struct {
		Pagination struct {
			Total, Count int
			PerPage      int `json:"per_page"`
			CurrentPage  int `json:"current_page"`
			TotalPages   int `json:"total_pages"`
		}
	}
	Links map[string]string
}

// String returns the page as text: ids, then count/total, size, page/pages.
func (l list) String() string {
	ids := make([]string, len(l.Data))
	for i, user := range l.Data {
		ids[i] = user.ID
	}
	p := l.Meta.Pagination
	return fmt.Sprintf("%s, %d/%d, %d, %d/%d",
		strings.Join(ids, " "), p.Count, p.Total, p.PerPage, p.CurrentPage, p.TotalPages)
}

func getList(s *apitest.Server, query string) list {
	var l list
	s.Do(http.MethodGet, users+query, nil).Want(http.StatusOK).Decode(&l)
	return l
}

func TestPages(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		empty := getList(s, "")
		if got := empty.String(); got != ", 0/0, 50, 1/1" || empty.Data == nil {
			t.Errorf("%s", got)
		}
		for i := range 7 {
			s.CreateUser(fmt.Sprintf("u%d@example.com", i))
		}
		link := func(page int, limit string) string { return fmt.Sprintf("%s%s?%spage=%d", s.URL, users, limit, page) }
		for _, test := range []struct {
			query, want      string
			prev, next, last int // 0 for none
			limit            string
		}{
			{"", "7 6 5 4 3 2 1, 7/7, 50, 1/1", 0, 0, 1, ""},
			{"?page=1", "7 6 5 4 3 2 1, 7/7, 50, 1/1", 0, 0, 1, ""},
			{"?page=2", ", 0/7, 50, 2/1", 1, 0, 1, ""},
			{"?limit=3", "7 6 5, 3/7, 3, 1/3", 0, 2, 3, "limit=3&"},
			{"?limit=3&page=2", "4 3 2, 3/7, 3, 2/3", 1, 3, 3, "limit=3&"},
			{"?page=3&limit=3", "1, 1/7, 3, 3/3", 2, 0, 3, "limit=3&"},
			{"?limit=3&page=4", ", 0/7, 3, 4/3", 3, 0, 3, "limit=3&"},
			{"?limit=7", "7 6 5 4 3 2 1, 7/7, 7, 1/1", 0, 0, 1, "limit=7&"},
			{"?limit=1&page=7", "1, 1/7, 1, 7/7", 6, 0, 7, "limit=1&"},
			{"?limit=10000&page=65536", ", 0/7, 10000, 65536/1", 65535, 0, 1, "limit=10000&"},
		} {
			l := getList(s, test.query)
			if got := l.String(); got != test.want {
				t.Errorf("%s: got %s, want %s", test.query, got, test.want)
			}
			want := map[string]string{
				"self":  link(l.Meta.Pagination.CurrentPage, test.limit),
				"first": link(1, test.limit), "last": link(test.last, test.limit),
			}
			if test.prev != 0 {
				want["prev"] = link(test.prev, test.limit)
			}
			if test.next != 0 {
				want["next"] = link(test.next, test.limit)
			}
			if fmt.Sprint(l.Links) != fmt.Sprint(want) {
				t.Errorf("%s: links %v, want %v", test.query, l.Links, want)
			}
		}

		// The links lead past each user once.
		seen := ""
		for next := "?limit=2"; next != ""; {
			l := getList(s, next)
			seen += strings.Split(l.String(), ",")[0] + " "
			_, next, _ = strings.Cut(l.Links["next"], users)
		}
		if seen != "7 6 5 4 3 2 1 " {
			t.Errorf("seen %s", seen)
		}
	})
}

// TestParametersAreNeverWrong checks that any query gets a page.
func TestParametersAreNeverWrong(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for i := range 3 {
			s.CreateUser(fmt.Sprintf("u%d@example.com", i))
		}
		nonsense := []string{
			"", "0", "-1", "-9223372036854775809", "x", "1x", "1.5", "1e3", "0x10", "٣", "null", "true", "%", " ",
			"\x00", "\xff", "'", "[]", strings.Repeat("x", 5000),
		}
		for _, value := range nonsense {
			if got := getList(s, "?limit="+url.QueryEscape(value)).String(); got != "3, 1/3, 1, 1/3" {
				t.Errorf("limit %q: %s", value, got)
			}
			if got := getList(s, "?page="+url.QueryEscape(value)).String(); got != "3 2 1, 3/3, 50, 1/1" {
				t.Errorf("page %q: %s", value, got)
			}
		}
		for query, want := range map[string]string{
			"?limit=10001":                   "3 2 1, 3/3, 10000, 1/1",
			"?limit=65536":                   "3 2 1, 3/3, 10000, 1/1",
			"?limit=99999999999999999999":    "3 2 1, 3/3, 10000, 1/1",
			"?page=65537":                    ", 0/3, 50, 65536/1",
			"?page=99999999999999999999":     ", 0/3, 50, 65536/1",
			"?limit=+2+":                     "3 2, 2/3, 2, 1/2",
			"?limit=1&limit=2":               "3 2, 2/3, 2, 1/2",
			"?limit[]=2":                     "3 2 1, 3/3, 50, 1/1",
			"?limit=%zz":                     "3 2 1, 3/3, 50, 1/1",
			"?limit=2;page=2":                "3 2 1, 3/3, 50, 1/1",
			"?foo=bar&sort=email&start=2018": "3 2 1, 3/3, 50, 1/1",
			"?&&&":                           "3 2 1, 3/3, 50, 1/1",
		} {
			if got := getList(s, query).String(); got != want {
				t.Errorf("%s: got %s, want %s", query, got, want)
			}
		}
	})
}

// TestTheLargestPage checks that the largest page of the longest addresses is complete and
// less than 8 MiB.
func TestTheLargestPage(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			databaseURL := storetest.URL(t, engine)
			s := apitest.New(t, databaseURL).At("https://roster.example.com")
			db, err := sql.Open(engine, strings.TrimPrefix(databaseURL, "sqlite:"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			const n = 10_001
			now := map[string]string{"sqlite": "0", "postgres": "'1970-01-01 00:00:00+00'"}[engine]
			long := strings.Repeat("x", identity.MaxEmailBytes-5)
			for _, statement := range []string{
				fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
					INSERT INTO users (name, name_folded, email, email_folded, password_hash, phone, active, blocked_code, tfa,
						allow_list, client_tags, can_view_masked_data, created_at)
					SELECT '', '', '%s' || (10000 + i), i || '', '', '', false, 'email_changed', false, '', '[%s]', false, %s FROM n`,
					n, long, strings.Repeat(`"x",`, 100)+`"x"`, now),
				"INSERT INTO memberships (user_id, group_id) SELECT id, 1 FROM users",
			} {
				if _, err := db.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			answer := s.Do(http.MethodGet, users+"?limit=65536", nil).Want(http.StatusOK)
			var l list
			answer.Decode(&l)
			if len(answer.Body) > 8<<20 || len(l.Data) != 10_000 || l.Meta.Pagination.TotalPages != 2 {
				t.Errorf("%d users in %d bytes, %+v", len(l.Data), len(answer.Body), l.Meta)
			}
			if got := getList(s, "?limit=65536&page=2").String(); got != "1, 1/10001, 10000, 2/2" {
				t.Error(got)
			}
			if !strings.Contains(string(answer.Body[:2000]), `"role":"owner"`) {
				t.Errorf("%s", answer.Body[:2000])
			}
		})
	}
}
