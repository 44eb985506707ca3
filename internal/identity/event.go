package identity

import (
	"strings"
	"time"
)

// EventType says what happened. The names are those of the webhooks.
type EventType string

// The types of events.
const (
	UserCreated  EventType = "USER_CREATED"
	UserUpdated  EventType = "USER_UPDATED"
	UserDeleted  EventType = "USER_DELETED"
	GroupCreated EventType = "GROUP_CREATED"
	GroupUpdated EventType = "GROUP_UPDATED"
	GroupDeleted EventType = "GROUP_DELETED"
	TokenCreated EventType = "TOKEN_CREATED"
	TokenRevoked EventType = "TOKEN_REVOKED"

	RecordCreated EventType = "RECORD_CREATED"
	RecordUpdated EventType = "RECORD_UPDATED"
	RecordDeleted EventType = "RECORD_DELETED"
)

// Subject says what SubjectID is the id of: user, group or token. A record is
// its user's business.
func (t EventType) Subject() string {
	subject, _, _ := strings.Cut(strings.ToLower(string(t)), "_")
	if subject == "record" {
		return "user"
	}
	return subject
}

// Event is one change: who did what to what, from where. SubjectID is the id of
// the user, group or token, as Type.Subject says.
type Event struct {
	ID        int64
	Type      EventType
	Time      time.Time
	Actor     Actor
	SubjectID int64
	Changes   Changes
}

// Changes are the changed fields by wire name. Never a secret, not even a hash.
type Changes map[string]Change

// Change is a field's value before and after; nil for none.
type Change struct{ Old, New any }

// HiddenChange stands for the change of a secret.
var HiddenChange = Change{Old: "***", New: "***"}

// changed records a field that differs; the zero value is recorded as none.
func changed[T comparable](changes Changes, field string, before, after T) {
	if before != after {
		changes[field] = Change{before, after}
	}
}
