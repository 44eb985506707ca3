package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// operator is a user in a browser, and with a token on the command line.
type operator struct {
	*remote

	server  *apitest.Server
	browser *http.Client
	token   string
	shell   func(line, stdin string) *exec.Cmd
}

// newOperator returns a user who has signed in, with a token of the user's rights.
func newOperator(t *testing.T, s *apitest.Server, email string, user map[string]any, permissions ...string) *operator {
	t.Helper()
	id := s.CreateUser(email, user)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	unmasked := map[string]any{"canViewMaskedData": user["canViewMaskedData"]}
	o := &operator{
		remote: &remote{t: t, folder: t.TempDir()}, server: s, browser: &http.Client{Jar: jar},
		token: s.CreateToken(id, permissions, unmasked),
	}
	o.shell = shellIn(t, o.folder, "ROSTER_URL="+s.URL, "ROSTER_TOKEN="+o.token)
	o.page("/console/signin", url.Values{"email": {email}, "password": {apitest.Password}})
	return o
}

// page opens a page, or sends a form if it has values.
func (o *operator) page(path string, values url.Values) *html.Node {
	o.t.Helper()
	method := http.MethodGet
	if values != nil {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(o.t.Context(), method, o.server.URL+path, strings.NewReader(values.Encode()))
	if err != nil {
		o.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", o.server.URL)
	response, err := o.browser.Do(request)
	if err != nil {
		o.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		o.t.Fatalf("%s: %d %v\n%s", path, response.StatusCode, err, text)
	}
	document, err := html.Parse(bytes.NewReader(text))
	if err != nil {
		o.t.Fatal(err)
	}
	return document
}

// form sends the form of a page, changed by names and values in turn.
func (o *operator) form(path string, changes ...string) *html.Node {
	o.t.Helper()
	values := url.Values{}
	for node := range o.page(path, nil).Descendants() {
		a := attributes(node)
		_, checked := a["checked"]
		if node.Data == "input" && (checked || a["type"] != "checkbox" && a["type"] != "radio") {
			values.Add(a["name"], a["value"])
		}
	}
	for i := 0; i < len(changes); i += 2 {
		values[changes[i]] = strings.Split(changes[i+1], "|")
	}
	return o.page(path, values)
}

func attributes(node *html.Node) map[string]string {
	all := map[string]string{}
	for _, a := range node.Attr {
		all[a.Key] = a.Val
	}
	return all
}

// lineOn returns the text of an element of a page; "" if there is none.
func lineOn(page *html.Node, id string) string {
	for node := range page.Descendants() {
		if attributes(node)["id"] == id && node.FirstChild != nil {
			return node.FirstChild.Data
		}
	}
	return ""
}

// curl returns the method, the path and the body that the curl line of a page sends.
func (o *operator) curl(page *html.Node) (method, path, body string) {
	o.t.Helper()
	line := lineOn(page, "curl-command")
	out, err := exec.CommandContext(o.t.Context(), "sh", "-c", `curl() { printf '%s\0' "$@"; }; `+line).Output()
	args := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	address, errURL := url.Parse(args[len(args)-1])
	if err != nil || errURL != nil {
		o.t.Fatal(line, err, errURL)
	}
	method = http.MethodGet
	for i, arg := range args {
		switch arg {
		case "-X":
			method = args[i+1]
		case "-d":
			body = args[i+1]
		}
	}
	return method, address.RequestURI(), body
}

// line runs a line of a page in sh.
func (o *operator) line(line, stdin string) (stdout, stderr string, code int) {
	o.t.Helper()
	command := o.shell("", stdin)
	command.Path, command.Args = "/bin/sh", []string{"sh", "-c", line}
	return exitOf(o.t, command)
}

// answer returns what the API answers to a GET of the operator, as the command line shows it.
func (o *operator) answer(path string) any {
	o.t.Helper()
	body := o.server.Do(http.MethodGet, path, nil, apitest.As(o.token)).Want(http.StatusOK).Body
	answer := decode(o.t, bytes.ReplaceAll(body, []byte("+00:00"), []byte("Z"))) // the same time
	if page, isPage := answer.(map[string]any); isPage && page["data"] != nil {
		return page["data"]
	}
	return answer
}

// TestConsoleShowsCommandsThatRead takes the command out of pages, runs it in a shell, and compares what it shows with
// the answer to the call of the same page.
func TestConsoleShowsCommandsThatRead(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		hostile := "-x 'O''Neill' \"$(id)\" `id` \\ <&> é"
		team := s.CreateGroup("Team", "users.view", "groups.view", "audit.view")
		jane := newOperator(t, s, "jane@example.com", map[string]any{"groups": []int{1}, "canViewMaskedData": true},
			apitest.AllPermissions()...)
		olga := newOperator(t, s, "olga@example.com", map[string]any{"groups": []int64{team}, "canViewMaskedData": false},
			"users.view", "groups.view", "audit.view")
		mary := s.CreateUser("mary@example.com", map[string]any{"name": hostile, "groups": []int64{team}})
		for i := range 3 {
			s.CreateUser(fmt.Sprintf("u%d@example.com", i), map[string]any{"active": i > 0})
		}
		s.SignIn("mary@example.com")
		receiver := apitest.NewReceiver(t)
		receiver.Answer(http.StatusGone)
		s.CreateWebhook(receiver.URL)
		s.CreateToken(0, []string{"users.view"}, map[string]any{"expiresAt": s.Clock.Now().Add(time.Hour)})
		s.CreateUser("lee@example.com")
		s.Send()

		read := func(o *operator, path string) {
			t.Helper()
			page := o.page(path, nil)
			line := lineOn(page, "roster-command")
			method, call, body := o.curl(page)
			if line == "" || method != http.MethodGet || body != "" {
				t.Errorf("%s: no command beside %s %s", path, method, call)
				return
			}
			stdout, stderr, code := o.line(line+" --output=json", "")
			if code != 0 || stderr != "" {
				t.Errorf("%s: %d %s", line, code, stderr)
				return
			}
			want, got := o.answer(call), decode(t, []byte(stdout))
			if diff := cmp.Diff(want, got); diff != "" || cmp.Equal(got, []any{}) {
				t.Errorf("%s: %s is not %s: %s", path, line, call, diff)
			}
		}
		user := fmt.Sprint("/console/users/", mary)
		for _, o := range []*operator{jane, olga} {
			for _, path := range []string{
				"/console/users", "/console/users?limit=2&sort_by=createTime&sort_order=desc",
				"/console/users?filter[name]=" + url.QueryEscape(hostile), "/console/users?filter[q]=" + url.QueryEscape(hostile[3:]),
				"/console/users?filter[status]=active&filter[lastSigninBefore]=never&filter[locked]=false&filter[tfa]=false",
				"/console/users?filter[createdAfter]=90d", "/console/users?filter[group]=" + fmt.Sprint(team),
				user, user + "/security", user + "/activity", "/console/groups", "/console/groups?limit=1",
				fmt.Sprint("/console/groups/", team), "/console/activity?filter[type]=USER_CREATED&limit=2",
				fmt.Sprint("/console/activity?filter[user]=", mary), "/console/me",
			} {
				read(o, path)
			}
		}
		for _, path := range []string{
			"/console/tokens", "/console/tokens?filter[createdBy]=token:1&limit=1", "/console/tokens/2",
			"/console/tokens?filter[userId]=1", "/console/tokens?filter[expiresAfter]=2020-01-01T00:00:00Z",
			"/console/webhooks", "/console/webhooks/1", "/console/webhooks/1?filter[state]=dead",
			"/console/outbox", "/console/outbox?filter[kind]=webhook&filter[webhook]=1&filter[state]=dead&limit=1",
		} {
			read(jane, path)
		}
		for _, path := range []string{ // no command does that
			"/console/users?limit=2&offset=2", user + "/access", "/console/outbox?filter[state]=done", "/console/jobs",
		} {
			page := jane.page(path, nil)
			if line := lineOn(page, "roster-command"); line != "" || lineOn(page, "curl-command") == "" {
				t.Errorf("%s: %q", path, line)
			}
		}
	})
}

