package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBackup checks that the copy of a database in use holds what was acknowledged, and
// that a service runs on it.
func TestBackup(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	service := start(t, folder)
	run := func(ok bool, folder string, args ...string) (stdout, stderr string) {
		t.Helper()
		stdout, stderr, succeeded := output(t, roster(t, folder, nil, args...))
		if succeeded != ok {
			t.Fatalf("%v: %s%s", args, stdout, stderr)
		}
		return stdout, stderr
	}
	run(true, folder, "token", "create", "--admin", "--name", "before-the-backup")
	copied := filepath.Join(t.TempDir(), "roster.db")
	run(true, folder, "backup", copied)
	info, err := os.Stat(copied)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if _, stderr := run(false, folder, "backup", copied); !strings.Contains(stderr, "exist") {
		t.Errorf("over an existing file: %s", stderr)
	}
	service.stop(t)
	if stdout, _ := run(true, filepath.Dir(copied), "token", "list"); !strings.Contains(stdout, "before-the-backup") {
		t.Errorf("the copy has %s", stdout)
	}
	start(t, filepath.Dir(copied)).stop(t)

	postgres := roster(t, t.TempDir(), []string{"DATABASE_URL=postgres://localhost:1/roster"}, "backup", "copy.db")
	if _, stderr, ok := output(t, postgres); ok || !strings.Contains(stderr, "pg_dump") {
		t.Errorf("a backup of PostgreSQL: %s", stderr)
	}

	empty := t.TempDir()
	run(false, empty, "backup", "copy.db")
	if files, err := os.ReadDir(empty); err != nil || len(files) > 0 {
		t.Errorf("a backup of nothing leaves %v, %v", files, err)
	}
}
