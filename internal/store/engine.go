package store

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/XSAM/otelsql"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

// engine holds all differences between the two databases except the schema.
type engine struct {
	dialect goose.Dialect
	folder  string // of the migrations
	maxIdle int

	// writable is a query that returns whether the database accepts writes.
	writable string
	// clock is a query that returns the database's time; "" if it runs on this host.
	clock string
	// lockUser is the format of the statement that locks the user with an id; "" for none.
	lockUser string
	// withWrites says that a WITH can have an INSERT.
	withWrites bool

	// Row locks at the end of a SELECT. SQLite has none and needs none: its
	// write transactions run one at a time.
	forUpdate   string // blocks other writers and lockers of the row
	forShare    string // blocks writers of the row
	forDeletion string // blocks writers of the row and new references to it
	skipLocked  string // locks for an update and leaves out rows that are locked

	// notify is a query that sends a text to a channel when the transaction commits;
	// "" where the engine has no channels.
	notify string

	// violated returns the unique index that an error says was violated, by
	// PostgreSQL's name for it: table_column[_column].
	violated func(error) string
	// isConflict reports that the database aborted the transaction in favour of another
	// one. A retry may succeed.
	isConflict func(error) bool
	// isAway reports that the database cannot be reached or cannot write at the moment.
	isAway func(error) bool
	// isStopped reports that the database has ended a statement that took too long for it.
	isStopped func(error) bool
	// isStalePlan reports that a prepared statement must be prepared again.
	isStalePlan func(error) bool
	// isPoisoned reports that a connection of the pool cannot be used any more.
	isPoisoned func(error) bool

	// foldCounts is a statement that makes one row of the rows that a block of user_counts has,
	// but leaves out those that a writer holds; "" where a block has one row anyway.
	foldCounts string

	// beyondASCII is the condition that the key of an address has characters beyond
	// ASCII. The index users_email_beyond_ascii has the same condition.
	beyondASCII string

	// selectGroups is the groups of a row of users, as groupsColumn.
	selectGroups string

	// first is the format of the condition that a column is in the result of a query. The
	// query is run first, and its result looked up in the index of the column.
	first string
	// texts and numbers are the formats of the query for the values of a JSON array, which is
	// one argument however many there are; they take the number of its placeholder.
	texts   string
	numbers string

	// unnumbered says that a long list of placeholders has ? instead of $1, $2, …: SQLite's time to
	// bind arguments by number grows with the square of how many there are.
	unnumbered bool
	// importBatch is how many rows of an import a transaction applies.
	importBatch int

	// contains returns the condition that one of the columns contains a text, and the
	// arguments for its placeholders, which start at $n. With indexed the trigram index
	// finds the rows; without it the condition keeps the planner from using that index.
	// id names the id of the row.
	contains func(id string, columns []string, n int, text string, indexed bool) (condition string, args []any)
}

func openPools(databaseURL string, options Options) (read, write *pool, err error) {
	scheme, rest, _ := strings.Cut(databaseURL, ":")
	switch scheme {
	case "postgres", "postgresql":
		return openPostgres(databaseURL, options)
	case "sqlite":
		return openSQLite(rest, options)
	}
	return nil, nil, errors.New("the database URL must be postgres://… or sqlite:PATH")
}

// spans leaves out the spans of calls that tell nothing of a query.
var spans = otelsql.WithSpanOptions(otelsql.SpanOptions{
	OmitConnResetSession: true, OmitConnPrepare: true, OmitRows: true, DisableErrSkip: true,
})

// ---- PostgreSQL ----

func openPostgres(databaseURL string, options Options) (read, write *pool, err error) {
	parameters := map[string]string{}
	if options.Prepare { // otherwise there may be a pooler, which refuses parameters that it does not know
		// A session whose client is lost keeps its locks until the server notices.
		// No request of ours is idle for that long.
		parameters["idle_in_transaction_session_timeout"] = "10s"
		// Compiling takes longer than it saves: up to 170 ms for a deep page of a million users.
		parameters["jit"] = "off"
		// To start workers takes 20 ms and a processor from other requests.
		parameters["max_parallel_workers_per_gather"] = "0"
	}
	db, err := connectPostgres(databaseURL, parameters, options.Trace)
	if err != nil {
		return nil, nil, err
	}
	e := postgresEngine
	e.maxIdle = options.MaxConns
	if e.maxIdle == 0 {
		e.maxIdle = defaultMaxConns
	}
	db.SetMaxOpenConns(e.maxIdle)
	db.SetMaxIdleConns(e.maxIdle)
	// A connection that is broken in a way that was not detected is closed in the end.
	const maxLifetime = 5 * time.Minute
	db.SetConnMaxLifetime(maxLifetime)
	p := newPool(db, &e, options.Prepare)
	return p, p, nil
}

