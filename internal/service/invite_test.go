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

const week = 7 * 24 * time.Hour

// invitee creates a user who is invited and returns the id and the token in the mail.
func invitee(t *testing.T, s *apitest.Server, email string, change changes) (int64, string) {
	t.Helper()
	body := apitest.NewUser(email, changes{"invite": true, "password": apitest.Absent}, change)
	id := s.Do(http.MethodPost, apitest.UsersPath, body).Want(http.StatusCreated).ID()
	return id, invitation(t, s)
}

// invitation returns the token of the only mail, which is an invitation.
func invitation(t *testing.T, s *apitest.Server) string {
	t.Helper()
	mail := s.Mail()
	link, token, _ := strings.Cut(mail.Link, "#token=")
	if mail.Kind != delivery.MailInvitation || link != apitest.BaseURL+"/password/reset" ||
		!mail.ExpiresAt.Equal(s.Clock.Now().Add(week)) || token == "" {
		t.Fatalf("%+v", mail)
	}
	return token
}

func invitePath(id int64) string { return apitest.UserPath(id) + "/invite" }

func wantVoid(s *apitest.Server, token string) {
	s.Reset(token, "OtherSecret123").WantProblem(http.StatusBadRequest, "validation_failed", "token")
}

// TestInvitation lets an invited user choose the password, once, and sign in.
func TestInvitation(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id, token := invitee(t, s, "mary@example.com", changes{"sendNotify": true})
		s.TrySignIn("mary@example.com", "", apitest.From("192.0.2.1")).Want(http.StatusUnauthorized)
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(token)).Want(http.StatusUnauthorized)
		s.Clock.Advance(week - time.Minute)
		s.Reset(token, "short").WantProblem(http.StatusBadRequest, "validation_failed", "password")
		s.Reset(token, "NewSecret123").Want(http.StatusNoContent)
		wantVoid(s, token)
		s.SignInWith("mary@example.com", "NewSecret123")
		s.Do(http.MethodPost, invitePath(id), nil).WantProblem(http.StatusConflict, "has_signed_in")
		s.WantEvents(fmt.Sprintf("filter[user]=%d&filter[type]=USER_INVITED", id), "USER_INVITED")

		for _, test := range []struct {
			change changes
			field  string
		}{
			{changes{"invite": true}, "password"},
			{changes{"invite": true, "password": apitest.Absent, "active": false}, "active"},
			{changes{"invite": false, "password": apitest.Absent}, "password"},
			{changes{"password": apitest.Absent}, "password"},
		} {
			s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("ann@example.com", test.change)).
				WantProblem(http.StatusBadRequest, "validation_failed", test.field)
		}
		s.Do(http.MethodPost, invitePath(99), nil).Want(http.StatusNotFound)
		if mails := s.Mails(); len(mails) != 0 {
			t.Errorf("%+v", mails)
		}
	})
}

// TestInvitationNamesTheInviter names a person who invites, never an address, and no service.
func TestInvitationNamesTheInviter(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id, _ := invitee(t, s, "mary@example.com", nil)
		s.CreateUser("jane@example.com", changes{"groups": []int{1}, "canViewMaskedData": true, "name": "Jane Doe"})
		s.CreateUser("kim@example.com", changes{"groups": []int{1}, "canViewMaskedData": true, "name": "kim@example.com"})
		for email, want := range map[string]string{"jane@example.com": "Jane Doe", "kim@example.com": "k***@example.com"} {
			s.Do(http.MethodPost, invitePath(id), nil, apitest.As(s.SignIn(email))).Want(http.StatusAccepted)
			if mail := s.Mail(); mail.Inviter != want || mail.To != "mary@example.com" {
				t.Errorf("%+v", mail)
			}
		}
		s.Do(http.MethodPost, invitePath(id), nil).Want(http.StatusAccepted)
		if mail := s.Mail(); mail.Inviter != "" {
			t.Errorf("%+v", mail)
		}
	})
}

