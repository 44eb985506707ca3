package service_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/service"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// TestSignInTakesTheSameTime checks that the time of a denial does not reveal whether a user exists,
// its state, or the kind of its hash. It counts the work of hashing, which takes nearly all of the
// time; a busy machine makes measured times useless.
func TestSignInTakesTheSameTime(t *testing.T) {
	const cost, samples = 5, 5
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		options := service.Options{Store: s, Clock: time.Now, Passwords: secret.NewPasswords(secret.MinCost, 1)}
		old := service.New(options)
		options.Passwords = secret.NewPasswords(cost, 1)
		svc := service.New(options)
		create := func(svc *service.Service, email identity.Email, active bool) {
			t.Helper()
			_, _, err := svc.CreateUser(ctx, identity.CommandLine(), service.NewUser{
				User:     identity.User{Name: "Mary", Email: email, Active: active, Groups: []int64{}},
				Password: "MySecret123",
			}, service.Idempotency{})
			if err != nil {
				t.Fatal(err)
			}
		}
		create(svc, "known@example.com", true)
		create(svc, "inactive@example.com", false)
		create(svc, "passwordless@example.com", true)
		create(old, "old@example.com", true) // hashed at a lower cost
		user, _, err := s.UserByEmail(ctx, "passwordless@example.com")
		if err != nil {
			t.Fatal(err)
		}
		want := int64(1 << cost)
		err = s.InTx(ctx, func(tx *store.Tx) error {
			if err := tx.UpdatePasswordHash(ctx, user.ID, ""); err != nil {
				return err
			}
			for _, kind := range []string{"argon2id", "Django", "PBKDF2", "SHA-512"} { // Django's costs as much as PBKDF2
				hash := foreignHashes[kind]
				email := identity.Email(strings.ToLower(kind) + "@example.com")
				if _, err := tx.InsertUser(ctx, identity.User{Email: email, Active: true}, hash); err != nil {
					return err
				}
				parsed, err := identity.ParsePasswordHash(hash)
				if err != nil {
					return err
				}
				if kind != "Django" {
					want += parsed.Work()
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		kinds := []struct {
			name, email string
			password    identity.Password
		}{
			{"wrong password", "known@example.com", "WrongSecret1"},
			{"unknown", "unknown@example.com", "WrongSecret1"},
			{"inactive", "inactive@example.com", "MySecret123"},
			{"passwordless", "passwordless@example.com", ""},
			{"empty password", "known@example.com", ""},
			{"too long", "known@example.com", identity.Password(make([]byte, 100))},
			{"old hash", "old@example.com", "WrongSecret1"},
			{"argon2id", "argon2id@example.com", "WrongSecret1"},
			{"Django", "django@example.com", "WrongSecret1"},
			{"PBKDF2", "pbkdf2@example.com", ""},
			{"SHA-crypt", "sha-512@example.com", identity.Password(make([]byte, 100))},
		}
		for sample := range samples {
			for i, kind := range kinds {
				source := netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", sample, i)) // never throttled
				before := options.Passwords.Rounds()
				_, err := svc.SignIn(ctx, identity.Anonymous(identity.Origin{Source: source, RequestID: "r"}),
					kind.email,
					kind.password)
				if rounds := options.Passwords.Rounds() - before; rounds != want {
					t.Fatalf("%s: %d rounds, want %d", kind.name, rounds, want)
				}
				if identity.KindOf(err) != identity.Unauthenticated {
					t.Fatalf("%s: %v", kind.name, err)
				}
			}
		}
	})
}
