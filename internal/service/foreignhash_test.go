package service_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// foreignHashes has a hash of apitest.Password of each kind, that another program has made; the one
// of Firebase is of user1password, and from the README of firebase/scrypt.
var foreignHashes = map[string]string{
	"bcrypt":      "$2y$06$mJZxk/6q4Zyel2bKjubHLeb.zonpvlSfeJzGS8x2BTLEAx9HDgG0.",
	"argon2id":    "$argon2id$v=19$m=1024,t=2,p=4$fG+NUYqxllIqxdibc27NOQ$nbtcUksnmhk1cUdpxFsf8A",
	"argon2i":     "$argon2i$v=19$m=1024,t=3,p=1$9J5TijEmhNCa815LiVEKYQ$FQRU5FE3SmoUvPVyUABiHg",
	"scrypt":      "$scrypt$ln=10,r=8,p=2$1rrXmnOuNUZIKUVobU3JGQ$U/63a+Orq0bH056Jz2TB/EhLtM1mpVRaxvAfjM+ItN0",
	"PBKDF2":      "$pbkdf2-sha256$1000$hbA2xniPMeY8h7A2Zuzdew$o4EWLfcm9bu5W4hnGwLcA4Li3OVrk2cloZqUwEMSFRo",
	"PBKDF2-SHA1": "$pbkdf2$1000$izEmZEzJ2ds7J.Q8x3jvnQ$COrWgVCn4p3qN9.vVkhXIsKzNnU",
	"Django":      "pbkdf2_sha256$1000$seasalt2tasty4u$TdaHPAG76T+S02YYrZouCSxT5DSrhMgf0a5EGhqK5ok=",
	"SHA-256":     "$5$rounds=1500$KoWwSKOvMuAWWlBZ$JguWnUunNMRIMFRaQO6JsYdzhKTEsrnSrdwPyReaqiC",
	"SHA-512": "$6$rounds=1500$ab$" +
		"7CObiFFy5vNsqGBUtKJAq12NYJ5yLkdjPmVDosk3bGZm2WdWwxzkc4kCFVghpnQ/2y9U2fNrRPjFYkXWrCi3t/",
	"Firebase": "$firescrypt$ln=14,r=8,p=1$42xEC+ixf3L2lw==$" +
		"lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==$Bw==$" +
		"jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==",
}

func setHash(t *testing.T, s *apitest.Server, id int64, hash string) {
	t.Helper()
	err := s.Store.InTx(t.Context(), func(tx *store.Tx) error { return tx.UpdatePasswordHash(t.Context(), id, hash) })
	if err != nil {
		t.Fatal(err)
	}
}

// wantNewHash checks that a user's hash is one of bcrypt at the configured cost.
func wantNewHash(t *testing.T, s *apitest.Server, id int64) {
	t.Helper()
	if hash, err := s.Store.PasswordHash(t.Context(), id); err != nil || !strings.HasPrefix(hash, "$2a$04$") {
		t.Errorf("user %d has %.20s, %v", id, hash, err)
	}
}

// wantNoDecoys checks that no user has a hash of another kind than new ones.
func wantNoDecoys(t *testing.T, s *apitest.Server) {
	t.Helper()
	if decoys, err := s.Store.PasswordDecoys(t.Context()); err != nil || len(decoys) != 0 {
		t.Errorf("in use: %q, %v", decoys, err)
	}
}

// TestSignInWithAForeignHash checks that a hash of another system works at the first sign-in, which
// makes it a hash as new ones are. Nothing else of the user changes.
func TestSignInWithAForeignHash(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		kinds := slices.Collect(maps.Keys(foreignHashes))
		for i, kind := range kinds {
			hash, stranger := foreignHashes[kind], apitest.NoToken(fmt.Sprintf("198.51.100.%d", i)) // never throttled
			email, password := strings.ToLower(kind)+"@example.com", apitest.Password
			if kind == "Firebase" {
				password = "user1password"
			}
			id := s.CreateUser(email)
			session := apitest.As(s.SignInWith(email, apitest.Password).AccessToken.Token)
			setHash(t, s, id, hash)
			s.Mails()
			for _, wrong := range []string{"", password + "x", strings.ToUpper(password), hash} {
				s.TrySignIn(email, wrong, stranger).
					WantProblem(http.StatusUnauthorized, "invalid_credentials")
			}
			if now, err := s.Store.PasswordHash(t.Context(), id); now != hash || err != nil {
				t.Errorf("%s: a refusal has changed the hash: %v", kind, err)
			}
			s.SignInWith(email, password)
			wantNewHash(t, s, id)
			s.SignInWith(email, password)
			s.TrySignIn(email, password+"x", stranger).Want(http.StatusUnauthorized)

			user := s.Do(http.MethodGet, apitest.MePath, nil, session).Want(http.StatusOK).Object()
			if user["version"] != 1.0 || user["updateTime"] != nil {
				t.Errorf("%s: it shows: %v", kind, user)
			}
			if mails := s.Mails(); len(mails) != 0 {
				t.Errorf("%s: %v", kind, mails)
			}
			s.WantEvents(fmt.Sprintf("filter[user]=%d&filter[type]=USER_UPDATED", id))
		}
		wantNoDecoys(t, s)
	})
}

