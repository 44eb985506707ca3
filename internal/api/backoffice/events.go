package backoffice

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

type eventBody struct {
	ID          int64                 `json:"id"`
	Type        identity.EventType    `json:"type"`
	Time        wireTime              `json:"time"`
	Actor       eventActor            `json:"actor"`
	UserID      *int64                `json:"userId"` // the user that was changed
	SubjectType string                `json:"subjectType"`
	SubjectID   *int64                `json:"subjectId"`
	Source      *string               `json:"source"`
	RequestID   string                `json:"requestId"`
	ClientReqID *string               `json:"clientRequestId"`
	Reason      *string               `json:"reason"`
	Changes     map[string]changeBody `json:"changes"`
	Count       int64                 `json:"count"`
}

type eventActor struct {
	Name    string `json:"name"`
	UserID  *int64 `json:"userId"`
	TokenID *int64 `json:"tokenId"`
}

// eventList is a list that may count only part of its total.
type eventList struct {
	list[eventBody]

	TotalIsLowerBound bool `json:"totalIsLowerBound,omitempty"`
}

type changeBody struct {
	Old any `json:"old"`
	New any `json:"new"`
}

func eventFrom(e identity.Event) eventBody {
	body := eventBody{
		ID: e.ID, Type: e.Type, Time: onWire(e.Time), SubjectType: e.Type.SubjectType(), SubjectID: orNull(e.SubjectID),
		Actor:  eventActor{Name: e.Actor.Name, UserID: orNull(e.Actor.UserID), TokenID: orNull(e.Actor.TokenID)},
		Source: orNull(e.SourceText()), RequestID: e.Actor.RequestID, ClientReqID: orNull(e.Actor.ClientRequestID),
		Reason: orNull(e.Reason), Count: e.Count,
		Changes: make(map[string]changeBody, len(e.Changes)),
	}
	if body.SubjectType == "user" {
		body.UserID = body.SubjectID
	}
	for field, change := range e.Changes {
		body.Changes[field] = changeBody(change)
	}
	return body
}

// orNull is nil for the zero value.
func orNull[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

func (h *handlers) listEvents(c echo.Context, actor identity.Actor) error {
	query, err := eventQuery(c)
	if err != nil {
		return err
	}
	page, err := h.service.Events(c.Request().Context(), actor, query)
	if err != nil {
		return err
	}
	h.setAfter(c, page.Next)
	body := eventList{
		list:              list[eventBody]{Data: dataFrom(page.Events, eventFrom)},
		TotalIsLowerBound: page.TotalIsLowerBound,
	}
	if query.After == nil {
		body.Total = &page.Total
	}
	return c.JSON(http.StatusOK, body)
}

func eventQuery(c echo.Context) (identity.EventQuery, error) {
	q := api.NewQuery(c)
	query := identity.EventQuery{
		Filter: identity.EventFilter{
			UserID: q.Int("filter[user]", 1, maxInt64, 0),
			Since:  timeOf(q, "filter[since]"),
			Until:  timeOf(q, "filter[until]"),
		},
		Limit:  limitOf(q),
		Offset: q.Int("offset", 0, maxInt64, 0),
	}
	query.Filter.ActorUserID, query.Filter.ActorTokenID = userOrToken(q, "filter[actor]")
	if q.Has("filter[reason]") {
		query.Filter.Reason = reasonOf(q, "filter[reason]")
	}
	if q.Has("filter[type]") {
		query.Filter.Type = oneOf(q, "filter[type]", identity.EventTypes...)
	}
	query.After = cursorOf(q, query.Filter.Sort(), true) // the order depends on all filters
	return query, q.Err()
}

// reasonOf reads the reason of an event: a word such as wrong_password. Which there are
// depends on the release, as the codes of errors do.
func reasonOf(q *api.Query, name string) string {
	const maxLength = 64
	reason := q.Text(name, maxLength)
	isOther := func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9') }
	if reason == "" || strings.ContainsFunc(reason, isOther) {
		q.Fail(name, "invalid_value", "must be a word such as wrong_password")
	}
	return reason
}

// userOrToken reads a filter that names a user by its id, or a service token as
// token:ID.
func userOrToken(q *api.Query, name string) (userID, tokenID int64) {
	text, _ := q.Get(name)
	if id, isToken := strings.CutPrefix(text, "token:"); isToken {
		return 0, q.IntOf(name, id, 1, maxInt64, 0)
	}
	return q.Int(name, 1, maxInt64, 0), 0
}

// The complaint about a time that cannot be read.
const (
	codeInvalidTime = "invalid_time"
	mustBeTime      = "must be a time such as 2030-01-31T12:00:00Z"
)

// timeOf reads a time of RFC 3339. It returns the zero time where it is absent; a zero time
// that is given is an error.
func timeOf(q *api.Query, name string) time.Time {
	if !q.Has(name) {
		return time.Time{}
	}
	const maxLength = 64
	t, err := time.Parse(time.RFC3339, q.Text(name, maxLength))
	if err != nil || t.IsZero() || t.UTC().Year() < 1 || t.UTC().Year() > 9999 {
		q.Fail(name, codeInvalidTime, mustBeTime)
	}
	return t.UTC()
}
