package store

import (
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
