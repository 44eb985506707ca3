package backoffice_test

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// TestSources lists where a user has signed in from, to the user, to others masked.
func TestSources(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary := s.CreateUser("mary@website.com")
		path := apitest.UserPath(mary) + "/sources"
		var session string
		for _, address := range []string{"192.0.2.1", "2001:db8:1:2::7", "192.0.2.1"} {
			session = s.SignIn("mary@website.com", apitest.NoToken(address))
			s.Clock.Advance(time.Minute)
		}
		want := changes{"total": 2.0, "data": []any{
			changes{
				"address": "192.0.2.1", "firstSeenTime": "2026-11-22T12:00:00+00:00",
				"lastSeenTime": "2026-11-22T12:02:00+00:00",
			},
			changes{
				"address": "2001:db8:1:2::/64", "firstSeenTime": "2026-11-22T12:01:00+00:00",
				"lastSeenTime": "2026-11-22T12:01:00+00:00",
			},
		}}
		for _, own := range []string{path, "/api/v2/users/me/sources"} {
			if diff := cmp.Diff(want, s.Do(http.MethodGet, own, nil, apitest.As(session)).Want(http.StatusOK).Object()); diff != "" {
				t.Error(diff)
			}
		}
		s.CheckWalk(path+"?limit=1", "address", 2, 2, 2)
		masked := s.Do(http.MethodGet, path, nil, apitest.As(s.CreateToken(0, []string{"users.view"},
			changes{"canViewMaskedData": false}))).Want(http.StatusOK)
		if body := string(masked.Body); strings.Contains(body, "192.0") || strings.Count(body, `"***"`) != 2 {
			t.Errorf("%s", body)
		}
		s.Do(http.MethodGet, apitest.UserPath(99)+"/sources", nil).WantProblem(http.StatusNotFound, "not_found")
		other := s.CreateUser("john@website.com")
		s.Do(http.MethodGet, apitest.UserPath(other)+"/sources", nil, apitest.As(session)).
			WantProblem(http.StatusForbidden, "permission_denied")
		s.Clock.Advance(90 * 24 * time.Hour)
		if got := s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Object(); got["total"] != 0.0 {
			t.Errorf("after 90 days: %v", got)
		}
	})
}

type signinState struct {
	WrongPasswords, WrongCodes         int
	LockedUntil, LockedEverywhereUntil *string
}

func (s signinState) String() string {
	text := func(p *string) string {
		if p == nil {
			return "-"
		}
		return (*p)[11:19]
	}
	return fmt.Sprint(s.WrongPasswords, s.WrongCodes, " ", text(s.LockedUntil), " ", text(s.LockedEverywhereUntil))
}

