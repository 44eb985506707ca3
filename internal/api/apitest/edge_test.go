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
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// bounded has a call with a body of each dialect and each bound, with a body that
// is as good as any once it is filled up with spaces.
var bounded = []struct {
	method, path, body string
	most               int64
	words              string // of the dialect, for a body that is too long
}{
	{
		"POST", "/api/v2/signin", `{"email":"a@example.com","password":"x"}`, 16 << 10,
		`"code":"request_entity_too_large"`,
	},
	{"POST", "/api/v2/password/forgot", `{"email":"a@example.com"}`, 16 << 10, `"code":"request_entity_too_large"`},
	{"POST", "/api/v2/groups", `{"name":"x","permissions":[]}`, 1 << 20, `"code":"request_entity_too_large"`},
	{"PUT", "/api/v1/users/1", `{"blocked":false}`, 1 << 20, `"exception":"PostTooLargeException"`},
	{"POST", "/2.0/users/1/synced", `{"connections":[]}`, 256 << 10, `"code":"invalidValue"`},
}

func fill(body string, size int64) string { return body + strings.Repeat(" ", int(size)-len(body)) }

// TestDeclaredBodyOverTheBound: who announces too long a body is told so before a
// byte of it is read and before anyone asks for a token, and then let go of.
func TestDeclaredBodyOverTheBound(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		var wait sync.WaitGroup
		for _, call := range bounded {
			for _, declared := range []int64{call.most + 1, 2 << 30} {
				wait.Go(func() {
					status, body, err := announce(s, call.method, call.path, declared)
					if err != nil || status != http.StatusRequestEntityTooLarge ||
						!strings.Contains(body, call.words) ||
						!strings.Contains(body, fmt.Sprintf("at most %d bytes", call.most)) {
						t.Errorf("%s of %d bytes: %d %s, %v", call.path, declared, status, body, err)
					}
				})
			}
		}
		wait.Wait()
	})
}

