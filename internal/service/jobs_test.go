package service_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// planJob plans a job and returns its path.
func planJob(s *apitest.Server, body changes, options ...apitest.Option) string {
	return fmt.Sprintf("%s/%d", apitest.JobsPath,
		s.Do(http.MethodPost, apitest.JobsPath, body, options...).Want(http.StatusCreated).ID())
}

// startJob plans and starts a job and returns its path.
func startJob(s *apitest.Server, body changes, options ...apitest.Option) string {
	path := planJob(s, body, options...)
	s.Do(http.MethodPost, path+"/start", nil, options...).Want(http.StatusAccepted)
	return path
}

// jobState returns the state of a job with its counts, those that are 0 left out.
func jobState(s *apitest.Server, path string, options ...apitest.Option) string {
	job := s.Do(http.MethodGet, path, nil, options...).Want(http.StatusOK).Object()
	text := fmt.Sprint(job["state"])
	if job["code"] != nil {
		text += fmt.Sprint(" by ", job["code"])
	}
	for _, count := range []string{"total", "done", "unchanged", "skipped", "failed"} {
		if job[count] != 0.0 {
			text += fmt.Sprint(" ", count, "=", job[count])
		}
	}
	return text
}

// jobItems returns the state and the code of each user of a job, in the order of ids.
func jobItems(s *apitest.Server, path string, options ...apitest.Option) map[int64]string {
	items := map[int64]string{}
	for _, item := range s.Do(http.MethodGet, path+"/items?limit=1000", nil, options...).Want(http.StatusOK).List() {
		text := fmt.Sprint(item["state"])
		if item["code"] != nil {
			text += fmt.Sprint(" ", item["code"])
		}
		items[int64(item["userId"].(float64))] = text
	}
	return items
}

func wantItems(t *testing.T, s *apitest.Server, path string, want map[int64]string, options ...apitest.Option) {
	t.Helper()
	if got := jobItems(s, path, options...); !maps.Equal(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
}

func wantState(t *testing.T, s *apitest.Server, path, want string, options ...apitest.Option) {
	t.Helper()
	if got := jobState(s, path, options...); got != want {
		t.Errorf("the job is %s\nwant %s", got, want)
	}
}

// createUsers creates n users and returns their ids.
func createUsers(s *apitest.Server, n int, change ...changes) []int64 {
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = s.CreateUser(fmt.Sprintf("user%d-%d@example.com", i, s.Clock.Now().UnixNano()), change...)
	}
	s.Clock.Advance(time.Microsecond)
	return ids
}

func groupsOf(s *apitest.Server, user int64) string {
	return fmt.Sprint(s.Do(http.MethodGet, apitest.UserPath(user), nil).Object()["groups"])
}

// TestJobActions checks each action on users that it changes, that are so already, and that do
// not exist.
func TestJobActions(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := s.CreateGroup("Support")
		for _, c := range []struct {
			action                string
			body, already, needed changes
			after                 func(user int64) bool
		}{
			{"activate", nil, changes{"active": true}, changes{"active": false}, func(user int64) bool {
				return s.Do(http.MethodGet, apitest.UserPath(user), nil).Object()["active"] == true
			}},
			{"deactivate", nil, changes{"active": false}, changes{"active": true}, func(user int64) bool {
				return s.Do(http.MethodGet, apitest.UserPath(user), nil).Object()["active"] == false
			}},
			{
				"add_to_group", changes{"groupId": group}, changes{"groups": []int64{group}}, nil, func(user int64) bool {
					return groupsOf(s, user) == fmt.Sprintf("[%d]", group)
				},
			},
			{
				"remove_from_group", changes{"groupId": group}, nil, changes{"groups": []int64{group}}, func(user int64) bool {
					return groupsOf(s, user) == "[]"
				},
			},
			{"delete", nil, nil, nil, func(user int64) bool {
				return s.Do(http.MethodGet, apitest.UserPath(user), nil).Status == http.StatusNotFound
			}},
		} {
			ids := createUsers(s, 25, c.needed)
			want := map[int64]string{}
			for _, id := range ids {
				want[id] = "done"
			}
			if c.action != "delete" {
				already := createUsers(s, 1, c.already)[0]
				ids, want[already] = append(ids, already), "unchanged"
			}
			const nobody = 1 << 40
			ids, want[nobody] = append(ids, nobody, ids[0]), "skipped gone"
			body := changes{"action": c.action, "userIds": ids}
			maps.Copy(body, c.body)
			path := planJob(s, body)
			wantState(t, s, path, fmt.Sprintf("planned total=%d", len(want)))
			s.RunJobs()
			if c.after(ids[0]) {
				t.Errorf("%s before the start", c.action)
			}
			s.Do(http.MethodPost, path+"/start", nil).Want(http.StatusAccepted)
			s.RunJobs()
			wantItems(t, s, path, want)
			for _, id := range ids[:25] {
				if !c.after(id) {
					t.Errorf("%s: user %d", c.action, id)
				}
			}
		}
	})
}

