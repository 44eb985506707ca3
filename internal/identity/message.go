package identity

import (
	"math"
	"strings"
	"time"
)

// LaneMail is the lane of all mails.
const LaneMail = "mail"

// MessageState is where a message on its way out has got to.
type MessageState string

// The states of a message.
const (
	MessagePending MessageState = "pending"
	MessageDone    MessageState = "done"
	MessageDead    MessageState = "dead" // given up; can be queued again by hand
)

// Message is one message in the outbox. Messages of one lane share a receiver,
// so that a slow one delays nobody else.
type Message struct {
	ID        int64
	Lane      string
	Topic     string // the type of the event, or the kind of mail
	UserID    int64  // whom it is about; 0 for nobody
	Address   string // whom it is about where only an e-mail address is known: its Key; else ""
	Payload   string // JSON; "" once it has been erased
	State     MessageState
	Attempts  int
	CreatedAt time.Time
	DueAt     time.Time
	ExpiresAt time.Time // when it is of no use any more; zero for never
	// What came of the attempts.
	AttemptedAt time.Time // when the last one began; zero for none
	Status      int       // of HTTP, that it was answered with; 0 for none
	LastError   string
	SettledAt   time.Time // zero while it is pending
}

// LaneKind returns the kind of a lane: mail or webhook.
func LaneKind(lane string) string {
	kind, _, _ := strings.Cut(lane, "/")
	return kind
}

// MessageFilter selects messages; all set fields must hold.
type MessageFilter struct {
	Lane   string
	States []MessageState // any of these; nil for all
}

// Queueable returns why a message cannot be put into the queue again, or nil.
func (m Message) Queueable(now time.Time) error {
	switch {
	case m.State == MessagePending:
		return Errorf(Conflict, "message_pending", "The message is on its way: the next attempt is at %s.", m.DueAt.UTC().Format(time.RFC3339))
	case m.Payload == "":
		return Errorf(Conflict, "message_erased", "What the message said has been erased.")
	case !m.ExpiresAt.IsZero() && !now.Before(m.ExpiresAt):
		return Errorf(Conflict, "message_expired", "The message is of no use any more.")
	}
	return nil
}

// MessagePeriod is how long a message is kept after it was settled, to be looked
// at and sent again.
const MessagePeriod = 30 * 24 * time.Hour

// Backlog is how many messages of a kind of lane are in a state.
type Backlog struct {
	Kind   string
	State  MessageState // MessagePending or MessageDead
	Count  int64
	Oldest time.Time // when the oldest of them was created
}

// retryWaits are the waits after each failed attempt. With their jitter they
// span three days.
var retryWaits = [...]time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 12 * time.Hour, 12 * time.Hour, 12 * time.Hour, 20 * time.Hour,
}

// RetryAfter returns how long to wait after so many failed attempts, at least
// one, or false when it is time to give up. chance, from 0 to 1, spreads the
// waits over ±20 %, lest all that failed together come back together.
func RetryAfter(failedAttempts int, chance float64) (time.Duration, bool) {
	if failedAttempts > len(retryWaits) {
		return 0, false
	}
	const spread = 0.2
	wait := float64(retryWaits[failedAttempts-1]) * (1 - spread + 2*spread*chance)
	return time.Duration(math.Round(wait)), true
}
