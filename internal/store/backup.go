package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Backup writes a copy of a SQLite database to a new file, as it is at one moment. The
// service can run and write meanwhile. Only the owner can read the file, which has
// password hashes. The error says so where the file exists, or where the database is not
// SQLite. A copy that is not complete is removed.
func Backup(ctx context.Context, databaseURL, file string) (err error) {
	path, isSQLite := strings.CutPrefix(databaseURL, "sqlite:")
	if !isSQLite {
		return errors.New("only a SQLite database can be copied: back up PostgreSQL with pg_dump or its other tools")
	}
	if _, err := os.Stat(path); err != nil { // Open would create it
		return fmt.Errorf("the database file: %w", err)
	}
	s, err := Open(databaseURL, Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	// VACUUM INTO takes an empty file and keeps its mode.
	target, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator's own choice
	if err != nil {
		return fmt.Errorf("the copy: %w", err)
	}
	if err := target.Close(); err != nil {
		return fmt.Errorf("the copy: %w", err)
	}
	if _, err := s.write.db.ExecContext(ctx, "VACUUM INTO $1", file); err != nil {
		return errors.Join(fmt.Errorf("the copy: %w", err), os.Remove(file))
	}
	return syncFile(file)
}

// syncFile waits until a file is on the disk.
func syncFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // as above
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
