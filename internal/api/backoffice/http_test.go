package backoffice_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

func TestMalformedBodies(t *testing.T) {
	t.Parallel()
	valid := `{"name":"Mary","email":"a@example.com","password":"MySecret123","active":true,"tfa":false,"groups":[]`
	tests := map[string]struct {
		body   string
		code   string
		fields []string
	}{
		"empty":              {"", "malformed_json", nil},
		"blank":              {" \n", "malformed_json", nil},
		"not JSON":           {"name=Mary", "malformed_json", nil},
		"null":               {"null", "malformed_json", nil},
		"array":              {"[" + valid + "}]", "malformed_json", nil},
		"string":             {`"x"`, "malformed_json", nil},
		"number":             {`5`, "malformed_json", nil},
		"cut off":            {valid, "malformed_json", nil},
		"trailing comma":     {valid + ",}", "malformed_json", nil},
		"trailing text":      {valid + "} x", "malformed_json", nil},
		"two objects":        {valid + "}{}", "malformed_json", nil},
		"comment":            {valid + "/* */}", "malformed_json", nil},
		"single quotes":      {`{'name':'x'}`, "malformed_json", nil},
		"NaN":                {`{"name":NaN}`, "malformed_json", nil},
		"byte order mark":    {"\uFEFF" + valid + "}", "malformed_json", nil},
		"invalid UTF-8":      {"{\"name\":\"\xff\"}", "malformed_json", nil},
		"overlong UTF-8":     {"{\"name\":\"\xc0\xaf\"}", "malformed_json", nil},
		"invalid UTF-8 key":  {"{\"na\xffme\":\"x\"}", "malformed_json", nil},
		"raw NUL":            {"{\"name\":\"a\x00b\"}", "malformed_json", nil},
		"escaped NUL":        {`{"name":"a\u0000b"}`, "validation_failed", []string{"name"}},
		"escaped NUL in key": {`{"na\u0000me":"x"}`, "validation_failed", []string{"na\x00me"}},
		"escaped NUL in tag": {
			`{"clientTags":["x",{"name":"\u0000"}]}`, "validation_failed",
			[]string{"clientTags[1]"},
		},
		"escaped NUL for id":  {`{"groups":["\u0000"]}`, "validation_failed", []string{"groups[0]"}},
		"escaped NUL in list": {`{"groups":"\u0000"}`, "validation_failed", []string{"groups"}},
		"high surrogate":      {`{"name":"\ud800"}`, "malformed_json", nil},
		"low surrogate":       {`{"name":"\udc00x"}`, "malformed_json", nil},
		"wrong pair":          {`{"name":"\ud800\u0041"}`, "malformed_json", nil},
		"deep": {
			strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000), "malformed_json",
			nil,
		},
		"deep array": {
			`{"groups":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}",
			"validation_failed",
			[]string{"groups[0]"},
		},
		"duplicate":           {valid + `,"active":false}`, "validation_failed", []string{"active"}},
		"duplicate escaped":   {valid + `,"\u0061ctive":false}`, "validation_failed", []string{"active"}},
		"duplicate in object": {valid + `,"clientTags":[{"id":1,"id":2}]}`, "validation_failed", []string{"id"}},
		"huge number":         {`{"groups":[99999999999999999999]}`, "validation_failed", []string{"groups[0]"}},
		"huge exponent":       {`{"groups":[1e400]}`, "validation_failed", []string{"groups[0]"}},
		"long key": {
			`{"` + strings.Repeat("k", 500) + `":1}`, "validation_failed",
			[]string{strings.Repeat("k", 64) + "…"},
		},
	}
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("kept@example.com")
		for name, test := range tests {
			t.Log(name)
			s.Do(http.MethodPatch, apitest.UserPath(id), test.body).
				WantProblem(http.StatusBadRequest, test.code, test.fields...)
			if test.code == "malformed_json" {
				s.Do(http.MethodPost, apitest.UsersPath, test.body).WantProblem(http.StatusBadRequest, test.code)
				s.Do(http.MethodPost, "/api/v2/groups", test.body).WantProblem(http.StatusBadRequest, test.code)
				s.Do(http.MethodPost, "/api/v2/tokens", test.body).WantProblem(http.StatusBadRequest, test.code)
			}
		}
		for name, want := range map[string]string{
			`\ud83d\ude00 x`: "😀 x", `\\u0000`: `\u0000`, `a\u00e4\/`: "aä/",
		} {
			got := s.Do(http.MethodPatch, apitest.UserPath(id), `{"name":"`+name+`"}`).Want(http.StatusOK).
				Object()["name"]
			if got != want {
				t.Errorf("%s: %s", name, got)
			}
		}
	})
}

func TestBodySize(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("a@example.com")
		fill := func(size int) string { return `{"name":"x"` + strings.Repeat(" ", size-12) + `}` }
		s.Do(http.MethodPatch, apitest.UserPath(id), fill(1<<20)).Want(http.StatusOK)
		for _, size := range []int{1<<20 + 1, 8 << 20, 40 << 20} {
			if size > 16<<20 {
				continue // the connection may be cut before the answer can be read
			}
			s.Do(http.MethodPatch, apitest.UserPath(id), fill(size)).
				WantProblem(http.StatusRequestEntityTooLarge, "request_entity_too_large")
			s.Do(http.MethodPost, apitest.UsersPath, fill(size)).
				WantProblem(http.StatusRequestEntityTooLarge, "request_entity_too_large")
		}
	})
}

func TestMediaTypes(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		path := apitest.UserPath(s.CreateUser("a@example.com"))
		contentType := func(value string) apitest.Option { return apitest.Header("Content-Type", value) }
		for _, good := range []string{
			"", "application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8",
			"Application/JSON",
			"application/merge-patch+json", "application/x-www-form-urlencoded",
		} {
			s.Do(http.MethodPatch, path, ` {"name":"B"}`, contentType(good)).Want(http.StatusOK)
		}
		for _, bad := range []string{
			"text/plain", "application/xml", "multipart/form-data; boundary=x", "application/json; charset=latin1",
			"json", "*/*", "application/octet-stream",
		} {
			s.Do(http.MethodPatch, path, `{"name":"C"}`, contentType(bad)).
				WantProblem(http.StatusUnsupportedMediaType, "unsupported_media_type")
			s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("b@example.com"), contentType(bad)).
				WantProblem(http.StatusUnsupportedMediaType, "unsupported_media_type")
		}
		for _, form := range []string{"name=C", "%7B%22name%22%3A%22C%22%7D", `[{"name":"C"}]`, ""} {
			s.Do(http.MethodPatch, path, form, asCurl).
				WantProblem(http.StatusUnsupportedMediaType, "unsupported_media_type")
		}
		s.Do(http.MethodPatch, path, `{"name":}`, asCurl).WantProblem(http.StatusBadRequest, "malformed_json")
		s.Do(http.MethodPatch, path, `{"name":"C"}`, apitest.Header("Content-Encoding", "gzip")).
			WantProblem(http.StatusUnsupportedMediaType, "unsupported_media_type")
		if name := s.Do(http.MethodGet, path, nil).Object()["name"]; name != "B" {
			t.Errorf("name %v", name)
		}
	})
}

func TestAccept(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		path := apitest.UserPath(s.CreateUser("a@example.com"))
		accept := func(value string) apitest.Option { return apitest.Header("Accept", value) }
		for _, good := range []string{
			"*/*", "application/json", "application/*", "text/html, application/json;q=0.1", "text/html,*/*;q=0.8",
			"application/json; charset=utf-8",
		} {
			answer := s.Do(http.MethodGet, path, nil, accept(good)).Want(http.StatusOK)
			if got := answer.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %s", got)
			}
		}
		for _, bad := range []string{
			"text/html", "application/xml", "application/json;q=0",
			"*/*, application/json;q=0", "text/*",
		} {
			s.Do(http.MethodGet, path, nil, accept(bad)).WantProblem(http.StatusNotAcceptable, "not_acceptable")
			s.Do(http.MethodDelete, path, nil, accept(bad)).WantProblem(http.StatusNotAcceptable, "not_acceptable")
		}
		s.Do(http.MethodGet, path, nil).Want(http.StatusOK)
	})
}

func TestMethods(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		allowed := map[string][]string{
			apitest.UsersPath:         {"GET", "HEAD", "OPTIONS", "POST"},
			apitest.UsersPath + "/1":  {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "PUT"},
			apitest.UsersPath + "/me": {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "PUT"},
			"/api/v2/groups":          {"GET", "HEAD", "OPTIONS", "POST"},
			"/api/v2/groups/1":        {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "PUT"},
			"/api/v2/tokens":          {"GET", "HEAD", "OPTIONS", "POST"},
			"/api/v2/tokens/1":        {"DELETE", "GET", "HEAD", "OPTIONS"},
			"/healthz":                {"GET", "HEAD", "OPTIONS"},
			"/readyz":                 {"GET", "HEAD", "OPTIONS"},
			"/openapi.yaml":           {"GET", "HEAD", "OPTIONS"},
			"/openapi.json":           {"GET", "HEAD", "OPTIONS"},
			"/docs":                   {"GET", "HEAD", "OPTIONS"},
			"/api/v2/nothing":         nil,
			"/api/v2":                 nil,
			"/api/v2/users/1/2":       nil,
			"/api/v2/groups/1/x":      nil,
			"/api/v3/users":           nil,
			"/metrics":                nil,
			"/debug/pprof/":           nil,
			"/api/v2/../v2/users":     nil,
		}
		for path, methods := range allowed {
			for _, method := range []string{
				"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO", "get",
				"PROPFIND", "CONNECT",
			} {
				if slices.Contains(methods, method) || method == "CONNECT" && methods == nil {
					continue
				}
				for _, as := range []string{apitest.AdminToken, ""} {
					answer := s.Do(method, path, nil, apitest.As(as))
					if methods == nil {
						answer.Want(http.StatusNotFound)
						continue
					}
					answer.Want(http.StatusMethodNotAllowed)
					got := strings.Split(answer.Header.Get("Allow"), ", ")
					slices.Sort(got)
					if !slices.Equal(got, methods) {
						t.Errorf("%s %s: Allow %v, want %v", method, path, got, methods)
					}
					if method != "HEAD" {
						answer.WantProblem(http.StatusMethodNotAllowed, "method_not_allowed")
					}
				}
			}
		}
		head := s.Do(http.MethodHead, apitest.UsersPath, nil).Want(http.StatusOK)
		get := s.Do(http.MethodGet, apitest.UsersPath, nil).Want(http.StatusOK)
		if len(head.Body) != 0 || head.Header.Get("Content-Length") != fmt.Sprint(len(get.Body)) {
			t.Errorf("HEAD: %d bytes, Content-Length %s", len(head.Body), head.Header.Get("Content-Length"))
		}
	})
}

func TestHeadersOfAnswers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		answer := s.Do(http.MethodGet, apitest.UsersPath, nil, apitest.Header("Origin", "https://evil.example")).
			Want(http.StatusOK)
		for header, want := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": "",
			"Server": "",
		} {
			if got := answer.Header.Get(header); got != want {
				t.Errorf("%s: %q", header, got)
			}
		}
		given := s.Do(http.MethodGet, apitest.UsersPath, nil, apitest.Header("X-Request-Id", "abc-123"))
		if got := given.Header.Get("X-Request-Id"); got != "abc-123" {
			t.Errorf("request id %q", got)
		}
		for _, bad := range []string{"a b", `"><script>`, strings.Repeat("x", 129)} {
			got := s.Do(http.MethodGet, apitest.UsersPath, nil, apitest.Header("X-Request-Id", bad)).
				Header.Get("X-Request-Id")
			if got == bad || got == "" {
				t.Errorf("request id %q", got)
			}
		}
	})
}
