package backoffice_test

import (
	"encoding/json"
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

const (
	signin  = "/api/v2/signin"
	confirm = "/api/v2/2fa/confirm"
	refresh = "/api/v2/refresh"
	signout = "/api/v2/signout"
	me      = "/api/v2/users/me"

	password = "MySecret123"
)

// noToken sends no credential, from an address.
func noToken(address string) apitest.Option {
	return func(r *http.Request) {
		apitest.As("")(r)
		apitest.From(address)(r)
	}
}

func credentials(email, password string) changes {
	return changes{"email": email, "password": password}
}

type pair struct {
	AccessToken, RefreshToken struct {
		Token                string
		CreatedAt, ExpiresAt time.Time
	}
}

type challenge struct {
	Required bool `json:"2faRequired"`
	Details  struct {
		Token, Provider string
		ExpiresAt       time.Time
	} `json:"2faDetails"`
}

func signIn(t *testing.T, s *apitest.Server, email, password string) pair {
	t.Helper()
	var p pair
	s.Do(http.MethodPost, signin, credentials(email, password), noToken("192.0.2.1")).Want(http.StatusOK).Decode(&p)
	if p.AccessToken.Token == "" {
		t.Fatal("no access token")
	}
	return p
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("Mary@example.com", changes{"groups": []int{1}})
		answer := s.Do(http.MethodPost, signin, credentials("mary@EXAMPLE.com", password), noToken("192.0.2.1")).Want(http.StatusOK)
		shape := regexp.MustCompile(`^{"2faRequired":false,"accessToken":{"token":"rst_[\w-]{48}","createdAt":"2026-11-22T12:00:00\+00:00",` +
			`"expiresAt":"2026-11-22T13:00:00\+00:00"},"refreshToken":{"token":"rst_[\w-]{48}","createdAt":"2026-11-22T12:00:00\+00:00",` +
			`"expiresAt":"2026-12-22T12:00:00\+00:00"}}\n$`)
		if !shape.Match(answer.Body) {
			t.Errorf("%s", answer.Body)
		}
		if got := answer.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control: %s", got)
		}
		var p pair
		answer.Decode(&p)
		user := s.Do(http.MethodGet, me, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusOK).Object()
		if user["id"] != float64(id) || user["lastSigninTime"] != "2026-11-22T12:00:00+00:00" || user["version"] != 1.0 || user["updateTime"] != nil {
			t.Errorf("%v", user)
		}
		// A session may do what its user may.
		s.Do(http.MethodPost, users, apitest.NewUser("new@example.com"), apitest.As(p.AccessToken.Token)).Want(http.StatusCreated)
		// Its tokens are no service tokens.
		if total := s.Do(http.MethodGet, tokens, nil).Object()["total"]; total != 1.0 {
			t.Errorf("%v service tokens", total)
		}
		s.Do(http.MethodGet, tokens+"/2", nil).WantProblem(http.StatusNotFound, "not_found")
		s.Do(http.MethodDelete, tokens+"/2", nil).WantProblem(http.StatusNotFound, "not_found")
		s.Do(http.MethodGet, me, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusOK)
	})
}

func TestAccessTokenExpires(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		p := signIn(t, s, "mary@example.com", password)
		s.Clock.Advance(time.Hour - time.Second)
		s.Do(http.MethodGet, me, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusOK)
		s.Clock.Advance(time.Second)
		s.Do(http.MethodGet, me, nil, apitest.As(p.AccessToken.Token)).WantProblem(http.StatusUnauthorized, "invalid_token")
		// A refresh token is for refreshing only, and an access token is not.
		s.Do(http.MethodGet, me, nil, apitest.As(p.RefreshToken.Token)).WantProblem(http.StatusUnauthorized, "invalid_token")
		s.Do(http.MethodPost, refresh, changes{"refreshToken": p.AccessToken.Token}, apitest.As("")).WantProblem(http.StatusUnauthorized, "invalid_token")
		s.Clock.Advance(30*24*time.Hour - time.Hour)
		s.Do(http.MethodPost, refresh, changes{"refreshToken": p.RefreshToken.Token}, apitest.As("")).WantProblem(http.StatusUnauthorized, "invalid_token")
	})
}

