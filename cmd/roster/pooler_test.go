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
	c, err := client.NewClientWithResponses(first.base, client.WithToken(first.token()))
	if err != nil {
		t.Fatal(err)
	}
	tomorrow := time.Now().Add(24 * time.Hour)
	created, err := c.CreateTokenWithResponse(t.Context(), client.TokenCreate{
		Name: "CI", Permissions: []client.Permission{"users.view"}, ExpiresAt: &tomorrow,
	})
	if err != nil || created.JSON201 == nil {
		t.Fatalf("%v %+v", err, created)
	}
	for range 2 {
		if got := status(t, second.base+"/api/v2/users", created.JSON201.Token); got != http.StatusOK {
			t.Fatalf("%d", got)
		}
	}
	revoked, err := c.RevokeTokenWithResponse(t.Context(), created.JSON201.ID)
	if err != nil || revoked.StatusCode() != http.StatusNoContent {
		t.Fatalf("%v %+v", err, revoked)
	}
	if got := status(t, second.base+"/api/v2/users", created.JSON201.Token); got != http.StatusUnauthorized {
		t.Errorf("a revoked token: %d", got)
	}
	first.stop(t)
	second.stop(t)
}
