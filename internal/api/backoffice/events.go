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
	UserID      *int64                `json:"userId"` // whom it happened to
	SubjectType string                `json:"subjectType"`
	SubjectID   *int64                `json:"subjectId"`
	Source      *string               `json:"source"`
	RequestID   string                `json:"requestId"`
	Reason      *string               `json:"reason"`
	Changes     map[string]changeBody `json:"changes"`
}

type eventActor struct {
	Name    string `json:"name"`
	UserID  *int64 `json:"userId"`
	TokenID *int64 `json:"tokenId"`
}

type changeBody struct {
	Old any `json:"old"`
	New any `json:"new"`
}

func eventFrom(e identity.Event) eventBody {
	body := eventBody{
		ID: e.ID, Type: e.Type, Time: wireTime(e.Time), SubjectType: e.Type.SubjectType(), SubjectID: orNull(e.SubjectID),
		Actor:     eventActor{Name: e.Actor.Name, UserID: orNull(e.Actor.UserID), TokenID: orNull(e.Actor.TokenID)},
		RequestID: e.Actor.RequestID, Reason: orNull(e.Reason), Changes: make(map[string]changeBody, len(e.Changes)),
	}
	if body.SubjectType == "user" {
		body.UserID = body.SubjectID
	}
	if e.Actor.Source.IsValid() {
		body.Source = orNull(e.Actor.Source.String())
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
	body := list[eventBody]{Data: make([]eventBody, len(page.Events))}
	for i, event := range page.Events {
		body.Data[i] = eventFrom(event)
	}
	if query.After == nil {
		body.Total = &page.Total
	}
	if page.Next != nil {
		h.setLink(c, "after", page.Next.String())
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
		After:  cursorOf(q, identity.SortByID, true),
	}
	// An actor is a user, by id, or a service token, as token:ID.
	const actor, token = "filter[actor]", "token:"
	if text, _ := q.Get(actor); strings.HasPrefix(text, token) {
		query.Filter.ActorTokenID = q.IntOf(actor, strings.TrimPrefix(text, token), 1, maxInt64, 0)
	} else {
		query.Filter.ActorUserID = q.Int(actor, 1, maxInt64, 0)
	}
	if q.Has("filter[type]") {
		query.Filter.Type = identity.EventType(q.OneOf("filter[type]", eventTypeNames()...))
	}
	return query, q.Err()
}

func eventTypeNames() []string {
	names := make([]string, len(identity.EventTypes))
	for i, eventType := range identity.EventTypes {
		names[i] = string(eventType)
	}
	return names
}

// timeOf reads an optional time of RFC 3339.
func timeOf(q *api.Query, name string) time.Time {
	if !q.Has(name) {
		return time.Time{}
	}
	const most = 64
	t, err := time.Parse(time.RFC3339, q.Text(name, most))
	if err != nil || t.UTC().Year() < 1 || t.UTC().Year() > 9999 {
		q.Fail(name, "invalid_time", "must be a time such as 2030-01-31T12:00:00Z")
	}
	return t.UTC()
}
