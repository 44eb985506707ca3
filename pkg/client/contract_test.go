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
	"time"

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
		"UserCount": client.UserCount{}, "FoundUsers": client.FoundUsers{}, "Source": client.Source{},
		"SigninState": client.SigninState{}, "Access": client.Access{}, "GivenPermission": client.GivenPermission{},
		"GroupName": client.GroupName{}, "Holdings": client.Holdings{}, "HeldTokens": client.HeldTokens{},
		"HeldWebhooks": client.HeldWebhooks{},
		"Delivery":     client.Delivery{}, "Event": client.Event{}, "EventActor": client.Actor{}, "FieldChange": client.Change{},
		"Job": client.Job{}, "JobPlan": client.JobPlan{}, "JobFilter": client.JobFilter{}, "JobItem": client.JobItem{},
		"ImportPlan": client.ImportPlan{},
		"Session":    client.Session{}, "SignInResult": client.SignIn{}, "TokenPair": client.TokenPair{},
		"Challenge": client.Challenge{}, "IssuedToken": client.IssuedToken{}, "FieldError": client.FieldError{},
		"Record": client.Record{}, "Enrolment": client.Enrolment{}, "NetworkExplanation": client.NetworkExplanation{},
		"Reauthentication": client.Reauthentication{}, "SecondFactor": client.SecondFactor{},
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

// TestJobsHaveTheFiltersOfTheList checks that a job has all filters of the list of users, and no other.
func TestJobsHaveTheFiltersOfTheList(t *testing.T) {
	document := contract(t)
	want := map[string]bool{}
	for _, parameter := range document.Paths.Find("/api/v2/users").Get.Parameters {
		if name, isFilter := strings.CutPrefix(parameter.Value.Name, "filter["); isFilter {
			want[strings.TrimSuffix(name, "]")] = true
		}
	}
	got := document.Components.Schemas["JobFilter"].Value.Properties
	names, wanted := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))
	if len(want) == 0 || !slices.Equal(names, wanted) {
		t.Errorf("a job has %v, the list %v", names, wanted)
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
	switch {
	case schema.Format == "date-time":
		return field.String() == "time.Time"
	case schema.Format == "byte":
		return field.String() == "[]uint8"
	case field.String() == "json.RawMessage":
		return schema.Type.Is("object")
	}
	if len(schema.Type.Slice()) == 0 { // anything, or one of several
		return true
	}
	return slices.Contains(kinds[schema.Type.Slice()[0]], field.Kind())
}

// recorder is a transport that keeps what is called, with the names of the parameters, and answers nothing useful.
type recorder map[string]map[string]bool

func (r recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	key := generic(request.Method + " " + request.URL.Path)
	if r[key] == nil {
		r[key] = map[string]bool{}
	}
	for name := range request.URL.Query() {
		r[key][name] = true
	}
	for name := range request.Header {
		r[key][name] = true
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}")), Request: request}, nil
}

// without has the calls that the client has no method for.
var without = []string{
	"PUT /api/v2/users/{userId}", "PUT /api/v2/groups/{groupId}", "PUT /api/v2/webhooks/{webhookId}", // the same as PATCH
	"GET /api/v2/auth", // for proxies: it is about the address that the call comes from, and answers in headers
}

// withoutParameter has the parameters that the client does not send.
var withoutParameter = []string{
	"offset", "after", // an iterator follows the links from page to page
	"total",          // an iterator has none
	"filter[active]", // UserList.Status says the same, and more
}

// TestEveryCallHasAMethod calls all methods of the client with all that they take, and checks that they are the calls
// of the contract with all of their parameters.
func TestEveryCallHasAMethod(t *testing.T) {
	got := recorder{}
	c, err := client.New("http://roster.example", client.HTTPClient(&http.Client{Transport: got}))
	if err != nil {
		t.Fatal(err)
	}
	services := reflect.ValueOf(*c)
	for i := range services.NumField() {
		if !services.Type().Field(i).IsExported() {
			continue
		}
		service := services.Field(i)
		for i := range service.NumMethod() {
			callWithAll(t, service.Type().Method(i).Name, service.Method(i))
		}
	}
	want := map[string]bool{}
	for path, item := range contract(t).Paths.Map() {
		for method, operation := range item.Operations() {
			key := method + " " + path
			if !strings.HasPrefix(path, "/api/") || slices.Contains(without, key) {
				continue
			}
			want[generic(key)] = true
			for _, parameter := range operation.Parameters {
				if of := parameter.Value; of.In != "path" && !slices.Contains(withoutParameter, of.Name) &&
					!got[generic(key)][of.Name] {
					t.Errorf("%s: %s cannot be sent", key, of.Name)
				}
			}
		}
	}
	called, wanted := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))
	if !slices.Equal(called, wanted) {
		t.Errorf("called\n%s\nwant\n%s", strings.Join(called, "\n"), strings.Join(wanted, "\n"))
	}
}

// generic returns a call with each parameter as 1.
func generic(key string) string {
	parts := strings.Split(key, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, "{") || part == "me" {
			parts[i] = "1"
		}
	}
	return strings.Join(parts, "/")
}

// callWithAll calls a method with all options, and no field of its arguments empty. Of a list it reads a page.
func callWithAll(t *testing.T, name string, method reflect.Value) {
	t.Helper()
	arguments := []reflect.Value{reflect.ValueOf(t.Context())}
	of := method.Type()
	fixed := of.NumIn()
	if of.IsVariadic() {
		fixed--
	}
	for i := 1; i < fixed; i++ {
		argument := reflect.New(of.In(i)).Elem()
		fill(argument)
		arguments = append(arguments, argument)
	}
	if of.IsVariadic() {
		for _, option := range []client.CallOption{client.IfVersion(1), client.IdempotencyKey("1"), client.Force()} {
			arguments = append(arguments, reflect.ValueOf(option))
		}
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

// fill gives a value, and each field of a struct, a value that is not its zero value.
func fill(v reflect.Value) {
	if at, ok := v.Addr().Interface().(*time.Time); ok {
		*at = time.Unix(1, 0)
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("1")
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
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
