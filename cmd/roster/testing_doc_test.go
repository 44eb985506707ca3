package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// block returns the code of docs/testing.md that begins with a text.
func block(t *testing.T, begin string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile("(?s)```[a-z]+\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		if strings.HasPrefix(found[1], begin) {
			return found[1]
		}
	}
	t.Fatalf("docs/testing.md has no code that begins with %q", begin)
	return ""
}

// project returns a folder with the seed of docs/testing.md, and an environment in which this
// binary is roster.
func project(t *testing.T) (folder string, env []string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder = t.TempDir()
	for name, content := range map[string]string{
		"fixtures.yaml": block(t, "# fixtures.yaml"),
		"roster":        "#!/bin/sh\nTEST_RUN_ROSTER=1 exec " + self + ` "$@"` + "\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return folder, []string{"PATH=" + folder + ":" + os.Getenv("PATH")}
}

// runIn runs a program in a project. The test is skipped if the program is not installed.
func runIn(t *testing.T, program string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skip(err)
	}
	folder, env := project(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, program, args...)
	command.Dir, command.Env = folder, env
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(folder, "roster.log"))
		t.Fatalf("%v: %s%s%s", err, output, &stderr, log)
	}
	return string(output)
}

// TestSamplesOfTesting runs the samples of docs/testing.md.
func TestSamplesOfTesting(t *testing.T) {
	t.Parallel()
	t.Run("Go", func(t *testing.T) {
		t.Parallel()
		test, err := os.ReadFile("../../pkg/rostertest/newcomer_test.go") // which the tests of that package run
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(string(test), block(t, "func TestNewcomer")) {
			t.Error("the sample is not the test of pkg/rostertest")
		}
	})
	t.Run("shell", func(t *testing.T) {
		t.Parallel()
		if _, err := exec.LookPath("jq"); err != nil {
			t.Skip(err)
		}
		if got := runIn(t, "sh", "-c", block(t, "#!/bin/sh")); got != "401\n" {
			t.Errorf("%q", got)
		}
	})
	t.Run("GitHub Actions", func(t *testing.T) {
		t.Parallel()
		var workflow struct {
			Jobs map[string]struct{ Steps []map[string]any }
		}
		err := yaml.Unmarshal([]byte(block(t, "on: push")), &workflow)
		if err != nil || len(workflow.Jobs["test"].Steps) != 4 {
			t.Errorf("%+v, %v", workflow, err)
		}
	})
	t.Run("Playwright", func(t *testing.T) { // its globalSetup, and the calls that its test makes without a browser
		t.Parallel()
		module := block(t, "// roster.setup.mjs") + `
const end = await setup();
const url = process.env.ROSTER_URL;
const headers = { 'Content-Type': 'application/json' };
const body = JSON.stringify({ email: 'ann@example.com', password: 'seven-Kettles-by-the-sea' });
const reset = await fetch(url + '/_test/reset', { method: 'POST' });
const signin = await (await fetch(url + '/api/v2/signin', { method: 'POST', headers, body })).json();
const mails = await (await fetch(url + '/_test/mails?to=ann@example.com&wait=5s')).json();
console.log(reset.status, signin['2faRequired'], /^[0-9]{6}$/.test(mails.at(-1).code));
end();`
		if got := runIn(t, "node", "--input-type=module", "-e", module); got != "204 true true\n" {
			t.Errorf("%q", got)
		}
	})
}
