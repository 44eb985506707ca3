package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 123456000, time.UTC)

func insert(t *testing.T, s *store.Store, users ...identity.User) []int64 {
	t.Helper()
	ids := make([]int64, len(users))
	err := s.InTx(t.Context(), func(tx *store.Tx) (err error) {
		for i, u := range users {
			if ids[i], err = tx.InsertUser(t.Context(), u, "hash"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func user(i int, name string) identity.User {
	return identity.User{
		Name: identity.Name(name), Email: identity.Email(fmt.Sprintf("User%d@example.com", i)), Active: i%3 != 0,
		CreatedAt: noon.Add(time.Duration(i%7) * time.Hour), Version: 1,
	}
}

func TestUserRoundTrip(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		text, id, name := "tag", int64(7), "Äcme"
		allowList, err := identity.AllowListFrom("10.0.0.0/8 2001:db8::1")
		if err != nil {
			t.Fatal(err)
		}
		want := identity.User{
			Name: "Märy", Email: "Mary@Example.com", Phone: "+18043257762", Active: true, TFA: true, Groups: []int64{1},
			AllowList: allowList, ClientTags: []identity.ClientTag{{Text: &text}, {ID: &id, Name: &name}},
			CanViewMaskedData: true, CreatedAt: noon, Version: 1,
		}
		want.ID = insert(t, s, want)[0]
		got, err := s.User(t.Context(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b identity.AddressRange) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
	})
}

func TestIDsAreNeverReused(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ids := insert(t, s, user(1, "A"), user(2, "B"))
		if err := s.InTx(t.Context(), func(tx *store.Tx) error { return tx.DeleteUser(t.Context(), ids[1]) }); err != nil {
			t.Fatal(err)
		}
		if again := insert(t, s, user(3, "C"))[0]; again <= ids[1] {
			t.Errorf("id %d after %d was deleted", again, ids[1])
		}
	})
}

// TestUsersAgainstModel compares every page of many queries with a plain Go
// model of the list, while users come, change and go: totals and offsets come
// from counted blocks, searches from an index, and none of it may show.
func TestUsersAgainstModel(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		s.LowerLimits(200, 300, 8<<20)
		ctx := t.Context()
		names := []string{
			"Anna Schmidt", "ANNABEL", "Ärger", "ärmel 100%", "under_score", `back\slash`, "Straße", "Éric", `quo"te`, "Bo",
		}
		var model []identity.User
		for i := range 1300 { // more than one block
			u := user(i, fmt.Sprintf("%s %d", names[i%len(names)], i%40))
			if i%5 == 0 {
				u.Groups = []int64{1}
			}
			u.TFA = i%2 == 0
			model = append(model, u)
		}
		for i, id := range insert(t, s, model...) {
			model[i].ID = id
		}
		err := s.InTx(ctx, func(tx *store.Tx) error {
			for i := range model {
				switch {
				case i%11 == 0:
					if err := tx.DeleteUser(ctx, model[i].ID); err != nil {
						return err
					}
				case i%13 == 0:
					before := model[i]
					model[i].Active = !model[i].Active
					model[i].Name += " renamed"
					if err := tx.UpdateUser(ctx, before, model[i]); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		kept := model[:0]
		for i, u := range model {
			if i%11 != 0 {
				kept = append(kept, u)
			}
		}
		yes := true
		filters := []identity.UserFilter{
			{},
			{Active: &yes},
			{Active: new(bool)},
			{None: true},
			{Name: "ANN"},
			{Name: "är"},
			{Name: "ÄRG"},
			{Name: "%"},
			{Name: "r_s"},
			{Name: `k\s`},
			{Name: `"te`},
			{Name: "STRASSE"},
			{Name: "straße"},
			{Name: "na schmidt 1"},
			{Name: "hmidt 10 renamed"},
			{Name: "na sch%dt 1"},
			{Name: "er_score 2"},
			{Name: "annbel"},
			{Search: "ser99@example.com"},
			{Name: "renamed", Active: &yes},
			{Name: "no such name"},
			{Name: "b"},
			{Search: "USER99@"},
			{Search: "éric"},
			{Email: "uSER17@EXAMPLE.com"},
			{Email: "17@example.com"},
			{Group: 1},
			{Group: 99},
			{TFA: &yes, Name: "anna"},
			{IDs: []int64{}},
			{IDs: []int64{17, 18, 3, 1 << 62}},
			{IDs: []int64{17, 18, 19, 20, 21}, Name: "ann"},
		}
		for i, filter := range filters {
			sorts := identity.UserSorts[i%len(identity.UserSorts):][:1]
			if i < 4 || filter.Name == "ANN" {
				sorts = identity.UserSorts
			}
			for _, sort := range sorts {
				for _, descending := range []bool{false, true} {
					checkPages(t, s, kept, identity.UserQuery{Filter: filter, Sort: sort, Descending: descending, Limit: 450})
				}
			}
		}
	})
}

func checkPages(t *testing.T, s *store.Store, model []identity.User, q identity.UserQuery) {
	t.Helper()
	want := expected(model, q)
	for _, offset := range []int64{0, 1, 1030, int64(len(want)), 1 << 62} {
		q.Offset = offset
		page, err := s.Users(t.Context(), q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		if page.Total != int64(len(want)) {
			t.Errorf("%+v: total %d, want %d", q, page.Total, len(want))
		}
		from := min(offset, int64(len(want)))
		to := min(from+int64(q.Limit), int64(len(want)))
		if got := userIDs(page.Users); !slices.Equal(got, want[from:to]) {
			t.Errorf("%+v: got %d rows %v, want %v", q, len(got), head(got), head(want[from:to]))
		}
		if hasNext := to < int64(len(want)); hasNext != (page.Next != nil) {
			t.Errorf("%+v: next page: got %v, want %v", q, page.Next != nil, hasNext)
		}
	}
	q.Offset = 0
	var walked []int64
	for {
		page, err := s.Users(t.Context(), q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		walked = append(walked, userIDs(page.Users)...)
		if page.Next == nil {
			break
		}
		cursor, err := identity.ParseCursor(page.Next.String())
		if err != nil {
			t.Fatalf("%+v: cursor: %v", q, err)
		}
		cursor.Broad = !cursor.Broad // a hint about cost: it must not change the rows
		q.After = &cursor
	}
	if !slices.Equal(walked, want) {
		t.Errorf("%+v: walking by cursor: got %d rows %v, want %d %v", q, len(walked), head(walked), len(want), head(want))
	}
}

func head(ids []int64) []int64 { return ids[:min(len(ids), 10)] }

func userIDs(users []identity.User) []int64 {
	ids := make([]int64, len(users))
	for i, u := range users {
		ids[i] = u.ID
	}
	return ids
}
