package service_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
)

// TestAdoptTOTP checks that a user signs in with an authenticator that was adopted, that each
// code counts once, and which callers may do it for which users.
func TestAdoptTOTP(t *testing.T) {
	t.Parallel()
	const key = "JBSWY3DPEHPK3PXP"
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		adopt := func(token string, user int64, key string) error {
			actor, err := s.Service.Authenticate(t.Context(), token, identity.Origin{Source: netip.MustParseAddr("127.0.0.1")})
			if err != nil {
				t.Fatal(err)
			}
			return s.Service.AdoptTOTP(t.Context(), actor, user, key)
		}
		mary := s.CreateUser("mary@example.com")
		root := s.CreateUser("root@example.com", map[string]any{"groups": []int64{1}})
		for name, permissions := range map[string][]string{"view": {"users.view"}, "none": {}} {
			if err := adopt(s.CreateToken(0, permissions), mary, key); identity.KindOf(err) != identity.Forbidden {
				t.Errorf("with %s: %v", name, err)
			}
		}
		updates := s.CreateToken(0, []string{"users.view", "users.update"})
		if err := adopt(updates, root, key); identity.KindOf(err) != identity.Forbidden {
			t.Errorf("for an administrator: %v", err)
		}
		masked := s.CreateToken(0, []string{"users.update"}, map[string]any{"canViewMaskedData": false})
		if err := adopt(masked, mary, key); identity.KindOf(err) != identity.Forbidden {
			t.Errorf("by a masked caller: %v", err)
		}
		for _, bad := range []string{"", "JBSWY3DP", "not base32 at all!", strings.ToLower(key) + "1"} {
			if err := adopt(updates, mary, bad); identity.KindOf(err) != identity.Invalid {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if err := adopt(updates, 99, key); identity.KindOf(err) != identity.NotFound {
			t.Errorf("for nobody: %v", err)
		}
		session := s.SignIn("mary@example.com")
		if err := adopt(updates, mary, key); err != nil {
			t.Fatal(err)
		}
		s.Do(http.MethodGet, "/api/v2/users/me", nil, apitest.As(session)).Want(http.StatusUnauthorized)
		if err := adopt(updates, mary, key); identity.KindOf(err) != identity.Conflict {
			t.Errorf("twice: %v", err)
		}
		code, err := secret.TOTPCode(key, secret.TOTPStepAt(s.Clock.Now()))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{http.StatusOK, http.StatusUnauthorized} {
			from := apitest.From("127.0.0.1")
			s.Confirm(s.Challenge("mary@example.com", "totp", from), code, from).Want(want)
		}
		s.WantEvents("filter[type]=USER_TOTP_ENABLED", "USER_TOTP_ENABLED")
	})
}
