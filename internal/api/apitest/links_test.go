package apitest_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/identity"
)

// forwarded holds what a client may send to have links lead elsewhere.
var forwarded = []apitest.Option{
	apitest.Header("X-Forwarded-Host", "forged.example"), apitest.Header("X-Forwarded-Port", "6666"),
	apitest.Header("X-Forwarded-Server", "forged.example"), apitest.Header("X-Host", "forged.example"),
	apitest.Header("Forwarded", "host=forged.example;proto=https"), apitest.Header("X-Forwarded-Prefix", "/forged"),
	apitest.Header("X-Original-Url", "http://forged.example/"), apitest.Header("X-Forwarded-Scheme", "https"),
	apitest.Header("Origin", "http://forged.example"), apitest.Header("Referer", "http://forged.example/"),
}

// checkLinks checks that all links of both dialects start with base, and that the answers have
// nothing of a forged host.
func checkLinks(t *testing.T, s *apitest.Server, base string, options ...apitest.Option) {
	t.Helper()
	options = append(options, forwarded...)
	do := func(method, path string, body any) *apitest.Answer {
		answer := s.Do(method, path, body, options...)
		if strings.Contains(fmt.Sprint(answer.Header, string(answer.Body)), "forged") {
			t.Errorf("%s: forged: %v %s", path, answer.Header, answer.Body)
		}
		return answer
	}
	name := strings.ReplaceAll(t.Name(), "/", " ") + base
	created := do(http.MethodPost, apitest.GroupsPath, map[string]any{"name": name, "permissions": []string{}}).
		Want(http.StatusCreated)
	id := created.ID()
	if got, want := created.Header.Get("Location"), fmt.Sprintf("%s%s/%d", base, apitest.GroupsPath, id); got != want {
		t.Errorf("Location %s, want %s", got, want)
	}
	s.Do(http.MethodDelete, fmt.Sprintf("%s/%d", apitest.GroupsPath, id), nil).Want(http.StatusNoContent)

	next := do(http.MethodGet, apitest.UsersPath+"?limit=1", nil).Want(http.StatusOK).Header.Get("Link")
	if !strings.HasPrefix(next, "<"+base+apitest.UsersPath+"?after=") {
		t.Errorf("Link %s, want one at %q", next, base)
	}
	for path, wants := range map[string][]string{
		"/api/v1/users?limit=1": {`"self":"%s/api/v1/users?limit=1`, `"last":"%s/api/v1/users?limit=1`},
		"/api/v1/users/1?include=bills": {
			`"self":"%s/api/v1/users/1"`, `"related":"%s/api/v1/users/1/bills"`,
			`"self":"%s/api/v1/users/1/relationships/bills"`,
		},
	} {
		body := string(do(http.MethodGet, path, nil).Want(http.StatusOK).Body)
		for _, want := range wants {
			if want = fmt.Sprintf(want, base); !strings.Contains(body, want) {
				t.Errorf("%s: no %s in %s", path, want, body)
			}
		}
		if base != "" && strings.Contains(body, `"/api/v1`) {
			t.Errorf("%s: a link without %s: %s", path, base, body)
		}
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("a@example.com")
		s.CreateUser("b@example.com")
		allowing := s.Another(func(o *app.Options) { o.Config.AllowedHosts = hosts(t, "roster.internal", "r.example:8443") })
		public := s.At("https://roster.example.com")

		checkLinks(t, s, s.URL) // 127.0.0.1 and the port of the test
		for host, base := range map[string]string{
			"localhost:8080": "http://localhost:8080", "LOCALHOST": "http://localhost", "127.9.8.7": "http://127.9.8.7",
			"[::1]:80": "http://[::1]:80",
			// Other hosts, also those that begin or end like an allowed one, get paths.
			"forged.example": "", "localhost.forged.example": "", "forged.example:8080": "", "localhost.": "",
			"roster.internal": "", "roster.example.com": "", "10.0.0.1": "", "0.0.0.0:80": "", "[::]": "",
		} {
			checkLinks(t, s, base, apitest.Host(host))
			checkLinks(t, public, "https://roster.example.com", apitest.Host(host))
		}
		for host, base := range map[string]string{
			"roster.internal": "http://roster.internal", "Roster.Internal:81": "http://roster.internal:81",
			"r.example:8443": "http://r.example:8443", "localhost:8080": "http://localhost:8080",
			"r.example": "", "r.example:8444": "", "forged.example": "", "x.roster.internal": "",
			"roster.internal.forged.example": "", "forged-roster.internal": "",
		} {
			checkLinks(t, allowing, base, apitest.Host(host))
		}
	})
}

// TestLinksBehindAProxy checks that only a trusted proxy says whether the client uses HTTPS.
func TestLinksBehindAProxy(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("a@example.com")
		s.CreateUser("b@example.com")
		host := apitest.Host("localhost")
		for proto, base := range map[string]string{
			"https": "https://localhost", "HTTPS": "https://localhost", "http": "http://localhost", "": "http://localhost",
			"javascript": "http://localhost", "https://forged.example/": "http://localhost", "http,https": "http://localhost",
		} {
			checkLinks(t, s, base, host, apitest.Header("X-Forwarded-Proto", proto))
			checkLinks(t, s.Exposed(), "http://localhost", host, apitest.Header("X-Forwarded-Proto", proto))
		}
		twice := func(r *http.Request) { r.Header["X-Forwarded-Proto"] = []string{"https", "http"} }
		checkLinks(t, s, "http://localhost", host, twice)
		checkLinks(t, s, "", apitest.Host("forged.example"), apitest.Header("X-Forwarded-Proto", "https"))
		checkLinks(t, s.At("http://roster.example.com"), "http://roster.example.com",
			apitest.Header("X-Forwarded-Proto", "https"))
	})
}

