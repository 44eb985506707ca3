package outbox

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/store"
)

// outcome is the result of an attempt.
type outcome string

const (
	sent     outcome = "sent"
	failed   outcome = "failed"   // to be tried again
	dead     outcome = "dead"     // failed for good
	expired  outcome = "expired"  // not tried
	released outcome = "released" // interrupted by the end of the process
	unknown  outcome = "unknown"  // not recorded: the message is sent again when the lease has expired
)

// Metrics collects the metrics of the outbox: the attempts of this process, and the backlog
// in the database, which each collection reads.
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
		messages: prometheus.NewDesc("roster_outbox_messages",
			"Messages that have not arrived: pending, or dead.", []string{"kind", "state"}, nil),
		oldest: prometheus.NewDesc("roster_outbox_oldest_pending_seconds",
			"Age of the oldest pending message.", []string{"kind"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) {
	m.attempts.Describe(descriptions)
	descriptions <- m.messages
	descriptions <- m.oldest
}

// Collect implements prometheus.Collector. While the database is unavailable it leaves the
// backlog out.
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	m.attempts.Collect(metrics)
	const timeout = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
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

// count counts an attempt. It may be called on nil.
func (m *Metrics) count(channel delivery.Channel, o outcome) {
	if m != nil {
		m.attempts.WithLabelValues(string(channel), string(o)).Inc()
	}
}
