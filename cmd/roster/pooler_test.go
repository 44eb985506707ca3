package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/store/storetest"
	"github.com/rosterhq/roster/pkg/client"
)

// TestRevocationWithoutPreparedStatements checks that a token that one instance
// revokes is refused by the other in the next request, although instances behind a
// pooler receive no notifications of each other.
func TestRevocationWithoutPreparedStatements(t *testing.T) {
	t.Parallel()
	env := []string{
		"DATABASE_URL=" + storetest.EmptyURL(t, "postgres"),
		"ROSTER_PREPARED_STATEMENTS=false", "ROSTER_TOKEN_CACHE_TTL=10s",
	}
	first := start(t, t.TempDir(), env...)
	second := start(t, t.TempDir(), env...)
	c, err := client.New(first.base, client.Token(first.token()))
	if err != nil {
		t.Fatal(err)
	}
	created, err := c.Tokens.Create(t.Context(), client.TokenCreate{
		Name: "CI", Permissions: []string{"users.view"}, ExpiresAt: time.Now().Add(24 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := status(t, second.base+"/api/v2/users", created.Secret); got != http.StatusOK {
			t.Fatalf("%d", got)
		}
	}
	if err := c.Tokens.Delete(t.Context(), created.ID); err != nil {
		t.Fatal(err)
	}
	if got := status(t, second.base+"/api/v2/users", created.Secret); got != http.StatusUnauthorized {
		t.Errorf("a revoked token: %d", got)
	}
	first.stop(t)
	second.stop(t)
}
