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
	"cmd/roster": {
		"internal/app", "internal/cli", "internal/config", "internal/delivery", "internal/ephemeral", "internal/identity",
		"internal/service",
	},
	"internal/cli": {"internal/userfile", "pkg/client"},
	"internal/ephemeral": {
		"internal/app", "internal/config", "internal/delivery", "internal/identity", "internal/mail", "internal/secret",
		"internal/service", "internal/store",
	},
	"internal/app": {
		"internal/config", "internal/httpserver", "internal/outbox", "internal/jobs", "internal/mail", "internal/webhook",
		"internal/api", "internal/api/backoffice", "internal/api/firefly", "internal/api/powens",
		"internal/console", "internal/service", "internal/store", "internal/secret", "internal/identity", "internal/delivery",
	},
	"internal/secret":   {"internal/identity"},
	"internal/delivery": {"internal/identity"},
	"internal/store":    {"db", "internal/identity", "internal/delivery"},
	"internal/notify":   {"internal/store", "internal/delivery", "internal/identity"},
	"internal/service": {
		"internal/notify", "internal/store", "internal/secret", "internal/identity", "internal/delivery", "pkg/webhooksig",
	},
	"internal/outbox":         {"internal/store", "internal/identity", "internal/delivery"},
	"internal/jobs":           {"internal/service", "internal/identity"},
	"internal/api":            {"internal/identity", "internal/delivery", "internal/userfile"},
	"internal/api/backoffice": {"", "internal/api", "internal/service", "internal/identity", "internal/delivery", "internal/secret"},
	"internal/api/firefly":    {"internal/api", "internal/service", "internal/identity"},
	"internal/api/powens":     {"internal/api", "internal/service", "internal/identity", "internal/delivery"},
	"internal/userfile":       {"internal/identity"},
	"internal/console":        {"internal/api", "internal/service", "internal/identity", "internal/delivery"},
	"internal/httpserver":     {"internal/api", "internal/identity"},
	"internal/mail":           {"internal/identity", "internal/delivery"},
	"internal/webhook":        {"internal/identity", "internal/delivery", "pkg/webhooksig"},
	"internal/config":         {"internal/identity", "internal/secret"},
	"pkg/rosterhttp":          {"pkg/client"},
	"pkg/rostertest":          {"internal/ephemeral", "internal/secret", "pkg/client", "pkg/webhooksig"},
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
	"github.com/go-crypt":      {"internal/secret"},
	"github.com/pquerna/otp":   {"internal/secret"},
	"github.com/labstack/echo": {
		"internal/api", "internal/api/backoffice", "internal/api/firefly", "internal/api/powens", "internal/httpserver",
		"internal/console",
	},
	"github.com/go-playground":      {"internal/api"},
	"github.com/prometheus":         {"internal/httpserver", "internal/store", "internal/outbox", "internal/jobs"},
	"github.com/alecthomas/kong":    {"cmd/roster", "internal/cli"},
	"github.com/gofrs/flock":        {"internal/cli"},
	"github.com/mattn/go-runewidth": {"internal/cli"},
	"github.com/vbauerster/mpb":     {"internal/cli"},
	"github.com/creack/pty":         nil,
	"go.opentelemetry.io":           {"internal/httpserver"},
	"github.com/XSAM/otelsql":       {"internal/store"},
	"github.com/wneessen/go-mail":   {"internal/mail"},
	"golang.org/x/net":              {"internal/identity", "internal/mail"},
	"code.dny.dev/ssrf":             {"internal/webhook"},
	"github.com/oasdiff":            {"internal/httpserver", "internal/cli"},
	"github.com/goccy/go-yaml":      {"internal/ephemeral"},
	"github.com/getkin/kin-openap":  nil, // only tests import this and the next two
	"github.com/standard-webhooks":  nil,
	"github.com/emersion":           nil,
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

// TestOneEmit checks that only emit in service records events, so that no operation can
// forget the webhooks.
func TestOneEmit(t *testing.T) {
	t.Parallel()
	var files []string
	for _, pattern := range []string{"internal/*/*.go", "internal/*/*/*.go", "cmd/*/*.go", "test/*/*.go"} {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, matches...)
	}
	var callers []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range tree.Decls {
			ast.Inspect(declaration, func(node ast.Node) bool {
				if selector, ok := node.(*ast.SelectorExpr); ok && selector.Sel.Name == "Emit" {
					name := "a variable"
					if function, ok := declaration.(*ast.FuncDecl); ok {
						name = function.Name.Name
					}
					callers = append(callers, file+": "+name)
				}
				return true
			})
		}
	}
	if want := []string{"internal/service/service.go: emit"}; !slices.Equal(callers, want) {
		t.Errorf("tx.Emit is called by %v, want %v", callers, want)
	}
}

