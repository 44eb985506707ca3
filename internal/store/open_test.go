package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rosterhq/roster/internal/store"
)

func TestSQLiteFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b?c#d%20é.db")
	if _, err := store.Migrate(t.Context(), "sqlite:"+path); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open("sqlite:"+path, store.Options{Prepare: true})
	if err != nil {
		t.Fatal(err)
	}
	insert(t, s, user(1, "Mary"))
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(files) != 3 {
		t.Errorf("files %q, %v", files, err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestFilesOpenToOthers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "roster.db")
	write := func(name string, mode os.FileMode) {
		t.Helper()
		if err := errors.Join(os.WriteFile(name, nil, mode), os.Chmod(name, mode)); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want ...string) {
		t.Helper()
		if got := store.FilesOpenToOthers("sqlite:" + path); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	check() // there is none yet
	write(path, 0o600)
	check()
	write(path+"-wal", 0o644)
	check(path + "-wal")
	write(path, 0o660)
	check(path, path+"-wal")
	if got := store.FilesOpenToOthers("postgres://h/d"); got != nil {
		t.Errorf("%q", got)
	}
}

func TestBadDatabaseURLs(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "mysql://x", "sqlite:", "sqlite::memory:", "sqlite:/does/not/exist/x.db", "postgres://[",
		"postgres://h/d?sslmode=perhaps",
	} {
		if s, err := store.Open(url, store.Options{}); err == nil {
			t.Errorf("%s: opened %v", url, s)
		}
	}
}
