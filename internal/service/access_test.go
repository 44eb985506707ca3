package service_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
)

type changes = map[string]any

func TestTokens(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		user := s.CreateUser("a@example.com")
		created := s.Do(http.MethodPost, apitest.TokensPath, changes{
			"name": " CI ", "permissions": []string{"users.create", "users.self", "users.create"}, "userId": user,
			"ipWhitelist": []string{"127.0.0.1", "10.0.0.0/8"}, "canViewMaskedData": true,
			"expiresAt": "2027-01-31T13:00:00.9+01:00",
		}).Want(http.StatusCreated)
		var secret struct{ Token string }
		created.Decode(&secret)
		if !strings.HasPrefix(secret.Token, "rst_") || len(secret.Token) < 50 {
			t.Errorf("token %s", secret.Token)
		}
		path := created.Location()
		got := s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Object()
		want := changes{
			"id": float64(created.ID()), "name": "CI", "permissions": []any{"users.view", "users.create", "users.self"},
			"userId":      float64(user),
			"ipWhitelist": []any{"127.0.0.1", "10.0.0.0/8"}, "canViewMaskedData": true,
			"createdAt": "2026-11-22T12:00:00+00:00",
			"expiresAt": "2027-01-31T12:00:00+00:00", "lastUsedAt": nil,
			"createdBy": map[string]any{"userId": nil, "tokenId": 1.0}, "issuerGone": false,
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
		if strings.Contains(string(s.Do(http.MethodGet, apitest.TokensPath, nil).Body), secret.Token) {
			t.Error("the list shows the secret")
		}

		// The last use is recorded, once a minute.
		for range 2 {
			s.Do(http.MethodGet, apitest.UsersPath+"/me", nil, apitest.As(secret.Token)).Want(http.StatusOK)
			s.Clock.Advance(59 * time.Second)
		}
		if got := s.Do(http.MethodGet, path, nil).Object()["lastUsedAt"]; got != "2026-11-22T12:00:00+00:00" {
			t.Errorf("last use %v", got)
		}
		s.Clock.Advance(time.Second)
		s.Do(http.MethodGet, apitest.UsersPath+"/me", nil, apitest.As(secret.Token)).Want(http.StatusOK)
		if got := s.Do(http.MethodGet, path, nil).Object()["lastUsedAt"]; got != "2026-11-22T12:01:59+00:00" {
			t.Errorf("last use %v", got)
		}

		s.Do(http.MethodDelete, path, nil).Want(http.StatusNoContent)
		s.Do(http.MethodDelete, path, nil).WantProblem(http.StatusNotFound, "not_found")
		s.Do(http.MethodGet, path, nil).WantProblem(http.StatusNotFound, "not_found")
		s.Do(http.MethodGet, apitest.UsersPath+"/me", nil, apitest.As(secret.Token)).
			WantProblem(http.StatusUnauthorized, "invalid_token")

		for field, values := range map[string][]any{
			"name": {"", nil, 5, strings.Repeat("x", 101), "a\nb"}, "permissions": {nil, "users.view"},
			"permissions[0]": {[]string{"users.fly"}, []any{1}},
			"userId":         {"1", 0, -1, 999, 1.5}, "ipWhitelist[0]": {[]string{"x"}}, "canViewMaskedData": {1},
			"expiresAt": {
				"tomorrow", "2026-11-22T12:00:00Z", 5, "2020-01-01T00:00:00Z", "", "0001-01-01T00:00:00Z",
				"2027-11-23T12:02:00Z", "9999-12-31T23:59:59-23:00", "10000-01-01T00:00:00Z",
			}, "token": {"mine"},
			"foo": {1},
		} {
			for _, value := range values {
				name, _, _ := strings.Cut(field, "[")
				body := changes{"name": "CI", "permissions": []string{}, name: value}
				s.Do(http.MethodPost, apitest.TokensPath, body).
					WantProblem(http.StatusBadRequest, "validation_failed", field)
			}
		}
		s.Do(http.MethodPost, apitest.TokensPath,
			changes{"name": "CI", "permissions": []string{}, "userId": nil, "expiresAt": nil, "ipWhitelist": nil}).
			Want(http.StatusCreated)
		s.Do(http.MethodGet, apitest.TokensPath+"/abc", nil).
			WantProblem(http.StatusBadRequest, "validation_failed", "tokenId")
		s.Do(http.MethodGet, apitest.TokensPath+"?limit=0&x=1", nil).
			WantProblem(http.StatusBadRequest, "validation_failed", "limit", "x")
		list := s.Do(http.MethodGet, apitest.TokensPath+"?limit=1&offset=1", nil).Want(http.StatusOK).Object()
		if list["total"] != 2.0 || len(list["data"].([]any)) != 1 {
			t.Errorf("%v", list)
		}
	})
}

