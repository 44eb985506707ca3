package service_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// TestJobsArePruned checks how long jobs are stored, and that filters are not longer than needed.
func TestJobsArePruned(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		s.CreateUser("needle@example.com")
		body := changes{"action": "activate", "filter": changes{"email": "needle@example.com"}}
		planned, finished := planJob(s, body), startJob(s, body)
		s.RunJobs()
		if n := apitest.CountRows(t, engine, url, "jobs", "filter LIKE '%needle%'"); n != 1 {
			t.Errorf("%d filters", n)
		}
		exists := func(path string) bool {
			if err := s.Service.Prune(t.Context()); err != nil {
				t.Fatal(err)
			}
			return s.Do(http.MethodGet, path, nil).Status == http.StatusOK
		}
		s.Clock.Advance(time.Hour - time.Microsecond)
		if !exists(planned) {
			t.Error("gone too early")
		}
		s.Clock.Advance(time.Microsecond)
		if exists(planned) || !exists(finished) {
			t.Error("after an hour")
		}
		s.Clock.Advance(7*24*time.Hour - time.Hour - time.Microsecond)
		if !exists(finished) {
			t.Error("gone too early")
		}
		s.Clock.Advance(time.Microsecond)
		if exists(finished) || apitest.CountRows(t, engine, url, "job_items", "true") != 0 {
			t.Error("still there after seven days")
		}
	})
}

// TestJobBounds checks how many users a job and how many jobs a caller may have.
func TestJobBounds(t *testing.T) {
	t.Parallel()
	if apitest.RaceDetector {
		t.Skip("a hundred thousand rows take minutes with the race detector")
	}
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		insertUsers(t, engine, url, identity.MaxJobUsers)
		everyone := changes{"action": "deactivate", "filter": changes{}}
		path := planJob(s, everyone)
		wantState(t, s, path, "planned total=100000")
		s.Do(http.MethodPost, path+"/cancel", nil).Want(http.StatusOK)
		s.CreateUser("one-more@example.com")
		problem := s.Do(http.MethodPost, apitest.JobsPath, everyone).
			WantProblem(http.StatusBadRequest, "validation_failed", "filter").Object()
		message := problem["errors"].([]any)[0].(map[string]any)["message"]
		if message != "matches 100001 users; a job may have at most 100000" {
			t.Error(message)
		}
		if n := apitest.CountRows(t, engine, url, "jobs", "true"); n != 1 {
			t.Errorf("%d jobs", n)
		}
		one := changes{"action": "deactivate", "userIds": []int64{1}}
		for range identity.MaxOpenJobs {
			path = planJob(s, one)
		}
		s.Do(http.MethodPost, apitest.JobsPath, one).WantProblem(http.StatusConflict, "too_many_jobs")
		for range 2 * identity.KeptJobs {
			s.Do(http.MethodPost, path+"/cancel", nil).Want(http.StatusOK)
			path = planJob(s, one)
		}
		if n := apitest.CountRows(t, engine, url, "jobs", "true"); n > identity.KeptJobs+identity.MaxOpenJobs {
			t.Errorf("%d jobs are stored", n)
		}
	})
}

// insertUsers inserts users past the service.
func insertUsers(t *testing.T, engine, url string, n int) {
	t.Helper()
	db, zero := apitest.OpenDatabase(t, engine, url), "0"
	if engine == "postgres" {
		zero = "'2026-01-01Z'::timestamptz"
		apitest.Execute(t, db, "DROP INDEX users_search") // it takes most of the time
	}
	apitest.Execute(t, db, fmt.Sprintf(
		`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		INSERT INTO users (name, name_folded, email, email_folded, password_hash, phone, active, tfa, allow_list, client_tags,
			can_view_masked_data, created_at)
		SELECT 'n', 'n', 'e' || i || '@example.com', 'e' || i || '@example.com', '', '', true, false, '', '[]',
			false, %s FROM n`, n, zero))
}

