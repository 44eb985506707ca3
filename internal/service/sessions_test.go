package service_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// TestSessions checks that users see and end their own sessions, and administrators those of others.
func TestSessions(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary := s.CreateUser("mary@example.com")
		john := s.CreateUser("john@example.com")
		client := apitest.Header("User-Agent", "Browser\t1 \u202e"+strings.Repeat("x", 300))
		first := s.SignIn("mary@example.com", apitest.From("192.0.2.1"), client)
		s.Clock.Advance(time.Minute)
		second := s.SignIn("mary@example.com", apitest.From("2001:db8::1"))
		ofJohn := s.SignIn("john@example.com")
		s.Clock.Advance(time.Minute)
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(first), apitest.From("198.51.100.4")).Want(http.StatusOK)
		type session struct {
			ID                                   int64
			CreateTime, LastUsedTime, FreshUntil string
			Address, Client                      *string
			Current                              bool
		}
		list := func(path string, as apitest.Option) (sessions []session) {
			var page struct {
				Total int
				Data  []session
			}
			s.Do(http.MethodGet, path, nil, as).Want(http.StatusOK).Decode(&page)
			if page.Total != len(page.Data) {
				t.Errorf("%+v", page)
			}
			return page.Data
		}
		got := list(apitest.MePath+"/sessions", apitest.As(first))
		if len(got) != 2 || got[0].Current || !got[1].Current || *got[0].Address != "2001:db8::1" ||
			*got[1].Address != "198.51.100.4" ||
			got[1].CreateTime != "2026-11-22T12:00:00+00:00" || got[1].LastUsedTime != "2026-11-22T12:02:00+00:00" ||
			got[1].FreshUntil != "2026-11-22T12:15:00+00:00" || !strings.HasPrefix(*got[1].Client, "Browser1 xxx") ||
			len(*got[1].Client) != 200 {
			t.Errorf("%+v", got)
		}
		path := apitest.UserPath(mary) + "/sessions"
		viewer := apitest.As(s.CreateToken(0, []string{"users.view"}, changes{"canViewMaskedData": false}))
		for _, other := range list(path, viewer) { // where people come from tells of their allow-lists
			if *other.Address != "***" || other.Current {
				t.Errorf("%+v", other)
			}
		}
		s.Do(http.MethodGet, path, nil, apitest.As(ofJohn)).WantProblem(http.StatusForbidden, "permission_denied")
		one := func(id int64) string { return fmt.Sprintf("%s/%d", path, id) }
		s.Do(http.MethodDelete, one(got[0].ID), nil, apitest.As(ofJohn)).
			WantProblem(http.StatusForbidden, "permission_denied")
		s.Do(http.MethodDelete, one(got[0].ID), nil, viewer).WantProblem(http.StatusForbidden, "permission_denied")
		s.Do(http.MethodDelete, fmt.Sprintf("%s/sessions/%d", apitest.UserPath(john), got[0].ID), nil).
			WantProblem(http.StatusNotFound, "not_found")
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(second)).Want(http.StatusOK)
		s.Do(http.MethodDelete, one(got[0].ID), nil, apitest.As(first)).Want(http.StatusNoContent)
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(second)).
			WantProblem(http.StatusUnauthorized, "invalid_token")

		third := s.SignIn("mary@example.com")
		// all but the current one
		s.Do(http.MethodDelete, apitest.MePath+"/sessions", nil, apitest.As(third)).Want(http.StatusNoContent)
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(first)).
			WantProblem(http.StatusUnauthorized, "invalid_token")
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(third)).Want(http.StatusOK)
		desk := apitest.As(s.CreateToken(0, []string{"users.update"}))
		s.Do(http.MethodDelete, path, nil, desk).Want(http.StatusNoContent)
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(third)).
			WantProblem(http.StatusUnauthorized, "invalid_token")
		admin := s.CreateUser("admin@example.com", changes{"groups": []int{1}})
		s.SignIn("admin@example.com")
		s.Do(http.MethodDelete, apitest.UserPath(admin)+"/sessions", nil, desk).
			WantProblem(http.StatusForbidden, "escalation_denied")
		s.Do(http.MethodGet, apitest.UserPath(999)+"/sessions", nil).WantProblem(http.StatusNotFound, "not_found")
		s.Do(http.MethodDelete, apitest.UserPath(999)+"/sessions", nil).WantProblem(http.StatusNotFound, "not_found")
		var found struct{ Total int }
		s.Do(http.MethodGet, apitest.EventsPath+"?filter[type]=USER_SESSION_REVOKED", nil).Want(http.StatusOK).
			Decode(&found)
		if found.Total != 3 {
			t.Errorf("%d events", found.Total)
		}
	})
}

