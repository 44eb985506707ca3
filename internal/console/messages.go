package console

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
)

// messageRow is one message in a list: {{template "messages" rows}}. The receiver of a
// webhook is in its own hands, so all of its text is shown as text.
type messageRow struct {
	ID       int64
	Topic    string
	To       phrase // mail, or a webhook
	About    *phrase
	State    delivery.State
	Word     string // for the state
	Attempts string // "2 tries"; "" for none since it was queued
	Answer   string // "HTTP 500", "no answer", or "" before the first attempt
	Error    string
	Tried    moment
	Next     moment // of a message that waits
	Due      bool   // Next is over
	Settled  moment
	Retry    string // where a form sends the message again; "" where it cannot
}

// stateWords are the states as pages call them.
var stateWords = map[delivery.State]string{
	delivery.Pending: "Waiting", delivery.Dead: "Given up", delivery.Done: "Delivered",
}

// messageRowsFrom returns messages as a list shows them at now. retry is the pattern of the
// address that sends one again, with %d for its id.
func messageRowsFrom(messages []delivery.Message, names eventNames, retry string, now time.Time) []messageRow {
	rows := make([]messageRow, len(messages))
	for i, m := range messages {
		row := messageRow{
			ID: m.ID, Topic: m.Topic, To: phrase{Text: "Mail"}, State: m.State, Word: stateWords[m.State], Error: m.LastError,
			Tried: momentOf(m.AttemptedAt, now), Settled: momentOf(m.CompletedAt, now),
		}
		switch {
		case m.Attempts == 1:
			row.Attempts = "1 try"
		case m.Attempts > 1: // it is 0 once more after it is queued again
			row.Attempts = number(int64(m.Attempts)) + " tries"
		}
		if m.To.WebhookID != 0 {
			row.To = thing(names.Webhooks, m.To.WebhookID, "", placeOf("webhooks", m.To.WebhookID))
		}
		if m.UserID != 0 {
			row.About = new(userPhrase(m.UserID, names))
		}
		switch {
		case m.Status != 0:
			row.Answer = "HTTP " + strconv.Itoa(m.Status)
		case m.LastError != "":
			row.Answer = "no answer"
		}
		if row.Error == row.Answer {
			row.Answer = ""
		}
		if m.State == delivery.Pending {
			row.Next = momentOf(m.DueAt, now)
			row.Due = !m.DueAt.After(now)
		} else {
			row.Retry = fmt.Sprintf(retry, m.ID)
		}
		rows[i] = row
	}
	return rows
}

// messageNames looks up what messages are about, and their webhooks.
func (h *handlers) messageNames(ctx context.Context, actor identity.Actor, messages []delivery.Message) eventNames {
	events := make([]identity.Event, 0, 2*len(messages))
	for _, m := range messages {
		events = append(events, identity.Event{Type: identity.UserUpdated, SubjectID: m.UserID},
			identity.Event{Type: identity.WebhookTested, SubjectID: m.To.WebhookID})
	}
	return h.eventNames(ctx, actor, events)
}

// stateTab is a choice of the states of messages.
type stateTab struct {
	Text    string
	Count   int64
	Oldest  moment // when the oldest of them was created
	Href    string
	Current bool
}

// stateTabs returns the choices of a list of messages, of the counts that belong to it.
func stateTabs(counts []delivery.Count, values url.Values, path string, now time.Time) []stateTab {
	chosen := values.Get("filter[state]")
	tabs := make([]stateTab, 0, 3)
	for _, state := range []delivery.State{delivery.Pending, delivery.Dead, delivery.Done} {
		tab := stateTab{Text: stateWords[state], Current: chosen == string(state)}
		var oldest time.Time
		for _, c := range counts {
			if c.State != state {
				continue
			}
			if tab.Count += c.Count; oldest.IsZero() || c.Oldest.Before(oldest) {
				oldest = c.Oldest
			}
		}
		tab.Oldest = momentOf(oldest, now)
		tab.Href = addressWith(values, path, "filter[state]", string(state), "offset", "")
		if tab.Current { // again for all
			tab.Href = addressWith(values, path, "filter[state]", "", "offset", "")
		}
		tabs = append(tabs, tab)
	}
	return tabs
}
