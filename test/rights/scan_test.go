package rights

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The patterns match the values of users, secrets and records anywhere in a text.
var (
	valuePattern  = regexp.MustCompile(`[A-Za-z0-9]+@walk\.example|\+1555\d+|2001:db8:[0-9a-f:]+(?:/\d+)?`)
	secretPattern = regexp.MustCompile(`rst_[\w-]{20,}|whsec_[\w+/=-]{20,}|\w*Secret\w*\d`)
	recordPattern = regexp.MustCompile(`record-content-\d+`)
)

// showSecrets lists the calls whose answers have a new secret.
var showSecrets = []string{"signin", "refresh", "tokens.mint", "webhooks.create", "webhooks.rotate"}

// scan returns a complaint if an answer shows the actor a value that the actor must not see.
func (a actor) scan(w *world, c *call, answer *answer) string {
	parts := []part{{text: string(answer.body), ofToken: strings.HasPrefix(c.kind, "tokens")}}
	if c.kind == "events.list" && answer.status == http.StatusOK {
		var complaint string
		if parts, complaint = a.scanEvents(answer.body); complaint != "" {
			return complaint
		}
	}
	for name := range answer.header {
		parts[0].text += "\n" + name + ": " + strings.Join(answer.header[name], ", ")
	}
	for _, p := range parts {
		if complaint := a.scanPart(w, c, answer.status, p); complaint != "" {
			return complaint
		}
	}
	return ""
}

// A part of an answer. A part about a token may have the allow-list of the deleted user who created the token:
// the token has a copy of it, and tokens outlast their creators.
type part struct {
	text    string
	ofToken bool
}

func (a actor) scanPart(w *world, c *call, status int, p part) string {
	if found := secretPattern.FindString(p.text); found != "" && !slices.Contains(showSecrets, c.kind) {
		return "the answer has a secret: " + found
	}
	if found := recordPattern.FindString(p.text); found != "" && !a.may(recordsManage) {
		return "the answer has a record, which takes records.manage: " + found
	}
	for _, value := range valuePattern.FindAllString(p.text, -1) {
		id, ofUser := w.owners[value]
		u := w.user(id)
		isRange, isAddress := strings.Contains(value, "/"), strings.Contains(value, ":")
		switch {
		case !ofUser || a.sees(u) || c.echoes(status, value):
		case !u.gone:
			return fmt.Sprintf("the answer has %s of user %d, which must be masked", value, id)
		case isAddress && !isRange: // the source of a request
		case isRange && p.ofToken:
		default:
			return fmt.Sprintf("the answer has %s of user %d, who is deleted: nothing personal is left", value, id)
		}
	}
	return ""
}

// echoes reports whether the value is one that the caller sent: a refusal may repeat it, a link to the next page, and
// users.find where it has found nobody; its users are compared with the world.
func (c *call) echoes(status int, value string) bool {
	sent, err := json.Marshal(c.body)
	if err != nil {
		return false
	}
	repeats := status >= http.StatusBadRequest || c.kind == "users.find"
	return strings.Contains(c.path, value) || repeats && strings.Contains(string(sent), value)
}

// scanEvents checks the sources of events: "without canViewMaskedData the source of other people's events is ***". It
// returns the events, without the sources of the caller's own, for further scans.
func (a actor) scanEvents(body []byte) (parts []part, complaint string) {
	var page struct{ Data []map[string]any }
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, err.Error()
	}
	parts = []part{{}}
	for _, event := range page.Data {
		by, _ := event["actor"].(map[string]any)
		isMine := func(id any) bool { return a.session != nil && id == float64(a.user) }
		isByMe := by != nil && (isMine(by["userId"]) || a.token != 0 && by["tokenId"] == float64(a.token))
		isService := by != nil && by["userId"] == nil && by["tokenId"] != nil // no person
		switch source := event["source"]; {
		case isMine(event["userId"]) || isByMe:
			delete(event, "source")
		case !a.unmasked && !isService && source != nil && source != "***":
			return nil, fmt.Sprintf("the event has the address of another person: %v", event)
		}
		text, err := json.Marshal(event)
		if err != nil {
			return nil, err.Error()
		}
		parts = append(parts, part{string(text), event["subjectType"] == "token"})
	}
	return parts, ""
}

