package powens_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

const users = "/2.0/users"

func userPath(id int64) string { return fmt.Sprintf("%s/%d", users, id) }

const connections = `{"connections":[{"connector":{"id":40},"sources":[],` +
	`"accounts":[{"id":1,"transactions":[{"id":2}]}]}]}`

func TestGolden(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary, ann := s.CreateUser("mary@example.com"), s.CreateUser("ann@example.com")
		asMary := apitest.As(s.CreateToken(mary, []string{"users.self"}))
		withoutRights := apitest.As(s.CreateToken(0, nil))
		asText := apitest.Header("Content-Type", "text/plain")
		synced := userPath(mary) + "/synced"
		badShape := `{"connections":[{"connector":{},"sources":[],"accounts":[]},{"connector":[]}]}`
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
			{"get_forbidden", "GET", userPath(mary), nil, http.StatusForbidden, []apitest.Option{withoutRights}},
			{"get_no_me", "GET", users + "/me", nil, http.StatusNotFound, nil},
			{"get_bad_id", "GET", users + "/x", nil, http.StatusBadRequest, nil},
			{"put", "PUT", userPath(mary), nil, http.StatusMethodNotAllowed, nil},
			{"nowhere", "GET", "/2.0/banks", nil, http.StatusNotFound, nil},
			{"synced", "POST", synced, connections, http.StatusAccepted, nil},
			{"synced_nothing", "POST", synced, `{}`, http.StatusBadRequest, nil},
			{"synced_bad_shape", "POST", synced, badShape, http.StatusBadRequest, nil},
			{"synced_no_json", "POST", synced, `connections`, http.StatusBadRequest, nil},
			{"synced_form", "POST", synced, connections, http.StatusUnsupportedMediaType, []apitest.Option{asText}},
			{"synced_forbidden", "POST", synced, connections, http.StatusForbidden, []apitest.Option{asMary}},
			{"synced_unknown", "POST", userPath(99) + "/synced", connections, http.StatusNotFound, nil},
			{"delete_other", "DELETE", userPath(ann), nil, http.StatusNotFound, []apitest.Option{asMary}},
			{"delete_forbidden", "DELETE", userPath(ann), nil, http.StatusForbidden, []apitest.Option{withoutRights}},
			{"delete", "DELETE", userPath(ann), nil, http.StatusNoContent, nil},
			{"delete_gone", "DELETE", userPath(ann), nil, http.StatusNotFound, nil},
			{"delete_me", "DELETE", users + "/me", nil, http.StatusNoContent, []apitest.Option{asMary}},
		} {
			options := append([]apitest.Option{apitest.Header("X-Request-Id", "request-1")}, call.options...)
			answer := s.Do(call.method, call.path, call.body, options...).Want(call.status)
			if call.status == http.StatusNoContent || call.status == http.StatusAccepted {
				if len(answer.Body) != 0 {
					t.Errorf("%s: %s", call.name, answer.Body)
				}
			} else {
				answer.Golden(call.name)
			}
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
			"url": receiver.URL, "auth": "bi_signature",
			"events": []string{"USER_CREATED", "USER_UPDATED", "USER_DELETED", "USER_SYNCED"},
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
		slices.SortFunc(bodies, func(a, b string) int { // four are sent at the same time
			id := regexp.MustCompile(`"id_webhook_data":\d+`)
			return strings.Compare(id.FindString(a), id.FindString(b))
		})
		user := fmt.Sprintf(`"id":%d,"signin":"2026-11-22 12:00:00"`, id)
		want := []string{
			`{` + user + `,"id_webhook_data":1}`,
			`{` + user + `,"id_webhook_data":2}`,
			`{"user":{` + user + `},` + connections[1:len(connections)-1] + `,"id_webhook_data":3}`,
			`{` + user + `,"id_webhook_data":4}`,
			`{"id_webhook_data":5}`,
		}
		if diff := cmp.Diff(want, bodies); diff != "" {
			t.Error(diff)
		}
	})
}

// TestOnlyOneself checks that the token of a user who may not see others is limited to
// that user, and that the last administrator cannot be deleted.
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
			status := s.Do(http.MethodDelete, userPath(admin), nil, as).Status
			if status != http.StatusNotFound && status != http.StatusForbidden {
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
		for _, list := range []string{``, good, good + `,` + good} {
			s.Do(http.MethodPost, path, `{"connections":[`+list+`]}`).Want(http.StatusAccepted)
		}
		with := func(old, replacement string) string { return strings.Replace(good, old, replacement, 1) }
		for _, connection := range []string{
			`null`, `1`, `[]`, `{}`, with(`{}`, `[]`), with(`{}`, `null`), with(`"sources":[]`, `"sources":{}`),
			with(`"sources":[],`, ``), with(`"transactions":[]`, ``), with(`"transactions":[]`, `"transactions":null`),
			with(`{"transactions":[]}`, `null`), with(`{"transactions":[]}`, `[]`), with(`connector`, `Connector`),
			with(`"more":1`, `"sources":[]`),
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

// TestAllUsers checks that the list without a limit has everybody, whatever else the
// client sends along, and that it ends when the token is revoked meanwhile.
func TestAllUsers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const n = 2_300 // more than two pages
		err := s.Store.InTx(t.Context(), func(tx *store.Tx) error {
			for i := range n {
				email := identity.Email(fmt.Sprintf("user%d@example.com", i))
				_, err := tx.InsertUser(t.Context(), identity.User{Name: "User", Email: email, CreatedAt: s.Clock.Now(), Version: 1}, "")
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var list struct {
			Users []struct{ ID int64 }
			Total int
		}
		s.Do(http.MethodGet, users+"?expand=connections&x=1", nil).Want(http.StatusOK).Decode(&list)
		ordered := slices.IsSortedFunc(list.Users, func(a, b struct{ ID int64 }) int { return int(a.ID - b.ID) })
		if len(list.Users) != n || list.Total != n || !ordered {
			t.Errorf("%d users, total %d, in order: %v", len(list.Users), list.Total, ordered)
		}
		s.Do(http.MethodGet, users+"?offset=2000", nil).Want(http.StatusOK).Decode(&list)
		if len(list.Users) != n-2000 || list.Total != n {
			t.Errorf("from an offset on: %d users, total %d", len(list.Users), list.Total)
		}

		token := s.CreateToken(0, []string{"users.view"})
		actor, err := s.Service.Authenticate(t.Context(), token, identity.Origin{})
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		query := identity.UserQuery{Sort: identity.SortByID, Limit: 1000}
		err = s.Service.WalkUsers(t.Context(), actor, query, func(page identity.UserPage) error {
			seen += len(page.Users)
			s.Do(http.MethodDelete, fmt.Sprintf("/api/v2/tokens/%d", actor.TokenID), nil).Want(http.StatusNoContent)
			return nil
		})
		if identity.KindOf(err) != identity.Unauthenticated || seen != 1000 {
			t.Errorf("%d users after the token was revoked, %v", seen, err)
		}
	})
}