// TestTokenFollowsItsUser checks that a change of a user's rights changes those of the user's tokens
// at the next request.
func TestTokenFollowsItsUser(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		viewers := s.CreateGroup("Viewers", "users.view")
		user := s.CreateUser("a@example.com", changes{"groups": []int64{viewers}})
		token := s.CreateToken(user, []string{"users.view", "users.self", "groups.manage"})
		me := func() *apitest.Answer { return s.Do(http.MethodGet, apitest.UsersPath+"/me", nil, apitest.As(token)) }
		list := func() *apitest.Answer { return s.Do(http.MethodGet, apitest.UsersPath, nil, apitest.As(token)) }

		if me().Want(http.StatusOK).ID() != user {
			t.Error("me is someone else")
		}
		list().Want(http.StatusOK)
		s.Do(http.MethodPost, apitest.GroupsPath, changes{"name": "X", "permissions": []string{}}, apitest.As(token)).
			WantProblem(http.StatusForbidden, "permission_denied")

		s.Do(http.MethodPatch, fmt.Sprintf("%s/%d", apitest.GroupsPath, viewers), changes{"permissions": []string{}}).
			Want(http.StatusOK)
		list().WantProblem(http.StatusForbidden, "permission_denied")
		s.Do(http.MethodPatch, apitest.UserPath(user), changes{"groups": []int{1}}).Want(http.StatusOK)
		list().Want(http.StatusOK)
		s.Do(http.MethodPatch, apitest.UserPath(user), changes{"groups": []int{}}).Want(http.StatusOK)
		list().WantProblem(http.StatusForbidden, "permission_denied")
		me().Want(http.StatusOK)

		s.Do(http.MethodPatch, apitest.UserPath(user), changes{"active": false}).Want(http.StatusOK)
		me().WantProblem(http.StatusUnauthorized, "invalid_token")
		s.Do(http.MethodPatch, apitest.UserPath(user), changes{"active": true}).Want(http.StatusOK)
		me().Want(http.StatusOK)
		s.Do(http.MethodPatch, apitest.UserPath(user), changes{"ipWhitelist": []string{"10.0.0.0/8"}}).
			Want(http.StatusOK)
		me().WantProblem(http.StatusForbidden, "ip_not_allowed")
		s.Do(http.MethodDelete, apitest.UserPath(user), nil).Want(http.StatusNoContent)
		me().WantProblem(http.StatusUnauthorized, "invalid_token")
	})
}