// TestSessionsEnd checks that sessions end 30 days after the sign-in, however much they are used.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		p := s.SignInWith("mary@example.com", apitest.Password)
		start := s.Clock.Now()
		for range 29 {
			s.Clock.Advance(24 * time.Hour)
			s.Refresh(p.RefreshToken.Token).Want(http.StatusOK).Decode(&p)
		}
		s.Clock.Advance(24*time.Hour - time.Minute)
		s.Refresh(p.RefreshToken.Token).Want(http.StatusOK).Decode(&p)
		if end := start.Add(30 * 24 * time.Hour); !p.AccessToken.ExpiresAt.Equal(end) ||
			!p.RefreshToken.ExpiresAt.Equal(end) {
			t.Errorf("%v", p)
		}
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusOK)
		s.Clock.Advance(time.Minute)
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(p.AccessToken.Token)).
			WantProblem(http.StatusUnauthorized, "invalid_token")
		s.Refresh(p.RefreshToken.Token).WantProblem(http.StatusUnauthorized, "invalid_token")
	})
}

// TestWhatEndsWhat checks that a new credential ends the sessions, links and challenges of the old
// one.
func TestWhatEndsWhat(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for i, change := range []changes{
			// nil: the authenticator is reset
			{"password": "NewSecret123"}, {"email": "another%d@example.com"}, {"tfa": true}, {"active": false}, nil,
		} {
			email := fmt.Sprintf("mary%d@example.com", i)
			if change["email"] != nil {
				change["email"] = fmt.Sprintf(change["email"].(string), i)
			}
			id := s.CreateUser(email)
			from := apitest.From(fmt.Sprintf("192.0.2.%d", i))
			link := s.ResetToken(email)
			first := s.SignIn(email, from)
			second := s.SignIn(email, from)
			if change == nil {
				s.Enrol(first) // which ends the other one
				s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(second)).
					WantProblem(http.StatusUnauthorized, "invalid_token")
				link = s.ResetToken(email)
				s.Do(http.MethodDelete, apitest.UserPath(id)+"/totp", nil).Want(http.StatusNoContent)
			} else {
				s.Do(http.MethodPatch, apitest.UserPath(id), change).Want(http.StatusOK)
			}
			for _, token := range []string{first, second} {
				s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(token)).
					WantProblem(http.StatusUnauthorized, "invalid_token")
			}
			s.Reset(link, "OtherSecret123").
				WantProblem(http.StatusBadRequest, "validation_failed", "token")
		}
		// One's own session goes on, and a challenge ends.
		s.CreateUser("anna@example.com", changes{"tfa": true, "groups": []int{1}, "canViewMaskedData": true})
		c := s.Challenge("anna@example.com", "email", apitest.NoToken("198.51.100.1"))
		var p apitest.Tokens
		s.Confirm(c, s.Mail().Code, apitest.NoToken("198.51.100.1")).Want(http.StatusOK).Decode(&p)
		c = s.Challenge("anna@example.com", "email", apitest.NoToken("198.51.100.1"))
		code := s.Mail().Code
		s.Do(http.MethodPatch, apitest.MePath, changes{"email": "ann@example.com"}, apitest.As(p.AccessToken.Token)).
			Want(http.StatusOK)
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusOK)
		s.Confirm(c, code, apitest.NoToken("198.51.100.1")).WantProblem(http.StatusUnauthorized, "invalid_token")
	})
}

func TestAccessTokenExpires(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		p := s.SignInWith("mary@example.com", apitest.Password)
		s.Clock.Advance(time.Hour - time.Second)
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusOK)
		s.Clock.Advance(time.Second)
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(p.AccessToken.Token)).
			WantProblem(http.StatusUnauthorized, "invalid_token")
		// A refresh token is for refreshing only, and an access token is not.
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(p.RefreshToken.Token)).
			WantProblem(http.StatusUnauthorized, "invalid_token")
		s.Refresh(p.AccessToken.Token).WantProblem(http.StatusUnauthorized, "invalid_token")
		s.Clock.Advance(30*24*time.Hour - time.Hour)
		s.Refresh(p.RefreshToken.Token).WantProblem(http.StatusUnauthorized, "invalid_token")
	})
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		first := s.SignInWith("mary@example.com", apitest.Password)
		other := s.SignInWith("mary@example.com", apitest.Password)
		s.Clock.Advance(2 * time.Hour)
		var second apitest.Tokens
		answer := s.Refresh(first.RefreshToken.Token).Want(http.StatusOK)
		answer.Decode(&second)
		if answer.Object()["2faRequired"] != nil || second.AccessToken.Token == first.AccessToken.Token ||
			!second.RefreshToken.ExpiresAt.Equal(s.Clock.Now().Add(30*24*time.Hour-2*time.Hour)) { // of the sign-in
			t.Errorf("%s", answer.Body)
		}
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(second.AccessToken.Token)).Want(http.StatusOK)

		// The old one again: someone has stolen one of the two. The family goes, the other session stays.
		s.Refresh(first.RefreshToken.Token).WantProblem(http.StatusUnauthorized, "invalid_token")
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(second.AccessToken.Token)).
			WantProblem(http.StatusUnauthorized, "invalid_token")
		s.Refresh(second.RefreshToken.Token).WantProblem(http.StatusUnauthorized, "invalid_token")
		s.Refresh(other.RefreshToken.Token).Want(http.StatusOK)
		s.Refresh("nonsense").WantProblem(http.StatusUnauthorized, "invalid_token")
		s.WantEvents("filter[type]=USER_SESSION_REVOKED", "USER_SESSION_REVOKED refresh_token_reused")
	})
}