// TestLockedUsers finds the users whom too many wrong passwords or codes keep out, and no
// others: not those with few, and nobody by an address without a user.
func TestLockedUsers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary, john := s.CreateUser("mary@website.com"), s.CreateUser("john@website.com")
		state := func(id int64) string {
			var state signinState
			s.Do(http.MethodGet, apitest.UserPath(id)+"/signin-state", nil).Want(http.StatusOK).Decode(&state)
			return state.String()
		}
		wantLocked := func(when string, want ...int64) {
			t.Helper()
			for filter, want := range map[string][]int64{
				"true": want, "false": slices.DeleteFunc([]int64{mary, john}, func(id int64) bool { return slices.Contains(want, id) }),
			} {
				var got page
				s.Do(http.MethodGet, apitest.UsersPath+"?filter[locked]="+filter, nil).Want(http.StatusOK).Decode(&got)
				count := s.Do(http.MethodGet, apitest.UsersPath+"/count?filter[locked]="+filter, nil).Want(http.StatusOK).Object()
				ids := []int64{}
				for _, u := range got.Data {
					ids = append(ids, u.ID)
				}
				if !slices.Equal(ids, append([]int64{}, want...)) || count["total"] != float64(len(want)) {
					t.Errorf("%s, filter[locked]=%s: %v, count %v, want %v", when, filter, ids, count, want)
				}
			}
		}
		from := apitest.NoToken("192.0.2.1")
		for range 4 {
			s.TrySignIn("MARY@website.com", "wrong-Password-1", from).Want(http.StatusUnauthorized)
			s.TrySignIn("nobody@website.com", "wrong-Password-1", from).Want(http.StatusUnauthorized)
		}
		wantLocked("four wrong")
		if got := state(mary); got != "4 0 - -" {
			t.Error(got)
		}
		s.TrySignIn("mary@website.com", "wrong-Password-1", from).Want(http.StatusUnauthorized)
		s.TrySignIn("nobody@website.com", "wrong-Password-1", from).Want(http.StatusUnauthorized)
		s.TrySignIn("mary@website.com", apitest.Password, from).WantProblem(http.StatusTooManyRequests, "too_many_attempts")
		wantLocked("five wrong", mary)
		if got := state(mary) + ", " + state(john); got != "5 0 12:10:00 -, 0 0 - -" {
			t.Error(got)
		}
		s.SignIn("mary@website.com", apitest.NoToken("192.0.2.2")) // another address is not locked
		wantLocked("after signing in from elsewhere", mary)
		s.Clock.Advance(10*time.Minute - time.Second)
		wantLocked("a second before the end", mary)
		s.Clock.Advance(time.Second)
		wantLocked("at the end")
		if got := state(mary); got != "5 0 - -" {
			t.Error(got)
		}
		for i := range 95 { // from many addresses, until all are locked
			address := fmt.Sprintf("198.51.100.%d", i+1)
			s.TrySignIn("mary@website.com", "wrong-Password-1", apitest.NoToken(address)).Want(http.StatusUnauthorized)
		}
		s.TrySignIn("mary@website.com", apitest.Password, apitest.NoToken("203.0.113.9")).
			WantProblem(http.StatusTooManyRequests, "too_many_attempts")
		wantLocked("a hundred wrong", mary)
		if got := state(mary); got != "100 0 12:00:00 12:00:00" { // the next day
			t.Error(got)
		}
		s.Clock.Advance(24 * time.Hour)
		wantLocked("the next day")
		if got := state(mary); got != "0 0 - -" {
			t.Error(got)
		}
		john5 := s.SignIn("john@website.com")
		var own signinState
		s.Do(http.MethodGet, "/api/v2/users/me/signin-state", nil, apitest.As(john5)).Want(http.StatusOK).Decode(&own)
		if got := own.String(); got != "0 0 - -" {
			t.Error(got)
		}
		s.Do(http.MethodGet, apitest.UserPath(mary)+"/signin-state", nil, apitest.As(john5)).
			WantProblem(http.StatusForbidden, "permission_denied")
	})
}

// TestAccess lists the permissions of a user with the groups that give them.
func TestAccess(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		support := s.CreateGroup("Support", "users.view")
		editors := s.CreateGroup("Editors", "users.update")
		s.Do(http.MethodPatch, fmt.Sprintf("%s/%d", apitest.GroupsPath, editors), changes{"requireTfa": true}).Want(http.StatusOK)
		mary := s.CreateUser("mary@website.com", changes{"groups": []int64{support, editors}, "canViewMaskedData": true})
		path := apitest.UserPath(mary) + "/access"
		supportName := changes{"id": float64(support), "name": "Support"}
		editorsName := changes{"id": float64(editors), "name": "Editors"}
		want := changes{
			"permissions": []any{
				changes{"permission": "users.view", "groups": []any{supportName, editorsName}}, // which users.update includes
				changes{"permission": "users.update", "groups": []any{editorsName}},
			},
			"canViewMaskedData": true, "tfaRequiredBy": []any{editorsName},
		}
		reader := apitest.As(s.CreateToken(0, []string{"users.view", "groups.view"}, changes{"canViewMaskedData": false}))
		if diff := cmp.Diff(want, s.Do(http.MethodGet, path, nil, reader).Want(http.StatusOK).Object()); diff != "" {
			t.Error(diff)
		}
		for _, only := range []string{"users.view", "groups.view", "users.self"} {
			for _, actsFor := range []int64{0, mary} {
				if only == "users.self" && actsFor == 0 {
					continue
				}
				token := s.CreateToken(actsFor, []string{only})
				s.Do(http.MethodGet, path, nil, apitest.As(token)).WantProblem(http.StatusForbidden, "permission_denied")
			}
		}
		none := s.CreateUser("john@website.com")
		empty := changes{"permissions": []any{}, "canViewMaskedData": false, "tfaRequiredBy": []any{}}
		own := s.Do(http.MethodGet, "/api/v2/users/me/access", nil, apitest.As(s.SignIn("john@website.com"))).Want(http.StatusOK)
		if diff := cmp.Diff(empty, own.Object()); diff != "" {
			t.Error(diff)
		}
		s.Do(http.MethodPatch, apitest.UserPath(none), changes{"groups": []int64{1}}).Want(http.StatusOK)
		var all struct{ Permissions []struct{ Permission string } }
		s.Do(http.MethodGet, apitest.UserPath(none)+"/access", nil).Want(http.StatusOK).Decode(&all)
		if len(all.Permissions) != 1+len(apitest.NamedPermissions()) || all.Permissions[0].Permission != "*" {
			t.Errorf("%+v", all)
		}
		s.Do(http.MethodGet, apitest.UserPath(99)+"/access", nil).WantProblem(http.StatusNotFound, "not_found")
	})
}

