package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/mattn/go-runewidth"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// dialogue is a command on a terminal.
type dialogue struct {
	t        *testing.T
	command  *exec.Cmd
	terminal *os.File
	arrived  chan []byte
	shown    string // all that the terminal shows
	read     int    // how much of it has been waited for
}

const terminalWidth = 80

// talk starts a command on a terminal of 80 columns.
func (r *remote) talk(args ...string) *dialogue {
	r.t.Helper()
	env := append([]string{"XDG_CONFIG_HOME=" + r.folder, "TMPDIR=" + r.folder, "TERM=xterm"}, r.env...)
	return r.talkTo(roster(r.t, r.folder, env, args...))
}

func (r *remote) talkTo(command *exec.Cmd) *dialogue {
	r.t.Helper()
	terminal, err := pty.StartWithSize(command, &pty.Winsize{Rows: 24, Cols: terminalWidth})
	if err != nil {
		r.t.Fatal(err)
	}
	d := &dialogue{t: r.t, command: command, terminal: terminal, arrived: make(chan []byte, 100)}
	go func() {
		defer close(d.arrived)
		for {
			part := make([]byte, 4096)
			n, err := terminal.Read(part)
			d.arrived <- part[:n]
			if err != nil { // its other end is closed
				return
			}
		}
	}()
	return d
}

// expect waits until the terminal shows a text.
func (d *dialogue) expect(text string) *dialogue {
	d.t.Helper()
	patience := time.After(30 * time.Second)
	for !strings.Contains(d.shown[d.read:], text) {
		select {
		case part, ok := <-d.arrived:
			if !ok {
				d.t.Fatalf("the command ends without %q:\n%s", text, d.shown)
			}
			d.shown += string(part)
		case <-patience:
			d.t.Fatalf("no %q:\n%s", text, d.shown)
		}
	}
	d.read += strings.Index(d.shown[d.read:], text) + len(text)
	return d
}

// send types a text.
func (d *dialogue) send(text string) *dialogue {
	d.t.Helper()
	if _, err := d.terminal.WriteString(text); err != nil {
		d.t.Fatal(err)
	}
	return d
}

// finish waits for the end of the command, and returns what the terminal shows.
func (d *dialogue) finish() string {
	for part := range d.arrived {
		d.shown += string(part)
	}
	_ = d.command.Wait()
	_ = d.terminal.Close()
	return d.shown
}

// end waits for the end of the command, and returns what the terminal shows. It ends the test at another exit code.
func (d *dialogue) end(code int) string {
	d.t.Helper()
	d.finish()
	if got := d.command.ProcessState.ExitCode(); got != code {
		d.t.Fatalf("exit code %d, want %d:\n%s", got, code, d.shown)
	}
	return d.shown
}

// TestLoginOnATerminal checks what login asks for, that secrets are not shown, and that an interruption leaves a
// terminal that shows what is typed.
func TestLoginOnATerminal(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		s.CreateUser("ann@example.com", map[string]any{"tfa": true})
		s.Mails() // of the creations
		r := &remote{t: t, folder: t.TempDir()}
		shown := r.talk("login", s.URL).expect("E-mail address: ").send("mary@example.com\n").
			expect("Password: ").send(apitest.Password + "\n").expect("You are signed in").end(0)
		if strings.Contains(shown, apitest.Password) {
			t.Error(shown)
		}
		r.want(0, "", "users", "get", "me")

		d := r.talk("login", s.URL, "--email", "ann@example.com", "--name", "ann").
			expect("Password: ").send(apitest.Password + "\n").expect("by e-mail: ")
		code := s.Mail().Code
		shown = d.send("00000000\n").expect("by e-mail: ").send(" " + code + "\n").expect("signed in").end(0)
		if strings.Contains(shown, code) {
			t.Error(shown)
		}
		stdout := r.want(0, "", "contexts", "--output", "csv")
		if !strings.Contains(stdout, "ann,"+s.URL+",ann@example.com,true") {
			t.Error(stdout)
		}
		r.talk("login", s.URL, "--email", "mary@example.com").expect("Password: ").send("wrong-password\n").end(3)
		r.talk("login", s.URL, "--email", "mary@example.com").expect("Password: ").send("\x03").
			expect("interrupted").end(130)
	})
}

