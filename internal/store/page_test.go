package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// TestPagesAreBounded: each list ends a page that is full, shows the rest on the next
// ones, and every row once.
func TestPagesAreBounded(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		const bound = 8 << 10
		s.LowerLimits(200, 300, bound)
		const n, size = 12, 3000
		long := strings.Repeat("x", size)
		record := func(recordType identity.RecordType, i int) identity.Record {
			return identity.Record{
				Type: recordType, ID: identity.RecordID(fmt.Sprint(i)), CreatedAt: noon,
				Attributes: identity.Attributes(`{"x":"` + long + `"}`),
			}
		}
		var user int64
		err := s.InTx(t.Context(), func(tx *store.Tx) error {
			for i := range n {
				id, err := tx.InsertUser(t.Context(), identity.User{
					Name: identity.Name(fmt.Sprint(i%3, long)), Email: identity.Email(fmt.Sprintf("user%d@example.com", i)),
					CreatedAt: noon.Add(-time.Duration(i) * time.Hour),
				}, "")
				if err != nil {
					return err
				}
				user = id
				group := identity.Group{Name: identity.Label(fmt.Sprint(i, long)), CreatedAt: noon}
				token := identity.Token{Name: identity.Label(long), CreatedAt: noon}
				webhook := identity.Webhook{URL: identity.WebhookURL("https://" + long), CreatedAt: noon}
				_, groupErr := tx.InsertGroup(t.Context(), group)
				_, tokenErr := tx.InsertToken(t.Context(), token, fmt.Sprint(i))
				_, webhookErr := tx.InsertWebhook(t.Context(), webhook)
				recordErr := tx.InsertRecord(t.Context(), user, record("tags", i))
				change := identity.Changes{"name": {Old: long}}
				_, eventErr := tx.Emit(t.Context(), identity.Event{Type: identity.UserUpdated, Time: noon, Changes: change})
				if err := errors.Join(groupErr, tokenErr, webhookErr, recordErr, eventErr); err != nil {
					return err
				}
			}
			for i := range n { // all of one user, whose records are listed
				if err := tx.InsertRecord(t.Context(), user, record("bills", i)); err != nil {
					return err
				}
				message := delivery.Message{To: delivery.ToWebhook(1), Topic: long, Payload: strings.Repeat(long, 10), CreatedAt: noon}
				if _, err := tx.Enqueue(t.Context(), message); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		byPosition := map[string]struct {
			total int64
			read  func(identity.Page) ([]string, int64, error)
		}{
			"groups": {n + 1, func(p identity.Page) ([]string, int64, error) {
				groups, total, err := s.Groups(t.Context(), p)
				return names(groups, func(g identity.Group) any { return g.ID }), total, err
			}},
			"tokens": {n, func(p identity.Page) ([]string, int64, error) {
				tokens, total, err := s.Tokens(t.Context(), identity.TokenFilter{}, p)
				return names(tokens, func(t identity.Token) any { return t.ID }), total, err
			}},
			"webhooks": {n, func(p identity.Page) ([]string, int64, error) {
				webhooks, total, err := s.Webhooks(t.Context(), identity.WebhookFilter{}, p)
				return names(webhooks, func(w identity.Webhook) any { return w.ID }), total, err
			}},
			"records": {n + 1, func(p identity.Page) ([]string, int64, error) {
				records, total, err := s.RecordPage(t.Context(), user, "", p)
				return names(records, func(r identity.Record) any { return r.Name() }), total, err
			}},
			"messages": {n, func(p identity.Page) ([]string, int64, error) {
				messages, total, err := s.Messages(t.Context(), delivery.Filter{}, p)
				return names(messages, func(m delivery.Message) any {
					if m.Payload != "" {
						t.Error("a list reads payloads")
					}
					return m.ID
				}), total, err
			}},
		}
		for name, list := range byPosition {
			page := identity.Page{Limit: 100}
			seen := map[string]bool{}
			for int64(len(seen)) < list.total {
				rows, total, err := list.read(page)
				if err != nil || total != list.total {
					t.Fatalf("%s: %d, %v", name, total, err)
				}
				if len(rows) == 0 || len(rows) > bound/size+1 { // Administrators have a short name
					t.Fatalf("%s: a page of %d from %d on", name, len(rows), page.Offset)
				}
				for _, row := range rows {
					if seen[row] {
						t.Errorf("%s: %s once more", name, row)
					}
					seen[row] = true
				}
				page.Offset += int64(len(rows))
			}
			page.Limit, page.Offset = 1, 3
			if rows, _, err := list.read(page); err != nil || len(rows) != 1 {
				t.Errorf("%s: %v, %v", name, rows, err)
			}
		}

		for _, sort := range identity.UserSorts {
			for _, filter := range []identity.UserFilter{{}, {Name: "xxxx"}} {
				q := identity.UserQuery{Sort: sort, Filter: filter, Descending: sort == identity.SortByName, Limit: 100}
				var ids []int64
				for pages := 0; ; pages++ {
					page, err := s.Users(t.Context(), q)
					if err != nil || len(page.Users) == 0 || len(page.Users) > bound/size || pages > n {
						t.Fatalf("%s: %d, %v", sort, len(page.Users), err)
					}
					ids = append(ids, userIDs(page.Users)...)
					if q.After = page.Next; page.Next == nil {
						break
					}
				}
				slices.Sort(ids)
				if len(ids) != n || len(slices.Compact(ids)) != n {
					t.Errorf("%s: %v", sort, ids)
				}
			}
		}
		var ids []int64
		for q := (identity.EventQuery{Limit: 100}); ; {
			page, err := s.Events(t.Context(), q)
			if err != nil || len(page.Events) == 0 || len(page.Events) > bound/size {
				t.Fatalf("events: %d, %v", len(page.Events), err)
			}
			for _, event := range page.Events {
				ids = append(ids, event.ID)
			}
			if q.After = page.Next; page.Next == nil {
				break
			}
		}
		if len(ids) != n {
			t.Errorf("events: %v", ids)
		}
	})
}

// TestOneRowIsAlwaysShown: a row that is larger than a page is a page.
func TestOneRowIsAlwaysShown(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		s.LowerLimits(200, 300, 100)
		insert(t, s, user(1, strings.Repeat("x", 1000)), user(2, "y"))
		page, err := s.Users(t.Context(), identity.UserQuery{Sort: identity.SortByID, Limit: 10})
		if err != nil || len(page.Users) != 1 || page.Next == nil {
			t.Errorf("%+v, %v", page, err)
		}
	})
}