// TestHoldings counts what a user holds, and names it to callers who may list it.
func TestHoldings(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary := s.CreateUser("mary@website.com", changes{"groups": []int64{1}, "canViewMaskedData": true})
		path := apitest.UserPath(mary) + "/holdings"
		session := apitest.As(s.SignIn("mary@website.com"))
		s.SignIn("mary@website.com")
		s.CreateToken(mary, []string{"users.view"}, changes{"name": "acting"})
		for i := range 12 {
			s.Do(http.MethodPost, apitest.TokensPath, changes{"name": fmt.Sprint("made ", i), "permissions": []string{}}, session).
				Want(http.StatusCreated)
		}
		hook := s.Do(http.MethodPost, apitest.WebhooksPath,
			changes{"url": "https://example.com/hook?key=secret", "events": []string{"USER_CREATED"}}, session).
			Want(http.StatusCreated).Object()
		if !reflect.DeepEqual(hook["createdBy"], changes{"userId": float64(mary), "tokenId": nil}) {
			t.Errorf("%v", hook)
		}
		s.CreateWebhook("https://example.com/other")
		get := func(as ...apitest.Option) changes {
			t.Helper()
			return s.Do(http.MethodGet, path, nil, as...).Want(http.StatusOK).Object()
		}
		full := get()
		acting, made, hooks := full["tokensActingFor"].(changes), full["tokensCreated"].(changes), full["webhooksCreated"].(changes)
		if full["sessions"] != 2.0 || acting["total"] != 1.0 || made["total"] != 12.0 || len(made["first"].([]any)) != 10 ||
			acting["first"].([]any)[0].(changes)["name"] != "acting" {
			t.Errorf("%v", full)
		}
		want := changes{"total": 1.0, "first": []any{changes{"id": 1.0, "url": "https://example.com/hook?key=secret"}}}
		if diff := cmp.Diff(want, hooks); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(full, get(session)); diff != "" {
			t.Error(diff)
		}
		for permission, shown := range map[string][]string{
			"users.view": nil, "tokens.manage": {"tokensActingFor", "tokensCreated"}, "webhooks.manage": {"webhooksCreated"},
		} {
			got := get(apitest.As(s.CreateToken(0, []string{"users.view", permission})))
			for _, name := range []string{"tokensActingFor", "tokensCreated", "webhooksCreated"} {
				part, all := got[name].(changes), full[name].(changes)
				if part["total"] != all["total"] || (part["first"] != nil) != slices.Contains(shown, name) {
					t.Errorf("%s: %s: %v", permission, name, part)
				}
			}
		}
		// Lists by the same person.
		for query, total := range map[string]float64{
			apitest.WebhooksPath + "?filter[createdBy]=" + fmt.Sprint(mary): 1, apitest.WebhooksPath + "?filter[createdBy]=token:1": 1,
			apitest.WebhooksPath + "?filter[createdBy]=99": 0, apitest.WebhooksPath: 2,
			apitest.TokensPath + "?filter[userId]=" + fmt.Sprint(mary): 1, apitest.TokensPath + "?filter[userId]=99": 0,
		} {
			if got := s.Do(http.MethodGet, query, nil).Want(http.StatusOK).Object()["total"]; got != total {
				t.Errorf("%s: %v, want %v", query, got, total)
			}
		}
		s.Do(http.MethodPatch, apitest.UserPath(mary), changes{"active": false}).Want(http.StatusOK)
		if got := get(); got["sessions"] != 0.0 || got["tokensCreated"].(changes)["total"] != 12.0 {
			t.Errorf("inactive: %v", got)
		}
		s.Do(http.MethodGet, apitest.UserPath(99)+"/holdings", nil).WantProblem(http.StatusNotFound, "not_found")
	})
}

