package firefly_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/api/firefly"
)

// calls returns every route with a valid body.
func calls(id string) []struct {
	method, path string
	body         any
} {
	return []struct {
		method, path string
		body         any
	}{
		{"GET", users, nil},
		{"POST", users, object{"email": "new@example.com", "blocked": false}},
		{"GET", userPath(id), nil},
		{"PUT", userPath(id), object{"blocked": false}},
		{"GET", userPath(id) + "/accounts", nil},
		{"GET", userPath(id) + "/relationships/accounts", nil},
		{"DELETE", userPath(id), nil},
	}
}

func TestAdministratorsOnly(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		user := s.CreateUser("administrator@example.com", object{"groups": []int{1}})
		all := calls(create(s, "a@example.com"))
		if contract, err := apitest.ContractCalls(firefly.Prefix); err != nil || len(contract) != len(all) {
			t.Errorf("%d calls are tested, the contract has %d: %v", len(all), len(contract), err)
		}
		lesser := slices.DeleteFunc(apitest.NamedPermissions(), func(p string) bool { return p == "audit.view" })
		plain := s.CreateUser("plain@example.com")
		for _, call := range all {
			for _, token := range []string{
				s.CreateToken(0, nil), s.CreateToken(0, lesser), s.CreateToken(user, lesser),
				s.CreateToken(plain, apitest.AllPermissions()),
			} {
				answer := s.Do(call.method, call.path, call.body, apitest.As(token)).
					Want(http.StatusUnauthorized).Golden("not_administrator")
				challenge := answer.Header.Get("WWW-Authenticate")
				if !strings.Contains(challenge, `error="insufficient_scope"`) {
					t.Errorf("%s %s: %s", call.method, call.path, challenge)
				}
			}
			for token, challenge := range map[string]string{
				"": `Bearer realm="roster"`, "wrong": `Bearer realm="roster", error="invalid_token"`,
			} {
				answer := s.Do(call.method, call.path, call.body, apitest.As(token)).
					Want(http.StatusUnauthorized).Golden("unauthenticated")
				if answer.Header.Get("WWW-Authenticate") != challenge ||
					answer.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%s %s: %v", call.method, call.path, answer.Header)
				}
			}
		}
		as := apitest.As(s.CreateToken(user, apitest.AllPermissions(), object{"canViewMaskedData": false}))
		for _, call := range all {
			if answer := s.Do(call.method, call.path, call.body, as); answer.Status >= 300 {
				t.Errorf("%s %s: %d %s", call.method, call.path, answer.Status, answer.Body)
			}
		}
		// Elsewhere each permission counts for itself.
		s.Do(http.MethodGet, "/api/v2/users", nil, apitest.As(s.CreateToken(0, lesser))).Want(http.StatusOK)
	})
}

func TestErrors(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := create(s, "a@example.com")
		for _, odd := range []string{"0", "-1", "x", "1x", "1.0", "me", "999", "9223372036854775808", "%00", "%ff", "+1"} {
			for _, call := range calls(odd)[2:] {
				s.Do(call.method, call.path, call.body).Want(http.StatusNotFound).Golden("not_found")
			}
		}
		for _, path := range []string{
			"/things", "/Accounts", "/relationships", "/relationships/things", "/accounts/17", "/",
		} {
			s.Do(http.MethodGet, userPath(id)+path, nil).Want(http.StatusNotFound).Golden("not_found")
		}
		for _, path := range []string{"/api/v1/", "/api/v1/accounts", "/api/v1/users/"} {
			s.Do(http.MethodGet, path, nil).Want(http.StatusNotFound).Golden("not_found")
		}

		for path, allowed := range map[string]string{
			users:                      "GET, HEAD, OPTIONS, POST",
			userPath(id):               "DELETE, GET, HEAD, OPTIONS, PUT",
			userPath(id) + "/accounts": "GET, HEAD, OPTIONS",
		} {
			answer := s.Do(http.MethodPatch, path, `{}`).Want(http.StatusMethodNotAllowed)
			got := strings.Split(answer.Header.Get("Allow"), ", ")
			slices.Sort(got)
			if strings.Join(got, ", ") != allowed || answer.Object()["exception"] != "MethodNotAllowedHttpException" {
				t.Errorf("%s: %v %s", path, got, answer.Body)
			}
		}

		s.Do(http.MethodPut, userPath(id), `{"email":"`+strings.Repeat("x", 1<<20)+`"}`).
			Want(http.StatusRequestEntityTooLarge).Golden("too_large")
		s.Do(http.MethodPut, userPath(id), `<user/>`, contentType("text/xml")).
			Want(http.StatusUnsupportedMediaType).Golden("unsupported_media_type")
		s.Do(http.MethodPost, users, object{"email": "A@example.com", "blocked": 0}).
			Want(http.StatusUnprocessableEntity).Golden("email_taken")

		list := s.CreateToken(0, apitest.AllPermissions(), object{"ipWhitelist": []string{"192.0.2.1"}})
		s.Do(http.MethodGet, users, nil, apitest.As(list)).Want(http.StatusUnauthorized).Golden("address_not_allowed")
		twice := func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+apitest.AdminToken) }
		s.Do(http.MethodGet, users, nil, twice).Want(http.StatusUnprocessableEntity)
	})
}

// TestDatabaseGone checks that an error of the server has a status of 500 or more and
// does not reveal its cause.
func TestDatabaseGone(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := create(s, "a@example.com")
		if err := s.Store.Close(); err != nil {
			t.Fatal(err)
		}
		for _, call := range calls(id) {
			answer := s.Do(call.method, call.path, call.body)
			if answer.Status < 500 || strings.Contains(string(answer.Body), "sql") {
				t.Errorf("%s %s: %d %s", call.method, call.path, answer.Status, answer.Body)
			}
		}
		if fmt.Sprint(s.Log) == "" {
			t.Error("nothing is logged")
		}
	})
}
