package roster_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rosterhq/roster"

// arrows holds the imports within the module that each package is allowed. A package
// that is not listed is allowed none; those in free are allowed all.
var arrows = map[string][]string{
	"cmd/roster": {"internal/app", "internal/config", "internal/identity", "internal/service"},
	"internal/app": {
		"internal/config", "internal/httpserver", "internal/outbox", "internal/mail", "internal/webhook",
		"internal/api", "internal/api/backoffice", "internal/api/firefly", "internal/api/powens",
		"internal/service", "internal/store", "internal/secret", "internal/identity",
	},
	"internal/secret":         {"internal/identity"},
	"internal/store":          {"db", "internal/identity"},
	"internal/service":        {"internal/store", "internal/secret", "internal/identity", "pkg/webhooksig"},
	"internal/outbox":         {"internal/store", "internal/identity"},
	"internal/api":            {"internal/identity"},
	"internal/api/backoffice": {"", "internal/api", "internal/service", "internal/identity", "internal/secret"},
	"internal/api/firefly":    {"internal/api", "internal/service", "internal/identity"},
	"internal/api/powens":     {"internal/api", "internal/service", "internal/identity"},
	"internal/httpserver":     {"internal/api", "internal/identity"},
	"internal/mail":           {"internal/identity"},
	"internal/webhook":        {"internal/identity", "pkg/webhooksig"},
	"internal/config":         {"internal/identity", "internal/secret"},
	"pkg/rosterhttp":          {"pkg/client"},
}

// free holds the prefixes of the packages that only tests and benchmarks use.
var free = []string{
	"test/", "internal/api/apitest", "internal/store/storetest", "internal/pgtest", "internal/mail/mailtest",
}

// foreign holds the packages that are allowed to import each of these modules.
var foreign = map[string][]string{
	"github.com/jmoiron/sqlx":  {"internal/store"},
	"github.com/lib/pq":        {"internal/store"},
	"modernc.org/sqlite":       {"internal/store"},
	"github.com/pressly/goose": {"internal/store"},
	"golang.org/x/crypto":      {"internal/secret"},
	"github.com/pquerna/otp":   {"internal/secret"},
	"github.com/labstack/echo": {
		"internal/api", "internal/api/backoffice", "internal/api/firefly", "internal/api/powens", "internal/httpserver",
	},
	"github.com/go-playground":     {"internal/api"},
	"github.com/prometheus":        {"internal/httpserver", "internal/store", "internal/outbox"},
	"github.com/alecthomas/kong":   {"cmd/roster"},
	"go.opentelemetry.io":          {"internal/httpserver"},
	"github.com/XSAM/otelsql":      {"internal/store"},
	"github.com/wneessen/go-mail":  {"internal/mail"},
	"golang.org/x/net":             {"internal/identity", "internal/mail"},
	"code.dny.dev/ssrf":            {"internal/webhook"},
	"github.com/getkin/kin-openap": nil, // only tests import this and the next two
	"github.com/standard-webhooks": nil,
	"github.com/emersion":          nil,
}

func TestArrows(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	output, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for decoder := json.NewDecoder(bytes.NewReader(output)); decoder.More(); {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		seen[name] = true
		if slices.ContainsFunc(free, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			continue
		}
		for _, imported := range p.Imports {
			checkImport(t, name, imported)
		}
	}
	for name := range arrows {
		if !seen[name] {
			t.Errorf("%s is gone: take it off the list", name)
		}
	}
}

func checkImport(t *testing.T, name, imported string) {
	t.Helper()
	if inner, ok := strings.CutPrefix(imported, module); ok {
		if !slices.Contains(arrows[name], strings.TrimPrefix(inner, "/")) {
			t.Errorf("%s must not import %s", name, imported)
		}
		return
	}
	if name == "internal/identity" && strings.Contains(imported, ".") && imported != "golang.org/x/net/idna" {
		t.Errorf("identity imports the standard library and golang.org/x/net/idna only, not %s", imported)
	}
	if strings.HasPrefix(name, "pkg/") && strings.Contains(imported, ".") {
		t.Errorf("%s is for other programs: it imports the standard library only, not %s", name, imported)
	}
	for prefix, users := range foreign {
		if strings.HasPrefix(imported, prefix) && !slices.Contains(users, name) {
			t.Errorf("%s must not import %s", name, imported)
		}
	}
}

// TestNoWireNamesInTheCore checks that the core has no JSON names: those belong to the
// dialects.
func TestNoWireNamesInTheCore(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"identity", "service", "store"} {
		files, err := filepath.Glob(filepath.Join("internal", folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", folder, err)
		}
		for _, file := range files {
			tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, tag := range structTags(tree) {
				if strings.Contains(tag, "json:") {
					t.Errorf("%s: %s", file, tag)
				}
			}
		}
	}
}

func structTags(tree ast.Node) []string {
	var tags []string
	ast.Inspect(tree, func(node ast.Node) bool {
		if field, ok := node.(*ast.Field); ok && field.Tag != nil {
			tags = append(tags, field.Tag.Value)
		}
		return true
	})
	return tags
}

// TestSQLiteHasItsOwnLibc checks that go.mod has the version of libc that
// modernc.org/sqlite requires. It works with that version only, and another module
// can raise it silently.
func TestSQLiteHasItsOwnLibc(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.GoMod}}", "modernc.org/sqlite")
	path, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := os.ReadFile(strings.TrimSpace(string(path)))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	libc := regexp.MustCompile(`modernc\.org/libc v\S+`)
	if got, want := libc.FindString(string(ours)), libc.FindString(string(wanted)); got != want || got == "" {
		t.Errorf("go.mod has %s, SQLite wants %s", got, want)
	}
}
