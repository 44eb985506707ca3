package backoffice_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// startNginx runs nginx with the example of docs/forward-auth.md, between a Roster and
// a service, and returns its address. It skips the test without nginx.
func startNginx(t *testing.T, roster, service string) string {
	t.Helper()
	binary, err := exec.LookPath("nginx")
	if err != nil {
		if binary = "/usr/sbin/nginx"; exec.CommandContext(t.Context(), binary, "-v").Run() != nil {
			t.Skip("there is no nginx on this machine: its example in docs/forward-auth.md is not tried")
		}
	}
	page, err := os.ReadFile("../../../docs/forward-auth.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```nginx\n(.*?)```").FindSubmatch(page)
	if example == nil {
		t.Fatal("docs/forward-auth.md has no example for nginx")
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	address := listener.Addr().String()
	configuration := string(example[1])
	for old, replacement := range map[string]string{"roster:8080": roster, "service:3000": service, "listen 80;": "listen " + address + ";"} {
		if !strings.Contains(configuration, old) {
			t.Fatalf("the example has no %q", old)
		}
		configuration = strings.ReplaceAll(configuration, old, strings.TrimPrefix(replacement, "http://"))
	}
	dir := t.TempDir()
	temporary := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temporary += fmt.Sprintf("%s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	file := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf("daemon off; worker_processes 1; pid %s;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n%s%s}\n",
		filepath.Join(dir, "pid"), temporary, configuration)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	// nginx takes the socket over as from an older nginx, so that a request before it is up waits.
	nginx := exec.CommandContext(t.Context(), binary, "-p", dir, "-c", file, "-e", "stderr")
	var output bytes.Buffer
	nginx.Stdout, nginx.Stderr = &output, &output
	nginx.ExtraFiles, nginx.Env = []*os.File{socket}, append(os.Environ(), "NGINX=3;")
	nginx.Cancel = func() error { return nginx.Process.Signal(syscall.SIGTERM) }
	if err := nginx.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = nginx.Process.Signal(syscall.SIGTERM)
		_ = nginx.Wait() // it is told to end
		if t.Failed() {
			t.Logf("%s", output.String())
		}
	})
	return "http://" + address
}

// TestForwardAuthWithNginx tries the example of docs/forward-auth.md.
func TestForwardAuthWithNginx(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			seen := ""
			for name, values := range r.Header {
				if strings.Contains(strings.ReplaceAll(strings.ToLower(name), "_", "-"), "roster") {
					seen += name + "=" + strings.Join(values, ",") + " "
				}
			}
			fmt.Fprint(w, len(r.Header["X-Roster-User"]), "|", r.Header.Get("X-Roster-User"), "|", r.Header.Get("X-Roster-Name"), "|",
				r.Header.Get("X-Roster-Groups"), "|", strings.Count(seen, "="), "|", string(body))
		}))
		defer service.Close()
		group := s.CreateGroup("Support", "users.view")
		id := s.CreateUser("mary@example.com", changes{"name": "Märy", "groups": []int64{group}})
		mary := s.SignIn("mary@example.com")
		elsewhere := s.CreateToken(0, []string{"users.view"}, changes{"ipWhitelist": []string{"192.0.2.7"}})
		nginx := startNginx(t, s.URL, service.URL)
		get := func(address, path, token string) (int, string, http.Header) {
			t.Helper()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+path, strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range map[string]string{ // what an attacker sends
				"X-Roster-User": "1", "X-Roster-Name": "root", "X-Roster-Groups": "1", "X_Roster_User": "1", "X-Forwarded-For": "192.0.2.7",
			} {
				request.Header[name] = []string{value}
			}
			if token != "" {
				request.Header.Set("Authorization", "Bearer "+token)
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			return response.StatusCode, string(body), response.Header
		}
		for _, c := range []struct {
			path, token string
			status      int
			body        string
		}{
			{"/", mary, http.StatusOK, fmt.Sprintf("1|%d|M%%C3%%A4ry|%d|3|body", id, group)},
			{"/", s.CreateToken(0, []string{"users.view"}), http.StatusOK, "1|token:"},
			{"/", s.CreateToken(0, []string{"audit.view"}), http.StatusForbidden, ""},
			{"/", elsewhere, http.StatusForbidden, ""},
			{"/", "nonsense", http.StatusUnauthorized, ""},
			{"/", "", http.StatusUnauthorized, ""},
			{"/_roster", mary, http.StatusNotFound, ""},
			{"/public/", "", http.StatusOK, "0||||0|body"},
		} {
			status, body, header := get(nginx, c.path, c.token)
			if status != c.status || !strings.HasPrefix(body, c.body) {
				t.Errorf("%s: got %d %s, want %d %s", c.path, status, body, c.status, c.body)
			}
			if status == http.StatusUnauthorized && !strings.HasPrefix(header.Get("WWW-Authenticate"), "Bearer ") {
				t.Errorf("no challenge: %v", header)
			}
		}
		gone := httptest.NewServer(http.NotFoundHandler())
		gone.Close()
		if status, body, _ := get(startNginx(t, gone.URL, service.URL), "/", mary); status != http.StatusInternalServerError {
			t.Errorf("without Roster: %d %s", status, body)
		}
	})
}
