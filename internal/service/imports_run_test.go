package service_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/identity"
)

// atRow calls fn once, after the transaction that applies the first rows of an import.
func atFirstRows(t *testing.T, s *apitest.Server, fn func()) {
	t.Helper()
	var once sync.Once
	_, err := s.Service.WorkOnJob(t.Context(), func(identity.Job, identity.JobItem) { once.Do(fn) })
	if err != nil {
		t.Error(err)
	}
}

// manyRows is more than any engine applies in one transaction.
const manyRows = 600

// addMany plans and starts an import of many rows.
func addMany(s *apitest.Server, more changes, options ...apitest.Option) string {
	return startImport(s, numbered(manyRows, more), options...)
}

// TestImportKilled lets a worker hang in the middle of an import, and another one take over. Each
// user is created once.
func TestImportKilled(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		other := s.Another(func(*app.Options) {})
		path := addMany(s, nil)
		const lease = 15 * time.Second
		now := s.Clock.Now()
		atFirstRows(t, s, func() {
			if n := len(s.Do(http.MethodGet, path+"/items?filter[state]=pending", nil).List()); n == 0 {
				t.Error("all at once")
			}
			takeOver(t, other, now.Add(lease))
		})
		wantState(t, s, path, fmt.Sprintf("finished total=%d done=%[1]d", manyRows))
		for _, table := range []string{"users", "events"} {
			where := map[string]string{"users": "true", "events": "type = 'USER_CREATED'"}[table]
			if n := apitest.CountRows(t, engine, url, table, where); n != manyRows {
				t.Errorf("%d %s", n, table)
			}
		}
		again := startImport(s, numbered(manyRows))
		s.RunJobs()
		wantState(t, s, again, fmt.Sprintf("finished total=%d unchanged=%[1]d", manyRows))
	})
}

// TestImportShutdown checks that a worker that is told to end leaves the rest to others at once.
func TestImportShutdown(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		path := addMany(s, nil)
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := s.Service.WorkOnJob(ctx, func(identity.Job, identity.JobItem) { cancel() }); err != nil {
			t.Error(err)
		}
		if got := jobState(s, path); !strings.HasPrefix(got, "running total=600 done=") || got == "running total=600 done=600" {
			t.Error(got)
		}
		s.RunJobs()
		wantState(t, s, path, fmt.Sprintf("finished total=%d done=%[1]d", manyRows))
	})
}

// TestImportRightsLost takes rights from the caller half way: the rows after that fail or wait.
func TestImportRightsLost(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		importers := s.CreateGroup("Importers", "users.create", "users.update", "audit.view")
		auditors := s.CreateGroup("Auditors", "audit.view")
		s.CreateUser("boss@example.com", changes{"groups": []int64{importers}, "canViewMaskedData": true})
		as := apitest.As(s.SignIn("boss@example.com"))
		may := func(permissions ...string) {
			s.Do(http.MethodPatch, fmt.Sprintf("%s/%d", apitest.GroupsPath, importers),
				changes{"permissions": permissions}).Want(http.StatusOK)
		}
		members := func() int {
			return apitest.CountRows(t, engine, url, "memberships", fmt.Sprintf("group_id = %d", auditors))
		}
		path := addMany(s, changes{"groups": []int64{auditors}}, as)
		before := 0
		atFirstRows(t, s, func() {
			may("users.create", "users.update")
			before = members()
		})
		s.RunJobs()
		if before == 0 || before == manyRows || members() != before {
			t.Errorf("%d members, then %d", before, members())
		}
		wantState(t, s, path, fmt.Sprintf("finished total=%d done=%d failed=%d", manyRows, before, manyRows-before), as)
		if last := strings.Split(importItems(s, path, as), "\n")[manyRows-1]; last != "create failed escalation_denied" {
			t.Error(last)
		}

		rows := numbered(manyRows)
		for _, row := range rows {
			row["email"] = "second-" + row["email"].(string)
		}
		path = startImport(s, rows, as)
		atFirstRows(t, s, func() { may("users.update") })
		s.RunJobs()
		stopped := jobState(s, path, as)
		if !strings.HasPrefix(stopped, "stopped by permission_denied total=600 done=") {
			t.Error(stopped)
		}
		if n := apitest.CountRows(t, engine, url, "users", "email LIKE 'second-%'"); n == 0 || n == manyRows {
			t.Errorf("%d users", n)
		}
		may("users.create")
		s.Do(http.MethodPost, path+"/start", nil, as).Want(http.StatusAccepted)
		s.RunJobs()
		wantState(t, s, path, fmt.Sprintf("finished total=%d done=%[1]d", manyRows), as)

		// Of a row that changes a user: the right to change users.
		may("users.create", "users.update")
		path = startImport(s, []changes{{"email": "second-row1@example.com", "name": "Changed"}}, as)
		may("users.create")
		s.RunJobs()
		wantImport(t, s, path, []string{"update failed permission_denied"}, as)
	})
}

