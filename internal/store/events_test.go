package store_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// TestEventPages walks lists of events page by page, and compares them with a
// selection that is made here. The events were recorded in another order than
// that of their times. Beyond 300 the total is not counted.
func TestEventPages(t *testing.T) {
	t.Parallel()
	const n = 310
	var all []identity.Event
	for i := range n {
		all = append(all, identity.Event{
			ID: int64(i + 1), Time: noon.Add(time.Duration(i*7%n/2) * time.Second), Count: 1, Changes: identity.Changes{},
			Type:      []identity.EventType{identity.UserUpdated, identity.UserSignedIn, identity.GroupUpdated}[i%3],
			SubjectID: int64(1 + i%4),
			Actor: identity.Actor{
				Name: "x", UserID: int64(i % 5), TokenID: int64(i % 2), Source: netip.MustParseAddr("192.0.2.1"),
				RequestID: "r", ClientRequestID: "c",
			},
		})
	}
	filters := []identity.EventFilter{
		{},
		{UserID: 3},
		{UserID: 9},
		{ActorUserID: 4},
		{ActorTokenID: 1},
		{Type: identity.GroupUpdated},
		{Since: noon.Add(20 * time.Second)},
		{Until: noon.Add(20 * time.Second)},
		{Since: noon.Add(20 * time.Second), Until: noon.Add(90 * time.Second)},
		{Since: noon.Add(time.Hour)},
		{UserID: 3, Since: noon.Add(20 * time.Second), Type: identity.UserUpdated},
		{ActorUserID: 4, ActorTokenID: 1, Until: noon.Add(90 * time.Second)},
	}
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		s.LowerLimits(200, 300, 8<<20)
		err := s.InTx(t.Context(), func(tx *store.Tx) error {
			for _, e := range all {
				if _, err := tx.Emit(t.Context(), e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range filters {
			want := selected(all, f)
			for _, limit := range []int{1, 7, 100, 1000} {
				var got []identity.Event
				query := identity.EventQuery{Filter: f, Limit: limit}
				for {
					page, err := s.Events(t.Context(), query)
					if err != nil {
						t.Fatal(err)
					}
					beyond := query.After == nil && len(want) > 300
					total := int64(min(len(want), 300))
					if query.After != nil {
						total = 0
					}
					if page.Total != total || page.TotalIsLowerBound != beyond {
						t.Errorf("%+v: total %d, %v; want %d, %v", f, page.Total, page.TotalIsLowerBound, total, beyond)
					}
					got = append(got, page.Events...)
					if query.After = page.Next; page.Next == nil {
						break
					}
				}
				if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
					t.Fatalf("%+v by %d: %s", f, limit, diff)
				}
			}
			offset, err := s.Events(t.Context(), identity.EventQuery{Filter: f, Limit: 5, Offset: 3})
			wantPage := want[min(3, len(want)):min(8, len(want))]
			if err != nil || !slices.EqualFunc(offset.Events, wantPage, func(a, b identity.Event) bool { return a.ID == b.ID }) {
				t.Errorf("%+v from 3 on: %+v, %v", f, offset, err)
			}
		}
	})
}

// selected returns the events that match, in the order of the list.
func selected(all []identity.Event, f identity.EventFilter) (matching []identity.Event) {
	for _, e := range slices.Backward(all) {
		if (f.UserID == 0 || e.Type.SubjectType() == "user" && e.SubjectID == f.UserID) &&
			(f.ActorUserID == 0 || e.Actor.UserID == f.ActorUserID) &&
			(f.ActorTokenID == 0 || e.Actor.TokenID == f.ActorTokenID) &&
			(f.Type == "" || e.Type == f.Type) && !e.Time.Before(f.Since) && (f.Until.IsZero() || e.Time.Before(f.Until)) {
			matching = append(matching, e)
		}
	}
	onlyTime := f.UserID == 0 && f.ActorUserID == 0 && f.ActorTokenID == 0 && f.Type == ""
	if onlyTime && (!f.Since.IsZero() || !f.Until.IsZero()) {
		slices.SortStableFunc(matching, func(a, b identity.Event) int { return b.Time.Compare(a.Time) })
	}
	return matching
}
