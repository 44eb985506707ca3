package store

import (
	"path/filepath"
	"testing"

	"github.com/rosterhq/roster/internal/pgtest"
)

// TestSessionParameters: a lost session does not keep its locks for hours, and
// what the operator has put into the URL goes first.
func TestSessionParameters(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	for _, test := range []struct {
		url     string
		options Options
		want    string
	}{
		{url, Options{Prepare: true}, "10s"},
		{url + "&idle_in_transaction_session_timeout=5s", Options{Prepare: true}, "5s"},
		{url, Options{}, "0"},
	} {
		s, err := Open(test.url, test.options)
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if err := s.get(t.Context(), &got, "SHOW idle_in_transaction_session_timeout"); err != nil || got != test.want {
			t.Errorf("%+v: %s, %v; want %s", test.options, got, err, test.want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSQLiteSyncsEachCommit: what was acknowledged, such as a revocation, is
// still so after the power has failed.
func TestSQLiteSyncsEachCommit(t *testing.T) {
	t.Parallel()
	s, err := Open("sqlite:"+filepath.Join(t.TempDir(), "roster.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	const full = 2
	for range 2 {
		var got int
		err := s.InTx(t.Context(), func(tx *Tx) error { return tx.get(t.Context(), &got, "PRAGMA synchronous") })
		if err != nil || got != full {
			t.Errorf("synchronous %d, %v", got, err)
		}
		s.write.db.SetMaxIdleConns(0) // the next connection is another one
	}
}
