package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite"
)

// Memory is a SQLite database in memory, which ends with Close. It is for test doubles:
// it keeps nothing, and a commit waits for the readers, who do not see an older version as
// they do in a file.
type Memory struct {
	*Store

	// alive has a connection that is never used: the database ends with its last connection.
	alive *sql.DB
}

// memories counts the databases in memory of this process, which have numbers for names.
var memories atomic.Int64

// OpenMemory opens a migrated database in memory, or one with the content of a Snapshot. away
// reports that the database is to fail a call as if it could not be reached; may be nil.
func OpenMemory(ctx context.Context, snapshot []byte, away func(context.Context) bool) (_ *Memory, err error) {
	// All connections of the process share a database whose name begins with a slash.
	name := fmt.Sprintf("file:/roster-%d?vfs=memdb", memories.Add(1))
	dsn := name + "&_pragma=busy_timeout(5000)&_pragma=journal_mode(MEMORY)&_pragma=synchronous(OFF)" +
		"&_pragma=foreign_keys(1)&_txlock=immediate&_time_integer_format=unix_micro&_inttotime=1"
	var databases [3]*sql.DB
	for i, of := range []string{name, dsn, dsn + "&_pragma=query_only(1)"} {
		if databases[i], err = sql.Open("sqlite", of); err != nil {
			return nil, err
		}
	}
	alive, writes, reads := databases[0], databases[1], databases[2]
	e := sqliteEngine
	e.maxIdle = max(4, runtime.NumCPU())
	alive.SetMaxOpenConns(1)
	writes.SetMaxOpenConns(1)
	reads.SetMaxOpenConns(e.maxIdle)
	reads.SetMaxIdleConns(e.maxIdle)
	const prepare = true
	read, write := newPool(sqlx.NewDb(reads, "sqlite"), &e, prepare), newPool(sqlx.NewDb(writes, "sqlite"), &e, prepare)
	read.away, write.away = away, away
	m := &Memory{Store: newStore(read, write, "sqlite:"+name, 0), alive: alive}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	if err := alive.PingContext(ctx); err != nil {
		return nil, err
	}
	if snapshot != nil {
		return m, restore(ctx, snapshot, name)
	}
	if _, err = m.migrate(ctx); err == nil {
		err = m.rekeyEmails(ctx)
	}
	return m, err
}

// Snapshot returns the content of the database.
func (m *Memory) Snapshot(ctx context.Context) (snapshot []byte, err error) {
	err = raw(ctx, m.alive, func(connection any) (err error) {
		c, ok := connection.(interface{ Serialize() ([]byte, error) })
		if !ok {
			return errors.ErrUnsupported
		}
		snapshot, err = c.Serialize()
		return err
	})
	return snapshot, err
}

// Close closes all connections, and with them the database ends.
func (m *Memory) Close() error { return errors.Join(m.Store.Close(), m.alive.Close()) }

// restore copies a snapshot into the database of a name. SQLite reads a snapshot into a
// database of one connection only, so it takes a copy.
func restore(ctx context.Context, snapshot []byte, name string) (err error) {
	source, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	return raw(ctx, source, func(connection any) error {
		c, ok := connection.(interface {
			Deserialize(snapshot []byte) error
			NewBackup(name string) (*sqlite.Backup, error)
		})
		if !ok {
			return errors.ErrUnsupported
		}
		if err := c.Deserialize(snapshot); err != nil {
			return err
		}
		backup, err := c.NewBackup(name)
		if err != nil {
			return err
		}
		const allPages = -1
		_, err = backup.Step(allPages)
		return errors.Join(err, backup.Finish())
	})
}

// raw calls fn with a connection of the driver.
func raw(ctx context.Context, db *sql.DB, fn func(connection any) error) error {
	connection, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	return errors.Join(connection.Raw(fn), connection.Close())
}

// errAway is the error of a database that a test double keeps from answering.
var errAway = fmt.Errorf("the database is away on purpose: %w", driver.ErrBadConn)

// Begin gives what the migrations have created a time of creation.
func (m *Memory) Begin(ctx context.Context, at time.Time) error {
	return m.InTx(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, "UPDATE groups SET created_at = $1", timestamp{at})
		return err
	})
}
