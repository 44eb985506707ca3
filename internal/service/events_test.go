package service_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// TestErasure checks that the events of a deleted user stay, without personal values.
func TestErasure(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com", changes{"phone": "+18043257762"})
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"name": "Personal Value"}).Want(http.StatusOK)
		s.SignInWith("mary@example.com", apitest.Password)
		s.Forgot("mary@example.com", apitest.NoToken("192.0.2.1")).Want(http.StatusAccepted)
		before := s.Events("?filter[user]=" + fmt.Sprint(id))
		s.Do(http.MethodDelete, apitest.UserPath(id), nil).Want(http.StatusNoContent)
		answer := s.Do(http.MethodGet, apitest.EventsPath+"?filter[user]="+fmt.Sprint(id), nil)
		for _, value := range []string{"mary@", "Personal", "+1804", "192.0.2.1"} {
			if strings.Contains(string(answer.Body), value) {
				t.Errorf("%s in %s", value, answer.Body)
			}
		}
		if after := s.Events("?filter[user]=" + fmt.Sprint(id)); len(after.Data) != len(before.Data)+1 ||
			after.Data[0].Type != "USER_DELETED" {
			t.Errorf("%+v", after)
		}
		if mails := s.Mails(); len(mails) != 0 {
			t.Errorf("%+v", mails)
		}
	})
}

func TestPruneEvents(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for range 5 {
			s.CreateToken(0, nil)
		}
		s.Clock.Advance(400 * 24 * time.Hour)
		s.CreateToken(0, nil)
		for _, want := range []int64{6, 0} { // five, and the first token's
			if n, err := s.Service.PruneEvents(t.Context(), 400*24*time.Hour-time.Second); n != want || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		}
		s.WantEvents("", "TOKEN_CREATED")
	})
}

type eventRow struct {
	kind, actor                     string
	tokenID, actorUserID, subjectID int64
	source, requestID, subjectType  string
	changes                         string
}

