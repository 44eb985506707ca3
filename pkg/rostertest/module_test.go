package rostertest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFromAnotherModule runs the test of a program of another module. That module names no
// dependency but Roster; their checksums are those of this module.
func TestFromAnotherModule(t *testing.T) {
	t.Parallel()
	const folder = "../../test/othermodule"
	scratch := t.TempDir()
	for from, to := range map[string]string{folder + "/go.mod": "go.mod", "../../go.sum": "go.sum"} {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(scratch, to), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "-mod=mod",
		"-modfile="+filepath.Join(scratch, "go.mod"), ".")
	command.Dir = folder
	command.Env = append(os.Environ(), "GOWORK=off")
	output, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "--- PASS: TestNewUser") {
		t.Errorf("%v\n%s", err, output)
	}
}
