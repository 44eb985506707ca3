package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/pkg/webhooksig"
)

// Request is one attempt to deliver one webhook.
type Request struct {
	URL  identity.WebhookURL
	Body []byte // JSON, sent as it is

	Auth    identity.WebhookAuth // "" is WebhookAuthStandard
	Secrets []string             // for standard and bi_signature: each signs; the newest first
	Token   string               // for bearer
	ID      string               // for standard: of the message, the same at each attempt
	At      time.Time            // for standard and bi_signature: now; it is signed
}

func (r Request) sign(ctx context.Context) (*http.Request, error) {
	// The URL was checked when it was registered, but is read back leniently.
	if _, err := identity.ParseWebhookURL(string(r.URL)); err != nil {
		return nil, fmt.Errorf("the URL %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, string(r.URL), bytes.NewReader(r.Body))
	if err != nil {
		return nil, errors.New("the URL cannot be used")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "Roster")
	switch r.Auth {
	case identity.WebhookAuthStandard, "":
		err = webhooksig.SignStandard(request.Header, r.ID, r.At, r.Body, r.Secrets...)
	case identity.WebhookAuthBISignature:
		err = webhooksig.SignBI(request.Header, request.Method, request.URL.EscapedPath(), r.At, r.Body, r.Secrets...)
	case identity.WebhookAuthBearer:
		if r.Token == "" || strings.ContainsFunc(r.Token, func(c rune) bool { return c <= ' ' || c > '~' }) {
			return nil, errors.New("the webhook has no token that a header could carry")
		}
		request.Header.Set("Authorization", "Bearer "+r.Token)
	case identity.WebhookAuthNone:
	default:
		err = errors.New("there is no such auth")
	}
	if err != nil {
		return nil, fmt.Errorf("the webhook cannot be signed: %w", err)
	}
	return request, nil
}
