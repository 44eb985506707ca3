package service_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/delivery"
)

// anotherCode returns a code that differs from code.
func anotherCode(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

func TestCodeByMail(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com", changes{"tfa": true})
		from := apitest.NoToken("192.0.2.1")
		c := s.Challenge("mary@example.com", "email", from)
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(c.Details.Token)).
			WantProblem(http.StatusUnauthorized, "invalid_token")
		mail := s.Mail()
		if mail.To != "mary@example.com" || mail.Kind != delivery.MailSigninCode || len(mail.Code) != 6 ||
			!mail.ExpiresAt.Equal(c.Details.ExpiresAt) {
			t.Errorf("%+v", mail)
		}
		s.Confirm(c, anotherCode(mail.Code), from).WantProblem(http.StatusUnauthorized, "invalid_code")
		// The code belongs to its challenge.
		other := s.Challenge("mary@example.com", "email", from)
		s.Confirm(other, mail.Code, from).WantProblem(http.StatusUnauthorized, "invalid_code")
		var p apitest.Tokens
		answer := s.Confirm(c, mail.Code[:3]+" "+mail.Code[3:], from).Want(http.StatusOK)
		answer.Decode(&p)
		if object := answer.Object(); len(object) != 2 {
			t.Errorf("%s", answer.Body)
		}
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusOK)
		s.Confirm(c, mail.Code, from).WantProblem(http.StatusUnauthorized, "invalid_token")
		s.WantEvents("filter[user]=1", "USER_SIGNED_IN", "USER_FACTOR_USED email", "USER_SIGNIN_FAILED wrong_code",
			"USER_SIGNIN_CHALLENGED email", "USER_SIGNIN_FAILED wrong_code", "USER_SIGNIN_CHALLENGED email",
			"USER_CREATED")
	})
}

// TestRepeatedMailHasAnotherCode checks that the last mail counts: a code is made when its mail is
// sent, and stored nowhere.
func TestRepeatedMailHasAnotherCode(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com", changes{"tfa": true})
		from := apitest.NoToken("192.0.2.1")
		c := s.Challenge("mary@example.com", "email", from)
		s.FailMails(1)
		first := s.Mail() // delivered, though the worker sees an error
		s.Clock.Advance(time.Minute)
		second := s.Mail()
		if first.ID != second.ID {
			t.Errorf("%s and %s", first.ID, second.ID)
		}
		if first.Code != second.Code {
			s.Confirm(c, first.Code, from).WantProblem(http.StatusUnauthorized, "invalid_code")
		}
		s.Confirm(c, second.Code, from).Want(http.StatusOK)
		// Nobody is mailed a code that is of no more use.
		s.Challenge("mary@example.com", "email", from)
		s.Clock.Advance(11 * time.Minute)
		if mails := s.Mails(); len(mails) != 0 {
			t.Errorf("%+v", mails)
		}
	})
}

func TestChallengeEnds(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com", changes{"tfa": true})
		late := s.Challenge("mary@example.com", "email", apitest.NoToken("192.0.2.1"))
		code := s.Mail().Code
		s.Clock.Advance(10 * time.Minute)
		s.Confirm(late, code, apitest.NoToken("192.0.2.1")).WantProblem(http.StatusUnauthorized, "invalid_token")

		// Five wrong codes, from wherever.
		burnt := s.Challenge("mary@example.com", "email", apitest.NoToken("192.0.2.1"))
		code = s.Mail().Code
		for i := range 5 {
			s.Confirm(burnt, anotherCode(code), apitest.NoToken(fmt.Sprintf("198.51.100.%d", i))).
				WantProblem(http.StatusUnauthorized, "invalid_code")
		}
		s.Confirm(burnt, code, apitest.NoToken("192.0.2.1")).WantProblem(http.StatusUnauthorized, "invalid_token")

		// Deactivated meanwhile.
		stale := s.Challenge("mary@example.com", "email", apitest.NoToken("192.0.2.1"))
		code = s.Mail().Code
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"active": false}).Want(http.StatusOK)
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"active": true}).Want(http.StatusOK)
		s.Confirm(stale, code, apitest.NoToken("192.0.2.1")).WantProblem(http.StatusUnauthorized, "invalid_token")
		s.Do(http.MethodPost, apitest.ConfirmPath, changes{"token": "nonsense", "code": "1"},
			apitest.NoToken("192.0.2.1")).WantProblem(http.StatusUnauthorized, "invalid_token")

		// Another address than the list has.
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"ipWhitelist": []string{"192.0.2.1"}}).Want(http.StatusOK)
		c := s.Challenge("mary@example.com", "email", apitest.NoToken("192.0.2.1"))
		code = s.Mail().Code
		s.Confirm(c, code, apitest.NoToken("198.51.100.9")).WantProblem(http.StatusForbidden, "ip_not_allowed")
		s.Confirm(c, code, apitest.NoToken("192.0.2.1")).Want(http.StatusOK)
	})
}

