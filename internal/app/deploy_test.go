package app

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/config"
	"github.com/rosterhq/roster/internal/secret"
)

// TestMetricsOfDeploy checks that every metric in the rules, the dashboard and the
// documentation is one that Roster reports.
func TestMetricsOfDeploy(t *testing.T) {
	t.Parallel()
	a, err := New(t.Context(), Options{
		Config: &config.Config{
			DatabaseURL: "sqlite:" + filepath.Join(t.TempDir(), "roster.db"), Migrate: true, BcryptCost: secret.MinCost,
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	// A metric with labels is reported from its first value on.
	a.Server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", http.NoBody))
	answer := httptest.NewRecorder()
	a.metrics.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	reported := answer.Body.String() + " roster_outbox_attempts_total roster_outbox_messages roster_outbox_oldest_pending_seconds"
	name := regexp.MustCompile(`\b(roster|go|process)_[a-z]+(_[a-z]+)+\b`)
	for _, file := range []string{"deploy/alerts.yaml", "deploy/grafana.json", "docs/operating.md"} {
		content, err := os.ReadFile(filepath.Join("../..", file))
		if err != nil {
			t.Fatal(err)
		}
		names := name.FindAllString(string(content), -1)
		if len(names) < 5 {
			t.Errorf("%s names %v", file, names)
		}
		for _, name := range names {
			if !strings.Contains(reported, name) {
				t.Errorf("%s: there is no metric %s", file, name)
			}
		}
	}
}
