package console

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// eventRow is one event in a list: {{template "events" rows}}.
type eventRow struct {
	ID       int64
	Type     identity.EventType
	Time     moment
	Sentence []phrase
	Changes  []change
	Reason   string // in words; "" for none
	Source   string // the address, or its mask; "" for none
	Hidden   bool   // Source is a mask
	Request  string // the id of the request; "" for none
	Count    int64  // how often it happened
}

// phrase is a piece of a sentence. It is a link where Href is set, and a name, in any script
// and direction, where Name is true.
type phrase struct {
	Text, Href string
	Name       bool
}

// eventNames has the names of what events are about, by id. A map without an id says that the
// thing is gone. A nil map says that the caller may not see such things.
type eventNames struct{ Users, Groups, Tokens, Webhooks map[int64]string }

// eventRowsFrom returns events as a list shows them at now.
func eventRowsFrom(events []identity.Event, names eventNames, now time.Time) []eventRow {
	rows := make([]eventRow, len(events))
	for i, e := range events {
		rows[i] = eventRow{
			ID: e.ID, Type: e.Type, Time: momentOf(e.Time, now), Sentence: sentenceOf(e, names),
			Changes: changesOfEvent(e, names), Reason: reasonText(e.Reason), Source: e.SourceText(), Hidden: e.SourceMasked,
			Request: e.Actor.RequestID, Count: max(e.Count, 1),
		}
	}
	return rows
}

// changesOfEvent returns what an event has changed, without fields that were empty all the
// time. Values that are equal are masks: the page says that they are hidden.
func changesOfEvent(e identity.Event, names eventNames) []change {
	list := changesFrom(e.Changes, names.Groups)
	return slices.DeleteFunc(list, func(c change) bool { return c.Old == noValue && c.New == noValue })
}

// sentences says what happened, by type. {actor} and {subject} are links; {fields} are the
// changed fields.
var sentences = map[identity.EventType]string{
	identity.UserCreated:  "{actor} created the user {subject}",
	identity.UserInvited:  "{actor} invited {subject} to choose a password",
	identity.UserUpdated:  "{actor} changed {fields} of {subject}",
	identity.UserDeleted:  "{actor} deleted the user {subject}",
	identity.GroupCreated: "{actor} created the group {subject}",
	identity.GroupUpdated: "{actor} changed {fields} of the group {subject}",
	identity.GroupDeleted: "{actor} deleted the group {subject}",
	identity.TokenCreated: "{actor} created the token {subject}",
	identity.TokenRevoked: "{actor} revoked the token {subject}",

	identity.UserSignedIn:        "{subject} signed in",
	identity.UserSigninFailed:    "A try to sign in as {subject} failed",
	identity.UserSignedOut:       "{subject} signed out",
	identity.UserSessionRevoked:  "{actor} ended {sessions} of {subject}",
	identity.UserReauthenticated: "{subject} proved again who they are",
	identity.UserTOTPEnabled:     "{subject} set up an authenticator",
	identity.UserTOTPReset:       "{actor} reset the second factor of {subject}",
	identity.UserAccessDenied:    "{actor} was refused",
	identity.UserSynced:          "{actor} synchronised the accounts of {subject}",

	identity.UserSigninChallenged:       "{subject} was asked for a second factor",
	identity.UserFactorUsed:             "{subject} used a second factor",
	identity.UserPasswordResetRequested: "A new password was requested for {subject}",

	identity.RecordCreated: "{actor} added a record of {subject}",
	identity.RecordUpdated: "{actor} changed a record of {subject}",
	identity.RecordDeleted: "{actor} deleted a record of {subject}",

	identity.WebhookCreated:       "{actor} created the webhook {subject}",
	identity.WebhookUpdated:       "{actor} changed {fields} of the webhook {subject}",
	identity.WebhookDeleted:       "{actor} deleted the webhook {subject}",
	identity.WebhookSecretRotated: "{actor} gave the webhook {subject} a new secret",
	identity.WebhookTested:        "{actor} tested the webhook {subject}",
	identity.WebhookRedelivered:   "{actor} sent deliveries of the webhook {subject} again",
	identity.MessageRetried:       "{actor} sent {subject} again",
}

