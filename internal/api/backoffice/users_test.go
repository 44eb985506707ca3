package backoffice_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/api/apitest"
)

type changes = map[string]any

// The bodies of the documentation's own samples.
const (
	sampleCreate = `{
  "name": "Mary",
  "email": "email@website.com",
  "password": "MySecret123",
  "active": true,
  "tfa": true,
  "groups": [
    1
  ],
  "phone": "+18043257762",
  "ipWhitelist": [
    "79.24.241.198",
    "20.65.174.119"
  ],
  "clientTags": [
    "my_tag"
  ],
  "canViewMaskedData": true,
  "sendNotify": true
}`
	sampleUpdate = `{
  "name": "Mary",
  "email": "foo@bar.com",
  "password": "MySecret123",
  "phone": "+18043257762",
  "active": true,
  "tfa": true,
  "ipWhitelist": [
    "79.24.241.198",
    "20.65.174.119"
  ],
  "groups": [
    1
  ],
  "clientTags": [
    "my_tag"
  ],
  "canViewMaskedData": true,
  "sendNotify": true
}`
)

// asCurl sends a body the way curl --data-raw does without a header.
var asCurl = apitest.Header("Content-Type", "application/x-www-form-urlencoded")

func TestSampleCalls(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		created := s.Do(http.MethodPost, apitest.UsersPath, sampleCreate, asCurl).Want(http.StatusCreated)
		want := map[string]any{
			"id": 1.0, "name": "Mary", "email": "email@website.com", "phone": "+18043257762", "active": true,
			"tfa":    true,
			"groups": []any{1.0}, "ipWhitelist": []any{"79.24.241.198", "20.65.174.119"}, "clientTags": []any{"my_tag"},
			"canViewMaskedData": true, "createTime": "2026-11-22T12:00:00+00:00", "updateTime": nil,
			"lastSigninTime": nil, "version": 1.0,
		}
		if diff := cmp.Diff(want, created.Object()); diff != "" {
			t.Error(diff)
		}
		if got := created.Location(); got != apitest.UsersPath+"/1" {
			t.Errorf("Location %q", got)
		}
		if got := created.Header.Get("ETag"); got != `"1"` {
			t.Errorf("ETag %q", got)
		}
		s.Clock.Advance(time.Hour)
		want["email"], want["updateTime"], want["version"] = "foo@bar.com", "2026-11-22T13:00:00+00:00", 2.0
		if diff := cmp.Diff(want,
			s.Do(http.MethodPut, apitest.UsersPath+"/1", sampleUpdate,
				asCurl).Want(http.StatusOK).Object()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want,
			s.Do(http.MethodGet, apitest.UsersPath+"/1", nil).Want(http.StatusOK).Object()); diff != "" {
			t.Error(diff)
		}
		s.Do(http.MethodGet, "/api/v2/%75sers/%31", nil).Want(http.StatusOK)
		list := s.Do(http.MethodGet,
			apitest.UsersPath+"?limit=10&offset=0&filter[name]=Mary&filter[email]=foo@bar.com&filter[active]=1", nil).
			Want(http.StatusOK)
		if diff := cmp.Diff(map[string]any{"total": 1.0, "data": []any{want}}, list.Object()); diff != "" {
			t.Error(diff)
		}
		deleted := s.Do(http.MethodDelete, apitest.UsersPath+"/1", nil).Want(http.StatusNoContent)
		if len(deleted.Body) != 0 {
			t.Errorf("body %q", deleted.Body)
		}
		s.Do(http.MethodGet, apitest.UsersPath+"/1", nil).WantProblem(http.StatusNotFound, "not_found")
	})
}

func TestCreateNormalises(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := s.CreateGroup("Support")
		body := apitest.NewUser("MÄry.O'Neil+x@Example.COM", map[string]any{
			"name": "  Märy 李  ", "phone": "+1 (804) 325-77-62", "groups": []int64{group, 1, group},
			"ipWhitelist": []string{
				"::FFFF:10.1.2.3", "2001:DB8::0001", "10.0.0.0/8", "::ffff:10.0.0.0/104",
				"2001:db8::/32", "10.0.0.1/32",
			},
			"clientTags": []any{
				"my_tag",
				map[string]any{"id": 7},
				map[string]any{"name": "x"},
				map[string]any{"id": -1, "name": "y"},
			},
		})
		got := s.Do(http.MethodPost, apitest.UsersPath, body).Want(http.StatusCreated).Object()
		want := map[string]any{
			"name": "Märy 李", "email": "MÄry.O'Neil+x@Example.COM", "phone": "+18043257762",
			"groups":      []any{1.0, float64(group)},
			"ipWhitelist": []any{"10.1.2.3", "2001:db8::1", "10.0.0.0/8", "10.0.0.0/8", "2001:db8::/32", "10.0.0.1"},
			"clientTags": []any{
				"my_tag",
				map[string]any{"id": 7.0},
				map[string]any{"name": "x"},
				map[string]any{"id": -1.0, "name": "y"},
			},
		}
		for field, value := range want {
			if diff := cmp.Diff(value, got[field]); diff != "" {
				t.Errorf("%s: %s", field, diff)
			}
		}
	})
}