// TestCodesAreThrottled checks that new challenges do not give new tries.
func TestCodesAreThrottled(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com", changes{"tfa": true})
		attacker := apitest.NoToken("198.51.100.7")
		tries := 0
		for i := range 10 {
			answer := s[i%2].TrySignIn("mary@example.com", apitest.Password, attacker)
			if answer.Status == http.StatusTooManyRequests {
				break
			}
			var c apitest.Challenge
			answer.Want(http.StatusOK).Decode(&c)
			for range 10 {
				answer := s[(i+1)%2].Confirm(c, "000000", attacker)
				if answer.Status == http.StatusTooManyRequests {
					break
				}
				answer.Want(http.StatusUnauthorized)
				tries++
			}
		}
		if tries > 5 {
			t.Errorf("%d tries in a minute", tries)
		}
		if mails := len(s[0].Mails()) + len(s[1].Mails()); mails > 5 {
			t.Errorf("%d mails in a minute", mails)
		}
		c := s[0].Challenge("mary@example.com", "email", apitest.NoToken("192.0.2.1"))
		s[1].Confirm(c, s[0].Mail().Code, apitest.NoToken("192.0.2.1")).Want(http.StatusOK)
	})
}

func TestAuthenticator(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com")
		p := s.SignInWith("mary@example.com", apitest.Password)
		as, from := apitest.As(p.AccessToken.Token), apitest.NoToken("192.0.2.1")
		s.Do(http.MethodPost, apitest.MePath+"/totp/confirm", changes{"code": "123456"}, as).
			WantProblem(http.StatusConflict, "totp_not_enrolled")
		s.Do(http.MethodPost, apitest.MePath+"/totp", nil, as).Want(http.StatusOK) // replaced by the next one
		app, recovery := s.Enrol(p.AccessToken.Token)
		if user := s.Do(http.MethodGet, apitest.MePath, nil, as).Object(); user["tfa"] != true {
			t.Errorf("%v", user)
		}
		s.Do(http.MethodPost, apitest.MePath+"/totp", nil, as).WantProblem(http.StatusConflict, "totp_enrolled")
		s.Do(http.MethodPost, apitest.MePath+"/totp/confirm", changes{"code": "123456"}, as).
			WantProblem(http.StatusConflict, "totp_enrolled")

		// The code that confirmed it is used up.
		c := s.Challenge("mary@example.com", "totp", from)
		s.Confirm(c, app.Code(t, s.Clock.Now()), from).WantProblem(http.StatusUnauthorized, "invalid_code")
		// The next one is good a little early, and only once.
		next := app.Code(t, s.Clock.Now().Add(30*time.Second))
		s.Confirm(c, next, from).Want(http.StatusOK)
		c = s.Challenge("mary@example.com", "totp", from)
		s.Confirm(c, next, from).WantProblem(http.StatusUnauthorized, "invalid_code")
		s.Clock.Advance(30 * time.Second)
		s.Confirm(c, next, from).WantProblem(http.StatusUnauthorized, "invalid_code")
		// Nor after the clock was set back.
		s.Clock.Advance(-time.Hour)
		c = s.Challenge("mary@example.com", "totp", apitest.NoToken("192.0.2.2"))
		s.Confirm(c, app.Code(t, s.Clock.Now()), apitest.NoToken("192.0.2.2")).
			WantProblem(http.StatusUnauthorized, "invalid_code")
		s.Clock.Advance(2 * time.Hour)
		for offset, want := range map[time.Duration]int{-time.Minute: 401, time.Minute: 401, -30 * time.Second: 200} {
			c = s.Challenge("mary@example.com", "totp", apitest.NoToken("192.0.2.3"))
			s.Confirm(c, app.Code(t, s.Clock.Now().Add(offset)), apitest.NoToken("192.0.2.3")).Want(want)
		}
		// A recovery code, however it is typed, once.
		c = s.Challenge("mary@example.com", "totp", apitest.NoToken("192.0.2.4"))
		s.Confirm(c, strings.ToUpper(strings.ReplaceAll(recovery[3], "-", " ")), apitest.NoToken("192.0.2.4")).
			Want(http.StatusOK)
		c = s.Challenge("mary@example.com", "totp", apitest.NoToken("192.0.2.4"))
		s.Confirm(c, recovery[3], apitest.NoToken("192.0.2.4")).WantProblem(http.StatusUnauthorized, "invalid_code")
		s.Confirm(c, recovery[4], apitest.NoToken("192.0.2.4")).Want(http.StatusOK)

		for _, mail := range s.Mails() {
			if mail.Kind != delivery.MailNewSource {
				t.Errorf("%+v", mail)
			}
		}
		// Reset by an administrator: codes come by mail, the recovery codes are gone.
		s.Do(http.MethodDelete, apitest.UserPath(id)+"/totp", nil).Want(http.StatusNoContent)
		s.Do(http.MethodDelete, apitest.UserPath(id)+"/totp", nil).Want(http.StatusNoContent)
		c = s.Challenge("mary@example.com", "email", apitest.NoToken("192.0.2.5"))
		s.Confirm(c, recovery[5], apitest.NoToken("192.0.2.5")).WantProblem(http.StatusUnauthorized, "invalid_code")
		s.Confirm(c, s.Mail().Code, apitest.NoToken("192.0.2.5")).Want(http.StatusOK)
		s.WantEvents("filter[type]=USER_TOTP_ENABLED", "USER_TOTP_ENABLED")
		s.WantEvents("filter[type]=USER_TOTP_RESET", "USER_TOTP_RESET")
	})
}

