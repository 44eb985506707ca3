package store_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/api/apitest"
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
	if apitest.RaceDetector {
		t.Skip("thousands of pages, one after the other, take minutes with the race detector; .ci/run runs this without it")
	}
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
		signInAndLock(t, s, model)
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
			{Active: &yes, SearchNames: true}, // of a caller who sees masks
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
			{Search: "user99@example.co"},
			{Search: "user9@example.org"}, // the part before the @ is one of an address, the rest is not
			{Search: "us@example"},
			{Search: "éric"},
			{Email: "uSER17@EXAMPLE.com"},
			{Email: "17@example.com"},
			{Group: 1},
			{Group: 99},
			{TFA: &yes, Name: "anna"},
			{CreatedAfter: noon.Add(3 * time.Hour)},
			{CreatedAfter: noon.Add(6 * time.Hour), CreatedBefore: noon.Add(7 * time.Hour)},
			{CreatedBefore: noon},
			{SigninBefore: noon.Add(time.Hour), Active: &yes},
			{SigninAfter: noon.Add(9 * time.Minute)},
			{SigninAfter: noon.Add(2 * time.Minute), SigninBefore: noon.Add(3 * time.Minute), Group: 1},
			{SigninBefore: noon, CreatedAfter: noon.Add(5 * time.Hour), TFA: &yes},
			{SigninBefore: noon, Name: "anna"},
			{Locked: &yes, LockedAt: noon},
			{Locked: &yes, LockedAt: noon, CreatedAfter: noon.Add(2 * time.Hour), Active: &yes},
			{Locked: new(bool), LockedAt: noon, Name: "ANN"},
			{Locked: new(bool), LockedAt: noon},
			{Locked: &yes, LockedAt: noon.Add(time.Hour), None: true},
			{IDs: []int64{}},
			{IDs: []int64{17, 18, 3, 1 << 62}},
			{IDs: []int64{17, 18, 19, 20, 21}, Name: "ann"},
		}
		for i, filter := range filters {
			sorts := identity.UserSorts[i%len(identity.UserSorts):][:1]
			switch {
			case i < 4 || filter.Name == "ANN":
				sorts = identity.UserSorts
			case !filter.CreatedAfter.IsZero() || !filter.SigninBefore.IsZero():
				sorts = []identity.UserSort{identity.SortByName, identity.SortByCreation, identity.SortByLastSignin}
			}
			for _, sort := range sorts {
				for _, descending := range []bool{false, true} {
					checkPages(t, s, kept, identity.UserQuery{Filter: filter, Sort: sort, Descending: descending, Limit: 450})
				}
			}
		}
		seed := uint64(time.Now().UnixNano())
		t.Logf("random lists of seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		for range 60 {
			checkPages(t, s, kept, randomList(random, filters))
		}
	})
}

// randomList joins parts of several filters to another one, in any order.
func randomList(r *rand.Rand, filters []identity.UserFilter) identity.UserQuery {
	q := identity.UserQuery{
		Sort: identity.UserSorts[r.IntN(len(identity.UserSorts))], Descending: r.IntN(2) == 0, Limit: 1 + r.IntN(500),
	}
	filter := reflect.ValueOf(&q.Filter).Elem()
	for range r.IntN(4) {
		part := reflect.ValueOf(filters[r.IntN(len(filters))])
		for i := range part.NumField() {
			if !part.Field(i).IsZero() {
				filter.Field(i).Set(part.Field(i))
			}
		}
	}
	return q
}