// TestImportMeetsOthers changes what rows were planned for: they do what was planned or nothing.
func TestImportMeetsOthers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := s.CreateGroup("Support")
		ids := make([]int64, 5)
		rows := make([]changes, 5)
		for i := range ids {
			ids[i] = s.CreateUser(fmt.Sprintf("user%d@example.com", i))
			rows[i] = changes{"id": ids[i], "phone": fmt.Sprint("+4930123456", i)}
		}
		rows[3]["email"], rows[4]["groups"] = "moved@example.com", []int64{group}
		rows = append(rows, numbered(3)...)
		rows[7]["groups"] = []int64{group}
		path := planImport(s, rows)
		s.Do(http.MethodPatch, apitest.UserPath(ids[1]), changes{"phone": "+18043257762"}).Want(http.StatusOK)
		s.Do(http.MethodDelete, apitest.UserPath(ids[2]), nil).Want(http.StatusNoContent)
		s.CreateUser("moved@example.com")
		s.CreateUser("ROW1@example.com")
		s.Do(http.MethodDelete, fmt.Sprintf("%s/%d", apitest.GroupsPath, group), nil).Want(http.StatusNoContent)
		s.Do(http.MethodPost, path+"/start", nil).Want(http.StatusAccepted)
		s.RunJobs()
		wantImport(t, s, path, []string{
			"update done", "update failed stale_version", "update skipped gone", "update failed email email_taken",
			"update failed groups[0] unknown_group", "create failed email email_taken", "create done",
			"create failed groups[0] unknown_group",
		})
		if phone := s.Do(http.MethodGet, apitest.UserPath(ids[1]), nil).Object()["phone"]; phone != "+18043257762" {
			t.Error(phone)
		}
	})
}

// TestImportKeepsAnAdministrator checks that the rows of an import together leave an administrator.
func TestImportKeepsAnAdministrator(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		var rows []changes
		for _, email := range []string{"boss@example.com", "other@example.com"} {
			s.CreateUser(email, changes{"groups": []int{1}, "canViewMaskedData": true})
			rows = append(rows, changes{"email": email, "groups": []int{}})
		}
		as := apitest.As(s.SignIn("boss@example.com"))
		path := startImport(s, []changes{rows[1], rows[0]}, as)
		s.RunJobs()
		wantImport(t, s, path, []string{"update done", "update failed last_administrator"}, as)
	})
}

// TestImportsAtOnce lets two instances import the same addresses, in opposite orders.
func TestImportsAtOnce(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		rows := numbered(manyRows)
		var paths [2]string
		var as [2]apitest.Option
		for i, server := range s {
			as[i] = apitest.As(server.CreateToken(0, apitest.AllPermissions()))
			turned := make([]changes, len(rows))
			for j, row := range rows {
				turned[j] = row
				if i == 1 {
					turned[j] = rows[len(rows)-1-j]
				}
			}
			paths[i] = startImport(server, turned, as[i])
		}
		var working sync.WaitGroup
		for _, server := range s {
			working.Go(server.RunJobs)
		}
		working.Wait()
		for _, server := range s { // a busy database may have kept a worker from its turn
			server.Clock.Advance(time.Minute)
			server.RunJobs()
		}
		done := 0.0
		for i, server := range s {
			job := server.Do(http.MethodGet, paths[i], nil, as[i]).Object()
			if job["state"] != "finished" || job["done"].(float64)+job["failed"].(float64) != manyRows {
				t.Errorf("%v", job)
			}
			done += job["done"].(float64)
		}
		if total := s[0].Do(http.MethodGet, apitest.UsersPath+"/count", nil).Object()["total"]; total != done || done != manyRows {
			t.Errorf("%v users, %v rows are done", total, done)
		}
	})
}

