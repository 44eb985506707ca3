package backoffice_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
)

func TestEveryCallNeedsItsPermission(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		user, group := s.CreateUser("a@example.com"), s.CreateGroup("Support")
		s.SignIn("a@example.com")
		list := append(s.WebhookCalls(), apitest.Calls(user, group, 1)...)
		routes := map[string]bool{}
		for _, call := range list {
			others := slices.DeleteFunc(apitest.NamedPermissions(), func(p string) bool {
				includes := call.Needs == "users.view" &&
					slices.Contains([]string{"users.create", "users.update", "users.delete"}, p)
				return p == call.Needs || includes
			})
			for _, as := range []string{s.CreateToken(0, nil), s.CreateToken(0, others)} {
				answer := s.Do(call.Method, call.Path, call.Body, apitest.As(as)).
					WantProblem(http.StatusForbidden, "permission_denied")
				challenge := answer.Header.Get("WWW-Authenticate")
				if !strings.Contains(challenge, `error="insufficient_scope"`) {
					t.Errorf("%s %s: %s", call.Method, call.Path, challenge)
				}
			}
			routes[call.Method+" "+call.Path] = true
		}
		const public, own = 5, 12 // signing in, what everyone may do for themselves or with own jobs, and inviting (TestInvitation)
		if contract := len(contractCalls(t)) - public - own; contract != len(routes) {
			t.Errorf("%d calls are tested, the contract has %d", len(routes), contract)
		}
		for _, call := range list { // and is enough
			permissions := []string{call.Needs}
			if call.Needs == "webhooks.manage" {
				permissions = append(permissions, "users.view", "records.manage") // what its webhooks are told
			}
			if strings.HasSuffix(call.Path, "/access") {
				permissions = append(permissions, "users.view")
			}
			token := s.CreateToken(0, permissions)
			if call.Path == apitest.TokensPath+"/1" && call.Method == http.MethodDelete {
				continue // the administrator's own: an escalation
			}
			answer := s.Do(call.Method, call.Path, call.Body, apitest.As(token))
			if answer.Status >= 300 {
				t.Errorf("%s %s with %s: %d %s", call.Method, call.Path, call.Needs, answer.Status, answer.Body)
			}
			if call.Path == apitest.UserPath(user) && call.Method == http.MethodDelete {
				user = 0
			}
		}
	})
}

func TestEveryCallNeedsAToken(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		expired := s.CreateToken(0, apitest.AllPermissions(), changes{"expiresAt": s.Clock.Now().Add(time.Hour)})
		s.Do(http.MethodGet, apitest.UsersPath, nil, apitest.As(expired)).Want(http.StatusOK)
		s.Clock.Advance(time.Hour)
		for _, call := range append(s.WebhookCalls(),
			apitest.Calls(s.CreateUser("a@example.com"), s.CreateGroup("Support"), 1)...) {
			for _, credential := range []struct{ authorization, code, challenge string }{
				{"", "missing_token", `Bearer realm="roster"`},
				{"Basic dXNlcjpwYXNz", "missing_token", `Bearer realm="roster"`},
				{"Bearer", "missing_token", `Bearer realm="roster"`},
				{"Bearer ", "missing_token", `Bearer realm="roster"`},
				{apitest.AdminToken, "missing_token", `Bearer realm="roster"`},
				{"Bearer wrong", "invalid_token", `Bearer realm="roster", error="invalid_token"`},
				{
					"Bearer " + apitest.AdminToken[:len(apitest.AdminToken)-1], "invalid_token",
					`Bearer realm="roster", error="invalid_token"`,
				},
				{"Bearer " + apitest.AdminToken + "x", "invalid_token", `Bearer realm="roster", error="invalid_token"`},
				{
					"Bearer " + strings.ToUpper(apitest.AdminToken), "invalid_token",
					`Bearer realm="roster", error="invalid_token"`,
				},
				{"Bearer " + expired, "invalid_token", `Bearer realm="roster", error="invalid_token"`},
				{"Bearer \xff\xfe", "invalid_token", `Bearer realm="roster", error="invalid_token"`},
				{
					"Bearer " + strings.Repeat("x", 30000), "invalid_token",
					`Bearer realm="roster", error="invalid_token"`,
				},
			} {
				if call.Path == apitest.IntrospectPath { // see TestIntrospectByBasic
					if strings.HasPrefix(credential.authorization, "Basic") {
						continue
					}
					credential.challenge += `, Basic realm="roster"`
				}
				answer := s.Do(call.Method, call.Path, call.Body,
					apitest.Header("Authorization", credential.authorization)).
					WantProblem(http.StatusUnauthorized, credential.code)
				if got := answer.Header.Get("WWW-Authenticate"); got != credential.challenge {
					t.Errorf("%s: %s", credential.authorization, got)
				}
			}
			s.Do(call.Method, call.Path+"?access_token="+apitest.AdminToken, call.Body, apitest.As("")).
				WantProblem(http.StatusUnauthorized, "missing_token")
			twice := func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+apitest.AdminToken) }
			s.Do(call.Method, call.Path, call.Body, twice).
				WantProblem(http.StatusBadRequest, "validation_failed", "Authorization")
		}
		s.Do(http.MethodGet, apitest.UsersPath, nil, apitest.Header("Authorization", "bearer  "+apitest.AdminToken)).
			Want(http.StatusOK)
	})
}
