package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/pgtest"
)

// TestChangeInFiveRoundTrips counts what a change of a user sends to PostgreSQL, and checks that the
// user is locked from the beginning, and that a connection which has waited in vain can be used.
func TestChangeInFiveRoundTrips(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	if _, err := Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	tap, err := pgtest.NewTap(t.Context(), url, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tap.Close() })
	open := func(url string) *Store {
		s, err := Open(url, Options{Prepare: true, MaxConns: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	s, other := open(tap.URL), open(url)
	const digest = "digest"
	caller := identity.Actor{Credential: digest}
	var id int64
	err = s.InTx(t.Context(), func(tx *Tx) (err error) {
		if id, err = tx.InsertUser(t.Context(), identity.User{Email: "mary@example.com", Groups: []int64{1}}, ""); err != nil {
			return err
		}
		_, err = tx.exec(t.Context(), `INSERT INTO tokens (name, digest, user_id, permissions, can_view_masked_data, allow_list,
			created_at, expires_at) VALUES ('', $1, $2, '*', true, '', $3, $3)`, digest, id, timestamp{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	change := func(tx *Tx) error {
		user, held, grant, err := tx.UserAndCaller(t.Context(), id, caller)
		if err != nil || held != identity.AllPermissions || grant.UserPermissions != held || grant.Token.UserID != user.ID {
			t.Errorf("%+v, %v, %+v, %v", user, held, grant, err)
		}
		var free []int64
		err = other.all(t.Context(), &free, "SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED", id)
		if err != nil || len(free) > 0 {
			t.Errorf("not locked: %v, %v", free, err)
		}
		after := user
		after.Phone, after.Version = "+15550100", user.Version+1
		if err := tx.UpdateUser(t.Context(), user, after); err != nil {
			return err
		}
		_, err = tx.Emit(t.Context(), identity.Event{Type: identity.UserUpdated, SubjectID: id})
		return err
	}
	for range 2 { // these prepare
		if err := s.InTxOn(t.Context(), id, change); err != nil {
			t.Fatal(err)
		}
	}
	before := tap.Trips()
	if err := s.InTxOn(t.Context(), id, change); err != nil {
		t.Fatal(err)
	}
	if trips := tap.Trips() - before; trips > 5 {
		t.Errorf("%d round trips, want 5", trips)
	}
	err = other.InTxOn(t.Context(), id, func(*Tx) error {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := s.InTxOn(ctx, id, func(*Tx) error { return errors.New("the lock is not waited for") })
		if identity.KindOf(err) != identity.Unavailable {
			t.Errorf("waiting in vain: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.InTxOn(t.Context(), id, change); err != nil {
		t.Errorf("after that: %v", err)
	}
}