// readEvents reads the table itself, where nothing is masked or left out.
func readEvents(t *testing.T, engine, url string) []eventRow {
	t.Helper()
	db := apitest.OpenDatabase(t, engine, url)
	rows, err := db.QueryContext(t.Context(), `SELECT type, actor_name, actor_token_id, actor_user_id, subject_id,
			source, request_id, subject_type, changes
		FROM events ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var events []eventRow
	for rows.Next() {
		var e eventRow
		if err := rows.Scan(&e.kind, &e.actor, &e.tokenID, &e.actorUserID, &e.subjectID, &e.source, &e.requestID,
			&e.subjectType, &e.changes); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return events
}

func TestEveryChangeHasItsEvent(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		group := s.CreateGroup("Support", "users.view")
		s.Do(http.MethodPatch, fmt.Sprintf("%s/%d", apitest.GroupsPath, group), changes{"permissions": []string{}}).
			Want(http.StatusOK)
		kept := s.CreateUser("kept@example.com", changes{"groups": []int64{group}})
		gone := s.CreateUser("gone@example.com")
		from := []apitest.Option{apitest.From("192.0.2.1"), apitest.Header("X-Request-Id", "r-1")}
		s.Do(http.MethodPatch, apitest.UserPath(kept),
			changes{"phone": "+18043257762", "password": "AnotherSecret", "groups": []int{}}, from...).
			Want(http.StatusOK)
		// no change
		s.Do(http.MethodPatch, apitest.UserPath(kept), changes{"phone": "+18043257762"}).Want(http.StatusOK)
		s.Do(http.MethodPatch, apitest.UserPath(gone), changes{"email": "secretly@example.com"}).Want(http.StatusOK)
		s.Do(http.MethodPatch, apitest.UserPath(gone), changes{"email": "kept@example.com"}).Want(http.StatusConflict)
		s.Do(http.MethodDelete, apitest.UserPath(gone), nil).Want(http.StatusNoContent)
		token := s.Do(http.MethodPost, apitest.TokensPath,
			changes{"name": "CI", "permissions": []string{"users.view"}}).ID()
		s.Do(http.MethodDelete, fmt.Sprintf("%s/%d", apitest.TokensPath, token), nil).Want(http.StatusNoContent)
		s.Do(http.MethodDelete, fmt.Sprintf("%s/%d", apitest.GroupsPath, group), nil).Want(http.StatusNoContent)

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
			{
				"USER_UPDATED", "user", kept,
				`{"groups":{"new":[],"old":[2]},"password":{"new":"***","old":"***"},` +
					`"phone":{"new":"+18043257762","old":""}}`,
			},
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
			if e.kind != want[i].kind || e.subjectType != want[i].subject || e.subjectID != want[i].id ||
				!strings.Contains(e.changes, want[i].changes) {
				t.Errorf("event %d: got %+v, want %+v", i, e, want[i])
			}
			for _, secret := range []string{"$2a$", "MySecret", "AnotherSecret", "rst_", "gone@", "secretly@"} {
				if strings.Contains(e.changes, secret) {
					t.Errorf("event %d has %s: %s", i, secret, e.changes)
				}
			}
		}
		if e := events[5]; e.source != "192.0.2.1" || e.requestID != "r-1" || e.tokenID != 1 ||
			e.actor != "ROSTER_ADMIN_TOKEN" || e.actorUserID != 0 {
			t.Errorf("%+v", e)
		}
	})
}

// TestNothingHalfDone checks that no change is kept when its last statement, the event, fails.
func TestNothingHalfDone(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		group := s.CreateGroup("Support")
		user := s.CreateUser("a@example.com", changes{"groups": []int64{group}})
		s.SignIn("a@example.com")
		record := apitest.UserPath(user) + "/records/accounts/17"
		s.Do(http.MethodPut, record, changes{"attributes": changes{"name": "Savings"}}).Want(http.StatusCreated)
		state := func() string {
			return string(s.Do(http.MethodGet, record, nil).Want(http.StatusOK).Body) +
				string(s.Do(http.MethodGet, apitest.UsersPath, nil).Want(http.StatusOK).Body) +
				string(s.Do(http.MethodGet, apitest.GroupsPath, nil).Want(http.StatusOK).Body) +
				fmt.Sprint(s.Do(http.MethodGet, apitest.TokensPath, nil).Want(http.StatusOK).Object()["total"])
		}
		before := state()
		apitest.BreakEvents(t, engine, apitest.OpenDatabase(t, engine, url))
		for _, call := range apitest.Calls(user, group, 1) {
			if call.Method == http.MethodGet {
				continue
			}
			body := call.Body
			if call.Path == apitest.IntrospectPath || call.Path == apitest.ExplainPath || call.Path == apitest.JobsPath ||
				strings.HasSuffix(call.Path, "/find") || strings.HasSuffix(call.Path, "/totp") {
				continue // they only ask or plan, or have nothing to take away
			}
			if call.Path == fmt.Sprintf("%s/%d", apitest.GroupsPath, group) && call.Method == http.MethodDelete {
				continue // it has a member
			}
			answer := s.Do(call.Method, call.Path, body, apitest.Header("Idempotency-Key", "k")).
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

func TestRecordEvents(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		user := s.CreateUser("a@example.com")
		path := apitest.UserPath(user) + "/records/accounts/17"
		s.Do(http.MethodPut, path, changes{"attributes": changes{"iban": "first"}}).Want(http.StatusCreated)
		s.Do(http.MethodPut, path, changes{"attributes": changes{"iban": "second"}}).Want(http.StatusOK)
		s.Do(http.MethodPut, path, changes{"attributes": changes{"iban": "second"}}).Want(http.StatusOK) // no change
		s.Do(http.MethodDelete, path, nil).Want(http.StatusNoContent)
		want := []eventRow{
			{kind: "RECORD_CREATED", changes: `{"record":{"new":"accounts/17","old":null}}`},
			{kind: "RECORD_UPDATED", changes: `{"record":{"new":"accounts/17","old":"accounts/17"}}`},
			{kind: "RECORD_DELETED", changes: `{"record":{"new":null,"old":"accounts/17"}}`},
		}
		events := readEvents(t, engine, url)
		events = events[len(events)-len(want):]
		for i, e := range events {
			if e.kind != want[i].kind || e.changes != want[i].changes || e.subjectType != "user" ||
				e.subjectID != user {
				t.Errorf("%+v, want %+v", e, want[i])
			}
		}
		s.Do(http.MethodDelete, apitest.UserPath(user), nil).Want(http.StatusNoContent)
		for _, e := range readEvents(t, engine, url) {
			if strings.Contains(e.changes, "accounts/17") {
				t.Errorf("outlives its user: %+v", e)
			}
		}
	})
}
