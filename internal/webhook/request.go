package webhook

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/pkg/webhooksig"
)

// Request is one attempt to deliver one webhook.
type Request = delivery.WebhookPost

// sign returns the request of one attempt, signed as r.Auth says.
func sign(ctx context.Context, r Request) (*http.Request, error) {
	// The URL was checked when it was stored, but the store reads it without a check.
	if _, err := identity.ParseWebhookURL(string(r.URL)); err != nil {
		return nil, delivery.Errorf("the URL %s", err) // a ValueError has no part of the URL
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, string(r.URL), bytes.NewReader(r.Body))
	if err != nil {
		return nil, delivery.Error("the URL cannot be used")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "Roster")
	// Bodies of the format powens do not name the event.
	request.Header.Set("Roster-Event", string(r.Type))
	request.Header.Set("Roster-Delivery", r.ID)
	switch r.Auth {
	case identity.WebhookAuthStandard, "":
		err = webhooksig.SignStandard(request.Header, r.ID, r.At, r.Body, r.Secrets...)
	case identity.WebhookAuthBISignature:
		err = webhooksig.SignBI(request.Header, request.Method, request.URL.EscapedPath(), r.At, r.Body, r.Secrets...)
	case identity.WebhookAuthBearer:
		if r.Token == "" || strings.ContainsFunc(r.Token, func(c rune) bool { return c <= ' ' || c > '~' }) {
			return nil, delivery.Error("the webhook has no token that a header could carry")
		}
		request.Header.Set("Authorization", "Bearer "+r.Token)
	case identity.WebhookAuthNone:
	default:
		err = errors.New("there is no such auth")
	}
	if err != nil {
		return nil, delivery.Errorf("the webhook cannot be signed: %s", err)
	}
	return request, nil
}
