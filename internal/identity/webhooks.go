package identity

import (
	"slices"
	"strings"
	"time"
)

// WebhookEvents lists the events that webhooks can be subscribed to.
var WebhookEvents = []EventType{UserCreated, UserUpdated, UserDeleted, UserSynced}

// WebhookPing is the type of a message that tries a webhook out. It is no event:
// nothing has happened.
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

// RevealsMaskedData reports whether bodies of this format have what is masked
// for a caller without CanViewMaskedData.
func (f WebhookFormat) RevealsMaskedData() bool { return f != WebhookFormatPowens }

// WebhookToken is the fixed token of a webhook: visible ASCII characters.
type WebhookToken string

// MaxWebhookTokenBytes bounds the token of a webhook.
const MaxWebhookTokenBytes = 1024

// UnmarshalText checks a token; the error is a *ValueError.
func (t *WebhookToken) UnmarshalText(text []byte) error {
	if len(text) == 0 || len(text) > MaxWebhookTokenBytes || strings.ContainsFunc(string(text), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return invalid("invalid_token", "must have 1 to %d visible ASCII characters", MaxWebhookTokenBytes)
	}
	*t = WebhookToken(text)
	return nil
}

// Webhook is where events are posted to, and how. Its secrets are not part of
// it: they leave the store but to sign.
type Webhook struct {
	ID        int64
	URL       WebhookURL
	Events    []EventType // in the order of WebhookEvents, without duplicates
	Format    WebhookFormat
	Auth      WebhookAuth
	Active    bool // messages wait while it is not, and no new ones come
	HasToken  bool
	CreatedAt time.Time
	UpdatedAt time.Time // zero until the first change
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

// Moves reports whether the change takes w to another origin, which has no claim
// to the secrets that are shared with this one.
func (c WebhookChange) Moves(w Webhook) bool { return c.URL != nil && c.URL.Origin() != w.URL.Origin() }

// Apply returns w as it is after the change. The token does not move with it.
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
	w.Events = slices.DeleteFunc(slices.Clone(WebhookEvents), func(e EventType) bool { return !slices.Contains(w.Events, e) })
	return w
}

// Check returns what is wrong with the fields together, as an Invalid error.
func (w Webhook) Check() error {
	var problems []FieldError
	if len(w.Events) == 0 {
		problems = append(problems, FieldError{Field: FieldEvents, Code: "required", Message: "must have at least one event"})
	}
	if w.Auth == WebhookAuthBearer && !w.HasToken {
		problems = append(problems, FieldError{Field: FieldToken, Code: "required", Message: "is required where auth is bearer"})
	}
	return InvalidFields(problems)
}

// Diff returns what differs between two states of a webhook, by wire name. What
// a URL has in its query can be a secret, and is not told.
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

// Reads returns what the receiver of the webhook comes to see, as the rights that
// it takes to see it: permissions, and whether CanViewMaskedData.
func (w Webhook) Reads() (p Permissions, canViewMaskedData bool) {
	p = PermissionSet(UsersView)
	if w.Subscribes(UserSynced) { // the accounts of the user
		p |= PermissionSet(RecordsManage)
	}
	return p, w.Format.RevealsMaskedData()
}

// Subscribes reports whether the webhook wants events of a type.
func (w Webhook) Subscribes(event EventType) bool { return slices.Contains(w.Events, event) }
