package apitest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
)

// Answer is the answer to a request.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	tb     testing.TB
	call   string
}

// Want ends the test unless the answer has this status.
func (a *Answer) Want(status int) *Answer {
	a.tb.Helper()
	if a.Status != status {
		a.tb.Fatalf("%s: got %d %s, want %d", a.call, a.Status, a.Body, status)
	}
	return a
}

// WantProblem ends the test unless the answer is a problem of this status and code with
// errors for exactly these fields, in any order.
func (a *Answer) WantProblem(status int, code string, fields ...string) *Answer {
	a.tb.Helper()
	a.Want(status)
	var problem struct {
		Code   string
		Status int
		Errors []struct{ Field, Code, Message string }
	}
	a.Decode(&problem)
	got := map[string]bool{}
	for _, e := range problem.Errors {
		got[e.Field] = true
	}
	complete := len(got) == len(fields)
	for _, field := range fields {
		complete = complete && got[field]
	}
	if problem.Code != code || problem.Status != status || !complete {
		a.tb.Fatalf("%s: got %s, want code %s and errors for %v", a.call, a.Body, code, fields)
	}
	return a
}

// Location returns the path that the Location header leads to.
func (a *Answer) Location() string {
	a.tb.Helper()
	return pathOf(a.tb, a.Header.Get("Location"))
}

// pathOf returns the path and query of a URL or a path.
func pathOf(tb testing.TB, link string) string {
	tb.Helper()
	u, err := url.Parse(link)
	if err != nil {
		tb.Fatal(err)
	}
	return u.RequestURI()
}

// Decode reads the body as JSON.
func (a *Answer) Decode(into any) *Answer {
	a.tb.Helper()
	if err := json.Unmarshal(a.Body, into); err != nil {
		a.tb.Fatalf("%s: %v in %s", a.call, err, a.Body)
	}
	return a
}

// Object returns the body as a map.
func (a *Answer) Object() map[string]any {
	a.tb.Helper()
	object := map[string]any{}
	a.Decode(&object)
	return object
}

// List returns the items of a list.
func (a *Answer) List() []map[string]any {
	a.tb.Helper()
	var list struct{ Data []map[string]any }
	a.Decode(&list)
	return list.Data
}

// ID returns the id in the body.
func (a *Answer) ID() int64 {
	a.tb.Helper()
	var body struct{ ID int64 }
	a.Decode(&body)
	if body.ID < 1 {
		a.tb.Fatalf("%s: no id in %s", a.call, a.Body)
	}
	return body.ID
}
