package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// remote runs commands against a server.
type remote struct {
	t      *testing.T
	folder string
	env    []string
	shown  string // the folder with what an editor has shown
}

// asAdmin returns commands that use the administrator's token.
func asAdmin(t *testing.T, s *apitest.Server) *remote {
	t.Helper()
	return &remote{t: t, folder: t.TempDir(), env: []string{"ROSTER_URL=" + s.URL, "ROSTER_TOKEN=" + apitest.AdminToken}}
}

func (r *remote) with(env ...string) *remote {
	return &remote{t: r.t, folder: r.folder, env: append(append([]string{}, r.env...), env...)}
}

// run runs a command with what is typed into it, and returns what it printed and its exit code.
func (r *remote) run(stdin string, args ...string) (stdout, stderr string, code int) {
	r.t.Helper()
	command := roster(r.t, r.folder, append(r.env, "XDG_CONFIG_HOME="+r.folder, "TMPDIR="+r.folder), args...)
	command.Stdin = strings.NewReader(stdin)
	return exitOf(r.t, command)
}

func exitOf(t *testing.T, command *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), command.ProcessState.ExitCode()
}

// want ends the test unless a command has the exit code and, in its errors, the text.
func (r *remote) want(code int, text string, args ...string) (stdout string) {
	r.t.Helper()
	stdout, stderr, got := r.run("", args...)
	if got != code || !strings.Contains(stderr, text) {
		r.t.Fatalf("%v: exit code %d, want %d %q\n%s%s", args, got, code, text, stdout, stderr)
	}
	return stdout
}

func decode(t *testing.T, text []byte) (value any) {
	t.Helper()
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return value
}

// TestOutputIsThatOfTheAPI checks that JSON has what the API has, null for null, and that the other formats have
// the same rows.
func TestOutputIsThatOfTheAPI(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := s.CreateGroup("Support", "users.view")
		mary := s.CreateUser("mary@example.com", map[string]any{
			"name": "Mary <&> \u00e9", "groups": []int64{group}, "phone": "+33612345678",
			"ipWhitelist": []string{"10.0.0.0/8"}, "clientTags": []any{"vip", map[string]any{"id": 7}},
		})
		s.CreateUser("ann@example.com", map[string]any{"active": false})
		receiver := apitest.NewReceiver(t)
		receiver.Answer(http.StatusGone)
		s.CreateWebhook(receiver.URL)
		s.CreateToken(0, []string{"users.view"})
		s.CreateToken(mary, []string{"users.view"})
		s.TrySignIn("mary@example.com", "wrong-password", apitest.From("10.0.0.1"))
		s.SignIn("mary@example.com", apitest.From("10.0.0.1"))
		s.CreateUser("lee@example.com")
		s.Send()
		r := asAdmin(t, s)
		for command, path := range map[string]string{
			"users list": apitest.UsersPath, "groups list": apitest.GroupsPath, "tokens list": apitest.TokensPath,
			"webhooks list": apitest.WebhooksPath, "events list": apitest.EventsPath, "outbox list": apitest.OutboxPath,
			"webhooks deliveries 1": apitest.WebhooksPath + "/1/deliveries", "outbox counts": apitest.OutboxPath + "/counts",
			"users sessions mary@example.com": apitest.UserPath(mary) + "/sessions",
			"users get mary@example.com":      apitest.UserPath(mary), "users get 2": apitest.UserPath(2),
			"groups get Support": fmt.Sprint(apitest.GroupsPath, "/", group), "webhooks get 1": apitest.WebhooksPath + "/1",
		} {
			args := func(format string) []string { return append(strings.Fields(command), "--output", format) }
			stdout := r.want(0, "", args("json")...)
			answer := s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Body
			wanted := decode(t, bytes.ReplaceAll(answer, []byte("+00:00"), []byte("Z"))) // the same time
			if page, isObject := wanted.(map[string]any); isObject && page["data"] != nil {
				wanted = page["data"]
			}
			if diff := cmp.Diff(wanted, decode(t, []byte(stdout))); diff != "" {
				t.Errorf("%s: %s", command, diff)
			}
			rows := 1
			if list, isList := wanted.([]any); isList {
				rows = len(list)
			}
			if rows == 0 {
				t.Errorf("%s shows nothing", command)
			}
			for format, lines := range map[string]int{"ndjson": rows, "csv": rows + 1, "name": rows} {
				if got := r.want(0, "", args(format)...); strings.Count(got, "\n") != lines {
					t.Errorf("%s as %s: %s", command, format, got)
				}
			}
		}
		if table := r.want(0, "", "users", "list", "--status", "inactive"); !strings.Contains(table, "ann@example.com") ||
			strings.Contains(table, "mary") || strings.Contains(table, "\x1b") {
			t.Errorf("%q", table)
		}
		limited := r.want(0, "", "users", "list", "--sort", "email", "--desc", "--limit", "2", "-o", "name")
		if limited != "1\n3\n" {
			t.Errorf("%q", limited)
		}
	})
}

