package ephemeral_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/ephemeral"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var newYear = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func start(t testing.TB, o ephemeral.Options) *ephemeral.Double {
	t.Helper()
	d, err := ephemeral.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// do sends a request to a double. Headers are name and value in turn.
func do(t testing.TB, d *ephemeral.Double, method, path, body string, headers ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, d.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+d.Token)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			request.Host = headers[i+1]
		}
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(content))
}

const newUser = `{"name":"Ann","email":"ann@example.com","active":true,"tfa":false,"groups":[],"invite":true}`

// TestControl goes through the paths below /_test.
func TestControl(t *testing.T) {
	t.Parallel()
	d := start(t, ephemeral.Options{Clock: newYear})
	for _, path := range []string{"/_test/mails", "/_test/webhooks", "/_test/mails?to=x@example.com&after=7&wait=1ms"} {
		if status, body := do(t, d, http.MethodGet, path, ""); status != http.StatusOK || body != "[]" {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	waited := make(chan string)
	go func() {
		_, body := do(t, d, http.MethodGet, "/_test/mails?to=ANN@example.com&wait=30s", "")
		waited <- body
	}()
	if status, body := do(t, d, http.MethodPost, "/api/v2/users", newUser); status != http.StatusCreated {
		t.Fatal(body)
	}
	var mails []ephemeral.Mail
	if err := json.Unmarshal([]byte(<-waited), &mails); err != nil || len(mails) != 1 || mails[0].Kind != "invitation" ||
		!strings.Contains(mails[0].Text, mails[0].Link) || !mails[0].SentAt.Equal(newYear) {
		t.Errorf("%+v, %v", mails, err)
	}
	if _, body := do(t, d, http.MethodGet, "/_test/mails?after=1", ""); body != "[]" {
		t.Error(body)
	}
	for _, step := range []struct{ body, want string }{
		{`{"advance":"1h30m"}`, `{"now":"2026-01-01T01:30:00Z"}`},
		{`{"now":"2027-01-01T00:00:00+01:00"}`, `{"now":"2026-12-31T23:00:00Z"}`},
		{`{"advance":"0s"}`, `{"now":"2026-12-31T23:00:00Z"}`},
	} {
		status, body := do(t, d, http.MethodPost, "/_test/clock", step.body)
		if status != http.StatusOK || body != step.want {
			t.Errorf("%s: %d %s", step.body, status, body)
		}
	}
	if status, body := do(t, d, http.MethodPost, "/_test/faults", `{"smtp":"down"}`); status != http.StatusOK ||
		body != `{"smtp":"down","webhooks":"","database":0}` {
		t.Errorf("%d %s", status, body)
	}
	if status, body := do(t, d, http.MethodPost, "/_test/reset", ""); status != http.StatusNoContent || body != "" {
		t.Errorf("%d %s", status, body)
	}
	for path, want := range map[string]string{
		"/_test/mails": "[]", "/_test/clock": `{"now":"2026-01-01T00:00:00Z"}`,
		"/_test/faults": `{"smtp":"","webhooks":"","database":0}`,
	} {
		if _, body := do(t, d, http.MethodGet, path, ""); body != want {
			t.Errorf("%s after a reset: %s", path, body)
		}
	}
}

// TestControlRefuses checks that bad input changes nothing and gets an error that names what is
// wrong.
func TestControlRefuses(t *testing.T) {
	t.Parallel()
	d := start(t, ephemeral.Options{Clock: newYear})
	const clock, faults = "/_test/clock", "/_test/faults"
	for _, test := range []struct{ method, path, body, want string }{
		{http.MethodPost, clock, `{"advance":"-1h"}`, "forward only"},
		{http.MethodPost, clock, `{"now":"2025-12-31T23:59:59Z"}`, "forward only"},
		{http.MethodPost, clock, `{"now":"9999-01-01T00:00:00Z"}`, "before the year 9000"},
		{http.MethodPost, clock, `{"advance":"2562047h"}`, ""},
		{http.MethodPost, clock, `{"advance":"2562047h"}`, "290 years"},
		{http.MethodPost, clock, `{"advance":"1 day"}`, "advance must be a duration"},
		{http.MethodPost, clock, `{"advance":"1h","now":"2027-01-01T00:00:00Z"}`, "either"},
		{http.MethodPost, clock, `{}`, "either"},
		{http.MethodPost, clock, `{"now":"tomorrow"}`, "now must be a time"},
		{http.MethodPost, clock, `{"advance":1}`, "advance must not be a JSON number"},
		{http.MethodPost, clock, `{"forward":"1h"}`, `no field "forward"`},
		{http.MethodPost, clock, `{"advance":"1h"} {}`, "one JSON object"},
		{http.MethodPost, clock, `[`, "JSON object"},
		{http.MethodPost, clock, ``, "JSON object"},
		{http.MethodPost, faults, `{"smtp":"slow"}`, `smtp must be "down"`},
		{http.MethodPost, faults, `{"webhooks":"down"}`, `webhooks must be "hang"`},
		{http.MethodPost, faults, `{"database":-1}`, "database must be"},
		{http.MethodGet, "/_test/mails?two=x", "", `no parameter "two"`},
		{http.MethodGet, "/_test/mails?to=x&to=y", "", "to must be given once"},
		{http.MethodGet, "/_test/mails?wait=61s", "", "wait must be"},
		{http.MethodGet, "/_test/mails?wait=5", "", "wait must be"},
		{http.MethodGet, "/_test/webhooks?after=-1", "", "after must be"},
		{http.MethodGet, "/_test/webhooks?after=x%zz", "", "query"},
		{http.MethodDelete, "/_test/mails", "", "there are GET mails"},
		{http.MethodGet, "/_test", "", "there are GET mails"},
	} {
		status, body := do(t, d, test.method, test.path, test.body)
		if wrong := status >= 400 && status < 500 && strings.Contains(body, `"error":`); wrong != (test.want != "") ||
			!strings.Contains(strings.ReplaceAll(body, `\"`, `"`), test.want) {
			t.Errorf("%s %s %s: %d %s", test.method, test.path, test.body, status, body)
		}
	}
	if _, body := do(t, d, http.MethodGet, faults, ""); body != `{"smtp":"","webhooks":"","database":0}` {
		t.Error(body)
	}
}

// TestOnlyThisMachine checks that a double listens on loopback only.
func TestOnlyThisMachine(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{
		":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.com:0", "localhost.example.com:0", "127.0.0.1", "x",
		"[::ffff:0.0.0.0]:0", "0:0",
	} {
		if d, err := ephemeral.Start(t.Context(), ephemeral.Options{Addr: addr}); err == nil {
			t.Errorf("%s: %s", addr, d.URL)
			_ = d.Close()
		}
	}
	for _, addr := range []string{"localhost:0", "127.0.0.2:0"} {
		d := start(t, ephemeral.Options{Addr: addr})
		if u, err := url.Parse(d.URL); err != nil || !net.ParseIP(u.Hostname()).IsLoopback() {
			t.Errorf("%s: %s", addr, d.URL)
		}
	}
}

// TestNoOtherSite checks that a web page cannot reach a double, by its own name that leads here
// or from a page of another site. The token of a double is known, so this holds for all paths.
func TestNoOtherSite(t *testing.T) {
	t.Parallel()
	d := start(t, ephemeral.Options{})
	for _, path := range []string{"/_test/mails", "/api/v2/users", "/console", "/healthz"} {
		for _, host := range []string{
			"evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "0.0.0.0", "[::]", "2130706433",
		} {
			if status, _ := do(t, d, http.MethodGet, path, "", "Host", host); status != http.StatusMisdirectedRequest {
				t.Errorf("%s at %q: %d", path, host, status)
			}
		}
		for _, host := range []string{"localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:80", "[::1]"} {
			if status, _ := do(t, d, http.MethodGet, path, "", "Host", host); status == http.StatusMisdirectedRequest {
				t.Errorf("%s at %q: %d", path, host, status)
			}
		}
	}
	for _, headers := range [][]string{
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
		{"Origin", "http://localhost:1"},
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
	} {
		for _, path := range []string{"/_test/reset", "/_test/clock", "/_test/faults"} {
			if status, _ := do(t, d, http.MethodPost, path, "", headers...); status != http.StatusForbidden {
				t.Errorf("%s with %v: %d", path, headers, status)
			}
		}
	}
	status, body := do(t, d, http.MethodPost, "/_test/clock", `{"advance":"1h"}`, "Content-Type", "text/plain")
	if status != http.StatusUnsupportedMediaType { // what a form could send
		t.Errorf("%d %s", status, body)
	}
}

// TestNotOnAServer checks that a server has nothing below /_test, however the path is spelled,
// and that its tokens are not those of a double or of another server.
func TestNotOnAServer(t *testing.T) {
	t.Parallel()
	double := start(t, ephemeral.Options{})
	var mu sync.Mutex
	seen := map[string]bool{double.Token: true}
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, path := range []string{
			"/_test", "/_test/", "/_test/mails", "/_test/webhooks", "/_test/clock", "/_test/faults", "/_test/reset",
			"/%5Ftest/mails", "/_%74est/mails", "/_test%2Fmails", "/_test%2fmails", "//_test/mails", "/./_test/mails",
			"/api/../_test/mails", "/api/v2/../../_test/mails", "/_TEST/mails", "/_test;x/mails", "/_test/mails/",
			"/_test//mails",
			"/api/v2/_test/mails", "/console/_test/mails", "/_test\\mails", "/%2e/_test/mails", "/_test%00/mails",
		} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				if status := rawStatus(t, s.URL, method, path); status != http.StatusNotFound {
					t.Errorf("%s %s: %d", method, path, status)
				}
			}
		}
		for range 3 {
			token := s.CreateToken(0, nil)
			mu.Lock()
			if seen[token] {
				t.Errorf("%s twice", token)
			}
			seen[token] = true
			mu.Unlock()
		}
	})
}

