package backoffice_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// TestNoOtherSiteLocksOut: a page that a victim opens sends what browsers let it
// send, by the victim's own address. Nothing of it counts as a try, so that the
// victim can still sign in, and nobody is mailed.
func TestNoOtherSiteLocksOut(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		victim := noToken("192.0.2.1")
		wrong := credentials("mary@example.com", "WrongSecret1")
		const asText = `{"email":"mary@example.com","password":"WrongSecret1","x":"="}` // what a form of text/plain can make
		for range 10 {
			for _, path := range []string{signin, forgot} {
				for _, contentType := range []string{"application/x-www-form-urlencoded", "text/plain",
					"multipart/form-data; boundary=b", ""} {
					s.Do(http.MethodPost, path, asText, victim, apitest.Header("Content-Type",
						contentType)).Want(http.StatusUnsupportedMediaType)
				}
				s.Do(http.MethodPost, path, url.Values{"email": {"mary@example.com"}, "password": {"x"}},
					victim).Want(http.StatusUnsupportedMediaType)
				s.Do(http.MethodPost, path, wrong, victim, apitest.Header("Sec-Fetch-Site", "cross-site")).
					WantProblem(http.StatusForbidden, "cross_site_request")
			}
		}
		s.Do(http.MethodPost, signin, credentials("mary@example.com", password), victim).Want(http.StatusOK)
		if mails := s.Mails(); len(mails) != 0 {
			t.Errorf("%d mails", len(mails))
		}
		if got := s.Do(http.MethodGet, events+"?filter[type]=USER_SIGNIN_FAILED", nil).Object()["total"]; got != 0.0 {
			t.Errorf("%v failures", got)
		}
		// The same from a page of ours counts.
		for range 5 {
			s.Do(http.MethodPost, signin, wrong, victim, apitest.Header("Sec-Fetch-Site",
				"same-origin")).Want(http.StatusUnauthorized)
		}
		s.Do(http.MethodPost, signin, credentials("mary@example.com", password), victim).Want(http.StatusTooManyRequests)
	})
}

// TestRequestIDs: the id of a request is ours or a trusted proxy's. A stranger's
// is kept beside it, for people to find, and cannot be taken for another's.
func TestRequestIDs(t *testing.T) {
	t.Parallel()
	ours := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		exposed := s.Exposed()
		change := func(s *apitest.Server, name string, options ...apitest.Option) (answered, recorded string) {
			t.Helper()
			answer := s.Do(http.MethodPost, groups, changes{"name": name, "permissions": []string{}},
				options...).Want(http.StatusCreated)
			var list struct{ Data []struct{ RequestID string } }
			s.Do(http.MethodGet, events+"?limit=1&filter[type]=GROUP_CREATED", nil).Decode(&list)
			return answer.Header.Get("X-Request-Id"), list.Data[0].RequestID
		}
		given := apitest.Header("X-Request-Id", "abc-123")
		if answered, recorded := change(s, "proxy", given); answered != "abc-123" || recorded != "abc-123" {
			t.Errorf("a trusted proxy's: %s, %s", answered, recorded)
		}
		answered, recorded := change(exposed, "stranger", given)
		if !ours.MatchString(answered) || recorded != answered {
			t.Errorf("a stranger's: %s, %s", answered, recorded)
		}
		if line := logLine(s, answered); !strings.Contains(line, `"client_request_id":"abc-123"`) {
			t.Errorf("the log has %s", line)
		}
		denied := exposed.Do(http.MethodGet, users, nil, apitest.As("wrong"), given).Want(http.StatusUnauthorized)
		if id := denied.Header.Get("X-Request-Id"); !ours.MatchString(id) || denied.Object()["requestId"] != id ||
			!strings.Contains(logLine(s, id), `"client_request_id":"abc-123"`) {
			t.Errorf("without a caller: %s %s", id, denied.Body)
		}
		twice := func(r *http.Request) { r.Header["X-Request-Id"] = []string{"abc-123", "def-456"} }
		for i, bad := range []apitest.Option{
			apitest.Header("X-Request-Id", "a b"), apitest.Header("X-Request-Id", `"><script>`), apitest.Header("X-Request-Id",
				strings.Repeat("x", 129)), twice,
		} {
			for j, server := range []*apitest.Server{s, exposed} {
				answered, recorded := change(server, fmt.Sprintf("bad %d %d", i, j), bad)
				if !ours.MatchString(answered) || recorded != answered ||
					strings.Contains(logLine(s, answered), "client_request_id") {
					t.Errorf("%d: %s, %s, %s", i, answered, recorded, logLine(s, answered))
				}
			}
		}
		longest := strings.Repeat("x", 128)
		if answered, _ := change(exposed, "long", apitest.Header("X-Request-Id", longest)); !strings.Contains(logLine(s,
			answered), longest) {
			t.Errorf("128 characters: %s", logLine(s, answered))
		}
	})
}