func TestCreateMinimal(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for i, change := range []map[string]any{
			{},
			{"phone": nil, "ipWhitelist": nil, "clientTags": nil, "sendNotify": false},
		} {
			got := s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser(fmt.Sprintf("m%d@example.com", i), change)).
				Want(http.StatusCreated).Object()
			for field, want := range map[string]any{
				"phone": nil, "ipWhitelist": []any{}, "clientTags": []any{}, "groups": []any{},
				"canViewMaskedData": false,
			} {
				if diff := cmp.Diff(want, got[field]); diff != "" {
					t.Errorf("%s: %s", field, diff)
				}
			}
			for field := range got {
				if strings.Contains(strings.ToLower(field), "password") || field == "sendNotify" {
					t.Errorf("answer has %s", field)
				}
			}
		}
	})
}

// TestInvalidFields sends one wrong value at a time to creation and, where the field can be changed,
// to update. The error must name the field, and nothing may be stored.
func TestInvalidFields(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 256)
	many := make([]string, 257)
	for i := range many {
		many[i] = "10.0.0.1"
	}
	tests := []struct {
		field string // the path that the error names
		value any
	}{
		{"name", ""},
		{"name", "   "},
		{"name", long},
		{"name", "a\nb"},
		{"name", "a\u0007b"},
		{"name", "Mary \u202Eyram"},
		{"name", "Ma\u200Bry"},
		{"name", "\u3164"},
		{"name", "\u200D"},
		{"name", 5},
		{"name", true},
		{"name", nil},
		{"name", []string{"x"}},
		{"email", ""},
		{"email", "plain"},
		{"email", "@example.com"},
		{"email", "a@"},
		{"email", "a@b"},
		{"email", "a b@example.com"},
		{"email", " a@example.com"},
		{"email", "a@example.com "},
		{"email", "a@example..com"},
		{"email", "a@-example.com"},
		{"email", "a@example.com."},
		{"email", ".a@example.com"},
		{"email", "a..b@example.com"},
		{"email", "a@b@example.com"},
		{"email", "Mary <a@example.com>"},
		{"email", "a@example.com, b@example.com"},
		{"email", "a@example.com\r\nBcc: b@example.com"},
		{"email", `"a b"@example.com`},
		{"email", "a@[127.0.0.1]"},
		{"email", "a@127.0.0.1"},
		{"email", "a@xn--a.example"},
		{"email", "a@exa\u034Fmple.com"},
		{"email", "a@\u05D0a.example"},
		{"email", strings.Repeat("a", 65) + "@example.com"},
		{"email", "a@" + strings.Repeat("a", 64) + ".com"},
		{"email", "a@" + strings.Repeat("abcdefghi.", 26) + "com"},
		{"email", strings.Repeat("(", 100000) + "@example.com"},
		{"email", 5},
		{"email", nil},
		{"password", "short"},
		{"password", "1234567"},
		{"password", "äöüäöüä"},
		{"password", strings.Repeat("x", 73)},
		{"password", strings.Repeat("ä", 37)},
		{"password", 12345678},
		{"password", nil},
		{"active", "true"},
		{"active", 1},
		{"active", nil},
		{"tfa", "false"},
		{"tfa", nil},
		{"groups", 1},
		{"groups", "1"},
		{"groups", nil},
		{"groups", map[string]any{}},
		{"groups[0]", []any{"1"}},
		{"groups[0]", []any{1.5}},
		{"groups[0]", []any{nil}},
		{"groups[1]", []any{1, true}},
		{"groups[0]", []any{999}},
		{"groups[0]", []any{0}},
		{"groups[0]", []any{-1}},
		{"phone", "18043257762"},
		{"phone", "+1"},
		{"phone", "+0804325"},
		{"phone", "+1234567890123456"},
		{"phone", "+1804325x"},
		{"phone", ""},
		{"phone", 18043257762},
		{"ipWhitelist", "10.0.0.1"},
		{"ipWhitelist", many},
		{"ipWhitelist[0]", []any{"10.0.0"}},
		{"ipWhitelist[0]", []any{"10.0.0.256"}},
		{"ipWhitelist[0]", []any{"10.0.0.01"}},
		{"ipWhitelist[0]", []any{"10.0.0.1/8"}},
		{"ipWhitelist[0]", []any{"10.0.0.0/33"}},
		{"ipWhitelist[0]", []any{"fe80::1%eth0"}},
		{"ipWhitelist[0]", []any{"2001:db8::1/32"}},
		{"ipWhitelist[0]", []any{"::ffff:10.0.0.0/64"}},
		{"ipWhitelist[0]", []any{" 10.0.0.1"}},
		{"ipWhitelist[0]", []any{""}},
		{"ipWhitelist[0]", []any{"localhost"}},
		{"ipWhitelist[0]", []any{nil}},
		{"ipWhitelist[1]", []any{"10.0.0.1", 5}},
		{"clientTags", "my_tag"},
		{"clientTags", slices.Repeat([]string{"x"}, 65)},
		{"clientTags", slices.Repeat([]string{strings.Repeat("x", 200)}, 41)}, // 41 × 203 bytes
		{"clientTags", slices.Repeat([]string{strings.Repeat("<", 200)}, 7)},  // each is kept as \u003c
		{"clientTags[0]", []any{5}},
		{"clientTags[0]", []any{nil}},
		{"clientTags[0]", []any{""}},
		{"clientTags[0]", []any{long}},
		{"clientTags[0]", []any{map[string]any{}}},
		{"clientTags[0]", []any{map[string]any{"id": "1"}}},
		{"clientTags[0]", []any{map[string]any{"id": 1.5}}},
		{"clientTags[0]", []any{map[string]any{"name": nil}}},
		{"clientTags[1]", []any{"x", map[string]any{"id": 1, "colour": "red"}}},
		{"clientTags[0]", []any{[]any{"x"}}},
		{"canViewMaskedData", "yes"},
		{"canViewMaskedData", nil},
		{"sendNotify", 1},
		{"sendNotify", nil},
		{"ipWhiteList", []any{"10.0.0.1"}},
		{"Name", "x"},
		{"id", 5},
		{"version", 5},
		{"is_admin", true},
		{"__proto__", map[string]any{}},
	}
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("kept@example.com")
		before := string(s.Do(http.MethodGet, apitest.UserPath(id), nil).Body)
		for _, test := range tests {
			name, _, _ := strings.Cut(test.field, "[")
			change := map[string]any{name: test.value}
			s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("new@example.com", change)).
				WantProblem(http.StatusBadRequest, "validation_failed", test.field)
			for _, method := range []string{http.MethodPut, http.MethodPatch} {
				s.Do(method, apitest.UserPath(id), change).
					WantProblem(http.StatusBadRequest, "validation_failed", test.field)
			}
		}
		if after := string(s.Do(http.MethodGet, apitest.UserPath(id), nil).Body); after != before {
			t.Errorf("changed to %s", after)
		}
		if total := s.Do(http.MethodGet, apitest.UsersPath, nil).Object()["total"]; total != 1.0 {
			t.Errorf("%v users", total)
		}
	})
}

