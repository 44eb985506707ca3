//go:build linux || darwin

package pgtest_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/lib/pq"
	"go.uber.org/goleak"

	"github.com/rosterhq/roster/internal/pgtest"
)

// TestMain is also the main function of the process that TestKill kills.
func TestMain(m *testing.M) {
	if os.Getenv("PGTEST_CHILD") != "" {
		url, stop, err := pgtest.Start(false)
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(url)
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed or its parent ends
		stop()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func connect(tb testing.TB, url string) *sql.DB {
	tb.Helper()
	db, err := sql.Open("postgres", url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })

	return db
}

func execute(tb testing.TB, db *sql.DB, query string, args ...any) {
	tb.Helper()
	if _, err := db.ExecContext(tb.Context(), query, args...); err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
}

func queryString(tb testing.TB, db *sql.DB, query string) string {
	tb.Helper()
	var s string
	if err := db.QueryRowContext(tb.Context(), query).Scan(&s); err != nil {
		tb.Fatalf("%s: %v", query, err)
	}

	return s
}

func TestNew(t *testing.T) {
	db := connect(t, pgtest.New(t))
	execute(t, db, "create extension pg_trgm")
	for query, want := range map[string]string{
		"select current_setting('server_encoding')":                                          "UTF8",
		"select count(*)::text from information_schema.tables where table_schema = 'public'": "0",
		"select (show_trgm('é') <> '{}')::text":                                              "true",
		"select lower('É')":                                                                  "é",
		"select string_agg(c, '' order by c) from unnest(array['b', 'ä', 'a', 'B']) c":       "Babä",
	} {
		if got := queryString(t, db, query); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
}

func TestNewDropsDatabase(t *testing.T) {
	var dropped string
	t.Run("lend", func(t *testing.T) {
		dropped = pgtest.New(t)
		db := connect(t, dropped)
		conn, err := db.Conn(t.Context()) // drop must end a connection left open
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	})
	if err := connect(t, dropped).PingContext(t.Context()); err == nil {
		t.Error("the database is still there")
	}
}

// prepared is global, as the template is: with -count=2, TestClone runs twice.
var prepared atomic.Int32

func TestClone(t *testing.T) {
	prepare := func(url string) error {
		prepared.Add(1)
		db, err := sql.Open("postgres", url)
		if err != nil {
			return err
		}
		_, err = db.ExecContext(context.Background(),
			"create table person (name text primary key); insert into person values ('Ada')")

		return errors.Join(err, db.Close())
	}
	t.Run("clones", func(t *testing.T) {
		for i := range 20 {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				db := connect(t, pgtest.Clone(t, "person", prepare))
				own := fmt.Sprintf("person %d", i)
				execute(t, db, "insert into person values ($1)", own)
				got := queryString(t, db, "select string_agg(name, ',' order by name) from person")
				if want := "Ada," + own; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		}
	})
	if n := prepared.Load(); n != 1 {
		t.Errorf("prepared %d times", n)
	}
	clone := pgtest.Clone(t, "another", func(string) error { return nil })
	if got := queryString(t, connect(t, clone), "select to_regclass('person') is null"); got != "true" {
		t.Error("another key got the same template")
	}
}

// TestKill checks that a killed process leaves no server and no files.
func TestKill(t *testing.T) {
	pgtest.New(t) // skips without a server
	child := command(t, "", "PGTEST_CHILD=1", "TEST_DATABASE_URL=")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("child: %v", err)
	}
	address, err := url.Parse(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	dir := address.Query().Get("host")
	if dir == "" {
		t.Skipf("no private cluster: %s", line)
	}
	pidFile, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.Fields(string(pidFile))[0])
	if err != nil {
		t.Fatal(err)
	}

	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()

	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := os.Stat(dir)
		if errors.Is(err, os.ErrNotExist) && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("after the kill: directory %s: %v; server %d: %v", dir, err, pid, syscall.Kill(pid, 0))
		}
	}
}

func TestStop(t *testing.T) {
	url, stop := start(t, true)
	db := connect(t, url)
	if got := queryString(t, db, "select current_setting('fsync') || current_setting('autovacuum')"); got != "onon" {
		t.Errorf("fsync and autovacuum: %s", got)
	}
	stop()
	if err := db.PingContext(t.Context()); err == nil {
		t.Error("the server still runs")
	}
}

func TestExternalServer(t *testing.T) {
	external, stop := start(t, false)
	defer stop()
	db := connect(t, external)
	execute(t, db, "create database pgtest_1_abandoned")

	out, err := command(t, "TestNew|TestClone", "TEST_DATABASE_URL="+external, "PGTEST_SOURCE=").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "from TEST_DATABASE_URL\n") {
		t.Errorf("another server was used:\n%s", out)
	}
	// The database of Start and the two templates of TestClone are left.
	got := queryString(t, db, `select count(*) || ' ' || count(*) filter (where datallowconn)
		from pg_database where datname ~ '^pgtest_'`)
	if got != "3 1" {
		t.Errorf("databases on the server: %s", got)
	}
}

func TestNoServer(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		env        []string
	}{
		{"skip", "--- SKIP: TestNew ", []string{"PGTEST_SOURCE=none"}},
		{"required", "--- FAIL: TestNew ", []string{"PGTEST_SOURCE=none", "REQUIRE_POSTGRES=1"}},
		{"CI", "--- FAIL: TestNew ", []string{"PGTEST_SOURCE=none", "CI=true"}},
		{"unreachable", "--- FAIL: TestNew ", []string{"TEST_DATABASE_URL=postgres://x@/y?host=/nonexistent"}},
		{"no URL", "--- FAIL: TestNew ", []string{"TEST_DATABASE_URL=host=localhost"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := append([]string{"CI=", "REQUIRE_POSTGRES=", "PGTEST_SOURCE="}, tt.env...)
			out, _ := command(t, "TestNew$", env...).CombinedOutput()
			if !strings.Contains(string(out), tt.want) {
				t.Errorf("want %q in:\n%s", tt.want, out)
			}
		})
	}
}

// start starts a private cluster, also when TEST_DATABASE_URL is set.
func start(t *testing.T, durable bool) (url string, stop func()) {
	t.Helper()
	pgtest.New(t) // skips without a server
	external := os.Getenv("TEST_DATABASE_URL")
	t.Setenv("TEST_DATABASE_URL", "")
	url, stop, err := pgtest.Start(durable)
	if err != nil && external != "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}

	return url, stop
}

// command returns a command that runs tests of this program in another process.
func command(t *testing.T, tests string, env ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.v", "-test.run=^("+tests+")")
	cmd.Env = slices.Concat(os.Environ(), []string{"GORACE=atexit_sleep_ms=0"}, env) // -race waits a second

	return cmd
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		pgtest.New(b)
	}
}

func BenchmarkClone(b *testing.B) {
	for b.Loop() {
		pgtest.Clone(b, "benchmark", func(string) error { return nil })
	}
}
