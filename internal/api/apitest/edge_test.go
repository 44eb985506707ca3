package apitest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// bounded has a call of each dialect for each limit, with a body that stays valid when
// spaces fill it up.
var bounded = []struct {
	method, path, body string
	limit              int64
	words              string // part of the answer to a body that is too long
}{
	{"POST", "/api/v2/signin", `{"email":"a@example.com","password":"x"}`, 16 << 10, `"code":"request_entity_too_large"`},
	{"POST", "/api/v2/password/forgot", `{"email":"a@example.com"}`, 16 << 10, `"code":"request_entity_too_large"`},
	{"POST", "/api/v2/groups", `{"name":"x","permissions":[]}`, 1 << 20, `"code":"request_entity_too_large"`},
	{"PUT", "/api/v1/users/1", `{"blocked":false}`, 1 << 20, `"exception":"PostTooLargeException"`},
	{"POST", "/2.0/users/1/synced", `{"connections":[]}`, 256 << 10, `"code":"invalidValue"`},
}

func fill(body string, size int64) string { return body + strings.Repeat(" ", int(size)-len(body)) }

// TestDeclaredBodyOverTheBound checks that the server rejects too large a Content-Length
// before it reads the body or asks for a token, and then closes the connection.
func TestDeclaredBodyOverTheBound(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		var wait sync.WaitGroup
		for _, call := range bounded {
			for _, declared := range []int64{call.limit + 1, 2 << 30} {
				wait.Go(func() {
					status, body, err := announce(s, call.method, call.path, declared)
					if err != nil || status != http.StatusRequestEntityTooLarge || !strings.Contains(body, call.words) ||
						!strings.Contains(body, fmt.Sprintf("at most %d bytes", call.limit)) {
						t.Errorf("%s of %d bytes: %d %s, %v", call.path, declared, status, body, err)
					}
				})
			}
		}
		wait.Wait()
	})
}

// announce sends the head of a request without its body.
func announce(s *apitest.Server, method, path string, length int64) (status int, body string, err error) {
	return talk(s, fmt.Appendf(nil,
		"%s %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", method, path, length))
}

// talk sends bytes and returns the answer after the server has closed the connection.
func talk(s *apitest.Server, request []byte) (status int, body string, err error) {
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", s.HTTP.Listener.Addr().String())
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = conn.Close() }()
	const closeTimeout = time.Minute // the server closes in half a second; a busy machine takes longer
	if err := conn.SetDeadline(time.Now().Add(closeTimeout)); err != nil {
		return 0, "", err
	}
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() { _, _ = conn.Write(request) }) // fails where the server does not read all
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", err
	}
	var timeout net.Error
	if _, err = reader.ReadByte(); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		return 0, "", fmt.Errorf("the connection is held: %w", err)
	}
	_ = conn.Close()
	return response.StatusCode, string(content), nil
}

// TestBodyOverTheBound checks that the server reads a body without a declared length up
// to the limit and no further.
func TestBodyOverTheBound(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		if s.CreateUser("a@example.com") != 1 {
			t.Fatal("the calls are about user 1")
		}
		chunked := func(r *http.Request) { r.ContentLength = -1 }
		for _, call := range bounded {
			for _, options := range [][]apitest.Option{nil, {chunked}} {
				got := s.Do(call.method, call.path, fill(call.body, call.limit), options...)
				if got.Status == http.StatusRequestEntityTooLarge {
					t.Errorf("%s: %d bytes are too many", call.path, call.limit)
				}
				got = s.Do(call.method, call.path, fill(call.body, call.limit+1), options...).
					Want(http.StatusRequestEntityTooLarge)
				if !strings.Contains(string(got.Body), call.words) {
					t.Errorf("%s: %s", call.path, got.Body)
				}
			}
			got := s.Do(call.method, call.path, fill(call.body, 8<<20), chunked).Want(http.StatusRequestEntityTooLarge)
			if len(got.Body) > 1000 {
				t.Errorf("%s: an answer of %d bytes", call.path, len(got.Body))
			}
		}
	})
}

