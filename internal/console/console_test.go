package console_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

const (
	email    = "jane@example.com"
	password = "right horse battery"
)

// browser is a client with cookies, which follows redirects.
type browser struct {
	t      *testing.T
	server *apitest.Server
	client *http.Client
	header http.Header
}

// answer is what a browser has got.
type answer struct {
	status int
	body   string
	url    *url.URL // of the page, after redirects
	header http.Header
}

func newBrowser(t *testing.T, s *apitest.Server) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, server: s, client: &http.Client{Jar: jar}, header: http.Header{}}
}

// signedIn returns a browser in which an administrator has signed in.
func signedIn(t *testing.T, s *apitest.Server) *browser {
	t.Helper()
	createUser(t, s, identity.User{
		Name: "Jane Doe", Email: email, Active: true, Groups: []int64{identity.AdministratorsID}, CanViewMaskedData: true,
	})
	b := newBrowser(t, s)
	b.signIn(email, password)
	return b
}

// createUser creates a user with the password of these tests.
func createUser(t *testing.T, s *apitest.Server, user identity.User) identity.User {
	t.Helper()
	created, _, err := s.Service.CreateUser(t.Context(), identity.CommandLine(),
		service.NewUser{User: user, Password: password}, service.Idempotency{})
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func (b *browser) signIn(email, password string) {
	b.t.Helper()
	a := b.post("/console/signin", url.Values{"email": {email}, "password": {password}})
	if a.status != http.StatusOK || !strings.Contains(a.body, `aria-label="Main"`) {
		b.t.Fatalf("signing in: %d\n%s", a.status, a.body)
	}
}

func (b *browser) get(path string) answer {
	b.t.Helper()
	return b.do(http.MethodGet, path, nil)
}

func (b *browser) post(path string, values url.Values) answer {
	b.t.Helper()
	return b.do(http.MethodPost, path, values)
}

func (b *browser) do(method, path string, values url.Values) answer {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, b.server.URL+path, strings.NewReader(values.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Origin", b.server.URL)
	}
	for name, list := range b.header {
		request.Header[name] = list
	}
	response, err := b.client.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		b.t.Fatal(err)
	}
	return answer{response.StatusCode, string(body), response.Request.URL, response.Header}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := newBrowser(t, s)
		if a := b.get("/console/users"); a.status != http.StatusUnauthorized || !strings.Contains(a.body, `value="/console/users"`) {
			t.Fatalf("without a session: %d\n%s", a.status, a.body)
		}
		b = signedIn(t, s)
		a := b.get("/console/users")
		if a.status != http.StatusOK || !strings.Contains(a.body, "Jane Doe") {
			t.Fatalf("%d\n%s", a.status, a.body)
		}
		if a := b.get("/console/users/1"); a.status != http.StatusOK || !strings.Contains(a.body, "jane@example.com") {
			t.Fatalf("%d\n%s", a.status, a.body)
		}
		if a := b.get("/console/users/99"); a.status != http.StatusNotFound || !strings.Contains(a.body, "There is nothing here") {
			t.Fatalf("%d\n%s", a.status, a.body)
		}
		if a := b.post("/console/signout", nil); !strings.Contains(a.body, "You are signed out.") {
			t.Fatalf("%d\n%s", a.status, a.body)
		}
	})
}
