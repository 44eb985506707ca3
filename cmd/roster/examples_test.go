package main

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// hostCommands are those that need no server.
var hostCommands = []string{
	"serve", "migrate", "backup", "config", "healthcheck", "token", "user", "audit", "version", "completion",
}

func isHostCommand(name string) bool {
	group, _, _ := strings.Cut(name, " ")
	return slices.Contains(hostCommands, group)
}

// shellIn returns a function that runs a line in a shell that has the command and an editor.
func shellIn(t *testing.T, folder string, env ...string) func(line, stdin string) *exec.Cmd {
	t.Helper()
	programs := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(programs, "roster")); err != nil {
		t.Fatal(err)
	}
	const editor = `#!/bin/sh
sed -i -e 's/^name: "\(.*\)"/name: "\1 X"/' -e 's/^active: false/active: true/' "$2"
`
	if err := os.WriteFile(filepath.Join(programs, "code"), []byte(editor), 0o700); err != nil {
		t.Fatal(err)
	}
	return func(line, stdin string) *exec.Cmd {
		command := roster(t, folder, env)
		command.Path, command.Args = "/bin/bash", []string{"bash", "-c", "set -o pipefail; " + line}
		command.Env = append(command.Env, "PATH="+programs+":"+os.Getenv("PATH"), "XDG_CONFIG_HOME="+folder,
			"PASSWORD="+apitest.Password)
		command.Stdin = strings.NewReader(stdin)
		return command
	}
}

// TestHostExamples runs the examples of the commands for the service on this host.
func TestHostExamples(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	service := start(t, folder) // roster serve
	run := shellIn(t, folder, "ROSTER_ADDR="+strings.TrimPrefix(service.base, "http://"))
	for _, example := range examples {
		if !isHostCommand(example.command) || example.command == "serve" {
			continue
		}
		for line := range strings.SplitSeq(example.lines, "\n") {
			if stdout, stderr, ok := output(t, run(line, "")); !ok || stderr != "" && example.command != "token create" {
				t.Errorf("%s\n%s%s", line, stdout, stderr)
			}
		}
	}
	service.stop(t)
}

// TestExamples runs the examples of the commands for a server, one after the other.
func TestExamples(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateToken(0, []string{"users.view"}) // with the id 2
		receiver := apitest.NewReceiver(t)
		receiver.Answer(http.StatusGone)
		s.CreateWebhook(receiver.URL)
		s.CreateUser("mary@example.com", map[string]any{"groups": []int{1}, "canViewMaskedData": true})
		s.CreateGroup("Support", "users.view")
		s.CreateUser("idle@example.com", map[string]any{"active": false})
		s.Send()
		works(t, s)
		folder := t.TempDir()
		run := shellIn(t, folder)
		for name, content := range map[string]string{
			"people.csv": "email,name,groups\nzoe@example.com,Zoe,Support\n",
			"team.csv":   "E-Mail,name,Team,Notes\njo@example.com,Jo,,x\n",
			"realm.json": `{"users":[{"id":"1","username":"eve","email":"eve@example.com","enabled":true}]}`,
		} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, example := range examples {
			if isHostCommand(example.command) {
				continue
			}
			for line := range strings.SplitSeq(example.lines, "\n") {
				line = strings.ReplaceAll(line, "https://roster.example.com", s.URL)
				stdin := "mary@example.com\n" + apitest.Password + "\n"
				if strings.Contains(line, "--email mary") {
					stdin = apitest.Password + "\n"
				}
				command := run(line, stdin)
				if example.command == "events tail" {
					checkTail(t, s, command)
					continue
				}
				if stdout, stderr, ok := output(t, command); !ok {
					t.Errorf("%s\n%s%s", line, stdout, stderr)
				}
			}
		}
	})
}

// checkTail starts a command that follows failed sign-ins, waits for one, and interrupts it.
func checkTail(t *testing.T, s *apitest.Server, command *exec.Cmd) {
	t.Helper()
	s.TrySignIn("mary@example.com", "wrong-password").Want(http.StatusUnauthorized)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	command.Args[2] = "exec " + strings.TrimPrefix(command.Args[2], "set -o pipefail; ")
	pipe, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	for range 2 { // the one before, and one that comes now
		if !lines.Scan() || !strings.Contains(lines.Text(), `"type":"USER_SIGNIN_FAILED"`) {
			t.Errorf("%s%s", lines.Text(), &stderr)
		}
		s.TrySignIn("mary@example.com", "wrong-password").Want(http.StatusUnauthorized)
	}
	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // what came meanwhile
	}
	var exit *exec.ExitError
	if err := command.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("after an interruption: %v", err)
	}
}