// TestJobEndsSessions checks the sessions of a job's users, its caller's own included. An invitation
// is no session: it goes on.
func TestJobEndsSessions(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		boss := s.CreateUser("boss@example.com", changes{"groups": []int{1}})
		mary, john := s.CreateUser("mary@example.com"), s.CreateUser("john@example.com")
		here, there := apitest.As(s.SignIn("boss@example.com")), apitest.As(s.SignIn("boss@example.com"))
		marys := apitest.As(s.SignIn("mary@example.com"))
		ann, invitation := invitee(t, s, "ann@example.com", nil)
		path := startJob(s, changes{"action": "end_sessions", "filter": changes{}}, here)
		s.RunJobs()
		wantItems(t, s, path, map[int64]string{
			boss: "done", mary: "done", john: "unchanged", ann: "unchanged",
		}, here)
		s.Reset(invitation, "NewSecret123").Want(http.StatusNoContent)
		s.Do(http.MethodGet, apitest.MePath, nil, here).Want(http.StatusOK)
		for _, ended := range []apitest.Option{there, marys} {
			s.Do(http.MethodGet, apitest.MePath, nil, ended).Want(http.StatusUnauthorized)
		}
		again := startJob(s, changes{"action": "end_sessions", "userIds": []int64{boss, mary}}, here)
		s.RunJobs()
		wantState(t, s, again, "finished total=2 unchanged=2", here)
		events := s.Do(http.MethodGet, apitest.EventsPath+"?filter[type]=USER_SESSION_REVOKED", nil).List()
		if len(events) != 2 {
			t.Errorf("%d events", len(events))
		}
	})
}

// TestJobRowsAreSingleCalls checks that each user is changed as by a single call: with its event
// in the name of the caller, with the request of the start, and with webhooks.
func TestJobRowsAreSingleCalls(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		boss := s.CreateUser("boss@example.com", changes{"groups": []int{1}})
		ids := createUsers(s, 3)
		receiver := apitest.NewReceiver(t)
		s.CreateWebhook(receiver.URL)
		as := apitest.As(s.SignIn("boss@example.com"))
		path := planJob(s, changes{"action": "deactivate", "userIds": ids}, as)
		started := s.Do(http.MethodPost, path+"/start", nil, as, apitest.From("192.0.2.7")).Want(http.StatusAccepted)
		s.RunJobs()
		events := s.Do(http.MethodGet, apitest.EventsPath+"?filter[type]=USER_UPDATED", nil).List()
		if len(events) != len(ids) {
			t.Errorf("%d events", len(events))
		}
		for _, event := range events {
			actor := event["actor"].(map[string]any)
			if actor["userId"] != float64(boss) || actor["name"] != "session" || event["source"] != "192.0.2.7" ||
				event["requestId"] != started.Header.Get("X-Request-Id") {
				t.Errorf("%v", event)
			}
		}
		s.Send()
		if got := len(receiver.Take()); got < len(ids) {
			t.Errorf("%d deliveries", got)
		}
	})
}

