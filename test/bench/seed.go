package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/rosterhq/roster/internal/store"
)

// The seeded names are combined from syllables: 2,000 first names, 4,500 last names. As
// with real names, each trigram of a searched text occurs in many of them.
var (
	firstStarts  = strings.Fields("Ma Jo An El Ka Lu Pe Sa To Vi Ro Ha Li Ste Be Da Fre Gre Ni Chri")
	firstMiddles = strings.Fields("ri ha ne li ta mo de la ro si")
	firstEnds    = strings.Fields("na n ne s a us el ko th ra")

	lastStarts = strings.Fields("Ander Berg Carl Dahl Eng Fis Gold Hart Iver Jan Kell Lind Mor Nor Oster Peter Quin " +
		"Rosen Schu Thor Ul Vand Wal Yor Zim")
	lastMiddles = strings.Fields("en er in holm feld man qui gard wick ton ber mer strom hau lau ka mi le der ge")
	// A third of the names end in son, which makes commonText common.
	lastEnds = strings.Fields("son son son son sen mann er ovic ski ez ier ley")
)

const (
	// commonText is part of a third of the names.
	commonText = "son"
	// Each of the rare names belongs to usersPerRare users. It is another combination
	// of the same syllables, so that only the whole name is rare.
	rareNames    = 20
	usersPerRare = 5
	minUsers     = 2 * rareNames * usersPerRare

	seededGroups = 8
	firstGroup   = 2 // group 1 is Administrators
	// seededHash matches no known password: no seeded user signs in.
	seededHash = "$2a$04$abcdefghijklmnopqrstuuZ4wB4Gm9pdKuq4W6sNqYx1T1YQ0e3S2"
)

var firstCreation = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// person is a seeded user.
type person struct {
	id          int
	name, email string
	phone       string
	active, tfa bool
	allowList   string
	created     time.Time
	signedIn    time.Time // the zero time for never
	groups      []int
}

// newPerson returns the user with this id, out of a number of users. It is the same on
// every run and both engines.
func newPerson(id, users int) person {
	r := rand.New(rand.NewPCG(0, uint64(id))) //nolint:gosec // neither secret nor negative
	in := func(list []string) string { return list[r.IntN(len(list))] }
	oneOf := func(n int) bool { return r.IntN(n) == 0 }

	first := in(firstStarts) + in(firstMiddles) + in(firstEnds)
	last := in(lastStarts) + in(lastMiddles) + in(lastEnds)
	if step := users / (rareNames * usersPerRare); id%step == 0 {
		last = rareName(id / step % rareNames)
	}
	p := person{
		id: id, name: first + " " + last, email: fmt.Sprintf("%s.%s%d@mail%d.example.com", first, last, id, r.IntN(5)),
		active: !oneOf(10), tfa: oneOf(5),
		created: firstCreation.Add(time.Duration(id) * time.Minute),
		groups:  []int{firstGroup + r.IntN(seededGroups)},
	}
	if !oneOf(3) {
		p.phone = fmt.Sprintf("+1%010d", r.Int64N(10_000_000_000))
	}
	if oneOf(20) {
		p.allowList = "10.0.0.0/8 192.0.2.7"
	}
	if second := firstGroup + r.IntN(seededGroups); second != p.groups[0] && oneOf(2) {
		p.groups = append(p.groups, second)
	}
	if oneOf(2) {
		const minutes = 1_000_000
		p.signedIn = p.created.Add(time.Duration(r.IntN(minutes)) * time.Minute)
	}
	return p
}

// rareName returns the last name that usersPerRare users have. No other last
// name has two middles.
func rareName(i int) string {
	n := len(lastMiddles)
	return lastStarts[i%len(lastStarts)] + lastMiddles[i%n] + lastMiddles[(i*3+7)%n] + "stad"
}

// userColumns lists the columns of the values of row.
const userColumns = "id, name, name_folded, email, email_folded, password_hash, phone, active, tfa, allow_list, " +
	"client_tags, can_view_masked_data, created_at, last_signin_at"

// row returns the values of userColumns. The names are ASCII, so that the folded form is
// lower case.
func (p person) row() []any {
	return []any{
		p.id, p.name, strings.ToLower(p.name), p.email, strings.ToLower(p.email), seededHash,
		p.phone, p.active, p.tfa, p.allowList, "[]", false, p.created, p.signedIn,
	}
}