// connectTimeout bounds an attempt to connect to one host. A request, which ends after
// four seconds, still reaches the second host.
const connectTimeout = 3 * time.Second

func connectPostgres(databaseURL string, runtimeParameters map[string]string, traced bool) (*sqlx.DB, error) {
	_, connector, err := postgresConnector(databaseURL, runtimeParameters)
	if err != nil {
		return nil, err
	}
	if traced {
		return sqlx.NewDb(otelsql.OpenDB(connector, spans), "postgres"), nil
	}
	return sqlx.NewDb(sql.OpenDB(connector), "postgres"), nil
}

func postgresConnector(
	databaseURL string, runtimeParameters map[string]string,
) (pq.Config, driver.Connector, error) {
	config, err := pq.NewConfig(postgresURL(databaseURL))
	if err != nil {
		return config, nil, fmt.Errorf("the database URL (DATABASE_URL): %w", withoutURL(err))
	}
	// One round trip per query. It also keeps a pooler from mixing up answers, because
	// the unnamed statement is never used across messages.
	config.BinaryParameters = true
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	if config.ApplicationName == "" {
		config.ApplicationName = "roster"
	}
	for name, value := range runtimeParameters {
		if config.Runtime == nil {
			config.Runtime = map[string]string{}
		}
		if _, given := config.Runtime[name]; !given {
			config.Runtime[name] = value
		}
	}
	c, err := pq.NewConnectorConfig(config)
	if err != nil {
		return config, nil, fmt.Errorf("the database URL (DATABASE_URL): %w", withoutURL(err))
	}
	return config, connector{c}, nil
}

// withoutURL removes the URL, which may contain a password, from a parser's error.
func withoutURL(err error) error {
	var urlError *url.Error
	if errors.As(err, &urlError) {
		return urlError.Err
	}
	return err
}

var postgresEngine = engine{
	dialect:     goose.DialectPostgres,
	folder:      "migrations/postgres",
	writable:    "SELECT current_setting('transaction_read_only') = 'off'",
	clock:       "SELECT clock_timestamp()",
	lockUser:    "SELECT id FROM users WHERE id = %d FOR NO KEY UPDATE",
	withWrites:  true,
	forUpdate:   " FOR NO KEY UPDATE", // foreign keys may still point to the row
	forShare:    " FOR SHARE",
	forDeletion: " FOR UPDATE",
	skipLocked:  " FOR UPDATE SKIP LOCKED",
	notify:      "SELECT pg_notify($1, $2)::text",
	violated: func(err error) string {
		if e := pq.As(err, pqerror.UniqueViolation); e != nil {
			return e.Constraint
		}
		return ""
	},
	isConflict: func(err error) bool {
		return pq.As(err, pqerror.TRSerializationFailure, pqerror.TRDeadlockDetected) != nil
	},
	// That of statement_timeout, and of a person who cancels a statement.
	isStopped: func(err error) bool { return pq.As(err, pqerror.QueryCanceled) != nil },
	isAway: func(err error) bool {
		e := pq.As(err)
		if e == nil {
			return false
		}
		switch e.Code {
		case pqerror.ReadOnlySQLTransaction, pqerror.LockNotAvailable, pqerror.QueryCanceled,
			pqerror.TRSerializationFailure, pqerror.TRDeadlockDetected, pqerror.InvalidAuthorizationSpecification,
			pqerror.InvalidPassword,
			// A standby returns it for a transaction that writes. A stale plan also
			// does, and is a new plan next time.
			pqerror.FeatureNotSupported:
			return true
		}
		switch e.Code.Class() {
		case "08", "53", "57", "58": // connection, resources, operator intervention, system
			return true
		}
		return false
	},
	isStalePlan: func(err error) bool { return pq.As(err, pqerror.FeatureNotSupported) != nil },
	isPoisoned: func(err error) bool {
		// lib/pq#1320: it keeps a connection whose answer it has not read. The error
		// is not exported, so its text is compared.
		return strings.Contains(err.Error(), "already a query being processed")
	},
	foldCounts: `WITH many AS (SELECT group_id, block FROM user_counts GROUP BY 1, 2 HAVING count(*) > 1),
		free AS (SELECT c.ctid FROM user_counts AS c JOIN many USING (group_id, block) FOR UPDATE OF c SKIP LOCKED),
		folded AS (DELETE FROM user_counts WHERE ctid = ANY (ARRAY(SELECT ctid FROM free)) RETURNING *)
		INSERT INTO user_counts SELECT group_id, block, sum(users), sum(active), sum(tfa), sum(active_tfa)
		FROM folded GROUP BY 1, 2`,
	importBatch: 256,
	beyondASCII: "octet_length(email_folded) <> length(email_folded)",
	// An array takes half the time of string_agg.
	selectGroups: "array_to_string(ARRAY(SELECT group_id FROM memberships WHERE user_id = users.id " +
		"ORDER BY group_id), ' ') AS group_ids",
	first:   "= ANY (ARRAY(%s))",
	texts:   "SELECT json_array_elements_text($%d::text::json)",
	numbers: "SELECT json_array_elements_text($%d::text::json)::bigint AS value",
	contains: func(_ string, columns []string, n int, text string, indexed bool) (string, []any) {
		args := []any{likePattern(text)}
		if indexed {
			args = append(args, likePattern(trigrams(rarePart(text))...))
		}
		conditions := make([]string, len(columns))
		for i, column := range columns {
			// The index is on the bare column, so that it does not apply to an expression. There is no
			// ESCAPE '\', which is the default: with it a prepared statement converts the pattern for each row.
			conditions[i] = fmt.Sprintf("(%s || '') LIKE $%d", column, n)
			if indexed {
				conditions[i] += fmt.Sprintf(" AND %s LIKE $%d", column, n+1)
			}
		}
		return "(" + strings.Join(conditions, " OR ") + ")", args
	},
}

