package identity

import (
	"math"
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
	UserID    int64  // whom it is about; 0 for nobody
	Payload   string // JSON
	State     MessageState
	Attempts  int
	CreatedAt time.Time
	DueAt     time.Time
	ExpiresAt time.Time // when it is of no use any more; zero for never
	SettledAt time.Time // zero while it is pending
	LastError string
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