// TestInvitationEnds lists what makes an invitation void, and what does not.
func TestInvitationEnds(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		patch := func(change changes) func(int64) {
			return func(id int64) { s.Do(http.MethodPatch, apitest.UserPath(id), change).Want(http.StatusOK) }
		}
		i := 0
		for name, test := range map[string]struct {
			do   func(id int64)
			void bool
		}{
			"a week":           {func(int64) { s.Clock.Advance(week) }, true},
			"another address":  {patch(changes{"email": "moved@example.com"}), true},
			"back again":       {func(id int64) { patch(changes{"active": false})(id); patch(changes{"active": true})(id) }, true},
			"a typed password": {patch(changes{"password": "TypedSecret123"}), true},
			"deletion": {func(id int64) {
				s.Do(http.MethodDelete, apitest.UserPath(id), nil).Want(http.StatusNoContent)
			}, true},
			"another invitation": {func(id int64) {
				s.Do(http.MethodPost, invitePath(id), nil).Want(http.StatusAccepted)
			}, true},
			"a reset link": {func(int64) {
				s.Reset(s.ResetToken(fmt.Sprintf("u%d@example.com", i)), "ResetSecret123").Want(http.StatusNoContent)
			}, true},
			"a second factor":  {patch(changes{"tfa": true}), false},
			"another name":     {patch(changes{"name": "Ann", "groups": []int{1}}), false},
			"the same address": {patch(changes{"email": ""}), false},
			"ended sessions": {func(id int64) {
				s.Do(http.MethodDelete, apitest.UserPath(id)+"/sessions", nil).Want(http.StatusNoContent)
			}, false},
		} {
			i++
			email := fmt.Sprintf("u%d@example.com", i)
			id, token := invitee(t, s, email, nil)
			if name == "the same address" {
				patch(changes{"email": email, "active": true})(id)
			} else {
				test.do(id)
			}
			answer := s.Reset(token, "NewSecret123")
			if void := answer.Status == http.StatusBadRequest; void != test.void {
				t.Errorf("%s: %d %s", name, answer.Status, answer.Body)
			}
			s.Mails()
		}
	})
}

// TestWaitingInvitationIsTakenBack mails nothing that is void by the time of sending, also if
// a worker holds the message already.
func TestWaitingInvitationIsTakenBack(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for i, change := range []changes{
			{"email": "moved@example.com"}, {"active": false}, {"password": "TypedSecret123"},
		} {
			id := s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser(fmt.Sprintf("u%d@example.com", i),
				changes{"invite": true, "password": apitest.Absent})).Want(http.StatusCreated).ID()
			waiting, _, err := s.Service.Messages(t.Context(), identity.CommandLine(), delivery.Filter{},
				identity.Page{Limit: 10})
			if err != nil || len(waiting) != 1 {
				t.Fatalf("%+v %v", waiting, err)
			}
			held, err := s.Store.Message(t.Context(), waiting[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			s.Do(http.MethodPatch, apitest.UserPath(id), change).Want(http.StatusOK)
			send := s.Service.MailSender(apitest.MailFunc(func(m delivery.Mail) error {
				t.Errorf("%v: sent: %+v", change, m)
				return nil
			}))
			if _, err := send(t.Context(), held); err != nil {
				t.Error(err)
			}
			if mails := s.Mails(); len(mails) != 0 {
				t.Errorf("%v: %+v", change, mails)
			}
		}
	})
}

// TestLateInvitationEndsInTime does not prolong an invitation whose mail is tried again.
func TestLateInvitationEndsInTime(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		end := s.Clock.Now().Add(week)
		s.FailMails(1)
		s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("mary@example.com",
			changes{"invite": true, "password": apitest.Absent})).Want(http.StatusCreated)
		_, first, _ := strings.Cut(s.Mail().Link, "#token=")
		s.Clock.Advance(24 * time.Hour)
		again := s.Mail()
		if _, token, _ := strings.Cut(again.Link, "#token="); token == first || !again.ExpiresAt.Equal(end) {
			t.Errorf("%+v", again)
		}
		wantVoid(s, first)
	})
}

// TestInvitationIsUsedOnce lets one of several at once choose the password.
func TestInvitationIsUsedOnce(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, token := invitee(t, s, "mary@example.com", nil)
		counts := apitest.Together(4, func(i int) *apitest.Answer {
			return s.Reset(token, fmt.Sprintf("NewSecret%d23", i))
		})
		if counts[http.StatusNoContent] != 1 || counts[http.StatusBadRequest] != 3 {
			t.Errorf("%v", counts)
		}
	})
}

