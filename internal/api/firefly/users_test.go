package firefly_test

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/api/apitest"
)

type object = map[string]any

const (
	users   = "/api/v1/users"
	jsonAPI = "application/vnd.api+json"
	form    = "application/x-www-form-urlencoded"
)

func userPath(id any) string { return fmt.Sprint(users, "/", id) }

func contentType(value string) apitest.Option { return apitest.Header("Content-Type", value) }

// attributesOf returns the attributes of the user in an answer.
func attributesOf(a *apitest.Answer) object {
	return a.Object()["data"].(object)["attributes"].(object)
}

func idOf(a *apitest.Answer) string { return a.Object()["data"].(object)["id"].(string) }

func create(s *apitest.Server, email string) string {
	return idOf(s.Do(http.MethodPost, users, object{"email": email, "blocked": false}).Want(http.StatusOK))
}

// fireflyLocal is the address in the documentation's examples.
const fireflyLocal = "http://firefly.local"

//go:embed testdata/documentation.json
var documentation []byte

// TestDocumentation checks that the list is the example of the documentation, byte by byte.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.Clock.Advance(time.Date(2018, 3, 4, 9, 52, 6, 0, time.UTC).Sub(s.Clock.Now()))
		s.CreateUser("thegrumpydictator@gmail.com", object{"groups": []int{1}})
		answer := s.At(fireflyLocal).Do(http.MethodGet, users, nil).Want(http.StatusOK)
		var want bytes.Buffer
		if err := json.Compact(&want, documentation); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.String(), strings.TrimSpace(string(answer.Body))); diff != "" {
			t.Error(diff)
		}
		if got := answer.Header.Get("Content-Type"); got != jsonAPI {
			t.Errorf("Content-Type %s", got)
		}
		// Where the host of the request is not known, links are paths.
		s.Do(http.MethodGet, users, nil, apitest.Host("forged.example")).Want(http.StatusOK).Golden("list_relative")
	})
}

func TestUsers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		public := s.At(fireflyLocal)
		body := object{"email": "Mary@Example.com", "blocked": true, "blocked_code": "email_changed"}
		created := public.Do(http.MethodPost, users, body).Want(http.StatusOK).Golden("created")
		if got := created.Header.Get("Content-Type"); got != jsonAPI {
			t.Errorf("Content-Type %s", got)
		}
		s.Clock.Advance(time.Hour)
		public.Do(http.MethodPut, userPath(1), object{"email": "mary@example.com"}).Want(http.StatusOK).Golden("updated")
		public.Do(http.MethodGet, userPath(1), nil).Want(http.StatusOK).Golden("updated")
		head := public.Do(http.MethodHead, userPath(1), nil).Want(http.StatusOK)
		if len(head.Body) != 0 || head.Header.Get("Content-Type") != jsonAPI {
			t.Errorf("HEAD: %s %v", head.Body, head.Header)
		}

		// The same user in the Back Office.
		want := object{
			"id": 1.0, "name": "Mary@Example.com", "email": "mary@example.com", "phone": nil,
			"active": false, "tfa": false, "groups": []any{}, "ipWhitelist": []any{}, "clientTags": []any{},
			"canViewMaskedData": false, "createTime": "2026-11-22T12:00:00+00:00",
			"updateTime": "2026-11-22T13:00:00+00:00", "lastSigninTime": nil, "version": 2.0,
		}
		if diff := cmp.Diff(want, s.Do(http.MethodGet, apitest.UserPath(1), nil).Want(http.StatusOK).Object()); diff != "" {
			t.Error(diff)
		}
		deleted := public.Do(http.MethodDelete, userPath(1), nil).Want(http.StatusNoContent)
		if len(deleted.Body) != 0 {
			t.Errorf("%s", deleted.Body)
		}
		s.Do(http.MethodGet, apitest.UserPath(1), nil).WantProblem(http.StatusNotFound, "not_found")
	})
}

