package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
)

func setupForm(code, email string) url.Values {
	return url.Values{
		"code": {code}, "name": {"Jane Doe"}, "email": {email}, "password": {password}, "again": {password},
	}
}

// setupCode returns the code of a new setup link.
func setupCode(t *testing.T, s *apitest.Server) string {
	t.Helper()
	code, err := s.Service.SetupCode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestSetUp(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		first, second := setupCode(t, s), setupCode(t, s)
		b := newBrowser(t, s)
		if a := b.get("/console/setup?code=" + first); a.status != http.StatusOK || !strings.Contains(a.body, "Welcome") {
			t.Fatalf("%d\n%s", a.status, a.body)
		}
		wrong := setupForm(first, "not an address")
		wrong.Set("again", "another password")
		a := b.post("/console/setup", wrong)
		if a.status != http.StatusBadRequest || !strings.Contains(a.body, `value="Jane Doe"`) ||
			!strings.Contains(a.body, "differs from the password") || strings.Contains(a.body, password) {
			t.Fatalf("%d\n%s", a.status, a.body)
		}
		if a := b.post("/console/setup", setupForm(first, email)); a.url.Path != "/console" || !strings.Contains(a.body, "Jane Doe") {
			t.Fatalf("%d %s\n%s", a.status, a.url, a.body)
		}
		// The link is used, and so are those of other starts.
		for _, code := range []string{first, second} {
			other := newBrowser(t, s)
			if a := other.get("/console/setup?code=" + code); a.status != http.StatusConflict {
				t.Errorf("a used link: %d", a.status)
			}
			if a := other.post("/console/setup", setupForm(code, "other@example.com")); a.status != http.StatusConflict {
				t.Errorf("a used link: %d", a.status)
			}
			s.Do(http.MethodGet, "/api/v2/users", nil, apitest.As(code)).Want(http.StatusUnauthorized)
		}
		if code := setupCode(t, s); code != "" {
			t.Error("there is a link although there is a user")
		}
	})
}

// TestSetUpAtOnce uses a link, and another one, many times at once.
func TestSetUpAtOnce(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		codes := []string{setupCode(t, s), setupCode(t, s)}
		var wait sync.WaitGroup
		statuses := make([]int, 8)
		for i := range statuses {
			b := newBrowser(t, s)
			wait.Go(func() {
				statuses[i] = b.post("/console/setup", setupForm(codes[i%2], string(rune('a'+i))+"@example.com")).status
			})
		}
		wait.Wait()
		created := 0
		for _, status := range statuses {
			switch status {
			case http.StatusOK:
				created++
			case http.StatusConflict:
			default:
				t.Errorf("status %d", status)
			}
		}
		page, err := s.Service.Users(t.Context(), identity.CommandLine(), identity.UserQuery{Sort: identity.SortByID, Limit: 9})
		if err != nil || created != 1 || page.Total != 1 {
			t.Errorf("%d got in, and there are %d users: %v", created, page.Total, err)
		}
	})
}

// TestSetUpOfOthers tries what must not open the page.
func TestSetUpOfOthers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		code := setupCode(t, s)
		b := newBrowser(t, s)
		// A service that may create tokens cannot make itself a link.
		s.Do(http.MethodPost, apitest.TokensPath, map[string]any{"name": "setup link", "permissions": []string{}}).
			Want(http.StatusBadRequest)
		for _, other := range []string{"", "nothing", apitest.AdminToken} {
			if a := b.get("/console/setup?code=" + url.QueryEscape(other)); a.status != http.StatusNotFound {
				t.Errorf("code %q: %d", other, a.status)
			}
			if a := b.post("/console/setup", setupForm(other, email)); a.status != http.StatusNotFound {
				t.Errorf("code %q: %d", other, a.status)
			}
		}
		// Another name that leads to this machine is not ours (DNS rebinding).
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			request, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/console/setup?code="+code, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = "evil.example"
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			if err := response.Body.Close(); err != nil {
				t.Error(err)
			}
			if response.StatusCode != http.StatusForbidden {
				t.Errorf("%s from another host: %d", method, response.StatusCode)
			}
		}
		b.header.Set("Origin", "https://evil.example")
		b.header.Set("Sec-Fetch-Site", "cross-site")
		if a := b.post("/console/setup", setupForm(code, email)); a.status != http.StatusForbidden {
			t.Errorf("from another site: %d", a.status)
		}
		s.Clock.Advance(24 * time.Hour)
		if a := newBrowser(t, s).get("/console/setup?code=" + code); a.status != http.StatusNotFound {
			t.Errorf("after a day: %d", a.status)
		}
	})
}
