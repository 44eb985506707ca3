// Command bench measures Roster under load on both engines and prints the figures as
// Markdown. It seeds users, starts the server as another process and loads it. A
// figure below its bar is printed as short and is not a failure; an unexpected answer
// is one.
//
// Figures depend on the machine, so nearly all bars are ratios between requests that
// are measured in turns.
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

// options holds the flags of the command line.
type options struct {
	users       []int
	engines     []string
	duration    time.Duration
	rounds      int
	connections int
	serverLog   string
	outbox      int
	imported    int
	lists       bool
	database    string
	svg         string
	random      time.Duration
	seed        uint64
	writes      bool

	roster string // path of the built program
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err() // the cause of the other errors
		}
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // stop has nothing left to do
	}
}

// openFlag is the flag with which this program is the server without authentication.
const openFlag = "open"

func run(ctx context.Context, args []string) (err error) {
	o, open, err := parseOptions(args)
	if err != nil {
		return err
	}
	if open {
		return serveOpen(ctx)
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
	if o.imported > 0 {
		return measureImports(ctx, o, dir)
	}
	if o.lists {
		return measureLists(ctx, o, dir)
	}
	if o.random > 0 {
		return compareLists(ctx, o, dir)
	}
	if o.writes {
		return measureWrites(ctx, o, dir)
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

// parseOptions returns the options and whether to serve without authentication
// instead of measuring.
func parseOptions(args []string) (o options, open bool, err error) {
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	users := flags.String("users", "100000,1000000", "list of numbers of `users`; the bars are those of the first")
	engines := flags.String("engines", postgres+","+sqlite, "list of `engines`")
	flags.DurationVar(&o.duration, "d", 5*time.Second, "how long to load the server with one kind of request")
	flags.IntVar(&o.rounds, "rounds", 3, "number of rounds for requests with a bar; the medians count")
	flags.IntVar(&o.connections, "c", 32, "number of connections")
	flags.StringVar(&o.serverLog, "server-log", os.DevNull, "`file` for the logs of the servers")
	flags.IntVar(&o.outbox, "outbox", 0,
		"only measure how fast this number of `messages` is sent, and its effect on requests")
	flags.IntVar(&o.imported, "import", 0,
		"only measure how fast this number of `rows` is imported, and its effect on requests")
	flags.BoolVar(&o.lists, "lists", false,
		"only measure lists: those that were slow, and all combinations of simple filters, orders and offsets")
	flags.StringVar(&o.svg, "svg", "", "`file` for a picture of how lists grow, with -lists")
	flags.DurationVar(&o.random, "random", 0,
		"only compare random lists with a plain model, for this `time` per engine, at the first number of users")
	flags.Uint64Var(&o.seed, "seed", 1, "`number` that the random lists follow from")
	flags.StringVar(&o.database, "database", "",
		"`URL` of a database that has the seeded users, for -lists and -random with one engine and one number of users")
	flags.BoolVar(&o.writes, "writes", false, "only measure changes of users beside bare statements, on PostgreSQL")
	flags.BoolVar(&open, openFlag, false, "serve DATABASE_URL without authentication, and measure nothing")
	if err := flags.Parse(args); err != nil || open {
		return o, open, err
	}
	if o.users, err = parseUsers(*users); err != nil {
		return o, false, fmt.Errorf("-users: %w", err)
	}
	o.engines = strings.Split(*engines, ",")
	if i := slices.IndexFunc(o.engines, func(e string) bool { return e != postgres && e != sqlite }); i >= 0 {
		return o, false, fmt.Errorf("-engines: unknown engine %q", o.engines[i])
	}
	if o.rounds < 1 || o.connections < 1 || o.duration <= 0 {
		return o, false, errors.New("-d, -rounds and -c must be positive")
	}
	return o, false, nil
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

// progress prints a line with the time on standard error.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

// measureEngine measures databases of all sizes in turns, so that other load of the
// machine affects all of them, and prints the tables. It returns the bars and the
// errors of the scenarios that failed.
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
			if trips, err = countRoundTrips(ctx, s, o, s.getOne); err != nil {
				return nil, nil, err
			}
		}
	}
	printTables(subjects)
	return findBars(subjects, trips), failed, nil
}

// subject is a seeded database with its servers and their figures.
type subject struct {
	engine      string
	users       int
	databaseURL string
	drop        func()

	normal   *server // the released program
	uncached *server // the same without the cache of rights
	open     *server // the same without authentication
	token    string  // the most expensive token to check
	links    []string

	ready        time.Duration
	idle, loaded int64 // bytes
	runs         map[string][]result
	failed       []error
	creates      creates
	rude, polite flood
	seeds        uint64 // number of runs; each has its own random numbers
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

// starts is the number of times that the normal server is started to measure that.
const starts = 5

// start starts the servers and makes the token. It starts the normal server several
// times and keeps the longest time.
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
	s.uncached, err = startServer(ctx, s.databaseURL, o.serverLog, o.roster, "serve", "--token-cache-ttl=0")
	if err != nil {
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

// idleMemory returns the memory of the normal server after two seconds without
// requests.
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
