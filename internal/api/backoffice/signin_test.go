package backoffice_test

import (
	"net/http"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

func TestSignInBodies(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, call := range []struct {
			path   string
			fields []string
		}{
			{apitest.SignInPath, []string{"email", "password"}},
			{apitest.ConfirmPath, []string{"token", "code"}},
			{apitest.RefreshPath, []string{"refreshToken"}},
			{"/api/v2/password/forgot", []string{"email"}},
			{"/api/v2/password/reset", []string{"token", "password"}},
		} {
			s.Do(http.MethodPost, call.path, changes{}, apitest.As("")).
				WantProblem(http.StatusBadRequest, "validation_failed", call.fields...)
			wrong := changes{"unknown": 1}
			for _, field := range call.fields {
				wrong[field] = 7
			}
			s.Do(http.MethodPost, call.path, wrong, apitest.As("")).
				WantProblem(http.StatusBadRequest, "validation_failed", append(call.fields, "unknown")...)
			s.Do(http.MethodPost, call.path, "{", apitest.As("")).WantProblem(http.StatusBadRequest, "malformed_json")
			s.Do(http.MethodPost, call.path, changes{}, apitest.As(""), apitest.Header("Content-Type", "text/plain")).
				Want(http.StatusUnsupportedMediaType)
			s.Do(http.MethodGet, call.path, nil, apitest.As("")).Want(http.StatusMethodNotAllowed)
		}
	})
}
