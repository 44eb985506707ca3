package console_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

func TestActivity(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		mary := s.CreateUser("mary@example.com", map[string]any{"name": "Mary Ann"})
		user := fmt.Sprintf("/api/v2/users/%d", mary)
		s.Do(http.MethodPatch, user, map[string]any{"email": "ann@example.com"}).Want(http.StatusOK)
		gone := s.CreateUser("gone@example.com", map[string]any{"name": "Gone"})
		s.Do(http.MethodDelete, fmt.Sprintf("/api/v2/users/%d", gone), nil).Want(http.StatusNoContent)

		a := b.get("/console/activity").want(t, 200, "changed the e-mail of ", "mary@example.com", "ann@example.com",
			`<a href="`+userPage(mary)+`"><bdi>Mary Ann</bdi></a>`, "Jane Doe", " signed in", "The command line created the user")
		if strings.Contains(a.body, userPage(gone)) || !strings.Contains(a.body, fmt.Sprintf("deleted the user %d", gone)) {
			t.Errorf("the user who is gone:\n%s", a.body)
		}
		filtered := b.get(fmt.Sprintf("/console/activity?filter[user]=%d&filter[type]=USER_UPDATED&filter[since]=&filter[actor]=", mary))
		filtered.want(t, 200, "The latest 1 of 1", "About", "Remove the filter")
		b.get("/console/activity?filter[actor]=token:1&filter[type]=USER_DELETED").want(t, 200, "The latest 1 of 1")
		now := s.Clock.Now()
		for from, want := range map[time.Time]string{now.Add(-time.Hour): "signed in", now.Add(time.Hour): "No event matches."} {
			for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04"} {
				b.get("/console/activity?filter[since]="+url.QueryEscape(from.Format(layout))).want(t, 200, want,
					`value="`+from.Truncate(time.Minute).Format("2006-01-02T15:04"))
			}
		}
		b.get("/console/activity?filter[since]=2026-11-22T10:00").want(t, 200, "filter[since]=2026-11-22T10%3A00%3A00Z") // the call

		s.TrySignIn("ann@example.com", "wrong")
		b.get("/console/activity?filter[reason]=wrong_password").want(t, 200, "The latest 1 of 1", "wrong password")
		for query, want := range map[string]string{
			"filter[reason]=No+word":  "must be a word",
			"filter[user]=x":          "must be an integer",
			"filter[actor]=token:x":   "must be an integer",
			"filter[type]=X":          "must be one of",
			"filter[since]=yesterday": "must be a time",
			"after=forged":            "is no page of this list",
			"after=" + (identity.Cursor{Sort: identity.SortByName, ID: 1, Key: "x"}).String(): "is no page of this list",
			"other=1":                       "is not a parameter",
			"follow=x":                      "must be one of",
			"filter[user]=1&filter[user]=2": "must not be repeated",
		} {
			b.get("/console/activity?"+query).want(t, 400, want)
		}

		// Pages, by cursor.
		first := b.get("/console/activity?limit=2").want(t, 200, "Older")
		if strings.Contains(first.body, "Newest") {
			t.Error("the first page leads to a newer one")
		}
		cursor := (identity.Cursor{Sort: identity.SortByID, Descending: true, ID: 2}).String()
		b.get("/console/activity?limit=2&after="+cursor).want(t, 200, "Newest", "1 older event", `data-event="1"`)

		// Following asks again by itself, on the first page only.
		b.get("/console/activity?follow=true&limit=2").want(t, 200, `hx-trigger="every 3s"`, "Stop following")
		if a := b.get("/console/activity?follow=true&limit=2&after=" + cursor); strings.Contains(a.body, "hx-trigger") {
			t.Error("a page of old events follows")
		}
	})
}

func userPage(id int64) string { return fmt.Sprintf("/console/users/%d", id) }

// table returns the rows of a CSV file after its head.
func (a answer) table(t *testing.T) [][]string {
	t.Helper()
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "text/csv; charset=utf-8; header=present" ||
		!strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment; filename=activity-2026-11-") {
		t.Fatalf("%d %v\n%s", a.status, a.header, a.body)
	}
	rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	if err != nil || len(rows) == 0 {
		t.Fatalf("%v\n%s", err, a.body)
	}
	return rows[1:]
}

func TestActivityFile(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		s.CreateUser("mary@example.com", map[string]any{"name": `=HYPERLINK("http://evil.example.com")`})
		s.CreateToken(0, nil, map[string]any{"name": "@SUM(1),\"x\""})
		rows := b.get("/console/activity.csv?filter[type]=USER_CREATED&filter[user]=2&follow=true").table(t)
		if len(rows) != 1 || rows[0][2] != "USER_CREATED" || !strings.Contains(rows[0][4], "E-mail: none → mary@example.com") {
			t.Errorf("%q", rows)
		}
		all := b.get("/console/activity.csv").table(t)
		for _, row := range all {
			for _, cell := range row {
				if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") {
					t.Errorf("%q is a formula", cell)
				}
			}
		}
		if len(all) < 4 {
			t.Errorf("%d rows", len(all))
		}
		b.get("/console/activity.csv?after=forged").want(t, 400, "is no page of this list")
	})
}

// TestActivityIsBounded: a file has many pages, and at most 10,000 rows.
func TestActivityIsBounded(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		err := s.Store.InTx(t.Context(), func(tx *store.Tx) error {
			for range 10_050 {
				if _, err := tx.Emit(t.Context(), identity.Event{
					Type: identity.UserSynced, Time: s.Clock.Now(), SubjectID: 1, Actor: identity.CommandLine(),
				}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		rows := b.get("/console/activity.csv").table(t)
		if len(rows) != 10_000 || rows[0][2] != "USER_SYNCED" {
			t.Errorf("%d rows", len(rows))
		}
	})
}

// TestMaskedActivity: who may not see addresses finds none, on the page, in its file and in what
// the browser shows of the page.
func TestMaskedActivity(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := s.CreateGroup("Audit", "audit.view", "users.view", "webhooks.manage")
		createUser(t, s, identity.User{Name: "Masked", Email: "masked@example.com", Active: true, Groups: []int64{group}})
		mary := s.CreateUser("mary@example.com", map[string]any{
			"name": "name.of@example.com", "phone": "+41791234567", "ipWhitelist": []string{"127.0.0.0/8"},
		})
		s.Do(http.MethodPatch, fmt.Sprintf("/api/v2/users/%d", mary), map[string]any{
			"email": "ann@example.com", "phone": "+41791234568", "password": "MySecret456",
		}).Want(http.StatusOK)
		s.TrySignIn("ann@example.com", "MySecret456", apitest.From("127.9.9.9"))
		s.CreateWebhook("https://hooks.example.com/a-secret-path?key=1")
		b := newBrowser(t, s)
		b.signIn("masked@example.com", password)
		hidden := []string{"mary@", "ann@", "name.of@", "+41791", "127.0.0.0", "127.9.9.9", "a-secret-path"}
		for _, page := range []string{"/console/activity", "/console/activity.csv", fmt.Sprintf("/console/activity?filter[user]=%d", mary)} {
			a := b.get(page)
			if a.status != http.StatusOK {
				t.Fatalf("%d\n%s", a.status, a.body)
			}
			for _, text := range hidden {
				if strings.Contains(a.body, text) || strings.Contains(fmt.Sprint(a.header), text) {
					t.Errorf("%s shows %s\n%s", page, text, a.body)
				}
			}
		}
		b.get("/console/activity").want(t, 200, "m***@example.com", "address, hidden:", "changed, hidden")
	})
}
