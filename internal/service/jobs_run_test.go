package service_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/identity"
)

// turn is how many users a worker changes before it turns to the next job.
const turn = 20

// boss returns an administrator who has signed in.
func boss(s *apitest.Server) (id int64, as apitest.Option) {
	id = s.CreateUser("boss@example.com", changes{"groups": []int{1}, "canViewMaskedData": true})
	return id, apitest.As(s.SignIn("boss@example.com"))
}

// TestJobStops checks that a job stops when its caller may not go on, and that it goes on from there
// once it is started again.
func TestJobStops(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stop func(s *apitest.Server, boss int64, as apitest.Option)
		code string
		heal func(s *apitest.Server, boss int64)
	}{
		"signed out": {func(s *apitest.Server, _ int64, as apitest.Option) {
			s.Do(http.MethodPost, apitest.SignOutPath, nil, as).Want(http.StatusNoContent)
		}, "session_ended", nil},
		"expired": {func(s *apitest.Server, _ int64, _ apitest.Option) {
			s.Clock.Advance(31 * 24 * time.Hour)
		}, "session_ended", nil},
		"inactive": {func(s *apitest.Server, boss int64, _ apitest.Option) {
			s.Do(http.MethodPatch, apitest.UserPath(boss), changes{"active": false}).Want(http.StatusOK)
		}, "session_ended", func(s *apitest.Server, boss int64) {
			s.Do(http.MethodPatch, apitest.UserPath(boss), changes{"active": true}).Want(http.StatusOK)
		}},
		"no rights": {func(s *apitest.Server, boss int64, _ apitest.Option) {
			s.Do(http.MethodPatch, apitest.UserPath(boss), changes{"groups": []int64{}}).Want(http.StatusOK)
		}, "permission_denied", func(s *apitest.Server, boss int64) {
			s.Do(http.MethodPatch, apitest.UserPath(boss), changes{"groups": []int64{1}}).Want(http.StatusOK)
		}},
		"other address": {func(s *apitest.Server, boss int64, _ apitest.Option) {
			s.Do(http.MethodPatch, apitest.UserPath(boss), changes{"ipWhitelist": []string{"192.0.2.9"}}).Want(http.StatusOK)
		}, "ip_not_allowed", func(s *apitest.Server, boss int64) {
			s.Do(http.MethodPatch, apitest.UserPath(boss), changes{"ipWhitelist": []string{}}).Want(http.StatusOK)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apitest.Each(t, func(t *testing.T, s *apitest.Server) {
				s.CreateUser("other@example.com", changes{"groups": []int{1}})
				admin, as := boss(s)
				ids := createUsers(s, turn+5, changes{"active": false})
				path := startJob(s, changes{"action": "activate", "userIds": ids}, as)
				s.Step()
				c.stop(s, admin, as)
				s.RunJobs()
				if c.heal != nil {
					c.heal(s, admin)
				}
				again := apitest.As(s.SignIn("boss@example.com"))
				wantState(t, s, path, fmt.Sprintf("stopped by %s total=%d done=%d", c.code, turn+5, turn), again)
				if job := s.Do(http.MethodGet, path, nil, again).Object(); job["message"] == nil || job["finishTime"] == nil {
					t.Errorf("%v", job)
				}
				s.RunJobs()
				pending := s.Do(http.MethodGet, path+"/items?filter[state]=pending", nil, again).List()
				if len(pending) != 5 {
					t.Errorf("%d are pending", len(pending))
				}
				s.Do(http.MethodPost, path+"/start", nil, again).Want(http.StatusAccepted)
				s.RunJobs()
				wantState(t, s, path, fmt.Sprintf("finished total=%d done=%[1]d", turn+5), again)
			})
		})
	}
}