// likePattern returns a LIKE pattern for texts that contain the parts in this order.
// Wildcards in the parts are ordinary characters.
func likePattern(parts ...string) string {
	escape := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
	pattern := "%"
	for _, part := range parts {
		pattern += escape.Replace(part) + "%"
	}
	return pattern
}

// trigrams cuts a text into parts of three characters; the last part has up to five. A
// text that contains the whole contains the parts in this order. Searching for these few
// is two to three times faster than for all trigrams of the whole text, which the index
// would use.
func trigrams(text string) []string {
	const size = 3
	var parts []string
	rest := []rune(text)
	for len(rest) >= 2*size {
		parts = append(parts, string(rest[:size]))
		rest = rest[size:]
	}
	return append(parts, string(rest))
}

// rarePart returns the part of a text to look for in the trigram index; what is found has to be
// compared with the whole text. Of an address that is the part before the @: nearly all users share the
// trigrams of the rest, and the index reads all of them.
func rarePart(text string) string {
	const trigram = 3
	if local, _, isAddress := strings.Cut(text, "@"); isAddress && utf8.RuneCountInString(local) >= trigram {
		return local
	}
	return text
}

// ---- SQLite ----

// anyContains returns the condition that one of the columns contains the text of placeholder n.
func anyContains(columns []string, n int) string {
	conditions := make([]string, len(columns))
	for i, column := range columns {
		conditions[i] = fmt.Sprintf("instr(%s, $%d) > 0", column, n)
	}
	return "(" + strings.Join(conditions, " OR ") + ")"
}

// FilesOpenToOthers returns the files of a SQLite database that users of the machine
// other than the owner may use. Open creates none, but a restored backup may be one. For
// PostgreSQL the result is empty.
func FilesOpenToOthers(databaseURL string) []string {
	path, isSQLite := strings.CutPrefix(databaseURL, "sqlite:")
	if !isSQLite {
		return nil
	}
	const others = 0o077
	var found []string
	for _, name := range []string{path, path + "-wal"} { // -wal has the latest changes
		if info, err := os.Stat(name); err == nil && info.Mode().Perm()&others != 0 {
			found = append(found, name)
		}
	}
	return found
}

