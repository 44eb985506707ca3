package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// write is one kind of change, by the service or by a bare statement.
type write struct {
	name string
	// against is the name of the write to compare with, "" for none; atLeast is the bar on the ratio.
	against string
	atLeast float64
	run     func(ctx context.Context) (perSecond float64, err error)

	rates    []float64
	walBytes int64 // per change, of the last round
	hot      int64 // percentage of the updates of users that touched no index; -1 where there were none
}

// measureWrites measures changes of users on PostgreSQL beside the bare statements for them, in
// turns, and prints the medians.
func measureWrites(ctx context.Context, o options, dir string) (err error) {
	s, err := newSubject(ctx, postgres, o.users[0], dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if s.normal, err = startServer(ctx, s.databaseURL, o.serverLog, o.roster, "serve"); err != nil {
		return err
	}
	if s.token, err = s.makeToken(ctx); err != nil {
		return err
	}
	db, err := sql.Open("postgres", s.databaseURL+"&binary_parameters=yes")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(o.connections)
	db.SetMaxIdleConns(o.connections)
	writes := s.writes(o, db)
	for round := range o.rounds {
		for _, w := range writes {
			if err := w.measure(ctx, db); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			progress("round %d: %s: %.0f/s", round+1, w.name, w.rates[round])
		}
	}
	trips, err := countRoundTrips(ctx, s, o, func(ctx context.Context, server *server, i int) (response, error) {
		body := fmt.Appendf(nil, `{"clientTags":[{"id":%d}]}`, i+1)
		return server.call(ctx, http.MethodPatch, "/api/v2/users/"+strconv.Itoa(i%s.users+1), s.token, body)
	})
	if err != nil {
		return err
	}
	fmt.Printf("\n## Changes: PostgreSQL, %d users, %d connections\n\n", s.users, o.connections)
	fmt.Println("| change | /s | ratio | to | bar | WAL per change | HOT |")
	fmt.Println("| --- | ---: | ---: | --- | ---: | ---: | ---: |")
	rates := map[string]float64{}
	for _, w := range writes {
		slices.Sort(w.rates)
		rates[w.name] = w.rates[len(w.rates)/2]
	}
	for _, w := range writes {
		ratio, bar, hot := "", "", ""
		if w.against != "" {
			ratio, bar = fmt.Sprintf("%.2f", rates[w.name]/rates[w.against]), fmt.Sprintf("%.2f", w.atLeast)
		}
		if w.hot >= 0 {
			hot = fmt.Sprintf("%d %%", w.hot)
		}
		fmt.Printf("| %s | %.0f | %s | %s | %s | %d B | %s |\n",
			w.name, rates[w.name], ratio, w.against, bar, w.walBytes, hot)
	}
	fmt.Printf("\nRound trips per PATCH: %.1f (bar: at most 5).\n", trips)
	return nil
}

// measure runs a write once.
func (w *write) measure(ctx context.Context, db *sql.DB) error {
	const state = `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint, n_tup_upd, n_tup_hot_upd
		FROM pg_stat_user_tables WHERE relname = 'users'`
	read := func() (wal, updated, hot int64, err error) {
		// Sessions report their statistics once per second at most.
		const reported = 1500 * time.Millisecond
		time.Sleep(reported)
		err = db.QueryRowContext(ctx, state).Scan(&wal, &updated, &hot)
		return wal, updated, hot, err
	}
	wal, updated, hot, err := read()
	if err != nil {
		return err
	}
	begun := time.Now()
	rate, err := w.run(ctx)
	if err != nil {
		return err
	}
	changes := max(int64(rate*time.Since(begun).Seconds()), 1)
	walAfter, updatedAfter, hotAfter, err := read()
	w.rates = append(w.rates, rate)
	w.walBytes, w.hot = (walAfter-wal)/changes, -1
	if n := updatedAfter - updated; n > changes/2 {
		const percent = 100
		w.hot = (hotAfter - hot) * percent / n
	}
	return err
}

// The names of writes that others are compared with.
const (
	bareTags     = "UPDATE of client_tags, bare"
	bareInserts  = "INSERT of a user and a membership, nothing counted"
	insertedName = "inserted."
)

func (s *subject) writes(o options, db *sql.DB) []*write {
	loop := func(change func(ctx context.Context, r *rand.Rand) error) func(context.Context) (float64, error) {
		return func(ctx context.Context) (float64, error) { return rateOf(ctx, o, change) }
	}
	updateTags := func(ctx context.Context, r *rand.Rand) error {
		_, err := db.ExecContext(ctx, "UPDATE users SET client_tags = $2, updated_at = $3, version = version + 1 WHERE id = $1",
			s.anyID(r), fmt.Sprintf(`[{"id":%d}]`, r.Int64N(1<<50)), time.Now())
		return err
	}
	insert := func(ctx context.Context, r *rand.Rand) error {
		return inOne(ctx, db, func(tx *sql.Tx) error { return insertUser(ctx, tx, r) })
	}
	without := func(ctx context.Context) (perSecond float64, err error) {
		const triggers = "ALTER TABLE users %[1]s TRIGGER user_added; ALTER TABLE memberships %[1]s TRIGGER members_added"
		if _, err := db.ExecContext(ctx, fmt.Sprintf(triggers, "DISABLE")); err != nil {
			return 0, err
		}
		perSecond, err = rateOf(ctx, o, insert)
		_, enabled := db.ExecContext(ctx, fmt.Sprintf(triggers, "ENABLE"))
		return perSecond, errors.Join(err, enabled)
	}
	patch := func(ctx context.Context) (float64, error) {
		l := s.load(o, scenario{method: http.MethodPatch, target: s.anyUser, body: func(b []byte, r *rand.Rand) []byte {
			return fmt.Appendf(b, `{"clientTags":[{"id":%d}]}`, 1+r.Int64N(1<<50))
		}})
		result, err := l.run(ctx)
		return result.rate, err
	}
	return []*write{
		{name: bareTags, run: loop(updateTags)},
		{name: "PATCH of clientTags", against: bareTags, atLeast: 0.5, run: patch},
		{name: bareInserts, run: without},
		{name: "… counted", against: bareInserts, atLeast: 0.6, run: loop(insert)},
		{name: "UPDATE of a last sign-in", run: loop(func(ctx context.Context, r *rand.Rand) error {
			_, err := db.ExecContext(ctx, "UPDATE signins SET last_signin_at = $2 WHERE id = $1", s.anyID(r), time.Now())
			return err
		})},
	}
}

// insertUser inserts a user and a membership as the service does.
func insertUser(ctx context.Context, tx *sql.Tx, r *rand.Rand) error {
	p := newPerson(int(r.Int64N(1<<50)), minUsers)
	p.email = insertedName + p.email
	values := slices.Concat(p.row()[1:], []any{p.groups[0]})
	_, err := tx.ExecContext(ctx, `WITH added AS (INSERT INTO users (name, name_folded, email, email_folded, password_hash, phone,
			active, tfa, allow_list, client_tags, can_view_masked_data, created_at, last_signin_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id)
		INSERT INTO memberships (user_id, group_id) SELECT id, $14::bigint FROM added`, values...)
	return err
}

// rateOf makes changes on all connections for a while and returns how many per second.
func rateOf(ctx context.Context, o options, change func(context.Context, *rand.Rand) error) (float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var done atomic.Int64
	begun := time.Now()
	end := begun.Add(o.duration)
	var running sync.WaitGroup
	for i := range o.connections {
		running.Go(func() {
			r := rand.New(rand.NewPCG(uint64(begun.UnixNano()), uint64(i))) //nolint:gosec // new addresses on every run
			for time.Now().Before(end) && ctx.Err() == nil {
				if err := change(ctx, r); err != nil {
					cancel(err)
					return
				}
				done.Add(1)
			}
		})
	}
	running.Wait()
	return float64(done.Load()) / time.Since(begun).Seconds(), context.Cause(ctx)
}
