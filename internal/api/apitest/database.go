package apitest

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/store/storetest"
)

// OpenDatabase opens the database itself, past the store.
func OpenDatabase(tb testing.TB, engine, url string) *sql.DB {
	tb.Helper()
	db, err := sql.Open(engine, strings.TrimPrefix(url, "sqlite:"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// EachURL is Each that also passes the engine and the URL of the database.
func EachURL(t *testing.T, fn func(t *testing.T, s *Server, engine, url string)) {
	t.Helper()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := storetest.URL(t, engine)
			fn(t, New(t, url), engine, url)
		})
	}
}

// EachDatabase is Each that also opens the database itself.
func EachDatabase(t *testing.T, fn func(t *testing.T, s *Server, engine string, db *sql.DB)) {
	t.Helper()
	EachURL(t, func(t *testing.T, s *Server, engine, url string) {
		fn(t, s, engine, OpenDatabase(t, engine, url))
	})
}

// EachAlone is Each without anything in parallel: for tests that measure memory or load.
func EachAlone(t *testing.T, fn func(t *testing.T, s *Server, engine, url string)) {
	t.Helper()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			url := storetest.URL(t, engine)
			fn(t, New(t, url), engine, url)
		})
	}
}

// Execute executes statements.
func Execute(tb testing.TB, db *sql.DB, statements ...string) {
	tb.Helper()
	for _, statement := range statements {
		if _, err := db.ExecContext(tb.Context(), statement); err != nil {
			tb.Fatal(err)
		}
	}
}

// Query returns rows as text, with bars between the values.
func Query(tb testing.TB, db *sql.DB, text string) (lines []string) {
	tb.Helper()
	rows, err := db.QueryContext(tb.Context(), text)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		tb.Fatal(err)
	}
	for rows.Next() {
		values, pointers := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			pointers[i] = &values[i]
		}
		if err := rows.Scan(pointers...); err != nil {
			tb.Fatal(err)
		}
		line := "|"
		for _, value := range values {
			if raw, isBytes := value.([]byte); isBytes {
				value = string(raw)
			}
			line += fmt.Sprint(value, "|")
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return lines
}

// CountRows counts the rows of a table.
func CountRows(tb testing.TB, engine, url, table, where string) (n int) {
	tb.Helper()
	query := "SELECT count(*) FROM " + table + " WHERE " + where
	if err := OpenDatabase(tb, engine, url).QueryRowContext(tb.Context(), query).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

// BreakEvents makes every insertion of an event fail with "broken on purpose".
func BreakEvents(tb testing.TB, engine string, db *sql.DB) {
	tb.Helper()
	Execute(tb, db, map[string][]string{
		"sqlite": {
			`CREATE TRIGGER broken BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'broken on purpose'); END`,
		},
		"postgres": {
			`CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS
				$$ BEGIN RAISE EXCEPTION 'broken on purpose'; END $$`,
			`CREATE TRIGGER broken BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION broken()`,
		},
	}[engine]...)
}
