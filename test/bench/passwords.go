package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/rosterhq/roster/internal/secret"
)

// Creating a user costs a password hash and little else. So the rate of creations is
// compared with that of hashing alone, and other requests are measured meanwhile.

const (
	// creatingConnections keep all processors hashing and are too few to be refused.
	creatingConnections = 8
	// floodConnections are more than are accepted. The texts in report.go have the number.
	floodConnections = 200
)

// creation returns the scenario of creating users.
func (s *subject) creation() scenario {
	return scenario{
		method: http.MethodPost,
		target: func(b []byte, _ *rand.Rand) []byte { return append(b, "/api/v2/users"...) },
		body:   s.newUser,
	}
}

// creates holds how fast users are created.
type creates struct {
	result
	hashes float64 // hashes per second without other load
}

// measureCreates measures creations, and hashing alone before and after them.
func (s *subject) measureCreates(ctx context.Context, o options) error {
	before, err := hashRate(o.duration / 2)
	if err != nil {
		return err
	}
	l := s.load(o, s.creation())
	l.connections, l.accepts, l.warmUp = creatingConnections, []int{http.StatusCreated}, time.Second
	if s.creates.result, err = l.run(ctx); err != nil {
		return err
	}
	after, err := hashRate(o.duration / 2)
	s.creates.hashes = (before + after) / 2
	progress("%s: creates: %.1f/s, bcrypt alone: %.1f/s", s, s.creates.rate, s.creates.hashes)
	return err
}

// hashRate hashes passwords on all processors for a while and returns their rate.
func hashRate(d time.Duration) (perSecond float64, err error) {
	rates := make([]float64, runtime.GOMAXPROCS(0))
	errs := make([]error, len(rates))
	var running sync.WaitGroup
	for i := range rates {
		running.Go(func() {
			start, n := time.Now(), 0
			for ; time.Since(start) < d && errs[i] == nil; n++ {
				_, errs[i] = bcrypt.GenerateFromPassword([]byte("correct horse"), secret.DefaultCost)
			}
			rates[i] = float64(n) / time.Since(start).Seconds()
		})
	}
	running.Wait()
	for _, rate := range rates {
		perSecond += rate
	}
	return perSecond, errors.Join(errs...)
}

// flood holds the figures of more creations at once than are accepted, and of other
// requests meanwhile.
type flood struct {
	creates result
	gets    result
}

// measureFlood sends creations over many connections and reads users meanwhile. A
// refused connection sends the next creation at once or, if polite, after Retry-After.
func (s *subject) measureFlood(ctx context.Context, o options, polite bool) (f flood, err error) {
	const warmUp = time.Second
	create := s.load(o, s.creation())
	create.connections, create.warmUp, create.obeys = floodConnections, warmUp, polite
	create.accepts = []int{http.StatusCreated, http.StatusTooManyRequests, http.StatusServiceUnavailable}
	get := s.load(o, scenario{method: http.MethodGet, target: s.anyUser})
	get.warmUp = warmUp

	var createErr, getErr error
	var running sync.WaitGroup
	running.Go(func() { f.creates, createErr = create.run(ctx) })
	running.Go(func() { f.gets, getErr = get.run(ctx) })
	running.Wait()
	progress("%s: while %d create: GET p99 %s ms; creates: %s", s, floodConnections,
		milliseconds(f.gets.p99), describeStatuses(f.creates.statuses))
	return f, errors.Join(createErr, getErr)
}
