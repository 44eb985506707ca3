package identity

import "slices"

// WebhookAuth is the way in which a receiver authenticates a webhook.
type WebhookAuth string

// The ways to authenticate a webhook.
const (
	WebhookAuthStandard    WebhookAuth = "standard"     // signed as in Standard Webhooks
	WebhookAuthBISignature WebhookAuth = "bi_signature" // signed in the headers BI-Signature
	WebhookAuthBearer      WebhookAuth = "bearer"       // a fixed token
	WebhookAuthNone        WebhookAuth = "none"
)

// WebhookAuths lists every way.
var WebhookAuths = []WebhookAuth{WebhookAuthStandard, WebhookAuthBISignature, WebhookAuthBearer, WebhookAuthNone}

// UnmarshalText reads one of WebhookAuths; the error is a *ValueError.
func (a *WebhookAuth) UnmarshalText(text []byte) error {
	auth := WebhookAuth(text)
	if !slices.Contains(WebhookAuths, auth) {
		return invalid("invalid_value", "must be standard, bi_signature, bearer or none")
	}
	*a = auth
	return nil
}
