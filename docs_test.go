package roster

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityNamesTests checks that each test that docs/security.md names exists in
// the package that it names.
func TestSecurityNamesTests(t *testing.T) {
	t.Parallel()
	const pattern = "^func (Test|Fuzz)[A-Za-z0-9]+|^package [a-z_]+"
	found, err := exec.CommandContext(t.Context(), "git", "grep", "-hoE", pattern, "--", "*_test.go").Output()
	if err != nil {
		t.Skip("git grep failed, this may be no checkout:", err)
	}
	tests, folder := map[string]bool{}, ""
	for line := range strings.Lines(string(found)) {
		kind, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if kind == "package" {
			folder = strings.TrimSuffix(name, "_test")
			continue
		}
		tests[folder+"."+name] = true
	}
	namePattern := regexp.MustCompile("`(?:([a-z/]+)\\.)?((?:Test|Fuzz)[A-Za-z0-9]+)`")
	named := namePattern.FindAllStringSubmatch(readFile(t, "docs/security.md"), -1)
	if len(named) < 50 {
		t.Errorf("%d tests are named", len(named))
	}
	for _, match := range named {
		folder := match[1]
		if folder == "cmd/roster" {
			folder = "main"
		}
		if !tests[folder+"."+match[2]] {
			t.Errorf("there is no test %s in %s", match[2], folder)
		}
	}
}

// TestChangelog checks the format of Keep a Changelog: the unreleased changes first, then each
// version with its date and its link, and changes under the six headings only.
func TestChangelog(t *testing.T) {
	t.Parallel()
	text := readFile(t, "CHANGELOG.md")
	headings := regexp.MustCompile(`(?m)^##+ .*`).FindAllString(text, -1)
	if len(headings) < 2 || headings[0] != "## [Unreleased]" {
		t.Fatalf("%q", headings)
	}
	kind := regexp.MustCompile(`^### (Added|Changed|Deprecated|Removed|Fixed|Security)$`)
	version := regexp.MustCompile(`^## \[([0-9]+\.[0-9]+\.[0-9]+)\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	names := []string{"Unreleased"}
	for _, heading := range headings[1:] {
		if match := version.FindStringSubmatch(heading); match != nil {
			names = append(names, match[1])
		} else if !kind.MatchString(heading) {
			t.Errorf("%q", heading)
		}
	}
	for _, name := range names {
		if !strings.Contains(text, "\n["+name+"]: https://github.com/rosterhq/roster/") {
			t.Errorf("%s has no link", name)
		}
	}
}