// TestManyLargeBodiesCostLittle checks that twelve anonymous requests of a megabyte full
// of wrong fields cost little memory and get short answers.
func TestManyLargeBodiesCostLittle(t *testing.T) { //nolint:paralleltest // it measures memory
	s := apitest.New(t, storetest.URL(t, "sqlite"))
	var body bytes.Buffer
	body.WriteString(`{"a":1`)
	for i := 0; body.Len() < 1<<20-20; i++ {
		fmt.Fprintf(&body, `,"%x":1`, i)
	}
	body.WriteString(`}`)
	head := "POST /api/v2/signin HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	for name, request := range map[string][]byte{
		"declared": fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n%s", head, body.Len(), body.Bytes()),
		"chunked": fmt.Appendf(nil, "%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
			head, body.Len(), body.Bytes()),
	} {
		used := allocated(func() {
			var wait sync.WaitGroup
			for range 12 {
				wait.Go(func() {
					status, answer, err := talk(s, request)
					if err != nil || status != http.StatusRequestEntityTooLarge || len(answer) > 1000 {
						t.Errorf("%s: %d, %d bytes, %v", name, status, len(answer), err)
					}
				})
			}
			wait.Wait()
		})
		if used > 8<<20 {
			t.Errorf("%s: %d bytes of memory", name, used)
		}
	}
}

// allocated returns how many bytes of memory the process allocates while it calls f.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// wrongRequests are requests with as many wrong fields as possible. The answer has the
// first error, ends in the last one and has so many entries.
var wrongRequests = map[string]struct {
	method, path, body, contentType, first, last string
	entries                                      int
}{
	"unknown keys": {
		method: "PATCH", path: "/api/v2/users/1", body: `{"first":1` + numbered(80_000, `,"k%x":1`) + `}`,
		first: `"field":"first"`, last: "79981 more values are wrong", entries: 21,
	},
	"long list": {
		method: "PATCH", path: "/api/v2/users/1", body: `{"groups":[1` + strings.Repeat(",1", 500_000) + `]}`,
		first: `"groups","code":"too_many"`, entries: 1,
	},
	"long list of nothing": {
		method: "POST", path: "/api/v2/groups",
		body:  `{"name":"x","permissions":[[]` + strings.Repeat(",[]", 300_000) + `]}`,
		first: `"permissions","code":"too_many"`, entries: 1,
	},
	"wrong items": {
		method: "PATCH", path: "/api/v2/users/1", body: `{"ipWhitelist":["x"` + strings.Repeat(`,"x"`, 255) + `]}`,
		first: `"ipWhitelist[0]"`, last: "236 more values are wrong", entries: 21,
	},
	"unknown groups": {
		method: "PATCH", path: "/api/v2/users/1", body: `{"groups":[7` + strings.Repeat(`,7`, 29) + `]}`,
		first: `"groups[0]"`, last: "10 more values are wrong", entries: 21,
	},
	"one too many": {
		method: "PATCH", path: "/api/v2/users/1", body: `{"a":1` + numbered(20, `,"b%d":1`) + `}`,
		first: `"field":"a"`, last: "1 more value is wrong", entries: 21,
	},
	"just enough": {
		method: "PATCH", path: "/api/v2/users/1", body: `{"a":1` + numbered(19, `,"b%d":1`) + `}`,
		first: `"field":"a"`, last: `"b18"`, entries: 20,
	},
	"deep": {
		method: "PATCH", path: "/api/v2/users/1",
		body:  `{"clientTags":[` + strings.Repeat(`[`, 9_000) + strings.Repeat("]", 9_000) + `]}`,
		first: `"clientTags[0]"`, entries: 1,
	},
	"parameters": {
		method: "GET", path: "/api/v2/users?a" + strings.Repeat("&a", 20_000), first: `"query"`, entries: 1,
	},
	"few parameters": {
		method: "GET", path: "/api/v2/users?a" + numbered(200, "&b%d"),
		first: `"field":"a"`, last: "181 more values are wrong", entries: 21,
	},
	"form": {
		method: "POST", path: "/api/v2/introspect", body: "a" + strings.Repeat("&a", 100_000),
		contentType: "application/x-www-form-urlencoded", first: `"query"`, entries: 2,
	},
}

