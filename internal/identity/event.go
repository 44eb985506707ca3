package identity

import (
	"strings"
	"time"
)

// EventType is the type of an event. The names are those of the webhooks.
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

	UserSignedIn        EventType = "USER_SIGNED_IN"
	UserSigninFailed    EventType = "USER_SIGNIN_FAILED"
	UserSignedOut       EventType = "USER_SIGNED_OUT"
	UserSessionRevoked  EventType = "USER_SESSION_REVOKED" // by a caller, or because a refresh token was used twice
	UserReauthenticated EventType = "USER_REAUTHENTICATED"
	UserTOTPEnabled     EventType = "USER_TOTP_ENABLED"
	UserTOTPReset       EventType = "USER_TOTP_RESET"
	UserAccessDenied    EventType = "USER_ACCESS_REFUSED" // a good credential that may not do this, or not from here
	UserSynced          EventType = "USER_SYNCED"         // another service has synchronised the user's accounts

	UserSigninChallenged       EventType = "USER_SIGNIN_CHALLENGED"        // after a right password; with the provider
	UserFactorUsed             EventType = "USER_FACTOR_USED"              // totp, email or recovery_code
	UserPasswordResetRequested EventType = "USER_PASSWORD_RESET_REQUESTED" // of no user if no user has the address
	UserInvited                EventType = "USER_INVITED"                  // a link for the first password was mailed

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
	UserSignedIn, UserSigninFailed, UserSignedOut, UserSessionRevoked, UserReauthenticated, UserTOTPEnabled,
	UserTOTPReset, UserAccessDenied,
	UserSigninChallenged, UserFactorUsed, UserPasswordResetRequested, UserInvited,
	RecordCreated, RecordUpdated, RecordDeleted,
	UserSynced, WebhookCreated, WebhookUpdated, WebhookDeleted, WebhookSecretRotated, WebhookTested, WebhookRedelivered,
	MessageRetried,
}

// SubjectType returns the type of the subject of an event: user, group, token, webhook or
// message. The subject of an event of a record is its user.
func (t EventType) SubjectType() string {
	subject, _, _ := strings.Cut(strings.ToLower(string(t)), "_")
	if subject == "record" {
		return "user"
	}
	return subject
}

// Event records who did what, to which subject, from where. SubjectID is the id of the
// user, group, token, webhook or message, depending on Type; 0 if it is unknown.
type Event struct {
	ID        int64
	Type      EventType
	Time      time.Time // of the first time, where Count is more than 1
	Actor     Actor
	SubjectID int64
	Changes   Changes
	Reason    string // why something was denied or failed, in one word such as wrong_password
	Count     int64  // how often it happened: equal denials within a minute are one event
	// SourceMasked says that there is a source that the caller may not see.
	SourceMasked bool

	// For webhooks only, and not stored with the event.
	User        *User  // after the event, or before a deletion; nil for the stored user
	Connections []byte // the synchronised connections, a JSON array; only for UserSynced
}

// SourceText returns the source as text, or its mask; "" for none.
func (e Event) SourceText() string {
	switch {
	case e.SourceMasked:
		return mask
	case e.Actor.Source.IsValid():
		return e.Actor.Source.String()
	}
	return ""
}

// TokenUserID returns the user that the token of an event acts for, whose data the event
// reveals; 0 for none.
func (e Event) TokenUserID() int64 {
	if e.Type.SubjectType() != "token" {
		return 0
	}
	id := func(value any) int64 {
		switch v := value.(type) {
		case int64:
			return v
		case float64: // read from JSON
			return int64(v)
		}
		return 0
	}
	change := e.Changes[FieldUserID]
	return max(id(change.Old), id(change.New))
}

// EventFilter selects events; all set fields must hold.
type EventFilter struct {
	UserID       int64 // what was done to this user
	ActorUserID  int64 // what this user has done
	ActorTokenID int64 // what was done with this service token
	Type         EventType
	Reason       string    // in one word, as in Event
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

// Sort returns the order in which the events are listed, always the latest first: by time if
// the filter has a reason but no user and no token, or only times, because then one index has
// all matches in that order; otherwise by id.
func (f EventFilter) Sort() UserSort {
	selection := f
	selection.Since, selection.Until = time.Time{}, time.Time{}
	switch {
	case f.leadsByReason(), f != selection && selection == (EventFilter{}):
		return SortByCreation
	}
	return SortByID
}

// leadsByReason reports whether matches are found by their reason.
func (f EventFilter) leadsByReason() bool {
	return f.Reason != "" && f.UserID == 0 && f.ActorUserID == 0 && f.ActorTokenID == 0
}

// CursorAfter returns the cursor of the page that starts after an event.
func (f EventFilter) CursorAfter(e Event) *Cursor {
	cursor := Cursor{Sort: f.Sort(), Descending: true, ID: e.ID}
	if cursor.Sort == SortByCreation {
		cursor.Key = TimeKey(e.Time)
	}
	return &cursor
}

// EventPage is one page of events.
type EventPage struct {
	Events []Event
	Total  int64 // all matches; not counted (0) for a page after a cursor
	// TotalIsLowerBound says that there are more matches than Total, too many to count.
	TotalIsLowerBound bool
	Next              *Cursor // nil on the last page
}

// Changes are the changed fields by name (see fields.go). They never have a secret, not even
// a hash.
type Changes map[string]Change

// Change is a field's value before and after; nil for none.
type Change struct{ Old, New any }

// HiddenChange replaces the change of a secret.
var HiddenChange = Change{Old: mask, New: mask}

// changed adds a field to the changes if its values differ.
func changed[T comparable](changes Changes, field string, before, after T) {
	if before != after {
		changes[field] = Change{before, after}
	}
}
