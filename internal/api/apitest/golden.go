package apitest

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
)

var update = flag.Bool("update", false, "write the goldens instead of comparing with them")

// Golden compares the body, which must be JSON, with a file in testdata/golden of the
// test's package. White space makes no difference, the order of fields does. It does not
// check the status: see Want.
func (a *Answer) Golden(name string) *Answer {
	a.tb.Helper()
	path := filepath.Join("testdata", "golden", name+".json")
	var got, want bytes.Buffer
	if err := json.Indent(&got, bytes.TrimSpace(a.Body), "", "  "); err != nil {
		a.tb.Fatalf("%s: %v in %s", a.call, err, a.Body)
	}
	if *update {
		if err := os.WriteFile(path, append(got.Bytes(), '\n'), 0o600); err != nil {
			a.tb.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path) //nolint:gosec // the test's own
	if err != nil {
		a.tb.Fatal(err)
	}
	if err := json.Indent(&want, bytes.TrimSpace(kept), "", "  "); err != nil {
		a.tb.Fatalf("%s: %v", path, err)
	}
	if got.String() != want.String() {
		a.tb.Errorf("%s: got %s\nwant %s of %s", a.call, got.String(), want.String(), path)
	}
	return a
}
