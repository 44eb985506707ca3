// Command bench measures Roster under load and prints what it found as Markdown.
// It seeds users, starts the server as a process of its own and loads it from
// this one, on both engines. It is no test: a figure below its bar is printed as
// short and is no failure, but an answer other than the expected one is.
//
// A figure depends on the machine, so nearly all bars are ratios, between
// requests that are measured in turns.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rosterhq/roster/internal/pgtest"
)

const (
	postgres = "postgres"
	sqlite   = "sqlite"
)

// options are what the command line says.
type options struct {
	users       []int
	engines     []string
	duration    time.Duration
	rounds      int
	connections int
	serverLog   string
	outbox      int

	roster string // the program, when it has been built
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err() // all else is its consequence
		}
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // stop has nothing left to do
	}
}

// openFlag makes this program the server without authentication.
const openFlag = "open"

func run(ctx context.Context, args []string) (err error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	users := flags.String("users", "100000,1000000", "how many `users`, as a list; the bars are those of the first")
	engines := flags.String("engines", postgres+","+sqlite, "the `engines`, as a list")
	flags.DurationVar(&o.duration, "d", 5*time.Second, "how long to load the server with one kind of request")
	flags.IntVar(&o.rounds, "rounds", 3, "how often to do so for what has a bar; the medians count")
	flags.IntVar(&o.connections, "c", 32, "connections")
	flags.StringVar(&o.serverLog, "server-log", os.DevNull, "a `file` for the logs of the servers")
	flags.IntVar(&o.outbox, "outbox", 0, "measure nothing but how fast so many `messages` are sent, and what that does to requests")
	open := flags.Bool(openFlag, false, "serve DATABASE_URL without authentication, and measure nothing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *open {
		return serveOpen(ctx)
	}
	if o.users, err = parseUsers(*users); err != nil {
		return fmt.Errorf("-users: %w", err)
	}
	o.engines = strings.Split(*engines, ",")
	if i := slices.IndexFunc(o.engines, func(e string) bool { return e != postgres && e != sqlite }); i >= 0 {
		return fmt.Errorf("-engines: %q is none", o.engines[i])
	}
	if o.rounds < 1 || o.connections < 1 || o.duration <= 0 {
		return errors.New("-d, -rounds and -c must be positive")
	}

	dir, err := os.MkdirTemp("", "roster-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	progress("building roster")
	if o.roster, err = buildRoster(ctx, dir); err != nil {
		return err
	}
	if o.outbox > 0 {
		return measureOutboxes(ctx, o, dir)
	}
	printHead(o)
	var bars []bar
	var failed []error
	for _, engine := range o.engines {
		found, failures, err := measureEngine(ctx, o, engine, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", engine, err)
		}
		bars = append(bars, found...)
		failed = append(failed, failures...)
	}
	printBars(bars)
	return errors.Join(failed...)
}

func parseUsers(list string) (users []int, err error) {
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, err
		}
		users = append(users, n)
	}
	return users, nil
}

// progress tells whoever waits.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

// measureEngine measures databases of all sizes side by side, so that what the
// machine does meanwhile hits all of them, and prints the tables. It returns the
// bars and the scenarios that failed.
func measureEngine(ctx context.Context, o options, engine, dir string) (bars []bar, failed []error, err error) {
	var subjects []*subject
	defer func() {
		for _, s := range subjects {
			err = errors.Join(err, s.close())
		}
	}()
	for _, users := range o.users {
		s, err := newSubject(ctx, engine, users, dir)
		if err != nil {
			return nil, nil, err
		}
		subjects = append(subjects, s)
		if err := s.start(ctx, o); err != nil {
			return nil, nil, err
		}
	}
	if err := measureRequests(ctx, o, subjects); err != nil {
		return nil, nil, err
	}
	trips := 0.0
	for i, s := range subjects {
		failed = append(failed, s.failed...)
		if err := s.measureCreates(ctx, o); err != nil {
			return nil, nil, err
		}
		if s.rude, err = s.measureFlood(ctx, o, false); err != nil {
			return nil, nil, err
		}
		if s.polite, err = s.measureFlood(ctx, o, true); err != nil {
			return nil, nil, err
		}
		if s.loaded, err = s.idleMemory(ctx); err != nil {
			return nil, nil, err
		}
		if i == 0 && engine == postgres {
			progress("%s: counting round trips", s)
			if trips, err = countRoundTrips(ctx, s, o); err != nil {
				return nil, nil, err
			}
		}
	}
	printTables(subjects)
	return findBars(subjects, trips), failed, nil
}

// subject is a seeded database with its servers, and what was measured on them.
type subject struct {
	engine      string
	users       int
	databaseURL string
	drop        func()

	normal   *server // the released program
	uncached *server // the same without remembering what tokens grant
	open     *server // the same without authentication
	token    string  // the most expensive one to check
	links    []string

	ready        time.Duration
	idle, loaded int64 // bytes
	runs         map[string][]result
	failed       []error
	creates      creates
	rude, polite flood
	seeds        uint64 // how many runs there were: each has random numbers of its own
}

func (s *subject) String() string { return s.engine + ", " + thousands(int64(s.users)) + " users" }

func newSubject(ctx context.Context, engine string, users int, dir string) (*subject, error) {
	s := &subject{engine: engine, users: users, drop: func() {}, runs: map[string][]result{}}
	if engine == postgres {
		var err error
		if s.databaseURL, s.drop, err = pgtest.Start(true); err != nil {
			return nil, err
		}
	} else {
		s.databaseURL = "sqlite:" + filepath.Join(dir, strconv.Itoa(users)+".db")
	}
	progress("%s: seeding", s)
	if err := seed(ctx, engine, s.databaseURL, users); err != nil {
		s.drop()
		return nil, fmt.Errorf("seed: %w", err)
	}
	return s, nil
}

// starts is how often the normal server is started to see how long that takes.
const starts = 5

// start starts the servers, the normal one several times to see how long it
// takes at most, and makes the token.
func (s *subject) start(ctx context.Context, o options) (err error) {
	progress("%s: starting", s)
	for range starts {
		if s.normal != nil {
			if err := s.normal.stop(); err != nil {
				return err
			}
		}
		if s.normal, err = startServer(ctx, s.databaseURL, o.serverLog, o.roster, "serve"); err != nil {
			return err
		}
		s.ready = max(s.ready, s.normal.readyIn)
	}
	if s.idle, err = s.idleMemory(ctx); err != nil {
		return err
	}
	if s.uncached, err = startServer(ctx, s.databaseURL, o.serverLog, o.roster, "serve", "--token-cache-ttl=0"); err != nil {
		return err
	}
	ourselves, err := os.Executable()
	if err != nil {
		return err
	}
	if s.open, err = startServer(ctx, s.databaseURL, o.serverLog, ourselves, "-"+openFlag); err != nil {
		return err
	}
	if s.token, err = s.makeToken(ctx); err != nil {
		return err
	}
	s.links, err = s.nextLinks(ctx)
	return err
}

// idleMemory is what the server uses when nothing has been asked for a while.
func (s *subject) idleMemory(ctx context.Context) (int64, error) {
	const quiet = 2 * time.Second
	time.Sleep(quiet)
	return s.normal.memory(ctx)
}

// close ends the servers and removes the database.
func (s *subject) close() (err error) {
	for _, server := range []*server{s.normal, s.uncached, s.open} {
		if server != nil {
			err = errors.Join(err, server.stop())
		}
	}
	s.drop()
	return err
}
