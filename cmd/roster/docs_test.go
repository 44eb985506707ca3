package main

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/cli"
)

// TestSessionOfTheDocumentation runs the terminal session of docs/cli.md against a new service. Times differ, bars of
// progress are left out, and passwords are typed that nobody sees.
func TestSessionOfTheDocumentation(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	_, session, _ := strings.Cut(string(text), "```text\n")
	session, _, _ = strings.Cut(session, "```\n")
	folder := t.TempDir()
	service := start(t, folder)
	run := shellIn(t, folder, "NO_COLOR=1", "TERM=xterm")
	r := &remote{t: t, folder: folder}
	people := regexp.MustCompile(`(?s)\$ cat people\.csv\n(.*?)\$ `).FindStringSubmatch(session)
	r.file("people.csv", people[1])
	var got strings.Builder
	steps := strings.Split(session, "$ ")[1:]
	for _, step := range steps {
		line, shown, _ := strings.Cut(step, "\n")
		command := run(strings.ReplaceAll(line, "http://localhost:8080", service.base), "")
		command.Stdin = nil
		d := r.talkTo(command)
		for answer := range strings.Lines(shown) {
			question, typed, _ := strings.Cut(strings.TrimSuffix(answer, "\n"), ": ")
			switch {
			case question == "Password", question == "Once more":
				d.expect(question + ": ").send(apitest.Password + "\n")
			case question == "E-mail address", strings.HasSuffix(question, "[y/N]"):
				d.expect(question + ": ").send(typed + "\n")
			}
		}
		got.WriteString("$ " + line + "\n" + d.finish())
	}
	times := regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:]+Z`)
	bars := regexp.MustCompile(`(?m)^.*(\x1b|reading |importing ).*\n`)
	plain := func(text string) string {
		host := strings.TrimPrefix(service.base, "http://")
		text = strings.ReplaceAll(strings.ReplaceAll(text, "\r", ""), host, "localhost:8080")
		return times.ReplaceAllString(bars.ReplaceAllString(text, ""), "2026-01-31T12:00:00Z")
	}
	gotLines, want := strings.Split(plain(got.String()), "\n"), strings.Split(plain(session), "\n")
	for i := range max(len(gotLines), len(want)) {
		if i >= len(gotLines) || i >= len(want) || strings.TrimRight(gotLines[i], " ") != strings.TrimRight(want[i], " ") {
			t.Fatalf("line %d of the session differs:\n%s", i+1, strings.Join(gotLines, "\n"))
		}
	}
	if len(steps) < 10 {
		t.Errorf("the session has %d commands", len(steps))
	}
	service.stop(t)
}

// TestDocumentedExitCodes checks that docs/cli.md has all exit codes.
func TestDocumentedExitCodes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	var codes []int
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(string(text), -1) {
		code, _ := strconv.Atoi(row[1])
		codes = append(codes, code)
	}
	want := []int{
		0, cli.ExitFailure, cli.ExitUsage, cli.ExitNotSignedIn, cli.ExitForbidden, cli.ExitNotFound, cli.ExitConflict,
		cli.ExitInvalid, cli.ExitUnavailable, cli.ExitInterrupted,
	}
	if !slices.Equal(codes, want) {
		t.Errorf("%v, want %v", codes, want)
	}
}
