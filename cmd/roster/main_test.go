package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/store/storetest"
	"github.com/rosterhq/roster/pkg/client"
)

// TestMain makes the test binary the command itself, so that the tests run it as
// people do: as a process with arguments, an environment and signals.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_RUN_ROSTER") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// roster returns the command, to be run in a folder with the given environment only.
func roster(t *testing.T, folder string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	command := exec.CommandContext(ctx, self, args...)
	command.Dir = folder
	command.Env = append([]string{
		"TEST_RUN_ROSTER=1", "PATH=" + os.Getenv("PATH"), "ROSTER_ADDR=127.0.0.1:0", "ROSTER_BCRYPT_COST=4",
	}, env...)
	return command
}

// output runs the command to its end and returns what it printed and whether it
// succeeded.
func output(t *testing.T, command *exec.Cmd) (stdout, stderr string, ok bool) {
	t.Helper()
	var out, errors bytes.Buffer
	command.Stdout, command.Stderr = &out, &errors
	err := command.Run()
	return out.String(), errors.String(), err == nil
}

type running struct {
	*exec.Cmd

	greeting string
	base     string
	errors   *lockedBuffer
}

// lockedBuffer can be read while the process writes.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// start runs serve and waits until it is ready.
func start(t *testing.T, folder string, env ...string) *running {
	t.Helper()
	r := &running{Cmd: roster(t, folder, env, "serve"), errors: &lockedBuffer{}}
	r.Stderr = r.errors
	pipe, err := r.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Process.Kill() })
	buffer := make([]byte, 4096)
	n, err := pipe.Read(buffer) // the greeting's first line comes when it is ready
	if err != nil {
		_ = r.Wait()
		t.Fatalf("serve: %v\n%s", err, r.errors)
	}
	r.greeting = string(buffer[:n])
	r.base = regexp.MustCompile(`http://[^ ,]+`).FindString(r.greeting)
	go func() { _, _ = io.Copy(io.Discard, pipe) }()
	return r
}

func (r *running) token() string {
	return strings.TrimSpace(regexp.MustCompile(`(?m)^ +rst_\S+$`).FindString(r.greeting))
}

// setupLink returns the link that it prints while there is no user.
func (r *running) setupLink() string {
	return regexp.MustCompile(`http\S+/console/setup\S+`).FindString(r.greeting)
}

// stop ends the service with SIGTERM, as an orchestrator does.
func (r *running) stop(t *testing.T) {
	t.Helper()
	if err := r.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, r.errors)
	}
}

