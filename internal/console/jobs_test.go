package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

// plan plans a job and returns its page.
func (b *browser) plan(query, action string, ids ...int64) answer {
	b.t.Helper()
	values := url.Values{"action": {action}}
	for _, id := range ids {
		values.Add("userId", fmt.Sprint(id))
	}
	if ids == nil {
		values.Set("all", "true")
	}
	return b.post("/console/users/bulk"+query, values).want(b.t, http.StatusOK, "Not started")
}

// TestBulkJob plans, starts and reads a job. It is started once, whatever is sent twice.
func TestBulkJob(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		users := people(t, s)
		a := b.plan("?filter[q]=ry", "deactivate")
		a.want(t, http.StatusOK, "Deactivate 1 user?", "Mary Evans", "jobs/1/start")
		if user, err := s.Service.User(t.Context(), identity.CommandLine(), users[0].ID); err != nil || !user.Active {
			t.Fatalf("the plan has changed %+v, %v", user, err)
		}
		job := a.url.Path
		b.post(job+"/start", nil).want(t, http.StatusOK, "Running", `hx-trigger="every 1s"`)
		b.post(job+"/start", nil).want(t, http.StatusOK, "Running")
		s.RunJobs()
		b.get(job).want(t, http.StatusOK, "Finished", "1 done, 0 failed").without(t, "hx-trigger", "failed.csv")
		_, err := s.Service.UpdateUser(t.Context(), identity.CommandLine(), users[0].ID,
			service.UserUpdate{Change: identity.UserChange{Active: new(true)}})
		if err != nil {
			t.Fatal(err)
		}
		b.post(job+"/start", nil).want(t, http.StatusOK, "Nothing is done twice.")
		if s.Step() {
			t.Error("a job that has ended runs again")
		}
		b.post(job+"/cancel", nil).want(t, http.StatusOK, "The job has ended already.")
		b.get(job+"?state=done").want(t, http.StatusOK, "Mary Evans")
		b.get(job+"?state=failed").want(t, http.StatusOK, "Nobody.")
		b.get(job+"?state=x").want(t, http.StatusBadRequest)
		b.get("/console/jobs").want(t, http.StatusOK, "Deactivate 1 user", "Finished")
		a = b.plan("", "delete", users[1].ID, 999)
		a.want(t, http.StatusOK, "cannot be undone", "There is no such user", "Delete them")
		b.post(a.url.Path+"/cancel", nil).want(t, http.StatusOK, "Cancelled")
		b.post(a.url.Path+"/start", nil).want(t, http.StatusOK, "Nothing is done twice.")
	})
}

// TestJobChanges looks at users as they are when their turn comes.
func TestJobChanges(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		users := people(t, s)
		group := createGroup(t, s, "Support", identity.UsersView)
		values := url.Values{"action": {"add_to_group"}, "all": {"true"}, "groupId": {fmt.Sprint(group.ID)}}
		a := b.post("/console/users/bulk?filter[status]=active&filter[q]=e", values).want(t, http.StatusOK, "Support")
		cli := identity.CommandLine()
		if err := s.Service.DeleteUser(t.Context(), cli, users[1].ID, identity.VersionMatch{}); err != nil {
			t.Fatal(err)
		}
		_, err := s.Service.UpdateUser(t.Context(), cli, users[0].ID,
			service.UserUpdate{Change: identity.UserChange{Active: new(false)}})
		if err != nil {
			t.Fatal(err)
		}
		createUser(t, s, identity.User{Name: "Late Eve", Email: "late@example.com", Active: true})
		b.post(a.url.Path+"/start", nil)
		s.RunJobs()
		b.get(a.url.Path).want(t, http.StatusOK, "There is no such user.", "did not match the filter any more").
			without(t, "Late Eve")
		file := b.get(a.url.Path+"/failed.csv").want(t, http.StatusOK, "no_longer_matches", "gone",
			"row,id,name,email,state,field,code,message\r\n")
		if file.header.Get("Content-Type") != csvType {
			t.Error(file.header)
		}
		_, err = s.Service.UpdateUser(t.Context(), cli, users[0].ID,
			service.UserUpdate{Change: identity.UserChange{Name: new(identity.Name("=cmd|' /C calc'!A0"))}})
		if err != nil {
			t.Fatal(err)
		}
		b.get(a.url.Path+"/failed.csv").want(t, http.StatusOK, ",'=cmd|")
	})
}