func TestAllErrorsAtOnce(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.Do(http.MethodPost, apitest.UsersPath, `{}`).WantProblem(http.StatusBadRequest, "validation_failed",
			"name", "email", "password", "active", "tfa", "groups")
		s.Do(http.MethodPost, apitest.UsersPath,
			`{"name":"","email":"x","password":"y","active":1,`+
				`"groups":["x",1,null],"ipWhitelist":["a","1.1.1.1","b"],"foo":1}`).
			WantProblem(http.StatusBadRequest, "validation_failed",
				"name", "email", "password", "active", "tfa", "groups[0]", "groups[2]",
				"ipWhitelist[0]", "ipWhitelist[2]", "foo")
		s.Do(http.MethodPost, apitest.UsersPath,
			apitest.NewUser("a@example.com", map[string]any{"groups": []int{7, 1, 9}})).
			WantProblem(http.StatusBadRequest, "validation_failed", "groups[0]", "groups[2]")
	})
}

func TestEmailIsUniqueWithoutRegardToASCIICase(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("Mike@Example.com")
		other := s.CreateUser("other@example.com")
		s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("mIKE@eXAMPLE.com")).
			WantProblem(http.StatusConflict, "email_taken", "email")
		s.Do(http.MethodPatch, apitest.UserPath(other), map[string]any{"email": "MIKE@example.com"}).
			WantProblem(http.StatusConflict, "email_taken", "email")
		s.Do(http.MethodPatch, apitest.UserPath(other), map[string]any{"email": "OTHER@example.com"}).
			Want(http.StatusOK)
		s.CreateUser("mıke@example.com")      // another mailbox: a dotless i
		s.CreateUser("mi\u212Ae@example.com") // and a Kelvin sign
	})
}