// TestJobOutlivesAccessTokens checks that a job goes on while its session does, whatever access
// token that has, and that one of a service token ends with the token.
func TestJobOutlivesAccessTokens(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		s.CreateUser("boss@example.com", changes{"groups": []int{1}})
		p := s.SignInWith("boss@example.com", apitest.Password)
		as := apitest.As(p.AccessToken.Token)
		path := startJob(s, changes{"action": "activate", "userIds": createUsers(s, turn+5)}, as)
		s.Step()
		s.Clock.Advance(2 * time.Hour)
		s.Do(http.MethodGet, path, nil, as).Want(http.StatusUnauthorized)
		if err := s.Service.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.RunJobs()
		as = apitest.As(s.SignIn("boss@example.com"))
		wantState(t, s, path, fmt.Sprintf("finished total=%d unchanged=%[1]d", turn+5), as)

		token := s.CreateToken(0, apitest.AllPermissions())
		ids := createUsers(s, turn+5, changes{"active": false})
		startJob(s, changes{"action": "activate", "userIds": ids}, apitest.As(token))
		s.Step()
		tokens := s.Do(http.MethodGet, apitest.TokensPath, nil).List()
		last := tokens[len(tokens)-1]["id"]
		s.Do(http.MethodDelete, fmt.Sprintf("%s/%v", apitest.TokensPath, last), nil).Want(http.StatusNoContent)
		s.RunJobs()
		if n := apitest.CountRows(t, engine, url, "users", "active"); n != 1+turn+5+turn {
			t.Errorf("%d users are active", n)
		}
		if n := apitest.CountRows(t, engine, url, "jobs", "token_id IS NOT NULL"); n != 0 {
			t.Errorf("%d jobs of a token that is gone", n)
		}
	})
}

// TestJobStartsOnce starts a job at once from two instances, which then run it at once.
func TestJobStartsOnce(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		ids := createUsers(s[0], 2*turn+5)
		path := planJob(s[0], changes{"action": "deactivate", "userIds": ids})
		statuses := apitest.Together(6, func(i int) *apitest.Answer {
			answer := s[i%2].Do(http.MethodPost, path+"/start", nil)
			s[i%2].RunJobs()
			return answer
		})
		s[0].RunJobs()
		if statuses[http.StatusAccepted]+statuses[http.StatusConflict] != 6 || statuses[http.StatusAccepted] == 0 {
			t.Errorf("%v", statuses)
		}
		wantState(t, s[1], path, fmt.Sprintf("finished total=%d done=%[1]d", len(ids)))
		events := s[0].Do(http.MethodGet, apitest.EventsPath+"?filter[type]=USER_UPDATED&limit=1000", nil).List()
		if len(events) != len(ids) {
			t.Errorf("%d events of %d users", len(events), len(ids))
		}
		s[0].Do(http.MethodPost, path+"/start", nil).WantProblem(http.StatusConflict, "job_ended")
	})
}

// TestJobLease checks that the job of a worker that has died is taken by another one after its lease
// and not before, and that a slow worker does no harm when it comes back.
func TestJobLease(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, one *apitest.Server) {
		s := [2]*apitest.Server{one, one.Another(func(*app.Options) {})}
		ids := createUsers(s[0], turn+5)
		path := startJob(s[0], changes{"action": "deactivate", "userIds": ids})
		const lease = 15 * time.Second
		// The first worker hangs at its first user, while the second one goes on.
		now := s[0].Clock.Now()
		_, err := s[0].Service.WorkOnJob(t.Context(), func(_ identity.Job, item identity.JobItem) {
			if item.UserID != ids[0] {
				t.Errorf("user %d by a worker without a lease", item.UserID)
				return
			}
			takeOver(t, s[1], now.Add(lease))
		})
		if err != nil {
			t.Error(err)
		}
		wantState(t, s[0], path, fmt.Sprintf("finished total=%d done=%d unchanged=1", len(ids), len(ids)-1))
		events := s[0].Do(http.MethodGet, apitest.EventsPath+"?filter[type]=USER_UPDATED&limit=1000", nil).List()
		if len(events) != len(ids) {
			t.Errorf("%d events of %d users", len(events), len(ids))
		}
	})
}

// takeOver runs the jobs of an instance before and after a lease ends.
func takeOver(t *testing.T, s *apitest.Server, leaseEnd time.Time) {
	t.Helper()
	s.Clock.Advance(leaseEnd.Sub(s.Clock.Now()) - time.Microsecond)
	if s.Step() {
		t.Error("it was taken within the lease")
	}
	s.Clock.Advance(time.Microsecond)
	if !s.Step() {
		t.Error("it was not taken after the lease")
	}
	s.RunJobs()
}

