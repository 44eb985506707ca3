// Package jobs runs the jobs that callers have started: it calls the service until no job needs
// a worker, and counts the results. Any number of workers may share one database.
package jobs

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

// pollInterval is how often a worker looks for jobs by default.
const pollInterval = time.Second

// Worker runs jobs. It collects the metric roster_job_users_total.
type Worker struct {
	*prometheus.CounterVec

	service *service.Service
	logger  *slog.Logger
	poll    time.Duration
}

// New returns a worker for the jobs of a service. poll is how often it looks for jobs, 0 for
// a second.
func New(s *service.Service, logger *slog.Logger, poll time.Duration) *Worker {
	w := &Worker{
		CounterVec: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roster_job_users_total", Help: "Users that jobs of this process have worked on.",
		}, []string{"action", "result"}),
		service: s, logger: logger, poll: cmp.Or(poll, pollInterval),
	}
	for _, action := range identity.JobActions { // reported as 0 from the start
		for _, state := range identity.JobItemStates {
			if state != identity.ItemPending {
				w.WithLabelValues(string(action), string(state))
			}
		}
	}
	return w
}

// Run runs jobs until ctx ends, and returns after the user at hand.
func (w *Worker) Run(ctx context.Context) {
	ticker := time.NewTicker(w.poll)
	defer ticker.Stop()
	for {
		for w.Step(ctx) && ctx.Err() == nil {
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Step gives one job its turn. It returns false if no job needs a worker, or after an error, which
// it logs.
func (w *Worker) Step(ctx context.Context) bool {
	worked, err := w.service.WorkOnJob(ctx, func(job identity.Job, item identity.JobItem) {
		w.WithLabelValues(string(job.Action), string(item.State)).Inc()
	})
	if err != nil && ctx.Err() == nil {
		w.logger.WarnContext(ctx, "working on a job", "error", err)
	}
	return worked && err == nil
}
