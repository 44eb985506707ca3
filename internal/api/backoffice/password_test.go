package backoffice_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/delivery"
)

const (
	forgot = "/api/v2/password/forgot"
	reset  = "/api/v2/password/reset"
)

// resetToken asks for a link and returns the token in it.
func resetToken(t *testing.T, s *apitest.Server, email string) string {
	t.Helper()
	s.Do(http.MethodPost, forgot, changes{"email": email}, noToken("192.0.2.1")).Want(http.StatusAccepted)
	mail := s.Mail()
	link, token, _ := strings.Cut(mail.Link, "#token=")
	if mail.Kind != delivery.MailPasswordReset || link != apitest.BaseURL+"/password/reset" || !mail.ExpiresAt.Equal(s.Clock.Now().Add(time.Hour)) {
		t.Fatalf("%+v", mail)
	}
	return token
}

func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("Mary@example.com")
		p := signIn(t, s, "mary@example.com", password)
		token := resetToken(t, s, "mary@EXAMPLE.com")
		s.Do(http.MethodGet, me, nil, apitest.As(token)).WantProblem(http.StatusUnauthorized, "invalid_token")
		s.Do(http.MethodPost, reset, changes{"token": token, "password": "short"}, apitest.As("")).
			WantProblem(http.StatusBadRequest, "validation_failed", "password")
		other := resetToken(t, s, "mary@example.com")
		s.Do(http.MethodPost, reset, changes{"token": token, "password": "NewSecret123"}, apitest.As("")).Want(http.StatusNoContent)

		// Once, and with it all other links, all sessions and the old password are gone.
		for _, gone := range []string{token, other, "nonsense"} {
			s.Do(http.MethodPost, reset, changes{"token": gone, "password": "OtherSecret123"}, apitest.As("")).
				WantProblem(http.StatusBadRequest, "validation_failed", "token")
		}
		s.Do(http.MethodGet, me, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusUnauthorized)
		s.Do(http.MethodPost, refresh, changes{"refreshToken": p.RefreshToken.Token}, apitest.As("")).Want(http.StatusUnauthorized)
		s.Do(http.MethodPost, signin, credentials("mary@example.com", password), noToken("192.0.2.1")).Want(http.StatusUnauthorized)
		signIn(t, s, "mary@example.com", "NewSecret123")
		user := s.Do(http.MethodGet, apitest.UserPath(id), nil).Object()
		if user["version"] != 2.0 || user["updateTime"] == nil {
			t.Errorf("%v", user)
		}

		late := resetToken(t, s, "mary@example.com")
		s.Clock.Advance(time.Hour)
		s.Do(http.MethodPost, reset, changes{"token": late, "password": "OtherSecret123"}, apitest.As("")).Want(http.StatusBadRequest)
	})
}

// TestForgottenByNobody: whether there is a user does not show.
func TestForgottenByNobody(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		s.CreateUser("inactive@example.com", changes{"active": false})
		var bodies []string
		for i, email := range []string{"mary@example.com", "nobody@example.com", "inactive@example.com"} {
			answer := s.Do(http.MethodPost, forgot, changes{"email": email}, noToken(fmt.Sprintf("192.0.2.%d", i+1))).Want(http.StatusAccepted)
			bodies = append(bodies, string(answer.Body))
		}
		if bodies[0] != bodies[1] || bodies[0] != bodies[2] {
			t.Errorf("%q", bodies)
		}
		if mails := s.Mails(); len(mails) != 1 || mails[0].To != "mary@example.com" {
			t.Errorf("%+v", mails)
		}
		s.Do(http.MethodPost, forgot, changes{"email": "not an address"}, apitest.As("")).WantProblem(http.StatusBadRequest, "validation_failed", "email")

		// A link for someone who has been deactivated since is none.
		token := resetToken(t, s, "mary@example.com")
		s.Do(http.MethodPatch, apitest.UserPath(1), changes{"active": false}).Want(http.StatusOK)
		s.Do(http.MethodPost, reset, changes{"token": token, "password": "NewSecret123"}, apitest.As("")).Want(http.StatusBadRequest)
	})
}

// TestForgottenTooOften: nobody is buried in mail, wherever it is asked for.
func TestForgottenTooOften(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		for range 50 {
			s.Do(http.MethodPost, forgot, changes{"email": "mary@example.com"}, noToken("192.0.2.1")).Want(http.StatusAccepted)
		}
		if mails := s.Mails(); len(mails) != 5 {
			t.Errorf("%d mails", len(mails))
		}
		s.Clock.Advance(time.Hour)
		for i := range 20 {
			s.Do(http.MethodPost, forgot, changes{"email": "mary@example.com"}, noToken(fmt.Sprintf("198.51.100.%d", i))).Want(http.StatusAccepted)
		}
		if mails := s.Mails(); len(mails) != 5 {
			t.Errorf("%d mails", len(mails))
		}
		s.Clock.Advance(time.Hour)
		resetToken(t, s, "mary@example.com")
	})
}

