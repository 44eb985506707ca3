package service_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/secret"
)

func TestLongPasswordsAreComparedWhole(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		longest := strings.Repeat("x", 72)
		s.CreateUser("a@example.com", changes{"password": longest})
		as := apitest.As(s.SignInWith("a@example.com", longest).AccessToken.Token)
		for _, wrong := range []string{
			longest[:71], longest[:71] + "y", longest + "x",
			longest + strings.Repeat("x", 1000),
		} {
			s.Do(http.MethodPatch, apitest.UsersPath+"/me",
				changes{"password": "NewSecret123", "currentPassword": wrong}, as).
				WantProblem(http.StatusBadRequest, "validation_failed", "currentPassword")
		}
		s.Do(http.MethodPatch, apitest.UsersPath+"/me", changes{"password": "NewSecret123", "currentPassword": longest},
			as).Want(http.StatusOK)
	})
}

// TestWhatCannotSucceedIsNotHashed checks that a password is hashed only after all other checks.
func TestWhatCannotSucceedIsNotHashed(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		passwords := secret.NewPasswords(secret.MinCost, 2)
		counted := s.WithPasswords(passwords)
		s.CreateUser("mary@example.com")
		admin := apitest.UserPath(s.CreateUser("admin@example.com",
			changes{"groups": []int{1}, "canViewMaskedData": true}))
		plain := apitest.UserPath(s.CreateUser("plain@example.com"))
		as := apitest.As(s.SignInWith("mary@example.com", apitest.Password).AccessToken.Token)
		helpdesk := apitest.As(s.CreateToken(0, []string{"users.create", "users.update"}))
		const fine = "NewSecret123"
		asHelpdesk := []apitest.Option{helpdesk}
		created := func(c changes) changes { return apitest.NewUser("x@example.com", c) }
		for _, call := range []struct {
			name, method, path string
			body               any
			options            []apitest.Option
			want               int
		}{
			{
				"no current password", http.MethodPatch, apitest.MePath,
				changes{"password": fine},
				[]apitest.Option{as},
				400,
			},
			{"someone else's", http.MethodPatch, plain, changes{"password": fine}, []apitest.Option{as}, 403},
			{"an administrator's", http.MethodPatch, admin, changes{"password": fine}, asHelpdesk, 403},
			{
				"to Administrators", http.MethodPatch, plain,
				changes{"password": fine, "groups": []int{1}},
				asHelpdesk,
				403,
			},
			{"unknown group", http.MethodPatch, plain, changes{"password": fine, "groups": []int{99}}, nil, 400},
			{
				"stale", http.MethodPatch, plain,
				changes{"password": fine},
				[]apitest.Option{apitest.Header("If-Match", `"9"`)},
				412,
			},
			{"nobody's", http.MethodPatch, apitest.UserPath(99), changes{"password": fine}, nil, 404},
			{"personal", http.MethodPatch, plain, changes{"password": "plain-2026-plain"}, nil, 400},
			{"create", http.MethodPost, apitest.UsersPath, apitest.NewUser("x@example.com"), []apitest.Option{as}, 403},
			{
				"create an administrator", http.MethodPost, apitest.UsersPath, created(changes{"groups": []int{1}}),
				asHelpdesk, 403,
			},
			{
				"create in an unknown group", http.MethodPost, apitest.UsersPath, created(changes{"groups": []int{99}}),
				nil, 400,
			},
			{"create again", http.MethodPost, apitest.UsersPath, apitest.NewUser("MARY@example.com"), nil, 409},
			{
				"create, personal", http.MethodPost, apitest.UsersPath,
				created(changes{"password": "i am mary, really"}),
				nil, 400,
			},
			{
				"reset", http.MethodPost, apitest.ResetPath,
				changes{"token": "nonsense", "password": fine},
				[]apitest.Option{apitest.As("")},
				400,
			},
		} {
			if counted.Do(call.method, call.path, call.body, call.options...).Want(call.want); passwords.Rounds() != 0 {
				t.Fatalf("%s: a password was hashed", call.name)
			}
		}
		counted.Do(http.MethodPatch, plain, changes{"password": fine}).Want(http.StatusOK)
		if passwords.Rounds() != 1<<secret.MinCost {
			t.Errorf("%d rounds for one password", passwords.Rounds())
		}
	})
}

// wantRefused checks that a password is denied for a reason.
func wantRefused(t *testing.T, answer *apitest.Answer, code string) {
	t.Helper()
	var problem struct{ Errors []struct{ Code string } }
	answer.WantProblem(http.StatusBadRequest, "validation_failed", "password").Decode(&problem)
	if problem.Errors[0].Code != code {
		t.Errorf("%s, want %s", answer.Body, code)
	}
}

// TestPersonalPasswords checks that a password with the name or address of its user is denied.
func TestPersonalPasswords(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const personal = "contains_personal"
		person := func(p string) changes {
			return apitest.NewUser("annabel@example.com", changes{"name": "Mary Ann Smith", "password": p})
		}
		for _, p := range []string{"mary ann smith!", "9-MaryAnnSmith-9", "AnnaBel-2026", "my-Roster-pass"} {
			wantRefused(t, s.Do(http.MethodPost, apitest.UsersPath, person(p)), personal)
		}
		path := apitest.UserPath(s.Do(http.MethodPost, apitest.UsersPath, person("Mary has a lamb")).
			Want(http.StatusCreated).ID())
		for _, p := range []string{"mary ann smith!", "AnnaBel-2026"} {
			wantRefused(t, s.Do(http.MethodPatch, path, changes{"password": p}), personal)
		}
		// By what the user will be.
		wantRefused(t, s.Do(http.MethodPatch, path, changes{"name": "John Doe", "password": "johndoe johndoe"}),
			personal)
		lamb := changes{"email": "lamb@example.com", "password": "Mary has a lamb"}
		wantRefused(t, s.Do(http.MethodPatch, path, lamb), personal)
		other := changes{"name": "John Doe", "email": "jd@example.com", "password": "9-MaryAnnSmith-9"}
		s.Do(http.MethodPatch, path, other).Want(http.StatusOK)
		token := s.ResetToken("jd@example.com")
		wantRefused(t, s.Reset(token, "John-Doe John Doe"), personal)
		s.Reset(token, "NewSecret123").Want(http.StatusNoContent)
		// Random ones, of Firefly's users, are never refused: by chance many have these letters.
		for _, letter := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ" {
			email := strings.Repeat(string(letter), 4) + "@example.com"
			s.Do(http.MethodPost, "/api/v1/users", changes{"email": email, "blocked": false}).Want(http.StatusOK)
		}
	})
}

