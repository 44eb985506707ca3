package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

type changes = map[string]any

// TestNothingReadableAtRest creates every kind of secret and searches the whole database for each.
func TestNothingReadableAtRest(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		s.CreateUser("mary@example.com")
		p := s.SignInWith("mary@example.com", apitest.Password)
		app, recovery := s.Enrol(p.AccessToken.Token)
		c := s.Challenge("mary@example.com", "totp", apitest.NoToken("192.0.2.1"))
		s.CreateUser("john@example.com", changes{"tfa": true})
		mailed := s.Challenge("john@example.com", "email", apitest.NoToken("192.0.2.1"))
		code := s.Mail().Code
		_, webhookSecret := s.CreateWebhook("https://example.com/hook",
			changes{"auth": "bearer", "token": "bearer-token-of-the-receiver"})
		secrets := map[string]string{
			"configured token": apitest.AdminToken, "service token": s.CreateToken(0, nil),
			"access token":  p.AccessToken.Token,
			"refresh token": p.RefreshToken.Token, "challenge": c.Details.Token,
			"challenge by mail": mailed.Details.Token,
			"password":          apitest.Password, "authenticator": app.Secret, "recovery code": recovery[0],
			"plain recovery code": strings.ReplaceAll(recovery[0], "-", ""),
			"reset token":         s.ResetToken("mary@example.com"), "webhook's secret": webhookSecret,
			"webhook's token": "bearer-token-of-the-receiver",
		}
		content := dump(t, engine, apitest.OpenDatabase(t, engine, url))
		for name, secret := range secrets {
			if secret == "" || strings.Contains(content, secret) {
				t.Errorf("%s: %q stands in the database, or is none", name, secret)
			}
		}
		if strings.Contains(content, "|"+code+"|") || strings.Contains(content, `"`+code+`"`) {
			t.Error("the mailed code stands in the database")
		}
		// or the dump would prove nothing
		for _, there := range []string{"mary@example.com", "$2a$04$", "https://example.com/hook"} {
			if !strings.Contains(content, there) {
				t.Errorf("%s is not found", there)
			}
		}
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusOK)
	})
}