// TestHostileHosts sends Host headers that no client library sends.
func TestHostileHosts(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("a@example.com")
		for _, head := range []string{
			"GET %s HTTP/1.1\r\nHost: localhost@forged.example", "GET %s HTTP/1.1\r\nHost: localhost:80@forged.example",
			"GET %s HTTP/1.1\r\nHost: forged.example,localhost", "GET %s HTTP/1.1\r\nHost: localhost/forged",
			"GET %s HTTP/1.1\r\nHost: localhost\\forged", "GET %s HTTP/1.1\r\nHost: localhost?forged",
			"GET %s HTTP/1.1\r\nHost: localhost#forged", "GET %s HTTP/1.1\r\nHost: localhost:80:forged",
			"GET %s HTTP/1.1\r\nHost: localhost:forged", "GET %s HTTP/1.1\r\nHost: localhost;forged",
			"GET %s HTTP/1.1\r\nHost: localhost%%2fforged", "GET %s HTTP/1.1\r\nHost: localhost%%00.forged",
			"GET %s HTTP/1.1\r\nHost: localhost forged", "GET %s HTTP/1.1\r\nHost: localhost\tforged",
			"GET %s HTTP/1.1\r\nHost: localhost>; rel=\"next\", <http://forged", "GET %s HTTP/1.1\r\nHost: \"><forged>",
			"GET %s HTTP/1.1\r\nHost: localhost\x00forged", "GET %s HTTP/1.1\r\nHost: forged\xff",
			"GET %s HTTP/1.1\r\nHost: [::1%%25forged]", "GET %s HTTP/1.1\r\nHost: [localhost]forged",
			"GET %s HTTP/1.1\r\nHost: localhost\r\nHost: forged.example", "GET %s HTTP/1.1\r\nHost: localhost\r\n forged",
			"GET %s HTTP/1.1\r\nHost:", "GET %s HTTP/1.0", "GET %s HTTP/1.0\r\nX-Forwarded-Host: forged.example",
			// The host of the request line counts (RFC 9112 §3.2.2).
			"GET http://forged.example%s HTTP/1.1\r\nHost: localhost",
			"GET http://localhost@forged.example%s HTTP/1.1\r\nHost: localhost",
			"GET http:forged.example%s HTTP/1.1\r\nHost: forged.example",
		} {
			status, body, err := talk(s, []byte(fmt.Sprintf(head, "/api/v1/users")+
				"\r\nAuthorization: Bearer "+apitest.AdminToken+"\r\nConnection: close\r\n\r\n"))
			var answer struct{ Links map[string]string }
			switch {
			case err != nil || strings.Contains(body, "forged"):
				t.Errorf("%q: %d %s, %v", head, status, body, err)
			case status == http.StatusBadRequest || status == http.StatusNotFound:
			case status != http.StatusOK || json.Unmarshal([]byte(body), &answer) != nil ||
				answer.Links["self"] != "/api/v1/users?page=1":
				t.Errorf("%q: %d %s", head, status, body)
			}
		}
		// What the request line says counts for an allowed host, too.
		status, body, err := talk(s, []byte("GET http://localhost:81/api/v1/users HTTP/1.1\r\nHost: forged.example\r\n"+
			"Authorization: Bearer "+apitest.AdminToken+"\r\nConnection: close\r\n\r\n"))
		if err != nil || status != http.StatusOK || !strings.Contains(body, `"http://localhost:81/api/v1/users?page=1"`) {
			t.Errorf("%d %s, %v", status, body, err)
		}
	})
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	public := &url.URL{Scheme: "https", Host: "roster.example.com"}
	for _, test := range []struct {
		site   api.Site
		host   string
		tls    bool
		origin string // "" where it is not known
		base   string
	}{
		{api.Site{}, "localhost:8080", false, "http://localhost:8080", "http://localhost:8080"},
		{api.Site{}, "localhost:8080", true, "https://localhost:8080", "https://localhost:8080"},
		{api.Site{}, "roster.example.com", false, "", ""},
		{api.Site{}, "", false, "", ""},
		{api.Site{AllowedHosts: hosts(t, "r.example")}, "R.example:1", true, "https://r.example:1", "https://r.example:1"},
		// With a public URL, links lead there; the origin still says where the client is.
		{api.Site{PublicURL: public}, "roster.example.com", false, "https://roster.example.com", "https://roster.example.com"},
		{api.Site{PublicURL: public}, "localhost:1", false, "http://localhost:1", "https://roster.example.com"},
		{api.Site{PublicURL: public}, "forged.example", false, "", "https://roster.example.com"},
		{api.Site{PublicURL: public}, "roster.example.com@x", false, "", "https://roster.example.com"},
		{
			api.Site{PublicURL: public, AllowedHosts: hosts(t, "r.example")},
			"r.example", false, "http://r.example", "https://roster.example.com",
		},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Host = test.host
		if test.tls {
			r.TLS = &tls.ConnectionState{}
		}
		origin, known := test.site.Origin(r)
		if origin != test.origin || known != (test.origin != "") || test.site.Base(r) != test.base {
			t.Errorf("%+v: origin %q, %t, base %q", test, origin, known, test.site.Base(r))
		}
	}
}

func hosts(t *testing.T, names ...string) []identity.Host {
	t.Helper()
	parsed := make([]identity.Host, len(names))
	for i, name := range names {
		if err := parsed[i].UnmarshalText([]byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	return parsed
}
