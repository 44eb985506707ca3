// Package store is the SQL of Roster: one sqlx store for PostgreSQL and SQLite,
// one file per aggregate. It stores and reads; its only rules are the constraints of
// the schema.
//
// Reads are methods of reader, which both Store and Tx embed; their names are nouns.
// Writes are methods of Tx only; their names are verbs. A write outside a transaction
// does not compile: lib/pq silently runs such a statement twice after a lost connection.
package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/rosterhq/roster/internal/identity"
)

// Options are the settings of a store.
type Options struct {
	// Prepare keeps statements prepared on each connection. It must be off behind a
	// pooler that uses another server connection per transaction.
	Prepare bool
	// MaxConns bounds the connections to PostgreSQL; 0 means 16.
	MaxConns int
	// Trace makes every query a span.
	Trace bool
	// GrantTTL is how long what a token grants may be kept in memory while Listen
	// runs; 0 reads the database on every request. On SQLite nothing is kept.
	GrantTTL time.Duration
}

const defaultMaxConns = 16

// Store is an open database.
type Store struct {
	reader

	write    *pool
	migrated atomic.Bool // Ready has found the schema to be current

	clock    *Clock
	grants   *grantCache
	enqueued chan struct{}
}

// Tx is a transaction. It has all reads and all writes.
type Tx struct {
	reader

	peeks   bool  // see Peek
	locked  int64 // see InTxOn
	effects effects
}

// effects are what InTx has to tell others about a transaction.
type effects struct {
	grants   grantChanges
	enqueued bool // see Enqueued
}

// reader has every SELECT, on the pool or inside a transaction.
type reader struct {
	pool *pool
	tx   *sqlx.Tx // nil outside a transaction
	// queries collects the queries of a transaction. InTx prepares them afterwards.
	queries *[]string
}

// Open opens the database that the URL names: postgres://… or sqlite:PATH. It does not
// connect. It returns an error for a URL that it cannot use.
func Open(url string, options Options) (*Store, error) {
	read, write, err := openPools(url, options)
	if err != nil {
		return nil, err
	}
	return newStore(read, write, url, options.GrantTTL), nil
}

func newStore(read, write *pool, url string, grantTTL time.Duration) *Store {
	s := &Store{
		reader: reader{pool: read}, write: write, enqueued: make(chan struct{}, 1),
		grants: newGrantCache(reader{pool: read}, url, grantTTL),
	}
	s.clock = NewClock(s, time.Now)
	return s
}

// Clock returns the clock of the database.
func (s *Store) Clock() *Clock { return s.clock }

// Enqueued delivers a value after messages of this instance have become due.
func (s *Store) Enqueued() <-chan struct{} { return s.enqueued }

// Close closes all connections.
func (s *Store) Close() error {
	err := s.write.db.Close()
	if s.reader.pool != s.write {
		err = errors.Join(err, s.reader.pool.db.Close())
	}
	return err
}

// Collector returns the metrics of the connection pool that serves writes.
func (s *Store) Collector() prometheus.Collector {
	return collectors.NewDBStatsCollector(s.write.db.DB, "roster")
}

// maxAttempts bounds how often a transaction is run that the database aborts in favour
// of another one (deadlock, serialization failure).
const maxAttempts = 4

// InTx runs fn in a transaction and commits it when fn returns nil. fn may run several
// times, so all its effects must go through tx. InTx returns the error of fn, or that of
// the database with its kind. Unavailable leaves open whether a commit that lost its
// connection has succeeded.
func (s *Store) InTx(ctx context.Context, fn func(tx *Tx) error) error {
	const nobody = 0
	return s.InTxOn(ctx, nobody, fn)
}

// InTxOn is InTx, and locks a user, if there is one with this id, in the round trip in which the
// transaction begins.
func (s *Store) InTxOn(ctx context.Context, userID int64, fn func(tx *Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := s.inTx(ctx, userID, fn)
		if err == nil || attempt == maxAttempts || !isRetryable(err) {
			return err
		}
		const base = 10 * time.Millisecond
		select {
		case <-ctx.Done():
			return err
		case <-time.After(rand.N(base << attempt)): //nolint:gosec // jitter, no secret
		}
	}
}