// TestWrongFieldsCostLittle checks that the largest body of an authenticated caller, wrong
// in as many places as possible, gets a short list of errors and costs little memory.
func TestWrongFieldsCostLittle(t *testing.T) { //nolint:paralleltest // it measures memory
	s := apitest.New(t, storetest.URL(t, "sqlite"))
	if s.CreateUser("a@example.com") != 1 {
		t.Fatal("the requests are about user 1")
	}
	for name, test := range wrongRequests {
		var body any // none
		if test.body != "" {
			body = test.body
		}
		var options []apitest.Option
		if test.contentType != "" {
			options = append(options, apitest.Header("Content-Type", test.contentType))
		}
		var answer *apitest.Answer
		used := allocated(func() {
			answer = s.Do(test.method, test.path, body, options...).Want(http.StatusBadRequest)
		})
		var problem struct {
			Errors []struct{ Field, Code, Message string }
		}
		answer.Decode(&problem)
		if text := string(answer.Body); len(problem.Errors) != test.entries || len(text) > 4000 ||
			!strings.Contains(text, test.first) || !strings.Contains(text, test.last) {
			t.Errorf("%s: %d entries in %s", name, len(problem.Errors), text)
		}
		if last := problem.Errors[len(problem.Errors)-1]; (last.Code == "more_errors") != (test.entries == 21) ||
			last.Code == "more_errors" && last.Field != "" {
			t.Errorf("%s: %+v", name, last)
		}
		if used > 24<<20 {
			t.Errorf("%s: %d bytes of memory", name, used)
		}
	}
}

// TestManyErrorsAreFew checks that each dialect lists the first errors and the number of
// the others.
func TestManyErrorsAreFew(t *testing.T) {
	t.Parallel()
	var fields []identity.FieldError
	for i := range 57 {
		fields = append(fields, identity.FieldError{
			Field: fmt.Sprintf("groups[%d]", i), Code: "unknown_group", Message: "is unknown",
		})
	}
	for _, dialect := range app.Dialects(nil, api.Site{}) {
		body := answerOf(t, dialect, identity.InvalidFields(fields)).Body.String()
		if !strings.Contains(body, "groups[19]") || strings.Contains(body, "groups[20]") ||
			!strings.Contains(body, "37 more values are wrong") {
			t.Errorf("%s: %s", dialect.Prefix, body)
		}
	}
}

func numbered(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// TestEncodedSlashIsNowhere checks that a path with an encoded slash has no address, which
// a proxy could read in another way than this service.
func TestEncodedSlashIsNowhere(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("a@example.com")
		record := apitest.UserPath(id) + "/records/tags/a%252Fb"
		s.Do(http.MethodPut, record, `{"attributes":{}}`).Want(http.StatusCreated)
		if got := s.Do(http.MethodGet, record, nil).Want(http.StatusOK).Object()["id"]; got != "a%2Fb" {
			t.Errorf("%v", got)
		}
		s.Do(http.MethodGet, "/api/v2/%75sers/1", nil).Want(http.StatusOK)
		for path, words := range map[string]string{
			"/api/v2%2Fusers":                   `"code":"not_found"`,
			"/api/v2/users%2f1":                 `"code":"not_found"`,
			"/api/v2/users/1%2F":                `"code":"not_found"`,
			"/api/v2/users/%2F":                 `"code":"not_found"`,
			"/api/v2/users/1%2Frecords":         `"code":"not_found"`,
			"/api/v2/users/1/records/tags/a%2F": `"code":"not_found"`,
			"/api/v2/groups/..%2Fusers":         `"code":"not_found"`,
			"/api/v1%2fusers":                   `"exception":"NotFoundHttpException"`,
			"/api/v1/users%2F1":                 `"exception":"NotFoundHttpException"`,
			"/2.0/users%2f1":                    `"code":"notFound"`,
			"/2.0%2fusers":                      `"code":"notFound"`,
			"/docs%2Finit.js":                   `"code":"not_found"`,
			"/%2Fhealthz":                       `"code":"not_found"`,
		} {
			for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPatch} {
				for _, token := range []string{apitest.AdminToken, ""} {
					answer := s.Do(method, path, nil, apitest.As(token)).Want(http.StatusNotFound)
					if !strings.Contains(string(answer.Body), words) || answer.Header.Get("Allow") != "" {
						t.Errorf("%s %s: %v %s", method, path, answer.Header, answer.Body)
					}
				}
			}
		}
		s.Do(http.MethodGet, apitest.UserPath(id), nil).Want(http.StatusOK)
	})
}

