package store

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
)

// The grant cache keeps in memory, for a moment, what tokens grant, because every
// request looks that up. LISTEN and NOTIFY of PostgreSQL, with acknowledgements, keep
// it coherent between instances:
//
//  1. publish sends, in the transaction of a change, a nonce and the change on
//     accessChannel. PostgreSQL delivers it when the transaction commits.
//  2. Each instance that listens removes the grants that the change concerns and sends
//     the nonce back on heardChannel.
//  3. settle removes them from the author's own cache after the commit, and waits until
//     as many instances have sent the nonce as have a connection called listenerName.
//     Only then does the author answer.
//
// A kept grant does not outlive the answer to a change:
//   - An instance that does not listen keeps nothing. Its cache is empty until Listen
//     begins, and from the moment its connection is lost until the next one is there.
//   - A look-up that began before a change is not kept after it (generation).
//   - A grant expires after the TTL. Where an acknowledgement is missing, because an
//     instance hangs, the author waits for that long instead.
//
// An author that does not listen cannot collect acknowledgements. Where others listen,
// it waits for the TTL.
//
// On SQLite the cache is off: other processes, such as the command line, could not
// notify this one, and a look-up does not leave the process.

const (
	accessChannel = "roster_access" // a nonce and changes, separated by spaces
	heardChannel  = "roster_heard"  // the nonce of a change that an instance has applied
	// listenerName is the application name of the connections that listen.
	listenerName = "roster listener"
)

// grantChange names the grants that a change concerns: those of a user, that of a
// token, or all if it is the zero value.
type grantChange struct{ userID, tokenID int64 }

func (c grantChange) concerns(g Grant) bool {
	return c == grantChange{} || c.userID != 0 && g.Token.UserID == c.userID ||
		c.tokenID != 0 && g.Token.ID == c.tokenID
}

// String returns the change as a notification carries it.
func (c grantChange) String() string {
	switch {
	case c.userID != 0:
		return "user/" + strconv.FormatInt(c.userID, 10)
	case c.tokenID != 0:
		return "token/" + strconv.FormatInt(c.tokenID, 10)
	}
	return "all"
}

// grantChangeFrom is the inverse of String. A text that it cannot read, such as one of a
// later release, is a change of all grants.
func grantChangeFrom(text string) grantChange {
	kind, number, _ := strings.Cut(text, "/")
	id, err := strconv.ParseInt(number, 10, 64)
	switch {
	case err == nil && kind == "user":
		return grantChange{userID: id}
	case err == nil && kind == "token":
		return grantChange{tokenID: id}
	}
	return grantChange{}
}

// grantChanges collects the changes of a transaction.
type grantChanges struct {
	everywhere []grantChange // for all instances
	here       []grantChange // for this instance only
}

// allUsers stands for all users in accessChanged.
const allUsers = 0

// accessChanged notes that the rights of a user, or of allUsers, have changed.
func (t *Tx) accessChanged(userID int64) {
	t.effects.grants.everywhere = append(t.effects.grants.everywhere, grantChange{userID: userID})
}

// tokenDeleted notes that a token grants nothing any more.
func (t *Tx) tokenDeleted(id int64) {
	t.effects.grants.everywhere = append(t.effects.grants.everywhere, grantChange{tokenID: id})
}

// tokenTouched notes that a token has the same rights and another time of use, which
// only this instance goes by.
func (t *Tx) tokenTouched(id int64) {
	t.effects.grants.here = append(t.effects.grants.here, grantChange{tokenID: id})
}

type grantCache struct {
	db  reader
	url string        // of the database
	ttl time.Duration // 0 keeps nothing
	now func() time.Time

	mu        sync.RWMutex
	listening bool
	entries   map[string]keptGrant // by the digest of the token
	// generation counts the changes that have been applied.
	generation uint64

	// awaited has, by nonce, the channel that collects the acknowledgements of each
	// change that settle waits for.
	awaited sync.Map
}

type keptGrant struct {
	Grant

	until time.Time
}

// newGrantCache returns a cache that keeps nothing until it listens.
func newGrantCache(db reader, databaseURL string, ttl time.Duration) *grantCache {
	if db.pool.engine.notify == "" {
		ttl = 0
	}
	return &grantCache{db: db, url: databaseURL, ttl: ttl, now: time.Now, entries: map[string]keptGrant{}}
}

// Grant finds a token by its digest, with its user's rights. What it returns may have
// been read up to the TTL ago, but not before a change of these rights that an instance
// that listens has answered. No such token is NotFound.
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

// Listen applies the changes of other instances to the grants that this one keeps,
// until ctx ends, and calls ready when it has begun to or has failed to. Without it
// no grants are kept.
func (s *Store) Listen(ctx context.Context, ready func()) { s.grants.listen(ctx, ready) }

// get returns the grant that is kept for a digest, or the generation to give to put
// after looking it up.
func (c *grantCache) get(digest string) (grant Grant, found bool, generation uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	kept, found := c.entries[digest]
	if found && !c.now().Before(kept.until) {
		found = false
	}
	return kept.Grant, found, c.generation
}

// maxGrants bounds the grants that are kept.
const maxGrants = 10_000