// TestOneRefreshWins checks that one of many simultaneous uses of a refresh token succeeds, and that
// the session then ends, as the token is in two hands.
func TestOneRefreshWins(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com")
		for range 10 {
			p := s[0].SignInWith("mary@example.com", apitest.Password)
			got := apitest.Together(8, func(i int) *apitest.Answer {
				return s[i%2].Refresh(p.RefreshToken.Token)
			})
			if got[http.StatusOK] != 1 || got[http.StatusUnauthorized] != 7 {
				t.Errorf("%v", got)
			}
			for i := range s {
				s[i].Do(http.MethodGet, apitest.MePath, nil, apitest.As(p.AccessToken.Token)).
					Want(http.StatusUnauthorized)
			}
		}
	})
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com")
		p, other := s[0].SignInWith("mary@example.com", apitest.Password), s[1].SignInWith("mary@example.com",
			apitest.Password)
		for i := range s {
			// known to both
			s[i].Do(http.MethodGet, apitest.MePath, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusOK)
		}
		s[0].Do(http.MethodPost, apitest.SignOutPath, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusNoContent)
		for i := range s {
			s[i].Do(http.MethodGet, apitest.MePath, nil, apitest.As(p.AccessToken.Token)).
				WantProblem(http.StatusUnauthorized, "invalid_token")
			s[i].Refresh(p.RefreshToken.Token).Want(http.StatusUnauthorized)
			s[i].Do(http.MethodGet, apitest.MePath, nil, apitest.As(other.AccessToken.Token)).Want(http.StatusOK)
		}
		s[0].Do(http.MethodPost, apitest.SignOutPath, nil, apitest.As(p.AccessToken.Token)).
			WantProblem(http.StatusUnauthorized, "invalid_token")
		s[0].Do(http.MethodPost, apitest.SignOutPath, nil).WantProblem(http.StatusConflict, "no_session")
	})
}

// TestAccessEndsAtOnce checks that a removed right is gone at the next request on each instance,
// whatever its cache has.
func TestAccessEndsAtOnce(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		group := s[0].CreateGroup("Support", "users.view")
		for round := range 10 {
			changer, other := s[round%2], s[(round+1)%2]
			for name, step := range map[string]struct {
				take func(id int64)
				want int
			}{
				"inactive": {func(id int64) {
					changer.Do(http.MethodPatch, apitest.UserPath(id), changes{"active": false}).Want(200)
				}, 401},
				"deleted": {func(id int64) {
					changer.Do(http.MethodDelete, apitest.UserPath(id), nil).Want(204)
				}, 401},
				"elsewhere": {func(id int64) {
					changer.Do(http.MethodPatch, apitest.UserPath(id), changes{"ipWhitelist": []string{"203.0.113.1"}}).
						Want(200)
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
				as := apitest.As(changer.SignInWith(email, apitest.Password).AccessToken.Token)
				for range 3 {
					changer.Do(http.MethodGet, apitest.UsersPath, nil, as).Want(http.StatusOK)
					other.Do(http.MethodGet, apitest.UsersPath, nil, as).Want(http.StatusOK)
				}
				step.take(id)
				if got := other.Do(http.MethodGet, apitest.UsersPath, nil, as).Status; got != step.want {
					t.Errorf("%s, the other instance: %d, want %d", name, got, step.want)
				}
				if got := changer.Do(http.MethodGet, apitest.UsersPath, nil, as).Status; got != step.want {
					t.Errorf("%s: %d, want %d", name, got, step.want)
				}
			}
			// A group that loses a permission takes it from its members.
			s[0].Do(http.MethodPatch, fmt.Sprintf("%s/%d", apitest.GroupsPath, group),
				changes{"permissions": []string{"users.view"}}).Want(200)
			email := fmt.Sprintf("member%d@example.com", round)
			changer.CreateUser(email, changes{"groups": []int64{group}})
			as := apitest.As(other.SignInWith(email, apitest.Password).AccessToken.Token)
			changer.Do(http.MethodGet, apitest.UsersPath, nil, as).Want(http.StatusOK)
			other.Do(http.MethodGet, apitest.UsersPath, nil, as).Want(http.StatusOK)
			changer.Do(http.MethodPatch, fmt.Sprintf("%s/%d", apitest.GroupsPath, group),
				changes{"permissions": []string{}}).Want(200)
			other.Do(http.MethodGet, apitest.UsersPath, nil, as).WantProblem(http.StatusForbidden, "permission_denied")
			changer.Do(http.MethodGet, apitest.UsersPath, nil, as).
				WantProblem(http.StatusForbidden, "permission_denied")
			s[0].Do(http.MethodPatch, fmt.Sprintf("%s/%d", apitest.GroupsPath, group),
				changes{"permissions": []string{"users.view"}}).Want(200)
		}
	})
}
