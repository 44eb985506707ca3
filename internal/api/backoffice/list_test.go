package backoffice_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
)

type page struct {
	Total *int64
	Data  []struct {
		ID   int64
		Name string
	}
}

func (p page) names() []string {
	names := []string{}
	for _, u := range p.Data {
		names = append(names, u.Name)
	}
	return names
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := s.CreateGroup("Support")
		s.CreateUser("anna@example.com", map[string]any{"name": "Anna", "phone": "+4930123456"})
		s.CreateUser("aermel@example.com", map[string]any{"name": "ÄRMEL 100%", "active": false, "tfa": true})
		s.CreateUser("bo@example.com", map[string]any{"name": "Bo_b", "groups": []int64{group}})
		tests := []struct {
			query string
			want  []string
		}{
			{"", []string{"Anna", "ÄRMEL 100%", "Bo_b"}},
			{"filter[name]=AN", []string{"Anna"}},
			{"filter%5Bname%5D=ann", []string{"Anna"}},
			{"filter[name]=ärm", []string{"ÄRMEL 100%"}},
			{"filter[name]=%25", []string{"ÄRMEL 100%"}},
			{"filter[name]=_", []string{"Bo_b"}},
			{"filter[name]=o_b", []string{"Bo_b"}},
			{"filter[name]=", []string{"Anna", "ÄRMEL 100%", "Bo_b"}},
			{"filter[name]='%20OR%20''='", nil},
			{"filter[name]=*", nil},
			{"filter[name]=\"", nil},
			{"filter[email]=ANNA@example.com", []string{"Anna"}},
			{"filter[email]=anna@example.co", nil},
			{"filter[email]=%25@example.com", nil},
			{"filter[email]=nonsense", nil},
			{"filter[active]=1", []string{"Anna", "Bo_b"}},
			{"filter[active]=0", []string{"Anna", "ÄRMEL 100%", "Bo_b"}},
			{"filter[status]=inactive", []string{"ÄRMEL 100%"}},
			{"filter[status]=active", []string{"Anna", "Bo_b"}},
			{"filter[status]=any", []string{"Anna", "ÄRMEL 100%", "Bo_b"}},
			{"filter[active]=1&filter[status]=any", []string{"Anna", "Bo_b"}},
			{"filter[active]=1&filter[status]=active", []string{"Anna", "Bo_b"}},
			{"filter[active]=0&filter[status]=active", []string{"Anna", "Bo_b"}},
			{"filter[active]=1&filter[status]=inactive", nil},
			{"filter[active]=1&filter[status]=inactive&offset=1&sort_by=name&filter[name]=ann", nil},
			{"filter[active]=0&filter[status]=inactive", []string{"ÄRMEL 100%"}},
			{"filter[q]=BO@", []string{"Bo_b"}},
			{"filter[q]=3012", []string{"Anna"}},
			{"filter[q]=ärmel", []string{"ÄRMEL 100%"}},
			{fmt.Sprintf("filter[group]=%d", group), []string{"Bo_b"}},
			{"filter[group]=9223372036854775808", nil},
			{"filter[tfa]=true", []string{"ÄRMEL 100%"}},
			{"filter[tfa]=false&filter[name]=bo", []string{"Bo_b"}},
			{"filter[createdBefore]=2026-11-22T12:00:00Z", nil},
			{"filter[createdBefore]=2026-11-22T13:00:00%2B01:00", nil},
			{"filter[createdBefore]=2026-11-22T12:00:01Z", []string{"Anna", "ÄRMEL 100%", "Bo_b"}},
			{"filter[createdAfter]=2026-11-22T12:00:00Z", []string{"Anna", "ÄRMEL 100%", "Bo_b"}},
			{"filter[createdAfter]=2026-11-22T12:00:01Z", nil},
			{"filter[createdAfter]=2026-11-22T12:00:00Z&filter[name]=anna", []string{"Anna"}},
			{"filter[lastSigninBefore]=2000-01-01T00:00:00Z", []string{"Anna", "ÄRMEL 100%", "Bo_b"}}, // never
			{"filter[lastSigninBefore]=2000-01-01T00:00:00Z&filter[tfa]=true", []string{"ÄRMEL 100%"}},
			{"filter[lastSigninAfter]=2000-01-01T00:00:00Z", nil},
			{"filter[locked]=true", nil},
			{"filter[locked]=false&filter[active]=1", []string{"Anna", "Bo_b"}},
			{"total=true&filter[name]=anna", []string{"Anna"}},
			{"sort_by=name", []string{"Anna", "Bo_b", "ÄRMEL 100%"}},
			{"sort_by=name&sort_order=desc", []string{"ÄRMEL 100%", "Bo_b", "Anna"}},
			{"sort_by=email", []string{"ÄRMEL 100%", "Anna", "Bo_b"}},
			{"sort_by=createTime&sort_order=desc", []string{"Bo_b", "ÄRMEL 100%", "Anna"}},
			{"sort_by=lastSigninTime", []string{"Anna", "ÄRMEL 100%", "Bo_b"}},
			{"sort_order=desc", []string{"Bo_b", "ÄRMEL 100%", "Anna"}},
		}
		for _, test := range tests {
			var got page
			s.Do(http.MethodGet, apitest.UsersPath+"?"+test.query, nil).Want(http.StatusOK).Decode(&got)
			if !slices.Equal(got.names(), append([]string{}, test.want...)) || got.Total == nil ||
				*got.Total != int64(len(test.want)) {
				t.Errorf("%s: got %v of %v, want %v", test.query, got.names(), got.Total, test.want)
			}
			if strings.Contains(test.query, "total=") {
				continue
			}
			var without page
			s.Do(http.MethodGet, apitest.UsersPath+"?total=false&"+test.query, nil).Want(http.StatusOK).Decode(&without)
			if !slices.Equal(without.names(), got.names()) || without.Total != nil {
				t.Errorf("%s without a total: got %v of %v", test.query, without.names(), without.Total)
			}
			if strings.Contains(test.query, "sort") || strings.Contains(test.query, "offset") {
				continue
			}
			count := s.Do(http.MethodGet, apitest.UsersPath+"/count?"+test.query, nil).Want(http.StatusOK).Object()
			if count["total"] != float64(len(test.want)) || count["totalIsLowerBound"] != false {
				t.Errorf("%s: count %v, want %d", test.query, count, len(test.want))
			}
		}
	})
}

