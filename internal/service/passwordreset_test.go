package service_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
)

// TestResetMailsDuringAnOutage checks that each repetition of a mail replaces its own link only, so
// that repetitions do not use up the limit of links.
func TestResetMailsDuringAnOutage(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		for i := range 2 {
			ask(s, "mary@example.com", fmt.Sprintf("192.0.2.%d", i))
		}
		const failures = 5
		s.FailMails(2 * failures)
		tokens := map[string][]string{} // by message
		for range failures + 1 {
			for _, mail := range s.Mails() {
				_, token, _ := strings.Cut(mail.Link, "#token=")
				tokens[mail.ID] = append(tokens[mail.ID], token)
			}
			s.Clock.Advance(10 * time.Minute)
		}
		s.Clock.Advance(-5 * time.Minute)
		if len(tokens) != 2 {
			t.Fatalf("%d mails", len(tokens))
		}
		// Others are asked for meanwhile; five are sent in an hour.
		for i := range 5 {
			ask(s, "mary@example.com", fmt.Sprintf("192.0.3.%d", i))
		}
		if mails := s.Mails(); len(mails) != 3 {
			t.Errorf("%d more mails", len(mails))
		}
		last := ""
		for id, sent := range tokens {
			if len(sent) < 3 {
				t.Errorf("mail %s was tried %d times only", id, len(sent))
			}
			for _, replaced := range sent[:len(sent)-1] {
				s.Reset(replaced, "NewSecret123").
					WantProblem(http.StatusBadRequest, "validation_failed", "token")
			}
			last = sent[len(sent)-1]
			// The link is good: it is the password that is refused.
			s.Reset(last, "mary mary mary").
				WantProblem(http.StatusBadRequest, "validation_failed", "password")
		}
		s.Reset(last, "NewSecret123").Want(http.StatusNoContent)
	})
}

// TestNewPasswordTakesWaitingMailsBack checks that a mail still in the outbox when the password
// changes brings no link and no code.
func TestNewPasswordTakesWaitingMailsBack(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com", changes{"tfa": true})
		ask := func() {
			ask(s, "MARY@example.com", "192.0.2.1")
		}
		ask()
		s.Challenge("mary@example.com", "email", apitest.NoToken("192.0.2.1"))
		messages := func() []delivery.Message {
			found, _, err := s.Service.Messages(t.Context(), identity.CommandLine(), delivery.Filter{},
				identity.Page{Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		waiting := messages()
		if len(waiting) != 2 || waiting[0].UserID != id || waiting[1].UserID != id {
			t.Fatalf("%+v", waiting)
		}
		held := make([]delivery.Message, len(waiting)) // as a worker holds them at that moment
		for i := range waiting {
			var err error
			if held[i], err = s.Store.Message(t.Context(), waiting[i].ID); err != nil {
				t.Fatal(err)
			}
		}
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"password": "NewSecret123"}).Want(http.StatusOK)
		if left := messages(); len(left) != 0 {
			t.Errorf("%+v", left)
		}
		send := s.Service.MailSender(apitest.MailFunc(func(m delivery.Mail) error {
			t.Errorf("sent: %+v", m)
			return nil
		}))
		for _, message := range held {
			if _, err := send(t.Context(), message); err != nil {
				t.Error(err)
			}
		}
		ask()
		s.Do(http.MethodDelete, apitest.UserPath(id), nil).Want(http.StatusNoContent)
		if left := messages(); len(left) != 0 {
			t.Errorf("%+v", left)
		}
	})
}

func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("Mary@example.com")
		p := s.SignInWith("mary@example.com", apitest.Password)
		token := s.ResetToken("mary@EXAMPLE.com")
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(token)).
			WantProblem(http.StatusUnauthorized, "invalid_token")
		s.Reset(token, "short").
			WantProblem(http.StatusBadRequest, "validation_failed", "password")
		other := s.ResetToken("mary@example.com")
		s.Reset(token, "NewSecret123").Want(http.StatusNoContent)

		// Once, and with it all other links, all sessions and the old password are gone.
		for _, gone := range []string{token, other, "nonsense"} {
			s.Reset(gone, "OtherSecret123").
				WantProblem(http.StatusBadRequest, "validation_failed", "token")
		}
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusUnauthorized)
		s.Refresh(p.RefreshToken.Token).Want(http.StatusUnauthorized)
		s.TrySignIn("mary@example.com", apitest.Password, apitest.NoToken("192.0.2.1")).Want(http.StatusUnauthorized)
		s.SignInWith("mary@example.com", "NewSecret123")
		user := s.Do(http.MethodGet, apitest.UserPath(id), nil).Object()
		if user["version"] != 2.0 || user["updateTime"] == nil {
			t.Errorf("%v", user)
		}

		late := s.ResetToken("mary@example.com")
		s.Clock.Advance(time.Hour)
		s.Reset(late, "OtherSecret123").Want(http.StatusBadRequest)
	})
}

// TestForgottenByNobody checks that the answer does not show whether a user exists.
func TestForgottenByNobody(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		s.CreateUser("inactive@example.com", changes{"active": false})
		var bodies []string
		for i, email := range []string{"mary@example.com", "nobody@example.com", "inactive@example.com"} {
			answer := s.Forgot(email, apitest.NoToken(fmt.Sprintf("192.0.2.%d", i+1))).Want(http.StatusAccepted)
			bodies = append(bodies, string(answer.Body))
		}
		if bodies[0] != bodies[1] || bodies[0] != bodies[2] {
			t.Errorf("%q", bodies)
		}
		if mails := s.Mails(); len(mails) != 1 || mails[0].To != "mary@example.com" {
			t.Errorf("%+v", mails)
		}
		s.Forgot("not an address").WantProblem(http.StatusBadRequest, "validation_failed", "email")

		// A link for someone who has been deactivated since is none.
		token := s.ResetToken("mary@example.com")
		s.Do(http.MethodPatch, apitest.UserPath(1), changes{"active": false}).Want(http.StatusOK)
		s.Reset(token, "NewSecret123").Want(http.StatusBadRequest)
	})
}

// TestForgottenTooOften checks the limit of mails to one user, from one source and from many.
func TestForgottenTooOften(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		for range 50 {
			s.Forgot("mary@example.com", apitest.NoToken("192.0.2.1")).Want(http.StatusAccepted)
		}
		if mails := s.Mails(); len(mails) != 5 {
			t.Errorf("%d mails", len(mails))
		}
		s.Clock.Advance(time.Hour)
		for i := range 20 {
			s.Forgot("mary@example.com", apitest.NoToken(fmt.Sprintf("198.51.100.%d", i))).Want(http.StatusAccepted)
		}
		if mails := s.Mails(); len(mails) != 5 {
			t.Errorf("%d mails", len(mails))
		}
		s.Clock.Advance(time.Hour)
		s.ResetToken("mary@example.com")
	})
}

func TestOneResetWins(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com")
		token := s[0].ResetToken("mary@example.com")
		got := apitest.Together(6, func(i int) *apitest.Answer {
			return s[i%2].Reset(token, fmt.Sprintf("NewSecret%d", i))
		})
		if got[http.StatusNoContent] != 1 || got[http.StatusBadRequest] != 5 {
			t.Errorf("%v", got)
		}
	})
}