func status(t *testing.T, url, token string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

func TestFirstStart(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	first := start(t, folder)
	if got := status(t, first.base+"/api/v2/users", first.token()); got != http.StatusOK {
		t.Errorf("the printed token: %d", got)
	}
	line := regexp.MustCompile(`(?m)^ +(curl .*)$`).FindStringSubmatch(first.greeting)
	if line == nil {
		t.Fatalf("no curl line in %s", first.greeting)
	}
	if _, err := exec.LookPath("curl"); err == nil {
		got, err := exec.CommandContext(t.Context(), "sh", "-c", line[1]+" -s").Output()
		if err != nil || strings.TrimSpace(string(got)) != `{"total":0,"data":[]}` {
			t.Errorf("%s: %s, %v", line[1], got, err)
		}
	}
	if strings.Contains(first.errors.String(), first.token()) {
		t.Error("the log has the token")
	}
	first.stop(t)
	if _, err := os.Stat(filepath.Join(folder, "roster.db")); err != nil {
		t.Error(err)
	}

	second := start(t, folder)
	if second.token() != "" {
		t.Errorf("the second start prints %s", second.greeting)
	}
	if got := status(t, second.base+"/api/v2/users", first.token()); got != http.StatusOK {
		t.Errorf("the token after a restart: %d", got)
	}
	second.stop(t)
}

// TestBusyPort checks that serve makes no token when a port is in use: the token
// would be lost.
func TestBusyPort(t *testing.T) {
	t.Parallel()
	taken := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(taken.Close)
	folder := t.TempDir()
	for _, name := range []string{"ROSTER_ADDR=", "ROSTER_METRICS_ADDR="} {
		stdout, stderr, ok := output(t, roster(t, folder, []string{name + taken.Listener.Addr().String()}, "serve"))
		if ok || stdout != "" || !strings.Contains(stderr, "address already in use") {
			t.Errorf("%s: %s%s", name, stdout, stderr)
		}
	}
	free := start(t, folder)
	if got := status(t, free.base+"/api/v2/users", free.token()); got != http.StatusOK {
		t.Errorf("the token of the first start: %d, %s", got, free.greeting)
	}
	free.stop(t)
}

func TestConfiguredAdministrators(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			secretFile := filepath.Join(folder, "password")
			if err := os.WriteFile(secretFile, []byte("MySecret123\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			database := "DATABASE_URL=" + storetest.EmptyURL(t, engine)
			env := []string{database, "ROSTER_ADMIN_EMAIL=root@example.com", "ROSTER_ADMIN_PASSWORD_FILE=" + secretFile}
			one := strings.Repeat("1", 32)
			first := start(t, folder, append(env, "ROSTER_ADMIN_TOKEN="+one)...)
			if first.token() != "" || strings.Contains(first.greeting, one) {
				t.Errorf("printed: %s", first.greeting)
			}
			if got := status(t, first.base+"/api/v2/users/1", one); got != http.StatusOK {
				t.Errorf("the configured user: %d", got)
			}
			first.stop(t)
			two := strings.Repeat("2", 32)
			second := start(t, folder, append(env, "ROSTER_ADMIN_TOKEN="+two)...)
			for token, want := range map[string]int{two: http.StatusOK, one: http.StatusUnauthorized} {
				if got := status(t, second.base+"/api/v2/users/1", token); got != want {
					t.Errorf("token %s: %d, want %d", token, got, want)
				}
			}
			if got := status(t, second.base+"/api/v2/users/2", two); got != http.StatusNotFound {
				t.Errorf("a second administrator: %d", got)
			}
			second.stop(t)
		})
	}
}

// TestStartingTogether checks that several instances that start on one empty
// database migrate it once and print one token.
func TestStartingTogether(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			env := "DATABASE_URL=" + storetest.EmptyURL(t, engine)
			const n = 4
			instances := make([]*running, n)
			var all sync.WaitGroup
			for i := range n {
				all.Go(func() { instances[i] = start(t, t.TempDir(), env) })
			}
			all.Wait()
			tokens := ""
			for _, instance := range instances {
				if instance == nil {
					t.FailNow()
				}
				tokens += instance.token()
			}
			if strings.Count(tokens, "rst_") != 1 {
				t.Errorf("tokens: %q", tokens)
			}
			for _, instance := range instances {
				if got := status(t, instance.base+"/api/v2/users", tokens); got != http.StatusOK {
					t.Errorf("%d", got)
				}
				if got := status(t, instance.base+"/readyz", ""); got != http.StatusOK {
					t.Errorf("readyz %d", got)
				}
				instance.stop(t)
			}
		})
	}
}

func TestTokenCommands(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	service := start(t, folder)
	stdout, stderr, ok := output(t, roster(t, folder, nil, "token", "create", "--name", "CI",
		"--permission", "users.view,users.create", "--ip-whitelist", "127.0.0.1,10.0.0.0/8", "--expires-in", "7d"))
	token := strings.TrimSpace(stdout)
	if !ok || !strings.HasPrefix(token, "rst_") || strings.Contains(token, "\n") {
		t.Fatalf("%s%s", stdout, stderr)
	}
	if got := status(t, service.base+"/api/v2/users", token); got != http.StatusOK {
		t.Errorf("%d", got)
	}
	if got := status(t, service.base+"/api/v2/groups", token); got != http.StatusForbidden {
		t.Errorf("%d", got)
	}
	stdout, _, ok = output(t, roster(t, folder, nil, "token", "list"))
	row := regexp.MustCompile(`(?m)^3 +CI +- +users.view users.create +127.0.0.1,10.0.0.0/8 +20\S+Z`)
	if !ok || !row.MatchString(stdout) || strings.Contains(stdout, token) {
		t.Errorf("%s", stdout)
	}
	if stdout, stderr, ok = output(t, roster(t, folder, nil, "token", "revoke", "3")); !ok {
		t.Errorf("%s%s", stdout, stderr)
	}
	if got := status(t, service.base+"/api/v2/users", token); got != http.StatusUnauthorized {
		t.Errorf("after it was revoked: %d", got)
	}
	for message, args := range map[string][]string{
		"There is no token with the id 3":  {"token", "revoke", "3"},
		"there is no user with the id 9":   {"token", "create", "--name", "x", "--admin", "--user", "9"},
		"must be one of users.view":        {"token", "create", "--name", "x", "--permission", "users.fly"},
		"must be a time such as 400d":      {"token", "create", "--name", "x", "--admin", "--expires-in=-1h"},
		"must be in the future":            {"token", "create", "--name", "x", "--admin", "--expires-in=0d"},
		"missing flags: --admin or --perm": {"token", "create", "--name", "x"},
		"names no permission":              {"token", "create", "--name", "x", "--permission="},
		"can't be used together":           {"token", "create", "--name", "x", "--admin", "--permission", "users.view"},
	} {
		if stdout, stderr, ok := output(t, roster(t, folder, nil, args...)); ok || !strings.Contains(stderr, message) {
			t.Errorf("%v: %s%s", args, stdout, stderr)
		}
	}
	service.stop(t)
}

