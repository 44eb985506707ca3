package client

import (
	"context"
	"iter"
	"time"
)

// Event is something that has happened.
type Event struct {
	ID              int64             `json:"id"`
	Type            string            `json:"type"`
	Time            time.Time         `json:"time"`
	Actor           Actor             `json:"actor"`
	UserID          int64             `json:"userId"` // the user that it happened to; 0 for none
	SubjectType     string            `json:"subjectType"`
	SubjectID       int64             `json:"subjectId"` // 0 for none
	Source          string            `json:"source"`    // the address that the request came from
	RequestID       string            `json:"requestId"`
	ClientRequestID string            `json:"clientRequestId"`
	Reason          string            `json:"reason"`
	Changes         map[string]Change `json:"changes"` // by field
	Count           int64             `json:"count"`   // how often it happened
}

// Actor is who did it.
type Actor struct {
	Name    string `json:"name"`    // of the token, or session
	UserID  int64  `json:"userId"`  // 0 for none
	TokenID int64  `json:"tokenId"` // 0 for none
}

// Change is a field before and after. A secret is ***.
type Change struct {
	Old any `json:"old"`
	New any `json:"new"`
}

// EventList says which events are listed. Its zero value lists all.
type EventList struct {
	User   int64  // the id of the user that it happened to
	Actor  string // the id of a user, or token: and the id of a token
	Type   string // such as USER_CREATED
	Reason string // such as ip_not_allowed
	Since  time.Time
	Until  time.Time
	Size   int // how many are asked for at once, 1 to 1000; 0 for 50
}

// Events is the part of the API about what has happened.
type Events struct{ c *Client }

// List returns the events that match, the latest first.
func (s *Events) List(ctx context.Context, which EventList) iter.Seq2[Event, error] {
	q := Page{which.Size}.query()
	setInt(q, "filter[user]", which.User)
	setText(q, "filter[actor]", which.Actor)
	setText(q, "filter[type]", which.Type)
	setText(q, "filter[reason]", which.Reason)
	setTime(q, "filter[since]", which.Since)
	setTime(q, "filter[until]", which.Until)
	return list[Event](ctx, s.c, "/events", q)
}
