package backoffice_test

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/service"
)

// TestSameRequest checks which requests with an Idempotency-Key are the same.
func TestSameRequest(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		key := apitest.Header("Idempotency-Key", "key")
		body := `{"name":"Mary","email":"a@example.com","password":"MySecret123","active":true,"tfa":false,` +
			`"groups":[1],"clientTags":[{"id":7,"name":"x"}]}`
		first := s.Do(http.MethodPost, apitest.UsersPath, body, key).Want(http.StatusCreated)
		reordered := `{ "clientTags": [ {"name": "x", "id": 7} ],` + "\t\r\n" +
			`"groups": [ 1 ], "tfa": false, "active": true, "password": "MySecret123", "email": "a@example.com",` +
			`"name": "M\u0061ry" }`
		for _, same := range []string{body, reordered, strings.Replace(body, "MySecret123", "AnotherSecret", 1)} {
			if got := s.Do(http.MethodPost, apitest.UsersPath, same,
				key).Want(http.StatusCreated); string(got.Body) != string(first.Body) {
				t.Errorf("%s\ngets %s", same, got.Body)
			}
		}
		for _, change := range [][2]string{
			{"[1]", "[]"},
			{`"tfa":false`, `"tfa":true`},
			{`"id":7`, `"id":8`},
			{"a@example", "A@example"},
			{"Mary", "mary"},
			{`"active":true`, `"active":true,"phone":null`},
			{`"active":true`, `"active":true,"sendNotify":true`},
		} {
			s.Do(http.MethodPost, apitest.UsersPath, strings.Replace(body, change[0], change[1], 1), key).
				WantProblem(http.StatusConflict, "idempotency_key_reused", "Idempotency-Key")
		}
		// A repetition must be a whole request, with a password.
		s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("a@example.com", changes{"password": apitest.Absent}),
			key).
			WantProblem(http.StatusBadRequest, "validation_failed", "password")
		// The password of the first call counts.
		s.SignInWith("a@example.com", apitest.Password)
		s.TrySignIn("a@example.com", "AnotherSecret", apitest.NoToken("192.0.2.1")).
			Want(http.StatusUnauthorized)
	})
}

// TestFingerprintTellsNothingOfThePassword checks that two creations with different passwords have the
// same fingerprint, which is no plain digest.
func TestFingerprintTellsNothingOfThePassword(t *testing.T) {
	t.Parallel()
	apitest.EachDatabase(t, func(t *testing.T, s *apitest.Server, _ string, db *sql.DB) {
		var kept []string
		for _, secretText := range []string{"MySecret123", "AnotherSecret"} {
			body := `{"name":"Mary","email":"a@example.com","active":true,"tfa":false,"groups":[],"password":"` +
				secretText + `"}`
			id := s.Do(http.MethodPost, apitest.UsersPath, body, apitest.Header("Idempotency-Key", "key")).
				Want(http.StatusCreated).ID()
			fingerprint := apitest.Query(t, db, "SELECT fingerprint FROM idempotency_keys")[0]
			without := `{"active":true,"email":"a@example.com","groups":[],"name":"Mary","tfa":false}`
			for _, text := range []string{body, secretText, without} {
				digest := sha256.Sum256([]byte(text))
				plain := hex.EncodeToString(digest[:])
				if strings.Contains(fingerprint, plain) || strings.Contains(fingerprint, secret.Digest(text)) {
					t.Errorf("%s is a digest of %s", fingerprint, text)
				}
			}
			kept = append(kept, fingerprint)
			s.Do(http.MethodDelete, apitest.UserPath(id), nil).Want(http.StatusNoContent)
		}
		if kept[0] != kept[1] || len(kept[0]) < 40 {
			t.Errorf("%q", kept)
		}
	})
}

// TestKeptAnswerSurvivesNewKey checks that a repetition finds its answer after ROSTER_SECRET_KEY is
// set.
func TestKeptAnswerSurvivesNewKey(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for i, key := range []string{"", "", strings.Repeat("k", 32)} {
			svc := service.New(service.Options{
				Store: s.Store, Clock: s.Clock.Now, Passwords: secret.NewPasswords(secret.MinCost, 1), SecretKey: key,
			})
			in := service.NewUser{
				User:     identity.User{Name: "Mary", Email: "a@example.com", Active: true},
				Password: apitest.Password,
			}
			once := service.Idempotency{
				Key: "key", Request: "{}",
				Render: func(identity.User) []byte { return []byte("kept") },
			}
			_, answer, err := svc.CreateUser(t.Context(), identity.CommandLine(), in, once)
			if err != nil || answer.Replayed != (i > 0) || i > 0 && string(answer.Body) != "kept" {
				t.Errorf("%q: %+v, %v", key, answer, err)
			}
		}
	})
}

// TestKeptAnswersArePruned checks that expired answers are deleted in time, and not only by the next
// creation.
func TestKeptAnswersArePruned(t *testing.T) {
	t.Parallel()
	apitest.EachDatabase(t, func(t *testing.T, s *apitest.Server, _ string, db *sql.DB) {
		s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("a@example.com"),
			apitest.Header("Idempotency-Key", "key")).
			Want(http.StatusCreated)
		for _, step := range []struct {
			wait time.Duration
			want string
		}{{24*time.Hour - time.Second, "|1|"}, {time.Second, "|0|"}} {
			s.Clock.Advance(step.wait)
			if err := s.Service.Prune(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := apitest.Query(t, db, "SELECT count(*) FROM idempotency_keys")[0]; got != step.want {
				t.Errorf("after %v more: %s, want %s", step.wait, got, step.want)
			}
		}
	})
}

// TestKeptAnswerIsNoWayAroundMasks checks that an answer with unmasked data is not repeated once the
// caller sees masks.
func TestKeptAnswerIsNoWayAroundMasks(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com", changes{"groups": []int{1}, "canViewMaskedData": true})
		as, key := apitest.As(s.SignIn("mary@example.com")), apitest.Header("Idempotency-Key", "k")
		body := apitest.NewUser("john@website.com",
			changes{"phone": "+18043257762", "ipWhitelist": []string{"79.24.241.198"}})
		first := s.Do(http.MethodPost, apitest.UsersPath, body, as, key).Want(http.StatusCreated)
		again := s.Do(http.MethodPost, apitest.UsersPath, body, as, key).Want(http.StatusCreated)
		if first.ID() != again.ID() || !strings.Contains(string(again.Body), "john@website.com") {
			t.Errorf("%s", again.Body)
		}
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"canViewMaskedData": false}).Want(http.StatusOK)
		s.Do(http.MethodPost, apitest.UsersPath, body, as, key).WantProblem(http.StatusConflict, "email_taken", "email")
	})
}
