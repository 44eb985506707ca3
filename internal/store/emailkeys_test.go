package store_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// TestKeysOfOldAddresses: what a release before has stored is found after the
// start of this one, however many instances start. Of twins one is, and the other
// is named in the log.
func TestKeysOfOldAddresses(t *testing.T) { //nolint:paralleltest // it looks into the default log
	var log bytes.Buffer
	var mu sync.Mutex
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return log.Write(p)
	}), nil)))
	defer slog.SetDefault(before)

	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			url := storetest.URL(t, engine)
			s := storetest.Open(t, url)
			insert := func(email identity.Email) (id int64) {
				t.Helper()
				err := s.InTx(t.Context(), func(tx *store.Tx) (err error) {
					id, err = tx.InsertUser(t.Context(), identity.User{Name: "Mary", Email: email, Active: true,
						CreatedAt: time.Now().UTC()}, "")
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				return id
			}
			// Each row gets the key of the release before, in which twins are two.
			old := func(email string) int64 {
				id := insert(identity.Email(fmt.Sprintf("%d@example.com", time.Now().UnixNano())))
				execute(t, engine, url, "UPDATE users SET email = $1, email_folded = $2 WHERE id = $3", email,
					identity.FoldASCII(email), id)
				return id
			}
			mary := old("Mary@Bücher.example")
			local := old("märy@example.com")
			first := old("twin@bücher.example")
			second := old("twin@bu\u0308cher.example")
			ascii := insert("ann@xn--bcher-kva.example")
			unicode := old("ann@bücher.example")
			broken := old("x@\u05D0a.example")
			if _, _, err := s.UserByEmail(t.Context(), "mary@bücher.example"); identity.KindOf(err) != identity.NotFound {
				t.Fatalf("found before: %v", err)
			}

			for round := range 2 {
				mu.Lock()
				log.Reset()
				mu.Unlock()
				var wait sync.WaitGroup
				for range 4 {
					wait.Go(func() {
						if _, err := store.Migrate(t.Context(), url); err != nil {
							t.Error(err)
						}
					})
				}
				wait.Wait()
				for email, want := range map[string]int64{
					"mary@bücher.example": mary, "mary@xn--bcher-kva.example": mary, "Mary@BU\u0308CHER.example": mary,
					"märy@example.com":    local,
					"twin@bücher.example": first, "twin@bu\u0308cher.example": first, "ann@bücher.example": ascii,
					"x@\u05D0a.example": broken,
				} {
					user, _, err := s.UserByEmail(t.Context(), email)
					if err != nil || user.ID != want {
						t.Errorf("%d: %s: user %d, %v, want %d", round, email, user.ID, err, want)
					}
				}
				// The search table has followed: by the new key it is found, by the old one not.
				for text, want := range map[string]int{"mary@xn--bcher": 1, "mary@bücher.example": 1, "mary@bü": 0} {
					page, err := s.Users(t.Context(), identity.UserQuery{Filter: identity.UserFilter{Search: text},
						Sort: identity.SortByID, Limit: 10})
					if err != nil || len(page.Users) != want {
						t.Errorf("%d: search for %s: %d users, %v", round, text, len(page.Users), err)
					}
				}
				mu.Lock()
				for _, twin := range []int64{second, unicode} {
					if !strings.Contains(log.String(), fmt.Sprintf("user_id=%d", twin)) {
						t.Errorf("%d: user %d is not named in %s", round, twin, log.String())
					}
				}
				for _, id := range []int64{mary, local, first, ascii, broken} {
					if strings.Contains(log.String(), fmt.Sprintf("user_id=%d\n", id)) {
						t.Errorf("%d: user %d is named in %s", round, id, log.String())
					}
				}
				if strings.Contains(log.String(), "example") {
					t.Errorf("%d: an address is in %s", round, log.String())
				}
				mu.Unlock()
			}
			// Once the other one is gone, the next start gives the twin its key.
			if err := s.InTx(t.Context(), func(tx *store.Tx) error { return tx.DeleteUser(t.Context(), first) }); err != nil {
				t.Fatal(err)
			}
			if _, err := store.Migrate(t.Context(), url); err != nil {
				t.Fatal(err)
			}
			if user, _, err := s.UserByEmail(t.Context(), "twin@bücher.example"); err != nil || user.ID != second {
				t.Errorf("user %d, %v", user.ID, err)
			}
			if engine == "sqlite" {
				execute(t, engine, url, "INSERT INTO users_search (users_search, rank) VALUES ('integrity-check', 1)")
			}
		})
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// execute runs a statement as somebody beside the store.
func execute(t *testing.T, engine, url, statement string, args ...any) {
	t.Helper()
	driver, source := "postgres", url
	if engine == "sqlite" {
		driver, source = engine, strings.TrimPrefix(url, "sqlite:")+"?_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, source)
	if err == nil {
		_, err = db.ExecContext(t.Context(), statement, args...)
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}
