package console

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

var testNames = eventNames{
	Users: map[int64]string{1: "Jane Doe", 2: "Mary"}, Groups: map[int64]string{3: "Support"},
	Tokens: map[int64]string{4: "importer"}, Webhooks: map[int64]string{5: "hooks.example.com"},
}

// TestSentences checks that each type of event has a sentence that names its subject.
func TestSentences(t *testing.T) {
	t.Parallel()
	for _, eventType := range identity.EventTypes {
		if sentences[eventType] == "" {
			t.Errorf("%s has no sentence", eventType)
		}
		e := identity.Event{Type: eventType, SubjectID: 9, Actor: identity.Actor{UserID: 1, Name: "session"}}
		text := sentenceText(sentenceOf(e, testNames))
		if strings.ContainsAny(text, "{}") || strings.ToUpper(text[:1]) != text[:1] {
			t.Errorf("%s: %s", eventType, text)
		}
		if eventType != identity.UserAccessDenied && !strings.Contains(text, "9") {
			t.Errorf("%s does not name its subject: %s", eventType, text)
		}
	}
	if len(sentences) != len(identity.EventTypes) {
		t.Errorf("%d sentences for %d types", len(sentences), len(identity.EventTypes))
	}
}

func TestSentenceOf(t *testing.T) {
	t.Parallel()
	jane := identity.Actor{UserID: 1, Name: "session"}
	changes := func(fields ...string) identity.Changes {
		c := identity.Changes{}
		for _, field := range fields {
			c[field] = identity.Change{Old: "a", New: "b"}
		}
		return c
	}
	for want, e := range map[string]identity.Event{
		"Jane Doe changed the e-mail of Mary": {
			Type: identity.UserUpdated, Actor: jane, SubjectID: 2, Changes: changes(identity.FieldEmail),
		},
		"Jane Doe changed the name, the e-mail and the state of their own account": {
			Type: identity.UserUpdated, Actor: jane, SubjectID: 1,
			Changes: changes(identity.FieldActive, identity.FieldEmail, identity.FieldName),
		},
		"Jane Doe changed 4 fields of Mary": {
			Type: identity.UserUpdated, Actor: jane, SubjectID: 2,
			Changes: changes(identity.FieldActive, identity.FieldEmail, identity.FieldName, identity.FieldPhone),
		},
		"The command line deleted the user 7": {
			Type: identity.UserDeleted, Actor: identity.CommandLine(), SubjectID: 7,
		},
		"The token importer, for Mary, created the user Jane Doe": {
			Type: identity.UserCreated, Actor: identity.Actor{TokenID: 4, UserID: 2, Name: "old"}, SubjectID: 1,
		},
		"The token command line was refused": {
			Type: identity.UserAccessDenied, Actor: identity.Actor{TokenID: 8, Name: "command line"},
		},
		"A try to sign in as somebody unknown failed": {Type: identity.UserSigninFailed},
		"Somebody ended a session of Mary": {
			Type: identity.UserSessionRevoked, SubjectID: 2, Reason: "refresh_token_reused",
		},
		"Jane Doe created the group Sales": {Type: identity.GroupCreated, Actor: jane, SubjectID: 6, Changes: identity.Changes{identity.FieldName: {New: "Sales"}}},
		"Roster (webhook sender) changed the state of the webhook hooks.example.com": {
			Type: identity.WebhookUpdated, Actor: identity.Actor{Name: "webhook sender"}, SubjectID: 5,
			Changes: changes(identity.FieldActive),
		},
		"Jane Doe sent message 7 again": {Type: identity.MessageRetried, Actor: jane, SubjectID: 7},
	} {
		if got := sentenceText(sentenceOf(e, testNames)); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	if got := sentenceText(sentenceOf(identity.Event{Type: "USER_LATER", Actor: jane, SubjectID: 2}, testNames)); got !=
		"Jane Doe: USER_LATER Mary" {
		t.Error(got)
	}
}

// TestEventLinks checks that what is gone has no link, and what the caller may not see has one.
func TestEventLinks(t *testing.T) {
	t.Parallel()
	e := identity.Event{Type: identity.UserUpdated, Actor: identity.Actor{UserID: 1}, SubjectID: 9}
	last := func(names eventNames) phrase {
		list := sentenceOf(e, names)
		return list[len(list)-1]
	}
	if got := last(testNames); got != (phrase{Text: "user 9"}) {
		t.Errorf("%+v", got)
	}
	if got := last(eventNames{}); got != (phrase{Text: "user 9", Href: "/console/users/9"}) {
		t.Errorf("%+v", got)
	}
	e.SubjectID = 2
	if got := last(testNames); got != (phrase{Text: "Mary", Href: "/console/users/2", Name: true}) {
		t.Errorf("%+v", got)
	}
}

func TestEventRows(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 12, 10, 0, 0, 0, time.UTC)
	rows := eventRowsFrom([]identity.Event{{
		ID: 3, Type: identity.UserUpdated, Time: now.Add(-2 * time.Minute), SubjectID: 2, Reason: "wrong_password",
		Actor: identity.Actor{UserID: 1, Source: netip.MustParseAddr("192.0.2.1"), RequestID: "r1"},
		Changes: identity.Changes{
			identity.FieldGroups:   {Old: []any{}, New: []any{float64(3), float64(8)}},
			identity.FieldPhone:    {Old: "", New: nil},
			identity.FieldPassword: identity.HiddenChange,
		},
	}}, testNames, now)
	rows[0].Sentence = nil
	want := []eventRow{{
		ID: 3, Type: identity.UserUpdated, Time: momentOf(now.Add(-2*time.Minute), now), Source: "192.0.2.1", Request: "r1",
		Reason: "wrong password", Count: 1,
		Changes: []change{
			{identity.FieldGroups, "Groups", "none", "Support, Group 8"}, {identity.FieldPassword, "Password", "***", "***"},
		},
	}}
	if !reflect.DeepEqual(rows, want) {
		t.Errorf("%+v\nwant %+v", rows, want)
	}
}

// TestEventsAreText shows hostile names as text.
func TestEventsAreText(t *testing.T) {
	t.Parallel()
	const hostile = `"><img src=x onerror=alert(1)>`
	names := eventNames{Users: map[int64]string{1: "a" + hostile}, Tokens: map[int64]string{}}
	rows := eventRowsFrom([]identity.Event{
		{
			Type: identity.UserUpdated, Actor: identity.Actor{TokenID: 4, Name: "t" + hostile}, SubjectID: 1, Reason: hostile,
			Changes: identity.Changes{"x" + hostile: {Old: "o" + hostile, New: "n" + hostile}},
		},
	}, names, time.Now())
	set, err := templateNamed("error")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := set.ExecuteTemplate(&b, "events", rows); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "<img") || strings.Count(b.String(), "&lt;img") != 7 {
		t.Errorf("%d\n%s", strings.Count(b.String(), "&lt;img"), b.String())
	}
}