// announce sends the head of a request, never its body.
func announce(s *apitest.Server, method, path string, length int64) (status int, body string, err error) {
	return talk(s, fmt.Appendf(nil,
		"%s %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		method, path, length))
}

// talk sends bytes and returns the answer, once the server has closed the
// connection. All of that takes seconds at most.
func talk(s *apitest.Server, request []byte) (status int, body string, err error) {
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", s.HTTP.Listener.Addr().String())
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = conn.Close() }()
	const moment = 5 * time.Second // half of a second, on a machine that has other things to do
	if err := conn.SetDeadline(time.Now().Add(moment)); err != nil {
		return 0, "", err
	}
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() { _, _ = conn.Write(request) }) // what is not read is not taken
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

// TestBodyOverTheBound: one that says nothing of its length is read up to the
// bound and no further.
func TestBodyOverTheBound(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		if s.CreateUser("a@example.com") != 1 {
			t.Fatal("the calls are about user 1")
		}
		chunked := func(r *http.Request) { r.ContentLength = -1 }
		for _, call := range bounded {
			for _, options := range [][]apitest.Option{nil, {chunked}} {
				if got := s.Do(call.method, call.path, fill(call.body, call.most),
					options...); got.Status == http.StatusRequestEntityTooLarge {
					t.Errorf("%s: %d bytes are too many", call.path, call.most)
				}
				got := s.Do(call.method, call.path, fill(call.body, call.most+1), options...).
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

// TestManyLargeBodiesCostLittle: twelve strangers who send a megabyte each, made
// to fill an answer with errors, cost neither memory nor a long answer.
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
		"chunked": fmt.Appendf(nil, "%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", head, body.Len(),
			body.Bytes()),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var wait sync.WaitGroup
		for range 12 {
			wait.Go(func() {
				if status, answer, err := talk(s, request); err != nil || status != http.StatusRequestEntityTooLarge ||
					len(answer) > 1000 {
					t.Errorf("%s: %d, %d bytes, %v", name, status, len(answer), err)
				}
			})
		}
		wait.Wait()
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
			t.Errorf("%s: %d bytes of memory", name, used)
		}
	}
}

// TestWrongFieldsCostLittle: as large a body as a caller with a token may send, made
// to be wrong in as many places as can be, is answered with a short list.
func TestWrongFieldsCostLittle(t *testing.T) { //nolint:paralleltest // it measures memory
	s := apitest.New(t, storetest.URL(t, "sqlite"))
	id := s.CreateUser("a@example.com")
	for name, test := range map[string]struct {
		method, path, body, first, last string
		entries                         int
	}{
		"unknown keys": {
			"PATCH", apitest.UserPath(id), `{"first":1` + numbered(80_000, `,"k%x":1`) + `}`,
			`"field":"first"`, "79981 more values are wrong", 21,
		},
		"long list": {
			"PATCH", apitest.UserPath(id), `{"groups":[1` + strings.Repeat(",1", 500_000) + `]}`,
			`"groups","code":"too_many"`, "", 1,
		},
		"long list of nothing": {
			"POST", "/api/v2/groups", `{"name":"x","permissions":[[]` + strings.Repeat(",[]", 300_000) + `]}`,
			`"permissions","code":"too_many"`, "", 1,
		},
		"wrong items": {
			"PATCH", apitest.UserPath(id), `{"ipWhitelist":["x"` + strings.Repeat(`,"x"`, 255) + `]}`,
			`"ipWhitelist[0]"`, "236 more values are wrong", 21,
		},
		"unknown groups": {
			"PATCH", apitest.UserPath(id), `{"groups":[7` + strings.Repeat(`,7`, 29) + `]}`, `"groups[0]"`,
			"10 more values are wrong", 21,
		},
		"one too many": {
			"PATCH", apitest.UserPath(id), `{"a":1` + numbered(20, `,"b%d":1`) + `}`, `"field":"a"`,
			"1 more value is wrong", 21,
		},
		"just enough": {
			"PATCH", apitest.UserPath(id), `{"a":1` + numbered(19, `,"b%d":1`) + `}`, `"field":"a"`, `"b18"`,
			20,
		},
		"deep": {"PATCH", apitest.UserPath(id), `{"clientTags":[` + strings.Repeat(`[`,
			9_000) + strings.Repeat("]", 9_000) + `]}`, `"clientTags[0]"`, "", 1},
		"parameters": {"GET", "/api/v2/users?a" + strings.Repeat("&a", 20_000), "", `"query"`, "", 1},
		"few parameters": {
			"GET", "/api/v2/users?a" + numbered(200, "&b%d"), "", `"field":"a"`, "181 more values are wrong",
			21,
		},
		"form": {"POST", "/api/v2/introspect", "a" + strings.Repeat("&a", 100_000), `"query"`, "", 2},
	} {
		request := []byte(nil)
		if test.body != "" {
			request = []byte(test.body)
		}
		var options []apitest.Option
		if name == "form" {
			options = append(options, apitest.Header("Content-Type", "application/x-www-form-urlencoded"))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		answer := s.Do(test.method, test.path, request, options...).Want(http.StatusBadRequest)
		runtime.ReadMemStats(&after)
		var problem struct {
			Errors []struct{ Field, Code, Message string }
		}
		answer.Decode(&problem)
		if len(problem.Errors) != test.entries || len(answer.Body) > 4000 ||
			!strings.Contains(string(answer.Body), test.first) ||
			!strings.Contains(string(answer.Body), test.last) {
			t.Errorf("%s: %d entries in %s", name, len(problem.Errors), answer.Body)
		}
		if last := problem.Errors[len(problem.Errors)-1]; (last.Code == "more_errors") != (test.entries == 21) ||
			last.Code == "more_errors" && last.Field != "" {
			t.Errorf("%s: %+v", name, last)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 24<<20 {
			t.Errorf("%s: %d bytes of memory", name, used)
		}
	}
}

// TestManyErrorsAreFew: each dialect tells of the first errors, and of how many
// there are besides.
func TestManyErrorsAreFew(t *testing.T) {
	t.Parallel()
	var fields []identity.FieldError
	for i := range 57 {
		fields = append(fields, identity.FieldError{
			Field: fmt.Sprintf("groups[%d]", i), Code: "unknown_group",
			Message: "is unknown",
		})
	}
	for _, dialect := range app.Dialects(nil, nil) {
		recorder := httptest.NewRecorder()
		c := echo.New().NewContext(httptest.NewRequestWithContext(t.Context(), http.MethodGet, dialect.Prefix+"/users",
			http.NoBody), recorder)
		if err := dialect.Answer(c, identity.InvalidFields(fields)); err != nil {
			t.Errorf("%s: %v", dialect.Prefix, err)
		}
		body := recorder.Body.String()
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

// TestEncodedSlashIsNowhere: a proxy and this service must not take one path for
// two addresses.
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

// TestPublicRoutesAreForNoOtherSite: what a page of another site can make a browser
// send is refused before it is looked at.
func TestPublicRoutesAreForNoOtherSite(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		n := 0
		for _, dialect := range app.Dialects(nil, nil) {
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
					"application/json", "application/json; charset=utf-8",
					"Application/JSON;charset=UTF-8",
				} {
					s.Do(route.Method, path, `{`, apitest.As(""), apitest.Header("Content-Type", contentType)).
						WantProblem(http.StatusBadRequest, "malformed_json")
				}
				for site, status := range map[string]int{
					"cross-site": 403, "same-origin": 400, "same-site": 400, "none": 400,
					"": 400,
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
		// A token is what another site's page does not have.
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
					if header.Get("Referrer-Policy") != "no-referrer" ||
						header.Get("Strict-Transport-Security") != want ||
						header.Get("X-Content-Type-Options") != "nosniff" {
						t.Errorf("%s: %v", path, header)
					}
				}
			}
		}
	})
}

// TestResetPageIsWhereMailsLead: the service writes the address of a page that the
// HTTP server has.
func TestResetPageIsWhereMailsLead(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		page := s.Do(http.MethodGet, service.ResetPath, nil, apitest.As("")).Want(http.StatusOK)
		if !strings.Contains(string(page.Body), "<form") {
			t.Errorf("%s", page.Body)
		}
	})
}