// put keeps a grant, unless a change has been applied since the generation in which
// the look-up began.
func (c *grantCache) put(digest string, grant Grant, generation uint64) {
	if c.ttl == 0 {
		return
	}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation || !c.listening {
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

// remove removes the grants that changes concern.
func (c *grantCache) remove(changes ...grantChange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	for _, change := range changes {
		for digest, kept := range c.entries {
			if change.concerns(kept.Grant) {
				delete(c.entries, digest)
			}
		}
	}
}

// setListening says whether the cache hears of the changes of other instances, and
// empties it: a change may have been missed.
func (c *grantCache) setListening(listening bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	clear(c.entries)
	c.listening = listening
}

func (c *grantCache) isListening() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.listening
}

// publication is what settle has to know of the changes of a transaction.
type publication struct {
	changes []grantChange
	nonce   string
	heard   chan struct{} // nil where no acknowledgements are awaited
}

// publish sends the changes of a transaction with it. Call it last in the transaction,
// and settle after the commit.
func (c *grantCache) publish(ctx context.Context, tx *Tx) (publication, error) {
	p := publication{changes: slices.Concat(tx.effects.grants.here, tx.effects.grants.everywhere)}
	if len(tx.effects.grants.everywhere) == 0 || tx.pool.engine.notify == "" {
		return p, nil
	}
	const maxChanges = 50 // PostgreSQL takes 8,000 bytes
	p.nonce = uuid.NewString()
	text := p.nonce
	if changes := tx.effects.grants.everywhere; len(changes) <= maxChanges {
		for _, change := range changes {
			text += " " + change.String()
		}
	} else {
		text += " " + grantChange{}.String()
	}
	var ignored string
	if err := tx.get(ctx, &ignored, tx.pool.engine.notify, accessChannel, text); err != nil {
		return publication{}, err
	}
	if c.isListening() {
		const maxInstances = 100
		p.heard = make(chan struct{}, maxInstances)
		c.awaited.Store(p.nonce, p.heard)
	}
	return p, nil
}

// settle applies the changes of a transaction to this cache and, if it is committed,
// waits until all others have acknowledged them. A commit with an error may have come
// about all the same, so that its changes are applied, too. It cannot fail: the change
// is committed.
func (c *grantCache) settle(ctx context.Context, p publication, committed bool) {
	if len(p.changes) > 0 {
		c.remove(p.changes...)
	}
	defer c.awaited.Delete(p.nonce)
	if committed && p.nonce != "" {
		c.awaitHeard(ctx, p.heard)
	}
}

// awaitHeard waits until all instances that listen have acknowledged a change or, where
// one does not, until the grants that it may have kept are expired. Without a channel,
// in a process that does not listen, it collects no acknowledgement.
func (c *grantCache) awaitHeard(ctx context.Context, heard <-chan struct{}) {
	const defaultTTL = time.Second // for an instance whose own cache is off
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(c.ttl, defaultTTL))
	defer cancel()
	var listeners int
	err := c.db.get(ctx, &listeners, `SELECT count(*) FROM pg_stat_activity
		WHERE application_name = $1 AND datname = current_database()`, listenerName)
	for range listeners {
		select {
		case <-heard:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		if heard != nil {
			slog.WarnContext(ctx, "not all instances have acknowledged a change of access", "error", err)
		}
		<-ctx.Done()
	}
}

func (c *grantCache) listen(ctx context.Context, ready func()) {
	if c.ttl == 0 {
		ready()
		return
	}
	const minWait, maxWait = 100 * time.Millisecond, 5 * time.Second // between attempts to connect
	listener := pq.NewListener(listenerURL(c.url), minWait, maxWait, func(event pq.ListenerEventType, err error) {
		if event == pq.ListenerEventDisconnected {
			c.setListening(false)
		}
		if err != nil && ctx.Err() == nil {
			slog.WarnContext(ctx, "listening for changes of other instances", "error", err)
		}
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for notification := range listener.NotificationChannel() {
			switch {
			case notification == nil: // connected again; what was sent meanwhile is lost
				c.setListening(true)
			case notification.Channel == heardChannel:
				c.acknowledged(notification.Extra)
			default:
				c.hear(ctx, notification.Extra)
			}
		}
	}()
	// Closing also ends a Listen that waits for the database.
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	err := errors.Join(listener.Listen(heardChannel), listener.Listen(accessChannel))
	if err == nil {
		c.setListening(true)
	} else if ctx.Err() == nil {
		slog.WarnContext(ctx, "listening for changes of other instances", "error", err)
	}
	ready()
	<-done
	c.setListening(false)
}

// listenerURL returns the database's URL with listenerName in it. Each host has
// connectTimeout, so that one that is silent does not keep the listener from the next.
func listenerURL(databaseURL string) string {
	u, err := url.Parse(postgresURL(databaseURL))
	if err != nil {
		return databaseURL // Open has parsed it
	}
	query := u.Query()
	query.Set("application_name", listenerName)
	if !query.Has("connect_timeout") {
		query.Set("connect_timeout", strconv.Itoa(int(connectTimeout.Seconds())))
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// hear applies the changes of a notification and acknowledges them.
func (c *grantCache) hear(ctx context.Context, text string) {
	nonce, list, _ := strings.Cut(text, " ")
	var changes []grantChange
	for field := range strings.FieldsSeq(list) {
		changes = append(changes, grantChangeFrom(field))
	}
	c.remove(changes...)
	if c.acknowledged(nonce) { // a change of this instance
		return
	}
	const timeout = time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var ignored string
	err := c.db.get(ctx, &ignored, c.db.pool.engine.notify, heardChannel, nonce)
	if err != nil && ctx.Err() == nil {
		slog.WarnContext(ctx, "acknowledging a change of access", "error", err)
	}
}

// acknowledged counts that one instance has applied a change. It returns false where
// this instance does not wait for the nonce.
func (c *grantCache) acknowledged(nonce string) bool {
	waiting, own := c.awaited.Load(nonce)
	if heard, ok := waiting.(chan struct{}); ok {
		select {
		case heard <- struct{}{}:
		default:
		}
	}
	return own
}