// Peek runs fn on committed data outside a transaction: it takes no locks and waits for
// none, and a write in fn fails. The data may have changed by the time it returns, so
// that it only tells whether a transaction is worth running.
func (s *Store) Peek(fn func(tx *Tx) error) error {
	return fn(&Tx{reader: s.reader, peeks: true})
}

func (s *Store) inTx(ctx context.Context, userID int64, fn func(tx *Tx) error) error {
	if s.write.isAway(ctx) {
		return s.write.mapError(ctx, errAway)
	}
	beginCtx := ctx
	if userID != 0 && s.write.engine.lockUser != "" {
		beginCtx = context.WithValue(ctx, locksKey{}, fmt.Sprintf(s.write.engine.lockUser, userID))
	}
	sqlTx, err := s.write.db.BeginTxx(beginCtx, nil)
	if err != nil {
		return s.write.mapError(ctx, err)
	}
	// After a commit this does nothing; after an error or a panic it rolls back.
	defer func() { _ = sqlTx.Rollback() }()
	var queries []string
	tx := &Tx{reader: reader{pool: s.write, tx: sqlTx, queries: &queries}, locked: userID}
	if err := fn(tx); err != nil {
		return err
	}
	published, err := s.grants.publish(ctx, tx)
	if err != nil {
		return err
	}
	err = sqlTx.Commit()
	s.grants.settle(ctx, published, err == nil)
	if err != nil {
		return s.write.mapError(ctx, err)
	}
	if tx.effects.enqueued {
		select {
		case s.enqueued <- struct{}{}:
		default: // a value is waiting already
		}
	}
	for _, query := range queries {
		// For the next transaction. This one is committed, whether it works or not.
		_ = s.write.prepareOnce(ctx, query)
	}
	return nil
}

// get reads one row into dest. No row is sql.ErrNoRows; see one.
func (r reader) get(ctx context.Context, dest any, query string, args ...any) error {
	return r.run(ctx, query, func(q queryer) error { return q.GetContext(ctx, dest, args...) })
}

// all reads all rows into dest, a pointer to a slice.
func (r reader) all(ctx context.Context, dest any, query string, args ...any) error {
	return r.run(ctx, query, func(q queryer) error { return q.SelectContext(ctx, dest, args...) })
}

// exec runs a statement that returns no rows and returns how many it affected.
func (t *Tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	if t.peeks {
		return 0, errors.New("a write where there is no transaction")
	}
	var affected int64
	err := t.run(ctx, query, func(q queryer) error {
		result, err := q.ExecContext(ctx, args...)
		if err != nil {
			return err
		}
		affected, err = result.RowsAffected()
		return err
	})
	return affected, err
}

// lock returns the suffix of a SELECT that locks, or "" in Peek.
func (t *Tx) lock(suffix string) string {
	if t.peeks {
		return ""
	}
	return suffix
}

func (r reader) run(ctx context.Context, query string, call func(queryer) error) error {
	if r.pool.isAway(ctx) {
		return r.pool.mapError(ctx, errAway)
	}
	var q queryer
	var err error
	if r.tx != nil {
		*r.queries = append(*r.queries, query)
		q = r.pool.queryerIn(ctx, r.tx, query)
	} else if q, err = r.pool.queryer(ctx, query); err != nil {
		return r.pool.mapError(ctx, err)
	}
	if err := call(q); err != nil {
		r.pool.afterError(query, err)
		return r.pool.mapError(ctx, err)
	}
	return nil
}

func notFound(what string, id int64) error {
	return identity.Errorf(identity.NotFound, "not_found", "There is no %s with the id %d.", what, id)
}

// one turns "no such row" into NotFound and wraps any other error of get.
func one(err error, what string, id int64) error {
	switch {
	case err == nil:
		return nil
	case isNoRows(err):
		return notFound(what, id)
	}
	return fmt.Errorf("%s %d: %w", what, id, err)
}
