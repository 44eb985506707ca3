package store

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/pgtest"
)

// TestGrantsGoByTheirIndex checks that a token, which may be made up, is looked up in its index. The user and the
// session are joined to what is found there.
func TestGrantsGoByTheirIndex(t *testing.T) {
	t.Parallel()
	for engine, url := range map[string]string{
		"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "roster.db"), "postgres": pgtest.New(t),
	} {
		t.Run(engine, func(t *testing.T) {
			if _, err := Migrate(t.Context(), url); err != nil {
				t.Fatal(err)
			}
			s, err := Open(url, Options{MaxConns: 1})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			time, explain := "0", "EXPLAIN QUERY PLAN "
			want, scan := "SEARCH tokens USING INDEX tokens_digest (digest=?)", "SCAN tokens"
			if engine == "postgres" {
				time, explain = "'2026-01-01Z'::timestamptz", "EXPLAIN "
				want, scan = "Index Scan using tokens_digest on tokens", "Seq Scan on tokens"
			}
			for _, statement := range []string{
				`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
				INSERT INTO tokens (name, digest, permissions, can_view_masked_data, allow_list, created_at, expires_at)
				SELECT 'x', 'digest' || i, '', false, '', ` + time + ", " + time + " FROM n", "ANALYZE",
			} {
				if _, err := s.write.db.ExecContext(t.Context(), statement); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
			plan := planOf(t, s, explain+grantByDigest, []any{"unknown"})
			if !strings.Contains(plan, want) || strings.Contains(plan, scan) {
				t.Errorf("%s\nwant %s", plan, want)
			}
		})
	}
}
