package backoffice_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/api/apitest"
)

func TestGroups(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		created := s.Do(http.MethodPost, apitest.GroupsPath,
			changes{"name": " Support ", "permissions": []string{"users.update", "users.view", "users.view"}}).
			Want(http.StatusCreated)
		want := changes{
			"id": 2.0, "name": "Support", "permissions": []any{"users.view", "users.update"}, "requireTfa": false,
			"createTime": "2026-11-22T12:00:00+00:00", "updateTime": nil, "version": 1.0,
		}
		if diff := cmp.Diff(want, created.Object()); diff != "" {
			t.Error(diff)
		}
		path := created.Location()
		if path != apitest.GroupsPath+"/2" || created.Header.Get("ETag") != `"1"` {
			t.Errorf("Location %s, ETag %s", path, created.Header.Get("ETag"))
		}
		want["permissions"], want["version"], want["updateTime"] = []any{}, 2.0, "2026-11-22T12:00:00+00:00"
		if diff := cmp.Diff(want,
			s.Do(http.MethodPut, path, changes{"permissions": []string{}}).Want(http.StatusOK).Object()); diff != "" {
			t.Error(diff)
		}
		s.Do(http.MethodPatch, path, changes{"name": "Support"}, apitest.Header("If-Match", `"1"`)).
			WantProblem(http.StatusPreconditionFailed, "stale_version")
		if diff := cmp.Diff(want,
			s.Do(http.MethodPatch, path, `{}`,
				apitest.Header("If-Match", `"2"`)).Want(http.StatusOK).Object()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want, s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Object()); diff != "" {
			t.Error(diff)
		}
		list := s.Do(http.MethodGet, apitest.GroupsPath, nil).Want(http.StatusOK).Object()
		first := list["data"].([]any)[0].(map[string]any)
		if list["total"] != 2.0 || first["name"] != "Administrators" ||
			len(first["permissions"].([]any)) != 1+len(apitest.NamedPermissions()) {
			t.Errorf("%v", list)
		}

		s.Do(http.MethodPost, apitest.GroupsPath, changes{"name": "SUPPORT", "permissions": []string{}}).
			WantProblem(http.StatusConflict, "name_taken", "name")
		s.Do(http.MethodPost, apitest.GroupsPath, changes{"name": "ADMINistrators", "permissions": []string{}}).
			WantProblem(http.StatusConflict, "name_taken", "name")
		third := s.CreateGroup("Third")
		s.Do(http.MethodPatch, fmt.Sprintf("%s/%d", apitest.GroupsPath, third), changes{"name": "support"}).
			WantProblem(http.StatusConflict, "name_taken", "name")

		for _, method := range []string{http.MethodPut, http.MethodPatch} {
			s.Do(method, apitest.GroupsPath+"/1", changes{"name": "X"}).
				WantProblem(http.StatusConflict, "group_protected")
		}
		s.Do(http.MethodDelete, apitest.GroupsPath+"/1", nil).WantProblem(http.StatusConflict, "group_protected")

		member := s.CreateUser("a@example.com", changes{"groups": []int{2}})
		s.Do(http.MethodDelete, path, nil).WantProblem(http.StatusConflict, "group_has_members")
		s.Do(http.MethodDelete, apitest.UserPath(member), nil).Want(http.StatusNoContent)
		s.Do(http.MethodDelete, path, nil, apitest.Header("If-Match", `"1"`)).
			WantProblem(http.StatusPreconditionFailed, "stale_version")
		s.Do(http.MethodDelete, path, nil).Want(http.StatusNoContent)
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			s.Do(method, path, nil).WantProblem(http.StatusNotFound, "not_found")
		}
		s.Do(http.MethodPatch, path, `{}`).WantProblem(http.StatusNotFound, "not_found")
		if id := s.CreateGroup("Fourth"); id <= third {
			t.Errorf("id %d after %d", id, third)
		}
	})
}

func TestInvalidGroups(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		path := fmt.Sprintf("%s/%d", apitest.GroupsPath, s.CreateGroup("Support"))
		for field, values := range map[string][]any{
			"name": {"", " ", nil, 5, strings.Repeat("x", 101), "a\tb"}, "permissions": {nil, "users.view", changes{}},
			"permissions[1]": {
				[]any{"users.view", "users.fly"},
				[]any{"users.view", 1},
				[]any{"users.view", nil},
				[]any{"users.view", "**"},
			},
			"id": {5}, "Name": {"x"},
		} {
			for _, value := range values {
				name, _, _ := strings.Cut(field, "[")
				s.Do(http.MethodPost, apitest.GroupsPath,
					changes{"name": "New", "permissions": []string{}, name: value}).
					WantProblem(http.StatusBadRequest, "validation_failed", field)
				s.Do(http.MethodPatch, path, changes{name: value}).
					WantProblem(http.StatusBadRequest, "validation_failed", field)
			}
		}
		s.Do(http.MethodPost, apitest.GroupsPath, `{}`).
			WantProblem(http.StatusBadRequest, "validation_failed", "name", "permissions")
		for _, id := range []string{"0", "x", "-1"} {
			s.Do(http.MethodGet, apitest.GroupsPath+"/"+id, nil).
				WantProblem(http.StatusBadRequest, "validation_failed", "groupId")
		}
		s.Do(http.MethodGet, apitest.GroupsPath+"/9223372036854775808", nil).
			WantProblem(http.StatusNotFound, "not_found")
		s.Do(http.MethodGet, apitest.GroupsPath+"?sort_by=name", nil).
			WantProblem(http.StatusBadRequest, "validation_failed", "sort_by")
		var page struct{ Data []any }
		s.Do(http.MethodGet, apitest.GroupsPath+"?limit=1&offset=9223372036854775807", nil).Want(http.StatusOK).
			Decode(&page)
		if len(page.Data) != 0 {
			t.Errorf("%v", page)
		}
	})
}

// TestTotalOfGroups checks the total of pages that end before, at and after the last group.
func TestTotalOfGroups(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateGroup("Sales")
		s.CreateGroup("Support") // the third: there are Administrators
		const total = 3
		for limit := 1; limit <= total+1; limit++ {
			for offset := range total + 2 {
				var got struct {
					Total int
					Data  []struct{ ID int64 }
				}
				s.Do(http.MethodGet, fmt.Sprintf("/api/v2/groups?limit=%d&offset=%d", limit, offset), nil).
					Want(http.StatusOK).Decode(&got)
				if want := max(0, min(limit, total-offset)); got.Total != total || len(got.Data) != want {
					t.Errorf("limit %d, offset %d: %+v, want %d of %d", limit, offset, got, want, total)
				}
			}
		}
	})
}