func TestAllowLists(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		user := s.CreateUser("a@example.com",
			changes{"ipWhitelist": []string{"10.1.0.0/16", "2001:db8::/32", "192.0.2.7"}})
		ofUser := s.CreateToken(user, []string{"users.self"})
		ofBoth := s.CreateToken(user, []string{"users.self"},
			changes{"ipWhitelist": []string{"10.1.2.0/24", "198.51.100.1"}})
		ofService := s.CreateToken(0, []string{"users.view"}, changes{"ipWhitelist": []string{"198.51.100.1"}})
		from := func(xff string) apitest.Option { return apitest.Header("X-Forwarded-For", xff) }
		tests := []struct {
			token, from string
			allowed     bool
		}{
			{ofUser, "10.1.2.3", true},
			{ofUser, "::ffff:10.1.2.3", true},
			{ofUser, "2001:db8:1::1", true},
			{ofUser, "192.0.2.7", true},
			{ofUser, "192.0.2.8", false},
			{ofUser, "10.2.0.1", false},
			{ofUser, "", false}, // the proxy itself
			{ofUser, "10.1.2.3, 203.0.113.9", false},
			{ofUser, "203.0.113.9, 10.1.2.3", true},
			{ofUser, "203.0.113.9,10.1.2.3,127.0.0.1", true},
			{ofUser, "10.1.2.3:1234", true},
			{ofUser, "[2001:db8::1]:443", true},
			{ofUser, "[2001:db8::1]", true},
			{ofUser, "2001:db8::1%eth0", false},
			{ofUser, "junk", false},
			{ofUser, "10.1.2.3, junk", false},
			{ofUser, "10.1.2.3,", false},
			{ofUser, "010.001.002.003", false},
			{ofBoth, "10.1.2.3", true},
			{ofBoth, "10.1.3.3", false},     // the user's list only
			{ofBoth, "198.51.100.1", false}, // the token's list only
			{ofService, "198.51.100.1", true},
			{ofService, "198.51.100.2", false},
			{apitest.AdminToken, "junk", true}, // no list
		}
		for _, test := range tests {
			path := apitest.UsersPath + "/me"
			if test.token == ofService || test.token == apitest.AdminToken {
				path = apitest.UsersPath
			}
			answer := s.Do(http.MethodGet, path, nil, apitest.As(test.token), from(test.from))
			if test.allowed {
				answer.Want(http.StatusOK)
			} else {
				answer.WantProblem(http.StatusForbidden, "ip_not_allowed")
			}
		}
		// No other header has a say, and several headers are one list.
		s.Do(http.MethodGet, apitest.UsersPath+"/me", nil, apitest.As(ofUser), apitest.Header("X-Real-IP", "10.1.2.3")).
			WantProblem(http.StatusForbidden, "ip_not_allowed")
		s.Do(http.MethodGet, apitest.UsersPath+"/me", nil, apitest.As(ofUser),
			apitest.Header("Forwarded", "for=10.1.2.3")).WantProblem(http.StatusForbidden, "ip_not_allowed")
		s.Do(http.MethodGet, apitest.UsersPath+"/me", nil, apitest.As(ofUser), from("10.1.2.3"), func(r *http.Request) {
			r.Header.Add("X-Forwarded-For", "203.0.113.9")
		}).WantProblem(http.StatusForbidden, "ip_not_allowed")
	})
}

func TestShuttingOneselfOut(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		user := s.CreateUser("a@example.com", changes{"groups": []int{1}, "canViewMaskedData": true})
		token := s.CreateToken(user, apitest.AllPermissions())
		as, from := apitest.As(token), apitest.From("10.1.2.3")
		me := apitest.UsersPath + "/me"
		s.Do(http.MethodPatch, me, changes{"ipWhitelist": []string{"192.0.2.0/24"}}, as, from).
			WantProblem(http.StatusConflict, "would_lock_out", "ipWhitelist")
		s.Do(http.MethodPatch, me+"?force=false", changes{"ipWhitelist": []string{"192.0.2.0/24"}}, as, from).
			WantProblem(http.StatusConflict, "would_lock_out", "ipWhitelist")
		s.Do(http.MethodPatch, me+"?force=yes", changes{"ipWhitelist": []string{}}, as, from).
			WantProblem(http.StatusBadRequest, "validation_failed", "force")
		s.Do(http.MethodPatch, me+"?forse=true", changes{"ipWhitelist": []string{}}, as, from).
			WantProblem(http.StatusBadRequest, "validation_failed", "forse")
		s.Do(http.MethodPatch, me, changes{"ipWhitelist": []string{"10.0.0.0/8"}}, as, from).Want(http.StatusOK)
		other := s.CreateUser("b@example.com")
		s.Do(http.MethodPatch, apitest.UserPath(other), changes{"ipWhitelist": []string{"192.0.2.0/24"}}, as, from).
			Want(http.StatusOK)
		s.Do(http.MethodPatch, me+"?force=true", changes{"ipWhitelist": []string{"192.0.2.0/24"}}, as, from).
			Want(http.StatusOK)
		s.Do(http.MethodGet, me, nil, as, from).WantProblem(http.StatusForbidden, "ip_not_allowed")
	})
}