// rawStatus returns the status of a request whose path is sent as it is.
func rawStatus(t *testing.T, base, method, path string) int {
	t.Helper()
	addr := strings.TrimPrefix(base, "http://")
	connection, err := net.Dial("tcp", addr) //nolint:noctx // closed below
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	const format = "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
	fmt.Fprintf(connection, format, method, path, addr)
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// TestResetUnderWay checks that a reset ends what is under way, and that requests meanwhile are
// answered by the old world or the new one.
func TestResetUnderWay(t *testing.T) {
	t.Parallel()
	d := start(t, ephemeral.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				body := strings.ReplaceAll(newUser, "ann@", fmt.Sprintf("ann%d-%d@", i, n))
				if status, answer := do(t, d, http.MethodPost, "/api/v2/users", body); status != http.StatusCreated &&
					status != http.StatusServiceUnavailable {
					t.Errorf("%d %s", status, answer)
				}
			}
		})
	}
	clients.Go(func() {
		for ctx.Err() == nil {
			status, body := do(t, d, http.MethodGet, "/_test/mails?to=nobody@example.com&wait=30s", "")
			if status != http.StatusOK || body != "[]" {
				t.Errorf("%d %s", status, body)
			}
		}
	})
	for range 10 {
		if status, body := do(t, d, http.MethodPost, "/_test/reset", ""); status != http.StatusNoContent {
			t.Errorf("%d %s", status, body)
		}
	}
	cancel()
	do(t, d, http.MethodPost, "/_test/reset", "") // ends the last wait
	clients.Wait()
	do(t, d, http.MethodPost, "/_test/reset", "")
	if _, body := do(t, d, http.MethodGet, "/api/v2/users/count", ""); body != `{"total":0,"totalIsLowerBound":false}` {
		t.Error(body)
	}
}

// TestTimes logs how long a start, a reset and an end take, and fails where they take far too
// long. The bounds of the documentation are for a machine that does nothing else.
func TestTimes(t *testing.T) { //nolint:paralleltest // it measures
	var starts, resets, ends []time.Duration
	took := func(into *[]time.Duration, fn func() error) {
		begin := time.Now()
		if err := fn(); err != nil {
			t.Fatal(err)
		}
		*into = append(*into, time.Since(begin))
	}
	for range 5 {
		var d *ephemeral.Double
		took(&starts, func() (err error) { d, err = ephemeral.Start(t.Context(), ephemeral.Options{}); return err })
		if status, body := do(t, d, http.MethodPost, "/api/v2/users", newUser); status != http.StatusCreated {
			t.Fatal(body)
		}
		took(&resets, func() error { return d.Reset(t.Context()) })
		took(&ends, d.Close)
	}
	t.Logf("starts %v, resets %v, ends %v", starts, resets, ends)
	const busy = 10 // a machine may have so much else to do
	if starts[4] > busy*150*time.Millisecond || resets[4] > busy*20*time.Millisecond {
		t.Error("far too slow")
	}
}
