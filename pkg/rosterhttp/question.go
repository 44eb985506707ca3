package rosterhttp

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/netip"
	"time"

	"github.com/rosterhq/roster/pkg/client"
)

// question is an introspection, for all requests that need its answer.
type question struct {
	answered chan struct{} // closed once found and err are there
	found    client.Introspection
	err      error

	// The guard's lock is for the rest.
	waiting int           // requests that wait for the answer
	left    chan struct{} // closed when none waits any more and Roster has not been asked
	asked   time.Time     // when Roster was asked; zero before
}

// patience bounds how long a request waits for an answer, and how long Roster has for one.
const patience = 5 * time.Second

// introspect returns what Roster says of a token, or has said. The error is for no answer in time.
func (g *Guard) introspect(ctx context.Context, token string, address netip.Addr) (client.Introspection, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	k := key{sha256.Sum256([]byte(token)), address}
	g.mu.Lock()
	found, ok := g.kept(k)
	if ok {
		g.mu.Unlock()
		return found, nil
	}
	q := g.join(ctx, k, token)
	g.mu.Unlock()
	select {
	case <-q.answered:
		return q.found, q.err
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	q.waiting--
	if q.waiting == 0 && q.asked.IsZero() { // to ask for nobody would keep others waiting
		close(q.left)
		g.forget(k, q)
	}
	return client.Introspection{}, ctx.Err()
}

// kept returns an answer that still counts. The caller has the lock.
func (g *Guard) kept(k key) (client.Introspection, bool) {
	now := time.Now()
	if found, ok := g.good.get(k, now); ok {
		return found, true
	}
	return g.bad.get(k, now)
}

// join returns the question about a token and an address, and asks it if nobody does, or Roster was asked too long ago.
// The caller has the lock.
func (g *Guard) join(ctx context.Context, k key, token string) *question {
	q := g.questions[k]
	if q == nil || !q.asked.IsZero() && time.Since(q.asked) >= g.ttl {
		q = &question{answered: make(chan struct{}), left: make(chan struct{})}
		g.questions[k] = q
		// The request that comes first may end before others that wait for the same answer.
		go g.ask(context.WithoutCancel(ctx), q, k, token)
	}
	q.waiting++
	return q
}

// forget removes a question, if there is not another one in its place. The caller has the lock.
func (g *Guard) forget(k key, q *question) {
	if g.questions[k] == q {
		delete(g.questions, k)
	}
}

// ask waits for a turn, asks Roster, and keeps the answer.
func (g *Guard) ask(ctx context.Context, q *question, k key, token string) {
	select {
	case <-q.left:
		return
	case g.turns <- struct{}{}:
	}
	defer func() { <-g.turns }()
	g.mu.Lock()
	if q.waiting == 0 {
		g.mu.Unlock()
		return
	}
	q.asked = time.Now()
	g.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	q.found, q.err = g.roster.Tokens.Introspect(ctx, token, k.address.String())
	if q.err != nil {
		slog.ErrorContext(ctx, "asking Roster about a token", "error", q.err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forget(k, q)
	if q.err == nil {
		g.keep(k, q.found, q.asked)
	}
	close(q.answered)
}

// keep keeps an answer for as long as it counts from the time of the question: what changes after it counts in time.
// The caller has the lock.
func (g *Guard) keep(k key, found client.Introspection, asked time.Time) {
	until := asked.Add(g.ttl)
	if end := time.Unix(found.ExpiresAt, 0); found.ExpiresAt != 0 && end.Before(until) {
		until = end
	}
	if found.Active {
		g.good.put(k, found, until)
	} else {
		g.bad.put(k, found, until)
	}
}
