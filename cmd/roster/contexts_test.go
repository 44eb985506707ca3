package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// signedIn returns commands of a user who has signed in by roster login.
func signedIn(t *testing.T, s *apitest.Server, email string) *remote {
	t.Helper()
	r := &remote{t: t, folder: t.TempDir()}
	if _, stderr, code := r.run(apitest.Password+"\n", "login", s.URL, "--email", email); code != 0 {
		t.Fatal(stderr)
	}
	return r
}

func (r *remote) contexts() string { return filepath.Join(r.folder, "roster", "contexts.json") }

// tokens returns the two tokens of the only context.
func (r *remote) tokens() (access, refresh string) {
	r.t.Helper()
	content, err := os.ReadFile(r.contexts())
	if err != nil {
		r.t.Fatal(err)
	}
	var file struct {
		Contexts []struct{ AccessToken, RefreshToken string }
	}
	if err := json.Unmarshal(content, &file); err != nil || len(file.Contexts) != 1 {
		r.t.Fatalf("%v: %s", err, content)
	}
	return file.Contexts[0].AccessToken, file.Contexts[0].RefreshToken
}

// TestContextFile checks who can read the tokens, and that a file that others could read is refused.
func TestContextFile(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		r := signedIn(t, s, "mary@example.com")
		folder := filepath.Dir(r.contexts())
		files, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if info, err := file.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", file.Name(), info.Mode())
			}
			if strings.HasPrefix(file.Name(), "contexts-") {
				t.Errorf("%s is left behind", file.Name())
			}
		}
		if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("the folder: %v, %v", info.Mode(), err)
		}
		for path, modes := range map[string][]os.FileMode{
			r.contexts(): {0o640, 0o604, 0o660, 0o644}, folder: {0o720, 0o702, 0o777},
		} {
			before, _ := os.Stat(path)
			for _, mode := range modes {
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
				r.want(1, "run chmod go= "+path, "users", "get", "me")
				r.want(1, "run chmod", "contexts")
			}
			if err := os.Chmod(path, before.Mode()); err != nil {
				t.Fatal(err)
			}
		}
		r.want(0, "", "users", "get", "me")
		if err := os.WriteFile(r.contexts(), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		r.want(1, "is damaged", "users", "get", "me")
	})
}

// TestSessionIsRenewed checks that commands renew the session, many of them at once too, and that its end is told. The
// access token of the test's server is over at once, because its clock is behind.
func TestSessionIsRenewed(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com")
		r := signedIn(t, s, "mary@example.com")
		first, _ := r.tokens()
		var commands sync.WaitGroup
		for range 8 {
			commands.Go(func() {
				stdout, stderr, code := r.run("", "users", "get", "me", "-o", "name")
				if code != 0 || stdout != fmt.Sprintln(id) {
					t.Error(code, stdout, stderr)
				}
			})
		}
		commands.Wait()
		if latest, _ := r.tokens(); latest == first {
			t.Error("the session was not renewed")
		}
		s.Do(http.MethodDelete, apitest.UserPath(id)+"/sessions", nil).Want(http.StatusNoContent)
		r.want(3, "session at "+s.URL+" is over", "users", "get", "me")
	})
}

// TestLogout checks that the session ends on the server too, and that nothing is left.
func TestLogout(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		path := apitest.UserPath(s.CreateUser("mary@example.com"))
		sessions := func() int { return len(s.Do(http.MethodGet, path+"/sessions", nil).Want(http.StatusOK).List()) }
		r := signedIn(t, s, "mary@example.com")
		if _, stderr, code := r.run(apitest.Password+"\n", "login", s.URL, "--email", "mary@example.com"); code != 0 {
			t.Fatal(stderr)
		}
		if n := sessions(); n != 1 {
			t.Errorf("after two sign-ins to one context: %d sessions", n)
		}
		r.want(0, "signed out", "logout")
		if n := sessions(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		if content, err := os.ReadFile(r.contexts()); err != nil || strings.Contains(string(content), "rst_") {
			t.Errorf("%s %v", content, err)
		}
		r.want(3, "not signed in", "users", "list")
		r.want(3, "no context", "logout")
	})
}

