package service_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/secret"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("Mary@example.com", changes{"groups": []int{1}})
		answer := s.TrySignIn("mary@EXAMPLE.com", apitest.Password, apitest.NoToken("192.0.2.1")).Want(http.StatusOK)
		shape := regexp.MustCompile(`^{"2faRequired":false,"accessToken":{"token":"rst_[\w-]{48}",` +
			`"createdAt":"2026-11-22T12:00:00\+00:00",` +
			`"expiresAt":"2026-11-22T13:00:00\+00:00"},"refreshToken":{"token":"rst_[\w-]{48}",` +
			`"createdAt":"2026-11-22T12:00:00\+00:00",` +
			`"expiresAt":"2026-12-22T12:00:00\+00:00"}}\n$`)
		if !shape.Match(answer.Body) {
			t.Errorf("%s", answer.Body)
		}
		if got := answer.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control: %s", got)
		}
		var p apitest.Tokens
		answer.Decode(&p)
		user := s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusOK).Object()
		if user["id"] != float64(id) || user["lastSigninTime"] != "2026-11-22T12:00:00+00:00" ||
			user["version"] != 1.0 || user["updateTime"] != nil {
			t.Errorf("%v", user)
		}
		// A session may do what its user may.
		s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("new@example.com"), apitest.As(p.AccessToken.Token)).
			Want(http.StatusCreated)
		// Its tokens are no service tokens.
		if total := s.Do(http.MethodGet, apitest.TokensPath, nil).Object()["total"]; total != 1.0 {
			t.Errorf("%v service tokens", total)
		}
		s.Do(http.MethodGet, apitest.TokensPath+"/2", nil).WantProblem(http.StatusNotFound, "not_found")
		s.Do(http.MethodDelete, apitest.TokensPath+"/2", nil).WantProblem(http.StatusNotFound, "not_found")
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusOK)
	})
}

// TestSameRefusal checks that all causes of a denial have the same answer.
func TestSameRefusal(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("active@example.com")
		s.CreateUser("inactive@example.com", changes{"active": false})
		s.CreateUser("elsewhere@example.com", changes{"ipWhitelist": []string{"203.0.113.1"}})
		id := regexp.MustCompile(`"requestId":"[^"]*"`)
		want := ""
		for i, c := range []changes{
			apitest.Credentials("active@example.com", "MySecret1234"),
			apitest.Credentials("active@example.com", "mysecret123"),
			apitest.Credentials("active@example.com", ""),
			apitest.Credentials("active@example.com", strings.Repeat("MySecret9", 20)),
			apitest.Credentials("nobody@example.com", apitest.Password),
			apitest.Credentials("inactive@example.com", apitest.Password),
			apitest.Credentials("inactive@example.com", "MySecret1234"),
			apitest.Credentials("elsewhere@example.com", "MySecret1234"),
			apitest.Credentials("not an address", apitest.Password), apitest.Credentials("", apitest.Password),
			apitest.Credentials(strings.Repeat("a",
				15_000)+"@example.com", apitest.Password),
		} {
			answer := s.Do(http.MethodPost, apitest.SignInPath, c, apitest.NoToken(fmt.Sprintf("192.0.2.%d", i+1))).
				WantProblem(http.StatusUnauthorized, "invalid_credentials")
			body := id.ReplaceAllString(string(answer.Body), "") + answer.Header.Get("Www-Authenticate")
			if want == "" {
				want = body
			}
			if body != want {
				t.Errorf("%s\nis not %s", body, want)
			}
		}
	})
}

func TestAllowListAtSignIn(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com", changes{"ipWhitelist": []string{"192.0.2.0/24"}})
		s.TrySignIn("mary@example.com", apitest.Password, apitest.NoToken("203.0.113.9")).
			WantProblem(http.StatusForbidden, "ip_not_allowed")
		p := s.SignInWith("mary@example.com", apitest.Password)
		as := apitest.As(p.AccessToken.Token)
		s.Do(http.MethodGet, apitest.MePath, nil, as, apitest.From("192.0.2.200")).Want(http.StatusOK)
		s.Do(http.MethodGet, apitest.MePath, nil, as, apitest.From("203.0.113.9")).
			WantProblem(http.StatusForbidden, "ip_not_allowed")
		// Refused from there, the refresh token is not used up.
		s.Refresh(p.RefreshToken.Token, apitest.NoToken("203.0.113.9")).
			WantProblem(http.StatusForbidden, "ip_not_allowed")
		s.Refresh(p.RefreshToken.Token, apitest.NoToken("192.0.2.9")).Want(http.StatusOK)
		// The list changes, and the next request goes by it.
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"ipWhitelist": []string{"203.0.113.9"}}).
			Want(http.StatusOK)
		s.Do(http.MethodGet, apitest.MePath, nil, as, apitest.From("192.0.2.200")).
			WantProblem(http.StatusForbidden, "ip_not_allowed")
		s.Do(http.MethodGet, apitest.MePath, nil, as, apitest.From("203.0.113.9")).Want(http.StatusOK)
	})
}