// TestListsOfWhatSomebodyMade checks the filters by creator and by user, the limits of lists, and the end of tokens.
func TestListsOfWhatSomebodyMade(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		receiver := apitest.NewReceiver(t)
		s.CreateWebhook(receiver.URL)
		mary := s.CreateUser("mary@example.com", map[string]any{"groups": []int{1}, "canViewMaskedData": true})
		s.CreateGroup("Support")
		asMary := signedIn(t, s, "mary@example.com")
		asMary.want(0, "", "webhooks", "create", receiver.URL, "--event", "USER_CREATED")
		end := s.Clock.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		asMary.want(0, "", "tokens", "create", "--name", "ends", "--permission=", "--user", "me", "--expires-at", end)
		r := asAdmin(t, s)
		r.want(0, "", "tokens", "create", "--name", "stays", "--permission", "users.view", "--never-expires")
		r.want(2, "can't be used together", "tokens", "create", "--name", "x", "--permission=", "--never-expires",
			"--expires-at", end)
		r.want(2, "token:7", "tokens", "list", "--created-by", "mary")
		r.want(2, "token:7", "webhooks", "list", "--created-by", "token:-1")
		for line, want := range map[string]string{
			"webhooks list": "1\n2\n", "webhooks list --limit 1": "1\n", "groups list --limit 1": "1\n",
			"webhooks list --created-by token:1": "1\n", fmt.Sprint("webhooks list --created-by ", mary): "2\n",
			"users sessions mary@example.com --limit 1": "1\n", "tokens list --user 99": "",
		} {
			if got := r.want(0, "", append(strings.Fields(line), "--output", "name")...); got != want {
				t.Errorf("%s: %q, want %q", line, got, want)
			}
		}
		for line, want := range map[string]string{
			fmt.Sprint("tokens list --created-by ", mary): "ends," + end, "tokens list --user mary@example.com": "ends," + end,
			"tokens list --created-by token:1": "stays,",
		} {
			rows := r.want(0, "", append(strings.Fields(line), "--output", "json")...)
			list, _ := decode(t, []byte(rows)).([]any)
			if len(list) != 1 {
				t.Fatalf("%s: %s", line, rows)
			}
			token, _ := list[0].(map[string]any)
			expires, _ := token["expiresAt"].(string)
			if got := fmt.Sprint(token["name"], ",", expires); got != want {
				t.Errorf("%s: %s, want %s", line, got, want)
			}
		}
	})
}

// TestOutputOfNothing checks that nothing is an empty list, and no sentence.
func TestOutputOfNothing(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		r := asAdmin(t, s)
		for format, want := range map[string]string{"json": "[]\n", "ndjson": "", "name": ""} {
			for _, list := range []string{"users", "webhooks", "outbox"} {
				stdout, stderr, code := r.run("", list, "list", "--output", format)
				if stdout != want || stderr != "" || code != 0 {
					t.Errorf("%s as %s: %d %q %q", list, format, code, stdout, stderr)
				}
			}
		}
		if head := r.want(0, "", "users", "list", "-o", "csv"); !strings.HasPrefix(head, "id,name,email,") ||
			strings.Count(head, "\n") != 1 {
			t.Errorf("%q", head)
		}
	})
}

// TestExitCodes checks the codes that docs/cli.md promises.
func TestExitCodes(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		weak := s.CreateToken(0, []string{"users.view"})
		r := asAdmin(t, s)
		r.want(2, "unknown flag --colour", "users", "list", "--colour")
		r.want(2, "must be one of", "users", "list", "--status", "asleep")
		r.want(2, "needs a value", "users", "list", "--name")
		r.want(2, "give an id, an e-mail address or me", "users", "get", "mary")
		token := &remote{t: t, folder: t.TempDir(), env: []string{"ROSTER_TOKEN=" + apitest.AdminToken}}
		token.want(2, "ROSTER_URL is not", "users", "list")
		r.with("ROSTER_TOKEN=rst_wrong").want(3, "Run roster login", "users", "list")
		(&remote{t: t, folder: t.TempDir()}).want(3, "not signed in", "users", "list")
		r.with("ROSTER_TOKEN="+weak).want(4, "groups.view", "groups", "list")
		r.want(5, "no user", "users", "get", "99")
		r.want(5, "nobody@example.com", "users", "get", "nobody@example.com")
		r.want(5, "not found: 77", "users", "find", "mary@example.com", "77")
		r.want(6, "Another user", "users", "create", "--name", "M", "--email", "mary@example.com", "--invite")
		r.want(7, "email: must be", "users", "edit", "1", "--email", "mary")
		r.with("ROSTER_URL=http://127.0.0.1:1").want(8, "connection refused", "users", "list")
	})
}