// TestPasswords checks that each user has a random password that does not change.
func TestPasswords(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		hash := func(id int64) string {
			hash, err := s.Store.PasswordHash(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			return hash
		}
		create(s, "a@example.com")
		create(s, "b@example.com")
		first := hash(1)
		if !strings.HasPrefix(first, "$2a$") || first == hash(2) {
			t.Errorf("hashes %s, %s", first, hash(2))
		}
		s.Do(http.MethodPut, userPath(1), object{"email": "c@example.com", "password": "MySecret123"}).Want(http.StatusOK)
		if hash(1) != first {
			t.Error("the password has changed")
		}
	})
}

// TestBlockedIsInactive checks that blocked and inactive are the same state.
func TestBlockedIsInactive(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := create(s, "a@example.com")
		backOffice := "/api/v2/users/" + id
		check := func(blocked bool, code any) {
			t.Helper()
			got := attributesOf(s.Do(http.MethodGet, userPath(id), nil).Want(http.StatusOK))
			if got["blocked"] != blocked || got["blocked_code"] != code {
				t.Errorf("got %v %v, want %v %v", got["blocked"], got["blocked_code"], blocked, code)
			}
			if active := s.Do(http.MethodGet, backOffice, nil).Want(http.StatusOK).Object()["active"]; active == blocked {
				t.Errorf("active %v, blocked %v", active, blocked)
			}
		}
		firefly := func(body object) { t.Helper(); s.Do(http.MethodPut, userPath(id), body).Want(http.StatusOK) }
		patch := func(body object) { t.Helper(); s.Do(http.MethodPatch, backOffice, body).Want(http.StatusOK) }

		check(false, nil)
		firefly(object{"blocked_code": "email_changed"}) // no reason without a block
		check(false, nil)
		firefly(object{"blocked": true})
		check(true, nil)
		firefly(object{"blocked_code": "email_changed"})
		check(true, "email_changed")
		firefly(object{"email": "b@example.com"})
		patch(object{"name": "B"})
		firefly(object{"blocked": "1"})
		check(true, "email_changed")
		patch(object{"active": true})
		check(false, nil)
		patch(object{"active": false})
		check(true, nil) // the reason is gone
		firefly(object{"blocked": true, "blocked_code": "email_changed"})
		firefly(object{"blocked_code": nil})
		check(true, nil)
		firefly(object{"blocked_code": "email_changed"})
		firefly(object{"blocked": false})
		check(false, nil)
		firefly(object{"blocked": true, "blocked_code": "email_changed"})
		firefly(object{"blocked": false, "blocked_code": "email_changed"})
		check(false, nil)
		firefly(object{"blocked": true})
		check(true, nil)

		other := object{"email": "c@example.com", "blocked": false, "blocked_code": "email_changed"}
		id = idOf(s.Do(http.MethodPost, users, other).Want(http.StatusOK))
		backOffice = "/api/v2/users/" + id
		patch(object{"active": false})
		check(true, nil)
	})
}

// TestRole checks that the role follows the membership and that this API does not set it.
func TestRole(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		body := object{"email": "a@example.com", "blocked": true, "role": "owner"}
		id := idOf(s.Do(http.MethodPost, users, body).Want(http.StatusOK))
		role := func() any { return attributesOf(s.Do(http.MethodGet, userPath(id), nil).Want(http.StatusOK))["role"] }
		if role() != nil {
			t.Errorf("role %v", role())
		}
		s.Do(http.MethodPatch, "/api/v2/users/"+id, object{"groups": []int{1}}).Want(http.StatusOK)
		if role() != "owner" {
			t.Errorf("role %v", role())
		}
		s.Do(http.MethodPut, userPath(id), object{"role": nil}).Want(http.StatusOK)
		if role() != "owner" {
			t.Errorf("role %v", role())
		}
	})
}