func TestNoEscalation(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		auditors := s.CreateGroup("Auditors", "audit.view")
		helpers := s.CreateGroup("Helpers", "users.view", "users.update")
		held := []string{
			"users.view", "users.create", "users.update", "users.delete", "groups.view", "groups.manage",
			"tokens.manage",
		}
		token := s.CreateToken(0, held, changes{"canViewMaskedData": false})
		admin := s.CreateUser("admin@example.com", changes{"groups": []int{1}})
		auditor := s.CreateUser("auditor@example.com", changes{"groups": []int64{auditors, helpers}})
		viewer := s.CreateUser("viewer@example.com", changes{"canViewMaskedData": true})
		plain := s.CreateUser("plain@example.com")
		group := func(id int64) string { return fmt.Sprintf("%s/%d", apitest.GroupsPath, id) }

		refused := []struct {
			method, path string
			body         any
		}{
			{"POST", apitest.UsersPath, apitest.NewUser("x@example.com", changes{"groups": []int{1}})},
			{"POST", apitest.UsersPath, apitest.NewUser("x@example.com", changes{"groups": []int64{auditors}})},
			{"POST", apitest.UsersPath, apitest.NewUser("x@example.com", changes{"canViewMaskedData": true})},
			{"PATCH", apitest.UserPath(plain), changes{"groups": []int{1}}},
			{"PATCH", apitest.UserPath(plain), changes{"groups": []int64{helpers, auditors}}},
			{"PATCH", apitest.UserPath(plain), changes{"canViewMaskedData": true}},
			{"PATCH", apitest.UserPath(admin), changes{"name": "X"}},
			{"PATCH", apitest.UserPath(auditor), changes{"email": "mine@example.com"}},
			{"PATCH", apitest.UserPath(auditor), changes{"groups": []int64{}}},
			{"PUT", apitest.UserPath(viewer), changes{"canViewMaskedData": false}},
			{"DELETE", apitest.UserPath(admin), nil},
			{"DELETE", apitest.UserPath(auditor), nil},
			{"DELETE", apitest.UserPath(viewer), nil},
			{"POST", apitest.GroupsPath, changes{"name": "Mine", "permissions": []string{"users.view", "audit.view"}}},
			{"PATCH", group(helpers), changes{"permissions": []string{"audit.view"}}},
			{"PATCH", group(auditors), changes{"name": "Mine"}},
			{"PATCH", group(auditors), changes{"permissions": []string{}}},
			{"DELETE", group(auditors), nil},
			{"POST", apitest.TokensPath, changes{"name": "Mine", "permissions": []string{"audit.view"}}},
			{"POST", apitest.TokensPath, changes{"name": "Mine", "permissions": []string{}, "canViewMaskedData": true}},
			{"POST", apitest.TokensPath, changes{"name": "Mine", "permissions": []string{}, "userId": admin}},
			{"POST", apitest.TokensPath, changes{"name": "Mine", "permissions": []string{}, "userId": viewer}},
			{"DELETE", apitest.TokensPath + "/1", nil},
		}
		for _, call := range refused {
			s.Do(call.method, call.path, call.body, apitest.As(token)).
				WantProblem(http.StatusForbidden, "escalation_denied")
		}
		for _, id := range []int64{admin, viewer} {
			s.Do(http.MethodPut, apitest.UserPath(id), changes{"password": "TakenOver1"}, apitest.As(token)).
				Want(http.StatusForbidden)
		}
		auditing := apitest.As(s.CreateToken(0, held)) // sees unmasked data, but has no audit.view
		s.Do(http.MethodPut, apitest.UserPath(auditor), changes{"password": "TakenOver1"}, auditing).
			WantProblem(http.StatusForbidden, "escalation_denied")
		// Within what is held, all of it works.
		s.Do("POST", apitest.UsersPath, apitest.NewUser("y@example.com", changes{"groups": []int64{helpers}}),
			apitest.As(token)).Want(http.StatusCreated)
		s.Do("PATCH", apitest.UserPath(plain), changes{"groups": []int64{helpers}}, apitest.As(token)).
			Want(http.StatusOK)
		s.Do("PATCH", group(helpers), changes{"permissions": []string{"users.view"}}, apitest.As(token)).
			Want(http.StatusOK)
		s.Do("POST", apitest.TokensPath,
			changes{"name": "Mine", "permissions": []string{"users.view"}, "userId": plain}, auditing).
			Want(http.StatusCreated)
		s.Do("DELETE", apitest.UserPath(plain), nil, apitest.As(token)).Want(http.StatusNoContent)
	})
}

