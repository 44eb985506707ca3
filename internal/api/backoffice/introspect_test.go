package backoffice_test

import (
	"encoding/base64"
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
			"active": true, "token_type": "Bearer", "sub": fmt.Sprint(id), "username": "mary@example.com", "jti": "",
			"scope": "users.view users.self audit.view", "iat": 1795348800.0, "exp": 1795352400.0,
			"userId": float64(id), "permissions": []any{"users.view", "users.self", "audit.view"},
			"canViewMaskedData": false,
			"clientTags":        []any{"tag", map[string]any{"id": 7.0}},
		}
		got := ask(url.Values{"token": {p.AccessToken.Token}, "token_type_hint": {"access_token"}})
		if want["jti"] = got["jti"]; want["jti"] == "" || want["jti"] == "0" {
			t.Errorf("jti: %v", got)
		}
		if !reflect.DeepEqual(got, want) {
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
		if service["client_id"] == "" || service["client_id"] != service["jti"] ||
			service["sub"] != fmt.Sprint("token:", service["jti"]) || service["username"] != nil {
			t.Errorf("%v", service)
		}
		if service["userId"] != nil || service["exp"] != nil || service["ipAllowed"] != true ||
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

// TestIntrospectMasked checks that the address is there for those only who see it
// elsewhere. A mask would be worse than nothing: two users can have the same.
func TestIntrospectMasked(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		token := s.SignIn("mary@example.com")
		masked := apitest.As(s.CreateToken(0, []string{"tokens.introspect"}, changes{"canViewMaskedData": false}))
		answer := s.Do(http.MethodPost, apitest.IntrospectPath, url.Values{"token": {token}}, masked).Want(http.StatusOK)
		if got := answer.Object(); got["active"] != true || got["username"] != nil || strings.Contains(string(answer.Body), "example.com") {
			t.Errorf("%s", answer.Body)
		}
	})
}

// TestIntrospectBeforeEnrolment checks that a session that has to enrol a second
// factor first is not active for other services.
func TestIntrospectBeforeEnrolment(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := s.Do(http.MethodPost, apitest.GroupsPath, changes{"name": "Strict", "permissions": []string{"users.view"}, "requireTfa": true}).ID()
		s.CreateUser("mary@example.com", changes{"groups": []int64{group}})
		token := s.SignIn("mary@example.com")
		got := s.Do(http.MethodPost, apitest.IntrospectPath, url.Values{"token": {token}}).Want(http.StatusOK).Object()
		if !reflect.DeepEqual(got, map[string]any{"active": false}) {
			t.Errorf("%v", got)
		}
		s.Do(http.MethodGet, auth, nil, apitest.As(token)).WantProblem(http.StatusForbidden, "second_factor_required")
	})
}

func TestIntrospectByBasic(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		form := url.Values{"token": {apitest.AdminToken}}
		own := s.CreateToken(0, []string{"tokens.introspect"})
		basic := func(userAndPassword string) apitest.Option {
			return apitest.Header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(userAndPassword)))
		}
		encoded := "" // the token in a form's encoding, with every character escaped
		for _, b := range []byte(own) {
			encoded += fmt.Sprintf("%%%02x", b)
		}
		for _, good := range []string{"7:" + own, ":" + own, "a%20b:" + own, "roster:" + encoded} {
			if got := s.Do(http.MethodPost, apitest.IntrospectPath, form, basic(good)).Want(http.StatusOK).Object(); got["active"] != true {
				t.Errorf("%v", got)
			}
		}
		for _, bad := range []string{"7:", "7", own + ":", "7:" + own + "x", "7:" + own + ":", "7:+" + own} {
			answer := s.Do(http.MethodPost, apitest.IntrospectPath, form, basic(bad)).Want(http.StatusUnauthorized)
			if got := answer.Header.Get("WWW-Authenticate"); !strings.Contains(got, `Bearer realm="roster"`) || !strings.Contains(got, `Basic realm="roster"`) {
				t.Errorf("%q", got)
			}
		}
		s.Do(http.MethodPost, apitest.IntrospectPath, form, basic("7:%zz")).WantProblem(http.StatusBadRequest, "validation_failed", "Authorization")
		s.Do(http.MethodPost, apitest.IntrospectPath, form, basic("7:"+s.CreateToken(0, []string{"users.view"}))).Want(http.StatusForbidden)
		twice := func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+own) }
		s.Do(http.MethodPost, apitest.IntrospectPath, form, basic("7:"+own), twice).WantProblem(http.StatusBadRequest, "validation_failed", "Authorization")
		// A browser sends a password that it remembers by itself: no other call takes one.
		for _, path := range []string{"/api/v2/users", auth, "/2.0/users", "/api/v1/users"} {
			answer := s.Do(http.MethodGet, path, nil, basic("7:"+apitest.AdminToken)).Want(http.StatusUnauthorized)
			if strings.Contains(answer.Header.Get("WWW-Authenticate"), "Basic") {
				t.Errorf("%s: %q", path, answer.Header)
			}
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