// TestOneDouble checks that only internal/ephemeral makes an app a test double, whose secrets can
// be known beforehand, and that only app passes the randomness on.
func TestOneDouble(t *testing.T) {
	t.Parallel()
	const pattern = `\bDouble\s*(:|=[^=]|\{)|\b(Random|Unthrottled)\s*(:|=[^=])|\bNewChaCha8\(|\bephemeral\.Start\(`
	output, err := exec.CommandContext(t.Context(), "git", "grep", "-nE", pattern, "--", "*.go").Output()
	if err != nil {
		t.Skip("git grep failed, this may be no checkout:", err)
	}
	allowed := regexp.MustCompile(`^(internal/ephemeral/|[a-z/]*_test\.go:|cmd/roster/double\.go:.*ephemeral\.Start|` +
		`pkg/rostertest/rostertest\.go:.*ephemeral\.Start|internal/app/app\.go:.*double\.Random|` +
		`internal/app/app\.go:[0-9]+:\s+double := Double\{Throttled: true\}|` +
		`internal/service/service\.go:.*options\.Random = func\(int64\) io\.Reader \{ return rand\.Reader \})`)
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	if len(lines) < 5 {
		t.Errorf("%d places", len(lines))
	}
	for _, line := range lines {
		if !allowed.MatchString(line) {
			t.Errorf("predictable secrets: %s", line)
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

// TestFieldNamesAreConstants checks that service and store name fields by the constants of
// identity. It looks at the places that take the name of a field; a literal of two words,
// such as expiresAt, is such a name anywhere.
func TestFieldNamesAreConstants(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"service", "store"} {
		files, err := filepath.Glob(filepath.Join("internal", folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", folder, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			tree, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, literal := range fieldLiterals(tree) {
				t.Errorf("%s: %s: use a constant of internal/identity/fields.go", set.Position(literal.Pos()), literal.Value)
			}
		}
	}
}

var (
	fieldName    = regexp.MustCompile(`^"[a-z][A-Za-z]*(\[.*)?"$`)
	twoWordsName = regexp.MustCompile(`^"[a-z]+([A-Z][a-z]*)+"$`)
)

// fieldLiterals returns the literals of a file that name a field.
func fieldLiterals(tree ast.Node) []*ast.BasicLit {
	var found []*ast.BasicLit
	check := func(pattern *regexp.Regexp, expressions ...ast.Expr) {
		for _, expression := range expressions {
			literal, ok := expression.(*ast.BasicLit)
			if ok && literal.Kind == token.STRING && pattern.MatchString(literal.Value) && !slices.Contains(found, literal) {
				found = append(found, literal)
			}
		}
	}
	ast.Inspect(tree, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.CallExpr:
			switch nameOf(node.Fun) {
			case "InvalidField", "WithField":
				check(fieldName, node.Args[0])
			case "verifyPassword", "errWrongPassword":
				check(fieldName, node.Args[len(node.Args)-1])
			}
		case *ast.IndexExpr:
			if nameOf(node.X) == "changes" || nameOf(node.X) == "Changes" {
				check(fieldName, node.Index)
			}
		case *ast.CompositeLit:
			for _, element := range node.Elts {
				pair, ok := element.(*ast.KeyValueExpr)
				switch {
				case !ok:
				case nameOf(node.Type) == "Changes":
					check(fieldName, pair.Key)
				case nameOf(pair.Key) == "Field":
					check(fieldName, pair.Value)
				}
			}
		case *ast.BasicLit:
			check(twoWordsName, node)
		}
		return true
	})
	return found
}

// nameOf returns the last name of an expression such as identity.Changes, or "".
func nameOf(expression ast.Expr) string {
	switch expression := expression.(type) {
	case *ast.Ident:
		return expression.Name
	case *ast.SelectorExpr:
		return expression.Sel.Name
	}
	return ""
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
