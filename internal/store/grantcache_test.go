package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// cacheTest is a cache with a clock that the test sets.
type cacheTest struct {
	*grantCache

	at time.Time
}

func newCacheTest(ttl time.Duration) *cacheTest {
	c := &cacheTest{newGrantCache(reader{pool: &pool{engine: &postgresEngine}}, "", ttl), time.Now()}
	c.now = func() time.Time { return c.at }
	return c
}

func (c *cacheTest) has(digest string) bool {
	_, found, _ := c.get(digest)
	return found
}

// keep does what a request with a token does.
func (c *cacheTest) keep(digest string, tokenID, userID int64) {
	_, _, generation := c.get(digest)
	c.put(digest, Grant{Token: identity.Token{ID: tokenID, UserID: userID}}, generation)
}

func TestGrantCacheAppliesChanges(t *testing.T) {
	t.Parallel()
	c := newCacheTest(time.Second)
	c.setListening(true)
	c.keep("a", 1, 7)
	c.keep("b", 2, 8)
	c.keep("c", 3, 0)
	c.remove(grantChange{userID: 7})
	if c.has("a") || !c.has("b") || !c.has("c") {
		t.Error("a user's change")
	}
	c.remove(grantChangeFrom(grantChange{tokenID: 3}.String()))
	if !c.has("b") || c.has("c") {
		t.Error("a token's change")
	}
	c.remove(grantChangeFrom("from the future/1"))
	if c.has("b") {
		t.Error("a change of all")
	}
	// What was looked up before a change is not kept after it.
	_, _, generation := c.get("a")
	c.remove(grantChange{userID: 99})
	c.put("a", Grant{}, generation)
	if c.has("a") {
		t.Error("a stale grant is kept")
	}
	// The author of a change applies it without a notification, also if the commit failed.
	for _, committed := range []bool{true, false} {
		c.keep("a", 1, 7)
		c.settle(t.Context(), publication{changes: []grantChange{{tokenID: 1}}}, committed)
		if c.has("a") {
			t.Errorf("committed %v: the author's own change", committed)
		}
	}
}

func TestGrantCacheKeepsNothingUnlessItListens(t *testing.T) {
	t.Parallel()
	c := newCacheTest(time.Second)
	c.keep("a", 1, 7)
	if c.has("a") {
		t.Error("a grant is kept before it listens")
	}
	c.setListening(true)
	c.keep("a", 1, 7)
	c.setListening(false)
	if c.has("a") {
		t.Error("a grant is kept from when it listened")
	}
	c.keep("a", 1, 7)
	c.setListening(true)
	if c.has("a") {
		t.Error("a grant is kept from when it did not listen")
	}
	never := newCacheTest(0)
	never.setListening(true)
	never.keep("a", 1, 7)
	if never.has("a") {
		t.Error("a grant is kept without a TTL")
	}
	sqlite := newGrantCache(reader{pool: &pool{engine: &sqliteEngine}}, "", time.Second)
	if sqlite.ttl != 0 {
		t.Error("grants are kept on SQLite")
	}
}

func TestGrantCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCacheTest(time.Second)
	c.setListening(true)
	for i := range maxGrants + 100 {
		c.keep(fmt.Sprint(i), int64(i+1), 0)
	}
	if len(c.entries) != maxGrants {
		t.Errorf("%d grants", len(c.entries))
	}
	c.at = c.at.Add(time.Second)
	if c.has("0") {
		t.Error("a grant is kept for too long")
	}
	c.keep("a", 1, 7)
	if len(c.entries) != 1 || !c.has("a") {
		t.Errorf("%d grants", len(c.entries))
	}
}
