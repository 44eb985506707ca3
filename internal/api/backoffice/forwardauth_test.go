package backoffice_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

const auth = "/api/v2/auth"

func TestForwardAuth(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := s.CreateGroup("Support", "users.view", "audit.view")
		id := s.CreateUser("mary@example.com", changes{
			"name": "Märy, Ann; x=\"1\"", "groups": []int64{group}, "ipWhitelist": []string{"192.0.2.0/24"},
		})
		at := apitest.From("192.0.2.7")
		mary := apitest.As(s.SignIn("mary@example.com", at))
		// A browser wants HTML, which is no reason to keep it out.
		answer := s.Do(http.MethodGet, auth+"?permission=users.view&permission=audit.view", nil, mary, at, apitest.Header("Accept", "text/html"))
		answer.Want(http.StatusNoContent)
		for name, want := range map[string]string{
			"X-Roster-User": fmt.Sprint(id), "X-Roster-Name": "M%C3%A4ry%2C%20Ann%3B%20x=%221%22",
			"X-Roster-Groups": fmt.Sprint(group), "Cache-Control": "no-store",
		} {
			if got := answer.Header.Get(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		s.Do(http.MethodGet, auth+"?permission=users.view&permission=users.delete", nil, mary, at).WantProblem(http.StatusForbidden, "permission_denied")
		s.Do(http.MethodGet, auth, nil, mary, apitest.From("198.51.100.7")).WantProblem(http.StatusForbidden, "ip_not_allowed")
		for _, query := range []string{"?permission=", "?permission=users.viw", "?permission=users.view&permission=x", "?permissions=users.view"} {
			s.Do(http.MethodGet, auth+query, nil, mary, at).Want(http.StatusBadRequest) // which no proxy lets through
		}
		for _, token := range []string{"", "nonsense"} {
			if got := s.Do(http.MethodGet, auth, nil, apitest.As(token), at).Want(http.StatusUnauthorized).Header.Get("WWW-Authenticate"); got == "" {
				t.Errorf("%q: no challenge", token)
			}
		}
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"active": false}).Want(http.StatusOK)
		s.Do(http.MethodGet, auth, nil, mary, at).Want(http.StatusUnauthorized)
	})
}

// TestForwardAuthOfTokens checks that a token is never the user that it acts for: an
// application that goes by the user would give it all that the user may do.
func TestForwardAuthOfTokens(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com", changes{"groups": []int64{1}})
		for _, token := range []string{
			s.CreateToken(0, []string{"users.view"}, changes{"name": "billing"}),
			s.CreateToken(id, []string{"users.self", "users.view"}, changes{"name": "billing"}),
		} {
			answer := s.Do(http.MethodGet, auth+"?permission=users.view", nil, apitest.As(token)).Want(http.StatusNoContent)
			var tokenID int64
			if n, err := fmt.Sscanf(answer.Header.Get("X-Roster-User"), "token:%d", &tokenID); n != 1 || err != nil ||
				tokenID < 1 {
				t.Errorf("%v", answer.Header)
			}
			if answer.Header.Get("X-Roster-Name") != "billing" || answer.Header.Get("X-Roster-Groups") != "" {
				t.Errorf("%v", answer.Header)
			}
			s.Do(http.MethodGet, auth+"?permission=audit.view", nil, apitest.As(token)).Want(http.StatusForbidden)
		}
	})
}

// TestForwardAuthFromOutside checks that what a stranger says of its address does not
// count.
func TestForwardAuthFromOutside(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		token := s.CreateToken(0, []string{"users.view"}, changes{"ipWhitelist": []string{"192.0.2.7"}})
		from := apitest.From("192.0.2.7")
		s.Do(http.MethodGet, auth, nil, apitest.As(token), from).Want(http.StatusNoContent)
		s.Exposed().Do(http.MethodGet, auth, nil, apitest.As(token), from).WantProblem(http.StatusForbidden, "ip_not_allowed")
	})
}