// TestJobRequests checks what a plan must and may have.
func TestJobRequests(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		plan := func(body any, fields ...string) {
			t.Helper()
			s.Do(http.MethodPost, apitest.JobsPath, body).WantProblem(http.StatusBadRequest, "validation_failed", fields...)
		}
		ids := []int64{1}
		plan(changes{}, "action")
		plan(changes{"action": "explode", "userIds": ids}, "action")
		plan(changes{"action": "delete"}, "userIds")
		plan(changes{"action": "delete", "userIds": ids, "filter": changes{}}, "filter")
		plan(changes{"action": "delete", "userIds": ids, "groupId": 1}, "groupId")
		plan(changes{"action": "add_to_group", "userIds": ids}, "groupId")
		plan(changes{"action": "add_to_group", "userIds": ids, "groupId": 99}, "groupId")
		plan(changes{"action": "add_to_group", "userIds": ids, "groupId": 0}, "groupId")
		plan(changes{"action": "delete", "userIds": []any{1, "2", 0, -1, 1.5, nil}},
			"userIds[1]", "userIds[2]", "userIds[3]", "userIds[4]", "userIds[5]")
		plan(changes{"action": "delete", "userIds": slices.Repeat(ids, 10_001)}, "userIds")
		plan(changes{"action": "delete", "filter": []int{}}, "filter")
		plan(changes{"action": "delete", "filter": nil}, "filter")
		for _, value := range []any{nil, changes{}, []int{1}, []any{nil}} {
			plan(changes{"action": "delete", "filter": changes{"q": value}}, "filter")
		}
		plan(changes{"action": "delete", "filter": changes{"wrong": "x"}}, "filter[wrong]")
		plan(changes{"action": "delete", "filter": changes{"email": ""}}, "filter[email]")
		plan(changes{"action": "delete", "filter": changes{"email": []string{"a", "b"}}}, "filter[email]")
		plan(changes{"action": "delete", "filter": changes{"group": 0, "tfa": "maybe"}}, "filter[group]", "filter[tfa]")
		s.Do(http.MethodPost, apitest.JobsPath, `{"action":"delete","filter":{"q":"a","q":"b"}}`).
			WantProblem(http.StatusBadRequest, "validation_failed", "q")
		s.Do(http.MethodPost, apitest.JobsPath, `{"action":"delete","filter":{"q":"\u0000"}}`).
			WantProblem(http.StatusBadRequest, "validation_failed", "filter")
		s.Do(http.MethodGet, apitest.JobsPath+"/1/items?filter[state]=lost", nil).
			WantProblem(http.StatusBadRequest, "validation_failed", "filter[state]")
		planJob(s, changes{"action": "delete", "userIds": slices.Repeat(ids, 10_000)})
	})
}

// TestJobRights checks what planning and starting take.
func TestJobRights(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		clerk := apitest.As(s.CreateToken(0, []string{"users.update"}))
		viewer := apitest.As(s.CreateToken(0, []string{"users.view"}))
		for _, c := range []struct {
			as     apitest.Option
			body   changes
			status int
			code   string
		}{
			{viewer, changes{"action": "activate"}, http.StatusForbidden, "permission_denied"},
			{clerk, changes{"action": "delete"}, http.StatusForbidden, "permission_denied"},
			{clerk, changes{"action": "add_to_group", "groupId": 1}, http.StatusForbidden, "escalation_denied"},
			{clerk, changes{"action": "remove_from_group", "groupId": 1}, http.StatusForbidden, "escalation_denied"},
		} {
			c.body["userIds"] = []int64{1}
			s.Do(http.MethodPost, apitest.JobsPath, c.body, c.as).WantProblem(c.status, c.code)
		}
		// Rights that end between the plan and the start.
		group := s.CreateGroup("Clerks", "users.update")
		mary := s.CreateUser("mary@example.com", changes{"groups": []int64{group}})
		as := apitest.As(s.SignIn("mary@example.com"))
		path := planJob(s, changes{"action": "deactivate", "userIds": []int64{mary}}, as)
		s.Do(http.MethodPatch, apitest.UserPath(mary), changes{"groups": []int64{}}).Want(http.StatusOK)
		s.Do(http.MethodPost, path+"/start", nil, as).WantProblem(http.StatusForbidden, "permission_denied")
		// A member who must enrol a second factor first sees no jobs.
		must := s.Do(http.MethodPost, apitest.GroupsPath,
			changes{"name": "Must", "permissions": []string{}, "requireTfa": true}).ID()
		s.Do(http.MethodPatch, apitest.UserPath(mary), changes{"groups": []int64{group, must}}).Want(http.StatusOK)
		for _, call := range []struct{ method, path string }{
			{"GET", apitest.JobsPath},
			{"GET", path},
			{"GET", path + "/items"},
			{"POST", path + "/start"},
			{"POST", path + "/cancel"},
		} {
			s.Do(call.method, call.path, nil, as).WantProblem(http.StatusForbidden, "second_factor_required")
		}
		// Nobody's job does nothing: it has no rights to go by.
		err := s.Store.InTx(t.Context(), func(tx *store.Tx) error {
			job := identity.Job{Action: identity.JobDelete, State: identity.JobRunning, CreatedAt: s.Clock.Now()}
			id, err := tx.InsertJob(t.Context(), job, nil)
			if err != nil {
				return err
			}
			return tx.InsertJobItems(t.Context(), id, []int64{mary})
		})
		if err != nil {
			t.Fatal(err)
		}
		s.RunJobs()
		s.Do(http.MethodGet, apitest.UserPath(mary), nil).Want(http.StatusOK)
	})
}
