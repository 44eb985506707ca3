package backoffice_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// secretValues are the values of the user that must be masked.
var secretValues = []string{"mary@", "MARY@", "8043257762", "80432577", "79.24.241.198", "hidden@"}

// wantMasked checks that an answer has none of secretValues.
func wantMasked(t *testing.T, answer *apitest.Answer) {
	t.Helper()
	for _, value := range secretValues {
		if strings.Contains(string(answer.Body)+answer.Header.Get("Link"), value) {
			t.Errorf("%s shows %s", answer.Body, value)
		}
	}
}

// TestMasking checks every answer that has a user in it.
func TestMasking(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary := s.CreateUser("mary@website.com",
			changes{"phone": "+18043257762", "ipWhitelist": []string{"79.24.241.198", "10.0.0.0/8"}})
		path := apitest.UserPath(mary)
		group := s.CreateGroup("Support", "users.view", "users.create", "users.update", "users.delete", "audit.view")
		john := s.CreateUser("john@example.com", changes{"groups": []int64{group}, "phone": "+18045550100"})
		service := apitest.As(s.CreateToken(0,
			[]string{"users.view", "users.create", "users.update", "users.delete", "audit.view"},
			changes{"canViewMaskedData": false}))
		for name, as := range map[string]apitest.Option{
			"a service": service,
			"a session": apitest.As(s.SignInWith("john@example.com", apitest.Password).AccessToken.Token),
		} {
			user := s.Do(http.MethodGet, path, nil, as).Want(http.StatusOK)
			wantMasked(t, user)
			if u := user.Object(); u["email"] != "m***@website.com" || u["phone"] != "+1*******62" ||
				!reflect.DeepEqual(u["ipWhitelist"], []any{"***"}) {
				t.Errorf("%s: %s", name, user.Body)
			}
			for _, query := range []string{
				"", "?filter[email]=MARY@website.com", "?sort_by=name&limit=1",
				"?filter[q]=Mary", "?limit=1",
			} {
				wantMasked(t, s.Do(http.MethodGet, apitest.UsersPath+query, nil, as).Want(http.StatusOK))
			}
			// Updates answer masked, and a mask means "as it is".
			wantMasked(t, s.Do(http.MethodPatch, path, changes{"name": "Mary " + name}, as).Want(http.StatusOK))
			before := s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Object()
			back := changes{"email": "m***@website.com", "phone": "+1*******62", "ipWhitelist": []string{"***"}}
			answer := s.Do(http.MethodPut, path, back, as).Want(http.StatusOK)
			wantMasked(t, answer)
			after := s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Object()
			if !reflect.DeepEqual(before, after) {
				t.Errorf("%s: %v\nwas %v", name, after, before)
			}
			wantMasked(t, s.Do(http.MethodGet, apitest.EventsPath+"?filter[user]="+fmt.Sprint(mary), nil, as).
				Want(http.StatusOK))
			// A new value can be written without having seen the old one.
			s.Do(http.MethodPatch, path, changes{"phone": "+18045550199"}, as).Want(http.StatusOK)
			s.Do(http.MethodPatch, path, changes{"email": "hidden@website.com"}, as).
				WantProblem(http.StatusForbidden, "masked_data")
			wantMasked(t, s.Do(http.MethodGet, apitest.EventsPath+"?filter[user]="+fmt.Sprint(mary), nil, as).
				Want(http.StatusOK))
			s.Do(http.MethodPatch, path, changes{"email": "MARY@website.com", "phone": "+18043257762"}).
				Want(http.StatusOK)
			s.Do(http.MethodPatch, path, changes{"email": "mary@website.com"}).Want(http.StatusOK)
			// A creation answers masked, and so does its repetition.
			key := apitest.Header("Idempotency-Key", "k")
			for range 2 {
				created := s.Do(http.MethodPost, apitest.UsersPath,
					apitest.NewUser("hidden@"+strings.ReplaceAll(name, " ", "")+".com"), as, key).
					Want(http.StatusCreated)
				wantMasked(t, created)
			}
		}
		// Oneself is not masked, nor is anyone to whom sees masked data.
		own := s.Do(http.MethodGet, apitest.UserPath(john), nil,
			apitest.As(s.SignInWith("john@example.com", apitest.Password).AccessToken.Token)).Object()
		if own["email"] != "john@example.com" || own["phone"] != "+18045550100" {
			t.Errorf("%v", own)
		}
		if u := s.Do(http.MethodGet, path, nil).Object(); u["email"] != "mary@website.com" {
			t.Errorf("%v", u)
		}
		if body := string(s.Do(http.MethodGet, apitest.EventsPath+"?filter[user]="+fmt.Sprint(mary),
			nil).Body); !strings.Contains(body, "mary@website.com") || !strings.Contains(body, "79.24.241.198") {
			t.Errorf("%s", body)
		}
	})
}