// TestListedPasswords checks that the operator's list applies wherever a password is set.
func TestListedPasswords(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"plain":  "zebra crossing\r\nCORRECT HORSE\r\n",
		"hashes": "abf7aad6438836dbe526aa231abde2d0eef74d42:7\n", // SHA-1 of "correct horse battery staple"
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := t.TempDir() + "/list"
			writeFile(t, path, content)
			listed := map[string]string{"plain": "Correct Horse", "hashes": "correct horse battery staple"}[name]
			apitest.Each(t, func(t *testing.T, plain *apitest.Server) {
				s := plain.Another(func(o *app.Options) { o.Config.PasswordList = path })
				body := apitest.NewUser("mary@example.com", changes{"password": listed})
				wantRefused(t, s.Do(http.MethodPost, apitest.UsersPath, body), "breached")
				id := s.CreateUser("mary@example.com")
				wantRefused(t, s.Do(http.MethodPatch, apitest.UserPath(id), changes{"password": listed}), "breached")
				token := s.ResetToken("mary@example.com")
				wantRefused(t, s.Reset(token, listed), "breached")
				s.Reset(token, listed+"!").Want(http.StatusNoContent)
				// Who had it before still gets in.
				plain.CreateUser("john@example.com", changes{"password": listed})
				s.SignInWith("john@example.com", listed)
			})
		})
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPasswordRules(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com")
		for _, common := range []string{"Password1", "password123", "12345678", "QWERTYUIOP", "iloveyou1"} {
			s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("x@example.com", changes{"password": common})).
				WantProblem(http.StatusBadRequest, "validation_failed", "password")
			s.Do(http.MethodPatch, apitest.UserPath(id), changes{"password": common}).
				WantProblem(http.StatusBadRequest, "validation_failed", "password")
		}
		for i, fine := range []string{
			"aaaa bbbb cccc dddd", "пароль пароль", strings.Repeat("x", 72), "correct horse",
			"lowercaseonly",
		} {
			s.CreateUser(fmt.Sprintf("u%d@example.com", i), changes{"password": fine})
			s.SignInWith(fmt.Sprintf("u%d@example.com", i), fine)
		}
		// The whole password counts.
		s.TrySignIn("u2@example.com", strings.Repeat("x", 71)+"y", apitest.NoToken("192.0.2.9")).
			Want(http.StatusUnauthorized)
		s.TrySignIn("u2@example.com", strings.Repeat("x", 73), apitest.NoToken("192.0.2.9")).
			Want(http.StatusUnauthorized)
	})
}

// TestNewPasswordEndsOtherSessions checks that the caller's own session continues and all others end.
func TestNewPasswordEndsOtherSessions(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com")
		mine, other := s.SignInWith("mary@example.com", apitest.Password), s.SignInWith("mary@example.com",
			apitest.Password)
		service := s.CreateToken(id, []string{"users.self"})
		token := s.ResetToken("mary@example.com")
		change := changes{"password": "NewSecret123", "currentPassword": apitest.Password}
		s.Do(http.MethodPatch, apitest.MePath, change, apitest.As(mine.AccessToken.Token)).Want(http.StatusOK)
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(mine.AccessToken.Token)).Want(http.StatusOK)
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(service)).Want(http.StatusOK)
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(other.AccessToken.Token)).Want(http.StatusUnauthorized)
		s.Refresh(other.RefreshToken.Token).Want(http.StatusUnauthorized)
		s.Reset(token, "OtherSecret123").Want(http.StatusBadRequest)
		s.Refresh(mine.RefreshToken.Token).Want(http.StatusOK)
		// By an administrator: all end.
		mine = s.SignInWith("mary@example.com", "NewSecret123")
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"password": "OtherSecret123"}).Want(http.StatusOK)
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(mine.AccessToken.Token)).Want(http.StatusUnauthorized)
	})
}

// TestCurrentPasswordIsNotGuessed checks that a stolen session has five tries.
func TestCurrentPasswordIsNotGuessed(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		p := s.SignInWith("mary@example.com", apitest.Password)
		as, from := apitest.As(p.AccessToken.Token), apitest.From("198.51.100.7")
		for i := range 5 {
			s.Do(http.MethodPatch, apitest.MePath,
				changes{"password": "NewSecret123", "currentPassword": fmt.Sprintf("WrongSecret%d", i)}, as, from).
				WantProblem(http.StatusBadRequest, "validation_failed", "currentPassword")
		}
		s.Do(http.MethodPatch, apitest.MePath, changes{"password": "NewSecret123", "currentPassword": apitest.Password},
			as, from).
			WantProblem(http.StatusTooManyRequests, "too_many_attempts")
		s.Do(http.MethodPatch, apitest.MePath, changes{"password": "NewSecret123", "currentPassword": apitest.Password},
			as, apitest.From("192.0.2.1")).Want(http.StatusOK)
	})
}
