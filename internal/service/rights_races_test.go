package service_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// holding runs fn against two instances on one PostgreSQL. hold locks a user as another transaction
// does; waiting returns once n transactions wait for locks. SQLite needs no such test: it has one
// writer at a time.
func holding(t *testing.T,
	fn func(t *testing.T, s [2]*apitest.Server, hold func(userID int64) (release func()), waiting func(n int)),
) {
	t.Helper()
	url := storetest.URL(t, "postgres")
	s := [2]*apitest.Server{apitest.New(t, url), apitest.New(t, url)}
	db := apitest.OpenDatabase(t, "postgres", url)
	hold := func(userID int64) func() {
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), "SELECT id FROM users WHERE id = $1 FOR UPDATE", userID); err != nil {
			t.Fatal(err)
		}
		return func() { _ = tx.Rollback() }
	}
	waiting := func(n int) {
		const query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() " +
			"AND wait_event_type = 'Lock'"
		for found := 0; found < n; {
			if err := db.QueryRowContext(t.Context(), query).Scan(&found); err != nil {
				t.Fatal(err)
			}
		}
	}
	fn(t, s, hold, waiting)
}

// TestRightsThatEndWhileARequestWaits checks that data for a decision is read under its lock. A
// transaction holds the user whom a request changes; meanwhile the rights of the caller end.
func TestRightsThatEndWhileARequestWaits(t *testing.T) {
	t.Parallel()
	holding(t, func(t *testing.T, s [2]*apitest.Server, hold func(userID int64) (release func()), waiting func(n int)) {
		group := s[0].CreateGroup("Desk", "users.update")
		for name, end := range map[string]func(id, token int64){
			"token revoked": func(_, token int64) {
				s[1].Do(http.MethodDelete, fmt.Sprintf("%s/%d", apitest.TokensPath, token), nil).
					Want(http.StatusNoContent)
			},
			"user inactive": func(id, _ int64) {
				s[1].Do(http.MethodPatch, apitest.UserPath(id), changes{"active": false}).Want(http.StatusOK)
			},
			"out of group": func(id, _ int64) {
				s[1].Do(http.MethodPatch, apitest.UserPath(id), changes{"groups": []int{}}).Want(http.StatusOK)
			},
		} {
			email := strings.ReplaceAll(name, " ", "") + "@example.com"
			desk := s[0].CreateUser(email, changes{"groups": []int64{group}, "canViewMaskedData": true})
			target := s[0].CreateUser("target." + email)
			var token struct {
				ID    int64
				Token string
			}
			s[0].Do(http.MethodPost, apitest.TokensPath,
				changes{
					"name": "x", "permissions": []string{"users.update"}, "userId": desk,
					"canViewMaskedData": true,
				}).
				Want(http.StatusCreated).Decode(&token)
			release := hold(target)
			answers := make(chan *apitest.Answer)
			go func() {
				answers <- s[0].Do(http.MethodPatch, apitest.UserPath(target), changes{"name": "Too late"},
					apitest.As(token.Token))
			}()
			waiting(1)
			end(desk, token.ID)
			release()
			if answer := <-answers; answer.Status != http.StatusUnauthorized && answer.Status != http.StatusForbidden {
				t.Errorf("%s: %d %s", name, answer.Status, answer.Body)
			}
			if got := s[0].Do(http.MethodGet, apitest.UserPath(target), nil).Object(); got["name"] != "Mary" {
				t.Errorf("%s: %v", name, got)
			}
		}
	})
}

// TestMembershipsUnderALock checks that groups are read under the lock: a help desk must not set the
// password of a user who has just become an administrator, and no answered change is lost.
func TestMembershipsUnderALock(t *testing.T) {
	t.Parallel()
	holding(t, func(t *testing.T, s [2]*apitest.Server, hold func(userID int64) (release func()), waiting func(n int)) {
		desk := apitest.As(s[0].CreateToken(0, []string{"users.update"}))
		target := s[0].CreateUser("target@example.com")
		release := hold(target)
		answers := make(chan *apitest.Answer)
		go func() { answers <- s[1].Do(http.MethodPatch, apitest.UserPath(target), changes{"groups": []int{1}}) }()
		waiting(1)
		late := make(chan *apitest.Answer)
		go func() {
			late <- s[0].Do(http.MethodPatch, apitest.UserPath(target), changes{"password": "TakenOver1"}, desk)
		}()
		waiting(2)
		release()
		(<-answers).Want(http.StatusOK)
		// Which of the two came first is the database's choice, but not both did.
		if answer := <-late; answer.Status == http.StatusOK {
			if got := s[0].Do(http.MethodGet, apitest.UserPath(target), nil).Object(); got["version"] != 3.0 {
				t.Errorf("%v", got)
			}
		} else {
			answer.WantProblem(http.StatusForbidden, "escalation_denied")
		}

		group := s[0].CreateGroup("Support", "users.view")
		for range 30 {
			var last [2]*apitest.Answer
			done := make(chan int)
			for i, list := range [][]int64{{group}, {}} {
				go func() {
					last[i] = s[i].Do(http.MethodPatch, apitest.UserPath(target), changes{"groups": list})
					done <- i
				}()
			}
			<-done
			<-done
			versions := map[float64]string{}
			for _, answer := range last {
				got := answer.Want(http.StatusOK).Object()
				versions[got["version"].(float64)] = fmt.Sprint(got["groups"])
			}
			now := s[0].Do(http.MethodGet, apitest.UserPath(target), nil).Object()
			if want, known := versions[now["version"].(float64)]; known && want != fmt.Sprint(now["groups"]) {
				t.Fatalf("groups %v at version %v, which was answered with %s", now["groups"], now["version"], want)
			}
		}
	})
}