// TestForeignHashesInSessions checks the places that take the current password, and those that
// replace it.
func TestForeignHashesInSessions(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const email, wrong = "mary@example.com", "WrongSecret1"
		id := s.CreateUser(email)
		as := apitest.As(s.SignIn(email))
		setHash(t, s, id, foreignHashes["argon2id"])
		reauthenticate := func(password string) *apitest.Answer {
			return s.Do(http.MethodPost, "/api/v2/reauthenticate", changes{"password": password}, as)
		}
		reauthenticate(wrong).WantProblem(http.StatusBadRequest, "validation_failed", "password")
		reauthenticate(apitest.Password).Want(http.StatusOK)
		change := changes{"password": "NewSecret123", "currentPassword": wrong}
		s.Do(http.MethodPatch, apitest.MePath, change, as).
			WantProblem(http.StatusBadRequest, "validation_failed", "currentPassword")
		change["currentPassword"] = apitest.Password
		s.Do(http.MethodPatch, apitest.MePath, change, as).Want(http.StatusOK)
		wantNewHash(t, s, id)
		wantNoDecoys(t, s)
		s.SignInWith(email, "NewSecret123")
		s.TrySignIn(email, apitest.Password, apitest.NoToken("198.51.100.7")).Want(http.StatusUnauthorized)

		setHash(t, s, id, foreignHashes["scrypt"])
		s.Mails()
		s.Reset(s.ResetToken(email), "OtherSecret123").Want(http.StatusNoContent)
		wantNewHash(t, s, id)
		wantNoDecoys(t, s)
		s.SignInWith(email, "OtherSecret123")

		setHash(t, s, id, foreignHashes["scrypt"])
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"password": "ThirdSecret123"}).Want(http.StatusOK)
		wantNewHash(t, s, id)
		wantNoDecoys(t, s)
	})
}

// TestForeignHashWithASecondFactor checks that the hash is upgraded when the password is right, not
// when the code is.
func TestForeignHashWithASecondFactor(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const email = "mary@example.com"
		id := s.CreateUser(email, changes{"tfa": true})
		setHash(t, s, id, foreignHashes["Django"])
		s.Challenge(email, "email", apitest.NoToken("192.0.2.1"))
		wantNewHash(t, s, id)
		s.Challenge(email, "email", apitest.NoToken("192.0.2.1"))
	})
}

// TestForeignHashOfOneWhoMayNotSignIn checks that neither the state of the user nor the address is
// passed by.
func TestForeignHashOfOneWhoMayNotSignIn(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		inactive := s.CreateUser("inactive@example.com", changes{"active": false})
		elsewhere := s.CreateUser("elsewhere@example.com", changes{"ipWhitelist": []string{"203.0.113.1"}})
		for _, id := range []int64{inactive, elsewhere} {
			setHash(t, s, id, foreignHashes["SHA-512"])
		}
		here := apitest.NoToken("192.0.2.1")
		s.TrySignIn("inactive@example.com", apitest.Password, here).
			WantProblem(http.StatusUnauthorized, "invalid_credentials")
		s.TrySignIn("elsewhere@example.com", apitest.Password, here).WantProblem(http.StatusForbidden, "ip_not_allowed")
		for _, id := range []int64{inactive, elsewhere} {
			if hash, err := s.Store.PasswordHash(t.Context(), id); hash != foreignHashes["SHA-512"] || err != nil {
				t.Errorf("user %d has %.20s, %v", id, hash, err)
			}
		}
	})
}

// TestForeignSignInsAtOnce checks that of many first sign-ins on two instances each one works, though
// one of them replaces the hash that the others have compared.
func TestForeignSignInsAtOnce(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		for round := range 3 {
			email := fmt.Sprintf("mary%d@example.com", round)
			id := s[0].CreateUser(email)
			setHash(t, s[0], id, foreignHashes["PBKDF2"])
			got := apitest.Together(4, func(i int) *apitest.Answer {
				return s[i%2].TrySignIn(email, apitest.Password, apitest.NoToken(fmt.Sprintf("192.0.2.%d", i)))
			})
			if got[http.StatusOK] != 4 {
				t.Errorf("%v", got)
			}
			wantNewHash(t, s[0], id)
		}
	})
}

// TestASignInLosesToANewPassword checks that a sign-in whose hash is replaced by another password
// while it is compared is refused.
func TestASignInLosesToANewPassword(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		const slow = 11 // so that the change comes before the sign-in's transaction
		dear := s[1].WithPasswords(secret.NewPasswords(slow, 1))
		for round := range 2 {
			email := fmt.Sprintf("mary%d@example.com", round)
			id := s[0].CreateUser(email)
			setHash(t, s[0], id, foreignHashes["PBKDF2"])
			got := apitest.Together(2, func(i int) *apitest.Answer {
				if i == 0 {
					return dear.TrySignIn(email, apitest.Password, apitest.NoToken("192.0.2.1"))
				}
				return s[0].Do(http.MethodPatch, apitest.UserPath(id), changes{"password": "NewSecret123"})
			})
			// A sign-in that came first is over with the old password.
			if got[http.StatusOK] == 0 || got[http.StatusInternalServerError] != 0 {
				t.Errorf("%v", got)
			}
			wantNewHash(t, s[0], id)
			s[0].TrySignIn(email, apitest.Password, apitest.NoToken("192.0.2.2")).Want(http.StatusUnauthorized)
			s[0].SignInWith(email, "NewSecret123")
		}
	})
}
