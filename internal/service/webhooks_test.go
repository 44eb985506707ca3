package service_test

import (
	"net/http"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// TestWebhooksAreBounded checks the maximum number: each webhook costs every change a row.
func TestWebhooksAreBounded(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		body := changes{"url": "https://example.com/hook", "events": apitest.WebhookEvents()}
		for range 100 {
			s.Do(http.MethodPost, apitest.WebhooksPath, body).Want(http.StatusCreated)
		}
		s.Do(http.MethodPost, apitest.WebhooksPath, body).WantProblem(http.StatusConflict, "too_many_webhooks")
		s.Do(http.MethodDelete, apitest.WebhooksPath+"/7", nil).Want(http.StatusNoContent)
		s.Do(http.MethodPost, apitest.WebhooksPath, body).Want(http.StatusCreated)
	})
}