// TestSameRefusal: whatever is wrong, the answer is the same.
func TestSameRefusal(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("active@example.com")
		s.CreateUser("inactive@example.com", changes{"active": false})
		s.CreateUser("elsewhere@example.com", changes{"ipWhitelist": []string{"203.0.113.1"}})
		id := regexp.MustCompile(`"requestId":"[^"]*"`)
		want := ""
		for i, c := range []changes{
			credentials("active@example.com", "MySecret1234"), credentials("active@example.com", "mysecret123"),
			credentials("active@example.com", ""), credentials("active@example.com", strings.Repeat("MySecret9", 20)),
			credentials("nobody@example.com", password), credentials("inactive@example.com", password),
			credentials("inactive@example.com", "MySecret1234"), credentials("elsewhere@example.com", "MySecret1234"),
			credentials("not an address", password), credentials("", password), credentials(strings.Repeat("a",
				15_000)+"@example.com", password),
		} {
			answer := s.Do(http.MethodPost, signin, c, noToken(fmt.Sprintf("192.0.2.%d", i+1))).
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

func TestSignInBodies(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, call := range []struct {
			path   string
			fields []string
		}{
			{signin, []string{"email", "password"}},
			{confirm, []string{"token", "code"}},
			{refresh, []string{"refreshToken"}},
			{"/api/v2/password/forgot", []string{"email"}},
			{"/api/v2/password/reset", []string{"token", "password"}},
		} {
			s.Do(http.MethodPost, call.path, changes{}, apitest.As("")).WantProblem(http.StatusBadRequest, "validation_failed", call.fields...)
			wrong := changes{"unknown": 1}
			for _, field := range call.fields {
				wrong[field] = 7
			}
			s.Do(http.MethodPost, call.path, wrong, apitest.As("")).WantProblem(http.StatusBadRequest, "validation_failed", append(call.fields, "unknown")...)
			s.Do(http.MethodPost, call.path, "{", apitest.As("")).WantProblem(http.StatusBadRequest, "malformed_json")
			s.Do(http.MethodPost, call.path, changes{}, apitest.As(""), apitest.Header("Content-Type", "text/plain")).Want(http.StatusUnsupportedMediaType)
			s.Do(http.MethodGet, call.path, nil, apitest.As("")).Want(http.StatusMethodNotAllowed)
		}
	})
}

func TestAllowListAtSignIn(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com", changes{"ipWhitelist": []string{"192.0.2.0/24"}})
		s.Do(http.MethodPost, signin, credentials("mary@example.com", password), noToken("203.0.113.9")).
			WantProblem(http.StatusForbidden, "ip_not_allowed")
		p := signIn(t, s, "mary@example.com", password)
		as := apitest.As(p.AccessToken.Token)
		s.Do(http.MethodGet, me, nil, as, apitest.From("192.0.2.200")).Want(http.StatusOK)
		s.Do(http.MethodGet, me, nil, as, apitest.From("203.0.113.9")).WantProblem(http.StatusForbidden, "ip_not_allowed")
		// Refused from there, the refresh token is not used up.
		s.Do(http.MethodPost, refresh, changes{"refreshToken": p.RefreshToken.Token}, noToken("203.0.113.9")).
			WantProblem(http.StatusForbidden, "ip_not_allowed")
		s.Do(http.MethodPost, refresh, changes{"refreshToken": p.RefreshToken.Token}, noToken("192.0.2.9")).Want(http.StatusOK)
		// The list changes, and the next request goes by it.
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"ipWhitelist": []string{"203.0.113.9"}}).Want(http.StatusOK)
		s.Do(http.MethodGet, me, nil, as, apitest.From("192.0.2.200")).WantProblem(http.StatusForbidden, "ip_not_allowed")
		s.Do(http.MethodGet, me, nil, as, apitest.From("203.0.113.9")).Want(http.StatusOK)
	})
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		first := signIn(t, s, "mary@example.com", password)
		other := signIn(t, s, "mary@example.com", password)
		s.Clock.Advance(2 * time.Hour)
		var second pair
		answer := s.Do(http.MethodPost, refresh, changes{"refreshToken": first.RefreshToken.Token}, apitest.As("")).Want(http.StatusOK)
		answer.Decode(&second)
		if answer.Object()["2faRequired"] != nil || second.AccessToken.Token == first.AccessToken.Token ||
			!second.RefreshToken.ExpiresAt.Equal(s.Clock.Now().Add(30*24*time.Hour-2*time.Hour)) { // of the sign-in
			t.Errorf("%s", answer.Body)
		}
		s.Do(http.MethodGet, me, nil, apitest.As(second.AccessToken.Token)).Want(http.StatusOK)

		// The old one again: someone has stolen one of the two. The family goes, the other session stays.
		s.Do(http.MethodPost, refresh, changes{"refreshToken": first.RefreshToken.Token}, apitest.As("")).WantProblem(http.StatusUnauthorized, "invalid_token")
		s.Do(http.MethodGet, me, nil, apitest.As(second.AccessToken.Token)).WantProblem(http.StatusUnauthorized, "invalid_token")
		s.Do(http.MethodPost, refresh, changes{"refreshToken": second.RefreshToken.Token}, apitest.As("")).WantProblem(http.StatusUnauthorized, "invalid_token")
		s.Do(http.MethodPost, refresh, changes{"refreshToken": other.RefreshToken.Token}, apitest.As("")).Want(http.StatusOK)
		s.Do(http.MethodPost, refresh, changes{"refreshToken": "nonsense"}, apitest.As("")).WantProblem(http.StatusUnauthorized, "invalid_token")
		wantEvents(t, s, "filter[type]=USER_SESSION_REVOKED", "USER_SESSION_REVOKED refresh_token_reused")
	})
}