// TestPasswordIsNeverShown checks that a terminal shows no password either when the questions go to a file.
func TestPasswordIsNeverShown(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 1)
	r := fake(t, func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		asked <- string(body)
		w.WriteHeader(http.StatusUnauthorized)
	})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := roster(t, r.folder, nil)
	line := `echo ready; exec "$0" login "$1" --email mary@example.com 2>log`
	server := strings.TrimPrefix(r.env[0], "ROSTER_URL=")
	command.Path, command.Args = "/bin/sh", []string{"sh", "-c", line, self, server}
	command.Env = append(command.Env, "XDG_CONFIG_HOME="+r.folder)
	d := r.talkTo(command).expect("ready")
	log := filepath.Join(r.folder, "log")
	for text := ""; text != "Password: "; { // then the terminal is told
		content, _ := os.ReadFile(log)
		text = string(content)
	}
	d.send("MySecret123\n")
	if body := <-asked; !strings.Contains(body, "MySecret123") {
		t.Error(body)
	}
	if shown := d.finish(); strings.Contains(shown, "MySecret123") {
		t.Errorf("%q", shown)
	}
}

// TestConfirm checks that what ends somebody's access is asked for, and refused where there is nobody to ask.
func TestConfirm(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		path := apitest.UserPath(s.CreateUser("mary@example.com"))
		r := asAdmin(t, s)
		active := func() bool { return s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Object()["active"] == true }
		r.want(2, "add --yes", "users", "delete", "mary@example.com")
		r.want(2, "add --yes", "users", "deactivate", "1")
		r.want(2, "add --yes", "users", "edit", "1", "--no-active")
		r.want(0, "dry run", "users", "delete", "1", "--dry-run")
		r.want(0, "active: true → false", "users", "deactivate", "1", "--dry-run")
		for _, answer := range []string{"n\n", "\n", "yesterday\n"} {
			r.talk("users", "delete", "1").expect("Delete user 1 (mary@example.com)? [y/N]: ").send(answer).end(1)
		}
		if !active() {
			t.Error("a user was changed without a yes")
		}
		shown := r.talk("users", "deactivate", "1").expect("[y/N]: ").send("yes\n").end(0)
		if !strings.Contains(shown, "\x1b[31mtrue\x1b[0m → \x1b[32mfalse\x1b[0m") || active() {
			t.Errorf("%q", shown)
		}
		if shown := r.with("NO_COLOR=1").talk("users", "list").end(0); strings.Contains(shown, "\x1b") {
			t.Errorf("%q", shown)
		}
		r.talk("users", "delete", "1").expect("[y/N]: ").send("Y\n").end(0)
		s.Do(http.MethodGet, path, nil).Want(http.StatusNotFound)
	})
}

// fake is a server that answers as a test wants.
func fake(t *testing.T, answer http.HandlerFunc) *remote {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	env := []string{"ROSTER_URL=" + server.URL, "ROSTER_TOKEN=" + apitest.AdminToken}
	return &remote{t: t, folder: t.TempDir(), env: env}
}

const hostile = "Mary\x1b]0;owned\x07\x1b[2J\u202egnp.exe\u200b\u0085\u2028 \u4f60\u597d\U000E0041"

// TestHostileNames checks that what a server sends cannot steer a terminal, in any format, in differences, in questions
// and in errors, and that a table is no wider than the terminal.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	user := map[string]any{
		"id": 1, "name": hostile, "email": strings.Repeat("long", 40) + hostile, "active": true, "version": 1,
		"groups": []int{}, "ipWhitelist": []string{hostile}, "clientTags": []string{hostile},
	}
	r := fake(t, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case q.URL.Path == "/api/v2/users":
			_ = json.NewEncoder(w).Encode(map[string]any{"data": []any{user}})
		case q.Method == http.MethodGet:
			_ = json.NewEncoder(w).Encode(user)
		default:
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(map[string]any{
				"code": hostile, "detail": hostile,
				"errors": []any{map[string]string{"field": hostile, "message": hostile}},
			})
		}
	})
	ours := regexp.MustCompile(`\x1b\[(0|1|31|32)m`) // the styles of the command itself
	check := func(what, shown string) {
		t.Helper()
		shown = ours.ReplaceAllString(regexp.MustCompile(`\r+\n`).ReplaceAllString(shown, "\n"), "")
		if strings.ContainsAny(shown, "\x1b\x07\r\u202e\u200b\u0085\u2028\U000E0041") {
			t.Errorf("%s: %q", what, shown)
		}
		if !strings.Contains(shown, "你好") && !strings.Contains(what, "name") && !strings.Contains(what, "table") {
			t.Errorf("%s lacks the rest: %q", what, shown)
		}
	}
	for _, format := range []string{"table", "json", "ndjson", "csv", "name"} {
		shown := r.talk("users", "list", "--output", format).end(0)
		check("list as "+format, shown)
		if format == "table" {
			for line := range strings.SplitSeq(ours.ReplaceAllString(shown, ""), "\n") {
				if width := runewidth.StringWidth(strings.TrimRight(line, "\r\n ")); width > terminalWidth {
					t.Errorf("%d columns: %q", width, line)
				}
			}
		}
	}
	check("get", r.talk("users", "get", "1").end(0))
	check("delete", r.talk("users", "delete", "1").expect("[y/N]: ").send("y\n").end(4))
	check("edit", r.talk("users", "edit", "1", "--name", "Ann", "--ip-whitelist", hostile).end(4))
	stdout := r.want(0, "", "users", "get", "1", "-o", "json")
	if decode(t, []byte(stdout)).(map[string]any)["name"] != hostile {
		t.Errorf("JSON has another name: %s", stdout)
	}
}

