package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/rosterhq/roster/db"
)

// Migrate brings the schema and the keys of addresses up to date and returns how many
// migrations it ran. Several instances may run it at once: an advisory lock on
// PostgreSQL and the file lock on SQLite make the others wait.
func Migrate(ctx context.Context, databaseURL string) (applied int, err error) {
	s, err := openForMigration(databaseURL)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()

	// Try again where a migration timed out waiting for a lock, and on SQLite after any
	// error: two processes can start the same migration there, and one of them fails.
	const attempts = 10
	e := s.write.engine
	for attempt := 1; ; attempt++ {
		applied, err = s.migrate(ctx)
		if err == nil {
			err = s.rekeyEmails(ctx)
		}
		if err == nil || attempt == attempts || !e.isAway(err) && e.dialect != goose.DialectSQLite3 {
			return applied, err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Duration(attempt) * 50 * time.Millisecond):
		}
	}
}

// openForMigration is Open with a time-out for locks on PostgreSQL: while a migration
// waits for a table lock, all queries of the table wait behind it.
func openForMigration(databaseURL string) (*Store, error) {
	if !strings.HasPrefix(databaseURL, "postgres") {
		return Open(databaseURL, Options{})
	}
	db, err := connectPostgres(databaseURL, map[string]string{"lock_timeout": "2s"}, false)
	if err != nil {
		return nil, err
	}
	p := newPool(db, &postgresEngine, false)
	r := reader{pool: p}
	return &Store{reader: r, write: p, grants: newGrantCache(r, databaseURL, 0)}, nil
}

func (s *Store) migrate(ctx context.Context) (int, error) {
	provider, err := newProvider(s.write.db, s.write.engine)
	if err != nil {
		return 0, err
	}
	// The common case takes no lock, so that a start does not wait for another one. Up
	// finds an error of this look again, behind the lock.
	if pending, err := provider.HasPending(ctx); err == nil && !pending {
		return 0, nil
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return 0, fmt.Errorf("migrating the database: %w", err)
	}
	return len(results), nil
}

func newProvider(database *sqlx.DB, e *engine) (*goose.Provider, error) {
	migrations, err := fs.Sub(db.Migrations, e.folder)
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if e.dialect == goose.DialectPostgres {
		const period, failures = 1, 60 // seconds between attempts, and their number
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(period, failures))
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(e.dialect, database.DB, migrations, options...)
}

// Ready returns nil when the database answers, accepts writes and has the schema that
// this release needs, or a newer one: migrations only add.
func (s *Store) Ready(ctx context.Context) error {
	var writable bool
	if err := s.get(ctx, &writable, s.pool.engine.writable); err != nil {
		return err
	}
	if !writable {
		return errors.New("the database is read-only")
	}
	if s.migrated.Load() {
		return nil
	}
	provider, err := newProvider(s.write.db, s.write.engine)
	if err != nil {
		return err
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current < target {
		return fmt.Errorf("the database is at version %d, this release needs %d: run roster migrate", current, target)
	}
	s.migrated.Store(true)
	return nil
}
