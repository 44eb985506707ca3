package client_test

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/rosterhq/roster"
	"github.com/rosterhq/roster/pkg/client"
)

func contract(t *testing.T) *openapi3.T {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromData(roster.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// TestTypesAreThoseOfTheContract checks that each type has a field for each property of its schema, of the same kind, and
// no other.
func TestTypesAreThoseOfTheContract(t *testing.T) {
	schemas := contract(t).Components.Schemas
	for name, value := range map[string]any{
		"User": client.User{}, "UserCreate": client.UserCreate{}, "UserUpdate": client.UserUpdate{},
		"Group": client.Group{}, "GroupCreate": client.GroupCreate{}, "GroupUpdate": client.GroupUpdate{},
		"CreatedToken": client.ServiceToken{}, "TokenCreate": client.TokenCreate{}, "Introspection": client.Introspection{},
		"WebhookWithSecret": client.Webhook{}, "WebhookCreate": client.WebhookCreate{}, "WebhookUpdate": client.WebhookUpdate{},
		"Delivery": client.Delivery{}, "Event": client.Event{}, "EventActor": client.Actor{}, "FieldChange": client.Change{},
		"Job": client.Job{}, "JobPlan": client.JobPlan{}, "JobFilter": client.JobFilter{}, "JobItem": client.JobItem{},
		"Session": client.Session{}, "SignInResult": client.SignIn{}, "TokenPair": client.TokenPair{},
		"Challenge": client.Challenge{}, "IssuedToken": client.IssuedToken{}, "FieldError": client.FieldError{},
	} {
		schema := schemas[name]
		if schema == nil {
			t.Errorf("there is no %s any more", name)
			continue
		}
		fields := jsonFields(reflect.TypeOf(value))
		for property, of := range schema.Value.Properties {
			field, ok := fields[property]
			if !ok {
				t.Errorf("%s.%s is missing", name, property)
			} else if !fits(field, of.Value) {
				t.Errorf("%s.%s is a %s, not a %v", name, property, field, of.Value.Type)
			}
			delete(fields, property)
		}
		for field := range fields {
			t.Errorf("%s.%s is not in the contract", name, field)
		}
	}
}

// jsonFields returns the types of the fields of a struct by their JSON names.
func jsonFields(of reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for _, field := range reflect.VisibleFields(of) {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" && name != "-" {
			fields[name] = field.Type
		}
	}
	return fields
}

func fits(field reflect.Type, schema *openapi3.Schema) bool {
	for field.Kind() == reflect.Pointer {
		field = field.Elem()
	}
	kinds := map[string][]reflect.Kind{
		"string": {reflect.String}, "integer": {reflect.Int, reflect.Int64}, "boolean": {reflect.Bool},
		"array": {reflect.Slice}, "object": {reflect.Struct, reflect.Map},
	}
	if schema.Format == "date-time" {
		return field.String() == "time.Time"
	}
	if len(schema.Type.Slice()) == 0 { // anything, or one of several
		return true
	}
	return slices.Contains(kinds[schema.Type.Slice()[0]], field.Kind())
}

// recorder is a transport that keeps what is called and answers nothing useful.
type recorder map[string]bool

func (r recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	r[request.Method+" "+request.URL.Path] = true
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}")), Request: request}, nil
}

// without has the calls that the client has no method for.
var without = []string{
	"PUT /api/v2/users/{userId}", "PUT /api/v2/groups/{groupId}", "PUT /api/v2/webhooks/{webhookId}", // the same as PATCH
	"GET /api/v2/auth", // for proxies
	"POST /api/v2/network/explain", "POST /api/v2/reauthenticate",
	"POST /api/v2/password/forgot", "POST /api/v2/password/reset",
	"POST /api/v2/users/{userId}/totp", "POST /api/v2/users/{userId}/totp/confirm", "DELETE /api/v2/users/{userId}/totp",
	"GET /api/v2/users/{userId}/records", "GET /api/v2/users/{userId}/records/{recordType}/{recordId}",
	"PUT /api/v2/users/{userId}/records/{recordType}/{recordId}", "DELETE /api/v2/users/{userId}/records/{recordType}/{recordId}",
}

// TestEveryCallHasAMethod calls all methods of the client, and checks that they are the calls of the contract.
func TestEveryCallHasAMethod(t *testing.T) {
	calls := recorder{}
	c, err := client.New("http://roster.example", client.HTTPClient(&http.Client{Transport: calls}))
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range []any{c.Users, c.Groups, c.Tokens, c.Webhooks, c.Events, c.Outbox, c.Jobs, c.Sessions} {
		of := reflect.ValueOf(service)
		for i := range of.NumMethod() {
			callWithZeros(t, of.Type().Method(i).Name, of.Method(i))
		}
	}
	got := slices.Collect(maps.Keys(calls))
	for i := range got { // each id is 1
		got[i] = generic(got[i])
	}
	var want []string
	for path, item := range contract(t).Paths.Map() {
		for method := range item.Operations() {
			if key := method + " " + path; strings.HasPrefix(path, "/api/") && !slices.Contains(without, key) {
				want = append(want, generic(key))
			}
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("called\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// generic returns a call with its parameters as 1.
func generic(key string) string {
	parts := strings.Split(key, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, "{") {
			parts[i] = "1"
		}
	}
	return strings.Join(parts, "/")
}

// callWithZeros calls a method with ids of 1 and zero values; of a list it reads a page.
func callWithZeros(t *testing.T, name string, method reflect.Value) {
	t.Helper()
	arguments := []reflect.Value{reflect.ValueOf(t.Context())}
	of := method.Type()
	fixed := of.NumIn()
	if of.IsVariadic() {
		fixed--
	}
	for i := 1; i < fixed; i++ {
		argument := reflect.New(of.In(i)).Elem()
		if argument.Kind() == reflect.Int64 {
			argument.SetInt(1)
		}
		arguments = append(arguments, argument)
	}
	results := method.Call(arguments)
	last := results[len(results)-1]
	if last.Kind() == reflect.Func { // a list
		for _, err := range last.Seq2() {
			t.Errorf("%s: %v", name, err)
		}
		return
	}
	if err, _ := last.Interface().(error); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// answering is a transport that answers with what a function returns for each try.
type answering struct {
	tries    int
	requests []*http.Request
	bodies   []string
	answer   func(try int, r *http.Request) (*http.Response, error)
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(raw)
	}
	a.requests, a.bodies = append(a.requests, r), append(a.bodies, body)
	a.tries++
	return a.answer(a.tries, r)
}

func (a *answering) client(t *testing.T, options ...client.Option) *client.Client {
	t.Helper()
	options = append(options, client.HTTPClient(&http.Client{Transport: a}), client.Token("rst_secret"))
	c, err := client.New("http://roster.example/below", options...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// reply returns an answer; headers are names and values in turn.
func reply(status int, body string, headers ...string) (*http.Response, error) {
	response := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
	for i := 0; i < len(headers); i += 2 {
		response.Header.Set(headers[i], headers[i+1])
	}
	return response, nil
}

var errLost = errors.New("the connection was lost")

func wantStatus(t *testing.T, err error, status int) client.Error {
	t.Helper()
	e, ok := errors.AsType[*client.Error](err)
	if !ok || e.Status != status {
		t.Fatalf("got %v, want the status %d", err, status)
	}
	return *e
}
