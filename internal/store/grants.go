package store

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
)

// What a token grants is looked up on every request, so it is kept for a
// moment. Three things keep a kept grant from outliving a change:
//   - a change that matters makes its own instance forget, after the commit;
//   - on PostgreSQL the same transaction notifies all other instances (Listen);
//   - whatever becomes of the notification, a grant is kept for a second at most.

// DefaultGrantTTL is how long a grant is kept at most.
const DefaultGrantTTL = time.Second

// maxGrants bounds the grants that are kept.
const maxGrants = 10_000

// accessChange says whose grants a change has touched: those of a user, that of
// a token, or, if it is the zero value, all.
type accessChange struct{ userID, tokenID int64 }

func (c accessChange) touches(g Grant) bool {
	return c == accessChange{} || c.userID != 0 && g.Token.UserID == c.userID || c.tokenID != 0 && g.Token.ID == c.tokenID
}

// String is how a notification carries the change.
func (c accessChange) String() string {
	switch {
	case c.userID != 0:
		return "user/" + strconv.FormatInt(c.userID, 10)
	case c.tokenID != 0:
		return "token/" + strconv.FormatInt(c.tokenID, 10)
	}
	return "all"
}

// accessChangeFrom reads what String writes; what it cannot read is all.
func accessChangeFrom(text string) accessChange {
	kind, number, _ := strings.Cut(text, "/")
	id, err := strconv.ParseInt(number, 10, 64)
	switch {
	case err == nil && kind == "user":
		return accessChange{userID: id}
	case err == nil && kind == "token":
		return accessChange{tokenID: id}
	}
	return accessChange{}
}

type grantCache struct {
	ttl time.Duration // 0 keeps nothing
	now func() time.Time

	mu      sync.RWMutex
	entries map[string]keptGrant
	// generation counts the changes: a look-up that began before one must not be
	// kept after it.
	generation uint64
}

type keptGrant struct {
	Grant

	until time.Time
}

func newGrantCache(ttl time.Duration) *grantCache {
	return &grantCache{ttl: ttl, now: time.Now, entries: map[string]keptGrant{}}
}

// get returns the grant of a token that is kept, or the generation in which to
// look it up.
func (c *grantCache) get(digest string) (grant Grant, found bool, generation uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	kept, found := c.entries[digest]
	if found && !c.now().Before(kept.until) {
		found = false
	}
	return kept.Grant, found, c.generation
}

// put keeps a grant that was looked up in a generation.
func (c *grantCache) put(digest string, grant Grant, generation uint64) {
	if c.ttl == 0 {
		return
	}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation {
		return
	}
	if len(c.entries) >= maxGrants {
		for key, kept := range c.entries {
			if !now.Before(kept.until) {
				delete(c.entries, key)
			}
		}
	}
	if len(c.entries) < maxGrants {
		c.entries[digest] = keptGrant{grant, now.Add(c.ttl)}
	}
}

func (c *grantCache) forget(changes ...accessChange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	for _, change := range changes {
		for digest, kept := range c.entries {
			if change.touches(kept.Grant) {
				delete(c.entries, digest)
			}
		}
	}
}

// Grant finds a token by its digest, with its user's rights, as they are now or
// were a moment ago, unless they have been changed since; no such token is
// NotFound.
func (s *Store) Grant(ctx context.Context, digest string) (Grant, error) {
	grant, found, generation := s.grants.get(digest)
	if found {
		return grant, nil
	}
	grant, err := s.reader.Grant(ctx, digest)
	if err == nil {
		s.grants.put(digest, grant, generation)
	}
	return grant, err
}

// accessChannel is where instances tell each other of changes: a text that only
// the sender knows, and the changes, separated by spaces.
const accessChannel = "roster_access"

// announce sends the changes of a transaction with it and returns what to wait
// for after the commit.
func (t *Tx) announce(ctx context.Context) (nonce string, err error) {
	if len(t.effects.access) == 0 || t.pool.engine.notify == "" {
		return "", nil
	}
	const most = 50 // changes, lest the text be too long for a notification
	nonce = uuid.NewString()
	text := nonce
	if changes := t.effects.access; len(changes) <= most {
		for _, change := range changes {
			text += " " + change.String()
		}
	} else {
		text += " " + accessChange{}.String()
	}
	var ignored string
	return nonce, t.get(ctx, &ignored, t.pool.engine.notify, accessChannel, text)
}

// Listen forgets grants when other instances say so, until ctx ends. Without it
// they are forgotten after their time. It calls ready when it has begun to
// listen.
func (s *Store) Listen(ctx context.Context, ready func()) {
	if s.grants.ttl == 0 {
		ready()
		return
	}
	const shortest, longest = 100 * time.Millisecond, 5 * time.Second // between tries to connect
	listener := pq.NewListener(s.url, shortest, longest, func(event pq.ListenerEventType, err error) {
		s.listening.Store(event == pq.ListenerEventConnected || event == pq.ListenerEventReconnected)
		if err != nil {
			slog.WarnContext(ctx, "listening for changes of other instances", "error", err)
		}
	})
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for notification := range listener.NotificationChannel() {
			if notification == nil { // the connection was lost, and notifications with it
				s.grants.forget(accessChange{})
				continue
			}
			s.hear(notification.Extra)
		}
	}()
	// It ends whatever waits for the database, and is no loss by then.
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	if err := listener.Listen(accessChannel); err != nil && ctx.Err() == nil {
		slog.WarnContext(ctx, "listening for changes of other instances", "error", err)
	}
	ready()
	<-heard
	s.listening.Store(false)
}

func (s *Store) hear(text string) {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return
	}
	changes := make([]accessChange, len(fields)-1)
	for i, field := range fields[1:] {
		changes[i] = accessChangeFrom(field)
	}
	s.grants.forget(changes...)
	if waiting, ok := s.awaited.LoadAndDelete(fields[0]); ok {
		if done, ok := waiting.(chan struct{}); ok {
			close(done)
		}
	}
}

// awaitEcho waits until this instance hears its own notification, for then the
// others have been sent theirs: whoever gets our answer and turns to another
// instance finds that it knows.
func (s *Store) awaitEcho(ctx context.Context, echo <-chan struct{}) {
	const patience = 100 * time.Millisecond
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-echo:
	case <-timer.C:
	case <-ctx.Done():
	}
}