// TestJobFilterAtEachTurn checks that new matches are not touched, and that lost ones are skipped.
func TestJobFilterAtEachTurn(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		ids := createUsers(s, 4, changes{"name": "Temporary"})
		path := planJob(s, changes{"action": "delete", "filter": changes{"q": "temporary", "status": "active", "tfa": false}})
		wantState(t, s, path, "planned total=4")
		late := createUsers(s, 1, changes{"name": "Temporary"})[0]
		s.Do(http.MethodPatch, apitest.UserPath(ids[0]), changes{"name": "Permanent"}).Want(http.StatusOK)
		s.Do(http.MethodPatch, apitest.UserPath(ids[1]), changes{"active": false}).Want(http.StatusOK)
		s.Do(http.MethodDelete, apitest.UserPath(ids[2]), nil).Want(http.StatusNoContent)
		s.Do(http.MethodPost, path+"/start", nil).Want(http.StatusAccepted)
		s.RunJobs()
		wantItems(t, s, path, map[int64]string{
			ids[0]: "skipped no_longer_matches", ids[1]: "skipped no_longer_matches", ids[2]: "skipped gone", ids[3]: "done",
		})
		wantState(t, s, path, "finished total=4 done=1 skipped=3")
		for _, id := range []int64{late, ids[0], ids[1]} {
			s.Do(http.MethodGet, apitest.UserPath(id), nil).Want(http.StatusOK)
		}
		// The action itself makes its users no longer match.
		all := startJob(s, changes{"action": "deactivate", "filter": changes{"status": "active"}})
		s.RunJobs()
		wantState(t, s, all, "finished total=2 done=2")
		none := startJob(s, changes{"action": "delete", "filter": changes{"active": 1, "status": "inactive"}})
		s.RunJobs()
		wantState(t, s, none, "finished")
	})
}

// TestMaskedJobFilter checks that a caller who sees masks cannot search in what is masked.
func TestMaskedJobFilter(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("needle@example.com", changes{"phone": "+18043257762"})
		masked := apitest.As(s.CreateToken(0, []string{"users.update"}, changes{"canViewMaskedData": false}))
		for query, want := range map[string]string{
			"needle": "planned", "+1804": "planned", "mary": "planned total=1",
		} {
			wantState(t, s, planJob(s, changes{"action": "deactivate", "filter": changes{"q": query}}, masked), want, masked)
		}
	})
}

// TestJobRefusals checks users whose change is refused: each fails by itself, with its reason.
func TestJobRefusals(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		managers := s.CreateGroup("Managers", "users.update", "groups.manage")
		boss := s.CreateUser("boss@example.com", changes{"groups": []int{1}})
		manager := s.CreateUser("manager@example.com", changes{"groups": []int64{managers}})
		mary := s.CreateUser("mary@example.com")
		clerk := apitest.As(s.CreateToken(0, []string{"users.update", "users.delete"}))
		for _, id := range []string{"boss", "manager", "mary"} {
			s.SignIn(id + "@example.com")
		}
		for _, action := range []string{"end_sessions", "deactivate", "delete"} {
			path := startJob(s, changes{"action": action, "userIds": []int64{boss, manager, mary}}, clerk)
			s.RunJobs()
			wantItems(t, s, path, map[int64]string{
				boss: "failed escalation_denied", manager: "failed escalation_denied", mary: "done",
			}, clerk)
		}
		failed := s.Do(http.MethodGet, apitest.JobsPath+"/1/items?filter[state]=failed&limit=1", nil, clerk).List()
		if len(failed) != 1 || failed[0]["message"] != "This would touch permissions that you do not hold yourself." {
			t.Errorf("%v", failed)
		}
		// The last administrator, by a caller who is one.
		own := apitest.As(s.SignIn("boss@example.com"))
		for _, body := range []changes{
			{"action": "delete"}, {"action": "deactivate"}, {"action": "remove_from_group", "groupId": 1},
		} {
			body["filter"] = changes{"group": 1}
			path := startJob(s, body, own)
			s.RunJobs()
			wantItems(t, s, path, map[int64]string{boss: "failed last_administrator"}, own)
		}
		// A group that is deleted after the plan.
		group := s.CreateGroup("Support")
		user := createUsers(s, 1)[0]
		path := startJob(s, changes{"action": "add_to_group", "groupId": group, "userIds": []int64{user}})
		s.Do(http.MethodDelete, fmt.Sprintf("%s/%d", apitest.GroupsPath, group), nil).Want(http.StatusNoContent)
		s.RunJobs()
		wantItems(t, s, path, map[int64]string{user: "failed unknown_group"})
	})
}

