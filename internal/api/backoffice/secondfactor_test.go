package backoffice_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image/png"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/delivery"
)

// challenged signs in someone who needs a second factor.
func challenged(t *testing.T, s *apitest.Server, email, provider string, from apitest.Option) challenge {
	t.Helper()
	var c challenge
	s.Do(http.MethodPost, signin, credentials(email, password), from).Want(http.StatusOK).Decode(&c)
	if !c.Required || c.Details.Provider != provider || !strings.HasPrefix(c.Details.Token, "rst_") ||
		!c.Details.ExpiresAt.Equal(s.Clock.Now().Add(10*time.Minute)) {
		t.Fatalf("%+v", c)
	}
	return c
}

func confirmation(c challenge, code string) changes {
	return changes{"token": c.Details.Token, "code": code}
}

// anotherCode is a code that differs from code.
func anotherCode(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

// authenticator is a user's app.
type authenticator struct{ secret string }

func (a authenticator) code(t *testing.T, at time.Time) string {
	t.Helper()
	code, err := totp.GenerateCode(a.secret, at)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// enrol gives a user an authenticator, and returns it with the recovery codes.
func enrol(t *testing.T, s *apitest.Server, accessToken string) (authenticator, []string) {
	t.Helper()
	var enrolment struct{ Secret, URI, QRPNG string }
	s.Do(http.MethodPost, me+"/totp", nil, apitest.As(accessToken)).Want(http.StatusOK).Decode(&enrolment)
	uri, err := url.Parse(enrolment.URI)
	if err != nil || uri.Scheme != "otpauth" || uri.Host != "totp" || uri.Query().Get("secret") != enrolment.Secret || uri.Query().Get("issuer") != "Roster" {
		t.Fatalf("%s, %v", enrolment.URI, err)
	}
	picture, err := base64.StdEncoding.DecodeString(enrolment.QRPNG)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(picture)); err != nil {
		t.Fatal(err)
	}
	a := authenticator{enrolment.Secret}
	var codes struct{ RecoveryCodes []string }
	s.Do(http.MethodPost, me+"/totp/confirm", changes{"code": a.code(t, s.Clock.Now())}, apitest.As(accessToken)).Want(http.StatusOK).Decode(&codes)
	if len(codes.RecoveryCodes) != 10 {
		t.Fatalf("%v", codes)
	}
	return a, codes.RecoveryCodes
}

func TestCodeByMail(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com", changes{"tfa": true})
		from := noToken("192.0.2.1")
		c := challenged(t, s, "mary@example.com", "email", from)
		s.Do(http.MethodGet, me, nil, apitest.As(c.Details.Token)).WantProblem(http.StatusUnauthorized, "invalid_token")
		mail := s.Mail()
		if mail.To != "mary@example.com" || mail.Kind != delivery.MailSigninCode || len(mail.Code) != 6 || !mail.ExpiresAt.Equal(c.Details.ExpiresAt) {
			t.Errorf("%+v", mail)
		}
		s.Do(http.MethodPost, confirm, confirmation(c, anotherCode(mail.Code)), from).WantProblem(http.StatusUnauthorized, "invalid_code")
		// The code belongs to its challenge.
		other := challenged(t, s, "mary@example.com", "email", from)
		s.Do(http.MethodPost, confirm, confirmation(other, mail.Code), from).WantProblem(http.StatusUnauthorized, "invalid_code")
		var p pair
		answer := s.Do(http.MethodPost, confirm, confirmation(c, mail.Code[:3]+" "+mail.Code[3:]), from).Want(http.StatusOK)
		answer.Decode(&p)
		if object := answer.Object(); len(object) != 2 {
			t.Errorf("%s", answer.Body)
		}
		s.Do(http.MethodGet, me, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusOK)
		s.Do(http.MethodPost, confirm, confirmation(c, mail.Code), from).WantProblem(http.StatusUnauthorized, "invalid_token")
		wantEvents(t, s, "filter[user]=1", "USER_SIGNED_IN", "USER_FACTOR_USED email", "USER_SIGNIN_FAILED wrong_code",
			"USER_SIGNIN_CHALLENGED email", "USER_SIGNIN_FAILED wrong_code", "USER_SIGNIN_CHALLENGED email", "USER_CREATED")
	})
}

