package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// examples are those in the help of each command, as a shell takes them. TestExamples runs them all, in this order.
var examples = []struct{ command, lines string }{
	{"serve", `roster serve
roster serve --ephemeral --seed fixtures.yaml --clock 2026-01-01T00:00:00Z`},
	{"migrate", "roster migrate"},
	{"backup", "roster backup roster-copy.db"},
	{"config", "roster config"},
	{"healthcheck", "roster healthcheck"},
	{"token create", `roster token create --admin --name "way back in"
roster token create --name CI --permission users.view,users.create --expires-in 7d`},
	{"token list", "roster token list"},
	{"token revoke", "roster token revoke 2"},
	{"user create", `echo "$PASSWORD" | roster user create --name Ann --email ann@example.com --group 1`},
	{"audit prune", "roster audit prune --older-than 400d"},
	{"version", "roster version"},
	{"completion", `source <(roster completion bash)
roster completion zsh > _roster
roster completion fish > roster.fish`},

	{"login", `roster login https://roster.example.com
roster login https://roster.example.com --email mary@example.com --name work`},
	{"contexts list", "roster contexts"},
	{"contexts use", "roster contexts use work"},
	{"whoami", `roster whoami
roster whoami --output json`},
	{"users list", `roster users list --status inactive --sort name
roster users list --group Support --last-signin-before 90d --output csv > idle.csv`},
	{"users get", `roster users get mary@example.com
roster users get me --output json`},
	{"users find", "roster users find mary@example.com 2"},
	{"users create", `echo "$PASSWORD" | roster users create --name Lee --email lee@example.com --group Support
roster users create --name Kim --email kim@example.com --invite`},
	{"users edit", `roster users edit lee@example.com --name "Lee Wong" --add-group Support
EDITOR="code --wait" roster users edit lee@example.com`},
	{"users deactivate", "roster users deactivate lee@example.com kim@example.com --yes"},
	{"users activate", `roster users activate lee@example.com
roster users list --status inactive --output name | xargs roster users activate`},
	{"users sessions", `roster users sessions mary@example.com
roster users sessions lee@example.com --end-all`},
	{"users delete", `roster users delete kim@example.com --dry-run
roster users delete kim@example.com --yes`},
	{"users import", `roster users import people.csv --dry-run
roster users import people.csv --yes --errors failed.ndjson
roster users import team.csv --map "E-Mail=email,Team=groups,Notes=" --yes
roster users import realm.json --from keycloak --yes`},
	{"users export", `roster users export > users.csv
roster users export --status inactive --format ndjson > inactive.ndjson`},
	{"groups list", "roster groups list"},
	{"groups get", "roster groups get Support --output json"},
	{"groups create", "roster groups create --name Audit --permission audit.view,users.view"},
	{"groups edit", `roster groups edit Audit --name Auditors --require-tfa
EDITOR="code --wait" roster groups edit Support`},
	{"groups delete", "roster groups delete Auditors --yes"},
	{"tokens list", "roster tokens list --expires-before 2030-01-01"},
	{"tokens create", "roster tokens create --name CI --permission users.view --expires-in 720h --output json"},
	{"tokens get", "roster tokens get 1"},
	{"tokens delete", "roster tokens delete 2 --yes"},
	{"webhooks list", "roster webhooks list"},
	{"webhooks create", "roster webhooks create https://example.com/hook --event USER_CREATED,USER_DELETED"},
	{"webhooks get", "roster webhooks get 1"},
	{"webhooks edit", `roster webhooks edit 1 --no-active
EDITOR="code --wait" roster webhooks edit 1`},
	{"webhooks test", "roster webhooks test 1"},
	{"webhooks deliveries", "roster webhooks deliveries 1 --state dead --limit 20"},
	{"webhooks redeliver", "roster webhooks redeliver 1 2"},
	{"outbox list", "roster outbox list --state dead"},
	{"outbox counts", "roster outbox counts --output json"},
	{"outbox retry", "roster outbox retry 1"},
	{"webhooks rotate", "roster webhooks rotate 1 --yes"},
	{"webhooks delete", "roster webhooks delete 1 --yes"},
	{"events list", "roster events list --user mary@example.com --since 7d"},
	{"events tail", `roster events tail --output ndjson --type USER_SIGNIN_FAILED`},
	{"logout", "roster logout"},
}

// setExamples adds the examples to the help of the commands. It fails for a command without one.
func setExamples(parser *kong.Kong) error {
	byCommand := map[string]string{}
	for _, example := range examples {
		byCommand[example.command] = "For example:\n\n  " + strings.ReplaceAll(example.lines, "\n", "\n  ")
	}
	for _, leaf := range parser.Model.Leaves(true) {
		name := commandName(leaf)
		if leaf.Detail = byCommand[name]; leaf.Detail == "" {
			return fmt.Errorf("no example for %s", name)
		}
	}
	return nil
}

// commandName returns the words of a command, without those of the program.
func commandName(node *kong.Node) string {
	name := node.Name
	for node = node.Parent; node.Parent != nil; node = node.Parent {
		name = node.Name + " " + name
	}
	return name
}