// TestOneCodeOneSignIn checks that a code is accepted once, for one challenge or several, on two
// instances.
func TestOneCodeOneSignIn(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com")
		app, recovery := s[0].Enrol(s[0].SignInWith("mary@example.com", apitest.Password).AccessToken.Token)
		advance := func() {
			for i := range s {
				s[i].Clock.Advance(15 * time.Minute)
			}
		}
		for round := range 6 {
			advance()
			code := app.Code(t, s[0].Clock.Now())
			if round%2 == 1 {
				code = recovery[round]
			}
			challenges := make([]apitest.Challenge, 4)
			for i := range challenges {
				challenges[i] = s[i%2].Challenge("mary@example.com", "totp",
					apitest.NoToken(fmt.Sprintf("192.0.2.%d", i+1)))
			}
			got := apitest.Together(8, func(i int) *apitest.Answer {
				return s[i%2].Confirm(challenges[i%4], code, apitest.NoToken(fmt.Sprintf("192.0.2.%d", i+10)))
			})
			if got[http.StatusOK] != 1 || got[http.StatusUnauthorized] != 7 {
				t.Errorf("round %d: %v", round, got)
			}
		}
		// A mailed code, for one challenge.
		s[0].Mails() // of new sources
		s[0].CreateUser("john@example.com", changes{"tfa": true})
		c := s[0].Challenge("john@example.com", "email", apitest.NoToken("192.0.2.1"))
		code := s[0].Mail().Code
		got := apitest.Together(8, func(i int) *apitest.Answer {
			return s[i%2].Confirm(c, code, apitest.NoToken(fmt.Sprintf("192.0.2.%d", i+10)))
		})
		if got[http.StatusOK] != 1 || got[http.StatusUnauthorized] != 7 {
			t.Errorf("%v", got)
		}
		// Wrong ones, at once: no more than five are looked at.
		c = s[0].Challenge("john@example.com", "email", apitest.NoToken("192.0.2.1"))
		wrong := anotherCode(s[0].Mail().Code)
		apitest.Together(20, func(i int) *apitest.Answer {
			return s[i%2].Confirm(c, wrong, apitest.NoToken(fmt.Sprintf("192.0.2.%d", i+10)))
		})
		var body struct{ Total int }
		s[0].Do(http.MethodGet, apitest.EventsPath+"?filter[type]=USER_SIGNIN_FAILED&filter[user]=2", nil).
			Want(http.StatusOK).Decode(&body)
		if body.Total > 5 {
			t.Errorf("%d wrong codes were looked at", body.Total)
		}
	})
}

