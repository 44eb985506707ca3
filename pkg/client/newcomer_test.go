package client_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// TestNewcomersProgram runs the example, and holds it to 25 lines. It changes the environment and the standard output,
// so it is not parallel.
func TestNewcomersProgram(t *testing.T) {
	for _, engine := range storetest.Engines {
		s := apitest.New(t, storetest.URL(t, engine))
		s.CreateUser("inactive@example.com", map[string]any{"active": false})
		t.Setenv("ROSTER_URL", s.URL)
		t.Setenv("ROSTER_TOKEN", apitest.AdminToken)
		if got, want := output(t, Example), "2 Mary Ann mary@example.com\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "example_test.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, declared := range file.Decls {
		if f, ok := declared.(*ast.FuncDecl); ok {
			if lines := files.Position(f.End()).Line - files.Position(f.Pos()).Line + 1; lines > 25 {
				t.Errorf("%s has %d lines", f.Name, lines)
			}
		}
	}
}

// output returns what a function prints.
func output(t *testing.T, f func()) string {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	stdout := os.Stdout
	os.Stdout = file
	defer func() { os.Stdout = stdout }()
	f()
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	printed, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(printed)
}