func TestUserCreateCommand(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	create := func(password string, args ...string) (string, bool) {
		command := roster(t, folder, nil, append([]string{"user", "create", "--name", "Mary"}, args...)...)
		command.Stdin = strings.NewReader(password)
		stdout, stderr, ok := output(t, command)
		return stdout + stderr, ok
	}
	got, ok := create("MySecret123\n", "--email", "mary@example.com", "--group", "1", "--ip-whitelist", "10.0.0.0/8")
	if !ok || got != "User 1 (mary@example.com) is created.\n" {
		t.Error(got)
	}
	for message, args := range map[string][]string{
		"roster: Another user has this e-mail address.\n": {"--email", "MARY@example.com"},
		"must be one e-mail address":                      {"--email", "mary"},
		"no group with the id 7":                          {"--email", "b@example.com", "--group", "7"},
		"did you mean 10.0.0.0/8":                         {"--email", "b@example.com", "--ip-whitelist", "10.0.0.1/8"},
	} {
		if got, ok := create("MySecret123", args...); ok || !strings.Contains(got, message) {
			t.Errorf("%v: %s", args, got)
		}
	}
	for password, message := range map[string]string{
		"short\n":          "the password must have at least 8 characters",
		"mary mary mary\n": "password: must not contain the user's name",
	} {
		if got, ok := create(password, "--email", "b@example.com"); ok || !strings.Contains(got, message) {
			t.Errorf("%s: %s", password, got)
		}
	}
}

// TestPasswordList checks that the passwords of a list are refused, and that a list
// that cannot be used stops the start.
func TestPasswordList(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return "ROSTER_PASSWORD_LIST=" + path
	}
	const hashed = "ABF7AAD6438836DBE526AA231ABDE2D0EEF74D42:7\r\n" // correct horse battery staple
	plain, hashes := file("plain", "zebra crossing\ncorrect horse battery staple\n"), file("hashes", hashed)
	for _, list := range []string{plain, hashes} {
		command := roster(t, folder, []string{list}, "user", "create", "--name", "Mary", "--email", "mary@example.com")
		command.Stdin = strings.NewReader("correct horse battery staple\n")
		stdout, stderr, ok := output(t, command)
		if ok || !strings.Contains(stderr, "password: is on a list of passwords that others know") {
			t.Errorf("%s: %s%s", list, stdout, stderr)
		}
		if _, stderr, ok := output(t, roster(t, t.TempDir(), []string{
			list, "ROSTER_ADMIN_EMAIL=root@example.com", "ROSTER_ADMIN_PASSWORD=correct horse battery staple",
		}, "serve")); ok || !strings.Contains(stderr, "ROSTER_ADMIN_PASSWORD") || strings.Contains(stderr, "horse") {
			t.Errorf("%s: %s", list, stderr)
		}
	}
	stdout, _, ok := output(t, roster(t, folder, []string{plain}, "config"))
	line := `(?m)^ROSTER_PASSWORD_LIST +` + regexp.QuoteMeta(filepath.Join(folder, "plain")) + ` +environment$`
	if !ok || !regexp.MustCompile(line).MatchString(stdout) {
		t.Error(stdout)
	}
	for name, list := range map[string]string{
		"is missing":  "ROSTER_PASSWORD_LIST=" + filepath.Join(folder, "none"),
		"is a folder": "ROSTER_PASSWORD_LIST=" + folder,
		"is empty":    file("empty", ""), "is mixed": file("mixed", hashed+"correct horse\n"),
		"is not ordered": file("unordered", hashed+"0"+hashed[1:]),
	} {
		_, stderr, ok := output(t, roster(t, t.TempDir(), []string{list}, "serve"))
		named := strings.Contains(stderr, "ROSTER_PASSWORD_LIST")
		if ok || !named || strings.Count(stderr, "\n") > 2 || strings.Contains(stderr, "stat ") {
			t.Errorf("one that %s: %s", name, stderr)
		}
	}
	start(t, t.TempDir(), hashes).stop(t)
}