func TestListPages(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for i := range 7 {
			s.CreateUser(fmt.Sprintf("u%d@example.com", i), map[string]any{"name": fmt.Sprintf("User %d", i%3)})
		}
		tests := []struct {
			query string
			want  []int64
			total int64
			next  bool
		}{
			{"limit=3", []int64{1, 2, 3}, 7, true},
			{"limit=3&offset=3", []int64{4, 5, 6}, 7, true},
			{"limit=3&offset=6", []int64{7}, 7, false},
			{"limit=3&offset=4", []int64{5, 6, 7}, 7, false},
			{"limit=1000&offset=0", []int64{1, 2, 3, 4, 5, 6, 7}, 7, false},
			{"offset=7", nil, 7, false},
			{"offset=9223372036854775807", nil, 7, false},
			{"offset=" + strings.Repeat("9", 60), nil, 7, false},
			{"limit=2&offset=1&sort_order=desc", []int64{6, 5}, 7, true},
			{"limit=2&sort_by=name&offset=3", []int64{2, 5}, 7, false || true},
		}
		for _, test := range tests {
			var got page
			answer := s.Do(http.MethodGet, apitest.UsersPath+"?"+test.query, nil).Want(http.StatusOK).Decode(&got)
			ids := []int64{}
			for _, u := range got.Data {
				ids = append(ids, u.ID)
			}
			if !slices.Equal(ids, append([]int64{}, test.want...)) || *got.Total != test.total ||
				(answer.Header.Get("Link") != "") != test.next {
				t.Errorf("%s: got %v of %d, link %q", test.query, ids, *got.Total, answer.Header.Get("Link"))
			}
		}
	})
}

// TestWalkByCursor follows Link while rows are added and deleted on both sides of the cursor.
func TestWalkByCursor(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for i := range 9 {
			s.CreateUser(fmt.Sprintf("u%d@example.com", i), map[string]any{"name": "Näme & Co"})
		}
		for _, query := range []string{
			"limit=2", "limit=2&sort_order=desc", "limit=2&sort_by=name", "limit=4&sort_by=createTime&sort_order=desc",
			"limit=3&sort_by=email&filter[name]=%26&filter[active]=1", "limit=1&sort_by=lastSigninTime",
			"limit=2&offset=0&filter[q]=example",
		} {
			var ids []int64
			path := apitest.UsersPath + "?" + query
			for n := 0; path != ""; n++ {
				var got page
				answer := s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Decode(&got)
				if isFirst := n == 0; isFirst != (got.Total != nil) {
					t.Errorf("%s: total %v", path, got.Total)
				}
				for _, u := range got.Data {
					ids = append(ids, u.ID)
				}
				path = apitest.NextPath(t, answer.Header.Get("Link"))
			}
			slices.Sort(ids)
			if !slices.Equal(ids, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9}) {
				t.Errorf("%s: %v", query, ids)
			}
		}

		first := s.Do(http.MethodGet, apitest.UsersPath+"?limit=3", nil).Want(http.StatusOK)
		s.Do(http.MethodDelete, apitest.UserPath(1), nil).Want(http.StatusNoContent)
		s.Do(http.MethodDelete, apitest.UserPath(3), nil).Want(http.StatusNoContent)
		var got page
		s.Do(http.MethodGet, apitest.NextPath(t, first.Header.Get("Link")), nil).Decode(&got)
		if got.Data[0].ID != 4 {
			t.Errorf("after 3, which is gone: %d", got.Data[0].ID)
		}
	})
}