// TestScanFinds checks that scan finds what must not be seen, and nothing else.
func TestScanFinds(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for id := int64(1); id <= 3; id++ {
		w.users[id] = &user{id: id, active: true, gone: id == 3}
		w.owners[fmt.Sprintf("u%dx1@walk.example", id)] = id
		w.owners[fmt.Sprintf("2001:db8:%d:500::/56", id)] = id
		w.owners[fmt.Sprintf("2001:db8:%d:501::1234", id)] = id
	}
	masked := caller{token: &token{id: 7, perms: named &^ recordsManage, user: 1}}
	unmasked := caller{token: &token{perms: star, unmasked: true}}
	mary := caller{session: &session{user: 1}}
	for _, test := range []struct {
		as    caller
		kind  string
		body  string
		finds bool
	}{
		{mary, "users.get", `{"email":"u1x1@walk.example","ipWhitelist":["2001:db8:1:500::/56"]}`, false},
		{mary, "users.get", `{"email":"u***@walk.example","ipWhitelist":["***"]}`, false},
		{mary, "users.get", `{"email":"u2x1@walk.example"}`, true},
		{mary, "users.get", `{"ipWhitelist":["2001:db8:2:500::/56"]}`, true},
		{mary, "sessions.list", `{"address":"2001:db8:2:501::1234"}`, true},
		{masked, "users.get", `{"email":"u1x1@walk.example"}`, true}, // the token only acts for the user
		{unmasked, "users.get", `{"email":"u2x1@walk.example"}`, false},
		{unmasked, "users.get", `{"email":"u3x1@walk.example"}`, true}, // a deleted user
		{unmasked, "events.list", `{"data":[{"source":"2001:db8:3:501::1234"}]}`, false},
		{unmasked, "events.list", `{"data":[{"subjectType":"user","changes":["2001:db8:3:500::/56"]}]}`, true},
		{unmasked, "events.list", `{"data":[{"subjectType":"token","changes":["2001:db8:3:500::/56"]}]}`, false},
		{masked, "tokens.list", `{"ipWhitelist":["2001:db8:2:500::/56"]}`, true}, // a copy of its creator's
		{masked, "records.get", `{"content":"record-content-7"}`, true},
		{unmasked, "records.get", `{"content":"record-content-7"}`, false},
		{unmasked, "tokens.list", `{"token":"rst_0M2fXn1hyZt3J7g9aYwqj8cQ5kLrVb4uTdEiPsHoAxm1N2pz"}`, true},
		{unmasked, "tokens.mint", `{"token":"rst_0M2fXn1hyZt3J7g9aYwqj8cQ5kLrVb4uTdEiPsHoAxm1N2pz"}`, false},
		{mary, "events.list", `{"data":[{"source":"192.0.2.1","userId":2,"actor":null}]}`, true},
		{mary, "events.list", `{"data":[{"source":"***","userId":2,"actor":null}]}`, false},
		{mary, "events.list", `{"data":[{"source":"2001:db8:2:501::1234","userId":1,"actor":{"userId":2}}]}`, false},
		{mary, "events.list", `{"data":[{"source":"2001:db8:1:501::1234","userId":2,"actor":{"userId":1}}]}`, false},
		{masked, "events.list", `{"data":[{"source":"2001:db8:1:501::1234","userId":1,"actor":{"userId":1}}]}`, true},
		{
			masked, "events.list",
			`{"data":[{"source":"2001:db8:1:501::1","userId":1,"actor":{"userId":1,"tokenId":7}}]}`, false,
		},
	} {
		answer := &answer{status: http.StatusOK, body: []byte(test.body)}
		a, _ := model{}.actor(w, test.as)
		if found := a.scan(w, &call{kind: test.kind, as: test.as}, answer); (found != "") != test.finds {
			t.Errorf("%s %s: found %s", test.kind, test.body, strconv.Quote(found))
		}
	}
}
