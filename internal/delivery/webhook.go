package delivery

import (
	"encoding/json"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// WebhookMessage is the content of a webhook, before a dialect writes it in its format.
type WebhookMessage struct {
	ID          int64 // the same at each attempt
	Type        identity.EventType
	Time        time.Time       // of the event
	User        identity.User   // after the event, or before a deletion; zero for WebhookPing
	Connections json.RawMessage // the synchronised connections, a JSON array; only for UserSynced
}

// WebhookRenderer returns the body of a message in one format.
type WebhookRenderer func(WebhookMessage) ([]byte, error)

// WebhookPost is one attempt to post one webhook.
type WebhookPost struct {
	URL  identity.WebhookURL
	Body []byte // JSON, sent as it is
	ID   string // of the message, the same at each attempt
	Type identity.EventType

	Auth    identity.WebhookAuth // "" is WebhookAuthStandard
	Secrets []string             // for standard and bi_signature: each signs; the newest first
	Token   string               // for bearer
	At      time.Time            // for standard and bi_signature: now; it is signed
}

// ErrWebhookGone is the cause of the Permanent error if the receiver answers 410.
const ErrWebhookGone = Error("HTTP 410: the receiver is gone for good")