func TestOneResetWins(t *testing.T) {
	t.Parallel()
	twoInstances(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com")
		token := resetToken(t, s[0], "mary@example.com")
		got := together(6, func(i int) *apitest.Answer {
			return s[i%2].Do(http.MethodPost, reset, changes{"token": token, "password": fmt.Sprintf("NewSecret%d", i)}, apitest.As(""))
		})
		if got[http.StatusNoContent] != 1 || got[http.StatusBadRequest] != 5 {
			t.Errorf("%v", got)
		}
	})
}

func TestPasswordRules(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com")
		for _, common := range []string{"Password1", "password123", "12345678", "QWERTYUIOP", "iloveyou1"} {
			s.Do(http.MethodPost, users, apitest.NewUser("x@example.com", changes{"password": common})).
				WantProblem(http.StatusBadRequest, "validation_failed", "password")
			s.Do(http.MethodPatch, apitest.UserPath(id), changes{"password": common}).
				WantProblem(http.StatusBadRequest, "validation_failed", "password")
		}
		for i, fine := range []string{"aaaa bbbb cccc dddd", "пароль пароль", strings.Repeat("x", 72), "correct horse", "lowercaseonly"} {
			s.CreateUser(fmt.Sprintf("u%d@example.com", i), changes{"password": fine})
			signIn(t, s, fmt.Sprintf("u%d@example.com", i), fine)
		}
		// The whole password counts.
		s.Do(http.MethodPost, signin, credentials("u2@example.com", strings.Repeat("x", 71)+"y"), noToken("192.0.2.9")).Want(http.StatusUnauthorized)
		s.Do(http.MethodPost, signin, credentials("u2@example.com", strings.Repeat("x", 73)), noToken("192.0.2.9")).Want(http.StatusUnauthorized)
	})
}

// TestNewPasswordEndsOtherSessions: one's own session goes on, all others end.
func TestNewPasswordEndsOtherSessions(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com")
		mine, other := signIn(t, s, "mary@example.com", password), signIn(t, s, "mary@example.com", password)
		service := s.CreateToken(id, []string{"users.self"})
		token := resetToken(t, s, "mary@example.com")
		change := changes{"password": "NewSecret123", "currentPassword": password}
		s.Do(http.MethodPatch, me, change, apitest.As(mine.AccessToken.Token)).Want(http.StatusOK)
		s.Do(http.MethodGet, me, nil, apitest.As(mine.AccessToken.Token)).Want(http.StatusOK)
		s.Do(http.MethodGet, me, nil, apitest.As(service)).Want(http.StatusOK)
		s.Do(http.MethodGet, me, nil, apitest.As(other.AccessToken.Token)).Want(http.StatusUnauthorized)
		s.Do(http.MethodPost, refresh, changes{"refreshToken": other.RefreshToken.Token}, apitest.As("")).Want(http.StatusUnauthorized)
		s.Do(http.MethodPost, reset, changes{"token": token, "password": "OtherSecret123"}, apitest.As("")).Want(http.StatusBadRequest)
		s.Do(http.MethodPost, refresh, changes{"refreshToken": mine.RefreshToken.Token}, apitest.As("")).Want(http.StatusOK)
		// By an administrator: all end.
		mine = signIn(t, s, "mary@example.com", "NewSecret123")
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"password": "OtherSecret123"}).Want(http.StatusOK)
		s.Do(http.MethodGet, me, nil, apitest.As(mine.AccessToken.Token)).Want(http.StatusUnauthorized)
	})
}

// TestCurrentPasswordIsNotGuessed: a stolen session gives five tries.
func TestCurrentPasswordIsNotGuessed(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		p := signIn(t, s, "mary@example.com", password)
		as, from := apitest.As(p.AccessToken.Token), apitest.From("198.51.100.7")
		for i := range 5 {
			s.Do(http.MethodPatch, me, changes{"password": "NewSecret123", "currentPassword": fmt.Sprintf("WrongSecret%d", i)}, as, from).
				WantProblem(http.StatusBadRequest, "validation_failed", "currentPassword")
		}
		s.Do(http.MethodPatch, me, changes{"password": "NewSecret123", "currentPassword": password}, as, from).
			WantProblem(http.StatusTooManyRequests, "too_many_attempts")
		s.Do(http.MethodPatch, me, changes{"password": "NewSecret123", "currentPassword": password}, as, apitest.From("192.0.2.1")).Want(http.StatusOK)
	})
}