// TestRepeatedMailHasAnotherCode: a code is made when its mail is sent, so that
// it is kept nowhere; the last mail counts.
func TestRepeatedMailHasAnotherCode(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com", changes{"tfa": true})
		from := noToken("192.0.2.1")
		c := challenged(t, s, "mary@example.com", "email", from)
		s.FailMails(1)
		first := s.Mail() // delivered, but nobody knows
		s.Clock.Advance(time.Minute)
		second := s.Mail()
		if first.ID != second.ID {
			t.Errorf("%s and %s", first.ID, second.ID)
		}
		if first.Code != second.Code {
			s.Do(http.MethodPost, confirm, confirmation(c, first.Code), from).WantProblem(http.StatusUnauthorized, "invalid_code")
		}
		s.Do(http.MethodPost, confirm, confirmation(c, second.Code), from).Want(http.StatusOK)
		// Nobody is mailed a code that is of no more use.
		challenged(t, s, "mary@example.com", "email", from)
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
		late := challenged(t, s, "mary@example.com", "email", noToken("192.0.2.1"))
		code := s.Mail().Code
		s.Clock.Advance(10 * time.Minute)
		s.Do(http.MethodPost, confirm, confirmation(late, code), noToken("192.0.2.1")).WantProblem(http.StatusUnauthorized, "invalid_token")

		// Five wrong codes, from wherever.
		burnt := challenged(t, s, "mary@example.com", "email", noToken("192.0.2.1"))
		code = s.Mail().Code
		for i := range 5 {
			s.Do(http.MethodPost, confirm, confirmation(burnt, anotherCode(code)), noToken(fmt.Sprintf("198.51.100.%d", i))).
				WantProblem(http.StatusUnauthorized, "invalid_code")
		}
		s.Do(http.MethodPost, confirm, confirmation(burnt, code), noToken("192.0.2.1")).WantProblem(http.StatusUnauthorized, "invalid_token")

		// Deactivated meanwhile.
		stale := challenged(t, s, "mary@example.com", "email", noToken("192.0.2.1"))
		code = s.Mail().Code
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"active": false}).Want(http.StatusOK)
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"active": true}).Want(http.StatusOK)
		s.Do(http.MethodPost, confirm, confirmation(stale, code), noToken("192.0.2.1")).WantProblem(http.StatusUnauthorized, "invalid_token")
		s.Do(http.MethodPost, confirm, changes{"token": "nonsense", "code": "1"}, noToken("192.0.2.1")).WantProblem(http.StatusUnauthorized, "invalid_token")

		// Another address than the list has.
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"ipWhitelist": []string{"192.0.2.1"}}).Want(http.StatusOK)
		c := challenged(t, s, "mary@example.com", "email", noToken("192.0.2.1"))
		code = s.Mail().Code
		s.Do(http.MethodPost, confirm, confirmation(c, code), noToken("198.51.100.9")).WantProblem(http.StatusForbidden, "ip_not_allowed")
		s.Do(http.MethodPost, confirm, confirmation(c, code), noToken("192.0.2.1")).Want(http.StatusOK)
	})
}