// seed makes the schema and fills it with users, groups and memberships.
func seed(ctx context.Context, engine, databaseURL string, users int) error {
	if users < minUsers {
		return fmt.Errorf("at least %d users are needed", minUsers)
	}
	if _, err := store.Migrate(ctx, databaseURL); err != nil {
		return err
	}
	if engine == postgres {
		return seedPostgres(ctx, databaseURL, users)
	}
	return seedSQLite(ctx, strings.TrimPrefix(databaseURL, "sqlite:"), users)
}

// inOne runs fn in a transaction.
func inOne(ctx context.Context, db *sql.DB, fn func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func seedGroups(ctx context.Context, tx *sql.Tx) error {
	for i := range seededGroups {
		name := fmt.Sprintf("Team %d", i+1)
		_, err := tx.ExecContext(ctx,
			"INSERT INTO groups (name, name_folded, permissions, created_at) VALUES ($1, $2, 'users.view', $3)",
			name, strings.ToLower(name), firstCreation)
		if err != nil {
			return err
		}
	}
	return nil
}

func seedPostgres(ctx context.Context, databaseURL string, users int) (err error) {
	db, err := sql.Open("postgres", databaseURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = inOne(ctx, db, func(tx *sql.Tx) error {
		// Filling this index row by row takes ten times as long as all the rest.
		var searchIndex string
		row := tx.QueryRowContext(ctx, "SELECT pg_get_indexdef('users_search'::regclass)")
		if err := row.Scan(&searchIndex); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DROP INDEX users_search"); err != nil {
			return err
		}
		if err := fillPostgres(ctx, tx, users); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, searchIndex)
		return err
	})
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "VACUUM ANALYZE"); err != nil {
		return err
	}
	// Write everything to disk now, not under load. This fails when we are no
	// superuser, as can be on an external server.
	_, _ = db.ExecContext(ctx, "CHECKPOINT")
	return nil
}

func fillPostgres(ctx context.Context, tx *sql.Tx, users int) error {
	if err := seedGroups(ctx, tx); err != nil {
		return err
	}
	const copyUsers = "COPY users (" + userColumns + ") FROM STDIN"
	err := copyIn(ctx, tx, copyUsers, users, func(p person, add func(...any) error) error {
		return add(p.row()...)
	})
	if err != nil {
		return err
	}
	const copyMemberships = "COPY memberships (user_id, group_id) FROM STDIN"
	err = copyIn(ctx, tx, copyMemberships, users, func(p person, add func(...any) error) error {
		for _, group := range p.groups {
			if err := add(p.id, group); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "SELECT setval(pg_get_serial_sequence('users', 'id'), $1)", users)
	return err
}

// copyIn runs a COPY of the rows that each adds for every person.
func copyIn(ctx context.Context, tx *sql.Tx, query string, users int,
	each func(p person, add func(...any) error) error,
) (err error) {
	statement, err := tx.PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, statement.Close()) }()
	add := func(values ...any) error {
		_, err := statement.ExecContext(ctx, values...)
		return err
	}
	for id := 1; id <= users; id++ {
		if err := each(newPerson(id, users), add); err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
	}
	return add() // without values it ends the COPY
}

func seedSQLite(ctx context.Context, path string, users int) (err error) {
	// The options are those of the store, but without waiting for the disk.
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)"+
		"&_time_integer_format=unix_micro&_inttotime=1")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = inOne(ctx, db, func(tx *sql.Tx) error {
		// Filling the search index row by row takes most of the time.
		var trigger string
		row := tx.QueryRowContext(ctx, "SELECT sql FROM sqlite_schema WHERE name = 'users_search_added'")
		if err := row.Scan(&trigger); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DROP TRIGGER users_search_added"); err != nil {
			return err
		}
		if err := fillSQLite(ctx, tx, users); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO users_search (users_search) VALUES ('rebuild')"); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, trigger)
		return err
	})
	if err != nil {
		return err
	}
	// No ANALYZE: it does not run in production either.
	_, err = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

func fillSQLite(ctx context.Context, tx *sql.Tx, users int) error {
	if err := seedGroups(ctx, tx); err != nil {
		return err
	}
	insertUser, err := tx.PrepareContext(ctx,
		"INSERT INTO users ("+userColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer func() { _ = insertUser.Close() }()
	insertMembership, err := tx.PrepareContext(ctx, "INSERT INTO memberships (user_id, group_id) VALUES (?, ?)")
	if err != nil {
		return err
	}
	defer func() { _ = insertMembership.Close() }()
	for id := 1; id <= users; id++ {
		p := newPerson(id, users)
		if _, err := insertUser.ExecContext(ctx, p.row()...); err != nil {
			return err
		}
		for _, group := range p.groups {
			if _, err := insertMembership.ExecContext(ctx, p.id, group); err != nil {
				return err
			}
		}
	}
	return nil
}
