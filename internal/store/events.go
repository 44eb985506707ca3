package store

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// Emit records an event in the transaction of the change that it tells of.
func (t *Tx) Emit(ctx context.Context, e identity.Event) error {
	changes := make(map[string]map[string]any, len(e.Changes))
	for field, change := range e.Changes {
		changes[field] = map[string]any{"old": change.Old, "new": change.New}
	}
	text, err := json.Marshal(changes)
	if err != nil {
		return fmt.Errorf("event %s: %w", e.Type, err)
	}
	source := ""
	if e.Actor.Source.IsValid() {
		source = e.Actor.Source.String()
	}
	_, err = t.exec(ctx, `INSERT INTO events (type, happened_at, actor_name, actor_token_id, actor_user_id, source, request_id,
			subject_type, subject_id, changes, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		e.Type, timestamp{e.Time}, e.Actor.Name, e.Actor.TokenID, e.Actor.UserID, source, e.Actor.RequestID,
		e.Type.SubjectType(), e.SubjectID, string(text), e.Reason)
	return err
}

type eventRow struct {
	ID           int64     `db:"id"`
	Type         string    `db:"type"`
	HappenedAt   timestamp `db:"happened_at"`
	ActorName    string    `db:"actor_name"`
	ActorTokenID int64     `db:"actor_token_id"`
	ActorUserID  int64     `db:"actor_user_id"`
	Source       string    `db:"source"`
	RequestID    string    `db:"request_id"`
	SubjectID    int64     `db:"subject_id"`
	Changes      string    `db:"changes"`
	Reason       string    `db:"reason"`
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
	source, _ := netip.ParseAddr(r.Source) // the zero Addr where there was none
	return identity.Event{
		ID: r.ID, Type: identity.EventType(r.Type), Time: r.HappenedAt.Time, SubjectID: r.SubjectID, Changes: changes, Reason: r.Reason,
		Actor: identity.Actor{
			Name: r.ActorName, TokenID: r.ActorTokenID, UserID: r.ActorUserID, Source: source, RequestID: r.RequestID,
		},
	}, nil
}

// Events returns one page of the events that match, the latest first, with the
// exact total unless the page starts after a cursor.
func (r reader) Events(ctx context.Context, q identity.EventQuery) (identity.EventPage, error) {
	page, where, offset := identity.EventPage{}, eventConditions(q.Filter), q.Offset
	if q.After != nil {
		where.add("id < $%d", q.After.ID)
		offset = 0
	} else if err := r.get(ctx, &page.Total, "SELECT count(*) FROM events"+where.String(), where.args...); err != nil {
		return identity.EventPage{}, fmt.Errorf("count events: %w", err)
	}
	n := len(where.args)
	rows, more, err := pageOf[eventRow](ctx, r, q.Limit, "SELECT id, type, happened_at, actor_name, actor_token_id, actor_user_id, "+
		"source, request_id, subject_id, changes, reason FROM events"+where.String()+" ORDER BY id DESC LIMIT $"+strconv.Itoa(n+1)+" OFFSET $"+strconv.Itoa(n+2), append(where.args, q.Limit+1, offset)...)
	if err != nil {
		return identity.EventPage{}, fmt.Errorf("list events: %w", err)
	}
	if more {
		page.Next = &identity.Cursor{Sort: identity.SortByID, Descending: true, ID: rows[len(rows)-1].ID}
	}
	page.Events = make([]identity.Event, len(rows))
	for i, row := range rows {
		if page.Events[i], err = row.event(); err != nil {
			return identity.EventPage{}, err
		}
	}
	return page, nil
}

func eventConditions(f identity.EventFilter) *conditions {
	c := &conditions{}
	if f.UserID != 0 {
		c.add("subject_type = 'user' AND subject_id = $%d", f.UserID)
	}
	if f.ActorUserID != 0 {
		c.add("actor_user_id = $%d", f.ActorUserID)
	}
	if f.ActorTokenID != 0 {
		c.add("actor_token_id = $%d", f.ActorTokenID)
	}
	if f.Type != "" {
		c.add("type = $%d", string(f.Type))
	}
	if !f.Since.IsZero() {
		c.add("happened_at >= $%d", timestamp{f.Since})
	}
	if !f.Until.IsZero() {
		c.add("happened_at < $%d", timestamp{f.Until})
	}
	return c
}

// PruneEvents deletes up to limit events from before a time and tells how many
// there were.
func (t *Tx) PruneEvents(ctx context.Context, before time.Time, limit int) (int64, error) {
	return t.exec(ctx, "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE happened_at < $1 ORDER BY happened_at, id LIMIT $2)",
		timestamp{before}, limit)
}
