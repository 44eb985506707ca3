package apitest_test

import (
	"net/http"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// TestBackOfficeNamesItsParts checks that the Back Office names its headers and
// parameters in the errors of the core, which does not know them.
func TestBackOfficeNamesItsParts(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const users = "/api/v2/users"
		requestID, key := apitest.Header("X-Request-Id", "request-1"), apitest.Header("Idempotency-Key", "key-1")

		id := s.CreateUser("a@example.com", map[string]any{"groups": []int{1}})
		as := apitest.As(s.CreateToken(id, apitest.AllPermissions()))
		elsewhere := map[string]any{"ipWhitelist": []string{"192.0.2.0/24"}}
		s.Do(http.MethodPatch, apitest.UserPath(id), elsewhere, as, requestID).
			Want(http.StatusConflict).Golden("would_lock_out")

		s.Do(http.MethodPost, users, apitest.NewUser("b@example.com"), key).Want(http.StatusCreated)
		s.Do(http.MethodPost, users, apitest.NewUser("c@example.com"), key, requestID).
			Want(http.StatusConflict).Golden("idempotency_key_reused")

		s.Do(http.MethodGet, users+"?after=x", nil, requestID).Want(http.StatusBadRequest).Golden("invalid_cursor")
	})
}
