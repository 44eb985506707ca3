package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// openFileWarning matches the warning in both formats of the log.
var openFileWarning = regexp.MustCompile(`run chmod 600.*roster\.db`)

// TestWarningOfOpenDatabaseFile checks that every command that opens a database
// file that other users can open logs a warning and still works.
func TestWarningOfOpenDatabaseFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	run := func(args ...string) (stdout, stderr string) {
		t.Helper()
		command := roster(t, folder, nil, args...)
		command.Stdin = strings.NewReader("MySecret123\n")
		stdout, stderr, ok := output(t, command)
		if !ok {
			t.Errorf("%v: %s", args, stderr)
		}
		return stdout, stderr
	}
	if _, stderr := run("migrate"); stderr != "" { // it makes the file, with mode 0600
		t.Errorf("a new file: %s", stderr)
	}
	chmod := func(mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(filepath.Join(folder, "roster.db"), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602} {
		chmod(mode)
		if _, stderr := run("token", "list"); !openFileWarning.MatchString(stderr) {
			t.Errorf("%o: %s", mode, stderr)
		}
	}
	chmod(0o644)
	for _, args := range [][]string{
		{"migrate"},
		{"token", "create", "--name", "CI", "--admin"},
		{"token", "revoke", "1"},
		{"user", "create", "--name", "Mary", "--email", "mary@example.com"},
		{"audit", "prune", "--older-than", "400d"},
		{"outbox", "list"},
	} {
		stdout, stderr := run(args...)
		if len(openFileWarning.FindAllString(stderr, -1)) != 1 || strings.Contains(stdout, "chmod") {
			t.Errorf("%v: %s%s", args, stdout, stderr)
		}
	}
	service := start(t, folder)
	service.stop(t)
	if log := service.errors.String(); len(openFileWarning.FindAllString(log, -1)) != 1 {
		t.Errorf("serve: %s", log)
	}
	chmod(0o600)
	if _, stderr := run("token", "list"); stderr != "" {
		t.Errorf("600: %s", stderr)
	}
}
