package backoffice_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/store/storetest"
)

type eventRow struct {
	kind, actor                     string
	tokenID, actorUserID, subjectID int64
	source, requestID, subjectType  string
	changes                         string
}

// readEvents reads the table itself, in which nothing is masked or left out.
func readEvents(t *testing.T, engine, url string) []eventRow {
	t.Helper()
	db := openDatabase(t, engine, url)
	rows, err := db.QueryContext(t.Context(), `SELECT type, actor_name, actor_token_id, actor_user_id, subject_id, source, request_id, subject_type, changes
		FROM events ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var events []eventRow
	for rows.Next() {
		var e eventRow
		if err := rows.Scan(&e.kind, &e.actor, &e.tokenID, &e.actorUserID, &e.subjectID, &e.source, &e.requestID, &e.subjectType, &e.changes); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return events
}

func openDatabase(t *testing.T, engine, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open(engine, strings.TrimPrefix(url, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// eachDatabase is apitest.Each with a way to the database itself.
func eachDatabase(t *testing.T, fn func(t *testing.T, s *apitest.Server, engine string, db *sql.DB)) {
	t.Helper()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := storetest.URL(t, engine)
			fn(t, apitest.New(t, url), engine, openDatabase(t, engine, url))
		})
	}
}

// execute runs statements on the database itself.
func execute(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryChangeHasItsEvent(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := storetest.URL(t, engine)
			s := apitest.New(t, url)
			group := s.CreateGroup("Support", "users.view")
			s.Do(http.MethodPatch, fmt.Sprintf("%s/%d", groups, group), changes{"permissions": []string{}}).Want(http.StatusOK)
			kept := s.CreateUser("kept@example.com", changes{"groups": []int64{group}})
			gone := s.CreateUser("gone@example.com")
			from := []apitest.Option{apitest.From("192.0.2.1"), apitest.Header("X-Request-Id", "r-1")}
			s.Do(http.MethodPatch, apitest.UserPath(kept), changes{"phone": "+18043257762", "password": "AnotherSecret", "groups": []int{}}, from...).Want(http.StatusOK)
			s.Do(http.MethodPatch, apitest.UserPath(kept), changes{"phone": "+18043257762"}).Want(http.StatusOK) // no change
			s.Do(http.MethodPatch, apitest.UserPath(gone), changes{"email": "secretly@example.com"}).Want(http.StatusOK)
			s.Do(http.MethodPatch, apitest.UserPath(gone), changes{"email": "kept@example.com"}).Want(http.StatusConflict)
			s.Do(http.MethodDelete, apitest.UserPath(gone), nil).Want(http.StatusNoContent)
			token := s.Do(http.MethodPost, tokens, changes{"name": "CI", "permissions": []string{"users.view"}}).ID()
			s.Do(http.MethodDelete, fmt.Sprintf("%s/%d", tokens, token), nil).Want(http.StatusNoContent)
			s.Do(http.MethodDelete, fmt.Sprintf("%s/%d", groups, group), nil).Want(http.StatusNoContent)

			events := readEvents(t, engine, url)
			want := []struct {
				kind, subject string
				id            int64
				changes       string
			}{
				{"TOKEN_CREATED", "token", 1, `"name":{"new":"ROSTER_ADMIN_TOKEN"`},
				{"GROUP_CREATED", "group", group, `"permissions":{"new":["users.view"],"old":[]}`},
				{"GROUP_UPDATED", "group", group, `{"permissions":{"new":[],"old":["users.view"]}}`},
				{"USER_CREATED", "user", kept, `"email":{"new":"kept@example.com","old":""}`},
				{"USER_CREATED", "user", gone, `{}`},
				{"USER_UPDATED", "user", kept, `{"groups":{"new":[],"old":[2]},"password":{"new":"***","old":"***"},"phone":{"new":"+18043257762","old":""}}`},
				{"USER_UPDATED", "user", gone, `{}`},
				{"USER_DELETED", "user", gone, `{}`},
				{"TOKEN_CREATED", "token", token, `"permissions":{"new":["users.view"],"old":[]}`},
				{"TOKEN_REVOKED", "token", token, `"name":{"new":"","old":"CI"}`},
				{"GROUP_DELETED", "group", group, `"name":{"new":"","old":"Support"}`},
			}
			if len(events) != len(want) {
				t.Fatalf("%d events, want %d: %v", len(events), len(want), events)
			}
			for i, e := range events {
				if e.kind != want[i].kind || e.subjectType != want[i].subject || e.subjectID != want[i].id || !strings.Contains(e.changes, want[i].changes) {
					t.Errorf("event %d: got %+v, want %+v", i, e, want[i])
				}
				for _, secret := range []string{"$2a$", "MySecret", "AnotherSecret", "rst_", "gone@", "secretly@"} {
					if strings.Contains(e.changes, secret) {
						t.Errorf("event %d has %s: %s", i, secret, e.changes)
					}
				}
			}
			if e := events[5]; e.source != "192.0.2.1" || e.requestID != "r-1" || e.tokenID != 1 || e.actor != "ROSTER_ADMIN_TOKEN" || e.actorUserID != 0 {
				t.Errorf("%+v", e)
			}
		})
	}
}

// breakEvents lets no event be written any more, on each engine.
var breakEvents = map[string][]string{
	"sqlite": {`CREATE TRIGGER broken BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'broken on purpose'); END`},
	"postgres": {
		`CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken on purpose'; END $$`,
		`CREATE TRIGGER broken BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION broken()`,
	},
}

// TestNothingHalfDone lets the last statement of each change fail: the event.
func TestNothingHalfDone(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := storetest.URL(t, engine)
			s := apitest.New(t, url)
			group := s.CreateGroup("Support")
			user := s.CreateUser("a@example.com", changes{"groups": []int64{group}})
			s.SignIn("a@example.com")
			record := apitest.UserPath(user) + "/records/accounts/17"
			s.Do(http.MethodPut, record, changes{"attributes": changes{"name": "Savings"}}).Want(http.StatusCreated)
			state := func() string {
				return string(s.Do(http.MethodGet, record, nil).Want(http.StatusOK).Body) +
					string(s.Do(http.MethodGet, users, nil).Want(http.StatusOK).Body) +
					string(s.Do(http.MethodGet, groups, nil).Want(http.StatusOK).Body) +
					fmt.Sprint(s.Do(http.MethodGet, tokens, nil).Want(http.StatusOK).Object()["total"])
			}
			before := state()
			db := openDatabase(t, engine, url)
			for _, statement := range breakEvents[engine] {
				if _, err := db.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			for _, call := range calls(user, group, 1) {
				if call.method == http.MethodGet {
					continue
				}
				body := call.body
				if call.path == introspect || call.path == explain || strings.HasSuffix(call.path, "/totp") {
					continue // they only ask, or have nothing to take away
				}
				if call.path == fmt.Sprintf("%s/%d", groups, group) && call.method == http.MethodDelete {
					continue // it has a member
				}
				answer := s.Do(call.method, call.path, body, apitest.Header("Idempotency-Key", "k")).
					WantProblem(http.StatusInternalServerError, "internal_error")
				if strings.Contains(string(answer.Body), "purpose") {
					t.Errorf("the answer tells of the inside: %s", answer.Body)
				}
			}
			if after := state(); after != before {
				t.Errorf("half done: %s\nwas %s", after, before)
			}
			if !strings.Contains(s.Log.String(), "broken on purpose") {
				t.Error("the log does not tell the cause")
			}
		})
	}
}
