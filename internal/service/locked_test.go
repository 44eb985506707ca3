package service_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// wantLocked checks whether the list of locked users is one user or nobody, and whether the state
// of that user says the same.
func wantLocked(t *testing.T, s *apitest.Server, user int64, want bool) {
	t.Helper()
	list := s.Do(http.MethodGet, apitest.UsersPath+"?filter[locked]=true", nil).Want(http.StatusOK).List()
	state := s.Do(http.MethodGet, apitest.UserPath(user)+"/signin-state", nil).Want(http.StatusOK).Object()
	if listed, locked := len(list) == 1, state["lockedUntil"] != nil; listed != want || locked != want {
		t.Errorf("listed %v, locked %v, want %v", listed, locked, want)
	}
}

// TestLockStaysWithTheAddress: a user who is locked by wrong passwords and gets another address can
// sign in, and is not listed any more. The old address stays locked, also for another user.
func TestLockStaysWithTheAddress(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary := s.CreateUser("mary@example.com")
		for range 5 {
			guess(s, "mary@example.com", "192.0.2.1").Want(http.StatusUnauthorized)
		}
		s.Do(http.MethodPatch, apitest.UserPath(mary), changes{"email": "MARY@example.com"}).Want(http.StatusOK)
		wantLocked(t, s, mary, true)
		s.Do(http.MethodPatch, apitest.UserPath(mary), changes{"email": "moved@example.com"}).Want(http.StatusOK)
		wantLocked(t, s, mary, false)
		s.SignIn("moved@example.com", apitest.NoToken("192.0.2.1"))
		s.CreateUser("mary@example.com")
		s.TrySignIn("mary@example.com", apitest.Password, apitest.NoToken("192.0.2.1")).
			WantProblem(http.StatusTooManyRequests, "too_many_attempts")
	})
}

// TestLockByCodesStaysWithTheUser: a user who is locked by wrong codes from everywhere is locked
// with another address too.
func TestLockByCodesStaysWithTheUser(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary := s.CreateUser("mary@example.com")
		s.Enrol(s.SignIn("mary@example.com"))
		for i := range 10 {
			from := apitest.NoToken(fmt.Sprintf("192.0.2.%d", i+1))
			c := s.Challenge("mary@example.com", "totp", from)
			for range 5 {
				s.Confirm(c, "xxxxxx", from).WantProblem(http.StatusUnauthorized, "invalid_code")
			}
		}
		s.Do(http.MethodPatch, apitest.UserPath(mary), changes{"email": "moved@example.com"}).Want(http.StatusOK)
		wantLocked(t, s, mary, true)
		from := apitest.NoToken("198.51.100.1")
		s.Confirm(s.Challenge("moved@example.com", "totp", from), "xxxxxx", from).
			WantProblem(http.StatusTooManyRequests, "too_many_attempts")
	})
}