// TestBriefUsers: a brief list reads what it shows, and nothing else.
func TestBriefUsers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		group := int64(0)
		err := s.InTx(t.Context(), func(tx *store.Tx) (err error) {
			group, err = tx.InsertGroup(t.Context(), identity.Group{Name: "x", CreatedAt: noon})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		text := "tag"
		whole := identity.User{
			Name: "Mary", Email: "Mary@Example.com", Phone: "+18043257762", BlockedCode: identity.EmailChanged, TFA: true,
			ClientTags: []identity.ClientTag{{Text: &text}}, CanViewMaskedData: true, CreatedAt: noon, Version: 1,
		}
		other := whole
		whole.Groups = []int64{identity.AdministratorsID, group}
		other.Groups, other.Email, other.Active = []int64{group}, "b@example.com", true
		ids := insert(t, s, whole, other)
		page, err := s.Users(t.Context(), identity.UserQuery{Sort: identity.SortByID, Limit: 10, Brief: true})
		if err != nil || len(page.Users) != 2 || page.Total != 2 {
			t.Fatalf("%+v, %v", page, err)
		}
		for i, want := range []identity.User{
			{ID: ids[0], Email: "Mary@Example.com", Groups: []int64{identity.AdministratorsID}},
			{ID: ids[1], Email: "b@example.com", Groups: []int64{}, Active: true},
		} {
			want.BlockedCode, want.CreatedAt = identity.EmailChanged, noon
			want.AllowList, want.ClientTags = identity.AllowList{}, []identity.ClientTag{}
			if got := page.Users[i]; fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
	})
}

func names[T any](rows []T, name func(T) any) []string {
	texts := make([]string, len(rows))
	for i, row := range rows {
		texts[i] = fmt.Sprint(name(row))
	}
	return texts
}