// sentenceOf says in one sentence what happened.
func sentenceOf(e identity.Event, names eventNames) []phrase {
	text, ok := sentences[e.Type]
	if !ok { // of a later version
		text = "{actor}: " + string(e.Type) + " {subject}"
	}
	var list []phrase
	for text != "" {
		before, rest, found := strings.Cut(text, "{")
		if before != "" {
			list = append(list, phrase{Text: before})
		}
		if !found {
			break
		}
		var name string
		name, text, _ = strings.Cut(rest, "}")
		switch name {
		case "actor":
			list = append(list, actorPhrases(e.Actor, names)...)
		case "subject":
			p := subjectPhrase(e, names)
			if strings.HasSuffix(before, " the user ") && !p.Name {
				p.Text = strings.TrimPrefix(p.Text, "user ")
			}
			list = append(list, p)
		case "fields":
			list = append(list, phrase{Text: fieldsText(e.Changes)})
		case "sessions":
			list = append(list, phrase{Text: sessionsText(e)})
		}
	}
	if first := &list[0]; !first.Name {
		first.Text = strings.ToUpper(first.Text[:1]) + first.Text[1:]
	}
	return list
}

func sentenceText(phrases []phrase) string {
	var b strings.Builder
	for _, p := range phrases {
		b.WriteString(p.Text)
	}
	return b.String()
}

// actorPhrases says who acted: a user, a token, the command line or Roster itself.
func actorPhrases(a identity.Actor, names eventNames) []phrase {
	switch {
	case a.TokenID != 0:
		list := []phrase{{Text: "the token "}, thing(names.Tokens, a.TokenID, a.Name, placeOf("tokens", a.TokenID))}
		if a.UserID != 0 {
			list = append(list, phrase{Text: ", for "}, userPhrase(a.UserID, names), phrase{Text: ","})
		}
		return list
	case a.UserID != 0:
		return []phrase{userPhrase(a.UserID, names)}
	case a.Name == identity.CommandLine().Name:
		return []phrase{{Text: "the command line"}}
	case a.Name != "":
		return []phrase{{Text: "Roster (" + a.Name + ")"}}
	}
	return []phrase{{Text: "somebody"}}
}

func subjectPhrase(e identity.Event, names eventNames) phrase {
	id := e.SubjectID
	switch kind := e.Type.SubjectType(); {
	case kind == "message" && id == 0:
		return phrase{Text: "messages that were given up"}
	case id == 0:
		return phrase{Text: "somebody unknown"}
	case kind == "user" && id == e.Actor.UserID && e.Actor.TokenID == 0 && strings.HasPrefix(sentences[e.Type], "{actor}"):
		return phrase{Text: "their own account", Href: userPath(id)}
	case kind == "user":
		return userPhrase(id, names)
	case kind == "group":
		return thing(names.Groups, id, nameIn(e.Changes), placeOf("groups", id))
	case kind == "token":
		return thing(names.Tokens, id, nameIn(e.Changes), placeOf("tokens", id))
	case kind == "webhook":
		return thing(names.Webhooks, id, "", placeOf("webhooks", id))
	default:
		return phrase{Text: fmt.Sprintf("%s %d", kind, id)}
	}
}

func userPhrase(id int64, names eventNames) phrase {
	p := thing(names.Users, id, "", userPath(id))
	if !p.Name {
		p.Text = "user " + p.Text
	}
	return p
}

// thing names a user, a group, a token or a webhook: by its present name, else by the name that
// the event knows, else by its number. It leads to the page of the thing unless
// that is gone.
func thing(known map[int64]string, id int64, fallback, href string) phrase {
	name, exists := known[id]
	if known != nil && !exists {
		href = ""
	}
	if name == "" {
		name = fallback
	}
	if name == "" {
		return phrase{Text: strconv.FormatInt(id, 10), Href: href}
	}
	return phrase{Text: name, Href: href, Name: true}
}

// placeOf returns the page of one thing of a list, such as groups.
func placeOf(list string, id int64) string { return fmt.Sprintf("%s/%s/%d", Prefix, list, id) }

// nameIn returns the name of a thing that is created or deleted; "" if there is none.
func nameIn(changes identity.Changes) string {
	c := changes[identity.FieldName]
	for _, value := range []any{c.New, c.Old} {
		if name, ok := value.(string); ok && name != "" {
			return name
		}
	}
	return ""
}

// fieldsText names up to three changed fields, and counts more of them.
func fieldsText(changes identity.Changes) string {
	const most = 3
	list := changesFrom(changes, nil)
	if len(list) == 0 {
		return "nothing"
	}
	if len(list) > most {
		return count(int64(len(list)), "field")
	}
	texts := make([]string, len(list))
	for i, c := range list {
		texts[i] = fieldNoun(c)
	}
	if last := len(texts) - 1; last > 0 {
		return strings.Join(texts[:last], ", ") + " and " + texts[last]
	}
	return texts[0]
}