func TestConfig(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	secretFile := filepath.Join(folder, "token")
	if err := os.WriteFile(secretFile, []byte(strings.Repeat("s", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, ok := output(t, roster(t, folder, []string{
		"DATABASE_URL=postgres://roster:hunter2@db/roster", "ROSTER_ADMIN_TOKEN_FILE=" + secretFile,
		"ROSTER_TRUSTED_PROXIES=10.0.0.0/8,::1",
	}, "config", "--log-level", "debug"))
	if !ok {
		t.Fatal(stdout, stderr)
	}
	for _, line := range []string{
		`DATABASE_URL +\(hidden\) +environment`,
		`ROSTER_ADMIN_TOKEN +\(hidden\) +file ` + regexp.QuoteMeta(secretFile),
		`ROSTER_TRUSTED_PROXIES +\[10.0.0.0/8 ::1\] +environment`,
		`ROSTER_LOG_LEVEL +DEBUG +flag --log-level`, `ROSTER_MIGRATE +true +default`, `ROSTER_ADMIN_EMAIL +- +default`,
	} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(stdout) {
			t.Errorf("no line %s in\n%s", line, stdout)
		}
	}
	if strings.Contains(stdout, "hunter2") || strings.Contains(stdout, "sss") {
		t.Errorf("a secret is shown:\n%s", stdout)
	}
}

func TestWrongSettingsStopTheStart(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{
		"ROSTER_ADDR=8080", "PORT=http", "PORT=70000", "DATABASE_URL=mysql://x",
		"DATABASE_URL=postgres://u:hunter2@[::1/x", "ROSTER_BCRYPT_COST=3", "ROSTER_BCRYPT_COST=16",
		"ROSTER_BCRYPT_COST=x", "ROSTER_ADMIN_TOKEN=short", "ROSTER_ADMIN_EMAIL=root@example.com",
		"ROSTER_ADMIN_PASSWORD=MySecret123", "ROSTER_TRUSTED_PROXIES=10.0.0.1/8", "ROSTER_TRUSTED_PROXIES=proxy",
		"ROSTER_METRICS_ADDR=9090", "ROSTER_LOG_LEVEL=loud", "ROSTER_PUBLIC_URL=roster.example.com",
		"ROSTER_ALLOWED_HOSTS=*.example.com", "ROSTER_ALLOWED_HOSTS=a.example,http://b.example",
		"ROSTER_DATABASE_MAX_CONNS=1", "ROSTER_ADMIN_TOKEN_FILE=/does/not/exist", "ROSTER_MIGRATE=perhaps",
		"ROSTER_WEBHOOK_ALLOW_PRIVATE=10.0.0.1/8", "ROSTER_ADR=:80", "ROSTER_PORT=8080", "ROSTER_ADMIN_EMAIL_FILE=/x",
		"DATABASE_URL_FILE=/does/not/exist", "ROSTER_SECRET_KEY_FILE=/dev/null", "ROSTER_MAIL_FROM=nope",
		"OTEL_EXPORTER_OTLP_ENDPOINT=:::", "OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318",
		"DATABASE_URL=sqlite:file::memory:", "DATABASE_URL=sqlite::memory:",
	} {
		name, _, _ := strings.Cut(setting, "=")
		_, stderr, ok := output(t, roster(t, t.TempDir(), []string{setting}, "serve"))
		named := strings.Contains(strings.ToUpper(stderr), name) || strings.Contains(stderr, "database URL")
		if ok || !named || strings.Contains(stderr, "hunter2") || strings.Count(stderr, "\n") > 2 {
			t.Errorf("%s: %s", setting, stderr)
		}
	}
}

func TestOtherCommands(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, test := range []struct {
		want string
		args []string
	}{
		{"roster ", []string{"version"}},
		{"roster ", []string{"--version"}},
		{"The schema is up to date (", []string{"migrate"}},
		{"Usage: roster", []string{"--help"}},
		{"Usage: roster", nil},
		{"0 events are deleted", []string{"audit", "prune", "--older-than=0d", "--yes"}},
	} {
		stdout, stderr, ok := output(t, roster(t, folder, nil, test.args...))
		if !ok || !strings.HasPrefix(stdout, test.want) {
			t.Errorf("%v: %s%s", test.args, stdout, stderr)
		}
	}
	for want, args := range map[string][]string{
		"--log-level needs a value":          {"serve", "--log-level"},
		"must be debug, info, warn or error": {"serve", "--log-level=loud"},
		"add --yes to do it":                 {"audit", "prune", "--older-than=0d"},
		"less than a day":                    {"audit", "prune", "--older-than=23h"},
	} {
		stdout, stderr, ok := output(t, roster(t, folder, nil, args...))
		if ok || stdout != "" || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: %s%s", args, stdout, stderr)
		}
	}
	if _, stderr, ok := output(t, roster(t, t.TempDir(), nil, "serve", "--no-migrate")); ok || stderr == "" {
		t.Errorf("serve without a schema: %s", stderr)
	}
	service := start(t, folder, "ROSTER_METRICS_ADDR=127.0.0.1:0")
	address := strings.TrimPrefix(service.base, "http://")
	if stdout, stderr, ok := output(t, roster(t, folder, []string{"ROSTER_ADDR=" + address}, "healthcheck")); !ok {
		t.Errorf("%s%s", stdout, stderr)
	}
	service.stop(t)
	if _, _, ok := output(t, roster(t, folder, []string{"ROSTER_ADDR=" + address}, "healthcheck")); ok {
		t.Error("healthy after its end")
	}
}

func TestTraces(t *testing.T) {
	t.Parallel()
	received := make(chan string, 100)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		received <- r.URL.Path + " " + string(body)
	}))
	t.Cleanup(collector.Close)
	service := start(t, t.TempDir(), "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL)
	status(t, service.base+"/api/v2/users/7", service.token())
	service.stop(t)
	close(received)
	all := ""
	for body := range received {
		all += body
	}
	for _, want := range []string{
		"/v1/traces ", "GET /api/v2/users/:userId", "sql.", "FROM users WHERE id = $1", "service.name", "roster",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in what the collector received (%d bytes)", want, len(all))
		}
	}
	if strings.Contains(all, service.token()) {
		t.Error("the traces have the token")
	}
}

// TestClient calls the service with the Go client.
func TestClient(t *testing.T) {
	t.Parallel()
	service := start(t, t.TempDir())
	defer service.stop(t)
	c, err := client.New(service.base, client.Token(service.token()))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	created, err := c.Users.Create(ctx, client.UserCreate{
		Name: "Mary", Email: "mary@example.com", Password: "MySecret123", Active: true, Groups: []int64{1},
	})
	if err != nil {
		t.Fatal(err)
	}
	updated, err := c.Users.Update(ctx, created.ID, client.UserUpdate{Name: new("Ann")}, client.IfVersion(created.Version))
	if err != nil || updated.Name != "Ann" {
		t.Errorf("%v %+v", err, updated)
	}
	listed, err := client.Collect(c.Users.List(ctx, client.UserList{Name: "AN"}))
	if err != nil || len(listed) != 1 {
		t.Errorf("%v %v", err, listed)
	}
	if err := c.Users.Delete(ctx, created.ID); err != nil {
		t.Error(err)
	}
	_, err = c.Users.Get(ctx, created.ID)
	if e, ok := errors.AsType[*client.Error](err); !ok || e.Code != "not_found" {
		t.Errorf("%v", err)
	}
}
