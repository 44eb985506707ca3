package store_test

import (
	"context"
	"database/sql"
	"net/url"
	"sync"
	"testing"
	"time"

	_ "github.com/lib/pq"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// TestSilentListener: an instance that has stopped without leaving does not
// acknowledge a change. The change waits until whatever that instance remembers
// is over, and no longer.
func TestSilentListener(t *testing.T) {
	t.Parallel()
	const ttl = 50 * time.Millisecond
	databaseURL := storetest.URL(t, "postgres")
	s, err := store.Open(databaseURL, store.Options{Prepare: true, MaxConns: 4, GrantTTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var listening sync.WaitGroup
	ready := make(chan struct{})
	listening.Go(func() { s.Listen(ctx, func() { close(ready) }) })
	<-ready
	t.Cleanup(func() {
		cancel()
		listening.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	change := func(s *store.Store) time.Duration {
		t.Helper()
		start := time.Now()
		err := s.InTx(t.Context(), func(tx *store.Tx) error {
			administrators, err := tx.Group(t.Context(), identity.AdministratorsID)
			if err != nil {
				return err
			}
			return tx.UpdateGroup(t.Context(), administrators, administrators)
		})
		if err != nil {
			t.Fatal(err)
		}
		return time.Since(start)
	}
	change(s) // with everyone listening: no bound on the time, for the machine may be busy

	named, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	query := named.Query()
	query.Set("application_name", "roster listener")
	named.RawQuery = query.Encode()
	silent, err := sql.Open("postgres", named.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	if err := silent.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := change(s); took < ttl {
		t.Errorf("answered after %v, when the silent instance may still use the old rights", took)
	}
	// An author that does not listen hears no acknowledgement.
	author, err := store.Open(databaseURL, store.Options{MaxConns: 4, GrantTTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = author.Close() })
	if took := change(author); took < ttl {
		t.Errorf("an author that does not listen answered after %v", took)
	}
}

// TestRevocationReachesThoseWhoDoNotListen: a store that never listens, such as
// one behind a pooler, goes by what another one has done at once. One that
// listens does so until it hears of a change.
func TestRevocationReachesThoseWhoDoNotListen(t *testing.T) {
	t.Parallel()
	databaseURL := storetest.URL(t, "postgres")
	open := func() *store.Store {
		s, err := store.Open(databaseURL, store.Options{MaxConns: 4, GrantTTL: time.Hour}) // never over by itself
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	author, deaf, hearing := open(), open(), open()
	ctx, cancel := context.WithCancel(t.Context())
	var listening sync.WaitGroup
	t.Cleanup(listening.Wait)
	t.Cleanup(cancel)
	for _, s := range []*store.Store{author, hearing} {
		ready := make(chan struct{})
		listening.Go(func() { s.Listen(ctx, func() { close(ready) }) })
		<-ready
	}
	direct, err := sql.Open("postgres", databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = direct.Close() })
	for _, test := range []struct {
		heard  bool
		revoke func(id int64) error
	}{
		{true, func(id int64) error {
			return author.InTx(ctx, func(tx *store.Tx) error { _, err := tx.DeleteToken(ctx, id); return err })
		}},
		{false, func(id int64) error {
			_, err := direct.ExecContext(ctx, "DELETE FROM tokens WHERE id = $1", id)
			return err
		}},
	} {
		var id int64
		err := author.InTx(ctx, func(tx *store.Tx) (err error) {
			id, err = tx.InsertToken(ctx, identity.Token{Name: "CI", CreatedAt: noon}, "digest")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []*store.Store{deaf, hearing} {
			if _, err := s.Grant(ctx, "digest"); err != nil {
				t.Fatal(err)
			}
		}
		if err := test.revoke(id); err != nil {
			t.Fatal(err)
		}
		if grant, err := deaf.Grant(ctx, "digest"); identity.KindOf(err) != identity.NotFound {
			t.Errorf("a revoked token grants %+v, %v", grant, err)
		}
		if _, err := hearing.Grant(ctx, "digest"); (identity.KindOf(err) == identity.NotFound) != test.heard {
			t.Errorf("heard %v: %v", test.heard, err)
		}
	}
}