// TestImportErasesHashes looks for password hashes after rows are applied, cancelled and dropped,
// in all that is stored but the users.
func TestImportErasesHashes(t *testing.T) {
	t.Parallel()
	apitest.EachDatabase(t, func(t *testing.T, s *apitest.Server, engine string, db *sql.DB) {
		hash := foreignHashes["SHA-512"]
		s.CreateWebhook("https://example.com/hook", changes{"events": []string{"USER_CREATED", "USER_UPDATED"}})
		look := func(when string, keys int) {
			t.Helper()
			stored := ""
			for _, table := range []string{"import_rows", "jobs", "job_items", "events", "outbox"} {
				stored += strings.Join(apitest.Query(t, db, "SELECT * FROM "+table), "\n")
			}
			if strings.Contains(stored, hash[:20]) {
				t.Errorf("%s: a hash is stored", when)
			}
			if n := len(apitest.Query(t, db, "SELECT id FROM jobs WHERE import_key <> ''")); n != keys {
				t.Errorf("%s: %d keys, want %d", when, n, keys)
			}
		}
		path := planImport(s, numbered(3, changes{"passwordHash": hash}))
		look("planned", 1)
		if n := len(apitest.Query(t, db, "SELECT number FROM import_rows WHERE data <> ''")); n != 3 {
			t.Errorf("%d rows have data", n)
		}
		s.Do(http.MethodPost, path+"/start", nil).Want(http.StatusAccepted)
		s.RunJobs()
		wantState(t, s, path, "finished total=3 done=3")
		look("applied", 0)
		if n := len(apitest.Query(t, db, "SELECT number FROM import_rows WHERE data <> ''")); n != 0 {
			t.Errorf("%d rows have data", n)
		}
		if answer := s.Do(http.MethodGet, path+"/items", nil); strings.Contains(string(answer.Body), "$6$") {
			t.Errorf("%s", answer.Body)
		}
		cancelled := planImport(s, numbered(3, changes{"passwordHash": hash, "email": "x@example.com"})[:1])
		s.Do(http.MethodPost, cancelled+"/cancel", nil).Want(http.StatusOK)
		look("cancelled", 0)
		dropped := planImport(s, []changes{{"name": "y", "email": "y@example.com", "passwordHash": hash}})
		look("planned again", 1)
		s.Clock.Advance(time.Hour)
		if err := s.Service.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Do(http.MethodGet, dropped, nil).WantProblem(http.StatusNotFound, "not_found")
		look("dropped", 0)
		s.Clock.Advance(7 * 24 * time.Hour)
		if err := s.Service.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rows := apitest.Query(t, db, "SELECT * FROM import_rows"); len(rows) != 0 {
			t.Errorf("rows without a job: %q", rows)
		}
	})
}

// TestImportForgetsTheDeleted checks that rows keep nothing personal of a user who is deleted.
func TestImportForgetsTheDeleted(t *testing.T) {
	t.Parallel()
	apitest.EachDatabase(t, func(t *testing.T, s *apitest.Server, _ string, db *sql.DB) {
		mary := s.CreateUser("mary@example.com")
		done := startImport(s, []changes{{"name": "Ann", "email": "ann@example.com"}, {"id": mary, "name": "Maria"}})
		s.RunJobs()
		pending := planImport(s, []changes{{"email": "ann@example.com", "name": "Anna"}, {"email": "mary@example.com", "name": "M"}})
		for _, id := range []any{mary, userByEmail(s, "ann@example.com")["id"]} {
			s.Do(http.MethodDelete, fmt.Sprintf("%s/%v", apitest.UsersPath, id), nil).Want(http.StatusNoContent)
		}
		for _, row := range apitest.Query(t, db, "SELECT email, data FROM import_rows") {
			if row != "|||" {
				t.Error(row)
			}
		}
		wantImport(t, s, done, []string{"create done", "update done"})
		s.Do(http.MethodPost, pending+"/start", nil).Want(http.StatusAccepted)
		s.RunJobs()
		wantImport(t, s, pending, []string{"update skipped gone", "update skipped gone"})
	})
}

