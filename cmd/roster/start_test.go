package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/rosterhq/roster/internal/store/storetest"
)

// TestLostToken checks that a start says how to get another token when nothing but the
// unused token of the first start exists, and does not afterwards.
func TestLostToken(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			env := "DATABASE_URL=" + storetest.EmptyURL(t, engine)
			folder := t.TempDir()
			const hint = `run "roster token create --admin`
			start(t, folder, env).stop(t) // prints the token
			second := start(t, folder, env)
			if !strings.Contains(second.greeting, hint) || second.token() != "" {
				t.Errorf("the token is lost: %s", second.greeting)
			}
			second.stop(t)
			stdout, stderr, ok := output(t, roster(t, folder, []string{env}, "token", "create", "--admin", "--name", "N"))
			if !ok {
				t.Fatal(stderr)
			}
			third := start(t, folder, env)
			if got := status(t, third.base+"/api/v2/users", strings.TrimSpace(stdout)); got != http.StatusOK {
				t.Errorf("the new token: %d", got)
			}
			if strings.Contains(third.greeting, hint) {
				t.Errorf("with another token: %s", third.greeting)
			}
			third.stop(t)
		})
	}
}

// TestSetupLink checks that serve prints a link to the page for the first administrator,
// that it works, and that neither a start with users nor one without the console has one.
func TestSetupLink(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			env := "DATABASE_URL=" + storetest.EmptyURL(t, engine)
			folder := t.TempDir()
			first := start(t, folder, env)
			if got := status(t, first.setupLink(), ""); got != http.StatusOK {
				t.Errorf("%s: %d", first.setupLink(), got)
			}
			first.stop(t)
			off := start(t, folder, env, "ROSTER_CONSOLE=false")
			if off.setupLink() != "" || status(t, off.base+"/console", "") != http.StatusNotFound {
				t.Errorf("without the console: %s", off.greeting)
			}
			off.stop(t)
			command := roster(t, folder, []string{env}, "user", "create", "--name", "Jane", "--email", "jane@example.com")
			command.Stdin = strings.NewReader("right horse battery")
			if _, stderr, ok := output(t, command); !ok {
				t.Fatal(stderr)
			}
			last := start(t, folder, env)
			if last.setupLink() != "" {
				t.Errorf("with a user: %s", last.greeting)
			}
			last.stop(t)
		})
	}
}

// TestUsedTokenIsNotLost checks that a token that works is not said to be unused.
func TestUsedTokenIsNotLost(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	first := start(t, folder)
	if got := status(t, first.base+"/api/v2/users", first.token()); got != http.StatusOK {
		t.Fatal(got)
	}
	first.stop(t)
	second := start(t, folder)
	if strings.Contains(second.greeting, "token") {
		t.Error(second.greeting)
	}
	second.stop(t)
}

// TestKubernetesVariables checks that the variables that Kubernetes sets for a service
// named roster do not stop the start or change a setting.
func TestKubernetesVariables(t *testing.T) {
	t.Parallel()
	service := start(t, t.TempDir(), "ROSTER_SERVICE_HOST=10.0.0.1", "ROSTER_SERVICE_PORT=8080",
		"ROSTER_SERVICE_PORT_HTTP=8080", "ROSTER_PORT=tcp://10.0.0.1:8080", "ROSTER_PORT_8080_TCP=tcp://10.0.0.1:8080",
		"ROSTER_PORT_8080_TCP_PROTO=tcp", "ROSTER_PORT_8080_TCP_PORT=8080", "ROSTER_PORT_8080_TCP_ADDR=10.0.0.1")
	if got := status(t, service.base+"/readyz", ""); got != http.StatusOK {
		t.Error(got)
	}
	service.stop(t)
}