func TestPartialUpdate(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := s.CreateGroup("Support")
		for i, method := range []string{http.MethodPut, http.MethodPatch} {
			id := s.CreateUser(fmt.Sprintf("u%d@example.com", i), map[string]any{
				"phone": "+18043257762", "ipWhitelist": []string{"10.0.0.1"}, "clientTags": []string{"a"},
				"groups": []int64{1},
			})
			want := s.Do(http.MethodGet, apitest.UserPath(id), nil).Object()
			steps := []struct {
				change map[string]any
				want   map[string]any
			}{
				{map[string]any{"name": "Ann"}, map[string]any{"name": "Ann"}},
				{map[string]any{"phone": nil}, map[string]any{"phone": nil}},
				{map[string]any{"ipWhitelist": nil}, map[string]any{"ipWhitelist": []any{}}},
				{map[string]any{"clientTags": nil}, map[string]any{"clientTags": []any{}}},
				{map[string]any{"active": false, "tfa": true}, map[string]any{"active": false, "tfa": true}},
				{map[string]any{"groups": []int64{group}}, map[string]any{"groups": []any{float64(group)}}},
				{map[string]any{"groups": []int64{}}, map[string]any{"groups": []any{}}},
				{map[string]any{"canViewMaskedData": true}, map[string]any{"canViewMaskedData": true}},
				{map[string]any{"password": "AnotherSecret"}, nil},
			}
			for _, step := range steps {
				s.Clock.Advance(time.Minute)
				for field, value := range step.want {
					want[field] = value
				}
				want["version"] = want["version"].(float64) + 1
				want["updateTime"] = s.Clock.Now().Format("2006-01-02T15:04:05-07:00")
				got := s.Do(method, apitest.UserPath(id), step.change).Want(http.StatusOK)
				if diff := cmp.Diff(want, got.Object()); diff != "" {
					t.Errorf("%v: %s", step.change, diff)
				}
				if got.Header.Get("ETag") != fmt.Sprintf(`"%v"`, want["version"]) {
					t.Errorf("ETag %s", got.Header.Get("ETag"))
				}
			}
			// What is so already is no change.
			s.Clock.Advance(time.Minute)
			for _, change := range []any{
				`{}`,
				map[string]any{"name": "Ann", "active": false, "phone": nil, "groups": []int{}},
			} {
				if diff := cmp.Diff(want,
					s.Do(method, apitest.UserPath(id), change).Want(http.StatusOK).Object()); diff != "" {
					t.Errorf("%v: %s", change, diff)
				}
			}
			if diff := cmp.Diff(want, s.Do(http.MethodGet, apitest.UserPath(id), nil).Object()); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestIfMatch(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("a@example.com")
		path := apitest.UserPath(id)
		match := func(value string) apitest.Option { return apitest.Header("If-Match", value) }
		for _, stale := range []string{`"2"`, `W/"2"`, `"01"`, `"x"`, `"2", "3"`, `""`} {
			s.Do(http.MethodPatch, path, `{"name":"B"}`, match(stale)).
				WantProblem(http.StatusPreconditionFailed, "stale_version")
			s.Do(http.MethodDelete, path, nil, match(stale)).WantProblem(http.StatusPreconditionFailed, "stale_version")
			s.Do(http.MethodPatch, path, `{"password":"AnotherSecret"}`, match(stale)).
				WantProblem(http.StatusPreconditionFailed, "stale_version")
		}
		for _, malformed := range []string{`1`, `abc`, `"1`, `1"`, `"1" "2"`, `W/1`, `w/"1"`, `"`, `*, "1"`, `"1",`} {
			for _, method := range []string{http.MethodPatch, http.MethodDelete} {
				s.Do(method, path, map[string]any{"name": "B"}, match(malformed)).
					WantProblem(http.StatusBadRequest, "validation_failed", "If-Match")
			}
		}
		s.Do(http.MethodPatch, path, `{"name":"B"}`, match(`W/"1"`)).Want(http.StatusOK)
		s.Do(http.MethodPatch, path, `{"name":"C"}`, match(`"1"`)).
			WantProblem(http.StatusPreconditionFailed, "stale_version")
		s.Do(http.MethodPut, path, `{"name":"C"}`, match(`"9", "2"`)).Want(http.StatusOK)
		s.Do(http.MethodPatch, path, `{"name":"D"}`, match(`*`)).Want(http.StatusOK)
		s.Do(http.MethodDelete, path, nil, match(`"4"`)).Want(http.StatusNoContent)
		s.Do(http.MethodDelete, path, nil, match(`"4"`)).WantProblem(http.StatusNotFound, "not_found")
	})
}

