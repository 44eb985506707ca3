package backoffice_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/api/apitest"
)

func TestRecords(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		records := apitest.UserPath(s.CreateUser("a@example.com")) + "/records"
		path := records + "/accounts/17"
		created := s.Do(http.MethodPut, path,
			`{"attributes": {"b": 1.10, "a": [12345678901234567890, null], "<": "ä"}}`).Want(http.StatusCreated)
		if location := created.Location(); location != path {
			t.Errorf("Location %s", location)
		}
		if !strings.Contains(string(created.Body), `"attributes":{"b":1.10,"a":[12345678901234567890,null],"<":"ä"}`) {
			t.Errorf("not as it was written: %s", created.Body)
		}
		want := changes{
			"type": "accounts", "id": "17", "attributes": changes{"name": "Savings"},
			"createTime": "2026-11-22T12:00:00+00:00", "updateTime": "2026-11-22T13:00:00+00:00",
		}
		s.Clock.Advance(time.Hour)
		check := func(a *apitest.Answer) {
			t.Helper()
			if diff := cmp.Diff(want, a.Want(http.StatusOK).Object()); diff != "" {
				t.Error(diff)
			}
		}
		check(s.Do(http.MethodPut, path, changes{"attributes": changes{"name": "Savings"}}))
		s.Clock.Advance(time.Hour)
		check(s.Do(http.MethodPut, path, ` {"attributes" : { "name" : "Savings" } } `)) // the same
		check(s.Do(http.MethodGet, path, nil))

		for _, other := range []string{
			"/tags/b", "/tags/a", "/tags/B", "/bills/17",
			"/transactions/" + url.PathEscape("ü:%?#.~"),
		} {
			s.Do(http.MethodPut, records+other, changes{"attributes": changes{}}).Want(http.StatusCreated)
		}
		for query, names := range map[string]string{
			"":                             "accounts/17 bills/17 tags/B tags/a tags/b transactions/ü:%?#.~ of 6",
			"?limit=2":                     "accounts/17 bills/17 of 6",
			"?limit=2&offset=5":            "transactions/ü:%?#.~ of 6",
			"?offset=6":                    "of 6",
			"?filter[type]=tags":           "tags/B tags/a tags/b of 3",
			"?filter[type]=tags&limit=1":   "tags/B of 3",
			"?filter%5Btype%5D=categories": "of 0",
		} {
			var list struct {
				Total int
				Data  []struct{ Type, ID string }
			}
			s.Do(http.MethodGet, records+query, nil).Want(http.StatusOK).Decode(&list)
			got := ""
			for _, r := range list.Data {
				got += r.Type + "/" + r.ID + " "
			}
			if got += fmt.Sprint("of ", list.Total); got != names {
				t.Errorf("%s: %s, want %s", query, got, names)
			}
		}
		odd := records + "/transactions/" + url.PathEscape("ü:%?#.~")
		s.Do(http.MethodGet, odd, nil).Want(http.StatusOK)
		s.Do(http.MethodDelete, odd, nil).Want(http.StatusNoContent)
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			s.Do(method, odd, nil).WantProblem(http.StatusNotFound, "not_found")
		}

		// Another user's are another's.
		other := apitest.UserPath(s.CreateUser("b@example.com")) + "/records"
		s.Do(http.MethodGet, other+"/accounts/17", nil).WantProblem(http.StatusNotFound, "not_found")
		s.Do(http.MethodPut, other+"/accounts/17", changes{"attributes": changes{}}).Want(http.StatusCreated)
		check(s.Do(http.MethodGet, path, nil))
	})
}

func TestRecordsOfNobody(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		user := s.CreateUser("a@example.com")
		record := apitest.UserPath(user) + "/records/accounts/17"
		s.Do(http.MethodPut, record, changes{"attributes": changes{}}).Want(http.StatusCreated)
		s.Do(http.MethodDelete, apitest.UserPath(user), nil).Want(http.StatusNoContent)
		for _, id := range []string{fmt.Sprint(user), "999", "9223372036854775808", "me"} {
			records := apitest.UsersPath + "/" + id + "/records"
			s.Do(http.MethodGet, records, nil).WantProblem(http.StatusNotFound, "not_found")
			for _, method := range []string{http.MethodGet, http.MethodDelete} {
				s.Do(method, records+"/accounts/17", nil).WantProblem(http.StatusNotFound, "not_found")
			}
			s.Do(http.MethodPut, records+"/accounts/17", changes{"attributes": changes{}}).
				WantProblem(http.StatusNotFound, "not_found")
		}
		// One's own records are not one's own to manage.
		me := s.CreateUser("b@example.com")
		own := apitest.UsersPath + "/me/records"
		s.Do(http.MethodGet, own, nil, apitest.As(s.CreateToken(me, nil))).
			WantProblem(http.StatusForbidden, "permission_denied")
		keepers := s.CreateGroup("Keepers", "records.manage")
		s.Do(http.MethodPatch, apitest.UserPath(me), changes{"groups": []int64{keepers}}).Want(http.StatusOK)
		as := apitest.As(s.CreateToken(me, []string{"records.manage"}))
		s.Do(http.MethodPut, own+"/tags/1", changes{"attributes": changes{}}, as).Want(http.StatusCreated)
		s.Do(http.MethodGet, apitest.UserPath(me)+"/records/tags/1", nil).Want(http.StatusOK)
	})
}