// TestJobOnItsCreator checks that the creator comes last, by the rules of single calls.
func TestJobOnItsCreator(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		s.CreateUser("other@example.com", changes{"groups": []int{1}})
		boss := s.CreateUser("boss@example.com", changes{"groups": []int{1}})
		ids := createUsers(s, 45)
		as := apitest.As(s.SignIn("boss@example.com"))
		startJob(s, changes{"action": "delete", "userIds": append(slices.Clone(ids), boss)}, as)
		s.RunJobs()
		if list := s.Do(http.MethodGet, apitest.UsersPath, nil).Object(); list["total"] != 1.0 {
			t.Errorf("%v users are left", list["total"])
		}
		for _, table := range []string{"jobs", "job_items"} {
			if n := apitest.CountRows(t, engine, url, table, "true"); n != 0 {
				t.Errorf("%d rows in %s", n, table)
			}
		}
	})
}

// TestJobsAreTheirCreators checks that nobody else sees or touches a job.
func TestJobsAreTheirCreators(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		boss := s.CreateUser("boss@example.com", changes{"groups": []int{1}, "canViewMaskedData": true})
		s.CreateUser("peer@example.com", changes{"groups": []int{1}})
		mary := s.CreateUser("mary@example.com")
		as := apitest.As(s.SignIn("boss@example.com"))
		path := planJob(s, changes{"action": "deactivate", "userIds": []int64{mary}}, as)
		acting := apitest.As(s.CreateToken(boss, apitest.AllPermissions()))
		others := []apitest.Option{
			apitest.As(apitest.AdminToken), apitest.As(s.SignIn("peer@example.com")),
			apitest.As(s.CreateToken(0, apitest.AllPermissions())), acting,
		}
		for _, other := range others {
			for _, call := range []string{"GET ", "GET /items", "POST /start", "POST /cancel"} {
				var method, rest string
				_, _ = fmt.Sscanf(call, "%s %s", &method, &rest)
				s.Do(method, path+rest, nil, other).WantProblem(http.StatusNotFound, "not_found")
			}
			if list := s.Do(http.MethodGet, apitest.JobsPath, nil, other).Want(http.StatusOK).List(); len(list) != 0 {
				t.Errorf("%v", list)
			}
		}
		s.RunJobs()
		wantState(t, s, path, "planned total=1", as)
		// The creator sees it from any session, and the token its own.
		again := apitest.As(s.SignIn("boss@example.com"))
		wantState(t, s, path, "planned total=1", again)
		theirs := planJob(s, changes{"action": "deactivate", "userIds": []int64{mary}}, acting)
		s.Do(http.MethodGet, theirs, nil, as).WantProblem(http.StatusNotFound, "not_found")
		wantState(t, s, theirs, "planned total=1", acting)
		list := s.Do(http.MethodGet, apitest.JobsPath, nil, again).Want(http.StatusOK).List()
		if len(list) != 1 || list[0]["action"] != "deactivate" {
			t.Errorf("%v", list)
		}
	})
}
