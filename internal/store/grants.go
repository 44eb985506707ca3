package store

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
)

// What a token grants is looked up on every request, so it is kept for a
// moment, once Listen has begun: an instance that hears of no changes, such as
// one behind a pooler, keeps nothing. Three things keep a kept grant from
// outliving a change:
//   - a change that matters makes its own instance forget, after the commit;
//   - on PostgreSQL the same transaction notifies all other instances (Listen),
//     and its author waits until they have heard;
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
	suspended  bool // nothing is kept, because changes might not be heard of
}

type keptGrant struct {
	Grant

	until time.Time
}

// newGrantCache returns a cache that keeps nothing until it is resumed.
func newGrantCache(ttl time.Duration) *grantCache {
	return &grantCache{ttl: ttl, now: time.Now, entries: map[string]keptGrant{}, suspended: true}
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
	if generation != c.generation || c.suspended {
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

// suspend stops or resumes keeping grants; what was kept is forgotten.
func (c *grantCache) suspend(suspended bool) {
	c.forget(accessChange{})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.suspended = suspended
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

// Instances tell each other of changes on accessChannel: a text that only the
// sender knows, and the changes, separated by spaces. Each one that has heard
// sends the text back on heardChannel.
const (
	accessChannel = "roster_access"
	heardChannel  = "roster_heard"
	// listenerName is what the connections that listen are called.
	listenerName = "roster listener"
)

// announce sends the changes of a transaction with it, and returns the text by
// which they are acknowledged; "" where there is nothing to be heard.
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

// awaitHeard waits until all instances that listen have heard of a change, or
// until whatever they remember is over: after the answer to a change no
// instance goes by what was before. The change is committed, whatever happens
// here.
func (s *Store) awaitHeard(ctx context.Context, heard <-chan struct{}) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.grants.ttl)
	defer cancel()
	var listeners int
	err := s.get(ctx, &listeners, "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()", listenerName)
	for range listeners {
		select {
		case <-heard:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		slog.WarnContext(ctx, "not all instances have acknowledged a change of access", "error", err)
		<-ctx.Done()
	}
}

// Listen forgets grants when other instances say so, until ctx ends, and calls
// ready when it has begun to. Grants are kept only while it hears the others:
// without it none are.
func (s *Store) Listen(ctx context.Context, ready func()) {
	if s.grants.ttl == 0 {
		ready()
		return
	}
	const shortest, longest = 100 * time.Millisecond, 5 * time.Second // between tries to connect
	listener := pq.NewListener(listenerURL(s.url), shortest, longest, func(event pq.ListenerEventType, err error) {
		if event == pq.ListenerEventDisconnected {
			s.setListening(false)
		}
		if err != nil && ctx.Err() == nil {
			slog.WarnContext(ctx, "listening for changes of other instances", "error", err)
		}
	})
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for notification := range listener.NotificationChannel() {
			switch {
			case notification == nil: // connected again; what was sent meanwhile is lost
				s.setListening(true)
			case notification.Channel == heardChannel:
				s.acknowledged(notification.Extra)
			default:
				s.hear(ctx, notification.Extra)
			}
		}
	}()
	// It ends whatever waits for the database, and is no loss by then.
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	err := errors.Join(listener.Listen(heardChannel), listener.Listen(accessChannel))
	if err == nil {
		s.setListening(true)
	} else if ctx.Err() == nil {
		slog.WarnContext(ctx, "listening for changes of other instances", "error", err)
	}
	ready()
	<-heard
	s.setListening(false)
}

// setListening says whether changes of other instances are heard of. While they
// are not, nothing is kept.
func (s *Store) setListening(listening bool) {
	s.listening.Store(listening)
	s.grants.suspend(!listening)
}

// listenerURL is the database's, with a name by which listeners are counted.
func listenerURL(databaseURL string) string {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return databaseURL // it has been read before
	}
	query := u.Query()
	query.Set("application_name", listenerName)
	u.RawQuery = query.Encode()
	return u.String()
}

func (s *Store) hear(ctx context.Context, text string) {
	nonce, list, _ := strings.Cut(text, " ")
	var changes []accessChange
	for field := range strings.FieldsSeq(list) {
		changes = append(changes, accessChangeFrom(field))
	}
	s.grants.forget(changes...)
	if s.acknowledged(nonce) { // it is our own
		return
	}
	const patience = time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var ignored string
	if err := s.get(ctx, &ignored, s.write.engine.notify, heardChannel, nonce); err != nil && ctx.Err() == nil {
		slog.WarnContext(ctx, "acknowledging a change of access", "error", err)
	}
}

// acknowledged counts that one instance has heard of a change, if the change is
// this instance's own.
func (s *Store) acknowledged(nonce string) bool {
	waiting, own := s.awaited.Load(nonce)
	if heard, ok := waiting.(chan struct{}); ok {
		select {
		case heard <- struct{}{}:
		default:
		}
	}
	return own
}