func TestBadQueries(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for i := range 3 {
			s.CreateUser(fmt.Sprintf("u%d@example.com", i))
		}
		link := s.Do(http.MethodGet, apitest.UsersPath+"?limit=1", nil).Header.Get("Link")
		next, err := url.Parse(apitest.NextPath(t, link))
		if err != nil {
			t.Fatal(err)
		}
		cursor := next.Query().Get("after")
		tests := []struct{ query, field string }{
			{"limit=0", "limit"},
			{"limit=1001", "limit"},
			{"limit=-1", "limit"},
			{"limit=", "limit"},
			{"limit=abc", "limit"},
			{"limit=1.5", "limit"},
			{"limit=+5", "limit"},
			{"limit=%2B5", "limit"},
			{"limit=%205", "limit"},
			{"limit=99999999999999999999999", "limit"},
			{"limit=10&limit=20", "limit"},
			{"offset=-1", "offset"},
			{"offset=x", "offset"},
			{"offset=1e3", "offset"},
			{"offset=1&offset=1", "offset"},
			{"filter[active]=2", "filter[active]"},
			{"filter[active]=true", "filter[active]"},
			{"filter[active]=", "filter[active]"},
			{"filter[status]=deleted", "filter[status]"},
			{"filter[tfa]=1", "filter[tfa]"},
			{"filter[locked]=1", "filter[locked]"},
			{"filter[locked]=any", "filter[locked]"},
			{"filter[createdAfter]=", "filter[createdAfter]"},
			{"filter[createdAfter]=yesterday", "filter[createdAfter]"},
			{"filter[createdBefore]=2026-11-22", "filter[createdBefore]"},
			{"filter[lastSigninBefore]=1", "filter[lastSigninBefore]"},
			{"filter[lastSigninBefore]=0001-01-01T00:00:00Z", "filter[lastSigninBefore]"}, // would be no bound
			{"filter[lastSigninAfter]=2026-11-22T12:00:00", "filter[lastSigninAfter]"},
			{"filter[lastSigninAfter]=10000-01-01T00:00:00Z", "filter[lastSigninAfter]"},
			{"total=0", "total"},
			{"total=", "total"},
			{"filter[group]=0", "filter[group]"},
			{"filter[group]=x", "filter[group]"},
			{"filter[email]=", "filter[email]"},
			{"filter[email]=" + strings.Repeat("x", 255), "filter[email]"},
			{"filter[name]=" + strings.Repeat("x", 256), "filter[name]"},
			{"filter[name]=%00", "filter[name]"},
			{"filter[name]=%FF", "filter[name]"},
			{"filter[name]=%ED%A0%80", "filter[name]"},
			{"filter[q]=%C3", "filter[q]"},
			{"filter[name]=a&filter[name]=b", "filter[name]"},
			{"filter[nope]=1", "filter[nope]"},
			{"filter=1", "filter"},
			{"filter[name][]=x", "filter[name][]"},
			{"name=Mary", "name"},
			{"Limit=1", "Limit"},
			{"access_token=x", "access_token"},
			{"%FF=1", "\uFFFD"},
			{"%00=1", "\x00"},
			{"sort_by=password_hash", "sort_by"},
			{"sort_by=id;drop", "query"},
			{"sort_by=", "sort_by"},
			{"sort_order=down", "sort_order"},
			{"limit=%zz", "query"},
			{"after=x", "after"},
			{"after=", "after"},
			{"after=" + cursor + "x", "after"},
			{"after=" + strings.Repeat("A", 5000), "after"},
			{"after=" + cursor + "&sort_by=name", "after"},
			{"after=" + cursor + "&sort_order=desc", "after"},
			{"after=" + cursor + "&offset=1", "offset"},
			{"after=" + cursor + "&after=" + cursor, "after"},
		}
		for _, test := range tests {
			s.Do(http.MethodGet, apitest.UsersPath+"?"+test.query, nil).
				WantProblem(http.StatusBadRequest, "validation_failed", test.field)
		}
		s.Do(http.MethodGet, apitest.UsersPath+"?limit=0&offset=x&foo=1", nil).
			WantProblem(http.StatusBadRequest, "validation_failed", "limit", "offset", "foo")
		s.Do(http.MethodGet, apitest.UsersPath+"?after="+cursor, nil).Want(http.StatusOK)
	})
}

