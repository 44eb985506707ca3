package store

import (
	"context"
	"database/sql"
	"sync"

	"github.com/jmoiron/sqlx"
)

// pool is a connection pool with its prepared statements.
type pool struct {
	db      *sqlx.DB
	engine  *engine
	prepare bool
	limits  limits
	away    func(context.Context) bool // see OpenMemory; else nil

	mu         sync.RWMutex
	statements map[string]*sqlx.Stmt
}

// limits are bounds of lists. They are no constants so that a test of a few hundred rows
// can reach them.
type limits struct {
	// broadMatches is the number of matches of a search above which walking the order
	// is cheaper than collecting and sorting all matches.
	broadMatches int64
	// countedUsers is the highest count of users by a filter of which user_counts cannot tell it.
	countedUsers int64
	// countedEvents is the highest total of a list of events: it costs the same however
	// many events there are.
	countedEvents int64
	// pageBytes bounds a page of any list, in bytes of its texts plus rowBytes per row.
	pageBytes int
}

// maxStatements bounds the prepared statements: lists have queries of many shapes, and
// each one costs memory on each connection.
const maxStatements = 200

// queryer is a query without its arguments: a prepared statement, or a text with a
// connection.
type queryer interface {
	GetContext(ctx context.Context, dest any, args ...any) error
	SelectContext(ctx context.Context, dest any, args ...any) error
	QueryxContext(ctx context.Context, args ...any) (*sqlx.Rows, error)
	ExecContext(ctx context.Context, args ...any) (sql.Result, error)
}

func newPool(db *sqlx.DB, e *engine, prepare bool) *pool {
	return &pool{
		db: db, engine: e, prepare: prepare, statements: map[string]*sqlx.Stmt{},
		limits: limits{broadMatches: 5_000, countedUsers: 10_000, countedEvents: 10_000, pageBytes: 8 << 20},
	}
}

// isAway reports that a call is to fail as if the database could not be reached.
func (p *pool) isAway(ctx context.Context) bool { return p.away != nil && p.away(ctx) }

// queryer returns a query to run on the pool, and prepares it if the pool prepares.
func (p *pool) queryer(ctx context.Context, query string) (queryer, error) {
	if err := p.prepareOnce(ctx, query); err != nil {
		return nil, err
	}
	if statement := p.prepared(query); statement != nil {
		return statement, nil
	}
	return text{p.db, query}, nil
}

// queryerIn returns a query to run in a transaction. It does not prepare: that takes a
// second connection, and in a full pool transactions would wait for each other.
func (p *pool) queryerIn(ctx context.Context, tx *sqlx.Tx, query string) queryer {
	if statement := p.prepared(query); statement != nil {
		return tx.StmtxContext(ctx, statement)
	}
	return text{tx, query}
}

func (p *pool) prepared(query string) *sqlx.Stmt {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.statements[query]
}

// prepareOnce prepares a query, if the pool prepares and has room and it is not prepared.
func (p *pool) prepareOnce(ctx context.Context, query string) error {
	p.mu.RLock()
	done := !p.prepare || p.statements[query] != nil || len(p.statements) >= maxStatements
	p.mu.RUnlock()
	if done {
		return nil
	}
	statement, err := p.db.PreparexContext(ctx, query)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.statements[query] != nil { // another goroutine was faster
		return statement.Close() //nolint:sqlclosecheck // the one that is kept stays open
	}
	p.statements[query] = statement
	return nil
}

// afterError drops a statement whose result type a migration has changed, and the idle
// connections where one of them is poisoned.
func (p *pool) afterError(query string, err error) {
	if p.engine.isStalePlan(err) {
		p.mu.Lock()
		delete(p.statements, query) // not closed: others may be using it
		p.mu.Unlock()
	}
	if p.engine.isPoisoned(err) {
		p.db.SetMaxIdleConns(0)
		p.db.SetMaxIdleConns(p.engine.maxIdle)
	}
}

// text is a query that is not prepared.
type text struct {
	conn interface {
		GetContext(ctx context.Context, dest any, query string, args ...any) error
		SelectContext(ctx context.Context, dest any, query string, args ...any) error
		QueryxContext(ctx context.Context, query string, args ...any) (*sqlx.Rows, error)
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	}
	query string
}

func (t text) GetContext(ctx context.Context, dest any, args ...any) error {
	return t.conn.GetContext(ctx, dest, t.query, args...)
}

func (t text) SelectContext(ctx context.Context, dest any, args ...any) error {
	return t.conn.SelectContext(ctx, dest, t.query, args...)
}

func (t text) QueryxContext(ctx context.Context, args ...any) (*sqlx.Rows, error) {
	return t.conn.QueryxContext(ctx, t.query, args...)
}

func (t text) ExecContext(ctx context.Context, args ...any) (sql.Result, error) {
	return t.conn.ExecContext(ctx, t.query, args...)
}
