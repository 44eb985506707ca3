package apitest

import (
	"context"
	"net/http"

	"github.com/rosterhq/roster/internal/delivery"
)

// WebhookEvents returns the names of all events that a webhook can subscribe to.
func WebhookEvents() []string {
	return []string{"USER_CREATED", "USER_UPDATED", "USER_DELETED", "USER_SYNCED"}
}

// CreateWebhook creates a webhook for all events and returns its path and secret.
func (s *Server) CreateWebhook(url string, changes ...map[string]any) (path, secret string) {
	s.tb.Helper()
	body := map[string]any{"url": url, "events": WebhookEvents()}
	for _, change := range changes {
		for field, value := range change {
			body[field] = value
		}
	}
	answer := s.Do(http.MethodPost, WebhooksPath, body).Want(http.StatusCreated)
	secret, _ = answer.Object()["secret"].(string)
	return answer.Location(), secret
}

// Deliveries lists the deliveries of a webhook, the latest first.
func (s *Server) Deliveries(webhook, query string) []map[string]any {
	s.tb.Helper()
	var list struct{ Data []map[string]any }
	s.Do(http.MethodGet, webhook+"/deliveries"+query, nil).Want(http.StatusOK).Decode(&list)
	return list.Data
}

// MailFunc makes a sender of mails from a function that needs no context.
func MailFunc(send func(delivery.Mail) error) func(context.Context, delivery.Mail) error {
	return func(_ context.Context, m delivery.Mail) error { return send(m) }
}
