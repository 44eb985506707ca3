package jobs_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterhq/roster/internal/api/apitest"
)

type changes = map[string]any

func start(s *apitest.Server, body changes) string {
	path := fmt.Sprintf("%s/%d", apitest.JobsPath,
		s.Do(http.MethodPost, apitest.JobsPath, body).Want(http.StatusCreated).ID())
	s.Do(http.MethodPost, path+"/start", nil).Want(http.StatusAccepted)
	return path
}

// TestRun checks that a worker takes up what is started, before it and while it runs, and that it ends.
func TestRun(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		user := s.CreateUser("mary@example.com")
		before := start(s, changes{"action": "deactivate", "userIds": []int64{user}})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { s.JobWorker().Run(ctx) })
		await(s, before)
		await(s, start(s, changes{"action": "delete", "userIds": []int64{user}}))
		cancel()
		running.Wait()
		s.Do(http.MethodGet, apitest.UserPath(user), nil).Want(http.StatusNotFound)
	})
}

// await returns when a job is finished.
func await(s *apitest.Server, path string) {
	for s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Object()["state"] != "finished" {
	}
}

// TestMetrics checks what is counted, by action and result.
func TestMetrics(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		ids := []int64{s.CreateUser("a@example.com"), s.CreateUser("b@example.com"), 99}
		start(s, changes{"action": "deactivate", "userIds": ids})
		start(s, changes{"action": "deactivate", "userIds": ids[:1]})
		s.RunJobs()
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(s.JobWorker())
		families, err := registry.Gather()
		if err != nil || len(families) != 1 || families[0].GetName() != "roster_job_users_total" {
			t.Fatalf("%v %v", families, err)
		}
		got := map[string]float64{}
		for _, metric := range families[0].GetMetric() {
			key := ""
			for _, label := range metric.GetLabel() {
				key += label.GetValue() + " "
			}
			if value := metric.GetCounter().GetValue(); value != 0 {
				got[key] = value
			}
		}
		want := map[string]float64{"deactivate done ": 2, "deactivate skipped ": 1, "deactivate unchanged ": 1}
		if !maps.Equal(got, want) {
			t.Errorf("%v", got)
		}
	})
}
