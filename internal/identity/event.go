package identity

import "time"

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
)

// Event is one change: who did what to what, from where. SubjectID is the id of
// the user, group or token, as Type says.
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