// TestTokensByEnd lists the tokens that expire in a period; one without an end is in none.
func TestTokensByEnd(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		now := s.Clock.Now()
		for _, days := range []int{1, 14, 30} {
			s.CreateToken(0, nil, changes{"name": fmt.Sprint(days), "expiresAt": now.AddDate(0, 0, days)})
		}
		s.CreateToken(0, nil, changes{"name": "never", "expiresAt": nil})
		at := func(days int) string { return now.AddDate(0, 0, days).UTC().Format(time.RFC3339) }
		for query, want := range map[string][]string{
			"filter[expiresBefore]=" + at(14): {"1"}, "filter[expiresBefore]=" + at(15): {"1", "14"},
			"filter[expiresAfter]=" + at(14): {"14", "30"}, "filter[expiresAfter]=" + at(2) + "&filter[expiresBefore]=" + at(15): {"14"},
		} {
			var got page
			s.Do(http.MethodGet, apitest.TokensPath+"?"+query, nil).Want(http.StatusOK).Decode(&got)
			names := slices.DeleteFunc(got.names(), func(name string) bool { return !slices.Contains([]string{"1", "14", "30", "never"}, name) })
			if !slices.Equal(names, want) {
				t.Errorf("%s: %v, want %v", query, names, want)
			}
		}
		for query, field := range map[string]string{
			"filter[expiresBefore]=soon": "filter[expiresBefore]", "filter[expiresAfter]=": "filter[expiresAfter]",
			"filter[userId]=0": "filter[userId]", "filter[userId]=me": "filter[userId]",
		} {
			s.Do(http.MethodGet, apitest.TokensPath+"?"+query, nil).WantProblem(http.StatusBadRequest, "validation_failed", field)
		}
		s.Do(http.MethodGet, apitest.WebhooksPath+"?filter[createdBy]=token:", nil).
			WantProblem(http.StatusBadRequest, "validation_failed", "filter[createdBy]")
	})
}

// TestEventsByReason lists events by their reason, in the order of time and from page to page.
func TestEventsByReason(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary := s.CreateUser("mary@website.com", changes{"ipWhitelist": []string{"10.0.0.0/8"}})
		for i := range 3 {
			from := apitest.NoToken(fmt.Sprintf("192.0.2.%d", i+1))
			s.TrySignIn("mary@website.com", apitest.Password, from).WantProblem(http.StatusForbidden, "ip_not_allowed")
			s.TrySignIn("mary@website.com", "wrong-Password-1", from).Want(http.StatusUnauthorized)
			s.Clock.Advance(time.Hour)
		}
		since := "2026-11-22T13:00:00Z"
		for query, want := range map[string]int{
			"filter[reason]=ip_not_allowed": 3, "filter[reason]=wrong_password&filter[type]=USER_SIGNIN_FAILED": 3,
			"filter[reason]=ip_not_allowed&filter[type]=USER_SIGNIN_FAILED": 0,
			"filter[reason]=ip_not_allowed&filter[since]=" + since:          2, "filter[reason]=ip_not_allowed&filter[until]=" + since: 1,
			"filter[reason]=wrong_password&filter[user]=" + fmt.Sprint(mary): 3, "filter[reason]=wrong_password&filter[user]=99": 0,
			"filter[reason]=wrong_password&filter[user]=" + fmt.Sprint(mary) + "&filter[since]=" + since: 2,
			"filter[reason]=no_such_reason": 0,
		} {
			path := apitest.EventsPath + "?" + query
			if want > 0 {
				s.CheckWalk(path+"&limit=1", "id", want, want, want)
			} else if got := s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Object(); got["total"] != 0.0 {
				t.Errorf("%s: %v", query, got)
			}
		}
		for _, reason := range []string{"", "Wrong", "a%20b", "%25", strings.Repeat("a", 65), "a&filter[reason]=b"} {
			s.Do(http.MethodGet, apitest.EventsPath+"?filter[reason]="+reason, nil).
				WantProblem(http.StatusBadRequest, "validation_failed", "filter[reason]")
		}
	})
}
