package backoffice_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
)

func TestEvents(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com", changes{"groups": []int{1}, "canViewMaskedData": true})
		from := apitest.From("192.0.2.1")
		s.TrySignIn("mary@example.com", "WrongSecret1", apitest.NoToken("198.51.100.7")).Want(http.StatusUnauthorized)
		s.TrySignIn("nobody@example.com", apitest.Password, apitest.NoToken("198.51.100.7")).
			Want(http.StatusUnauthorized)
		as := apitest.As(s.SignInWith("mary@example.com", apitest.Password).AccessToken.Token)
		s.Clock.Advance(time.Minute)
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"name": "Mary Ann"}, as, from,
			apitest.Header("X-Request-Id", "request-7")).Want(http.StatusOK)
		powerless := apitest.As(s.CreateToken(0, nil))
		s.Do(http.MethodGet, apitest.UsersPath, nil, powerless, from).Want(http.StatusForbidden)
		confined := apitest.As(s.CreateToken(id, []string{"users.view"}, changes{"ipWhitelist": []string{"192.0.2.1"}}))
		s.Do(http.MethodGet, apitest.UsersPath, nil, confined, apitest.From("198.51.100.8")).Want(http.StatusForbidden)
		s.Do(http.MethodPost, apitest.SignOutPath, nil, as).Want(http.StatusNoContent)

		all := s.Events("")
		var got []string
		for _, e := range all.Data {
			text := e.Type
			if e.Reason != nil {
				text += " " + *e.Reason
			}
			got = append(got, text)
		}
		want := "USER_SIGNED_OUT, USER_ACCESS_REFUSED ip_not_allowed, TOKEN_CREATED, " +
			"USER_ACCESS_REFUSED permission_denied, TOKEN_CREATED, USER_UPDATED, USER_SIGNED_IN, " +
			"USER_SIGNIN_FAILED unknown_user, USER_SIGNIN_FAILED wrong_password, USER_CREATED, TOKEN_CREATED"
		if strings.Join(got, ", ") != want || all.Total == nil || *all.Total != len(got) {
			t.Fatalf("%v, %v\nwant %s", all.Total, got, want)
		}
		update := all.Data[5]
		if *update.UserID != id || *update.Actor.UserID != id || update.Actor.TokenID != nil ||
			update.Actor.Name != "session" || *update.Source != "192.0.2.1" ||
			update.RequestID != "request-7" || update.Changes["name"].Old != "Mary" ||
			update.Changes["name"].New != "Mary Ann" || len(update.Changes) != 1 ||
			update.Time != "2026-11-22T12:01:00+00:00" || update.Reason != nil {
			t.Errorf("%+v", update)
		}
		if failed := all.Data[8]; *failed.UserID != id || failed.Actor.UserID != nil ||
			*failed.Source != "198.51.100.7" {
			t.Errorf("%+v", failed)
		}
		if unknown := all.Data[7]; unknown.UserID != nil {
			t.Errorf("%+v", unknown)
		}
		if refused := all.Data[1]; *refused.Actor.UserID != id || refused.Actor.TokenID == nil ||
			*refused.UserID != id {
			t.Errorf("%+v", refused)
		}
		for query, want := range map[string]int{
			"filter[user]=" + fmt.Sprint(id): 6, "filter[actor]=" + fmt.Sprint(id): 4, "filter[actor]=token:1": 3,
			"filter[type]=TOKEN_CREATED": 3, "filter[type]=USER_SIGNED_IN&filter[user]=" + fmt.Sprint(id): 1,
			"filter[user]=999":                   0,
			"filter[since]=2026-11-22T12:01:00Z": 6, "filter[until]=2026-11-22T12:01:00Z": 5,
			"filter[since]=" + url.QueryEscape("2026-11-22T14:01:00+02:00") + "&filter[until]=2026-11-22T12:02:00Z": 6,
			"filter[since]=2026-11-22T12:01:01Z": 0,
		} {
			if list := s.Events("?" + query); *list.Total != want || len(list.Data) != want {
				t.Errorf("%s: %d, %d, want %d", query, *list.Total, len(list.Data), want)
			}
		}
		walkEvents(t, s, len(got))
	})
}

// walkEvents follows the links of the list while events are added.
func walkEvents(t *testing.T, s *apitest.Server, want int) {
	t.Helper()
	path, seen, last := apitest.EventsPath+"?limit=3", 0, int64(1<<62)
	for path != "" {
		answer := s.Do(http.MethodGet, path, nil).Want(http.StatusOK)
		var list apitest.EventList
		answer.Decode(&list)
		if (list.Total == nil) != strings.Contains(path, "after=") {
			t.Errorf("%s: total %v", path, list.Total)
		}
		for _, e := range list.Data {
			if e.ID >= last {
				t.Errorf("%d after %d", e.ID, last)
			}
			last = e.ID
			seen++
		}
		path = apitest.NextPath(t, answer.Header.Get("Link"))
		s.CreateToken(0, nil)
	}
	if seen != want {
		t.Errorf("%d events, want %d", seen, want)
	}
	if page := s.Events("?limit=2&offset=3"); len(page.Data) != 2 || page.Data[0].ID != s.Events("").Data[3].ID {
		t.Errorf("%+v", page)
	}
}

func TestEventQueries(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for query, field := range map[string]string{
			"filter[user]=x": "filter[user]", "filter[actor]=token:x": "filter[actor]",
			"filter[actor]=token:": "filter[actor]", "filter[actor]=mary": "filter[actor]",
			"filter[type]=NOTHING": "filter[type]", "filter[type]=": "filter[type]",
			"filter[since]=yesterday": "filter[since]", "filter[until]=2026-11-22": "filter[until]",
			"filter[since]=": "filter[since]", "limit=0": "limit", "after=x": "after", "sort_by=id": "sort_by",
			"filter[user]=1&filter[user]=2": "filter[user]",
		} {
			s.Do(http.MethodGet, apitest.EventsPath+"?"+query, nil).
				WantProblem(http.StatusBadRequest, "validation_failed", field)
		}
	})
}
