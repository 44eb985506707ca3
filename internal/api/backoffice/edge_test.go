package backoffice_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// TestRequestIDs checks that the id of a request is ours or that of a trusted proxy. The id of another
// client is kept beside it and cannot be mistaken for one of ours.
func TestRequestIDs(t *testing.T) {
	t.Parallel()
	ours := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		exposed := s.Exposed()
		change := func(s *apitest.Server, name string, options ...apitest.Option) (answered, recorded string) {
			t.Helper()
			answer := s.Do(http.MethodPost, apitest.GroupsPath, changes{"name": name, "permissions": []string{}},
				options...).Want(http.StatusCreated)
			var list struct{ Data []struct{ RequestID string } }
			s.Do(http.MethodGet, apitest.EventsPath+"?limit=1&filter[type]=GROUP_CREATED", nil).Decode(&list)
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
		denied := exposed.Do(http.MethodGet, apitest.UsersPath, nil, apitest.As("wrong"), given).
			Want(http.StatusUnauthorized)
		if id := denied.Header.Get("X-Request-Id"); !ours.MatchString(id) || denied.Object()["requestId"] != id ||
			!strings.Contains(logLine(s, id), `"client_request_id":"abc-123"`) {
			t.Errorf("without a caller: %s %s", id, denied.Body)
		}
		twice := func(r *http.Request) { r.Header["X-Request-Id"] = []string{"abc-123", "def-456"} }
		for i, bad := range []apitest.Option{
			apitest.Header("X-Request-Id", "a b"), apitest.Header("X-Request-Id", `"><script>`),
			apitest.Header("X-Request-Id",
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
		answered, _ = change(exposed, "long", apitest.Header("X-Request-Id", longest))
		if line := logLine(s, answered); !strings.Contains(line, longest) {
			t.Errorf("128 characters: %s", line)
		}
	})
}

// logLine returns the line of the log about a request.
func logLine(s *apitest.Server, id string) string {
	for line := range strings.Lines(s.Log.String()) {
		if strings.Contains(line, `"request_id":"`+id+`"`) {
			return line
		}
	}
	return ""
}
