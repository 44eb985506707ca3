package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/pgtest"
)

// TestChangesTouchNoIndex changes fields that no index has, and sign-ins, and asks PostgreSQL where
// the rows are: a change that touches no index (HOT) leaves the row in its page, and one that does
// not writes to users at all leaves it in its place.
func TestChangesTouchNoIndex(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	if _, err := Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	s, err := Open(url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	const people = 300 // several pages
	var ids []int64
	inTx := func(fn func(tx *Tx) error) {
		t.Helper()
		if err := s.InTx(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	inTx(func(tx *Tx) error {
		for i := range people {
			id, err := tx.InsertUser(t.Context(), identity.User{
				Name: "Mary Smith", Email: identity.Email(fmt.Sprintf("mary.%d@example.com", i)), Phone: "+15550100",
			}, "a hash of sixty characters, as bcrypt has, and a few more")
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	places := func(table, part string) (places []string) {
		t.Helper()
		if err := s.write.db.SelectContext(t.Context(), &places,
			"SELECT "+part+" FROM "+table+" ORDER BY id"); err != nil {
			t.Fatal(err)
		}
		return places
	}
	const page, place = "split_part(ctid::text, ',', 1)", "ctid::text"
	count := func(before, after []string) (same int) {
		for i := range before {
			if before[i] == after[i] {
				same++
			}
		}
		return same
	}
	pages := places("users", page)
	for i, id := range ids {
		if i%25 != 0 { // about one in each page
			continue
		}
		inTx(func(tx *Tx) error {
			before, err := tx.UserForUpdate(t.Context(), id)
			if err != nil {
				return err
			}
			after := before
			after.ClientTags, after.Version, after.UpdatedAt = []identity.ClientTag{{ID: &id}}, before.Version+1, time.Now()
			return tx.UpdateUser(t.Context(), before, after)
		})
	}
	if same := count(pages, places("users", page)); same != people {
		t.Errorf("changes of tags have moved %d rows to another page", people-same)
	}
	before := places("users", place)
	inTx(func(tx *Tx) error {
		for _, id := range ids {
			if err := tx.SetLastSignin(t.Context(), id, time.Now()); err != nil {
				return err
			}
		}
		return nil
	})
	if same := count(before, places("users", place)); same != people {
		t.Errorf("sign-ins have written %d of %d users", people-same, people)
	}
}