func TestLastAdministrator(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		administrator := func(email string, active bool) int64 {
			return s.CreateUser(email, changes{"groups": []int{1}, "active": active, "canViewMaskedData": true})
		}
		first, second := administrator("first@example.com", true), administrator("second@example.com", true)
		administrator("inactive@example.com", false)
		s.CreateUser("plain@example.com")
		as := apitest.As(s.SignIn("first@example.com"))

		s.Do(http.MethodDelete, apitest.UserPath(second), nil, as).Want(http.StatusNoContent)
		for _, change := range []changes{{"active": false}, {"groups": []int{}}, {"active": false, "groups": []int{}}} {
			s.Do(http.MethodPatch, apitest.UsersPath+"/me", change, as).
				WantProblem(http.StatusConflict, "last_administrator")
		}
		s.Do(http.MethodDelete, apitest.UsersPath+"/me", nil, as).WantProblem(http.StatusConflict, "last_administrator")
		s.Do(http.MethodDelete, apitest.UserPath(first), nil, as).WantProblem(http.StatusConflict, "last_administrator")
		s.Do(http.MethodPatch, apitest.UsersPath+"/me", changes{"name": "Still here"}, as).Want(http.StatusOK)

		// A service that may do everything remains an administrator itself; one
		// that may do less does not.
		lesser := apitest.As(s.CreateToken(0, apitest.AllPermissions(), changes{"canViewMaskedData": false}))
		s.Do(http.MethodDelete, apitest.UserPath(first), nil, lesser).
			WantProblem(http.StatusForbidden, "escalation_denied")
		third := administrator("third@example.com", true)
		// oneself, with another one left
		s.Do(http.MethodDelete, apitest.UsersPath+"/me", nil, as).Want(http.StatusNoContent)
		s.Do(http.MethodDelete, apitest.UserPath(third), nil).Want(http.StatusNoContent)
	})
}

func TestSelfService(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		user := s.CreateUser("a@example.com", changes{"canViewMaskedData": true})
		other := s.CreateUser("b@example.com")
		as := apitest.As(s.SignIn("a@example.com"))
		me := apitest.UsersPath + "/me"
		s.Do(http.MethodGet, me, nil, as).Want(http.StatusOK)
		s.Do(http.MethodGet, apitest.UserPath(user), nil, as).Want(http.StatusOK)
		s.Do(http.MethodGet, apitest.UserPath(other), nil, as).WantProblem(http.StatusForbidden, "permission_denied")
		s.Do(http.MethodGet, apitest.UserPath(999), nil, as).WantProblem(http.StatusForbidden, "permission_denied")
		s.Do(http.MethodPatch, me, changes{"name": "New", "phone": "+18043257762"}, as).Want(http.StatusOK)
		for field, value := range (changes{
			"email": "x@example.com", "active": true, "tfa": false, "groups": []int{}, "ipWhitelist": nil,
			"clientTags": nil, "canViewMaskedData": true,
		}) {
			s.Do(http.MethodPatch, me, changes{"name": "Newer", field: value}, as).
				WantProblem(http.StatusForbidden, "permission_denied")
		}
		s.Do(http.MethodPatch, apitest.UserPath(other), changes{"name": "X"}, as).
			WantProblem(http.StatusForbidden, "permission_denied")
		s.Do(http.MethodDelete, apitest.UserPath(other), nil, as).WantProblem(http.StatusForbidden, "permission_denied")

		s.Do(http.MethodPatch, me, changes{"password": "NewSecret123"}, as).
			WantProblem(http.StatusBadRequest, "validation_failed", "currentPassword")
		for _, wrong := range []string{"wrong", "", strings.Repeat("x", 200)} {
			s.Do(http.MethodPatch, me, changes{"password": "NewSecret123", "currentPassword": wrong}, as).
				WantProblem(http.StatusBadRequest, "validation_failed", "currentPassword")
		}
		s.Do(http.MethodPatch, me, changes{"password": "NewSecret123", "currentPassword": "MySecret123"}, as).
			Want(http.StatusOK)
		s.Do(http.MethodPatch, me, changes{"password": "MySecret123", "currentPassword": "MySecret123"}, as).
			WantProblem(http.StatusBadRequest, "validation_failed", "currentPassword")
		// A change of another user needs no current password.
		s.Do(http.MethodPatch, apitest.UserPath(user), changes{"password": "MySecret123"}).Want(http.StatusOK)
		// Everyone may leave.
		s.Do(http.MethodDelete, me, nil, apitest.As(s.SignIn("a@example.com"))).Want(http.StatusNoContent)
	})
}