// TestLastSignin lists users by when they were last seen.
func TestLastSignin(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, name := range []string{"a", "b", "c"} {
			s.CreateUser(name+"@example.com", map[string]any{"name": name})
		}
		s.SignIn("b@example.com")
		s.Clock.Advance(time.Hour)
		s.SignIn("c@example.com")
		for query, want := range map[string]string{
			"filter[lastSigninBefore]=2026-11-22T12:00:00Z":                                                 "a",
			"filter[lastSigninBefore]=2026-11-22T12:00:01Z":                                                 "ab",
			"filter[lastSigninAfter]=2026-11-22T12:00:00Z":                                                  "bc",
			"filter[lastSigninAfter]=2026-11-22T12:00:01Z&filter[status]=active":                            "c",
			"filter[lastSigninAfter]=2026-11-22T12:00:00Z&filter[lastSigninBefore]=2026-11-22T13:00:00Z":    "b",
			"filter[lastSigninAfter]=2026-11-22T13:00:00Z&filter[lastSigninBefore]=2026-11-22T12:00:00Z":    "",
			"filter[lastSigninBefore]=2026-11-22T14:00:00Z&sort_by=lastSigninTime&sort_order=desc&limit=10": "cba",
		} {
			for _, total := range []string{"true", "false"} {
				var got page
				s.Do(http.MethodGet, apitest.UsersPath+"?total="+total+"&"+query, nil).Want(http.StatusOK).Decode(&got)
				if names := strings.Join(got.names(), ""); names != want || (got.Total != nil) != (total == "true") {
					t.Errorf("%s: %s of %v, want %s", query, names, got.Total, want)
				}
			}
		}
		s.CheckWalk(apitest.UsersPath+"?filter[lastSigninBefore]=2026-11-22T14:00:00Z&limit=1", "id", 3, 3, 3)
	})
}

// TestFindUsers finds users by a list of addresses, ids and phone numbers as people paste it.
func TestFindUsers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		anna := s.CreateUser("anna@example.com", map[string]any{"name": "Anna", "phone": "+4930123456"})
		bo := s.CreateUser("Bo@bücher.example", map[string]any{"name": "Bo", "phone": "+4930123456"})
		s.CreateUser("cy@example.com", map[string]any{"name": "Cy"})
		type found struct {
			page

			NotFound []string
		}
		find := func(texts []string, as ...apitest.Option) found {
			t.Helper()
			var got found
			s.Do(http.MethodPost, apitest.UsersPath+"/find", map[string]any{"texts": texts}, as...).Want(http.StatusOK).Decode(&got)
			return got
		}
		id := func(id int64) string { return fmt.Sprint(id) }
		masked := apitest.As(s.CreateToken(0, []string{"users.view"}, map[string]any{"canViewMaskedData": false}))
		for i, test := range []struct {
			texts, want, missing []string
			as                   []apitest.Option
		}{
			{[]string{}, nil, nil, nil},
			{[]string{"CY@example.com", id(anna)}, []string{"Cy", "Anna"}, nil, nil},
			{[]string{" bo@XN--bcher-kva.example\n", id(bo), "+49 (30) 123-456"}, []string{"Bo", "Anna"}, nil, nil},
			{[]string{"+4930123456"}, []string{"Anna", "Bo"}, nil, nil},
			{
				[]string{"x@example.com", "0", "-1", "+1", "99", "99999999999999999999", "Anna", "", "'; --", "anna@example.co"},
				nil,
				[]string{"x@example.com", "0", "-1", "+1", "99", "99999999999999999999", "Anna", "", "'; --", "anna@example.co"},
				nil,
			},
			// A mask finds nobody, nor does a phone number, which masks hide; addresses do, as in the list.
			{
				[]string{"anna@example.com", "+4930123456", "a***@example.com", "+4*******56", id(bo)},
				[]string{"Anna", "Bo"},
				[]string{"+4930123456", "a***@example.com", "+4*******56"},
				[]apitest.Option{masked},
			},
		} {
			got := find(test.texts, test.as...)
			if !slices.Equal(got.names(), append([]string{}, test.want...)) || !slices.Equal(got.NotFound, append([]string{}, test.missing...)) {
				t.Errorf("%d: got %v, not %q, want %v, not %q", i, got.names(), got.NotFound, test.want, test.missing)
			}
		}
		body := string(s.Do(http.MethodPost, apitest.UsersPath+"/find", map[string]any{"texts": []string{"anna@example.com"}}, masked).Body)
		if strings.Contains(body, "anna@") || strings.Contains(body, "4930123456") || !strings.Contains(body, "a***@example.com") {
			t.Errorf("%s", body)
		}
		many := slices.Repeat([]string{"anna@example.com"}, 1000)
		if got := find(many); len(got.Data) != 1 || len(got.NotFound) != 0 {
			t.Errorf("a thousand times: %v", got.names())
		}
		for field, body := range map[string]map[string]any{
			"texts": {"texts": append(many, "x")}, "texts[1]": {"texts": []any{"a", 7}}, "text": {"texts": many, "text": 1},
		} {
			s.Do(http.MethodPost, apitest.UsersPath+"/find", body).WantProblem(http.StatusBadRequest, "validation_failed", field)
		}
		s.Do(http.MethodPost, apitest.UsersPath+"/find", map[string]any{}).
			WantProblem(http.StatusBadRequest, "validation_failed", "texts")
		s.Do(http.MethodGet, apitest.UsersPath+"/count?filter[nope]=1&limit=5", nil).
			WantProblem(http.StatusBadRequest, "validation_failed", "filter[nope]", "limit")
	})
}