func TestDeletion(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		administrator := func(email string) (id, token string) {
			user := s.CreateUser(email, object{"groups": []int{1}, "canViewMaskedData": true})
			return fmt.Sprint(user), s.CreateToken(user, apitest.AllPermissions())
		}
		first, firstToken := administrator("first@example.com")
		second, secondToken := administrator("second@example.com")
		s.Do(http.MethodDelete, userPath(first), nil, apitest.As(firstToken)).Want(http.StatusNoContent) // the caller
		s.Do(http.MethodGet, users, nil, apitest.As(firstToken)).Want(http.StatusUnauthorized)

		s.Do(http.MethodDelete, userPath(second), nil, apitest.As(secondToken)).
			Want(http.StatusUnprocessableEntity).Golden("last_administrator")
		s.Do(http.MethodPut, userPath(second), object{"blocked": true}, apitest.As(secondToken)).
			Want(http.StatusUnprocessableEntity).Golden("last_administrator")
		s.Do(http.MethodDelete, userPath(second), nil).Want(http.StatusNoContent) // by a service with all permissions

		id := create(s, "a@example.com")
		record := "/api/v2/users/" + id + "/records/accounts/17"
		s.Do(http.MethodPut, record, object{"attributes": object{}}).Want(http.StatusCreated)
		s.Do(http.MethodDelete, userPath(id), nil).Want(http.StatusNoContent)
		s.Do(http.MethodGet, record, nil).WantProblem(http.StatusNotFound, "not_found")
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			s.Do(method, userPath(id), nil).Want(http.StatusNotFound).Golden("not_found")
		}
		if again := create(s, "a@example.com"); again == id {
			t.Errorf("the id %s is used again", id)
		}
	})
}

// TestFirstSignIn checks that a user of this API can sign in after a reset of the password.
func TestFirstSignIn(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		create(s, "a@example.com")
		s.Do(http.MethodPost, "/api/v2/password/forgot", object{"email": "a@example.com"}).Want(http.StatusAccepted)
		_, token, found := strings.Cut(s.Mail().Link, "token=")
		if !found {
			t.Fatal("no link")
		}
		choice := object{"token": token, "password": "MySecret123"}
		s.Do(http.MethodPost, "/api/v2/password/reset", choice).Want(http.StatusNoContent)
		signIn := object{"email": "a@example.com", "password": "MySecret123"}
		s.Do(http.MethodPost, "/api/v2/signin", signIn).Want(http.StatusOK)
		s.Do(http.MethodPut, userPath(1), object{"blocked": 1}).Want(http.StatusOK)
		s.Do(http.MethodPost, "/api/v2/signin", signIn).Want(http.StatusUnauthorized)
	})
}

// TestMaskedAddresses checks that an administrator who may not see the addresses of others
// gets masks, and does not overwrite an address by sending a mask back.
func TestMaskedAddresses(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := create(s, "mary@example.com")
		as := apitest.As(s.CreateToken(0, apitest.AllPermissions(), object{"canViewMaskedData": false}))
		const masked = "m***@example.com"
		for _, call := range []struct {
			method string
			body   any
		}{
			{http.MethodGet, nil},
			{http.MethodPut, object{"blocked": 1}},
			{http.MethodPut, object{"email": masked, "blocked": 0}},
		} {
			got := attributesOf(s.Do(call.method, userPath(id), call.body, as).Want(http.StatusOK))["email"]
			if got != masked {
				t.Errorf("%s: %s", call.method, got)
			}
		}
		other := object{"email": "other@example.com", "blocked": 1}
		created := attributesOf(s.Do(http.MethodPost, users, other, as).Want(http.StatusOK))
		list := string(s.Do(http.MethodGet, users, nil, as).Want(http.StatusOK).Body)
		if created["email"] != "o***@example.com" || strings.Contains(list, "mary@") ||
			strings.Contains(list, "other@") {
			t.Errorf("%v, %s", created, list)
		}
		s.Do(http.MethodPost, users, object{"email": masked, "blocked": 1}, as).
			Want(http.StatusUnprocessableEntity).Golden("masked_address")
		got := attributesOf(s.Do(http.MethodGet, userPath(id), nil).Want(http.StatusOK))["email"]
		if got != "mary@example.com" {
			t.Errorf("the address has become %s", got)
		}
	})
}
