package ephemeral_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/ephemeral"
)

// TestSeedMistakes checks that each mistake in a seed is told with its line and its field, by the
// rules of the service, and that nothing starts.
func TestSeedMistakes(t *testing.T) {
	t.Parallel()
	const user = "users:\n  - name: Mary\n    email: mary@example.com\n    password: seven-Kettles-by-the-sea\n"
	for seed, want := range map[string]string{
		"people: []":                       `seed.yaml:1: there is no list "people", but groups, users`,
		"users: 7":                         "seed.yaml:1: users must be a list",
		"users:\n  - Mary":                 "seed.yaml:2: users[0]: it must have keys and values",
		"- a":                              "seed.yaml:1: a seed has the lists",
		"users: []\n---\nusers: []":        "seed.yaml:3: a seed is one document",
		"users:\n  - name: [":              "seed.yaml:2: ",
		"users:\n  - name: a\n    name: b": "seed.yaml:3: ",
		"\tusers: []":                      "seed.yaml:1: ",
		user + "    nickname: May":         "seed.yaml:5: users[0].nickname: ",
		user + "    phone: x":              "seed.yaml:5: users[0].phone: ",
		user + "    groups: [Support]":     `seed.yaml:5: users[0].groups: there is no group "Support" in the seed`,
		user + "    groups: [77]":          "seed.yaml:5: users[0].groups: ",
		user + "    factor: x":             "seed.yaml:5: users[0].factor: must be the secret of an authenticator",
		user + "    factor: 7":             "seed.yaml:5: users[0].factor: must be the secret of an authenticator",
		user + "    active: maybe":         "seed.yaml:5: users[0].active: ",
		user + "    clientTags: [.nan]":    "seed.yaml:2: users[0]: it has a value that JSON has not",
		user + "  - name: Ann\n    email: MARY@example.com\n    password: seven-Kettles-by-the-sea": "seed.yaml:6: users[1].email: ",
		"users:\n  - name: Mary\n    password: seven-Kettles-by-the-sea":                            "seed.yaml:2: users[0].email: ",
		"users:\n  - name: Mary\n    email: m@example.com\n    password: password":                  "seed.yaml:4: users[0].password: ",
		"groups:\n  - name: Support\n    permissions: [users.fly]":                                  "seed.yaml:3: groups[0].permissions: ",
		"tokens:\n  - name: shop\n    permissions: []\n    user: mary@example.com":                  `seed.yaml:4: tokens[0].user: there is no user "mary@example.com" in the seed`,
		"webhooks:\n  - url: http://10.0.0.1/\n    events: [USER_CREATED]":                          "seed.yaml:2: webhooks[0].url: ",
		"# " + strings.Repeat("x", 4<<20):                                                           "seed.yaml:1: a seed has at most 4 MiB",
	} {
		d, err := ephemeral.Start(t.Context(), ephemeral.Options{Seed: []byte(seed), SeedName: "seed.yaml"})
		if err == nil {
			_ = d.Close()
			t.Errorf("%.200s: no error", seed)
		} else if !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.200s:\n%v, want\n%s", seed, err, want)
		}
	}
	for _, seed := range []string{"", "# nothing", "---", "users:", "users: []\ngroups: []", "{}"} {
		start(t, ephemeral.Options{Seed: []byte(seed), SeedName: "seed.yaml"})
	}
}

// TestSeedOfTheDocumentation checks that the seed of docs/testing.md can be used.
func TestSeedOfTheDocumentation(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "testing.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n# fixtures.yaml\n")
	seed, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("there is none")
	}
	d := start(t, ephemeral.Options{Seed: []byte(seed), SeedName: "fixtures.yaml"})
	if status, body := do(t, d, http.MethodGet, "/api/v2/users/count", ""); status != http.StatusOK ||
		!strings.Contains(body, `"total":2`) {
		t.Errorf("%d %s", status, body)
	}
	if d.Tokens["shop"] == "" || len(d.Secrets) != 1 {
		t.Errorf("%v %v", d.Tokens, d.Secrets)
	}
}
