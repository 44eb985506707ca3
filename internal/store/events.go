package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// Emit inserts events and returns the webhooks that are active. Call it in the transaction of the
// changes that they report.
func (t *Tx) Emit(ctx context.Context, events ...identity.Event) ([]identity.Webhook, error) {
	rows := make([][]any, len(events))
	for i, e := range events {
		text, err := changesText(e.Changes)
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", e.Type, err)
		}
		rows[i] = []any{
			e.Type,
			timestamp{e.Time},
			e.Actor.Name, e.Actor.TokenID, e.Actor.UserID, e.SourceText(), e.Actor.RequestID,
			e.Actor.ClientRequestID, e.Type.SubjectType(), e.SubjectID, e.TokenUserID(), text, e.Reason,
		}
	}
	const into = "events (type, happened_at, actor_name, actor_token_id, actor_user_id, source, request_id, " +
		"client_request_id, subject_type, subject_id, person_id, changes, reason)"
	if len(events) == 1 && t.pool.engine.withWrites && !t.peeks {
		var found []webhookRow
		err := t.all(ctx, &found, "WITH emitted AS (INSERT INTO "+into+" VALUES "+valueList(1, len(rows[0]))+") "+
			selectActiveWebhooks, rows[0]...)
		return webhooksFrom(found), err
	}
	if err := t.insertAll(ctx, into, rows); err != nil {
		return nil, err
	}
	return t.activeWebhooks(ctx)
}

// changesText returns changes as JSON: {field: {new, old}}.
func changesText(changes identity.Changes) (string, error) {
	text := []byte{'{'}
	for i, field := range slices.Sorted(maps.Keys(changes)) {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(strconv.AppendQuote(text, field), `:{"new":`...) // a name of ours: quoted alike in Go and JSON
		for _, value := range []struct {
			of    any
			after string
		}{{changes[field].New, `,"old":`}, {changes[field].Old, `}`}} {
			encoded, err := json.Marshal(value.of)
			if err != nil {
				return "", err
			}
			text = append(append(text, encoded...), value.after...)
		}
	}
	return string(append(text, '}')), nil
}

// CountRefusal adds one to the event of an equal refusal within the period: of the same
// caller, from the same source and for the same reason. It reports whether there is one.
// Call LockThrottle for such refusals first.
func (t *Tx) CountRefusal(ctx context.Context, e identity.Event, period time.Duration) (bool, error) {
	query, args := equalRefusal(e, period)
	counted, err := t.exec(ctx, "UPDATE events SET count = count + 1 WHERE id = ("+query+")", args...)
	return counted > 0, err
}

// equalRefusal returns the query for the id of that event. It also leaves out events from
// more than a period in the future: an instance whose clock was wrong for a moment must
// not keep the others from beginning a new event.
func equalRefusal(e identity.Event, period time.Duration) (query string, args []any) {
	return `SELECT id FROM events WHERE type = 'USER_ACCESS_REFUSED' AND actor_token_id = $1 AND actor_user_id = $2
			AND happened_at > $3 AND happened_at < $4 AND actor_name = $5 AND source = $6 AND reason = $7
			ORDER BY happened_at DESC LIMIT 1`,
		[]any{
			e.Actor.TokenID, e.Actor.UserID,
			timestamp{e.Time.Add(-period)},
			timestamp{e.Time.Add(period)},
			e.Actor.Name, e.SourceText(), e.Reason,
		}
}

const eventColumns = "id, type, happened_at, actor_name, actor_token_id, actor_user_id, source, request_id, " +
	"client_request_id, subject_id, changes, reason, count"

type eventRow struct {
	ID              int64     `db:"id"`
	Type            string    `db:"type"`
	HappenedAt      timestamp `db:"happened_at"`
	ActorName       string    `db:"actor_name"`
	ActorTokenID    int64     `db:"actor_token_id"`
	ActorUserID     int64     `db:"actor_user_id"`
	Source          string    `db:"source"`
	RequestID       string    `db:"request_id"`
	ClientRequestID string    `db:"client_request_id"`
	SubjectID       int64     `db:"subject_id"`
	Changes         string    `db:"changes"`
	Reason          string    `db:"reason"`
	Count           int64     `db:"count"`
}

func (r eventRow) event() (identity.Event, error) {
	var stored map[string]map[string]any
	if err := json.Unmarshal([]byte(r.Changes), &stored); err != nil {
		return identity.Event{}, fmt.Errorf("event %d: %w", r.ID, err)
	}
	changes := make(identity.Changes, len(stored))
	for field, change := range stored {
		changes[field] = identity.Change{Old: change["old"], New: change["new"]}
	}
	source, _ := netip.ParseAddr(r.Source) // the zero Addr for ""
	return identity.Event{
		ID: r.ID, Type: identity.EventType(r.Type), Time: r.HappenedAt.Time, SubjectID: r.SubjectID, Changes: changes,
		Reason: r.Reason, Count: r.Count,
		Actor: identity.Actor{
			Name: r.ActorName, TokenID: r.ActorTokenID, UserID: r.ActorUserID, Source: source, RequestID: r.RequestID,
			ClientRequestID: r.ClientRequestID,
		},
	}, nil
}

