package delivery

import (
	"encoding/json"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// WebhookMessage is what a webhook says, before a dialect puts it into its format.
type WebhookMessage struct {
	ID          int64 // the same at each attempt
	Type        identity.EventType
	Time        time.Time       // when it happened
	User        identity.User   // as the event left the user, or found the one that it deleted; zero for WebhookPing
	Connections json.RawMessage // what was synchronised: a JSON array; only for UserSynced
}

// WebhookRenderer returns the body of a message in one format.
type WebhookRenderer func(WebhookMessage) ([]byte, error)

// WebhookPost is one attempt to post one webhook.
type WebhookPost struct {
	URL  identity.WebhookURL
	Body []byte // JSON, sent as it is

	Auth    identity.WebhookAuth // "" is WebhookAuthStandard
	Secrets []string             // for standard and bi_signature: each signs; the newest first
	Token   string               // for bearer
	ID      string               // for standard: of the message, the same at each attempt
	At      time.Time            // for standard and bi_signature: now; it is signed
}

// ErrWebhookGone is the cause of the Permanent error of a delivery whose receiver
// wants no more messages.
const ErrWebhookGone = Error("HTTP 410: the receiver is gone for good")