// TestReactivation checks that a reactivated user has to sign in again.
func TestReactivation(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com")
		p := s.SignInWith("mary@example.com", apitest.Password)
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"active": false}).Want(http.StatusOK)
		s.Refresh(p.RefreshToken.Token).Want(http.StatusUnauthorized)
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"active": true}).Want(http.StatusOK)
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusUnauthorized)
		s.Refresh(p.RefreshToken.Token).Want(http.StatusUnauthorized)
		s.SignInWith("mary@example.com", apitest.Password)
	})
}

func TestBruteForce(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com")
		attacker, owner := apitest.NoToken("198.51.100.7"), apitest.NoToken("192.0.2.1")
		// Five in a minute, for all spellings and on both instances.
		for i := range 5 {
			email := []string{"mary@example.com", "MARY@example.com"}[i%2]
			s[i%2].TrySignIn(email, "WrongSecret1", attacker).
				WantProblem(http.StatusUnauthorized, "invalid_credentials")
		}
		for i := range 4 {
			answer := s[i%2].TrySignIn("mary@example.com", apitest.Password, attacker).
				WantProblem(http.StatusTooManyRequests, "too_many_attempts")
			if wait, err := strconv.Atoi(answer.Header.Get("Retry-After")); err != nil || wait != 600 {
				t.Errorf("Retry-After: %s", answer.Header.Get("Retry-After"))
			}
		}
		// The owner, from elsewhere, gets in, and so does someone else from there.
		s[1].TrySignIn("mary@example.com", apitest.Password, owner).Want(http.StatusOK)
		s[0].CreateUser("john@example.com")
		s[1].TrySignIn("john@example.com", apitest.Password, attacker).Want(http.StatusOK)
		// Whether the address is anyone's makes no difference.
		for i := range 6 {
			want := http.StatusUnauthorized
			if i == 5 {
				want = http.StatusTooManyRequests
			}
			s[i%2].TrySignIn("nobody@example.com", "WrongSecret1", attacker).Want(want)
		}
		// An IPv6 host has many addresses and is one source.
		for i := range 6 {
			want := http.StatusUnauthorized
			if i == 5 {
				want = http.StatusTooManyRequests
			}
			s[i%2].TrySignIn("mary@example.com", "WrongSecret1", apitest.NoToken(fmt.Sprintf("2001:db8::%d", i+1))).
				Want(want)
		}
		for i := range s {
			s[i].Clock.Advance(10*time.Minute - time.Second)
		}
		s[0].TrySignIn("mary@example.com", apitest.Password, attacker).Want(http.StatusTooManyRequests)
		for i := range s {
			s[i].Clock.Advance(time.Second)
		}
		s[1].TrySignIn("mary@example.com", apitest.Password, attacker).Want(http.StatusOK)
	})
}

// TestManyAddressesFromOneSource checks the limit for one password tried on many addresses.
func TestManyAddressesFromOneSource(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		for i := range 30 {
			s.TrySignIn(fmt.Sprintf("u%d@example.com", i), apitest.Password, apitest.NoToken("198.51.100.7")).
				Want(http.StatusUnauthorized)
		}
		s.TrySignIn("mary@example.com", apitest.Password, apitest.NoToken("198.51.100.7")).
			Want(http.StatusTooManyRequests)
		s.TrySignIn("mary@example.com", apitest.Password, apitest.NoToken("192.0.2.1")).Want(http.StatusOK)
	})
}

// TestParallelGuesses checks that simultaneous guesses on two instances get no more tries than
// sequential ones, and that many right passwords lock no user out.
func TestParallelGuesses(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com")
		got := apitest.Together(20, func(i int) *apitest.Answer {
			return s[i%2].TrySignIn("mary@example.com", "WrongSecret1", apitest.NoToken("198.51.100.7"))
		})
		if got[http.StatusUnauthorized] > 5 || got[http.StatusUnauthorized]+got[http.StatusTooManyRequests] != 20 {
			t.Errorf("%v", got)
		}
		got = apitest.Together(20, func(i int) *apitest.Answer {
			return s[i%2].TrySignIn("mary@example.com", apitest.Password, apitest.NoToken("192.0.2.1"))
		})
		if got[http.StatusOK] == 0 || got[http.StatusOK]+got[http.StatusTooManyRequests] != 20 {
			t.Errorf("%v", got)
		}
		for range 20 {
			s[0].TrySignIn("mary@example.com", apitest.Password, apitest.NoToken("192.0.2.1")).Want(http.StatusOK)
		}
	})
}

// TestCostUpgrade checks that a hash of a lower cost is replaced at the next sign-in.
func TestCostUpgrade(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com")
		dearer := s.WithPasswords(secret.NewPasswords(secret.MinCost+1, 2))
		dearer.TrySignIn("mary@example.com", "WrongSecret1", apitest.NoToken("192.0.2.1")).Want(http.StatusUnauthorized)
		for step, want := range []string{"$2a$04$", "$2a$05$", "$2a$05$"} {
			hash, err := s.Store.PasswordHash(t.Context(), id)
			if err != nil || !strings.HasPrefix(hash, want) {
				t.Errorf("step %d: %.7s, %v", step, hash, err)
			}
			dearer.SignInWith("mary@example.com", apitest.Password)
		}
		if user := s.Do(http.MethodGet, apitest.UserPath(id), nil).Object(); user["version"] != 1.0 {
			t.Errorf("it shows: %v", user)
		}
	})
}
