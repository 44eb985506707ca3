package identity

import (
	"slices"
	"strings"
	"time"
)

// WebhookEvents lists the events that webhooks can subscribe to.
var WebhookEvents = []EventType{UserCreated, UserUpdated, UserDeleted, UserSynced}

// WebhookPing is the type of a message that tests a webhook. It is not the type of an event.
const WebhookPing EventType = "PING"

// ParseWebhookEvent reads one of WebhookEvents; the error is a *ValueError.
func ParseWebhookEvent(s string) (EventType, error) {
	if !slices.Contains(WebhookEvents, EventType(s)) {
		return "", invalid("unknown_event", "must be USER_CREATED, USER_UPDATED, USER_DELETED or USER_SYNCED")
	}
	return EventType(s), nil
}

// WebhookFormat is the dialect that a webhook's body is written in.
type WebhookFormat string

// The formats of a webhook.
const (
	WebhookFormatPowens WebhookFormat = "powens"
	WebhookFormatV2     WebhookFormat = "v2"
)

// UnmarshalText reads a format; the error is a *ValueError.
func (f *WebhookFormat) UnmarshalText(text []byte) error {
	format := WebhookFormat(text)
	if format != WebhookFormatPowens && format != WebhookFormatV2 {
		return invalid("invalid_value", "must be powens or v2")
	}
	*f = format
	return nil
}

// RevealsMaskedData reports whether bodies of this format have data that is masked for a
// caller without CanViewMaskedData.
func (f WebhookFormat) RevealsMaskedData() bool { return f != WebhookFormatPowens }

// WebhookToken is the fixed token of a webhook: visible ASCII characters.
type WebhookToken string

// MaxWebhookTokenBytes bounds the token of a webhook.
const MaxWebhookTokenBytes = 1024

// UnmarshalText checks a token; the error is a *ValueError.
func (t *WebhookToken) UnmarshalText(text []byte) error {
	isInvalid := func(r rune) bool { return r <= ' ' || r > '~' }
	if len(text) == 0 || len(text) > MaxWebhookTokenBytes || strings.ContainsFunc(string(text), isInvalid) {
		return invalid("invalid_token", "must have 1 to %d visible ASCII characters", MaxWebhookTokenBytes)
	}
	*t = WebhookToken(text)
	return nil
}

// Webhook is a URL that events are posted to, with its settings. It does not have the
// secrets, which leave the store only to sign.
type Webhook struct {
	ID        int64
	URL       WebhookURL
	Events    []EventType // in the order of WebhookEvents, without duplicates
	Format    WebhookFormat
	Auth      WebhookAuth
	Active    bool // while it is false, messages wait and no new ones are added
	HasToken  bool
	CreatedAt time.Time
	UpdatedAt time.Time // zero until the first change
	CreatedBy Creator
	Version   int64
}

// WebhookChange is a partial update: nil leaves a field as it is. The empty
// token takes the token away.
type WebhookChange struct {
	URL    *WebhookURL
	Events *[]EventType
	Format *WebhookFormat
	Auth   *WebhookAuth
	Active *bool
	Token  *WebhookToken
}

// Moves reports whether the change gives w another origin, which must not get the secrets
// that are shared with this one.
func (c WebhookChange) Moves(w Webhook) bool { return c.URL != nil && c.URL.Origin() != w.URL.Origin() }

// Apply returns w after the change. A change to another origin deletes the token.
func (c WebhookChange) Apply(w Webhook) Webhook {
	if c.Moves(w) {
		w.HasToken = false
	}
	set(&w.URL, c.URL)
	set(&w.Events, c.Events)
	set(&w.Format, c.Format)
	set(&w.Auth, c.Auth)
	set(&w.Active, c.Active)
	if c.Token != nil {
		w.HasToken = *c.Token != ""
	}
	w.Events = slices.DeleteFunc(slices.Clone(WebhookEvents), func(e EventType) bool { return !w.Subscribes(e) })
	return w
}

// Check returns an Invalid error for fields that do not fit together.
func (w Webhook) Check() error {
	var problems []FieldError
	if len(w.Events) == 0 {
		problems = append(problems, FieldError{
			Field: FieldEvents, Code: "required", Message: "must have at least one event",
		})
	}
	if w.Auth == WebhookAuthBearer && !w.HasToken {
		problems = append(problems, FieldError{
			Field: FieldToken, Code: "required", Message: "is required where auth is bearer",
		})
	}
	return InvalidFields(problems)
}

// Diff returns the fields that differ between two states of a webhook. It leaves out the
// query of a URL, which can be a secret.
func (w Webhook) Diff(after Webhook) Changes {
	changes := Changes{}
	changed(changes, FieldFormat, w.Format, after.Format)
	changed(changes, FieldAuth, w.Auth, after.Auth)
	changed(changes, FieldActive, w.Active, after.Active)
	if w.URL != after.URL {
		changes[FieldURL] = Change{w.URL.withoutQuery(), after.URL.withoutQuery()}
	}
	if !slices.Equal(w.Events, after.Events) {
		changes[FieldEvents] = Change{w.Events, after.Events}
	}
	return changes
}

func (w WebhookURL) withoutQuery() string {
	path, _, hasQuery := strings.Cut(string(w), "?")
	if hasQuery {
		path += "?" + mask
	}
	return path
}

// Reads returns the rights that it takes to see what the receiver of the webhook sees:
// permissions, and whether CanViewMaskedData.
func (w Webhook) Reads() (p Permissions, canViewMaskedData bool) {
	p = PermissionSet(UsersView)
	if w.Subscribes(UserSynced) { // the accounts of the user
		p |= PermissionSet(RecordsManage)
	}
	return p, w.Format.RevealsMaskedData()
}

// Subscribes reports whether the webhook has subscribed to events of a type.
func (w Webhook) Subscribes(event EventType) bool { return slices.Contains(w.Events, event) }
