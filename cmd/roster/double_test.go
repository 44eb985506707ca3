package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// double is a double in a process of its own.
type double struct {
	*exec.Cmd

	URL, Token string
	line       string
	rest       io.Reader // the standard output after the line
}

// startDouble runs serve --ephemeral and reads its line. before is put before the command.
func startDouble(t *testing.T, env, args []string, before ...string) *double {
	t.Helper()
	d := &double{Cmd: roster(t, t.TempDir(), env, append([]string{"serve", "--ephemeral"}, args...)...)}
	if len(before) > 0 {
		d.Args = append(before, d.Args...)
		d.Path = before[0]
	}
	var stderr lockedBuffer
	d.Stderr = &stderr
	pipe, err := d.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Process.Kill() })
	reader := bufio.NewReader(pipe)
	d.line, _ = reader.ReadString('\n')
	d.rest = reader
	if err := json.Unmarshal([]byte(d.line), d); err != nil {
		_ = d.Wait()
		t.Fatalf("%v: %s%s", err, d.line, &stderr)
	}
	return d
}

// answer returns what a double answers to its administrator.
func (d *double) answer(t *testing.T, method, path, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, d.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+d.Token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(response.StatusCode) + " " + string(content)
}

const doubleSeed = `users:
  - {name: Mary, email: mary@example.com, password: seven-Kettles-by-the-sea}
tokens:
  - {name: shop, permissions: [users.view]}
`

// TestDoubleIsTheSame checks that a double prints one line and nothing else, and that two of them
// with one seed and clock print and answer the same, byte by byte, but for the port. It also logs
// how long the start and the end take.
func TestDoubleIsTheSame(t *testing.T) {
	t.Parallel()
	seed := filepath.Join(t.TempDir(), "seed.yaml")
	if err := os.WriteFile(seed, []byte(doubleSeed), 0o600); err != nil {
		t.Fatal(err)
	}
	var recorded [2]string
	for i := range recorded {
		began := time.Now()
		d := startDouble(t, nil, []string{"--seed", seed, "--clock", "2026-01-01T00:00:00Z"})
		ready := time.Since(began)
		all := d.line +
			d.answer(t, http.MethodPost, "/api/v2/signin",
				`{"email":"mary@example.com","password":"seven-Kettles-by-the-sea"}`) +
			d.answer(t, http.MethodPost, "/api/v2/password/forgot", `{"email":"mary@example.com"}`) +
			d.answer(t, http.MethodGet, "/_test/mails?to=mary@example.com&wait=30s", "") +
			d.answer(t, http.MethodGet, "/api/v2/events", "") + d.answer(t, http.MethodGet, "/api/v2/groups", "")
		_, port, _ := net.SplitHostPort(strings.TrimPrefix(d.URL, "http://"))
		recorded[i] = strings.ReplaceAll(all, port, "PORT")
		http.DefaultClient.CloseIdleConnections()
		ending := time.Now()
		if err := d.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(d.rest)
		if err != nil || len(rest) > 0 {
			t.Errorf("after the line: %q, %v", rest, err)
		}
		if err := d.Wait(); err != nil {
			t.Error(err)
		}
		t.Logf("ready after %s, gone after %s", ready, time.Since(ending))
	}
	if recorded[0] != recorded[1] {
		t.Errorf("first\n%s\nsecond\n%s", recorded[0], recorded[1])
	}
	for _, want := range []string{`"tokens":{"shop":"rst_`, `200 {"2faRequired":false,"accessToken"`, `#token=rst_`} {
		if !strings.Contains(recorded[0], want) {
			t.Errorf("no %s in %s", want, recorded[0])
		}
	}
}

// TestDoubleEndsWithItsParent checks that a double ends when the process that has started it is
// killed, and not before, although its standard input is empty, as that of a command in the
// background of a script is.
func TestDoubleEndsWithItsParent(t *testing.T) {
	t.Parallel()
	d := startDouble(t, nil, nil, "/bin/sh", "-c", `"$0" "$@" </dev/null & wait`)
	if got := d.answer(t, http.MethodGet, "/readyz", ""); !strings.HasPrefix(got, "200 ") {
		t.Error(got)
	}
	if err := d.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	if rest, err := io.ReadAll(d.rest); err != nil || len(rest) > 0 { // ends when the double does
		t.Errorf("%q, %v", rest, err)
	}
	t.Logf("gone after %s", time.Since(killed))
	if response, err := http.Get(d.URL + "/readyz"); err == nil { //nolint:noctx // it fails
		_ = response.Body.Close()
		t.Error("the double has outlived its parent")
	}
	_ = d.Wait()
}

// TestDoubleRefuses checks that a double takes nothing real for its own, and that only the flag
// makes one.
func TestDoubleRefuses(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(secret, []byte("postgres://db/real"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		env, args []string
		want      string
	}{
		{[]string{"DATABASE_URL=postgres://db/real"}, nil, "cannot be used with DATABASE_URL (--database-url)"},
		{[]string{"DATABASE_URL_FILE=" + secret}, nil, "cannot be used with DATABASE_URL (--database-url)"},
		{nil, []string{"--database-url", "sqlite:roster.db"}, "cannot be used with DATABASE_URL (--database-url)"},
		{[]string{"ROSTER_SMTP_URL=smtp://mail"}, nil, "cannot be used with ROSTER_SMTP_URL"},
		{[]string{"ROSTER_SECRET_KEY=" + strings.Repeat("k", 32)}, nil, "cannot be used with ROSTER_SECRET_KEY"},
		{[]string{"PORT=8080"}, nil, "cannot be used with PORT"},
		{nil, []string{"--addr", "0.0.0.0:0"}, "can be reached from this machine only"},
		{[]string{"ROSTER_ADDR=:0"}, nil, "can be reached from this machine only"},
		{nil, []string{"--clock", "yesterday"}, "--clock"},
		{nil, []string{"--seed", "nowhere.yaml"}, "--seed: open nowhere.yaml"},
		{[]string{"ROSTER_EPHEMERAL=true"}, nil, "ROSTER_EPHEMERAL is not a setting"},
	} {
		args := append([]string{"serve", "--ephemeral"}, test.args...)
		stdout, stderr, ok := output(t, roster(t, t.TempDir(), test.env, args...))
		if ok || stdout != "" || !strings.Contains(stderr, test.want) {
			t.Errorf("%v %v: %s%s", test.env, test.args, stdout, stderr)
		}
	}
	for _, args := range [][]string{{"--seed", "x"}, {"--clock", "2026-01-01T00:00:00Z"}, {"--throttle"}} {
		stdout, stderr, ok := output(t, roster(t, t.TempDir(), nil, append([]string{"serve"}, args...)...))
		if ok || stdout != "" || !strings.Contains(stderr, "are for --ephemeral") {
			t.Errorf("%v: %s%s", args, stdout, stderr)
		}
	}
	folder := t.TempDir()
	env := []string{"EPHEMERAL=1", "SERVE_EPHEMERAL=1", "KONG_EPHEMERAL=1"}
	service := start(t, folder, env...)
	if got := status(t, service.base+"/_test/mails", service.token()); got != http.StatusNotFound {
		t.Errorf("a server has /_test: %d", got)
	}
	service.stop(t)
	if _, err := os.Stat(filepath.Join(folder, "roster.db")); err != nil {
		t.Error(err)
	}
}