// TestConsoleShowsCommandsThatChange runs the commands of pages that change something. What takes access away asks.
func TestConsoleShowsCommandsThatChange(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		jane := newOperator(t, s, "jane@example.com", map[string]any{"groups": []int{1}, "canViewMaskedData": true},
			apitest.AllPermissions()...)
		run := func(page *html.Node, stdin, method string) map[string]any {
			t.Helper()
			line := lineOn(page, "roster-command")
			got, call, body := jane.curl(page)
			if line == "" || got != method || strings.Contains(line, apitest.Password) {
				t.Fatalf("%q beside %s %s %s", line, got, call, body)
			}
			stdout, stderr, code := jane.line(line, stdin)
			if strings.Contains(stderr, "[y/N]") || code == 2 { // it asks, and there is nobody
				stdout, stderr, code = jane.line(line+" --yes", "")
			}
			if code != 0 {
				t.Fatalf("%s: %d %s%s", line, code, stdout, stderr)
			}
			if body == "" {
				return nil
			}
			fields, _ := decode(t, []byte(body)).(map[string]any)
			return fields
		}
		is := func(path string, want map[string]any) {
			t.Helper()
			thing, _ := jane.answer(path).(map[string]any)
			for name, value := range want {
				if value == "" { // also a way to say null
					value = nil
				}
				if name != "password" && name != "invite" && name != "sendNotify" && !cmp.Equal(thing[name], value) {
					t.Errorf("%s: %s is %v, want %v", path, name, thing[name], value)
				}
			}
		}
		gone := func(path string) {
			t.Helper()
			s.Do(http.MethodGet, path, nil).Want(http.StatusNotFound)
		}
		const hostile = `--help 'x' "$(id)" \ é`
		post, patch, remove := http.MethodPost, http.MethodPatch, http.MethodDelete

		is("/api/v2/groups/2", run(jane.form("/console/groups/new", "name", hostile, "permissions", "users.view|audit.view",
			"step", "review"), "", post))
		is("/api/v2/groups/2", run(jane.form("/console/groups/2/edit", "name", "Team", "permissions", "users.view",
			"requireTfa", "true", "step", "review"), "", patch))
		is("/api/v2/users/2", run(jane.form("/console/users/new", "name", hostile, "email", "mary@example.com", "groups", "2",
			"how", "password", "password", apitest.Password, "step", "filter"), apitest.Password+"\n", post))
		s.SignIn("mary@example.com")
		is("/api/v2/users/3", run(jane.form("/console/users/new", "name", "Ann", "email", "ann@example.com", "groups", "",
			"how", "invite", "step", "filter"), "", post))
		is(apitest.UserPath(2), run(jane.form("/console/users/2/edit", "name", hostile+"\u05d0", "phone", "+33612345678",
			"clientTags", "a b\r\n$(id)", "groups", "1|2", "step", "review"), "", patch))
		is(apitest.UserPath(2), run(jane.form("/console/users/2/edit", "phone", "", "clientTags", "", "groups", "2", "step",
			"review"), "", patch))
		is(apitest.UserPath(2), run(jane.form("/console/users/2/network", "ipWhitelist", "10.0.0.0/8\r\n::1", "step",
			"review"), "", patch))
		is(apitest.UserPath(2), run(jane.page("/console/users/2/access/remove?groupId=2", nil), "", patch))
		is(apitest.UserPath(2), run(jane.page("/console/users/2/deactivate", nil), "", patch))
		is(apitest.UserPath(2), run(jane.page("/console/users/2/activate", nil), "", patch))
		run(jane.page("/console/users/2/security/end", nil), "", remove)
		if left, _ := jane.answer(apitest.UserPath(2) + "/sessions").([]any); len(left) > 0 {
			t.Error(left)
		}
		run(jane.page("/console/users/2/delete", nil), "", remove)
		gone(apitest.UserPath(2))
		run(jane.page("/console/groups/2/delete", nil), "", remove)
		gone("/api/v2/groups/2")

		token := run(jane.form("/console/tokens/new", "name", hostile, "permissions", "users.view", "step", "review"), "",
			post)
		made, _ := jane.answer("/api/v2/tokens?filter[createdBy]=1").([]any)
		id := fmt.Sprint(made[0].(map[string]any)["id"])
		is("/api/v2/tokens/"+id, token)
		run(jane.page("/console/tokens/"+id+"/revoke", nil), "", remove)
		gone("/api/v2/tokens/" + id)
		receiver := apitest.NewReceiver(t)
		is("/api/v2/webhooks/1", run(jane.form("/console/webhooks/new", "url", receiver.URL+"/?a=b&c='d'", "events",
			"USER_CREATED|USER_DELETED", "format", "powens", "auth", "standard", "active", "true", "step", "review"), "", post))
		is("/api/v2/webhooks/1", run(jane.form("/console/webhooks/1/edit", "events", "USER_CREATED", "format", "v2", "auth", "none",
			"step", "review"), "", patch))
		run(jane.page("/console/webhooks/1/rotate", nil), "", post)
		is("/api/v2/webhooks/1", map[string]any{"version": 3.0})
		run(jane.page("/console/webhooks/1/delete", nil), "", remove)
		gone("/api/v2/webhooks/1")
	})
}