// TestLoginRefuses checks that a password goes to the server that was named and to no other, and never in the clear.
func TestLoginRefuses(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	reached := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		reached++
	}))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		r := fake(t, func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, elsewhere.URL+q.URL.Path, status) })
		server := strings.TrimPrefix(r.env[0], "ROSTER_URL=")
		_, stderr, code := r.run("mary@example.com\nMySecret123\n", "login", server)
		if code != 1 || !strings.Contains(stderr, "redirects elsewhere") {
			t.Errorf("%d: %d %s", status, code, stderr)
		}
		r.want(1, "redirects elsewhere", "users", "list")
	}
	if reached > 0 {
		t.Errorf("a redirect was followed %d times", reached)
	}
	r := &remote{t: t, folder: t.TempDir()}
	for address, text := range map[string]string{
		"http://roster.example.com": "in the clear", "http://127.0.0.1.example.com": "in the clear",
		"http://localhost.example.com": "in the clear", "http://10.0.0.1": "in the clear", "ftp://localhost": "https://",
		"https://mary:secret@example.com": "must be one such as", "https://example.com/?token=x": "must be one such as",
		"roster.example.com": "must be one such as",
	} {
		_, stderr, code := r.run("mary@example.com\nMySecret123\n", "login", address)
		if code != 2 || !strings.Contains(stderr, text) || strings.Contains(stderr, "secret") {
			t.Errorf("%s: %d %s", address, code, stderr)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(r.folder, "*")); len(files) > 0 {
		t.Errorf("a refused login leaves %v", files)
	}
}

// TestStrangeServers checks that a server which is none of Roster, or one that never ends, is told in a sentence.
func TestStrangeServers(t *testing.T) {
	t.Parallel()
	html := fake(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html><body>Welcome</body></html>") })
	html.want(1, "the answer is not one of Roster", "users", "list")
	_, stderr, code := html.run("mary@example.com\nMySecret123\n", "login", strings.TrimPrefix(html.env[0], "ROSTER_URL="))
	if code != 1 || !strings.Contains(stderr, "not one of Roster") {
		t.Error(code, stderr)
	}
	var sent int64
	endless := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		part := []byte(strings.Repeat(" ", 1<<20))
		for sent = 0; sent < 10<<30; sent += int64(len(part)) {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	})
	endless.want(1, "the answer is not one of Roster", "users", "list", "--output", "json")
	if sent > 128<<20 {
		t.Errorf("%d bytes were read", sent)
	}
	long := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"code":"x","detail":%q}`, strings.Repeat("long ", 1<<20))
	})
	if _, stderr, _ := long.run("", "users", "list"); len(stderr) > 10<<10 {
		t.Errorf("an error of %d bytes", len(stderr))
	}
	// A server that goes away after the first page: what is shown is no whole list, and the command has failed.
	broken := fake(t, func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Query().Get("after") != "" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Link", `<http://x/api/v2/users?after=1>; rel="next"`)
		fmt.Fprint(w, `{"data":[{"id":1}]}`)
	})
	if stdout := broken.want(8, "Internal Server Error", "users", "list", "-o", "json"); json.Valid([]byte(stdout)) {
		t.Errorf("%s is a whole list", stdout)
	}
}

// TestUnwritable checks that output that is lost is a failure.
func TestUnwritable(t *testing.T) {
	t.Parallel()
	r := fake(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"data":[{"id":1}]}`) })
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = full.Close() })
	for _, args := range [][]string{
		{"users", "list"},
		{"users", "list", "-o", "json"},
		{"users", "list", "-o", "csv"},
		{"users", "get", "1"},
		{"version"},
		{"completion", "bash"},
		{"users", "--help"},
		{"token", "list"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		command := roster(t, r.folder, append(r.env, "XDG_CONFIG_HOME="+r.folder), args...)
		command.Stdout = full
		if err := command.Run(); err == nil || command.ProcessState.ExitCode() != 1 {
			t.Errorf("%v into a full disk: %v", args, err)
		}
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		_ = reader.Close()
		command = exec.CommandContext(ctx, command.Path, args...)
		command.Dir, command.Stdout = r.folder, writer
		command.Env = append([]string{"TEST_RUN_ROSTER=1"}, r.env...)
		if err := command.Run(); err == nil {
			t.Errorf("%v into a closed pipe succeeds", args)
		}
		_ = writer.Close()
		cancel()
	}
}
