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

	UserSignedIn       EventType = "USER_SIGNED_IN"
	UserSigninFailed   EventType = "USER_SIGNIN_FAILED"
	UserSignedOut      EventType = "USER_SIGNED_OUT"
	UserSessionRevoked EventType = "USER_SESSION_REVOKED" // a refresh token was presented twice
	UserTOTPEnabled    EventType = "USER_TOTP_ENABLED"
	UserTOTPReset      EventType = "USER_TOTP_RESET"
	UserAccessRefused  EventType = "USER_ACCESS_REFUSED" // a good credential that may not do this, or not from here
	UserSynced         EventType = "USER_SYNCED"         // another service has synchronised the user's accounts

	RecordCreated EventType = "RECORD_CREATED"
	RecordUpdated EventType = "RECORD_UPDATED"
	RecordDeleted EventType = "RECORD_DELETED"

	WebhookCreated       EventType = "WEBHOOK_CREATED"
	WebhookUpdated       EventType = "WEBHOOK_UPDATED"
	WebhookDeleted       EventType = "WEBHOOK_DELETED"
	WebhookSecretRotated EventType = "WEBHOOK_SECRET_ROTATED" //nolint:gosec // the name of an event, no secret
	WebhookTested        EventType = "WEBHOOK_TESTED"
	WebhookRedelivered   EventType = "WEBHOOK_REDELIVERED"
	MessageRetried       EventType = "MESSAGE_RETRIED" // a mail or a delivery, by way of the outbox
)

// EventTypes lists the types.
var EventTypes = []EventType{
	UserCreated, UserUpdated, UserDeleted, GroupCreated, GroupUpdated, GroupDeleted, TokenCreated, TokenRevoked,
	UserSignedIn, UserSigninFailed, UserSignedOut, UserSessionRevoked, UserTOTPEnabled, UserTOTPReset, UserAccessRefused,
	RecordCreated, RecordUpdated, RecordDeleted,
	UserSynced, WebhookCreated, WebhookUpdated, WebhookDeleted, WebhookSecretRotated, WebhookTested, WebhookRedelivered,
	MessageRetried,
}

// SubjectType returns what events of this type happen to: user, group, token,
// webhook or message. What happens to a record happens to its user.
func (t EventType) SubjectType() string {
	subject, _, _ := strings.Cut(strings.ToLower(string(t)), "_")
	if subject == "record" {
		return "user"
	}
	return subject
}

// Event is what happened: who did what to what, from where. SubjectID is the id
// of the user, group, token, webhook or message, as Type says; 0 where nobody knows.
type Event struct {
	ID        int64
	Type      EventType
	Time      time.Time
	Actor     Actor
	SubjectID int64
	Changes   Changes
	Reason    string // why something was refused or failed, in one word such as wrong_password
}

// EventFilter selects events; all set fields must hold.
type EventFilter struct {
	UserID       int64 // what was done to this user
	ActorUserID  int64 // what this user has done
	ActorTokenID int64 // what was done with this service token
	Type         EventType
	Since        time.Time // not before
	Until        time.Time // before
}

// EventQuery asks for one page of events, the latest first.
type EventQuery struct {
	Filter EventFilter
	Limit  int     // 1 to MaxPageSize
	Offset int64   // ≥ 0; ignored where After is set
	After  *Cursor // the event after which the page starts
}

// EventPage is one page of events.
type EventPage struct {
	Events []Event
	Total  int64   // all matches; not counted (0) for a page after a cursor
	Next   *Cursor // nil on the last page
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
