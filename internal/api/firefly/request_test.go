package firefly_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/api/apitest"
)

func TestLenientBooleans(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := create(s, "a@example.com")
		blocked := func() bool {
			return attributesOf(s.Do(http.MethodGet, userPath(id), nil).Want(http.StatusOK))["blocked"].(bool)
		}
		for want, texts := range map[bool][]string{
			true:  {"1", "true", "on", "yes", "y", "TRUE", "On", " yes "},
			false: {"0", "false", "off", "no", "n", "False", "NO", "\t0\n"},
		} {
			values := []any{want}
			if want {
				values = append(values, 1, 1.0)
			} else {
				values = append(values, 0, json.RawMessage("-0.0"))
			}
			for _, text := range texts {
				values = append(values, text)
				s.Do(http.MethodPut, userPath(id), object{"blocked": !want}).Want(http.StatusOK)
				s.Do(http.MethodPut, userPath(id), "blocked="+url.QueryEscape(text), contentType(form)).Want(http.StatusOK)
				if blocked() != want {
					t.Errorf("form: %q is not %v", text, want)
				}
			}
			for _, value := range values {
				s.Do(http.MethodPut, userPath(id), object{"blocked": !want}).Want(http.StatusOK)
				s.Do(http.MethodPut, userPath(id), object{"blocked": value}).Want(http.StatusOK)
				if blocked() != want {
					t.Errorf("%#v is not %v", value, want)
				}
			}
		}
		for _, value := range []any{
			2, -1, 0.5, "2", "maybe", "ja", "0x1", []bool{true}, object{"a": 1}, json.RawMessage("1e999"),
		} {
			s.Do(http.MethodPut, userPath(id), object{"blocked": value}).
				Want(http.StatusUnprocessableEntity).Golden("invalid_boolean")
		}
	})
}

func TestForms(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for i, test := range []struct {
			body, contentType string
			blocked           bool
			code              any
		}{
			{"email=%s&blocked=0", form, false, nil},
			{"email=%s&blocked=1&blocked_code=email_changed", form, true, "email_changed"},
			{"email=%s&blocked=1&blocked_code=", form, true, nil},
			{"email=%s&blocked=1&blocked_code=+", form + "; charset=utf-8", true, nil},
			{"email=x&email=%s&blocked=0&blocked=yes", form, true, nil},
			{"%%65mail=+%s+&blocked=%%31", form, true, nil},
			{"&email=%s&&blocked=0&role=owner&foo[]=1&foo[a][b]=2&", form, false, nil},
			{"email=%s&blocked=0", "", false, nil},
			{` {"email":"%s","blocked":false}`, form, false, nil}, // as curl sends it
			{` {"email":"%s","blocked":false}`, "", false, nil},
			{`{"email":"%s","blocked":false}`, "application/json; charset=UTF-8", false, nil},
			{
				`{"email":" %s ","blocked":"on","blocked_code":" email_changed ","x":{"y":[]}}`,
				jsonAPI, true, "email_changed",
			},
		} {
			email := fmt.Sprintf("u%d@example.com", i)
			answer := s.Do(http.MethodPost, users, fmt.Sprintf(test.body, email), contentType(test.contentType))
			got := attributesOf(answer.Want(http.StatusOK))
			if got["email"] != email || got["blocked"] != test.blocked || got["blocked_code"] != test.code {
				t.Errorf("%s: %v", test.body, got)
			}
		}
	})
}

func TestContentTypes(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := create(s, "a@example.com")
		for _, value := range []string{
			"text/plain", "application/xml", "multipart/form-data; boundary=x", "application/octet-stream", "json",
			"/", "a/b/c", "application/json; charset=latin1", "application/merge-patch+json",
		} {
			for _, call := range []struct{ method, path string }{
				{http.MethodPost, users},
				{http.MethodPut, userPath(id)},
			} {
				answer := s.Do(call.method, call.path, `{"email":"b@example.com","blocked":true}`, contentType(value)).
					Want(http.StatusUnsupportedMediaType)
				if answer.Object()["exception"] != "BadHttpHeaderException" {
					t.Errorf("%s: %s", value, answer.Body)
				}
			}
		}
		s.Do(http.MethodPut, userPath(id), `{}`, contentType("application/json;")).Want(http.StatusOK)
		s.Do(http.MethodPut, userPath(id), `{}`, apitest.Header("Content-Encoding", "gzip")).
			Want(http.StatusUnsupportedMediaType)
		// Without a body, the type is ignored.
		s.Do(http.MethodGet, userPath(id), nil, contentType("text/plain")).Want(http.StatusOK)

		for accept, accepted := range map[string]bool{
			"": true, "*/*": true, "application/*": true, "application/json": true, jsonAPI: true,
			"application/json, text/plain, */*": true, "text/html, " + jsonAPI + ";q=0.1": true,
			jsonAPI + `;ext="x"`: true, "/;": true,
			"text/html": false, "nonsense": false, "application/xml": false, "application/problem+json": false,
			"image/*, application/json;q=0, " + jsonAPI + ";q=0": false,
		} {
			option := apitest.Header("Accept", accept)
			status := http.StatusOK
			if !accepted {
				status = http.StatusNotAcceptable
			}
			answer := s.Do(http.MethodGet, userPath(id), nil, option).Want(status)
			want := map[bool]string{true: jsonAPI, false: "application/json"}[accepted]
			if got := answer.Header.Get("Content-Type"); got != want {
				t.Errorf("Accept %q: %s", accept, got)
			}
		}
		// No change is made whose answer the client rejects.
		s.Do(http.MethodDelete, userPath(id), nil, apitest.Header("Accept", "text/html")).
			Want(http.StatusNotAcceptable).Golden("not_acceptable")
		s.Do(http.MethodGet, userPath(id), nil).Want(http.StatusOK)
	})
}

