package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

func grantOf(tokenID, userID int64) Grant {
	return Grant{Token: identity.Token{ID: tokenID, UserID: userID}}
}

func TestGrantCache(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := newGrantCache(reader{pool: &pool{engine: &postgresEngine}}, "", time.Second)
	c.now = func() time.Time { return now }
	has := func(digest string) bool {
		_, found, _ := c.get(digest)
		return found
	}
	put := func(digest string, g Grant) {
		_, _, generation := c.get(digest)
		c.put(digest, g, generation)
	}
	put("a", grantOf(1, 7))
	if has("a") {
		t.Error("a grant is kept before anything is heard")
	}
	c.setListening(true)
	put("a", grantOf(1, 7))
	put("b", grantOf(2, 8))
	put("c", grantOf(3, 0))
	c.remove(grantChange{userID: 7})
	if has("a") || !has("b") || !has("c") {
		t.Error("a user's change")
	}
	c.remove(grantChangeFrom(grantChange{tokenID: 3}.String()))
	if !has("b") || has("c") {
		t.Error("a token's change")
	}
	c.remove(grantChangeFrom("from the future/1"))
	if has("b") {
		t.Error("a change of all")
	}

	// What was looked up before a change is not kept after it.
	_, _, generation := c.get("a")
	c.remove(grantChange{userID: 99})
	c.put("a", grantOf(1, 7), generation)
	if has("a") {
		t.Error("a stale grant is kept")
	}
	put("a", grantOf(1, 7))
	now = now.Add(time.Second)
	if has("a") {
		t.Error("a grant is kept for too long")
	}
	c.setListening(false)
	put("a", grantOf(1, 7))
	if has("a") {
		t.Error("a grant is kept though nothing is heard")
	}
	c.setListening(true)
	for i := range maxGrants + 100 {
		put(fmt.Sprint(i), grantOf(int64(i+1), 0))
	}
	if len(c.entries) != maxGrants {
		t.Errorf("%d grants", len(c.entries))
	}
	now = now.Add(time.Second)
	put("a", grantOf(1, 7))
	if len(c.entries) != 1 || !has("a") {
		t.Errorf("%d grants", len(c.entries))
	}
	never := newGrantCache(c.db, "", 0)
	never.setListening(true)
	never.put("a", grantOf(1, 7), 0)
	if _, found, _ := never.get("a"); found {
		t.Error("a grant is kept though none should be")
	}
}