// TestJobRights ends the rights of an operator while a job runs.
func TestJobRights(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		admin := signedIn(t, s)
		users := people(t, s)
		b := maskedOperator(t, s)
		stronger := b.plan("", "deactivate", 1, users[0].ID) // 1 is an administrator
		b.post(stronger.url.Path+"/start", nil)
		s.RunJobs()
		b.get(stronger.url.Path+"?state=failed").want(t, http.StatusOK, "Jane Doe", "Failed")
		b.get(stronger.url.Path+"/failed.csv").want(t, http.StatusOK, "1,Jane Doe,").without(t, email)

		a := b.plan("", "activate", users[0].ID)
		for _, path := range []string{"", "/failed.csv"} {
			admin.get(a.url.Path+path).want(t, http.StatusNotFound).without(t, "Mary")
		}
		for _, path := range []string{"/start", "/cancel"} {
			admin.post(a.url.Path+path, nil).want(t, http.StatusNotFound).without(t, "Mary")
		}
		for _, path := range []string{"/console/jobs/0", "/console/jobs/x", "/console/jobs/999"} {
			b.get(path).want(t, http.StatusNotFound)
		}
		admin.get("/console/jobs").want(t, http.StatusOK, "You have no jobs.")
		b.post(a.url.Path+"/start", nil).want(t, http.StatusOK, "Running")
		groups, _, err := s.Service.Groups(t.Context(), identity.CommandLine(), identity.Page{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		desk := groups[len(groups)-1]
		_, err = s.Service.UpdateGroup(t.Context(), identity.CommandLine(), desk.ID,
			identity.GroupChange{Permissions: new(identity.PermissionSet(identity.GroupsView))}, identity.VersionMatch{})
		if err != nil {
			t.Fatal(err)
		}
		s.RunJobs()
		b.get(a.url.Path).want(t, http.StatusOK, "The job was stopped.", "users.view", "This needs the permission").
			without(t, "Start again", "Mary")
		b.post(a.url.Path+"/start", nil).want(t, http.StatusForbidden)
		b.post("/console/users/bulk", url.Values{"action": {"delete"}, "all": {"true"}}).want(t, http.StatusForbidden)
	})
}

// TestBulkAbuse sends forms that no page of ours makes.
func TestBulkAbuse(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		mary := people(t, s)[0]
		bulk := func(query string, values url.Values) answer { return b.post("/console/users/bulk"+query, values) }
		bulk("", url.Values{"action": {"delete"}}).want(t, http.StatusBadRequest, "Nobody is selected.")
		bulk("", url.Values{"userId": {"1"}}).want(t, http.StatusBadRequest)
		bulk("", url.Values{"action": {"promote"}, "userId": {"1"}}).want(t, http.StatusBadRequest)
		bulk("", url.Values{"action": {"delete"}, "userId": {"-1"}}).want(t, http.StatusBadRequest)
		bulk("", url.Values{"action": {"add_to_group"}, "userId": {"1"}}).want(t, http.StatusBadRequest, "Choose a group")
		bulk("", url.Values{"action": {"add_to_group"}, "userId": {"1"}, "groupId": {"99"}}).want(t, http.StatusBadRequest)
		bulk("?filter[lost]=1", url.Values{"action": {"delete"}, "all": {"true"}}).want(t, http.StatusBadRequest)
		many := url.Values{"action": {"activate"}}
		for i := range 2000 {
			many.Add("userId", fmt.Sprint(i+1000))
		}
		a := bulk("", many).want(t, http.StatusOK, "Activate 2,000 users?", "The first 10 of 2,000")
		for i := range 8001 {
			many.Add("userId", fmt.Sprint(i+9000))
		}
		bulk("", many).want(t, http.StatusBadRequest, "more than 10,000 fields")
		many.Set("x", strings.Repeat("x", 1<<20))
		bulk("", many).want(t, http.StatusRequestEntityTooLarge)

		b.header.Set("Origin", "https://evil.example")
		b.header.Set("Sec-Fetch-Site", "cross-site")
		bulk("", url.Values{"action": {"delete"}, "userId": {fmt.Sprint(mary.ID)}}).want(t, http.StatusForbidden)
		for _, path := range []string{"/start", "/cancel"} {
			b.post(a.url.Path+path, nil).want(t, http.StatusForbidden)
		}
		b.post("/console/users/find", url.Values{"find": {"1"}}).want(t, http.StatusForbidden)
		b.header = http.Header{}
		b.get(a.url.Path).want(t, http.StatusOK, "Not started")
	})
}

// TestImportJob shows an import that was planned through the API: what its rows will do, and what
// they have done.
func TestImportJob(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		as := apitest.As(s.SignInWith(email, password).AccessToken.Token)
		path := fmt.Sprintf("%s/%d", apitest.JobsPath,
			s.Do(http.MethodPost, apitest.JobsPath, map[string]any{"action": "import"}, as).Want(http.StatusCreated).ID())
		page := strings.Replace(path, "/api/v2", "/console", 1)
		b.get(page).want(t, http.StatusOK, "Import 0 rows")
		s.Do(http.MethodPost, path+"/rows", map[string]any{"first": 1, "rows": []map[string]any{
			{"name": "Ann", "email": "ann@example.com"},
			{"name": "=cmd", "email": "no address"},
			{"name": "<b>", "email": "b@example.com", "groups": []string{"<i>"}},
		}}, as).Want(http.StatusOK)
		b.get(page).want(t, http.StatusOK, "Import 3 rows?", "Row 1 ann@example.com", "A new user.", "Row 2<", "email: must be")
		b.get("/console/jobs").want(t, http.StatusOK, "Import 3 rows")
		b.post(page+"/start", nil).want(t, http.StatusOK, "Running")
		s.RunJobs()
		b.get(page).want(t, http.StatusOK, "Finished", "1 done, 2 failed", ">Ann<", "groups[0]: there is no group with this name")
		b.get(page+"/failed.csv").want(t, http.StatusOK, "\r\n2,,,,failed,email,invalid_email,",
			"\r\n3,,,b@example.com,failed,groups[0],unknown_group,")
	})
}
