package console

import (
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

func (h *handlers) activityRoutes() []api.Route {
	const csvTimeout = time.Minute // a whole file takes ten pages
	return []api.Route{
		{Method: http.MethodGet, Path: "/activity", Handler: h.listActivity},
		{Method: http.MethodGet, Path: "/activity.csv", Handler: h.downloadActivity, Timeout: csvTimeout},
	}
}

const activityPath = Prefix + "/activity"

// activityView is a page of events.
type activityView struct {
	Filter    activityFilter
	Chips     []chip
	Types     []identity.EventType
	Problems  problems
	Rows      []eventRow
	Range     string // "The latest 50 of 1,204"
	Prev      string // the newest events; "" on the first page
	Next      string // older events
	CSV       string // the address of the file
	Following bool
	Follow    string // the address that starts or ends following; "" where it makes no sense
	Poll      string // the address to ask for what is new
}

// activityFilter is the form of the filters, as it was sent.
type activityFilter struct{ User, Actor, Type, Reason, Since, Until string }

func (h *handlers) listActivity(c echo.Context, actor identity.Actor) error {
	if dropEmpty(c) {
		return toCleanAddress(c)
	}
	query, following, err := eventQuery(c)
	values := c.QueryParams()
	if err != nil {
		wrong, ok := problemsOf(err)
		if !ok {
			return err
		}
		if err := actor.Require(identity.AuditView); err != nil {
			return err
		}
		view := activityView{Filter: activityFilterFrom(values), Types: identity.EventTypes, Problems: wrong}
		return h.render(c, actor, http.StatusBadRequest, "activity", page{Title: "Activity", Nav: "activity", View: view})
	}
	ctx := c.Request().Context()
	events, err := h.service.Events(ctx, actor, query)
	if err != nil {
		return err
	}
	names := h.eventNames(ctx, actor, append(events.Events[:len(events.Events):len(events.Events)], eventOf(query.Filter)))
	view := activityViewFrom(events, query, values, names, h.now())
	view.follow(values, following && query.After == nil)
	return h.render(c, actor, http.StatusOK, "activity", page{
		Title: "Activity", Nav: "activity", View: view,
		API: h.apiCall(c, http.MethodGet, "/api/v2/events", apiValues(values, query), ""),
	})
}

// eventOf returns an event of those that a filter names, so that their names are looked up.
func eventOf(f identity.EventFilter) identity.Event {
	return identity.Event{
		Type: identity.UserUpdated, SubjectID: f.UserID,
		Actor: identity.Actor{UserID: f.ActorUserID, TokenID: f.ActorTokenID},
	}
}

// dropEmpty takes parameters without a value out of the address, and reports whether there
// were any: a form sends its empty fields as well. An address that cannot be read stays as it
// is.
func dropEmpty(c echo.Context) bool {
	address := c.Request().URL
	values, err := api.ParseForm(address.RawQuery)
	if err != nil {
		return false
	}
	before := len(values)
	for name, list := range values {
		if len(list) == 1 && strings.TrimSpace(list[0]) == "" {
			delete(values, name)
		}
	}
	if len(values) == before {
		return false
	}
	address.RawQuery = values.Encode()
	return true
}

// toCleanAddress leads to the same page without the empty parameters, so that the address is
// short enough to give to somebody.
func toCleanAddress(c echo.Context) error {
	return c.Redirect(http.StatusSeeOther, c.Request().URL.RequestURI())
}

// eventQuery reads the parameters of the list, which are those of the Back Office API. Times
// may also be as browsers send them, in UTC.
func eventQuery(c echo.Context) (query identity.EventQuery, following bool, err error) {
	q := api.NewQuery(c)
	query = identity.EventQuery{
		Filter: identity.EventFilter{
			UserID: q.Int("filter[user]", 1, math.MaxInt64, 0),
			Since:  timeIn(q, "filter[since]"),
			Until:  timeIn(q, "filter[until]"),
		},
		Limit: int(q.Int("limit", 1, maxRows, defaultRows)),
	}
	actor, _ := q.Get("filter[actor]")
	if id, isToken := strings.CutPrefix(actor, "token:"); isToken {
		query.Filter.ActorTokenID = q.IntOf("filter[actor]", id, 1, math.MaxInt64, 0)
	} else {
		query.Filter.ActorUserID = q.Int("filter[actor]", 1, math.MaxInt64, 0)
	}
	if q.Has("filter[type]") {
		names := make([]string, len(identity.EventTypes))
		for i, eventType := range identity.EventTypes {
			names[i] = string(eventType)
		}
		query.Filter.Type = identity.EventType(q.OneOf("filter[type]", names...))
	}
	if q.Has("filter[reason]") {
		query.Filter.Reason = reasonIn(q, "filter[reason]")
	}
	following = q.OneOf("follow", "false", "true") == "true"
	query.After = cursorIn(q, query.Filter)
	return query, following, q.Err()
}

// reasonIn reads the reason of an event: a word such as wrong_password.
func reasonIn(q *api.Query, name string) string {
	const maxLength = 64
	reason := q.Text(name, maxLength)
	isOther := func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9') }
	if strings.ContainsFunc(reason, isOther) {
		q.Fail(name, "invalid_value", "must be a word such as wrong_password")
	}
	return reason
}

// apiValues returns the parameters as the API takes them.
func apiValues(values url.Values, query identity.EventQuery) url.Values {
	call := url.Values{}
	for name, list := range values {
		if name != "follow" {
			call[name] = list
		}
	}
	for name, t := range map[string]time.Time{"filter[since]": query.Filter.Since, "filter[until]": query.Filter.Until} {
		if !t.IsZero() {
			call.Set(name, t.Format(time.RFC3339Nano))
		}
	}
	return call
}

func activityFilterFrom(values url.Values) activityFilter {
	return activityFilter{
		User: values.Get("filter[user]"), Actor: values.Get("filter[actor]"), Type: values.Get("filter[type]"),
		Reason: values.Get("filter[reason]"),
		Since:  values.Get("filter[since]"), Until: values.Get("filter[until]"),
	}
}

func activityViewFrom(events identity.EventPage, query identity.EventQuery, values url.Values, names eventNames,
	now time.Time,
) activityView {
	view := activityView{
		Filter: activityFilterFrom(values), Types: identity.EventTypes, Rows: eventRowsFrom(events.Events, names, now),
		Chips: activityChips(query.Filter, values, names),
		CSV:   addressWith(values, activityPath+".csv", "after", "", "follow", "", "limit", ""),
	}
	times := map[*string]time.Time{&view.Filter.Since: query.Filter.Since, &view.Filter.Until: query.Filter.Until}
	for field, t := range times {
		if !t.IsZero() {
			*field = strings.TrimSuffix(t.Format(formTime), ":00")
		}
	}
	view.Range, view.Prev, view.Next = eventPager(events, query, values, activityPath)
	return view
}

// cursorIn reads the page of a list of events; nil for the first page.
func cursorIn(q *api.Query, filter identity.EventFilter) *identity.Cursor {
	const maxLength = 4096
	if !q.Has("after") {
		return nil
	}
	cursor, err := identity.ParseCursor(q.Text("after", maxLength))
	if err != nil || cursor.Sort != filter.Sort() || !cursor.Descending {
		q.Fail("after", "invalid_cursor", "is no page of this list: begin with the first page")
	}
	return &cursor
}

// eventPager returns what a list of events says of its page, and the addresses of the newest and
// of older ones. An older page does not follow what is new.
func eventPager(events identity.EventPage, query identity.EventQuery, values url.Values, path string,
) (text, newest, older string) {
	n := int64(len(events.Events))
	if query.After != nil {
		text, newest = count(n, "older event"), addressWith(values, path, "after", "")
	} else {
		text = "The latest " + number(n) + " of " + number(events.Total)
		if events.TotalIsLowerBound {
			text += " or more"
		}
	}
	if events.Next != nil {
		older = addressWith(values, path, "after", events.Next.String(), "follow", "")
	}
	return text, newest, older
}

// follow sets what the page needs to ask for new events. Only the first page has new ones.
func (v *activityView) follow(values url.Values, following bool) {
	v.Following = following
	v.Follow = addressWith(values, activityPath, "after", "", "follow", "true")
	if following {
		v.Poll = v.Follow
		v.Follow = addressWith(values, activityPath, "follow", "")
	}
}

// activityChips returns the filters that are set.
func activityChips(f identity.EventFilter, values url.Values, names eventNames) []chip {
	var chips []chip
	add := func(parameter, label, text string) {
		chips = append(chips, chip{label, text, addressWith(values, activityPath, parameter, "", "after", "")})
	}
	if f.UserID != 0 {
		add("filter[user]", "About", userPhrase(f.UserID, names).Text)
	}
	if by := (identity.Actor{UserID: f.ActorUserID, TokenID: f.ActorTokenID}); by.UserID != 0 || by.TokenID != 0 {
		add("filter[actor]", "By", sentenceText(actorPhrases(by, names)))
	}
	if f.Type != "" {
		add("filter[type]", "Type", string(f.Type))
	}
	if f.Reason != "" {
		add("filter[reason]", "Reason", reasonText(f.Reason))
	}
	if !f.Since.IsZero() {
		add("filter[since]", "From", momentOf(f.Since, f.Since).Exact)
	}
	if !f.Until.IsZero() {
		add("filter[until]", "Before", momentOf(f.Until, f.Until).Exact)
	}
	return chips
}

// maxCSVEvents bounds the file of events.
const maxCSVEvents = 10_000

var errEnough = errors.New("enough rows")

// downloadActivity answers with the events that match, the latest first, as a file. It sends
// each page as soon as it is read.
func (h *handlers) downloadActivity(c echo.Context, actor identity.Actor) error {
	dropEmpty(c)
	query, _, err := eventQuery(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	query.Limit = identity.MaxPageSize
	var file api.CSV
	rows, began := 0, false
	err = h.service.WalkEvents(ctx, actor, query, func(page identity.EventPage) error {
		names := h.eventNames(ctx, actor, page.Events)
		if !began {
			var err error
			name := "activity-" + h.now().UTC().Format(time.DateOnly) + ".csv"
			if file, err = api.StartCSV(c, name, activityColumns...); err != nil {
				return err
			}
			began = true
		}
		for _, e := range page.Events {
			if err := file.Write(activityCells(e, names)...); err != nil {
				return err
			}
		}
		if rows += len(page.Events); rows >= maxCSVEvents {
			return errEnough
		}
		return file.Flush()
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return file.Flush()
}

var activityColumns = []string{
	"Id", "Time", "Type", "What happened", "Changes", "By", "By user", "By token", "Subject", "Subject id", "From",
	"Reason", "Times", "Request",
}

// activityCells returns an event as a row of activityColumns.
func activityCells(e identity.Event, names eventNames) []string {
	var changes []string
	for _, c := range changesOfEvent(e, names) {
		if c.Old == c.New {
			changes = append(changes, c.Label+": changed, hidden")
		} else {
			changes = append(changes, c.Label+": "+c.Old+" → "+c.New)
		}
	}
	return []string{
		idText(e.ID), e.Time.UTC().Format(time.RFC3339), string(e.Type), sentenceText(sentenceOf(e, names)),
		strings.Join(changes, "; "), sentenceText(actorPhrases(e.Actor, names)), idText(e.Actor.UserID),
		idText(e.Actor.TokenID), e.Type.SubjectType(), idText(e.SubjectID), e.SourceText(), reasonText(e.Reason),
		strconv.FormatInt(max(e.Count, 1), 10), e.Actor.RequestID,
	}
}

// idText returns an id, "" for none.
func idText(id int64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}