// TestChoiceOfTheServer checks which server a command asks, and that a token goes to the server it is for only.
func TestChoiceOfTheServer(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		r := signedIn(t, s, "mary@example.com")
		whoami := func(r *remote, args ...string) map[string]any {
			t.Helper()
			out := r.want(0, "", append([]string{"whoami", "-o", "json"}, args...)...)
			return decode(t, []byte(out)).(map[string]any)
		}
		name := strings.TrimPrefix(s.URL, "http://")
		if who := whoami(r); who["context"] != name || who["email"] != "mary@example.com" || who["server"] != s.URL {
			t.Error(who)
		}
		token := r.with("ROSTER_URL="+s.URL, "ROSTER_TOKEN="+apitest.AdminToken)
		if who := whoami(token); who["context"] != nil || who["userId"] != nil || who["server"] != s.URL {
			t.Error(who)
		}
		if who := whoami(token, "--context", name); who["email"] != "mary@example.com" {
			t.Error(who)
		}
		if who := whoami(r.with("ROSTER_URL=" + s.URL + "/")); who["context"] != name { // of the same server
			t.Error(who)
		}
		r.with("ROSTER_TOKEN="+apitest.AdminToken).want(2, "ROSTER_URL is not", "whoami")
		r.with("ROSTER_URL=https://other.example.com").want(3, "not signed in to https://other.example.com", "whoami")
		r.want(3, `no context "other"`, "whoami", "--context", "other")
		r.want(5, `no context "other"`, "contexts", "use", "other")
		file := filepath.Join(r.folder, "token")
		if err := os.WriteFile(file, []byte(apitest.AdminToken+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if who := whoami(r.with("ROSTER_URL="+s.URL, "ROSTER_TOKEN_FILE="+file)); who["userId"] != nil {
			t.Error(who)
		}
		// What the settings of the service on this host are does not matter.
		whoami(r.with("DATABASE_URL=mysql://root@localhost/shop", "ROSTER_BCRYPT_COST=99"))
	})
}

// TestOutboxOfAServerOrOfThisHost checks when outbox asks a server, and when it opens the database.
func TestOutboxOfAServerOrOfThisHost(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com", map[string]any{"groups": []int{1}})
		none := &remote{t: t, folder: t.TempDir()}
		none.want(0, "", "outbox", "list") // of roster.db in this folder
		if _, err := os.Stat(filepath.Join(none.folder, "roster.db")); err != nil {
			t.Error(err)
		}
		server := asAdmin(t, s)
		member := signedIn(t, s, "mary@example.com")
		for _, r := range []*remote{server, member} {
			if out := r.want(0, "", "outbox", "list", "-o", "json"); out != "[]\n" {
				t.Error(out)
			}
			if _, err := os.Stat(filepath.Join(r.folder, "roster.db")); err == nil {
				t.Error("a command for a server made a database")
			}
		}
		database := "DATABASE_URL=sqlite:" + filepath.Join(none.folder, "roster.db")
		if out := member.with(database).want(0, "", "outbox", "list"); !strings.HasPrefix(out, "ID  TO") {
			t.Error(out)
		}
		server.with(database).want(2, "take one of them away", "outbox", "list")
		member.with(database).want(2, "take one of them away", "outbox", "list", "--context", "x")
		none.want(2, "a table only", "outbox", "list", "-o", "json")
		none.want(3, "not signed in", "outbox", "counts")
	})
}

// TestTokensAreNowhere checks that no token is in the arguments, the help, an error or the trace of a crash.
func TestTokensAreNowhere(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the arguments of a process are read from /proc")
	}
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com", map[string]any{"groups": []int{1}})
		r := signedIn(t, s, "mary@example.com")
		secrets := func() []string {
			access, refresh := r.tokens()
			return []string{access, refresh, apitest.Password, apitest.AdminToken}
		}
		for _, args := range [][]string{
			{"whoami"}, {"users", "get", "99"}, {"contexts", "-o", "json"}, {"config"}, {"login", "--help"},
		} {
			stdout, stderr, _ := r.run("", args...)
			for _, secret := range secrets() {
				if strings.Contains(stdout+stderr, secret) {
					t.Errorf("%v shows %s", args, secret)
				}
			}
		}
		bad := asAdmin(t, s).with("ROSTER_TOKEN=" + apitest.AdminToken + "\nX: y")
		if _, stderr, code := bad.run("", "whoami"); code == 0 || strings.Contains(stderr, apitest.AdminToken) {
			t.Error(code, stderr)
		}

		// A crash in the middle of a request: SIGQUIT makes Go print the stacks of all goroutines.
		asked, answer := make(chan struct{}), make(chan struct{})
		hanging := fake(t, func(http.ResponseWriter, *http.Request) { close(asked); <-answer })
		command := roster(t, hanging.folder, append(hanging.env, "GOTRACEBACK=all"), "users", "list")
		var trace lockedBuffer
		command.Stderr = &trace
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		<-asked
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", command.Process.Pid))
		if err != nil || strings.Contains(string(line), apitest.AdminToken) {
			t.Errorf("%s %v", line, err)
		}
		if err := command.Process.Signal(syscall.SIGQUIT); err != nil {
			t.Fatal(err)
		}
		_ = command.Wait()
		close(answer)
		if text := trace.String(); !strings.Contains(text, "goroutine ") || strings.Contains(text, apitest.AdminToken) {
			t.Error(text)
		}
	})
}