// TestNothingPersonalAfterDeletion searches the whole database for personal data of a user, before and
// after the deletion. It skips the outbox, whose messages may still have to arrive.
func TestNothingPersonalAfterDeletion(t *testing.T) {
	t.Parallel()
	apitest.EachDatabase(t, func(t *testing.T, s *apitest.Server, engine string, db *sql.DB) {
		const here, away, office = "203.0.113.77", "203.0.113.88", "192.0.2.50"
		const personalPassword = "PersonalSecret1"
		enter := func(password, address string) *apitest.Answer {
			return s.TrySignIn("qxzmary@website.com", password, apitest.NoToken(address))
		}
		body := apitest.NewUser("qxzmary@website.com", changes{
			"name": "Qxzmary Poppins", "phone": "+18043257762", "clientTags": []string{"a personal tag"},
			"groups":      []int{1},
			"ipWhitelist": []string{here, "127.0.0.1"}, "canViewMaskedData": true, "password": personalPassword,
		})
		key := apitest.Header("Idempotency-Key", "a-personal-key")
		id := s.Do(http.MethodPost, apitest.UsersPath, body, key).Want(http.StatusCreated).ID()
		path, from := apitest.UserPath(id), apitest.From(here)
		var p apitest.Tokens
		enter(personalPassword, here).Want(http.StatusOK).Decode(&p)
		as := apitest.As(p.AccessToken.Token)
		app, _ := s.Enrol(p.AccessToken.Token)
		// From elsewhere: a failed sign-in, a refused one, a wrong code, a link.
		enter("WrongSecret1", away).Want(http.StatusUnauthorized)
		enter(personalPassword, away).Want(http.StatusForbidden)
		var c apitest.Challenge
		enter(personalPassword, here).Want(http.StatusOK).Decode(&c)
		wrong := changes{"token": c.Details.Token, "code": "no code"}
		s.Do(http.MethodPost, apitest.ConfirmPath, wrong, apitest.NoToken(here)).Want(http.StatusUnauthorized)
		s.Forgot("qxzmary@website.com", apitest.NoToken(away)).Want(http.StatusAccepted)
		// Tokens: one is revoked, one is not, and one is refused.
		named := changes{"name": "the personal laptop", "ipWhitelist": []string{here}}
		revoked := s.Do(http.MethodPost, apitest.TokensPath, changes{
			"name": "the personal phone", "permissions": []string{}, "userId": id,
			"ipWhitelist": []string{"203.0.113.99"},
		}).Want(http.StatusCreated).ID()
		s.Do(http.MethodDelete, fmt.Sprintf("%s/%d", apitest.TokensPath, revoked), nil).Want(http.StatusNoContent)
		hers := apitest.As(s.CreateToken(id, nil, named))
		s.Do(http.MethodGet, apitest.UsersPath, nil, hers, from).Want(http.StatusForbidden)
		s.Do(http.MethodGet, apitest.UsersPath, nil, hers, apitest.From(away)).Want(http.StatusForbidden)
		// What the user does, what is done to the user, and what services hold.
		empty := changes{"name": "x", "permissions": []string{}}
		group := s.Do(http.MethodPost, apitest.GroupsPath, empty, as, from).Want(http.StatusCreated).ID()
		update := changes{"name": "Qxzmary Banks", "phone": "+18043257763"}
		s.Do(http.MethodPatch, path, update, apitest.From(office)).Want(http.StatusOK)
		plan := changes{"action": "activate", "filter": changes{"q": "a personal search"}}
		job := s.Do(http.MethodPost, apitest.JobsPath, plan, as, from).Want(http.StatusCreated).ID()
		s.Do(http.MethodPost, fmt.Sprintf("%s/%d/start", apitest.JobsPath, job), nil, as, from).Want(http.StatusAccepted)
		record := changes{"attributes": changes{"iban": "a personal number"}}
		s.Do(http.MethodPut, path+"/records/accounts/personal-17", record).Want(http.StatusCreated)
		for _, actor := range []identity.Actor{{UserID: id, Name: "session"}, {}} {
			actor.ClientRequestID = "a personal request"
			err := s.Store.InTx(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Emit(t.Context(), identity.Event{
					Type: identity.UserSigninFailed, Time: s.Clock.Now(), Actor: actor, SubjectID: id,
				})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}

		column := func(query_ string) string { return strings.Trim(apitest.Query(t, db, query_)[0], "|") }
		personal := []string{
			"qxz", "Qxz", "804325776", here, away, "203.0.113.99", "personal", "Poppins", "Banks", "personal search",
			column(fmt.Sprintf("SELECT password_hash FROM users WHERE id = %d", id)),
			column("SELECT fingerprint FROM idempotency_keys"), column("SELECT secret FROM totp"),
		}
		never := []string{personalPassword, secret.Digest(personalPassword), app.Secret}
		before := dump(t, engine, db, "outbox")
		for _, value := range personal {
			if value == "" || !strings.Contains(before, value) { // or the dump would prove nothing
				t.Errorf("%q is not there", value)
			}
		}
		happened := len(apitest.Query(t, db, "SELECT id FROM events"))
		s.Do(http.MethodDelete, path, nil, apitest.From(office)).Want(http.StatusNoContent)
		after := dump(t, engine, db, "outbox")
		for _, value := range append(never, personal...) {
			for line := range strings.Lines(after) {
				if strings.Contains(line, value) {
					t.Errorf("%q is in %.200q", value, line)
				}
			}
		}
		// That it happened stays, as does from where services did what, and what the
		// user did to others.
		var list struct{ Data []apitest.Event }
		s.Do(http.MethodGet, apitest.EventsPath+"?filter[user]="+fmt.Sprint(id), nil).Want(http.StatusOK).Decode(&list)
		if got := len(apitest.Query(t, db, "SELECT id FROM events")); got != happened+1 ||
			*list.Data[0].Source != office {
			t.Errorf("%d events were %d, %+v", got, happened, list.Data[0])
		}
		created := column(fmt.Sprintf("SELECT changes FROM events WHERE type = 'GROUP_CREATED' AND subject_id = %d",
			group))
		if !strings.Contains(created, `"x"`) {
			t.Errorf("%s", created)
		}
		// A late repetition is a request like any other.
		if again := s.Do(http.MethodPost, apitest.UsersPath, body, key).Want(http.StatusCreated).ID(); again == id {
			t.Errorf("user %d is back", id)
		}
	})
}

// TestDeletionKeepsItsOwnEvent checks that the event of a deletion is not erased with the user.
func TestDeletionKeepsItsOwnEvent(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com")
		err := s.Store.InTx(t.Context(), func(tx *store.Tx) error {
			event := identity.Event{
				Type: identity.UserDeleted, Time: s.Clock.Now(), SubjectID: id,
				Changes: identity.Changes{"tokens": {New: 3}},
			}
			deleteErr := tx.DeleteUser(t.Context(), id)
			_, emitErr := tx.Emit(t.Context(), event)
			return errors.Join(deleteErr, emitErr)
		})
		if err != nil {
			t.Fatal(err)
		}
		list := s.Events("?filter[user]=" + fmt.Sprint(id))
		if len(list.Data) != 2 || list.Data[0].Changes["tokens"].New != 3.0 || len(list.Data[1].Changes) != 0 {
			t.Errorf("%+v", list.Data)
		}
	})
}

// TestOwnDeletionKeepsNoSource checks that the event of a user's own deletion has no source and no
// token, though it is written after the erasure.
func TestOwnDeletionKeepsNoSource(t *testing.T) {
	t.Parallel()
	apitest.EachDatabase(t, func(t *testing.T, s *apitest.Server, _ string, db *sql.DB) {
		exposed, named := s.Exposed(), apitest.Header("X-Request-Id", "a-personal-request")
		id := s.CreateUser("mary@example.com")
		exposed.Do(http.MethodDelete, apitest.UserPath(id), nil, apitest.As(s.SignIn("mary@example.com")), named).
			Want(http.StatusNoContent)
		id = s.CreateUser("ann@example.com")
		token := s.CreateToken(id, []string{"users.self"}, changes{"name": "the personal laptop"})
		exposed.Do(http.MethodDelete, "/2.0/users/me", nil, apitest.As(token), named).Want(http.StatusNoContent)
		got := apitest.Query(t, db, `SELECT actor_name, source, client_request_id,
				CASE WHEN actor_token_id = 0 THEN 'session' ELSE 'token' END
			FROM events WHERE type = 'USER_DELETED' ORDER BY id`)
		if want := []string{"|session|||session|", "||||token|"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// dump returns the database as text, with bars between the values, without the tables to skip.
func dump(t *testing.T, engine string, db *sql.DB, skip ...string) string {
	t.Helper()
	list := "SELECT name FROM sqlite_master WHERE type = 'table'"
	if engine == "postgres" {
		list = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
	}
	var content strings.Builder
	for _, table := range apitest.Query(t, db, list) {
		table = strings.Trim(table, "|")
		if !slices.Contains(skip, table) {
			content.WriteString(strings.Join(apitest.Query(t, db, "SELECT * FROM "+table), "\n") + "\n")
		}
	}
	return content.String()
}
