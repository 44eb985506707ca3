// Package storetest gives tests a fresh, migrated store on both engines. What
// holds on one and not on the other is a bug in the seam between them.
package storetest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/pgtest"
	"github.com/rosterhq/roster/internal/store"
)

// Engines are the engines that every behaviour is tested on.
var Engines = []string{"sqlite", "postgres"}

// Each runs fn on both engines, each time on a fresh, migrated store.
func Each(t *testing.T, fn func(t *testing.T, s *store.Store)) {
	t.Helper()
	for _, engine := range Engines {
		t.Run(engine, func(t *testing.T) {
			fn(t, Open(t, URL(t, engine)))
		})
	}
}

// URL returns the URL of a fresh, migrated database that lasts as long as the test.
func URL(tb testing.TB, engine string) string {
	tb.Helper()
	if engine == "postgres" {
		return pgtest.Clone(tb, "migrated", migrate)
	}
	template, err := sqliteTemplate()
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), "roster.db")
	if err := os.WriteFile(path, template, 0o600); err != nil {
		tb.Fatal(err)
	}
	return "sqlite:" + path
}

// EmptyURL returns the URL of a database without a schema.
func EmptyURL(tb testing.TB, engine string) string {
	tb.Helper()
	if engine == "postgres" {
		return pgtest.New(tb)
	}
	return "sqlite:" + filepath.Join(tb.TempDir(), "roster.db")
}

// Open opens a store that is closed when the test ends.
func Open(tb testing.TB, url string) *store.Store {
	tb.Helper()
	s, err := store.Open(url, store.Options{Prepare: true, MaxConns: 8, GrantTTL: time.Second})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// sqliteTemplate is a migrated file: copying it is faster than migrating again.
var sqliteTemplate = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "roster-template-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "roster.db")
	if err := migrate("sqlite:" + path); err != nil {
		return nil, err
	}
	return os.ReadFile(path) //nolint:gosec // made above
})

func migrate(url string) error {
	_, err := store.Migrate(context.Background(), url)
	return err
}
