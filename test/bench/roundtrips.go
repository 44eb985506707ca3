package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"

	"github.com/rosterhq/roster/internal/pgtest"
)

// getOne sends the request number i of those that countRoundTrips counts.
func (s *subject) getOne(ctx context.Context, server *server, i int) (response, error) {
	return server.call(ctx, http.MethodGet, "/api/v2/users/"+strconv.Itoa(i%s.users+1), s.token, nil)
}

// countRoundTrips returns the number of round trips to PostgreSQL per request, after the
// statements are prepared.
func countRoundTrips(ctx context.Context, s *subject, o options,
	request func(ctx context.Context, server *server, i int) (response, error),
) (perRequest float64, err error) {
	dir, err := os.MkdirTemp("", "roster-tap-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	t, err := pgtest.NewTap(ctx, s.databaseURL, dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	through, err := startServer(ctx, t.URL, o.serverLog, o.roster, "serve")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, through.stop()) }()
	const warmUp, counted = 100, 1000
	before := int64(0)
	for i := range warmUp + counted {
		if i == warmUp {
			before = t.Trips()
		}
		r, err := request(ctx, through, i)
		if err == nil && r.status != http.StatusOK {
			err = fmt.Errorf("status %d: %s", r.status, r.body)
		}
		if err != nil {
			return 0, err
		}
	}
	return float64(t.Trips()-before) / counted, nil
}