// Events returns one page of the events that match, the latest first. Unless the page
// starts after a cursor, it also returns the total, or limits.countedEvents as a lower
// bound of it.
func (r reader) Events(ctx context.Context, q identity.EventQuery) (identity.EventPage, error) {
	page, offset := identity.EventPage{}, q.Offset
	if q.After != nil {
		offset = 0
	} else {
		maxTotal := r.pool.limits.countedEvents
		query, args := eventTotal(q.Filter, maxTotal)
		if err := r.get(ctx, &page.Total, query, args...); err != nil {
			return identity.EventPage{}, fmt.Errorf("count events: %w", err)
		}
		page.TotalIsLowerBound = page.Total > maxTotal
		page.Total = min(page.Total, maxTotal)
	}
	query, args := eventPage(q, offset)
	rows, more, err := pageOf[eventRow](ctx, r, q.Limit, query, args...)
	if err != nil {
		return identity.EventPage{}, fmt.Errorf("list events: %w", err)
	}
	page.Events = make([]identity.Event, len(rows))
	for i, row := range rows {
		var err error
		if page.Events[i], err = row.event(); err != nil {
			return identity.EventPage{}, err
		}
	}
	if more {
		page.Next = q.Filter.CursorAfter(page.Events[len(page.Events)-1])
	}
	return page, nil
}

// eventTotal returns the query for the number of matches, or for maxTotal+1 where there
// are more than maxTotal. It has the order of the page, so that it uses the same index
// and stops at the limit.
func eventTotal(f identity.EventFilter, maxTotal int64) (query string, args []any) {
	where, order := eventConditions(f, nil)
	return "SELECT count(*) FROM (SELECT 1 FROM events" + where.String() + order +
		" LIMIT " + strconv.FormatInt(maxTotal+1, 10) + ") AS counted", where.args
}

// eventPage returns the query for a page and one row more.
func eventPage(q identity.EventQuery, offset int64) (query string, args []any) {
	where, order := eventConditions(q.Filter, q.After)
	n := len(where.args)
	return "SELECT " + eventColumns + " FROM events" + where.String() + order +
		" LIMIT $" + strconv.Itoa(n+1) + " OFFSET $" + strconv.Itoa(n+2), append(where.args, q.Limit+1, offset)
}

// eventConditions returns the conditions of a filter and of a cursor, which may be nil,
// and the order, the latest first.
//
// The first condition leads: it is a range, even of one value, and the order starts with
// its column. That changes no result, but leaves the database only the index of that
// column and the id. Otherwise it may walk all ids in search of matches, which costs the
// more the fewer there are.
func eventConditions(f identity.EventFilter, after *identity.Cursor) (where *conditions, order string) {
	where = &conditions{}
	var lead string
	var leadValue any
	is := func(column string, value any) {
		if lead != "" {
			where.add(column+" = $%d", value)
			return
		}
		lead, leadValue = column, value
		where.add(column+" >= $%[1]d AND "+column+" <= $%[1]d", value)
	}
	if f.UserID != 0 {
		where.texts = append(where.texts, "subject_type = 'user'")
		is("subject_id", f.UserID)
	}
	if f.ActorUserID != 0 {
		is("actor_user_id", f.ActorUserID)
	}
	if f.ActorTokenID != 0 {
		is("actor_token_id", f.ActorTokenID)
	}
	if f.Reason != "" {
		// The condition of the index. With <> PostgreSQL would expect too few matches.
		where.texts = append(where.texts, "reason > ''")
		is("reason", f.Reason)
	}
	if f.Type != "" {
		is("type", string(f.Type))
	}
	if !f.Since.IsZero() {
		where.add("happened_at >= $%d", timestamp{f.Since})
	}
	if !f.Until.IsZero() {
		where.add("happened_at < $%d", timestamp{f.Until})
	}
	var columns []string
	var place []any // of the cursor in them
	if lead != "" {
		columns, place = append(columns, lead), append(place, leadValue)
	}
	if f.Sort() == identity.SortByCreation {
		columns = append(columns, "happened_at")
		if after != nil {
			at, _ := after.Time() // ParseCursor has checked it
			place = append(place, timestamp{at})
		}
	}
	columns = append(columns, "id")
	if after != nil {
		where.addBelow(columns, append(place, after.ID))
	}
	return where, " ORDER BY " + strings.Join(columns, " DESC, ") + " DESC"
}

// addBelow adds the condition that columns are below values, the first ones first.
func (c *conditions) addBelow(columns []string, values []any) {
	marks := make([]string, len(values))
	for i, value := range values {
		c.args = append(c.args, value)
		marks[i] = "$" + strconv.Itoa(len(c.args))
	}
	c.texts = append(c.texts, "("+strings.Join(columns, ", ")+") < ("+strings.Join(marks, ", ")+")")
}

// PruneEvents deletes up to limit events from before a time, the oldest first, and
// returns how many it has deleted.
func (t *Tx) PruneEvents(ctx context.Context, before time.Time, limit int) (int64, error) {
	return t.exec(ctx, `DELETE FROM events WHERE id IN
		(SELECT id FROM events WHERE happened_at < $1 ORDER BY happened_at, id LIMIT $2)`, timestamp{before}, limit)
}