// fieldNoun returns a field as a sentence names it.
func fieldNoun(c change) string {
	switch c.Field {
	case identity.FieldCanViewMaskedData:
		return "the right to see unmasked data"
	case identity.FieldRequireTFA:
		return "the need of a second factor"
	case identity.FieldActive:
		return "the state"
	case identity.FieldUserID:
		return "the user"
	case identity.FieldExpiresAt:
		return "the end"
	case identity.FieldURL:
		return "the URL"
	}
	return "the " + strings.ToLower(c.Label)
}

func sessionsText(e identity.Event) string {
	if _, one := e.Changes[identity.FieldSession]; one || e.Reason != "" {
		return "a session"
	}
	return "the sessions"
}

// reasonText returns a reason in words: known ones as a sentence tells them, others without
// the lines between their words.
func reasonText(reason string) string {
	switch reason {
	case "totp":
		return "code of an authenticator"
	case "email":
		return "code by mail"
	case "ip_not_allowed":
		return "address not allowed"
	case "permission_denied":
		return "missing permission"
	case "escalation_denied":
		return "would give more rights than the caller has"
	case "refresh_token_reused":
		return "a refresh token was used twice"
	case "reauthentication_required":
		return "no fresh proof of who it is"
	case "receiver_gone":
		return "the receiver answered that it is gone"
	}
	return strings.ReplaceAll(reason, "_", " ")
}

// eventNames looks up what events are about. A list must not fail for a name: without one it
// shows the number.
func (h *handlers) eventNames(ctx context.Context, actor identity.Actor, events []identity.Event) eventNames {
	users, tokens, webhooks, groups := map[int64]bool{}, map[int64]bool{}, map[int64]bool{}, false
	for _, e := range events {
		users[e.Actor.UserID], tokens[e.Actor.TokenID] = true, true
		switch e.Type.SubjectType() {
		case "user":
			users[e.SubjectID] = true
		case "token":
			tokens[e.SubjectID] = true
		case "webhook":
			webhooks[e.SubjectID] = true
		case "group":
			groups = true
		}
		_, changesGroups := e.Changes[identity.FieldGroups]
		groups = groups || changesGroups
	}
	names := eventNames{
		Users: h.userNames(ctx, actor, users),
		Tokens: namesOf(tokens, func(id int64) (string, error) {
			token, err := h.service.Token(ctx, actor, id)
			return string(token.Name), err
		}),
		Webhooks: namesOf(webhooks, func(id int64) (string, error) {
			webhook, err := h.service.Webhook(ctx, actor, id)
			return webhookHost(webhook.URL), err
		}),
	}
	if groups {
		names.Groups = h.groupNames(ctx, actor)
	}
	return names
}

// userNames looks up the names of users by their ids, as namesOf does. The id 0 is none. A page
// must not fail for a name: without one it shows the number.
func (h *handlers) userNames(ctx context.Context, actor identity.Actor, ids map[int64]bool) map[int64]string {
	names := make(map[int64]string, len(ids))
	texts := make([]string, 0, len(ids))
	for id := range ids {
		if id != 0 {
			texts = append(texts, strconv.FormatInt(id, 10))
		}
	}
	for part := range slices.Chunk(texts, identity.MaxUserTexts) {
		found, err := h.service.FindUsers(ctx, actor, part)
		if err != nil {
			return nil
		}
		for _, user := range found.Users {
			names[user.ID] = string(user.Name)
		}
	}
	return names
}

// namesOf looks up things by their ids. It returns nil if the caller may not see one of them,
// or if they cannot be read.
func namesOf(ids map[int64]bool, lookUp func(id int64) (string, error)) map[int64]string {
	names := make(map[int64]string, len(ids))
	for id := range ids {
		if id == 0 {
			continue
		}
		name, err := lookUp(id)
		switch {
		case err == nil:
			names[id] = name
		case identity.KindOf(err) != identity.NotFound:
			return nil
		}
	}
	return names
}

// webhookHost returns the host of a webhook's URL: the rest of it can be a secret.
func webhookHost(text identity.WebhookURL) string {
	parsed, err := url.Parse(string(text))
	if err != nil {
		return ""
	}
	return parsed.Host
}
