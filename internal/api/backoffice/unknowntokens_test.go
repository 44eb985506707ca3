package backoffice_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/pgtest"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// TestUnknownTokensCostOneRoundTrip counts what a flood of tokens that are made up costs the database: one look-up for
// each, and nothing without a token. TestGrantsGoByTheirIndex checks what a look-up reads.
func TestUnknownTokensCostOneRoundTrip(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "tap") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	tap, err := pgtest.NewTap(t.Context(), storetest.URL(t, "postgres"), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tap.Close() })
	s := apitest.New(t, tap.URL)
	own := s.CreateToken(0, []string{"tokens.introspect"})
	asClient := func(token string) apitest.Option { return func(r *http.Request) { r.SetBasicAuth("1", token) } }
	introspect := func(token string, option apitest.Option) *apitest.Answer {
		return s.Do(http.MethodPost, apitest.IntrospectPath, url.Values{"token": {token}}, option)
	}
	const many = 50
	for name, c := range map[string]struct {
		ask        func(unknown string) *apitest.Answer
		status     int
		least, max int64 // round trips of one request
	}{
		"auth": {func(unknown string) *apitest.Answer {
			return s.Do(http.MethodGet, auth+"?permission=users.view", nil, apitest.As(unknown))
		}, http.StatusUnauthorized, 1, 1},
		"introspection": {func(unknown string) *apitest.Answer {
			return introspect(own, apitest.As(unknown))
		}, http.StatusUnauthorized, 1, 1},
		"introspection by Basic": {func(unknown string) *apitest.Answer {
			return introspect(own, asClient(unknown))
		}, http.StatusUnauthorized, 1, 1},
		"auth without a token": {func(string) *apitest.Answer {
			return s.Do(http.MethodGet, auth, nil, apitest.As(""))
		}, http.StatusUnauthorized, 0, 0},
		"introspection without a token": {func(unknown string) *apitest.Answer {
			return introspect(unknown, apitest.As(""))
		}, http.StatusUnauthorized, 0, 0},
		// The caller's own token may be looked up again, too.
		"asked about by a service": {func(unknown string) *apitest.Answer {
			return introspect(unknown, apitest.As(own))
		}, http.StatusOK, 1, 2},
	} {
		c.ask("rst_first").Want(c.status) // which prepares the statements
		before := tap.Trips()
		for i := range many {
			c.ask(fmt.Sprint("rst_unknown", i)).Want(c.status)
		}
		if trips := tap.Trips() - before; trips < c.least*many || trips > c.max*many {
			t.Errorf("%s: %d round trips for %d requests", name, trips, many)
		}
	}
}