// TestInvitationsAtOnce leaves one valid link, however many invite, and bounds them.
func TestInvitationsAtOnce(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id, first := invitee(t, s, "mary@example.com", nil)
		counts := apitest.Together(8, func(int) *apitest.Answer { return s.Do(http.MethodPost, invitePath(id), nil) })
		if counts[http.StatusAccepted] != 5 || counts[http.StatusTooManyRequests] != 3 {
			// A try that is under way counts too; what it leaves free can be used.
			for counts[http.StatusAccepted] < 5 {
				s.Do(http.MethodPost, invitePath(id), nil).Want(http.StatusAccepted)
				counts[http.StatusAccepted]++
			}
		}
		s.Do(http.MethodPost, invitePath(id), nil).WantProblem(http.StatusTooManyRequests, "too_many_attempts")
		wantVoid(s, first)
		mails := s.Mails()
		if len(mails) != 1 { // those before it are taken back
			t.Fatalf("%+v", mails)
		}
		_, token, _ := strings.Cut(mails[0].Link, "#token=")
		s.Clock.Advance(24 * time.Hour)
		s.Do(http.MethodPost, invitePath(id), nil).Want(http.StatusAccepted)
		wantVoid(s, token)
		s.Reset(invitation(t, s), "NewSecret123").Want(http.StatusNoContent)
	})
}

// TestInvitationDoesNotSkipTheSecondFactor asks for a code after the password was chosen.
func TestInvitationDoesNotSkipTheSecondFactor(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, token := invitee(t, s, "mary@example.com", changes{"tfa": true})
		s.Reset(token, apitest.Password).Want(http.StatusNoContent)
		s.Challenge("mary@example.com", "email", apitest.NoToken("192.0.2.1"))
	})
}

// TestInvitationRights refuses callers who could not set the user's password.
func TestInvitationRights(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		strong, weak := s.CreateGroup("strong", "users.update", "tokens.manage"), s.CreateGroup("weak", "users.update")
		id, _ := invitee(t, s, "mary@example.com", changes{"groups": []int64{strong}})
		plain, _ := invitee(t, s, "ann@example.com", nil)
		inactive := s.CreateUser("off@example.com", changes{"active": false})
		masked, _ := invitee(t, s, "sees@example.com", changes{"canViewMaskedData": true})
		s.CreateUser("weak@example.com", changes{"groups": []int64{weak}, "canViewMaskedData": true})
		s.CreateUser("blind@example.com", changes{"groups": []int64{weak}})
		s.CreateUser("none@example.com")
		weakUser, blind := apitest.As(s.SignIn("weak@example.com")), apitest.As(s.SignIn("blind@example.com"))
		none := apitest.As(s.SignIn("none@example.com"))
		helper, _ := invitee(t, s, "helper@example.com", changes{"groups": []int64{weak}, "canViewMaskedData": true})
		acting := apitest.As(s.CreateToken(helper, []string{"users.update"}))

		invite := func(id int64, as apitest.Option) *apitest.Answer {
			return s.Do(http.MethodPost, invitePath(id), nil, as)
		}
		invite(id, weakUser).WantProblem(http.StatusForbidden, "escalation_denied")
		invite(plain, blind).WantProblem(http.StatusForbidden, "masked_data")
		invite(masked, blind).WantProblem(http.StatusForbidden, "masked_data")
		invite(plain, none).WantProblem(http.StatusForbidden, "permission_denied")
		invite(helper, acting).WantProblem(http.StatusForbidden, "session_required")
		invite(plain, apitest.As("")).Want(http.StatusUnauthorized)
		invite(inactive, apitest.As(apitest.AdminToken)).WantProblem(http.StatusConflict, "user_inactive")
		if mails := s.Mails(); len(mails) != 0 {
			t.Errorf("%+v", mails)
		}
		invite(plain, weakUser).Want(http.StatusAccepted) // what was refused does not count
		s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("x@example.com",
			changes{"invite": true, "password": apitest.Absent, "groups": []int64{strong}}), weakUser).
			WantProblem(http.StatusForbidden, "permission_denied")
	})
}

// TestInvitationIsCreatedOnce mails one invitation for a request that is repeated.
func TestInvitationIsCreatedOnce(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		body := apitest.NewUser("mary@example.com", changes{"invite": true, "password": apitest.Absent})
		key := apitest.Header("Idempotency-Key", "k")
		first := s.Do(http.MethodPost, apitest.UsersPath, body, key).Want(http.StatusCreated).ID()
		if again := s.Do(http.MethodPost, apitest.UsersPath, body, key).Want(http.StatusCreated).ID(); again != first {
			t.Errorf("%d, then %d", first, again)
		}
		invitation(t, s)
	})
}