// TestImportPasswords imports hashes: of new users, of users without a password, and of others,
// who keep theirs.
func TestImportPasswords(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("old@example.com", changes{"password": "TheirOwnSecret1"})
		startImport(s, []changes{{"name": "Open", "email": "open@example.com"}})
		s.RunJobs()
		s.TrySignIn("open@example.com", apitest.Password).WantProblem(http.StatusUnauthorized, "invalid_credentials")
		hash := foreignHashes["argon2id"]
		rows := []changes{
			{"name": "New", "email": "new@example.com", "passwordHash": hash},
			{"email": "open@example.com", "passwordHash": hash},
			{"email": "old@example.com", "passwordHash": hash},
		}
		path := startImport(s, rows)
		s.RunJobs()
		wantImport(t, s, path, []string{"create done", "update done", "same unchanged"})
		for _, email := range []string{"new@example.com", "open@example.com"} {
			s.TrySignIn(email, apitest.Password).Want(http.StatusOK)
		}
		s.TrySignIn("old@example.com", "TheirOwnSecret1").Want(http.StatusOK)
		// A repetition sets no password back.
		path = startImport(s, rows)
		s.RunJobs()
		wantImport(t, s, path, []string{"same unchanged", "same unchanged", "same unchanged"})
		changed := s.Do(http.MethodGet, apitest.EventsPath+"?filter[type]=USER_UPDATED", nil).List()
		if len(changed) != 1 || fmt.Sprint(changed[0]["changes"]) != "map[password:map[new:*** old:***]]" {
			t.Errorf("%v", changed)
		}
	})
}

// TestImportInternalErrors checks that what the database refuses is tried row by row, and that it
// creates nobody without an event.
func TestImportInternalErrors(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		path := startImport(s, numbered(3))
		db := apitest.OpenDatabase(t, engine, url)
		apitest.BreakEvents(t, engine, db)
		s.RunJobs()
		wantImport(t, s, path, []string{
			"create failed internal_error", "create failed internal_error", "create failed internal_error",
		})
		if n := apitest.CountRows(t, engine, url, "users", "true"); n != 0 {
			t.Errorf("%d users", n)
		}
	})
}

// TestImportTellsWebhooks checks that each user of an import is told of once.
func TestImportTellsWebhooks(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		receiver := apitest.NewReceiver(t)
		s.CreateWebhook(receiver.URL, changes{"events": []string{"USER_CREATED", "USER_UPDATED"}, "format": "v2"})
		startImport(s, numbered(3))
		s.RunJobs()
		startImport(s, []changes{{"email": "row1@example.com", "name": "Ann"}, {"email": "row2@example.com", "name": "Mary"}})
		s.RunJobs()
		s.Send()
		told := map[string]int{}
		for _, delivery := range receiver.Take() {
			user := delivery.Object(t)["user"].(map[string]any)
			told[fmt.Sprint(delivery.Header.Get("Roster-Event"), " ", user["email"], " ", user["name"], " ", user["version"])]++
		}
		want := map[string]int{
			"USER_CREATED row1@example.com Mary 1": 1, "USER_CREATED row2@example.com Mary 1": 1,
			"USER_CREATED row3@example.com Mary 1": 1, "USER_UPDATED row1@example.com Ann 2": 1,
		}
		if fmt.Sprint(told) != fmt.Sprint(want) {
			t.Errorf("%v", told)
		}
	})
}

// TestImportCancelled cancels an import in the middle: what is done stays, the rest is not done.
func TestImportCancelled(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		path := addMany(s, nil)
		atFirstRows(t, s, func() { s.Do(http.MethodPost, path+"/cancel", nil).Want(http.StatusOK) })
		s.RunJobs()
		got := jobState(s, path)
		n := apitest.CountRows(t, engine, url, "users", "true")
		if got != fmt.Sprintf("cancelled total=%d done=%d", manyRows, n) || n == manyRows {
			t.Errorf("%s, %d users", got, n)
		}
	})
}
