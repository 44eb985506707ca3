package backoffice_test

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
)

func TestIntrospect(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := s.CreateGroup("Support", "users.view", "audit.view")
		id := s.CreateUser("mary@example.com",
			changes{
				"groups": []int64{group}, "clientTags": []any{"tag", changes{"id": 7}},
				"ipWhitelist": []string{"192.0.2.0/24"},
			})
		p := s.SignInWith("mary@example.com", apitest.Password)
		as := apitest.As(s.CreateToken(0, []string{"tokens.introspect"}))
		masked := apitest.As(s.CreateToken(0, []string{"tokens.introspect"}, changes{"canViewMaskedData": false}))
		ask := func(form url.Values) map[string]any {
			t.Helper()
			return s.Do(http.MethodPost, apitest.IntrospectPath, form, as).Want(http.StatusOK).Object()
		}
		want := map[string]any{
			"active": true, "token_type": "Bearer", "sub": fmt.Sprint(id), "scope": "users.view users.self audit.view",
			"iat": 1795348800.0, "exp": 1795352400.0,
			"userId": float64(id), "permissions": []any{"users.view", "users.self", "audit.view"},
			"canViewMaskedData": false,
			"clientTags":        []any{"tag", map[string]any{"id": 7.0}},
		}
		if got := ask(url.Values{
			"token":           {p.AccessToken.Token},
			"token_type_hint": {"access_token"},
		}); !reflect.DeepEqual(got, want) {
			t.Errorf("%v\nwant %v", got, want)
		}
		for ip, allowed := range map[string]bool{
			"192.0.2.7": true, "::ffff:192.0.2.7": true, "198.51.100.7": false,
			"2001:db8::1": false,
		} {
			want["ipAllowed"] = allowed
			// It would reveal the allow-list to a caller who sees masks.
			s.Do(http.MethodPost, apitest.IntrospectPath, url.Values{"token": {p.AccessToken.Token}, "ip": {ip}},
				masked).WantProblem(http.StatusForbidden, "masked_data")
			if got := ask(url.Values{"token": {p.AccessToken.Token}, "ip": {ip}}); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %v\nwant %v", ip, got, want)
			}
		}
		service := ask(url.Values{"token": {s.CreateToken(0, []string{"users.view"})}, "ip": {"198.51.100.7"}})
		if service["userId"] != nil || service["sub"] != nil || service["exp"] != nil || service["ipAllowed"] != true ||
			service["scope"] != "users.view" {
			t.Errorf("%v", service)
		}
		inactive := map[string]any{"active": false}
		for _, token := range []string{
			"nonsense", p.RefreshToken.Token, p.AccessToken.Token + "x",
			p.AccessToken.Token[:40],
		} {
			if got := ask(url.Values{"token": {token}}); !reflect.DeepEqual(got, inactive) {
				t.Errorf("%v", got)
			}
		}
		s.Clock.Advance(time.Hour)
		if got := ask(url.Values{"token": {p.AccessToken.Token}}); !reflect.DeepEqual(got, inactive) {
			t.Errorf("%v", got)
		}
		p = s.SignInWith("mary@example.com", apitest.Password)
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"active": false}).Want(http.StatusOK)
		if got := ask(url.Values{"token": {p.AccessToken.Token}}); !reflect.DeepEqual(got, inactive) {
			t.Errorf("%v", got)
		}
	})
}

func TestIntrospectForms(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		form := apitest.Header("Content-Type", "application/x-www-form-urlencoded")
		for body, field := range map[string]string{
			"": "token", "token=": "token", "token=a&token=b": "token", "token=a&ip=x": "ip",
			"token=a&ip=fe80::1%25eth0": "ip", "token=a&ip=": "ip",
			"token=a&other=b": "other", "token=%00": "token", "token=" + strings.Repeat("a", 5000): "token",
		} {
			answer := s.Do(http.MethodPost, apitest.IntrospectPath, body, form).Want(http.StatusBadRequest)
			if !strings.Contains(string(answer.Body), `"field":"`+field+`"`) {
				t.Errorf("%.30s: %s", body, answer.Body)
			}
		}
		s.Do(http.MethodPost, apitest.IntrospectPath, "token=%zz", form).Want(http.StatusBadRequest)
		s.Do(http.MethodPost, apitest.IntrospectPath, changes{"token": "x"}).Want(http.StatusUnsupportedMediaType)
		s.Do(http.MethodPost, apitest.IntrospectPath, "token="+strings.Repeat("a", 2<<20), form).
			Want(http.StatusRequestEntityTooLarge)
	})
}

func TestExplainNetwork(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com",
			changes{"ipWhitelist": []string{"192.0.2.1", "10.0.0.0/8", "2001:db8::/32"}})
		open := s.CreateUser("john@example.com")
		for _, c := range []struct {
			id      int64
			ip      string
			allowed bool
			match   any
		}{
			{id, "192.0.2.1", true, "192.0.2.1"},
			{id, "10.1.2.3", true, "10.0.0.0/8"},
			{id, "::ffff:10.1.2.3", true, "10.0.0.0/8"},
			{id, "2001:db8:1::1", true, "2001:db8::/32"},
			{id, "192.0.2.2", false, nil},
			{open, "192.0.2.2", true, nil},
		} {
			got := s.Do(http.MethodPost, apitest.ExplainPath, changes{"ip": c.ip, "userId": c.id}).Want(http.StatusOK).
				Object()
			if got["allowed"] != c.allowed || got["match"] != c.match {
				t.Errorf("%+v: %v", c, got)
			}
		}
		s.Do(http.MethodPost, apitest.ExplainPath, changes{"ip": "192.0.2.1", "userId": 999}).
			WantProblem(http.StatusNotFound, "not_found")
		s.Do(http.MethodPost, apitest.ExplainPath, changes{"ip": "x", "userId": 0}).
			WantProblem(http.StatusBadRequest, "validation_failed", "ip", "userId")
		own := apitest.As(s.SignIn("mary@example.com", apitest.From("192.0.2.1")))
		acting := apitest.As(s.CreateToken(id, []string{"users.self"}, changes{"canViewMaskedData": false}))
		s.Do(http.MethodPost, apitest.ExplainPath, changes{"ip": "192.0.2.1", "userId": id}, acting,
			apitest.From("192.0.2.1")).WantProblem(http.StatusForbidden, "masked_data")
		s.Do(http.MethodPost, apitest.ExplainPath, changes{"ip": "192.0.2.1", "userId": id}, own,
			apitest.From("192.0.2.1")).Want(http.StatusOK)
		s.Do(http.MethodPost, apitest.ExplainPath, changes{"ip": "192.0.2.1", "userId": open}, own,
			apitest.From("192.0.2.1")).WantProblem(http.StatusForbidden, "permission_denied")
	})
}