func TestUnknownUsers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			var body any
			if method == http.MethodPut || method == http.MethodPatch {
				body = `{"password":"AnotherSecret"}`
			}
			for _, id := range []string{
				"1", "2147483648", "4294967297", "9223372036854775807", "9223372036854775808",
				strings.Repeat("9", 100), "007",
			} {
				s.Do(method, apitest.UsersPath+"/"+id, body).WantProblem(http.StatusNotFound, "not_found")
			}
			for _, id := range []string{
				"0", "-1", "abc", "1.5", "+1", "1e3", "0x1", "%00", "%20", "1%20", "Me", "null",
				"%D9%A1", "%FF", "1;2",
			} {
				s.Do(method, apitest.UsersPath+"/"+id, body).
					WantProblem(http.StatusBadRequest, "validation_failed", "userId")
			}
			s.Do(method, apitest.UsersPath+"/me", body).WantProblem(http.StatusNotFound, "not_found")
			s.Do(method, apitest.UsersPath+"/", body).WantProblem(http.StatusNotFound, "not_found")
			for _, path := range []string{"/1/2", "/1%2F2", "/%2e%2e/users", "//1", "/1/"} {
				s.Do(method, apitest.UsersPath+path, body).WantProblem(http.StatusNotFound, "not_found")
			}
		}
	})
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		key := apitest.Header("Idempotency-Key", "key-1")
		body := apitest.NewUser("a@example.com")
		first := s.Do(http.MethodPost, apitest.UsersPath, body, key).Want(http.StatusCreated)
		s.Do(http.MethodPatch, apitest.UserPath(first.ID()), `{"name":"Changed"}`).Want(http.StatusOK)
		second := s.Do(http.MethodPost, apitest.UsersPath, body, key).Want(http.StatusCreated)
		if string(first.Body) != string(second.Body) || first.Location() != second.Location() ||
			first.Header.Get("ETag") != second.Header.Get("ETag") {
			t.Errorf("replayed %s, first was %s", second.Body, first.Body)
		}
		s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("b@example.com"), key).
			WantProblem(http.StatusConflict, "idempotency_key_reused", "Idempotency-Key")
		if total := s.Do(http.MethodGet, apitest.UsersPath, nil).Object()["total"]; total != 1.0 {
			t.Errorf("%v users", total)
		}
		// Another caller's key is another key.
		other := s.CreateToken(0, []string{"users.create"})
		s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("c@example.com"), key, apitest.As(other)).
			Want(http.StatusCreated)

		// A failure is not remembered.
		again := apitest.Header("Idempotency-Key", "key-2")
		s.Do(http.MethodPost, apitest.UsersPath, body, again).WantProblem(http.StatusConflict, "email_taken", "email")
		s.Do(http.MethodDelete, apitest.UserPath(first.ID()), nil).Want(http.StatusNoContent)
		s.Do(http.MethodPost, apitest.UsersPath, body, again).Want(http.StatusCreated)

		// What was kept has gone with the user: a late repetition is a request like any other.
		s.Do(http.MethodPost, apitest.UsersPath, body, key).WantProblem(http.StatusConflict, "email_taken", "email")
		s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("b@example.com"), key).Want(http.StatusCreated)
		s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("d@example.com"), key).
			WantProblem(http.StatusConflict, "idempotency_key_reused", "Idempotency-Key")

		s.Clock.Advance(24*time.Hour + time.Second)
		s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("d@example.com"), key).Want(http.StatusCreated)

		for _, bad := range []string{"a b", "ä", strings.Repeat("x", 256)} {
			s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("e@example.com"),
				apitest.Header("Idempotency-Key", bad)).
				WantProblem(http.StatusBadRequest, "validation_failed", "Idempotency-Key")
		}
	})
}
