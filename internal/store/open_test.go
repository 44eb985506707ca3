package store_test

import (
	"os"
	"path/filepath"
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

func TestBadDatabaseURLs(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "mysql://x", "sqlite:", "sqlite::memory:", "sqlite:/does/not/exist/x.db", "postgres://[", "postgres://h/d?sslmode=perhaps"} {
		if s, err := store.Open(url, store.Options{}); err == nil {
			t.Errorf("%s: opened %v", url, s)
		}
	}
}