// TestJobsTakeTurns checks that a short job does not wait for a long one of somebody else, and that
// the jobs of one caller run one after the other.
func TestJobsTakeTurns(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		ids := createUsers(s, 5*turn)
		other := apitest.As(s.CreateToken(0, apitest.AllPermissions()))
		long := startJob(s, changes{"action": "deactivate", "userIds": ids})
		next := startJob(s, changes{"action": "activate", "userIds": ids[:1]})
		short := startJob(s, changes{"action": "end_sessions", "userIds": ids[:3]}, other)
		for range 2 {
			s.Clock.Advance(time.Millisecond)
			s.Step()
		}
		wantState(t, s, long, "running total=100 done=20")
		wantState(t, s, next, "running total=1")
		wantState(t, s, short, "finished total=3 unchanged=3", other)
		s.RunJobs()
		wantState(t, s, long, "finished total=100 done=100")
		wantState(t, s, next, "finished total=1 done=1")
	})
}

// TestJobCancel checks that a cancelled job leaves its pending users alone, planned or running.
func TestJobCancel(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		ids := createUsers(s, turn+5)
		path := startJob(s, changes{"action": "deactivate", "userIds": ids})
		s.Step()
		for range 2 {
			s.Do(http.MethodPost, path+"/cancel", nil).Want(http.StatusOK)
		}
		s.RunJobs()
		wantState(t, s, path, "cancelled total=25 done=20")
		s.Do(http.MethodPost, path+"/start", nil).WantProblem(http.StatusConflict, "job_ended")
		planned := planJob(s, changes{"action": "deactivate", "userIds": ids})
		s.Do(http.MethodPost, planned+"/cancel", nil).Want(http.StatusOK)
		s.Do(http.MethodPost, planned+"/start", nil).WantProblem(http.StatusConflict, "job_ended")
		finished := startJob(s, changes{"action": "deactivate", "userIds": ids[:1]})
		s.RunJobs()
		s.Do(http.MethodPost, finished+"/cancel", nil).WantProblem(http.StatusConflict, "job_ended")
		// In the middle of a turn.
		last := startJob(s, changes{"action": "activate", "userIds": ids})
		_, err := s.Service.WorkOnJob(t.Context(), func(identity.Job, identity.JobItem) {
			s.Do(http.MethodPost, last+"/cancel", nil).Want(http.StatusOK)
		})
		if err != nil {
			t.Error(err)
		}
		wantState(t, s, last, "cancelled total=25 done=1")
	})
}

// TestJobShutdown checks that a worker that is told to end finishes the user at hand, and that the
// job goes on at once.
func TestJobShutdown(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		path := startJob(s, changes{"action": "deactivate", "userIds": createUsers(s, 5)})
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := s.Service.WorkOnJob(ctx, func(identity.Job, identity.JobItem) { cancel() }); err != nil {
			t.Error(err)
		}
		wantState(t, s, path, "running total=5 done=1")
		s.RunJobs()
		wantState(t, s, path, "finished total=5 done=5")
	})
}

// TestJobInternalErrors checks that a user whose change goes wrong does not hold up the others.
func TestJobInternalErrors(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		ids := createUsers(s, 2)
		path := startJob(s, changes{"action": "deactivate", "userIds": ids})
		apitest.BreakEvents(t, engine, apitest.OpenDatabase(t, engine, url))
		s.RunJobs()
		wantItems(t, s, path, map[int64]string{ids[0]: "failed internal_error", ids[1]: "failed internal_error"})
		if n := apitest.CountRows(t, engine, url, "users", "NOT active"); n != 0 {
			t.Errorf("%d users are inactive", n)
		}
	})
}

// TestJobsKeepWhatOthersChange lets two callers put the same users into two groups at once: a list of
// groups that was read before the other's change must not be written after it.
func TestJobsKeepWhatOthersChange(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		ids := createUsers(s[0], 2*turn)
		groups := []int64{s[0].CreateGroup("One"), s[0].CreateGroup("Two")}
		var working sync.WaitGroup
		for i, server := range s {
			as := apitest.As(server.CreateToken(0, apitest.AllPermissions()))
			startJob(server, changes{"action": "add_to_group", "groupId": groups[i], "userIds": ids}, as)
		}
		for _, server := range s {
			working.Go(server.RunJobs)
		}
		working.Wait()
		for _, server := range s { // a busy database may have kept a worker from its turn
			server.Clock.Advance(time.Minute)
			server.RunJobs()
		}
		for _, id := range ids {
			user := s[0].Do(http.MethodGet, apitest.UserPath(id), nil).Object()
			if fmt.Sprint(user["groups"]) != fmt.Sprint(groups) {
				t.Errorf("user %d is in %v", id, user["groups"])
			}
		}
	})
}
