package powens_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/api/powens"
	"github.com/rosterhq/roster/internal/identity"
)

var update = flag.Bool("update", false, "write testdata/golden anew")

const users = "/2.0/users"

func userPath(id int64) string { return fmt.Sprintf("%s/%d", users, id) }

// golden holds an answer against testdata/golden. What differs from call to call
// is not part of it.
func golden(t *testing.T, name string, answer *apitest.Answer) {
	t.Helper()
	text := fmt.Sprintf("%d %s\n%s\n", answer.Status, answer.Header.Get("Content-Type"), strings.TrimSpace(string(answer.Body)))
	text = regexp.MustCompile(`"request_id":"[^"]+"`).ReplaceAllString(text, `"request_id":"…"`)
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}

const connections = `{"connections":[{"connector":{"id":40},"sources":[],"accounts":[{"id":1,"transactions":[{"id":2}]}]}]}`

func TestGolden(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary, ann := s.CreateUser("mary@example.com"), s.CreateUser("ann@example.com")
		asMary := apitest.As(s.CreateToken(mary, nil))
		asNobody := apitest.As(s.CreateToken(0, nil))
		for _, call := range []struct {
			name, method, path string
			body               any
			status             int
			options            []apitest.Option
		}{
			{"list", "GET", users, nil, http.StatusOK, nil},
			{"list_page", "GET", users + "?limit=1&offset=1", nil, http.StatusOK, nil},
			{"list_bad_limit", "GET", users + "?limit=1001&x=1", nil, http.StatusBadRequest, nil},
			{"list_forbidden", "GET", users, nil, http.StatusForbidden, []apitest.Option{asMary}},
			{"list_unauthorized", "GET", users, nil, http.StatusUnauthorized, []apitest.Option{apitest.As("wrong")}},
			{"get", "GET", userPath(mary), nil, http.StatusOK, nil},
			{"get_me", "GET", users + "/me", nil, http.StatusOK, []apitest.Option{asMary}},
			{"get_other", "GET", userPath(ann), nil, http.StatusNotFound, []apitest.Option{asMary}},
			{"get_unknown", "GET", userPath(99), nil, http.StatusNotFound, nil},
			{"get_forbidden", "GET", userPath(mary), nil, http.StatusForbidden, []apitest.Option{asNobody}},
			{"get_no_me", "GET", users + "/me", nil, http.StatusNotFound, nil},
			{"get_bad_id", "GET", users + "/x", nil, http.StatusBadRequest, nil},
			{"put", "PUT", userPath(mary), nil, http.StatusMethodNotAllowed, nil},
			{"nowhere", "GET", "/2.0/banks", nil, http.StatusNotFound, nil},
			{"synced", "POST", userPath(mary) + "/synced", connections, http.StatusAccepted, nil},
			{"synced_nothing", "POST", userPath(mary) + "/synced", `{}`, http.StatusBadRequest, nil},
			{"synced_bad_shape", "POST", userPath(mary) + "/synced", `{"connections":[{"connector":{},"sources":[],"accounts":[]},{"connector":[]}]}`, http.StatusBadRequest, nil},
			{"synced_no_json", "POST", userPath(mary) + "/synced", `connections`, http.StatusBadRequest, nil},
			{"synced_form", "POST", userPath(mary) + "/synced", connections, http.StatusUnsupportedMediaType, []apitest.Option{apitest.Header("Content-Type", "text/plain")}},
			{"synced_forbidden", "POST", userPath(mary) + "/synced", connections, http.StatusForbidden, []apitest.Option{asMary}},
			{"synced_unknown", "POST", userPath(99) + "/synced", connections, http.StatusNotFound, nil},
			{"delete_other", "DELETE", userPath(ann), nil, http.StatusNotFound, []apitest.Option{asMary}},
			{"delete_forbidden", "DELETE", userPath(ann), nil, http.StatusForbidden, []apitest.Option{asNobody}},
			{"delete", "DELETE", userPath(ann), nil, http.StatusNoContent, nil},
			{"delete_gone", "DELETE", userPath(ann), nil, http.StatusNotFound, nil},
			{"delete_me", "DELETE", users + "/me", nil, http.StatusNoContent, []apitest.Option{asMary}},
		} {
			golden(t, call.name, s.Do(call.method, call.path, call.body, call.options...).Want(call.status))
		}
		if got := s.Do(http.MethodGet, users, nil).Object(); got["total"] != 0.0 {
			t.Errorf("%v", got)
		}
	})
}

func TestWebhookBodies(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		receiver := apitest.NewReceiver(t)
		s.Do(http.MethodPost, "/api/v2/webhooks", map[string]any{
			"url": receiver.URL, "events": []string{"USER_CREATED", "USER_UPDATED", "USER_DELETED", "USER_SYNCED"}, "auth": "bi_signature",
		}).Want(http.StatusCreated)
		id := s.CreateUser("mary@example.com")
		s.Do(http.MethodPatch, apitest.UserPath(id), map[string]any{"name": "Ann"}).Want(http.StatusOK)
		s.Do(http.MethodPost, userPath(id)+"/synced", connections).Want(http.StatusAccepted)
		s.Do(http.MethodDelete, userPath(id), nil).Want(http.StatusNoContent)
		s.Do(http.MethodPost, "/api/v2/webhooks/1/test", nil).Want(http.StatusAccepted)
		s.Send()
		var bodies []string
		for _, d := range receiver.Take() {
			bodies = append(bodies, string(d.Body))
		}
		slices.SortFunc(bodies, func(a, b string) int { // four are on their way at once
			id := regexp.MustCompile(`"id_webhook_data":\d+`)
			return strings.Compare(id.FindString(a), id.FindString(b))
		})
		golden(t, "webhooks", &apitest.Answer{Body: []byte(strings.Join(bodies, "\n"))})
	})
}