// TestOneRefreshWins: of many uses of a refresh token at once, on two instances,
// one gets the next pair, and as the others show that two have it, nobody keeps it.
func TestOneRefreshWins(t *testing.T) {
	t.Parallel()
	twoInstances(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com")
		for range 10 {
			p := signIn(t, s[0], "mary@example.com", password)
			got := together(8, func(i int) *apitest.Answer {
				return s[i%2].Do(http.MethodPost, refresh, changes{"refreshToken": p.RefreshToken.Token}, apitest.As(""))
			})
			if got[http.StatusOK] != 1 || got[http.StatusUnauthorized] != 7 {
				t.Errorf("%v", got)
			}
			for i := range s {
				s[i].Do(http.MethodGet, me, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusUnauthorized)
			}
		}
	})
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	twoInstances(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com")
		p, other := signIn(t, s[0], "mary@example.com", password), signIn(t, s[1], "mary@example.com", password)
		for i := range s {
			s[i].Do(http.MethodGet, me, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusOK) // known to both
		}
		s[0].Do(http.MethodPost, signout, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusNoContent)
		for i := range s {
			s[i].Do(http.MethodGet, me, nil, apitest.As(p.AccessToken.Token)).WantProblem(http.StatusUnauthorized, "invalid_token")
			s[i].Do(http.MethodPost, refresh, changes{"refreshToken": p.RefreshToken.Token}, apitest.As("")).Want(http.StatusUnauthorized)
			s[i].Do(http.MethodGet, me, nil, apitest.As(other.AccessToken.Token)).Want(http.StatusOK)
		}
		s[0].Do(http.MethodPost, signout, nil, apitest.As(p.AccessToken.Token)).WantProblem(http.StatusUnauthorized, "invalid_token")
		s[0].Do(http.MethodPost, signout, nil).WantProblem(http.StatusConflict, "no_session")
	})
}