// TestNoOracle checks that queries do not reveal masked values.
func TestNoOracle(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@website.com",
			changes{"phone": "+18043257762", "ipWhitelist": []string{"79.24.241.198"}})
		as := apitest.As(s.CreateToken(0, []string{"users.view"}, changes{"canViewMaskedData": false}))
		for query, want := range map[string]float64{
			"filter[q]=website": 0, "filter[q]=8043257": 0, "filter[q]=mary": 1, "filter[q]=mary@": 0,
			"filter[email]=mary@website.com": 1, "filter[email]=m": 0,
		} {
			if got := s.Do(http.MethodGet, apitest.UsersPath+"/count?"+query, nil,
				as).Want(http.StatusOK).Object()["total"]; got != want {
				t.Errorf("count of %s: %v, want %v", query, got, want)
			}
			if got := s.Do(http.MethodGet, apitest.UsersPath+"?"+query, nil,
				as).Want(http.StatusOK).Object()["total"]; got != want {
				t.Errorf("%s: %v, want %v", query, got, want)
			}
		}
		// An address that stands for a name, as with users of the Firefly API, is one all the same.
		named := s.CreateUser("hidden@website.com", changes{"name": "hidden@website.com"})
		wantMasked(t, s.Do(http.MethodGet, apitest.UsersPath+"?sort_by=name&limit=1", nil, as).Want(http.StatusOK))
		wantMasked(t, s.Do(http.MethodGet, apitest.UserPath(named), nil, as).Want(http.StatusOK))
		for _, query := range []string{"filter[name]=hidden", "filter[q]=hidden", "filter[name]=dden@web"} {
			if got := s.Do(http.MethodGet, apitest.UsersPath+"?"+query, nil,
				as).Want(http.StatusOK).Object()["total"]; got != 0.0 {
				t.Errorf("%s: %v", query, got)
			}
		}
		editor := apitest.As(s.CreateToken(0, []string{"users.update", "audit.view"},
			changes{"canViewMaskedData": false}))
		s.Do(http.MethodPatch, apitest.UserPath(named), changes{"name": "h***@website.com", "active": false}, editor).
			Want(http.StatusOK)
		wantMasked(t, s.Do(http.MethodGet, apitest.EventsPath+"?filter[user]="+fmt.Sprint(named), nil, editor).
			Want(http.StatusOK))
		if u := s.Do(http.MethodGet, apitest.UserPath(named), nil).Object(); u["name"] != "hidden@website.com" ||
			u["active"] != false {
			t.Errorf("%v", u)
		}
		s.Do(http.MethodGet, apitest.UsersPath+"?sort_by=email", nil, as).
			WantProblem(http.StatusForbidden, "masked_data")
		s.Do(http.MethodGet, apitest.UsersPath+"?sort_by=email&sort_order=desc&limit=1", nil, as).
			WantProblem(http.StatusForbidden, "masked_data")
		s.Do(http.MethodPost, apitest.ExplainPath, changes{"ip": "79.24.241.198", "userId": id}, as).
			WantProblem(http.StatusForbidden, "masked_data")
		s.Do(http.MethodGet, apitest.UsersPath+"?sort_by=email", nil).Want(http.StatusOK)
	})
}

// TestMasksOfOthers checks that a mask of another value is an error and is never stored.
func TestMasksOfOthers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		path := apitest.UserPath(s.CreateUser("mary@website.com",
			changes{"phone": "+18043257762", "ipWhitelist": []string{"79.24.241.198"}}))
		plain := apitest.UserPath(s.CreateUser("john@website.com"))
		as := apitest.As(s.CreateToken(0, []string{"users.view", "users.create", "users.update"},
			changes{"canViewMaskedData": false}))
		for field, value := range map[string]any{
			"email": "j***@website.com", "phone": "+1*******63", "ipWhitelist": []string{"***", "10.0.0.1"},
		} {
			s.Do(http.MethodPatch, path, changes{field: value}, as).
				WantProblem(http.StatusBadRequest, "validation_failed", field)
		}
		// An address that only looks like a mask could be one, so it counts as one.
		s.Do(http.MethodPatch, path, changes{"phone": "+*******", "email": "x***@y.com"}, as).
			WantProblem(http.StatusBadRequest, "validation_failed", "phone", "email")
		s.Do(http.MethodPatch, plain, changes{"phone": "+1*******62"}, as).
			WantProblem(http.StatusBadRequest, "validation_failed", "phone")
		s.Do(http.MethodPatch, plain, changes{"ipWhitelist": []string{"***"}}, as).
			WantProblem(http.StatusBadRequest, "validation_failed", "ipWhitelist")
		// Whoever sees everything writes no masks.
		s.Do(http.MethodPatch, path, changes{"phone": "+1*******62"}).
			WantProblem(http.StatusBadRequest, "validation_failed", "phone")
		s.Do(http.MethodPatch, path, changes{"ipWhitelist": []string{"***"}}).
			WantProblem(http.StatusBadRequest, "validation_failed", "ipWhitelist")
		for _, mask := range []string{
			"+1******62", "+12*******62", "*******", "+1*******6", "+1*******6x",
			"+1*******62*******",
		} {
			s.Do(http.MethodPatch, path, changes{"phone": mask}, as).
				WantProblem(http.StatusBadRequest, "validation_failed", "phone")
		}
		// A new user has no mask to go by.
		for field, value := range map[string]any{
			"email": "x***@website.com", "phone": "+1*******62",
			"ipWhitelist": []string{"***"},
		} {
			answer := s.Do(http.MethodPost, apitest.UsersPath,
				apitest.NewUser("new@website.com", changes{field: value}), as).Want(http.StatusBadRequest)
			if !strings.Contains(string(answer.Body), field) {
				t.Errorf("%s", answer.Body)
			}
		}
		s.Do(http.MethodPost, apitest.TokensPath,
			changes{"name": "x", "permissions": []string{}, "ipWhitelist": []string{"***"}}).Want(http.StatusBadRequest)
		if u := s.Do(http.MethodGet, path, nil).Object(); u["version"] != 1.0 {
			t.Errorf("%v", u)
		}
	})
}
