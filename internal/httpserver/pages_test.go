package httpserver

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
)

func getDocs(t *testing.T, method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	e := echo.New()
	registerPages(e, []api.Dialect{
		{Contract: []byte("openapi: first")}, {Name: "other", Contract: []byte("openapi: other")},
	}, "docs", "console")
	req := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	e.ServeHTTP(rec, req)
	return rec
}

func TestDocs(t *testing.T) {
	for path, want := range map[string]struct{ contentType, content string }{
		"/openapi.yaml":              {"application/yaml", "openapi: first"},
		"/openapi/other.yaml":        {"application/yaml", "openapi: other"},
		"/openapi.json":              {"application/json", `{"openapi":"first"}`},
		"/openapi/other.json":        {"application/json", `{"openapi":"other"}`},
		"/docs":                      {"text/html; charset=utf-8", `<div id="swagger-ui">`},
		"/password/reset":            {"text/html; charset=utf-8", `<form id="form">`},
		"/password/reset.js":         {"text/javascript; charset=utf-8", "/api/v2/password/reset"},
		"/password/reset.css":        {"text/css; charset=utf-8", "main"},
		"/docs/init.js":              {"text/javascript; charset=utf-8", `: "openapi.yaml"`},
		"/docs/swagger-ui-bundle.js": {"text/javascript; charset=utf-8", "SwaggerUIBundle"},
		"/docs/swagger-ui.css":       {"text/css; charset=utf-8", ".swagger-ui"},
		"/docs/swagger-ui.LICENSE.txt": {
			"text/plain; charset=utf-8", "Apache License",
		},
	} {
		plain := getDocs(t, http.MethodGet, path)
		content := plain.Body.Bytes()
		if plain.Code != http.StatusOK || !strings.Contains(string(content), want.content) {
			t.Errorf("%s: %d, without %q", path, plain.Code, want.content)
		}
		if got := plain.Header().Get("Content-Encoding"); got != "" {
			t.Errorf("%s: Content-Encoding %q for a client that did not ask", path, got)
		}

		zipped := getDocs(t, http.MethodGet, path, "Accept-Encoding", "br, gzip;q=0.8")
		if got := zipped.Header().Get("Content-Encoding"); got != "gzip" {
			t.Errorf("%s: Content-Encoding %q, want gzip", path, got)
		}
		if !bytes.Equal(decompress(zipped.Body.Bytes()), content) {
			t.Errorf("%s: compressed and plain differ", path)
		}

		head := getDocs(t, http.MethodHead, path)
		if head.Body.Len() != 0 || head.Code != http.StatusOK {
			t.Errorf("HEAD %s: %d or a body", path, head.Code)
		}
		known := getDocs(t, http.MethodGet, path, "If-None-Match", plain.Header().Get("ETag"))
		if known.Code != http.StatusNotModified {
			t.Errorf("%s: %d for a known ETag, want 304", path, known.Code)
		}
		if plain.Header().Get("ETag") == zipped.Header().Get("ETag") {
			t.Errorf("%s: the ETag is the same with and without gzip", path)
		}

		for _, res := range []*httptest.ResponseRecorder{plain, zipped, head} {
			for name, value := range map[string]string{
				"Content-Type":            want.contentType,
				"X-Content-Type-Options":  "nosniff",
				"Content-Security-Policy": pagePolicy,
				"Vary":                    "Accept-Encoding",
			} {
				if got := res.Header().Get(name); got != value {
					t.Errorf("%s: %s: %q, want %q", path, name, got, value)
				}
			}
		}
	}
}

// TestPagesPostNoForms checks that no page has a form that posts, because the policy
// forbids it.
func TestRootLeadsToDocs(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		// Relative, for proxies that serve Roster below a path.
		if rec := getDocs(t, method, "/"); rec.Code != http.StatusFound || rec.Header().Get("Location") != "docs" {
			t.Errorf("%s: %d, Location %q", method, rec.Code, rec.Header().Get("Location"))
		}
	}
}

func TestPagesPostNoForms(t *testing.T) {
	for _, path := range []string{"/docs", "/password/reset"} {
		page := getDocs(t, http.MethodGet, path)
		if !strings.Contains(page.Header().Get("Content-Security-Policy"), "form-action 'none'") {
			t.Errorf("%s: %v", path, page.Header())
		}
		if regexp.MustCompile(`(?i)\b(form)?(action|method)=`).MatchString(page.Body.String()) {
			t.Errorf("%s posts a form: %s", path, page.Body)
		}
	}
}

func TestDocsHasNothingElse(t *testing.T) {
	for _, path := range []string{
		"/docs/", "/docs/index.html", "/docs/nothing.js", "/docs/..%2fdocs.go", "/docs/swagger-ui.css.gz",
	} {
		if res := getDocs(t, http.MethodGet, path); res.Code != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, res.Code)
		}
	}
}

// TestDocsPageFollowsItsPolicy checks that the page has no inline scripts and styles,
// which the policy forbids, and that its files exist.
func TestDocsPageFollowsItsPolicy(t *testing.T) {
	page := getDocs(t, http.MethodGet, "/docs").Body.String()
	if regexp.MustCompile(`<style|style=|<script>|\son\w+=|https?:`).MatchString(page) {
		t.Errorf("inline code, or something from elsewhere, in\n%s", page)
	}
	links := regexp.MustCompile(`(?:src|href)="(docs/[^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(links) != 3 {
		t.Errorf("%d files, want 3", len(links))
	}
	for _, link := range links {
		if res := getDocs(t, http.MethodGet, "/"+link[1]); res.Code != http.StatusOK {
			t.Errorf("%s: %d", link[1], res.Code)
		}
	}
}

// TestResetPageLeadsToSignIn checks the link of the page of a mailed link, and that there is
// none where nobody can sign in by a page.
func TestResetPageLeadsToSignIn(t *testing.T) {
	for signIn, want := range map[string]string{"console": `<a id="signin" href="../console">`, "": ""} {
		e := echo.New()
		registerPages(e, []api.Dialect{{Contract: []byte("openapi: first")}}, "docs", signIn)
		rec := httptest.NewRecorder()
		e.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/password/reset", http.NoBody))
		if !strings.Contains(rec.Body.String(), want) || strings.Contains(rec.Body.String(), "signin") != (signIn != "") ||
			strings.Contains(rec.Body.String(), linkMark) {
			t.Errorf("%q: %s", signIn, rec.Body)
		}
	}
}

func TestAcceptsGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "br, gzip": true, "gzip;q=0.5": true, "gzip; q=1.0": true,
		"gzip;q=0": false, "br, gzip; q=0.000": false, "x-gzip": false, "identity": false,
	} {
		if got := acceptsGzip(header); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}
