package store

import (
	"os"
	"testing"
)

// TestMain makes a few hundred matches many, so that small lists take the ways
// of big ones, too.
func TestMain(m *testing.M) {
	broadMatches = 200
	countedEvents = 300
	os.Exit(m.Run())
}

// LowerPageBytes lowers the bound of a page until the end of a test, which must not
// run beside others.
func LowerPageBytes(t *testing.T, bytes int) {
	before := maxPageBytes
	maxPageBytes = bytes
	t.Cleanup(func() { maxPageBytes = before })
}
