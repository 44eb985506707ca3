package console

import (
	"encoding/json"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster"
)

// argumentsOf returns what a shell gives to roster for a line.
func argumentsOf(t *testing.T, line string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", `roster() { printf '%s\0' "$@"; }; `+line).Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

func TestCommand(t *testing.T) {
	const fifty = "|--limit=50"
	for _, test := range []struct{ call, body, want string }{ // want has the arguments, with | between them
		{"GET users", "", "users|list" + fifty},
		{
			"GET users?filter[q]=o%27Neill+x&filter[group]=2&filter[locked]=true&filter[tfa]=false&filter[status]=inactive" +
				"&filter[lastSigninBefore]=1970-01-01T00:00:00Z&sort_by=name&sort_order=desc&limit=10&offset=0", "",
			"users|list|--search=o'Neill x|--status=inactive|--group=2|--no-tfa|--locked" +
				"|--last-signin-before=1970-01-01T00:00:00Z|--sort=name|--desc|--limit=10",
		},
		{"GET users?filter[name]=--help&sort_order=asc", "", "users|list|--name=--help" + fifty},
		{"GET users?filter[name]=$(id)`id`%0A%22*~%5C%21", "", "users|list|--name=$(id)`id`\n\"*~\\!" + fifty},
		{"GET users?filter[name]=%D7%A2%D7%91", "", "users|list|--name=\u05e2\u05d1" + fifty},
		{"GET users?filter[name]=a%1Bb", "", ""}, // would steer a terminal
		{"GET users?filter[name]=a%0Db", "", ""}, // a browser makes it another character
		{"GET users?filter[name]=a%09b", "", ""},
		{"GET users?filter[name]=a%00b", "", ""},
		{"GET users?filter[name]=a%FFb", "", ""},
		{"GET users?filter[name]=a%E2%80%AEb", "", ""}, // changes the order of what is read
		{"GET users?filter[name]=", "", ""},
		{"GET users?filter[name]=a&filter[name]=b", "", ""},
		{"GET users?offset=50", "", ""}, // no command begins at the second page
		{"GET users?after=x", "", ""},
		{"GET users?total=true", "", ""},
		{"GET users?limit=0", "", ""},
		{"GET users?filter[group]=-1", "", ""},
		{"GET users?filter[group]=007", "", ""},
		{"GET users?filter[createdAfter]=0001-01-01T00:00:00Z", "", ""}, // the command takes it for none
		{"GET users?filter[createdAfter]=2026-01-31T12:00:00.5Z", "", ""},
		{"GET users?filter[createdAfter]=90d", "", ""}, // the command counts from now, the page from today
		{"GET users?%zz", "", ""},
		{"GET users", "{}", "users|list" + fifty},
		{"GET users", `{"x":1}`, ""},
		{"GET users/count", "", ""},
		{"GET users/export", "", ""},
		{"GET users/5", "", "users|get|5"},
		{"GET users/me", "", "users|get|me"},
		{"GET users/0", "", ""},
		{"GET users/-5", "", ""},
		{"GET users/05", "", ""},
		{"GET users/mary", "", ""},
		{"GET groups/me", "", ""},
		{"GET users/5?x=1", "", ""},
		{"GET users/5/access", "", ""},
		{"POST users/find", `{"texts":["--help","a@example.com"]}`, "users|find|--|--help|a@example.com"},
		{"POST users/find", `{"texts":[]}`, ""},

		{
			"POST users", `{"name":"-x \"y\"","email":"a@example.com","active":true,"tfa":false,"groups":[],"invite":true}`,
			"users|create|--name=-x \"y\"|--email=a@example.com|--group=|--invite",
		},
		{ // the password is asked for
			"POST users", `{"name":"A","email":"a@example.com","active":false,"tfa":true,"groups":[1,2],"password":"…",` +
				`"phone":null,"ipWhitelist":["10.0.0.0/8","::1"],"clientTags":["a b"],"canViewMaskedData":true,"sendNotify":true}`,
			"users|create|--name=A|--email=a@example.com|--phone=|--inactive|--tfa|--group=1,2|--ip-whitelist=10.0.0.0/8,::1" +
				"|--tag=a b|--can-view-masked-data|--notify",
		},
		{"POST users", `{"name":"A","email":"a@example.com","active":true,"tfa":true,"groups":[]}`, ""},
		{"POST users", `{"email":"a@example.com","active":true,"tfa":true,"groups":[],"invite":true}`, ""},
		{
			"POST users",
			`{"name":"A","email":"a@example.com","active":true,"tfa":true,"groups":[],"invite":true,"password":"x"}`, "",
		},
		{"PATCH users/5", `{"active":true}`, "users|activate|5"},
		{"PATCH users/5", `{"active":false}`, "users|deactivate|5"},
		{"PATCH users/5?force=true", `{"active":false}`, "users|deactivate|5|--force"},
		{"PATCH users/5?force=true", `{"active":true}`, "users|edit|5|--force|--active"},
		{"PATCH users/5", `{"active":false,"sendNotify":true}`, "users|edit|5|--no-active|--notify"},
		{"PATCH users/5", `{"active":"false"}`, "users|edit|5|--no-active"},
		{
			"PATCH users/me", `{"name":"","phone":null,"groups":[],"ipWhitelist":[],"clientTags":[],"canViewMaskedData":false}`,
			"users|edit|me|--name=|--phone=|--group=|--ip-whitelist=|--tag=|--no-can-view-masked-data",
		},
		{"PATCH users/5", `{"email":"***","phone":"***"}`, "users|edit|5|--email=***|--phone=***"},
		{"PATCH users/5", `{"clientTags":["a,b"]}`, ""},
		{"PATCH users/5", `{"clientTags":["a\\"]}`, ""},
		{"PATCH users/5", `{"clientTags":[""]}`, ""},
		{"PATCH users/5", `{"clientTags":[{"id":7}]}`, ""},
		{"PATCH users/5", `{"password":"x","currentPassword":"y"}`, ""},
		{"PATCH users/5", `{"name":null}`, ""},
		{"PATCH users/5", `{"name":7}`, ""},
		{"PATCH users/5", `{"sendNotify":true}`, ""}, // the command would open an editor
		{"PATCH users/5", `{}`, ""},
		{"PATCH users/5", ``, ""},
		{"PATCH users/5", `null`, ""},
		{"PATCH users/5", `{"name":"a"} {}`, ""},
		{"PATCH users/5", `{"name":`, ""},
		{"PATCH users/{userId}", `{"name":"a"}`, ""},
		{"DELETE users/5", "", "users|delete|5"},
		{"DELETE users/me", "", "users|delete|me"},
		{"GET users/5/sessions?limit=7", "", "users|sessions|5|--limit=7"},
		{"DELETE users/me/sessions", "", "users|sessions|me|--end-all"},
		{"DELETE users/5/sessions/9", "", "users|sessions|5|--end=9"},
		{"DELETE users/me/totp", "", ""},

		{"GET groups", "", "groups|list" + fifty},
		{"GET groups/3", "", "groups|get|3"},
		{
			"POST groups", `{"name":"A, 'B'","permissions":["users.view","audit.view"],"requireTfa":true}`,
			"groups|create|--name=A, 'B'|--permission=users.view,audit.view|--require-tfa",
		},
		{"POST groups", `{"name":"A","permissions":[],"requireTfa":false}`, "groups|create|--name=A|--permission="},
		{"PATCH groups/3", `{"permissions":[],"requireTfa":false}`, "groups|edit|3|--permission=|--no-require-tfa"},
		{"PATCH groups/3", `{}`, ""},
		{"DELETE groups/3", "", "groups|delete|3"},

		{
			"GET tokens?filter[createdBy]=token:3&filter[userId]=5&filter[expiresAfter]=2026-01-31T12:00:00%2B01:00", "",
			"tokens|list|--user=5|--created-by=token:3|--expires-after=2026-01-31T12:00:00+01:00" + fifty,
		},
		{"GET tokens/4", "", "tokens|get|4"},
		{
			"POST tokens", `{"name":"A","permissions":["users.view"],"userId":5,"expiresAt":"2026-01-31T12:00:00Z"}`,
			"tokens|create|--name=A|--permission=users.view|--user=5|--expires-at=2026-01-31T12:00:00Z",
		},
		{
			"POST tokens", `{"name":"A","permissions":[],"expiresAt":null,"ipWhitelist":["::1"],"canViewMaskedData":true}`,
			"tokens|create|--name=A|--permission=|--ip-whitelist=::1|--can-view-masked-data|--never-expires",
		},
		{"DELETE tokens/4", "", "tokens|delete|4"},

		{"GET webhooks?filter[createdBy]=7", "", "webhooks|list|--created-by=7" + fifty},
		{"GET webhooks/4", "", "webhooks|get|4"},
		{
			"POST webhooks", `{"url":"https://example.com/?a=b&c","events":["USER_CREATED"]}`,
			"webhooks|create|--event=USER_CREATED|--format=powens|--|https://example.com/?a=b&c",
		},
		{ // the token is asked for
			"POST webhooks",
			`{"url":"-x","events":["A","B"],"format":"v2","auth":"bearer","active":false,"token":"TOKEN"}`,
			"webhooks|create|--event=A,B|--format=v2|--auth=bearer|--inactive|--|-x",
		},
		{"POST webhooks", `{"url":"x","events":["A"],"auth":"standard","token":"TOKEN"}`, ""},
		{"POST webhooks", `{"url":"x","events":["A"],"auth":"bearer","token":null}`, ""},
		{
			"PATCH webhooks/4", `{"url":"x","events":["A"],"format":"v2","auth":"none","active":true}`,
			"webhooks|edit|4|--url=x|--event=A|--format=v2|--auth=none|--active",
		},
		{"PATCH webhooks/4", `{"url":"x","token":"TOKEN"}`, ""},
		{"DELETE webhooks/4", "", "webhooks|delete|4"},
		{"POST webhooks/4/test", "", "webhooks|test|4"},
		{"POST webhooks/4/rotate", "", "webhooks|rotate|4"},
		{"GET webhooks/4/deliveries?filter[state]=done", "", "webhooks|deliveries|4|--state=done" + fifty},
		{"POST webhooks/4/deliveries/8/redeliver", "", "webhooks|redeliver|4|8"},

		{
			"GET outbox?filter[state]=dead&filter[kind]=webhook&filter[webhook]=4&filter[user]=5", "",
			"outbox|list|--state=dead|--kind=webhook|--webhook=4|--user=5" + fifty,
		},
		{"GET outbox?filter[state]=done", "", ""},
		{"GET outbox/counts", "", "outbox|counts"},
		{"POST outbox/8/retry", "", "outbox|retry|8"},
		{"POST outbox/retry", "", ""},

		{
			"GET events?filter[user]=5&filter[actor]=token:3&filter[type]=USER_CREATED&filter[reason]=x" +
				"&filter[since]=2026-01-31T12:00:00Z&filter[until]=2026-02-01T00:00:00Z&limit=1000", "",
			"events|list|--user=5|--actor=token:3|--type=USER_CREATED|--reason=x|--since=2026-01-31T12:00:00Z" +
				"|--until=2026-02-01T00:00:00Z|--limit=1000",
		},
		{"GET jobs", "", ""},
		{"GET jobs/4", "", ""},
	} {
		method, path, _ := strings.Cut(test.call, " ")
		line := apiCall{Method: method, Path: "/api/v2/" + path, Body: test.body}.Command()
		if (line == "") != (test.want == "") {
			t.Errorf("%s %s: %q, want %s", test.call, test.body, line, test.want)
		} else if line != "" {
			if diff := cmp.Diff(strings.Split(test.want, "|"), argumentsOf(t, line)); diff != "" {
				t.Errorf("%s %s: %s", test.call, test.body, diff)
			}
		}
	}
	if line := (apiCall{Path: "/api/v1/users"}).Command(); line != "" {
		t.Error(line)
	}
	if line := (apiCall{Path: "/api/v2/users/5", Base: "x"}).Command(); line != "roster users get 5" {
		t.Error(line)
	}
}

// sample returns a value of a schema, as JSON: none that the call means without it.
func sample(name string, schema *openapi3.Schema) string {
	if schema.Items != nil {
		return "[" + sample(name, schema.Items.Value) + "]"
	}
	kind := ""
	if schema.Type != nil {
		kind = schema.Type.Slice()[0]
	}
	switch {
	case len(schema.Enum) > 0 && kind == "string":
		return `"` + schema.Enum[len(schema.Enum)-1].(string) + `"`
	case schema.Format == "date-time":
		return `"2026-01-31T12:00:00Z"`
	case kind == "integer":
		return "1"
	case name == "active":
		return "false"
	case kind == "boolean":
		return "true"
	}
	return `"x"`
}

// TestCommandOfEveryField adds each query parameter and each field of the contract to its call: the command says it or
// there is none.
func TestCommandOfEveryField(t *testing.T) {
	document, err := openapi3.NewLoader().LoadFromData(roster.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	var without []string
	check := func(what string, plain, added apiCall) {
		said := added.Command()
		if said == "" {
			without = append(without, what)
			return
		}
		if said == plain.Command() {
			t.Errorf("%s: %s does not say it", what, said)
		}
	}
	calls := 0
	for path, item := range document.Paths.Map() {
		for method, operation := range item.Operations() {
			plain := apiCall{Method: method, Path: path}
			for _, p := range slices.Concat(item.Parameters, operation.Parameters) {
				if p.Value.In == "path" {
					plain.Path = strings.Replace(plain.Path, "{"+p.Value.Name+"}", "7", 1)
				}
			}
			if !slices.ContainsFunc(commands, func(c command) bool {
				_, ok := c.match(plain.Method, plain.Path)
				return ok
			}) {
				continue
			}
			calls++
			fields, body := map[string]json.RawMessage{}, &openapi3.Schema{}
			if operation.RequestBody != nil {
				body = operation.RequestBody.Value.Content["application/json"].Schema.Value
				for _, name := range body.Required {
					fields[name] = json.RawMessage(sample(name, body.Properties[name].Value))
				}
				switch path {
				case "/api/v2/users":
					fields["password"] = json.RawMessage(`"x"`)
				case "/api/v2/webhooks":
					fields["auth"] = json.RawMessage(`"none"`)
				}
				if method == http.MethodPatch {
					fields["name"] = json.RawMessage(`"x"`)
					if strings.Contains(path, "webhooks") {
						fields = map[string]json.RawMessage{"active": json.RawMessage("false")}
					}
				}
				plain.Body = jsonText(fields)
			}
			what := method + " " + strings.TrimPrefix(path, "/api/v2/") + " "
			if plain.Command() == "" {
				t.Errorf("%shas no command: %s", what, plain.Body)
			}
			for _, p := range slices.Concat(item.Parameters, operation.Parameters) {
				if p.Value.In == "query" {
					added := plain
					added.Path += "?" + p.Value.Name + "=" + strings.Trim(sample(p.Value.Name, p.Value.Schema.Value), `"`)
					check(what+p.Value.Name, plain, added)
				}
			}
			for name, property := range body.Properties {
				if _, has := fields[name]; !has {
					added, more := plain, maps.Clone(fields)
					more[name] = json.RawMessage(sample(name, property.Value))
					added.Body = jsonText(more)
					check(what+name, plain, added)
				}
			}
			unknownParameter, unknownField := plain, plain
			unknownParameter.Path += "?new=1"
			fields["new"] = json.RawMessage("1")
			unknownField.Body = jsonText(fields)
			if unknownParameter.Command() != "" || unknownField.Command() != "" {
				t.Errorf("%signores what it does not know", what)
			}
		}
	}
	slices.Sort(without)
	if diff := cmp.Diff([]string{
		"GET events after", "GET events offset", "GET groups offset", "GET outbox filter[state]", "GET outbox offset", "GET tokens offset",
		"GET users after", "GET users filter[active]", "GET users offset", "GET users total",
		"GET users/{userId}/sessions offset", "GET webhooks offset", "GET webhooks/{webhookId}/deliveries offset",
		"PATCH users/{userId} currentPassword", "PATCH users/{userId} password", "PATCH webhooks/{webhookId} token",
		"POST users invite", "POST webhooks token",
	}, without); diff != "" {
		t.Error(diff)
	}
	if calls < 30 {
		t.Errorf("%d calls have a command", calls)
	}
}