func TestAuthenticatorRights(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		helpdesk := s.CreateGroup("Helpdesk", "users.view", "users.update")
		mary := s.CreateUser("mary@example.com", changes{"groups": []int64{1}, "canViewMaskedData": true})
		john := s.CreateUser("john@example.com", changes{"groups": []int64{helpdesk}})
		anna := s.CreateUser("anna@example.com")
		as := map[int64]apitest.Option{}
		for id, email := range map[int64]string{
			mary: "mary@example.com", john: "john@example.com",
			anna: "anna@example.com",
		} {
			p := s.SignInWith(email, apitest.Password)
			s.Enrol(p.AccessToken.Token)
			as[id] = apitest.As(p.AccessToken.Token)
		}
		path := func(id int64) string { return apitest.UserPath(id) + "/totp" }
		s.Do(http.MethodPost, path(anna), nil, as[john]).WantProblem(http.StatusForbidden, "session_required")
		s.Do(http.MethodPost, path(anna)+"/confirm", changes{"code": "1"}, as[mary]).
			WantProblem(http.StatusForbidden, "session_required")
		s.Do(http.MethodPost, apitest.MePath+"/totp", nil).WantProblem(http.StatusNotFound, "not_found")
		s.Do(http.MethodDelete, path(john), nil, as[anna]).WantProblem(http.StatusForbidden, "permission_denied")
		s.Do(http.MethodDelete, path(mary), nil, as[john]).WantProblem(http.StatusForbidden, "masked_data")
		s.Do(http.MethodDelete, path(anna), nil, as[john]).WantProblem(http.StatusForbidden, "masked_data")
		s.Do(http.MethodPatch, apitest.UserPath(john), changes{"canViewMaskedData": true}).Want(http.StatusOK)
		s.Do(http.MethodDelete, path(mary), nil, as[john]).WantProblem(http.StatusForbidden, "escalation_denied")
		s.Do(http.MethodDelete, path(anna), nil, as[john]).Want(http.StatusNoContent)
		s.Do(http.MethodDelete, apitest.MePath+"/totp", nil, as[john]).Want(http.StatusNoContent)
		s.Do(http.MethodDelete, path(999), nil).WantProblem(http.StatusNotFound, "not_found")
	})
}

// TestSixthCode checks that after five wrong codes the source has to wait and the challenge ends.
func TestSixthCode(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com", changes{"tfa": true})
		from := apitest.NoToken("192.0.2.1")
		c := s.Challenge("mary@example.com", "email", from)
		code := s.Mail().Code
		for range 5 {
			s.Confirm(c, anotherCode(code), from).WantProblem(http.StatusUnauthorized, "invalid_code")
		}
		answer := s.Confirm(c, code, from).WantProblem(http.StatusTooManyRequests, "too_many_attempts")
		if wait := answer.Header.Get("Retry-After"); wait != "600" {
			t.Errorf("Retry-After: %s", wait)
		}
		s.Confirm(c, code, apitest.NoToken("192.0.2.2")).WantProblem(http.StatusUnauthorized, "invalid_token")
		s.Clock.Advance(10 * time.Minute)
		c = s.Challenge("mary@example.com", "email", from)
		s.Confirm(c, s.Mail().Code, from).Want(http.StatusOK)
	})
}