// TestPublicRoutesAreForNoOtherSite checks that public routes reject the requests that a
// page of another site can make a browser send.
func TestPublicRoutesAreForNoOtherSite(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		n := 0
		for _, dialect := range app.Dialects(nil, api.Site{}) {
			for _, route := range dialect.Routes {
				if !route.Public {
					continue
				}
				n++
				path := dialect.Prefix + route.Path
				for _, contentType := range []string{
					"", "application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x",
					"application/merge-patch+json",
					"application/json; charset=latin1", "text/plain; application/json", "application/json, text/plain",
					"application/jsonp",
				} {
					s.Do(route.Method, path, `{"x":1}`, apitest.As(""), apitest.Header("Content-Type", contentType)).
						WantProblem(http.StatusUnsupportedMediaType, "unsupported_media_type")
				}
				for _, contentType := range []string{
					"application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8",
				} {
					s.Do(route.Method, path, `{`, apitest.As(""), apitest.Header("Content-Type", contentType)).
						WantProblem(http.StatusBadRequest, "malformed_json")
				}
				for site, status := range map[string]int{
					"cross-site": 403, "same-origin": 400, "same-site": 400, "none": 400, "": 400,
				} {
					s.Do(route.Method, path, `{`, apitest.As(""), apitest.Header("Sec-Fetch-Site", site)).Want(status)
				}
				s.Do(route.Method, path, `{`, apitest.As(""), apitest.Header("Sec-Fetch-Site", "cross-site")).
					WantProblem(http.StatusForbidden, "cross_site_request")
			}
		}
		if n == 0 {
			t.Error("no route is public")
		}
		// The page of another site has no token.
		s.Do(http.MethodGet, "/api/v2/users", nil, apitest.Header("Sec-Fetch-Site", "cross-site")).Want(http.StatusOK)
	})
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		https, http := s.At("https://roster.example.com"), s.At("http://roster.example.com")
		for _, path := range []string{
			"/api/v2/users", "/api/v1/users", "/2.0/users", "/healthz", "/readyz", "/docs",
			"/openapi.yaml", "/openapi/powens.yaml", "/password/reset", "/nowhere",
		} {
			for _, token := range []string{apitest.AdminToken, "wrong"} {
				for server, want := range map[*apitest.Server]string{s: "", http: "", https: "max-age=31536000"} {
					header := server.Do("GET", path, nil, apitest.As(token)).Header
					if header.Get("Referrer-Policy") != "no-referrer" || header.Get("Strict-Transport-Security") != want ||
						header.Get("X-Content-Type-Options") != "nosniff" {
						t.Errorf("%s: %v", path, header)
					}
				}
			}
		}
	})
}

// TestResetPageIsWhereMailsLead checks that the HTTP server has the page whose address
// the service writes in mails.
func TestResetPageIsWhereMailsLead(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		page := s.Do(http.MethodGet, service.ResetPath, nil, apitest.As("")).Want(http.StatusOK)
		if !strings.Contains(string(page.Body), "<form") {
			t.Errorf("%s", page.Body)
		}
	})
}