// TestListsLeadOn checks that a list by position has a link, with all its parameters, while rows
// follow.
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
			hook, _ = s.CreateWebhook(fmt.Sprintf("https://example.com/%d", i), changes{"active": false})
			s.Do(http.MethodPut, fmt.Sprintf("%s/tags/%d", records, i), changes{"attributes": changes{}}).
				Want(http.StatusCreated)
		}
		for range n {
			s.Do(http.MethodPost, hook+"/test", nil).Want(http.StatusAccepted)
		}
		for path, rows := range map[string]int{
			apitest.GroupsPath: n + 1, apitest.TokensPath: n + 1, apitest.WebhooksPath: n, apitest.OutboxPath: n,
			records: n, hook + "/deliveries": n, apitest.UsersPath: 1,
		} {
			for _, limit := range []int{1, 2, n - 1} {
				s.CheckWalk(fmt.Sprintf("%s?limit=%d", path, limit), "id", rows, (rows+limit-1)/limit,
					(rows+limit-1)/limit)
			}
			lastPages := []string{
				"?limit=100", "?limit=1&offset=9", "?limit=2&offset=9223372036854775807",
				fmt.Sprintf("?offset=%d", rows-1),
			}
			for _, last := range lastPages {
				if link := s.Do(http.MethodGet, path+last, nil).Want(http.StatusOK).Header.Get("Link"); link != "" {
					t.Errorf("%s: a link behind the last page: %s", path+last, link)
				}
			}
		}
		for query, want := range map[string]string{
			records + "?limit=2&filter[type]=tags&offset=1": records +
				"?filter%5Btype%5D=tags&limit=2&offset=3",
			hook + "/deliveries?filter[state]=pending&limit=1": hook +
				"/deliveries?filter%5Bstate%5D=pending&limit=1&offset=1",
			apitest.OutboxPath + "?limit=3&filter%5Bstate%5D=pending": apitest.OutboxPath +
				"?filter%5Bstate%5D=pending&limit=3&offset=3",
			apitest.UserPath(user) + "/records?limit=1&offset=0003": records + "?limit=1&offset=4",
		} {
			if got := apitest.NextPath(t, s.Do(http.MethodGet, query, nil).Header.Get("Link")); got != want {
				t.Errorf("%s: %s, want %s", query, got, want)
			}
		}
		at := s.At("https://roster.example.com")
		got, want := at.Do(http.MethodGet, apitest.GroupsPath+"?limit=1", nil).
			Header.Get("Link"), "https://roster.example.com"+apitest.GroupsPath+"?limit=1&offset=1"
		if got != "<"+want+`>; rel="next"` {
			t.Errorf("%s, want %s", got, want)
		}
	})
}
