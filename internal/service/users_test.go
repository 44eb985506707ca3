package service_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// TestOneMailboxHasOneUser checks that addresses are compared without regard to the spelling of the
// domain.
func TestOneMailboxHasOneUser(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const stored = "Mary@Bücher.example"
		spellings := []string{
			stored, "mary@bücher.example", "MARY@BU\u0308CHER.example", "mary@xn--bcher-kva.example",
			"mary@XN--BCHER-KVA.EXAMPLE", "mary@ｂücher.example",
		}
		id := s.CreateUser(stored)
		other := s.CreateUser("other@bücher.example")
		for i, spelling := range spellings {
			s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser(spelling)).
				WantProblem(http.StatusConflict, "email_taken", "email")
			s.Do(http.MethodPatch, apitest.UserPath(other), changes{"email": spelling}).WantProblem(http.StatusConflict,
				"email_taken", "email")
			s.Do(http.MethodPost, "/api/v1/users", changes{
				"email":   spelling,
				"blocked": false,
			}).Want(http.StatusUnprocessableEntity)
			for _, parameter := range []string{"filter[email]", "filter[q]"} {
				var found struct{ Data []struct{ ID int64 } }
				s.Do(http.MethodGet, apitest.UsersPath+"?"+parameter+"="+url.QueryEscape(spelling), nil).
					Want(http.StatusOK).Decode(&found)
				if len(found.Data) != 1 || found.Data[0].ID != id {
					t.Errorf("%s=%s: %v", parameter, spelling, found)
				}
			}
			from := apitest.NoToken(fmt.Sprintf("192.0.2.%d", i+1))
			s.TrySignIn(spelling, apitest.Password, from).Want(http.StatusOK)
			s.Forgot(spelling, from).Want(http.StatusAccepted)
			mails := s.Mails() // the first sign-in tells of no new source, the others do
			if i < 5 && (len(mails) != 1+min(i, 1) || mails[0].To != stored || mails[len(mails)-1].To != stored) {
				t.Error("not to the address as it is spelled")
			}
		}
		if got := s.Do(http.MethodGet, apitest.UserPath(id), nil).Object()["email"]; got != stored {
			t.Errorf("%v", got)
		}
		// Other spellings are no further tries.
		guesser := apitest.NoToken("192.0.2.99")
		for _, spelling := range spellings[:5] {
			s.TrySignIn(spelling, "WrongSecret1", guesser).Want(http.StatusUnauthorized)
		}
		s.TrySignIn(spellings[5], apitest.Password, guesser).Want(http.StatusTooManyRequests)
		// The local part is the mail server's business, but for ASCII letters.
		s.CreateUser("mÄry@bücher.example")
		s.CreateUser("märy@bücher.example")
	})
}

// TestLabelsShowWhatTheyAre checks that names of groups and tokens have no invisible or misleading
// characters.
func TestLabelsShowWhatTheyAre(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, bad := range []string{"Admin\u202Estrators", "Support\u200B", "\u3164", "\u200D\u200D"} {
			for _, path := range []string{apitest.GroupsPath, apitest.TokensPath} {
				answer := s.Do(http.MethodPost, path, changes{"name": bad, "permissions": []string{}}).
					WantProblem(http.StatusBadRequest, "validation_failed", "name")
				if !strings.Contains(string(answer.Body), `"invalid_text"`) {
					t.Errorf("%q: %s", bad, answer.Body)
				}
			}
		}
		for i, good := range []string{"👩\u200D👧 team", "می\u200Cخواهم", "❤\uFE0F"} {
			if got := s.Do(http.MethodPost, apitest.GroupsPath, changes{
				"name":        good,
				"permissions": []string{},
			}).Want(http.StatusCreated).Object()["name"]; got != good {
				t.Errorf("%d: %q", i, got)
			}
		}
	})
}

// TestClientTagsTogether checks that tags of 8 KiB in total are stored, and no more.
func TestClientTagsTogether(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		tags := slices.Repeat([]string{strings.Repeat("x", 124)}, 64) // with quotes and commas 63 bytes less than 8 KiB
		id := s.CreateUser("a@example.com", changes{"clientTags": tags})
		path := apitest.UserPath(id)
		for ; len(tags[0]) < 255; tags[0] += "x" {
			answer := s.Do(http.MethodPatch, path, changes{"clientTags": tags})
			if answer.Status == http.StatusOK {
				continue
			}
			answer.WantProblem(http.StatusBadRequest, "validation_failed", "clientTags")
			break
		}
		kept, _ := s.Do(http.MethodGet, path, nil).Object()["clientTags"].([]any)
		size := len("]")
		for _, tag := range kept {
			size += len(`,""`) + len(fmt.Sprint(tag))
		}
		if size != 8<<10 {
			t.Errorf("%d bytes at the most", size)
		}
	})
}
