package outbox

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/store"
)

// outcome is what became of an attempt.
type outcome string

const (
	sent     outcome = "sent"
	failed   outcome = "failed"   // and is tried again
	dead     outcome = "dead"     // failed for good
	expired  outcome = "expired"  // not tried: of no use any more
	released outcome = "released" // interrupted by the end of the process
	unknown  outcome = "unknown"  // could not be recorded: it is sent again when the lease is over
)

// Metrics are the figures of the outbox: what this process has tried, and what
// waits in the database, which is looked up when somebody asks.
type Metrics struct {
	store    *store.Store
	clock    func() time.Time
	attempts *prometheus.CounterVec
	messages *prometheus.Desc
	oldest   *prometheus.Desc
}

// NewMetrics returns the metrics of the outbox of a store.
func NewMetrics(s *store.Store, clock func() time.Time) *Metrics {
	return &Metrics{
		store: s, clock: clock,
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roster_outbox_attempts_total", Help: "Attempts of this process to deliver a message.",
		}, []string{"kind", "outcome"}),
		messages: prometheus.NewDesc("roster_outbox_messages", "Messages that have not arrived: pending, or dead.", []string{"kind", "state"}, nil),
		oldest:   prometheus.NewDesc("roster_outbox_oldest_pending_seconds", "Age of the oldest pending message.", []string{"kind"}, nil),
	}
}

// Describe is a prometheus.Collector's.
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) {
	m.attempts.Describe(descriptions)
	descriptions <- m.messages
	descriptions <- m.oldest
}

// Collect is a prometheus.Collector's. While the database is away there is no
// figure rather than a wrong one.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	m.attempts.Collect(metrics)
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	backlog, err := m.store.Backlog(ctx)
	if err != nil {
		return
	}
	gauge := func(description *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(description, prometheus.GaugeValue, value, labels...)
	}
	for _, channel := range []delivery.Channel{delivery.ChannelMail, delivery.ChannelWebhook} {
		for _, state := range []delivery.State{delivery.Pending, delivery.Dead} {
			count, age := int64(0), time.Duration(0)
			for _, b := range backlog {
				if b.Channel == channel && b.State == state {
					count, age = b.Count, m.clock().Sub(b.Oldest)
				}
			}
			gauge(m.messages, float64(count), string(channel), string(state))
			if state == delivery.Pending {
				gauge(m.oldest, max(0, age.Seconds()), string(channel))
			}
		}
	}
}

// count may be called on nil.
func (m *Metrics) count(channel delivery.Channel, o outcome) {
	if m != nil {
		m.attempts.WithLabelValues(string(channel), string(o)).Inc()
	}
}
