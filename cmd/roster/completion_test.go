package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCompletion checks, in bash, what a word can become. There is no server.
func TestCompletion(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	contexts := filepath.Join(folder, "roster")
	if err := os.Mkdir(contexts, 0o700); err != nil {
		t.Fatal(err)
	}
	file := `{"current": "work", "contexts": [{"name": "work", "url": "https://x"}, {"name": "other one"}]}`
	if err := os.WriteFile(filepath.Join(contexts, "contexts.json"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	run := shellIn(t, folder)
	for words, want := range map[string][]string{
		"roster us":                                  {"user", "users"},
		"roster users de":                            {"deactivate", "delete"},
		"roster users list --s":                      {"--search", "--sort", "--status"},
		"roster users list --status ":                {"active", "any", "inactive"},
		"roster users list -o js":                    {"json"},
		"roster --addr x users list --context ":      {"other one", "work"},
		"roster users get mary@example.com --con":    {"--context"},
		"roster users list --database":               nil,
		"roster token list --database-u":             {"--database-url"},
		"roster completion ":                         {"bash", "fish", "zsh"},
		"roster tokens revoke --y":                   {"--yes"},
		"roster nothing like that ":                  nil,
		"roster comple":                              {"completion"},
		"roster users list --name $(touch hacked) -": nil,
	} {
		// bash gives the words of the line to the function, of which the last is what is being typed.
		quoted := "'" + strings.ReplaceAll(words, " ", "' '") + "'"
		line := `source <(roster completion bash); COMP_WORDS=(` + quoted + `); ` +
			`COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _roster; printf '%s\n' "${COMPREPLY[@]}"`
		stdout, stderr, ok := output(t, run(line, ""))
		got := strings.Split(strings.TrimSpace(stdout), "\n")
		if got[0] == "" {
			got = nil
		}
		if strings.HasSuffix(words, "-") {
			got = nil // all flags; it matters that nothing was run
		}
		if !ok || !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q%s", words, got, want, stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(folder, "hacked")); err == nil {
		t.Error("a word that is completed was run")
	}
}