// TestAccessEndsAtOnce: what takes a right away holds for the very next request
// on each instance, whatever that instance remembers.
func TestAccessEndsAtOnce(t *testing.T) {
	t.Parallel()
	twoInstances(t, func(t *testing.T, s [2]*apitest.Server) {
		group := s[0].CreateGroup("Support", "users.view")
		for round := range 10 {
			changer, other := s[round%2], s[(round+1)%2]
			for name, step := range map[string]struct {
				take func(id int64)
				want int
			}{
				"inactive": {func(id int64) { changer.Do(http.MethodPatch, apitest.UserPath(id), changes{"active": false}).Want(200) }, 401},
				"deleted":  {func(id int64) { changer.Do(http.MethodDelete, apitest.UserPath(id), nil).Want(204) }, 401},
				"elsewhere": {func(id int64) {
					changer.Do(http.MethodPatch, apitest.UserPath(id), changes{"ipWhitelist": []string{"203.0.113.1"}}).Want(200)
				}, 403},
				"no group": {func(id int64) {
					changer.Do(http.MethodPatch, apitest.UserPath(id), changes{"groups": []int{}}).Want(200)
				}, 403},
				"password": {func(id int64) {
					changer.Do(http.MethodPatch, apitest.UserPath(id), changes{"password": "OtherSecret123"}).Want(200)
				}, 401},
			} {
				email := strings.ReplaceAll(name, " ", "") + strconv.Itoa(round) + "@example.com"
				id := changer.CreateUser(email, changes{"groups": []int64{group}})
				as := apitest.As(signIn(t, changer, email, password).AccessToken.Token)
				for range 3 {
					changer.Do(http.MethodGet, users, nil, as).Want(http.StatusOK)
					other.Do(http.MethodGet, users, nil, as).Want(http.StatusOK)
				}
				step.take(id)
				if got := other.Do(http.MethodGet, users, nil, as).Status; got != step.want {
					t.Errorf("%s, the other instance: %d, want %d", name, got, step.want)
				}
				if got := changer.Do(http.MethodGet, users, nil, as).Status; got != step.want {
					t.Errorf("%s: %d, want %d", name, got, step.want)
				}
			}
			// A group that loses a permission takes it from its members.
			s[0].Do(http.MethodPatch, fmt.Sprintf("%s/%d", groups, group), changes{"permissions": []string{"users.view"}}).Want(200)
			email := fmt.Sprintf("member%d@example.com", round)
			changer.CreateUser(email, changes{"groups": []int64{group}})
			as := apitest.As(signIn(t, other, email, password).AccessToken.Token)
			changer.Do(http.MethodGet, users, nil, as).Want(http.StatusOK)
			other.Do(http.MethodGet, users, nil, as).Want(http.StatusOK)
			changer.Do(http.MethodPatch, fmt.Sprintf("%s/%d", groups, group), changes{"permissions": []string{}}).Want(200)
			other.Do(http.MethodGet, users, nil, as).WantProblem(http.StatusForbidden, "permission_denied")
			changer.Do(http.MethodGet, users, nil, as).WantProblem(http.StatusForbidden, "permission_denied")
			s[0].Do(http.MethodPatch, fmt.Sprintf("%s/%d", groups, group), changes{"permissions": []string{"users.view"}}).Want(200)
		}
	})
}

// TestReactivation: who is let in again has to sign in again.
func TestReactivation(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com")
		p := signIn(t, s, "mary@example.com", password)
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"active": false}).Want(http.StatusOK)
		s.Do(http.MethodPost, refresh, changes{"refreshToken": p.RefreshToken.Token}, apitest.As("")).Want(http.StatusUnauthorized)
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"active": true}).Want(http.StatusOK)
		s.Do(http.MethodGet, me, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusUnauthorized)
		s.Do(http.MethodPost, refresh, changes{"refreshToken": p.RefreshToken.Token}, apitest.As("")).Want(http.StatusUnauthorized)
		signIn(t, s, "mary@example.com", password)
	})
}

func TestBruteForce(t *testing.T) {
	t.Parallel()
	twoInstances(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com")
		attacker, owner := noToken("198.51.100.7"), noToken("192.0.2.1")
		// In whatever spelling, on whatever instance: five in a minute.
		for i := range 5 {
			email := []string{"mary@example.com", "MARY@example.com"}[i%2]
			s[i%2].Do(http.MethodPost, signin, credentials(email, "WrongSecret1"), attacker).WantProblem(http.StatusUnauthorized, "invalid_credentials")
		}
		for i := range 4 {
			answer := s[i%2].Do(http.MethodPost, signin, credentials("mary@example.com", password), attacker).
				WantProblem(http.StatusTooManyRequests, "too_many_attempts")
			if wait, err := strconv.Atoi(answer.Header.Get("Retry-After")); err != nil || wait != 600 {
				t.Errorf("Retry-After: %s", answer.Header.Get("Retry-After"))
			}
		}
		// The owner, from elsewhere, gets in, and so does someone else from there.
		s[1].Do(http.MethodPost, signin, credentials("mary@example.com", password), owner).Want(http.StatusOK)
		s[0].CreateUser("john@example.com")
		s[1].Do(http.MethodPost, signin, credentials("john@example.com", password), attacker).Want(http.StatusOK)
		// Whether the address is anyone's makes no difference.
		for i := range 6 {
			want := http.StatusUnauthorized
			if i == 5 {
				want = http.StatusTooManyRequests
			}
			s[i%2].Do(http.MethodPost, signin, credentials("nobody@example.com", "WrongSecret1"), attacker).Want(want)
		}
		// An IPv6 host has many addresses and is one source.
		for i := range 6 {
			want := http.StatusUnauthorized
			if i == 5 {
				want = http.StatusTooManyRequests
			}
			s[i%2].Do(http.MethodPost, signin, credentials("mary@example.com", "WrongSecret1"), noToken(fmt.Sprintf("2001:db8::%d", i+1))).Want(want)
		}
		for i := range s {
			s[i].Clock.Advance(10*time.Minute - time.Second)
		}
		s[0].Do(http.MethodPost, signin, credentials("mary@example.com", password), attacker).Want(http.StatusTooManyRequests)
		for i := range s {
			s[i].Clock.Advance(time.Second)
		}
		s[1].Do(http.MethodPost, signin, credentials("mary@example.com", password), attacker).Want(http.StatusOK)
	})
}

