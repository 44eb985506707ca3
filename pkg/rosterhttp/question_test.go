package rosterhttp_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/pkg/rosterhttp"
)

// crowd sends requests at the same time, and counts the answers by status.
type crowd struct {
	handler  http.Handler
	running  sync.WaitGroup
	mu       sync.Mutex
	statuses map[int]int
}

func (c *crowd) send(ctx context.Context, r request) {
	c.running.Go(func() {
		answer := askWith(ctx, c.handler, r)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.statuses == nil {
			c.statuses = map[int]int{}
		}
		status := answer.Code
		if status == http.StatusServiceUnavailable && answer.Header().Get("Retry-After") == "" {
			status = -status
		}
		c.statuses[status]++
	})
}

// want waits for all answers.
func (c *crowd) want(t *testing.T, want map[int]int) {
	t.Helper()
	c.running.Wait()
	if !maps.Equal(c.statuses, want) {
		t.Errorf("got %v, want %v", c.statuses, want)
	}
}

// TestFloodIsBounded sends many tokens that are made up at the same time: a few questions are on their way to Roster,
// and the others wait for their turn.
func TestFloodIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		options []rosterhttp.Option
		most    int64
	}{
		"by default": {nil, 16},
		"three":      {[]rosterhttp.Option{rosterhttp.MaxInFlight(3)}, 3},
		"nonsense":   {[]rosterhttp.Option{rosterhttp.MaxInFlight(-1)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const many = 100
				fake := &fakeRoster{gate: make(chan struct{})}
				crowd := crowd{handler: protected(fake.guard(t, c.options...))}
				for i := range many {
					crowd.send(t.Context(), request{fmt.Sprint("bad", i), here, ""})
				}
				synctest.Wait()
				if got := fake.inFlight.Load(); got != c.most {
					t.Errorf("%d questions are on their way, want %d", got, c.most)
				}
				close(fake.gate)
				crowd.want(t, map[int]int{http.StatusUnauthorized: many})
				if asked, most := fake.asked.Load(), fake.mostInFlight.Load(); asked != many || most != c.most {
					t.Errorf("asked %d times, %d at once", asked, most)
				}
			})
		})
	}
}

// TestWaitingForATurn checks that a request that ends while it waits, or has waited for long enough, is not let
// through, and that Roster is not asked for it.
func TestWaitingForATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 20
		fake := &fakeRoster{gate: make(chan struct{})}
		h := protected(fake.guard(t, rosterhttp.MaxInFlight(1)))
		first, gone, patient := crowd{handler: h}, crowd{handler: h}, crowd{handler: h}
		first.send(t.Context(), request{"good", here, ""})
		synctest.Wait()
		ctx, leave := context.WithCancel(t.Context())
		for i := range many {
			gone.send(ctx, request{fmt.Sprint("good", i%2), here, ""})
		}
		synctest.Wait()
		leave()
		gone.want(t, map[int]int{http.StatusServiceUnavailable: many})

		time.Sleep(time.Second)
		patient.send(t.Context(), request{"good0", here, ""}) // who is not taken for one who has gone
		synctest.Wait()
		close(fake.gate)
		first.want(t, map[int]int{http.StatusOK: 1})
		patient.want(t, map[int]int{http.StatusOK: 1})
		if asked := fake.asked.Load(); asked != 2 {
			t.Errorf("asked %d times", asked)
		}

		fake.gate = make(chan struct{}) // and now Roster does not answer at all
		late := crowd{handler: h}
		started := time.Now()
		for i := range many {
			late.send(t.Context(), request{fmt.Sprint("goods", i), here, ""})
		}
		late.want(t, map[int]int{http.StatusServiceUnavailable: many})
		if waited := time.Since(started); waited != 5*time.Second {
			t.Errorf("waited for %v", waited)
		}
		time.Sleep(5 * time.Second) // a turn can come in the moment in which those who wait for it give up
		synctest.Wait()
		if inFlight := fake.inFlight.Load(); inFlight != 0 {
			t.Errorf("%d questions are still on their way", inFlight)
		}
		close(fake.gate)
		if answer := ask(h, request{"good", here, ""}); answer.Code != http.StatusOK {
			t.Errorf("a turn is lost: %d", answer.Code)
		}
	})
}

