// Package delivery has the types of what Roster sends: the messages of the outbox, the mails
// and webhook posts that they become, and the rules of retries. It sends nothing.
package delivery

import (
	"math"
	"strconv"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// Channel is the medium of a message.
type Channel string

// The channels.
const (
	ChannelMail    Channel = "mail"
	ChannelWebhook Channel = "webhook"
)

// Destination is the receiver of a message: the mail server, or one webhook. The messages
// of each destination are sent separately, so that a slow one delays no other.
type Destination struct {
	Channel   Channel
	WebhookID int64 // 0 for mail
}

// ToMail returns the destination of all mails.
func ToMail() Destination { return Destination{Channel: ChannelMail} }

// ToWebhook returns the destination of the messages of the webhook with an id.
func ToWebhook(id int64) Destination { return Destination{Channel: ChannelWebhook, WebhookID: id} }

// String returns the destination as logs and tables show it: mail, or webhook/ID.
func (d Destination) String() string {
	if d.WebhookID == 0 {
		return string(d.Channel)
	}
	return string(d.Channel) + "/" + strconv.FormatInt(d.WebhookID, 10)
}

// State is the state of a message.
type State string

// The states of a message.
const (
	Pending State = "pending"
	Done    State = "done"
	Dead    State = "dead" // failed or expired; can be queued again by a call
)

// Message is one message in the outbox.
type Message struct {
	ID        int64
	To        Destination
	Topic     string // the type of the event, or the kind of mail
	UserID    int64  // the user that it is about; 0 for none
	Address   string // the Key of the user's address, if only that is known; else ""
	Payload   string // JSON; "" once it has been erased
	State     State
	Attempts  int
	CreatedAt time.Time
	DueAt     time.Time
	ExpiresAt time.Time // zero for never
	// The last attempt.
	AttemptedAt time.Time // when it began; zero for none
	Status      int       // HTTP status of the last answer; 0 for none
	LastError   string
	CompletedAt time.Time // zero while it is pending
}

// Filter selects messages; all set fields must hold.
type Filter struct {
	To      Destination // zero for all
	Channel Channel     // "" for all
	UserID  int64       // about this user; 0 for all
	States  []State     // any of these; nil for all
}

// Queueable returns a Conflict if a message cannot be queued again, or nil.
func (m Message) Queueable(now time.Time) error {
	switch {
	case m.State == Pending:
		return identity.Errorf(identity.Conflict, "message_pending", "The message is on its way: the next attempt is at %s.",
			m.DueAt.UTC().Format(time.RFC3339))
	case m.Payload == "":
		return identity.Errorf(identity.Conflict, "message_erased", "What the message said has been erased.")
	case !m.ExpiresAt.IsZero() && !now.Before(m.ExpiresAt):
		return identity.Errorf(identity.Conflict, "message_expired", "The message is of no use any more.")
	}
	return nil
}

// KeepPeriod is how long a message is stored after it is complete, so that it can be read
// and sent again.
const KeepPeriod = 30 * 24 * time.Hour

// Backlog counts the messages of a channel in a state.
type Backlog struct {
	Channel Channel
	State   State // Pending or Dead
	Count   int64
	Oldest  time.Time // when the oldest of them was created
}

// Count is how many messages of a destination are in a state.
type Count struct {
	To    Destination
	State State
	Count int64
	// Oldest is when the oldest of them was created.
	Oldest time.Time
}

// retryWaits are the waits after each failed attempt. With their jitter they
// span three days.
var retryWaits = [...]time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 12 * time.Hour, 12 * time.Hour, 12 * time.Hour, 20 * time.Hour,
}

// RetryAfter returns how long to wait after a number of failed attempts, at least one, or
// false if there is no further attempt. chance, from 0 to 1, spreads the waits over ±20 %,
// so that messages that failed together are not sent again together.
func RetryAfter(failedAttempts int, chance float64) (time.Duration, bool) {
	if failedAttempts > len(retryWaits) {
		return 0, false
	}
	const spread = 0.2
	wait := float64(retryWaits[failedAttempts-1]) * (1 - spread + 2*spread*chance)
	return time.Duration(math.Round(wait)), true
}