// TestManyAddressesFromOneSource bounds one password tried on everyone.
func TestManyAddressesFromOneSource(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		for i := range 30 {
			s.Do(http.MethodPost, signin, credentials(fmt.Sprintf("u%d@example.com", i), password), noToken("198.51.100.7")).Want(http.StatusUnauthorized)
		}
		s.Do(http.MethodPost, signin, credentials("mary@example.com", password), noToken("198.51.100.7")).Want(http.StatusTooManyRequests)
		s.Do(http.MethodPost, signin, credentials("mary@example.com", password), noToken("192.0.2.1")).Want(http.StatusOK)
	})
}

// TestParallelGuesses: many guesses at once, on two instances, are no more than
// one after another; and many good ones lock nobody out.
func TestParallelGuesses(t *testing.T) {
	t.Parallel()
	twoInstances(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com")
		got := together(20, func(i int) *apitest.Answer {
			return s[i%2].Do(http.MethodPost, signin, credentials("mary@example.com", "WrongSecret1"), noToken("198.51.100.7"))
		})
		if got[http.StatusUnauthorized] > 5 || got[http.StatusUnauthorized]+got[http.StatusTooManyRequests] != 20 {
			t.Errorf("%v", got)
		}
		got = together(20, func(i int) *apitest.Answer {
			return s[i%2].Do(http.MethodPost, signin, credentials("mary@example.com", password), noToken("192.0.2.1"))
		})
		if got[http.StatusOK] == 0 || got[http.StatusOK]+got[http.StatusTooManyRequests] != 20 {
			t.Errorf("%v", got)
		}
		for range 20 {
			s[0].Do(http.MethodPost, signin, credentials("mary@example.com", password), noToken("192.0.2.1")).Want(http.StatusOK)
		}
	})
}

// TestCostUpgrade: a hash of a lower cost is replaced at the next sign-in.
func TestCostUpgrade(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com")
		dearer := s.WithPasswords(secret.NewPasswords(secret.MinCost+1, 2))
		dearer.Do(http.MethodPost, signin, credentials("mary@example.com", "WrongSecret1"), noToken("192.0.2.1")).Want(http.StatusUnauthorized)
		for step, want := range []string{"$2a$04$", "$2a$05$", "$2a$05$"} {
			hash, err := s.Store.PasswordHash(t.Context(), id)
			if err != nil || !strings.HasPrefix(hash, want) {
				t.Errorf("step %d: %.7s, %v", step, hash, err)
			}
			signIn(t, dearer, "mary@example.com", password)
		}
		if user := s.Do(http.MethodGet, apitest.UserPath(id), nil).Object(); user["version"] != 1.0 {
			t.Errorf("it shows: %v", user)
		}
	})
}

// wantEvents checks the latest events that match, each as "TYPE reason".
func wantEvents(t *testing.T, s *apitest.Server, query string, want ...string) {
	t.Helper()
	var body struct {
		Data []struct {
			Type   string
			Reason *string
		}
	}
	s.Do(http.MethodGet, events+"?"+query, nil).Want(http.StatusOK).Decode(&body)
	got := []string{}
	for _, e := range body.Data {
		text := e.Type
		if e.Reason != nil {
			text += " " + *e.Reason
		}
		got = append(got, text)
	}
	gotJSON, _ := json.Marshal(got)
	wantJSON, _ := json.Marshal(append([]string{}, want...))
	if string(gotJSON) != string(wantJSON) {
		t.Errorf("events %s: %s\nwant %s", query, gotJSON, wantJSON)
	}
}