// The messages of wrong fields.
const (
	noEmail    = "The email address field is required."
	badEmail   = "The email address must be a valid email address."
	takenEmail = "The email address has already been taken."
	noBlocked  = "The blocked field is required."
	badBlocked = "The blocked field must be true or false."
	badCode    = "The selected blocked code is invalid."
)

type fieldErrors = map[string][]string

// wantInvalid checks that a request gets a message and field errors.
func wantInvalid(t *testing.T, s *apitest.Server, method, path string, body any, message string, want fieldErrors) {
	t.Helper()
	answer := s.Do(method, path, body).Want(http.StatusUnprocessableEntity)
	var got struct {
		Message string
		Errors  fieldErrors
	}
	answer.Decode(&got)
	diff := cmp.Diff(want, got.Errors)
	if diff != "" || got.Message != message || answer.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v: %s: %s", body, answer.Body, diff)
	}
}

func TestInvalidUsers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		create(s, "taken@example.com")
		id := create(s, "a@example.com")
		both := func(body object, message string, want fieldErrors) {
			t.Helper()
			wantInvalid(t, s, http.MethodPut, userPath(id), body, message, want)
			for name, value := range (object{"email": "b@example.com", "blocked": true}) {
				if _, given := body[name]; !given {
					body[name] = value
				}
			}
			wantInvalid(t, s, http.MethodPost, users, body, message, want)
		}
		for _, value := range []any{
			"x", "a@b", "a@b@c.de", "Mary <mary@example.com>", 5, true,
			[]string{"a@example.com"},
			object{},
			strings.Repeat("x", 250) + "@example.com",
		} {
			both(object{"email": value}, badEmail, fieldErrors{"email": {badEmail}})
		}
		for _, value := range []any{nil, "", " "} {
			both(object{"email": value}, noEmail, fieldErrors{"email": {noEmail}})
			both(object{"blocked": value}, noBlocked, fieldErrors{"blocked": {noBlocked}})
		}
		for _, value := range []any{"x", "EMAIL_CHANGED", 1, true, []string{"email_changed"}, object{}} {
			both(object{"blocked_code": value}, badCode, fieldErrors{"blocked_code": {badCode}})
		}
		both(object{"email": "TAKEN@example.com"}, takenEmail, fieldErrors{"email": {takenEmail}})
		both(object{"email": "x", "blocked": "x"}, badEmail+" (and 1 more error)",
			fieldErrors{"email": {badEmail}, "blocked": {badBlocked}})
		both(object{"email": "x", "blocked": "x", "blocked_code": "x"}, badEmail+" (and 2 more errors)",
			fieldErrors{"email": {badEmail}, "blocked": {badBlocked}, "blocked_code": {badCode}})
		for _, body := range []any{`{}`, object{"name": "Mary"}} {
			wantInvalid(t, s, http.MethodPost, users, body, noEmail+" (and 1 more error)",
				fieldErrors{"email": {noEmail}, "blocked": {noBlocked}})
		}
		s.Do(http.MethodPut, userPath(id), `{}`).Want(http.StatusOK)
		if got := getList(s, "").String(); got != "2 1, 2/2, 50, 1/1" {
			t.Error(got)
		}
	})
}

func TestInvalidBodies(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := create(s, "a@example.com")
		const twice = "The email address field is there twice."
		wantInvalid(t, s, http.MethodPost, users, `{"email":"b@example.com","email":"c@example.com","blocked":0}`,
			twice, fieldErrors{"email": {twice}})
		for body, message := range map[string]string{
			"":               "The body is empty; send a JSON object.",
			"[]":             "The body must be a JSON object.",
			`{"email":`:      "The body is not valid JSON at byte 9.",
			"email=x":        "The body is not valid JSON at byte 1.",
			`{"a":"\udc00"}`: "The body has half a surrogate pair at byte 6.",
		} {
			wantInvalid(t, s, http.MethodPost, users, body, message, fieldErrors{})
			wantInvalid(t, s, http.MethodPut, userPath(id), body, message, fieldErrors{})
		}
		wantInvalid(t, s, http.MethodPut, userPath(id), `{"email":"b\u0000@example.com","x":"\u0000"}`,
			badEmail, fieldErrors{"email": {badEmail}})
		for _, body := range []string{
			"email=%zz", "email=a;b", "%", "email=%00", "email=a%40b.de%00", "email=%ff@example.com", "blocked=%00",
			"blocked_code=%ff",
		} {
			s.Do(http.MethodPut, userPath(id), body, contentType(form)).Want(http.StatusUnprocessableEntity)
		}
		s.Do(http.MethodPut, userPath(id), "", contentType(form)).Want(http.StatusOK)
		if got := getList(s, "").String(); got != "1, 1/1, 50, 1/1" {
			t.Error(got)
		}
	})
}