// TestCodesAreThrottled: new challenges do not give new tries.
func TestCodesAreThrottled(t *testing.T) {
	t.Parallel()
	twoInstances(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com", changes{"tfa": true})
		attacker := noToken("198.51.100.7")
		tries := 0
		for i := range 10 {
			answer := s[i%2].Do(http.MethodPost, signin, credentials("mary@example.com", password), attacker)
			if answer.Status == http.StatusTooManyRequests {
				break
			}
			var c challenge
			answer.Want(http.StatusOK).Decode(&c)
			for range 10 {
				answer := s[(i+1)%2].Do(http.MethodPost, confirm, confirmation(c, "000000"), attacker)
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
		c := challenged(t, s[0], "mary@example.com", "email", noToken("192.0.2.1"))
		s[1].Do(http.MethodPost, confirm, confirmation(c, s[0].Mail().Code), noToken("192.0.2.1")).Want(http.StatusOK)
	})
}

func TestAuthenticator(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com")
		p := signIn(t, s, "mary@example.com", password)
		as, from := apitest.As(p.AccessToken.Token), noToken("192.0.2.1")
		s.Do(http.MethodPost, me+"/totp/confirm", changes{"code": "123456"}, as).WantProblem(http.StatusConflict, "totp_not_enrolled")
		s.Do(http.MethodPost, me+"/totp", nil, as).Want(http.StatusOK) // replaced by the next one
		app, recovery := enrol(t, s, p.AccessToken.Token)
		if user := s.Do(http.MethodGet, me, nil, as).Object(); user["tfa"] != true {
			t.Errorf("%v", user)
		}
		s.Do(http.MethodPost, me+"/totp", nil, as).WantProblem(http.StatusConflict, "totp_enrolled")
		s.Do(http.MethodPost, me+"/totp/confirm", changes{"code": "123456"}, as).WantProblem(http.StatusConflict, "totp_enrolled")

		// The code that confirmed it is used up.
		c := challenged(t, s, "mary@example.com", "totp", from)
		s.Do(http.MethodPost, confirm, confirmation(c, app.code(t, s.Clock.Now())), from).WantProblem(http.StatusUnauthorized, "invalid_code")
		// The next one is good a little early, and only once.
		next := app.code(t, s.Clock.Now().Add(30*time.Second))
		s.Do(http.MethodPost, confirm, confirmation(c, next), from).Want(http.StatusOK)
		c = challenged(t, s, "mary@example.com", "totp", from)
		s.Do(http.MethodPost, confirm, confirmation(c, next), from).WantProblem(http.StatusUnauthorized, "invalid_code")
		s.Clock.Advance(30 * time.Second)
		s.Do(http.MethodPost, confirm, confirmation(c, next), from).WantProblem(http.StatusUnauthorized, "invalid_code")
		// Nor after the clock was set back.
		s.Clock.Advance(-time.Hour)
		c = challenged(t, s, "mary@example.com", "totp", noToken("192.0.2.2"))
		s.Do(http.MethodPost, confirm, confirmation(c, app.code(t, s.Clock.Now())), noToken("192.0.2.2")).WantProblem(http.StatusUnauthorized, "invalid_code")
		s.Clock.Advance(2 * time.Hour)
		for offset, want := range map[time.Duration]int{-time.Minute: 401, time.Minute: 401, -30 * time.Second: 200} {
			c = challenged(t, s, "mary@example.com", "totp", noToken("192.0.2.3"))
			s.Do(http.MethodPost, confirm, confirmation(c, app.code(t, s.Clock.Now().Add(offset))), noToken("192.0.2.3")).Want(want)
		}
		// A recovery code, however it is typed, once.
		c = challenged(t, s, "mary@example.com", "totp", noToken("192.0.2.4"))
		s.Do(http.MethodPost, confirm, confirmation(c, strings.ToUpper(strings.ReplaceAll(recovery[3], "-", " "))), noToken("192.0.2.4")).Want(http.StatusOK)
		c = challenged(t, s, "mary@example.com", "totp", noToken("192.0.2.4"))
		s.Do(http.MethodPost, confirm, confirmation(c, recovery[3]), noToken("192.0.2.4")).WantProblem(http.StatusUnauthorized, "invalid_code")
		s.Do(http.MethodPost, confirm, confirmation(c, recovery[4]), noToken("192.0.2.4")).Want(http.StatusOK)

		for _, mail := range s.Mails() {
			if mail.Kind != delivery.MailNewSource {
				t.Errorf("%+v", mail)
			}
		}
		// Reset by an administrator: codes come by mail, the recovery codes are gone.
		s.Do(http.MethodDelete, apitest.UserPath(id)+"/totp", nil).Want(http.StatusNoContent)
		s.Do(http.MethodDelete, apitest.UserPath(id)+"/totp", nil).Want(http.StatusNoContent)
		c = challenged(t, s, "mary@example.com", "email", noToken("192.0.2.5"))
		s.Do(http.MethodPost, confirm, confirmation(c, recovery[5]), noToken("192.0.2.5")).WantProblem(http.StatusUnauthorized, "invalid_code")
		s.Do(http.MethodPost, confirm, confirmation(c, s.Mail().Code), noToken("192.0.2.5")).Want(http.StatusOK)
		wantEvents(t, s, "filter[type]=USER_TOTP_ENABLED", "USER_TOTP_ENABLED")
		wantEvents(t, s, "filter[type]=USER_TOTP_RESET", "USER_TOTP_RESET")
	})
}