// TestHelpInAWrongEnvironment checks that --help works where the settings are wrong.
func TestHelpInAWrongEnvironment(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	stdout, stderr, ok := output(t, roster(t, folder, []string{"ROSTER_ADR=x"}, "token", "create", "--help"))
	own, settings := strings.Index(stdout, "--expires-in"), strings.Index(stdout, "--database-url")
	if !ok || own < 0 || own > settings {
		t.Errorf("the flags of the command do not come first: %s%s", stdout, stderr)
	}
	_, stderr, ok = output(t, roster(t, folder, []string{"ROSTER_ADR=x"}, "serve"))
	if ok || !strings.Contains(stderr, "ROSTER_ADR is not a setting; did you mean ROSTER_ADDR?") {
		t.Error(stderr)
	}
}

// TestIgnoredAdministrator checks that a ROSTER_ADMIN_EMAIL without effect is logged, and
// that one that had its effect at the first start is not.
func TestIgnoredAdministrator(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, test := range []struct {
		email string
		warns bool
	}{{"root@example.com", false}, {"ROOT@example.com", false}, {"other@example.com", true}} {
		service := start(t, folder, "ROSTER_ADMIN_EMAIL="+test.email, "ROSTER_ADMIN_PASSWORD=MySecret123")
		service.stop(t)
		if warns := strings.Contains(service.errors.String(), "ROSTER_ADMIN_EMAIL has no effect"); warns != test.warns {
			t.Errorf("%s: warns %v\n%s", test.email, warns, service.errors)
		}
	}
}

// TestLogOfTracing checks that all that OpenTelemetry reports is in the log as JSON.
func TestLogOfTracing(t *testing.T) {
	t.Parallel()
	collector := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(collector.Close)
	service := start(t, t.TempDir(), "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "OTEL_EXPORTER_OTLP_TIMEOUT=nope")
	status(t, service.base+"/api/v2/users", service.token())
	service.stop(t)
	log := service.errors.String()
	for line := range strings.Lines(log) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	if !strings.Contains(log, `"msg":"tracing"`) || !strings.Contains(log, "nope") {
		t.Errorf("the errors are not in the log:\n%s", log)
	}
}

// freeAddr returns an address that nothing listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	return listener.Addr().String()
}

// waiting reads the log of a process until it says that it waits for the database.
func waiting(t *testing.T, r *running, stderr io.Reader) {
	t.Helper()
	buffer := make([]byte, 1024)
	for !strings.Contains(r.errors.String(), "waiting for the database") {
		n, err := stderr.Read(buffer)
		if err != nil {
			t.Fatalf("%v: %s", err, r.errors)
		}
		_, _ = r.errors.Write(buffer[:n])
	}
}

// TestWaitingForTheDatabase checks that serve and the commands wait for a PostgreSQL that
// starts later, say so without the password, and can be stopped meanwhile.
func TestWaitingForTheDatabase(t *testing.T) {
	t.Parallel()
	server := storetest.EmptyURL(t, "postgres")
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	u.Host, u.User, u.RawQuery = addr, url.UserPassword(u.User.Username(), "hunter2"), "sslmode=disable"
	env := []string{"DATABASE_URL=" + u.String()}
	launch := func(args ...string) *running {
		r := &running{Cmd: roster(t, t.TempDir(), env, args...), errors: &lockedBuffer{}}
		stderr, err := r.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Process.Kill() })
		waiting(t, r, stderr)
		return r
	}
	stopped := launch("serve")
	if err := stopped.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := stopped.Wait(); err == nil {
		t.Error("stopped while it waited, and all is well")
	}
	migrate := launch("migrate")
	list := launch("token", "list")
	storetest.Proxy(t, server, addr)
	for _, r := range []*running{migrate, list} {
		if err := r.Wait(); err != nil {
			t.Errorf("%v: %v, %s", r.Args, err, r.errors)
		}
	}
	for _, r := range []*running{stopped, migrate, list} {
		log := r.errors.String()
		if strings.Contains(log, "hunter2") || !regexp.MustCompile(regexp.QuoteMeta(addr)).MatchString(log) {
			t.Errorf("%v: %s", r.Args, log)
		}
	}
}
