package notify_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/delivery"
)

type changes = map[string]any

func TestNotifyOfCreation(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("quiet@example.com")
		s.CreateUser("silent@example.com", changes{"sendNotify": false})
		if mails := s.Mails(); len(mails) != 0 {
			t.Errorf("%+v", mails)
		}
		key := apitest.Header("Idempotency-Key", "k")
		body := apitest.NewUser("mary@example.com", changes{"sendNotify": true})
		s.Do(http.MethodPost, apitest.UsersPath, body, key).Want(http.StatusCreated)
		mail := s.Mail()
		mail.ID = ""
		want := delivery.Mail{
			Kind: delivery.MailProfileCreated, To: "mary@example.com", Name: "Mary",
			Link: apitest.BaseURL,
		}
		if diff := cmp.Diff(want, mail); diff != "" {
			t.Error(diff)
		}
		s.Do(http.MethodPost, apitest.UsersPath, body, key).Want(http.StatusCreated) // a replay
		s.Do(http.MethodPost, apitest.UsersPath, body).WantProblem(http.StatusConflict, "email_taken", "email")
		s.Do(http.MethodPost, apitest.UsersPath,
			apitest.NewUser("x@example.com", changes{"sendNotify": true, "groups": []int{99}})).
			WantProblem(http.StatusBadRequest, "validation_failed", "groups[0]")
		if mails := s.Mails(); len(mails) != 0 {
			t.Errorf("after what changed nothing: %+v", mails)
		}
	})
}

func TestNotifyOfChange(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		path := apitest.UserPath(s.CreateUser("mary@example.com"))
		for _, test := range []struct {
			change changes
			want   []string // who is told, and of what
		}{
			{changes{
				"name": "Ann", "phone": "+18043257762", "ipWhitelist": []string{"10.0.0.0/8"},
				"clientTags": []string{"x"}, "canViewMaskedData": true,
			}, nil},
			{changes{"active": true, "tfa": false, "email": "mary@example.com"}, nil}, // as it is
			{changes{"active": false}, []string{"mary@example.com: active"}},
			{changes{"tfa": true, "active": true, "name": "Mary"}, []string{"mary@example.com: tfa active"}},
			{changes{"password": "NewSecret123"}, []string{"mary@example.com: password"}},
			// another spelling is no other address
			{changes{"email": "Mary@example.com"}, []string{"Mary@example.com: email"}},
			{
				changes{"email": "ann@example.com", "tfa": false},
				[]string{"Mary@example.com: email tfa", "ann@example.com: email tfa"},
			},
		} {
			quiet := changes{}
			for field, value := range test.change {
				quiet[field] = value
			}
			test.change["sendNotify"] = true
			s.Do(http.MethodPatch, path, test.change).Want(http.StatusOK)
			var got []string
			for _, mail := range s.Mails() {
				if mail.Kind != delivery.MailAccountChanged || mail.Link != apitest.BaseURL {
					t.Errorf("%+v", mail)
				}
				got = append(got, string(mail.To)+": "+strings.Join(mail.Changed, " "))
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("%v: got %q, want %q", test.change, got, test.want)
			}
			s.Do(http.MethodPatch, path, quiet).Want(http.StatusOK)
			s.Do(http.MethodPatch, path, test.change, apitest.Header("If-Match", `"999"`)).
				WantProblem(http.StatusPreconditionFailed, "stale_version")
			// A password is always new; all else was the same already.
			if mails := s.Mails(); len(mails) != 0 {
				t.Errorf("%v: %+v", test.change, mails)
			}
		}
		// A user deleted before the mail is sent gets none.
		id := s.CreateUser("gone@example.com", changes{"sendNotify": true})
		s.Do(http.MethodDelete, apitest.UserPath(id), nil).Want(http.StatusNoContent)
		if mails := s.Mails(); len(mails) != 0 {
			t.Errorf("%+v", mails)
		}
	})
}
