package service

import (
	"errors"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// TestHashKinds checks that imported hashes cannot make refused sign-ins arbitrarily long, in one
// import and in several.
func TestHashKinds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		service := New(Options{Store: s, Passwords: secret.NewPasswords(secret.DefaultCost, 1)})
		of := func(cost string) string { return "$2y$" + cost + "$" + strings.Repeat("a", 53) }
		admit := func(hash, want string) {
			t.Helper()
			err := s.InTx(t.Context(), func(tx *store.Tx) error {
				kinds, err := service.hashKinds(t.Context(), tx)
				if err != nil {
					return err
				}
				if err := kinds.admit(hash); err != nil {
					return err
				}
				_, err = tx.InsertUser(t.Context(), identity.User{Email: identity.Email(hash[2:9] + "@example.com")}, hash)
				return err
			})
			var e *identity.Error
			if want == "" && err == nil {
				return
			}
			if !errors.As(err, &e) || e.Kind != identity.Invalid || e.Fields[0].Field != "passwordHash" || e.Fields[0].Code != want {
				t.Errorf("%.8s: %v, want %q", hash, err, want)
			}
		}
		admit("nonsense of an import", "unknown_hash")
		admit("$2y$31$"+strings.Repeat("a", 53), "costly_hash")
		admit(of("10"), "") // as new ones
		admit(of("14"), "")
		admit(of("13"), "")
		admit(of("12"), "")
		if err := s.InTx(t.Context(), func(tx *store.Tx) error {
			kinds, err := service.hashKinds(t.Context(), tx)
			if err == nil {
				err = errors.Join(kinds.admit(of("14")), kinds.admit(of("11"))) // what is in use, and what just fits
			}
			return err
		}); err != nil {
			t.Error(err)
		}
		admit(of("15"), "too_many_hash_kinds")
	})
}