func openSQLite(path string, options Options) (read, write *pool, err error) {
	// In memory, each connection would have a database of its own. With "file:" a URI
	// of SQLite would become the name of a file.
	if path == "" || path == ":memory:" || strings.HasPrefix(path, "file:") {
		return nil, nil, errors.New("the database URL (DATABASE_URL) must name a file, such as sqlite:roster.db; " +
			"there are no databases in memory and no file: URIs")
	}
	// Only the owner may read password hashes. SQLite gives its other files the same
	// mode. The error of OpenFile is also clearer than SQLite's.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the operator's own choice
	if err != nil {
		return nil, nil, fmt.Errorf("the database file: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, nil, fmt.Errorf("the database file: %w", err)
	}
	// PRAGMAs are in the DSN, because one sent as a statement reaches one connection only.
	// busy_timeout comes first: the others may have to wait. Transactions take the write
	// lock at once, because a lock for reading may fail to become one for writing.
	// synchronous is FULL: in WAL mode NORMAL can lose the last commits when the power
	// fails, which would undo an acknowledged revocation.
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_txlock=immediate&_time_integer_format=unix_micro&_inttotime=1"
	open := sql.Open
	if options.Trace {
		open = func(driver, dsn string) (*sql.DB, error) { return otelsql.Open(driver, dsn, spans) }
	}
	writeDB, err := open("sqlite", dsn)
	if err != nil {
		return nil, nil, err
	}
	readDB, err := open("sqlite", dsn+"&_pragma=query_only(1)")
	if err != nil {
		return nil, nil, errors.Join(err, writeDB.Close())
	}
	e := sqliteEngine
	e.maxIdle = max(4, runtime.NumCPU())
	writeDB.SetMaxOpenConns(1)
	readDB.SetMaxOpenConns(e.maxIdle)
	readDB.SetMaxIdleConns(e.maxIdle)
	read = newPool(sqlx.NewDb(readDB, "sqlite"), &e, options.Prepare)
	write = newPool(sqlx.NewDb(writeDB, "sqlite"), &e, options.Prepare)
	return read, write, nil
}

var sqliteEngine = engine{
	dialect:  goose.DialectSQLite3,
	folder:   "migrations/sqlite",
	writable: "SELECT true",
	violated: func(err error) string {
		var e *sqlite.Error
		if !errors.As(err, &e) || e.Code() != sqlitelib.SQLITE_CONSTRAINT_UNIQUE {
			return ""
		}
		// "constraint failed: UNIQUE constraint failed: users.email_folded (2067)"
		_, columns, _ := strings.Cut(e.Error(), "UNIQUE constraint failed: ")
		columns, _, _ = strings.Cut(columns, " (")
		index := ""
		for column := range strings.SplitSeq(columns, ", ") {
			table, name, _ := strings.Cut(column, ".")
			if index == "" {
				index = table
			}
			index += "_" + name
		}
		return index
	},
	isConflict: func(error) bool { return false }, // writers queue for the lock instead
	isAway: func(err error) bool {
		var e *sqlite.Error
		if !errors.As(err, &e) {
			return false
		}
		const primaryCode = 0xff
		switch e.Code() & primaryCode {
		case sqlitelib.SQLITE_BUSY, sqlitelib.SQLITE_LOCKED, sqlitelib.SQLITE_FULL, sqlitelib.SQLITE_IOERR,
			sqlitelib.SQLITE_READONLY, sqlitelib.SQLITE_CANTOPEN, sqlitelib.SQLITE_INTERRUPT, sqlitelib.SQLITE_NOMEM:
			return true
		}
		return false
	},
	isStopped:    func(error) bool { return false },
	isStalePlan:  func(error) bool { return false }, // SQLite prepares again by itself
	isPoisoned:   func(error) bool { return false },
	unnumbered:   true,
	importBatch:  128,
	beyondASCII:  "length(CAST(email_folded AS blob)) <> length(email_folded)",
	selectGroups: selectGroups,
	first:        "IN (%s)",
	texts:        "SELECT value FROM json_each($%d)",
	numbers:      "SELECT value FROM json_each($%d)",
	contains: func(id string, columns []string, n int, text string, indexed bool) (string, []any) {
		if indexed {
			part := rarePart(text)
			match := fmt.Sprintf(`{%s} : "%s"`, strings.Join(columns, " "), strings.ReplaceAll(part, `"`, `""`))
			found := fmt.Sprintf("%s IN (SELECT rowid FROM users_search WHERE users_search MATCH $%d)", id, n)
			args := []any{match}
			if part == text {
				return found, args
			}
			return "(" + found + " AND " + anyContains(columns, n+1) + ")", append(args, text)
		}
		return anyContains(columns, n), []any{text}
	},
}