// TestOneCodeOneSignIn: a code is taken once, though it is sent many times at
// once, for one challenge or for several, to two instances.
func TestOneCodeOneSignIn(t *testing.T) {
	t.Parallel()
	twoInstances(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com")
		app, recovery := enrol(t, s[0], signIn(t, s[0], "mary@example.com", password).AccessToken.Token)
		advance := func() {
			for i := range s {
				s[i].Clock.Advance(15 * time.Minute)
			}
		}
		for round := range 6 {
			advance()
			code := app.code(t, s[0].Clock.Now())
			if round%2 == 1 {
				code = recovery[round]
			}
			challenges := make([]challenge, 4)
			for i := range challenges {
				challenges[i] = challenged(t, s[i%2], "mary@example.com", "totp", noToken(fmt.Sprintf("192.0.2.%d", i+1)))
			}
			got := together(8, func(i int) *apitest.Answer {
				return s[i%2].Do(http.MethodPost, confirm, confirmation(challenges[i%4], code), noToken(fmt.Sprintf("192.0.2.%d", i+10)))
			})
			if got[http.StatusOK] != 1 || got[http.StatusUnauthorized] != 7 {
				t.Errorf("round %d: %v", round, got)
			}
		}
		// A mailed code, for one challenge.
		s[0].Mails() // of new sources
		s[0].CreateUser("john@example.com", changes{"tfa": true})
		c := challenged(t, s[0], "john@example.com", "email", noToken("192.0.2.1"))
		code := s[0].Mail().Code
		got := together(8, func(i int) *apitest.Answer {
			return s[i%2].Do(http.MethodPost, confirm, confirmation(c, code), noToken(fmt.Sprintf("192.0.2.%d", i+10)))
		})
		if got[http.StatusOK] != 1 || got[http.StatusUnauthorized] != 7 {
			t.Errorf("%v", got)
		}
		// Wrong ones, at once: no more than five are looked at.
		c = challenged(t, s[0], "john@example.com", "email", noToken("192.0.2.1"))
		wrong := anotherCode(s[0].Mail().Code)
		together(20, func(i int) *apitest.Answer {
			return s[i%2].Do(http.MethodPost, confirm, confirmation(c, wrong), noToken(fmt.Sprintf("192.0.2.%d", i+10)))
		})
		var body struct{ Total int }
		s[0].Do(http.MethodGet, events+"?filter[type]=USER_SIGNIN_FAILED&filter[user]=2", nil).Want(http.StatusOK).Decode(&body)
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
		for id, email := range map[int64]string{mary: "mary@example.com", john: "john@example.com", anna: "anna@example.com"} {
			p := signIn(t, s, email, password)
			enrol(t, s, p.AccessToken.Token)
			as[id] = apitest.As(p.AccessToken.Token)
		}
		path := func(id int64) string { return apitest.UserPath(id) + "/totp" }
		s.Do(http.MethodPost, path(anna), nil, as[john]).WantProblem(http.StatusForbidden, "session_required")
		s.Do(http.MethodPost, path(anna)+"/confirm", changes{"code": "1"}, as[mary]).WantProblem(http.StatusForbidden, "session_required")
		s.Do(http.MethodPost, me+"/totp", nil).WantProblem(http.StatusNotFound, "not_found")
		s.Do(http.MethodDelete, path(john), nil, as[anna]).WantProblem(http.StatusForbidden, "permission_denied")
		s.Do(http.MethodDelete, path(mary), nil, as[john]).WantProblem(http.StatusForbidden, "masked_data")
		s.Do(http.MethodDelete, path(anna), nil, as[john]).WantProblem(http.StatusForbidden, "masked_data")
		s.Do(http.MethodPatch, apitest.UserPath(john), changes{"canViewMaskedData": true}).Want(http.StatusOK)
		s.Do(http.MethodDelete, path(mary), nil, as[john]).WantProblem(http.StatusForbidden, "escalation_denied")
		s.Do(http.MethodDelete, path(anna), nil, as[john]).Want(http.StatusNoContent)
		s.Do(http.MethodDelete, me+"/totp", nil, as[john]).Want(http.StatusNoContent)
		s.Do(http.MethodDelete, path(999), nil).WantProblem(http.StatusNotFound, "not_found")
	})
}

// TestSixthCode: after five wrong codes the source has to wait, and the challenge
// is over for everyone.
func TestSixthCode(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com", changes{"tfa": true})
		from := noToken("192.0.2.1")
		c := challenged(t, s, "mary@example.com", "email", from)
		code := s.Mail().Code
		for range 5 {
			s.Do(http.MethodPost, confirm, confirmation(c, anotherCode(code)), from).WantProblem(http.StatusUnauthorized, "invalid_code")
		}
		answer := s.Do(http.MethodPost, confirm, confirmation(c, code), from).WantProblem(http.StatusTooManyRequests, "too_many_attempts")
		if wait := answer.Header.Get("Retry-After"); wait != "600" {
			t.Errorf("Retry-After: %s", wait)
		}
		s.Do(http.MethodPost, confirm, confirmation(c, code), noToken("192.0.2.2")).WantProblem(http.StatusUnauthorized, "invalid_token")
		s.Clock.Advance(10 * time.Minute)
		c = challenged(t, s, "mary@example.com", "email", from)
		s.Do(http.MethodPost, confirm, confirmation(c, s.Mail().Code), from).Want(http.StatusOK)
	})
}