// TestOnlyOneself: the token of a user who may not see others is good for oneself,
// and for nothing else; the last administrator stays.
func TestOnlyOneself(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		admin := s.CreateUser("admin@example.com", map[string]any{"groups": []int{1}, "canViewMaskedData": true})
		plain := s.CreateUser("plain@example.com")
		asAdmin := apitest.As(s.CreateToken(admin, apitest.AllPermissions()))
		asPlain := apitest.As(s.CreateToken(plain, apitest.AllPermissions()))
		asViewer := apitest.As(s.CreateToken(0, []string{"users.view"}))
		s.Do(http.MethodDelete, users+"/me", nil, asAdmin).Want(http.StatusConflict)
		s.Do(http.MethodGet, userPath(plain), nil, asAdmin).Want(http.StatusOK)
		s.Do(http.MethodGet, userPath(plain), nil, asPlain).Want(http.StatusOK)
		s.Do(http.MethodGet, users, nil, asPlain).Want(http.StatusForbidden)
		s.Do(http.MethodGet, users, nil, asViewer).Want(http.StatusOK)
		s.Do(http.MethodGet, userPath(admin), nil, asViewer).Want(http.StatusOK)
		for _, as := range []apitest.Option{asPlain, asViewer} {
			if status := s.Do(http.MethodDelete, userPath(admin), nil, as).Status; status != http.StatusNotFound && status != http.StatusForbidden {
				t.Errorf("%d", status)
			}
		}
		s.Do(http.MethodDelete, userPath(plain), nil, asPlain).Want(http.StatusNoContent)
		s.Do(http.MethodGet, users+"/me", nil, asPlain).Want(http.StatusUnauthorized)
	})
}

func TestShapes(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		path := userPath(s.CreateUser("mary@example.com")) + "/synced"
		const good = `{"connector":{},"sources":[],"accounts":[{"transactions":[]}],"more":1}`
		for _, body := range []string{`{"connections":[]}`, `{"connections":[` + good + `]}`, `{"connections":[` + good + `,` + good + `]}`} {
			s.Do(http.MethodPost, path, body).Want(http.StatusAccepted)
		}
		for _, connection := range []string{
			`null`, `1`, `[]`, `{}`, strings.Replace(good, `{}`, `[]`, 1), strings.Replace(good, `{}`, `null`, 1), strings.Replace(good, `"sources":[]`, `"sources":{}`, 1),
			strings.Replace(good, `"sources":[],`, ``, 1), strings.Replace(good, `"transactions":[]`, ``, 1), strings.Replace(good, `"transactions":[]`, `"transactions":null`, 1),
			strings.Replace(good, `{"transactions":[]}`, `null`, 1), strings.Replace(good, `{"transactions":[]}`, `[]`, 1), strings.Replace(good, `connector`, `Connector`, 1),
			strings.Replace(good, `"more":1`, `"sources":[]`, 1),
		} {
			answer := s.Do(http.MethodPost, path, `{"connections":[`+connection+`]}`).Want(http.StatusBadRequest)
			if answer.Object()["code"] != "invalidValue" {
				t.Errorf("%s: %s", connection, answer.Body)
			}
		}
		for _, body := range []string{`{"connections":null}`, `{"connections":{}}`, `{"connections":[],"user":{}}`} {
			s.Do(http.MethodPost, path, body).Want(http.StatusBadRequest)
		}
	})
}

func TestEveryKindHasAStatusAndACode(t *testing.T) {
	t.Parallel()
	dialect := powens.New(nil)
	for _, kind := range identity.Kinds {
		status, body := powens.Answer(dialect, identity.Errorf(kind, "some_code", "Some sentence."))
		var answer struct{ Code, Description, Message string }
		if err := json.Unmarshal(body, &answer); err != nil || status < 400 || answer.Code == "" || answer.Description == "" || answer.Message == "" ||
			kind == identity.Internal && answer.Message == "Some sentence." {
			t.Errorf("%v: %d %s", kind, status, body)
		}
	}
}

func TestRoutesAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	contract, err := apitest.Contract()
	if err != nil {
		t.Fatal(err)
	}
	var wanted, routes []string
	for path, item := range contract.Paths.Map() {
		for method := range item.Operations() {
			if strings.HasPrefix(path, powens.Prefix+"/") {
				wanted = append(wanted, method+" "+path)
			}
		}
	}
	parameter := regexp.MustCompile(`:(\w+)`)
	for _, route := range powens.New(nil).Routes {
		routes = append(routes, route.Method+" "+powens.Prefix+parameter.ReplaceAllString(route.Path, "{$1}"))
	}
	slices.Sort(wanted)
	slices.Sort(routes)
	if !slices.Equal(wanted, routes) {
		t.Errorf("served: %v\ncontract: %v", routes, wanted)
	}
}