// logLine returns the line of a request.
func logLine(s *apitest.Server, id string) string {
	for line := range strings.Lines(s.Log.String()) {
		if strings.Contains(line, `"request_id":"`+id+`"`) {
			return line
		}
	}
	return ""
}

// TestOneMailboxHasOneUser: an address is the same one however its domain is
// spelled, wherever addresses are compared.
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
			s.Do(http.MethodPost, users, apitest.NewUser(spelling)).WantProblem(http.StatusConflict, "email_taken", "email")
			s.Do(http.MethodPatch, apitest.UserPath(other), changes{"email": spelling}).WantProblem(http.StatusConflict,
				"email_taken", "email")
			s.Do(http.MethodPost, "/api/v1/users", changes{"email": spelling,
				"blocked": false}).Want(http.StatusUnprocessableEntity)
			for _, parameter := range []string{"filter[email]", "filter[q]"} {
				var found struct{ Data []struct{ ID int64 } }
				s.Do(http.MethodGet, users+"?"+parameter+"="+url.QueryEscape(spelling), nil).Want(http.StatusOK).Decode(&found)
				if len(found.Data) != 1 || found.Data[0].ID != id {
					t.Errorf("%s=%s: %v", parameter, spelling, found)
				}
			}
			from := noToken(fmt.Sprintf("192.0.2.%d", i+1))
			s.Do(http.MethodPost, signin, credentials(spelling, password), from).Want(http.StatusOK)
			s.Do(http.MethodPost, forgot, changes{"email": spelling}, from).Want(http.StatusAccepted)
			if i < 5 && s.Mail().To != stored {
				t.Error("not to the address as it is spelled")
			}
		}
		if got := s.Do(http.MethodGet, apitest.UserPath(id), nil).Object()["email"]; got != stored {
			t.Errorf("%v", got)
		}
		// Other spellings are no further tries.
		guesser := noToken("192.0.2.99")
		for _, spelling := range spellings[:5] {
			s.Do(http.MethodPost, signin, credentials(spelling, "WrongSecret1"), guesser).Want(http.StatusUnauthorized)
		}
		s.Do(http.MethodPost, signin, credentials(spellings[5], password), guesser).Want(http.StatusTooManyRequests)
		// The local part is the mail server's business, but for ASCII letters.
		s.CreateUser("mÄry@bücher.example")
		s.CreateUser("märy@bücher.example")
	})
}

// TestLabelsShowWhatTheyAre: names of groups and tokens are read by people, too.
func TestLabelsShowWhatTheyAre(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, bad := range []string{"Admin\u202Estrators", "Support\u200B", "\u3164", "\u200D\u200D"} {
			for _, path := range []string{groups, tokens} {
				answer := s.Do(http.MethodPost, path, changes{"name": bad, "permissions": []string{}}).
					WantProblem(http.StatusBadRequest, "validation_failed", "name")
				if !strings.Contains(string(answer.Body), `"invalid_text"`) {
					t.Errorf("%q: %s", bad, answer.Body)
				}
			}
		}
		for i, good := range []string{"👩\u200D👧 team", "می\u200Cخواهم", "❤\uFE0F"} {
			if got := s.Do(http.MethodPost, groups, changes{"name": good,
				"permissions": []string{}}).Want(http.StatusCreated).Object()["name"]; got != good {
				t.Errorf("%d: %q", i, got)
			}
		}
	})
}

// TestClientTagsTogether: as many and as long as may be come back as they were.
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
		kept := s.Do(http.MethodGet, path,
			nil).Object()["clientTags"].([]any) //nolint:forcetypeassert // the contract has it so
		size := len("]")
		for _, tag := range kept {
			size += len(`,""`) + len(fmt.Sprint(tag))
		}
		if size != 8<<10 {
			t.Errorf("%d bytes at the most", size)
		}
	})
}