func TestInvalidRecords(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		records := apitest.UserPath(s.CreateUser("a@example.com")) + "/records"
		for _, value := range []any{nil, 1, "x", []int{}, true, `{}`} {
			s.Do(http.MethodPut, records+"/accounts/17", changes{"attributes": value}).
				WantProblem(http.StatusBadRequest, "validation_failed", "attributes")
		}
		s.Do(http.MethodPut, records+"/accounts/17", `{}`).
			WantProblem(http.StatusBadRequest, "validation_failed", "attributes")
		s.Do(http.MethodPut, records+"/accounts/17", `{"attributes":{},"id":"18"}`).
			WantProblem(http.StatusBadRequest, "validation_failed", "id")
		s.Do(http.MethodPut, records+"/accounts/17", `{"attributes":{"a":1,"a":2}}`).
			WantProblem(http.StatusBadRequest, "validation_failed", "a")
		s.Do(http.MethodPut, records+"/accounts/17", `{"attributes":{"a":["\u0000"]}}`).
			WantProblem(http.StatusBadRequest,
				"validation_failed", "attributes")
		s.Do(http.MethodPut, records+"/accounts/17", `{"attributes":{"a\u0000":1}}`).WantProblem(http.StatusBadRequest,
			"validation_failed", "attributes")
		s.Do(http.MethodPut, records+"/accounts/17", `{"attributes":{}`).
			WantProblem(http.StatusBadRequest, "malformed_json")

		filled := func(size int) string { return `{"attributes":{"x": "` + strings.Repeat("ä", (size-8)/2) + `"}}` }
		s.Do(http.MethodPut, records+"/accounts/long", filled(64<<10)).Want(http.StatusCreated)
		s.Do(http.MethodPut, records+"/accounts/long", filled(64<<10+2)).
			WantProblem(http.StatusBadRequest, "validation_failed", "attributes")

		for id, field := range map[string]string{
			"things/17": "recordType", "Accounts/17": "recordType", "account/17": "recordType",
			"%20accounts/17": "recordType",
			"accounts/a%20b": "recordId", "accounts/%0A": "recordId", "accounts/%00": "recordId",
			"accounts/%FF":    "recordId",
			"accounts/%C2%AD": "recordId", "accounts/%E2%80%8B": "recordId",
			"accounts/" + strings.Repeat("x", 65): "recordId",
			"accounts/%2E":                        "recordId", "accounts/%2E%2E": "recordId",
		} {
			for _, method := range []string{http.MethodGet, http.MethodDelete} {
				s.Do(method, records+"/"+id, nil).WantProblem(http.StatusBadRequest, "validation_failed", field)
			}
			s.Do(http.MethodPut, records+"/"+id, changes{"attributes": changes{}}).
				WantProblem(http.StatusBadRequest, "validation_failed", field)
		}
		s.Do(http.MethodPut, records+"/x/%20", changes{"attributes": changes{}}).
			WantProblem(http.StatusBadRequest, "validation_failed", "recordType", "recordId")
		s.Do(http.MethodPut, records+"/accounts/"+strings.Repeat("%C3%A4", 64), changes{"attributes": changes{}}).
			Want(http.StatusCreated)
		s.Do(http.MethodPut, records+"/accounts/a%2Fb", changes{"attributes": changes{}}).
			WantProblem(http.StatusNotFound, "not_found")
		s.Do(http.MethodGet, apitest.UsersPath+"/x/records", nil).
			WantProblem(http.StatusBadRequest, "validation_failed", "userId")
		for query, field := range map[string]string{
			"filter[type]=things": "filter[type]", "filter[type]=": "filter[type]", "limit=0": "limit",
			"limit=1001": "limit",
			"offset=-1":  "offset", "type=tags": "type", "filter[type]=tags&filter[type]=bills": "filter[type]",
		} {
			s.Do(http.MethodGet, records+"?"+query, nil).WantProblem(http.StatusBadRequest, "validation_failed", field)
		}
	})
}