// TestOneQuestionForAll checks that requests with the same token and address share a question, also when the first of
// them ends, and that an answer about one address is not used for another.
func TestOneQuestionForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 20
		fake := &fakeRoster{gate: make(chan struct{})}
		h := protected(fake.guard(t))
		first, others, elsewhere := crowd{handler: h}, crowd{handler: h}, crowd{handler: h}
		ctx, leave := context.WithCancel(t.Context())
		first.send(ctx, request{"good", here, ""})
		synctest.Wait()
		for i := range many {
			others.send(t.Context(), request{"good", fmt.Sprint("192.0.2.7:", i), ""})
			elsewhere.send(t.Context(), request{"good", "192.0.2.8:1", ""})
		}
		synctest.Wait()
		leave()
		first.want(t, map[int]int{http.StatusServiceUnavailable: 1})
		close(fake.gate)
		others.want(t, map[int]int{http.StatusOK: many})
		elsewhere.want(t, map[int]int{http.StatusForbidden: many})
		if asked := fake.asked.Load(); asked != 2 {
			t.Errorf("asked %d times", asked)
		}
	})
}

// TestAnswerForNobody checks that an answer for which nobody waits any more is kept: to go away is no way to make the
// guard ask again and again.
func TestAnswerForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeRoster{gate: make(chan struct{})}
		h := protected(fake.guard(t))
		for range 3 {
			gone := crowd{handler: h}
			ctx, leave := context.WithCancel(t.Context())
			gone.send(ctx, request{"good", here, ""})
			synctest.Wait()
			leave()
			gone.want(t, map[int]int{http.StatusServiceUnavailable: 1})
		}
		close(fake.gate)
		synctest.Wait()
		if answer := ask(h, request{"good", here, ""}); answer.Code != http.StatusOK || fake.asked.Load() != 1 {
			t.Errorf("%d, asked %d times", answer.Code, fake.asked.Load())
		}
	})
}

// TestSharedAnswerIsNotOld checks that a request does not share a question that was asked longer ago than an answer
// counts: the token may have been revoked since.
func TestSharedAnswerIsNotOld(t *testing.T) {
	for _, ttl := range []time.Duration{0, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			fake := &fakeRoster{gate: make(chan struct{})}
			h := protected(fake.guard(t, rosterhttp.TTL(ttl)))
			before, after := crowd{handler: h}, crowd{handler: h}
			before.send(t.Context(), request{"good", here, ""})
			synctest.Wait()
			fake.active.Store(false) // revoked, while the answer is on its way
			time.Sleep(ttl)
			after.send(t.Context(), request{"good", here, ""})
			synctest.Wait()
			close(fake.gate)
			before.want(t, map[int]int{http.StatusOK: 1})
			after.want(t, map[int]int{http.StatusUnauthorized: 1})
		})
	}
}

// TestSharedFailure checks that nobody passes where the one question fails, and that the failure is not kept.
func TestSharedFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 20
		fake := &fakeRoster{gate: make(chan struct{})}
		fake.away.Store(true)
		crowd := crowd{handler: protected(fake.guard(t))}
		for range many {
			crowd.send(t.Context(), request{"good", here, ""})
		}
		synctest.Wait()
		close(fake.gate)
		crowd.want(t, map[int]int{http.StatusServiceUnavailable: many})
		if tries := fake.asked.Load(); tries != 4 { // of one question
			t.Errorf("asked %d times", tries)
		}
		fake.away.Store(false)
		if answer := ask(crowd.handler, request{"good", here, ""}); answer.Code != http.StatusOK {
			t.Errorf("%d", answer.Code)
		}
	})
}

// TestFloodOfAServer sends a flood through a guard to a server: each token gets its own answer.
func TestFloodOfAServer(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		own, mary := s.CreateToken(0, []string{"tokens.introspect"}), s.SignIn("mary@example.com")
		h := protected(rosterhttp.New(roster(t, s.URL, own, nil), rosterhttp.MaxInFlight(2)))
		const many = 40
		good, bad := crowd{handler: h}, crowd{handler: h}
		for i := range many {
			good.send(t.Context(), request{mary, fmt.Sprintf("192.0.2.%d:1", i/2), ""})
			bad.send(t.Context(), request{fmt.Sprint("rst_", i), here, ""})
		}
		good.running.Wait()
		bad.running.Wait()
		for crowd, want := range map[*crowd]int{&good: http.StatusOK, &bad: http.StatusUnauthorized} {
			// A slow machine may refuse some, but never takes one for the other.
			if crowd.statuses[want] == 0 || crowd.statuses[want]+crowd.statuses[http.StatusServiceUnavailable] != many {
				t.Errorf("got %v, want %d", crowd.statuses, want)
			}
		}
	})
}