// signInAndLock lets every third user sign in, at one of twelve times. Every fiftieth is
// locked at noon, twice; all others have been.
func signInAndLock(t *testing.T, s *store.Store, model []identity.User) {
	t.Helper()
	err := s.InTx(t.Context(), func(tx *store.Tx) error {
		for i := range model {
			u := &model[i]
			if i%11 == 0 { // deleted
				continue
			}
			if u.ID%3 == 0 {
				u.LastSigninAt = noon.Add(time.Duration(i%12) * time.Minute)
				if err := tx.SetLastSignin(t.Context(), u.ID, u.LastSigninAt); err != nil {
					return err
				}
			}
			for n, until := range []time.Duration{time.Minute, 2 * time.Minute, -time.Hour} {
				if u.ID%50 != 3 && until > 0 {
					continue
				}
				key := fmt.Sprint("key ", u.ID, n)
				if _, err := tx.LockThrottle(t.Context(), key); err != nil {
					return err
				}
				err := tx.SetThrottle(t.Context(), key, identity.Throttle{LatestAt: noon}, string(u.Email), noon.Add(until))
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
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
		q.NoTotal = true
		without, err := s.Users(t.Context(), q)
		if err != nil || !slices.Equal(userIDs(without.Users), userIDs(page.Users)) ||
			(without.Next != nil) != (page.Next != nil) || without.Total != 0 {
			t.Errorf("%+v: without a total: %d rows, total %d, %v", q, len(without.Users), without.Total, err)
		}
		q.NoTotal = false
		from := min(offset, int64(len(want)))
		to := min(from+int64(q.Limit), int64(len(want)))
		if got := userIDs(page.Users); !slices.Equal(got, want[from:to]) {
			t.Errorf("%+v: got %d rows %v, want %v", q, len(got), head(got), head(want[from:to]))
		}
		if hasNext := to < int64(len(want)); hasNext != (page.Next != nil) {
			t.Errorf("%+v: next page: got %v, want %v", q, page.Next != nil, hasNext)
		}
	}
	checkCount(t, s, q.Filter, int64(len(want)))
	q.Offset = 0
	q.NoTotal = q.Descending
	checkWalk(t, s, q, want)
}

// checkCount checks UserCount, which LowerLimits has bounded to 300.
func checkCount(t *testing.T, s *store.Store, f identity.UserFilter, want int64) {
	t.Helper()
	const most = 300
	exact := reflect.DeepEqual(f, identity.UserFilter{Active: f.Active, SearchNames: f.SearchNames})
	bounded := identity.UserCount{Total: want}
	if want > most && !exact {
		bounded = identity.UserCount{Total: most, IsLowerBound: true}
	}
	if got, err := s.UserCount(t.Context(), f); err != nil || got != bounded {
		t.Errorf("%+v: %+v, %v, want %+v", f, got, err, bounded)
	}
}

func checkWalk(t *testing.T, s *store.Store, q identity.UserQuery, want []int64) {
	t.Helper()
	var walked []int64
	for {
		page, err := s.Users(t.Context(), q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		if q.NoTotal && page.Total != 0 {
			t.Errorf("%+v: total %d", q, page.Total)
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

// TestUsersByKeys reads users by id, address and phone number, no more than asked for and no
// more than a page holds.
func TestUsersByKeys(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		users := make([]identity.User, 6)
		for i := range users {
			users[i] = user(i, "Anna")
			if i >= 2 {
				users[i].Phone = "+18043257762"
			}
		}
		ids := insert(t, s, users...)
		const shared = "+18043257762"
		for _, test := range []struct {
			keys     store.UserKeys
			limit    int
			want     []int64
			complete bool
		}{
			{store.UserKeys{}, 5, nil, true},
			{store.UserKeys{IDs: []int64{ids[1], 99, ids[0]}, Emails: []string{"user2@example.com", `a"]`}}, 5, ids[:3], true},
			{store.UserKeys{Phones: []string{shared, "", "%"}}, 4, ids[2:], true},
			{store.UserKeys{Phones: []string{shared}}, 3, nil, false},
			{store.UserKeys{IDs: ids[:1], Phones: []string{shared}}, 4, nil, false},
		} {
			found, complete, err := s.UsersByKeys(t.Context(), test.keys, test.limit)
			got := userIDs(found)
			slices.Sort(got)
			if err != nil || complete != test.complete || !slices.Equal(got, test.want) {
				t.Errorf("%+v: %v, complete %v, %v; want %v", test.keys, got, complete, err, test.want)
			}
		}
		s.LowerLimits(200, 300, 1)
		if found, complete, err := s.UsersByKeys(t.Context(), store.UserKeys{IDs: ids}, 9); err != nil || complete {
			t.Errorf("more than a page: %d users, %v", len(found), err)
		}
	})
}

// TestPasswordDecoys checks that the decoys in use are those of the stored hashes, each once, and
// that the last user with one takes it away.
func TestPasswordDecoys(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		argon2id := func(salt string) string {
			return "$argon2id$v=19$m=1024,t=2,p=4$" + strings.Repeat(salt, 22) + "$nbtcUksnmhk1cUdpxFsf8A"
		}
		sha := "$6$" + strings.Repeat("s", 16) + "$" + strings.Repeat("k", 86)
		own := "$2a$10$" + strings.Repeat("a", 53)
		var ids []int64
		want := func(hashes ...string) {
			t.Helper()
			expected := make([]string, len(hashes))
			for i, hash := range hashes {
				expected[i] = identity.DecoyOf(hash)
			}
			slices.Sort(expected)
			if got, err := s.PasswordDecoys(ctx); err != nil || !slices.Equal(got, expected) {
				t.Errorf("%q, %v, want %q", got, err, expected)
			}
		}
		change := func(fn func(tx *store.Tx) error) {
			t.Helper()
			if err := s.InTx(ctx, fn); err != nil {
				t.Fatal(err)
			}
		}
		want()
		change(func(tx *store.Tx) error {
			for i, hash := range []string{argon2id("a"), own, argon2id("b"), "", sha, own} {
				id, err := tx.InsertUser(ctx, identity.User{Email: identity.Email(fmt.Sprintf("u%d@example.com", i))}, hash)
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			return nil
		})
		want(argon2id("c"), sha)
		change(func(tx *store.Tx) error { return tx.UpdatePasswordHash(ctx, ids[0], own) })
		want(argon2id("c"), sha)
		change(func(tx *store.Tx) error { return tx.UpdatePasswordHash(ctx, ids[2], own) })
		want(sha)
		change(func(tx *store.Tx) error { return tx.UpdatePasswordHash(ctx, ids[1], argon2id("d")) })
		change(func(tx *store.Tx) error { return tx.DeleteUser(ctx, ids[4]) })
		want(argon2id("c"))
	})
}
