package service_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// addRows adds rows to an import and returns what is planned so far.
func addRows(s *apitest.Server, path string, first int, rows []changes, options ...apitest.Option) string {
	answer := s.Do(http.MethodPost, path+"/rows", changes{"first": first, "rows": rows}, options...).Want(http.StatusOK)
	plan := answer.Object()
	text := ""
	for _, count := range []string{"received", "create", "update", "same", "error"} {
		if plan[count] != 0.0 {
			text += fmt.Sprint(count, "=", plan[count], " ")
		}
	}
	return strings.TrimSpace(text)
}

// planImport plans an import of rows and returns its path.
func planImport(s *apitest.Server, rows []changes, options ...apitest.Option) string {
	path := planJob(s, changes{"action": "import"}, options...)
	addRows(s, path, 1, rows, options...)
	return path
}

// startImport plans and starts an import of rows and returns its path.
func startImport(s *apitest.Server, rows []changes, options ...apitest.Option) string {
	path := planImport(s, rows, options...)
	s.Do(http.MethodPost, path+"/start", nil, options...).Want(http.StatusAccepted)
	return path
}

// importItems returns the rows of an import: outcome, state and what is wrong.
func importItems(s *apitest.Server, path string, options ...apitest.Option) string {
	var lines []string
	for i, item := range s.Do(http.MethodGet, path+"/items?limit=1000", nil, options...).Want(http.StatusOK).List() {
		if item["row"] != float64(i+1) {
			lines = append(lines, fmt.Sprint("row ", item["row"]))
		}
		line := fmt.Sprint(item["outcome"], " ", item["state"])
		for _, name := range []string{"field", "code"} {
			if item[name] != nil {
				line += fmt.Sprint(" ", item[name])
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func wantImport(t *testing.T, s *apitest.Server, path string, want []string, options ...apitest.Option) {
	t.Helper()
	if got := importItems(s, path, options...); got != strings.Join(want, "\n") {
		t.Errorf("%s\n\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// userByEmail returns the user with an address, without what differs from one run to the next.
func userByEmail(s *apitest.Server, email string) map[string]any {
	users := s.Do(http.MethodGet, apitest.UsersPath+"?filter[email]="+email, nil).Want(http.StatusOK).List()
	if len(users) != 1 {
		return map[string]any{"found": len(users)}
	}
	return users[0]
}

// TestImport creates and changes users by rows, and imports the same rows again.
func TestImport(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := s.CreateGroup("Support")
		old := s.CreateUser("old@example.com", changes{"phone": "+18043257762", "groups": []int64{group}})
		named := s.CreateUser("Named@Example.com")
		rows := []changes{
			{
				"name": "Ann", "email": "ann@example.com", "active": false, "tfa": true, "groups": []any{"support"},
				"phone": "+49 30 1234567", "ipWhitelist": []string{"10.0.0.0/8"}, "clientTags": []any{"x", changes{"id": 7}},
				"canViewMaskedData": true,
			},
			{"name": "Bob", "email": "bob@example.com"},
			{"id": old, "email": "new@example.com", "phone": nil, "groups": []any{group, "Support"}},
			{"email": "named@example.com", "name": "Named"},
			{"email": "named2@example.com"},
		}
		path := planJob(s, changes{"action": "import"})
		if got := addRows(s, path, 1, rows); got != "received=5 create=2 update=2 error=1" {
			t.Error(got)
		}
		wantImport(t, s, path, []string{
			"create pending", "create pending", "update pending", "update pending", "error failed name required",
		})
		wantState(t, s, path, "planned total=5 failed=1")
		s.RunJobs()
		if n := len(s.Do(http.MethodGet, apitest.UsersPath, nil).List()); n != 2 {
			t.Errorf("%d users before the start", n)
		}
		s.Do(http.MethodPost, path+"/start", nil).Want(http.StatusAccepted)
		s.RunJobs()
		wantState(t, s, path, "finished total=5 done=4 failed=1")
		wantImport(t, s, path, []string{
			"create done", "create done", "update done", "update done", "error failed name required",
		})
		ann := s.Do(http.MethodGet, apitest.UsersPath+"?filter[email]=ann@example.com", nil).List()[0]
		delete(ann, "id")
		delete(ann, "createTime")
		if got, want := fmt.Sprint(ann), "map[active:false canViewMaskedData:true clientTags:[x map[id:7]] "+
			"email:ann@example.com groups:["+fmt.Sprint(group)+"] ipWhitelist:[10.0.0.0/8] lastSigninTime:<nil> name:Ann "+
			"phone:+49301234567 tfa:true updateTime:<nil> version:1]"; got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
		bob := userByEmail(s, "bob@example.com")
		if bob["active"] != true || bob["tfa"] != false || fmt.Sprint(bob["groups"]) != "[]" {
			t.Errorf("%v", bob)
		}
		changed := s.Do(http.MethodGet, apitest.UserPath(old), nil).Object()
		if changed["email"] != "new@example.com" || changed["phone"] != nil || changed["version"] != 2.0 {
			t.Errorf("%v", changed)
		}
		// Who is found by the address keeps its spelling.
		if user := s.Do(http.MethodGet, apitest.UserPath(named), nil).Object(); user["email"] != "Named@Example.com" ||
			user["name"] != "Named" {
			t.Errorf("%v", user)
		}
		again := startImport(s, rows)
		s.RunJobs()
		wantState(t, s, again, "finished total=5 unchanged=4 failed=1")
		wantImport(t, s, again, []string{
			"same unchanged", "same unchanged", "same unchanged", "same unchanged", "error failed name required",
		})
		s.WantEvents("filter[type]=USER_CREATED&limit=2", "USER_CREATED", "USER_CREATED")
		if n := len(s.Do(http.MethodGet, apitest.EventsPath+"?filter[type]=USER_UPDATED", nil).List()); n != 2 {
			t.Errorf("%d events of changes", n)
		}
	})
}
