package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

const messageColumns = "id, lane, user_id, payload, state, attempts, created_at, due_at, expires_at, settled_at, last_error"

type messageRow struct {
	ID        int64     `db:"id"`
	Lane      string    `db:"lane"`
	UserID    int64     `db:"user_id"`
	Payload   string    `db:"payload"`
	State     string    `db:"state"`
	Attempts  int       `db:"attempts"`
	CreatedAt timestamp `db:"created_at"`
	DueAt     timestamp `db:"due_at"`
	ExpiresAt timestamp `db:"expires_at"`
	SettledAt timestamp `db:"settled_at"`
	LastError string    `db:"last_error"`
}

func (r messageRow) message() identity.Message {
	return identity.Message{
		ID: r.ID, Lane: r.Lane, UserID: r.UserID, Payload: r.Payload, State: identity.MessageState(r.State), Attempts: r.Attempts,
		CreatedAt: r.CreatedAt.Time, DueAt: r.DueAt.Time, ExpiresAt: r.ExpiresAt.Time, SettledAt: r.SettledAt.Time, LastError: r.LastError,
	}
}

func messagesFrom(rows []messageRow) []identity.Message {
	messages := make([]identity.Message, len(rows))
	for i, row := range rows {
		messages[i] = row.message()
	}
	return messages
}

// Enqueue puts a message into the outbox, due at once, and returns its id.
func (t *Tx) Enqueue(ctx context.Context, m identity.Message) (int64, error) {
	var id int64
	err := t.get(ctx, &id, `INSERT INTO outbox (lane, user_id, payload, created_at, due_at, expires_at)
		VALUES ($1, $2, $3, $4, $4, $5) RETURNING id`,
		m.Lane, m.UserID, m.Payload, timestamp{m.CreatedAt}, timestamp{m.ExpiresAt})
	t.effects.enqueued = true
	return id, err
}

// DueLanes returns the lanes with a message that is due. It hops from lane to
// lane, whatever the number of messages in each.
func (r reader) DueLanes(ctx context.Context, now time.Time) ([]string, error) {
	var lanes []string
	err := r.all(ctx, &lanes, `WITH RECURSIVE lanes (lane) AS (
			SELECT min(lane) FROM outbox WHERE state = 'pending'
			UNION ALL
			SELECT (SELECT min(lane) FROM outbox WHERE state = 'pending' AND lane > lanes.lane) FROM lanes WHERE lanes.lane IS NOT NULL)
		SELECT lane FROM lanes WHERE lane IS NOT NULL
			AND EXISTS (SELECT 1 FROM outbox WHERE state = 'pending' AND outbox.lane = lanes.lane AND due_at <= $1)`, timestamp{now})
	if err != nil {
		return nil, fmt.Errorf("due lanes: %w", err)
	}
	return lanes, nil
}

// ClaimMessages takes up to limit due messages of a lane, the longest due first,
// and counts an attempt. They are due again at leaseEnd unless they are settled.
func (t *Tx) ClaimMessages(ctx context.Context, lane string, now, leaseEnd time.Time, limit int) ([]identity.Message, error) {
	var rows []messageRow
	err := t.all(ctx, &rows, `UPDATE outbox SET attempts = attempts + 1, due_at = $3 WHERE id IN (
			SELECT id FROM outbox WHERE state = 'pending' AND lane = $1 AND due_at <= $2
			ORDER BY due_at, id LIMIT $4`+t.pool.engine.skipLocked+`)
		RETURNING `+messageColumns, lane, timestamp{now}, timestamp{leaseEnd}, limit)
	if err != nil {
		return nil, fmt.Errorf("claim messages: %w", err)
	}
	messages := messagesFrom(rows)
	slices.SortFunc(messages, func(a, b identity.Message) int { return cmp.Compare(a.ID, b.ID) })
	return messages, nil
}

// DropMessage forgets a message that has arrived and is of no more interest.
func (t *Tx) DropMessage(ctx context.Context, id int64) error {
	_, err := t.exec(ctx, "DELETE FROM outbox WHERE id = $1", id)
	return err
}

// SettleMessage records that a message is done or dead.
func (t *Tx) SettleMessage(ctx context.Context, id int64, state identity.MessageState, lastError string, now time.Time) error {
	_, err := t.exec(ctx, "UPDATE outbox SET state = $2, last_error = $3, settled_at = $4 WHERE id = $1 AND state = 'pending'",
		id, string(state), lastError, timestamp{now})
	return err
}

// RetryMessage puts a message that this many attempts have failed to send off
// until dueAt. Whoever took it since, because the lease was over, goes first.
func (t *Tx) RetryMessage(ctx context.Context, id int64, attempts int, lastError string, dueAt time.Time) error {
	_, err := t.exec(ctx, "UPDATE outbox SET due_at = $4, last_error = $3 WHERE id = $1 AND attempts = $2 AND state = 'pending'",
		id, attempts, lastError, timestamp{dueAt})
	return err
}

// ReleaseMessage gives a message back that was claimed and not tried.
func (t *Tx) ReleaseMessage(ctx context.Context, id int64, attempts int, now time.Time) error {
	_, err := t.exec(ctx, "UPDATE outbox SET due_at = $3, attempts = attempts - 1 WHERE id = $1 AND attempts = $2 AND state = 'pending'",
		id, attempts, timestamp{now})
	return err
}

// Messages returns one page of the messages of a state, by id, and how many
// there are.
func (r reader) Messages(ctx context.Context, state identity.MessageState, page identity.Page) ([]identity.Message, int64, error) {
	var total int64
	if err := r.get(ctx, &total, "SELECT count(*) FROM outbox WHERE state = $1", string(state)); err != nil {
		return nil, 0, fmt.Errorf("count messages: %w", err)
	}
	var rows []messageRow
	err := r.all(ctx, &rows, "SELECT "+messageColumns+" FROM outbox WHERE state = $1 ORDER BY id LIMIT $2 OFFSET $3",
		string(state), page.Limit, page.Offset)
	if err != nil {
		return nil, 0, fmt.Errorf("list messages: %w", err)
	}
	return messagesFrom(rows), total, nil
}

// RequeueMessage makes a dead message due again, with all its attempts before
// it; no such dead message is NotFound.
func (t *Tx) RequeueMessage(ctx context.Context, id int64, now time.Time) error {
	requeued, err := t.exec(ctx, `UPDATE outbox SET state = 'pending', attempts = 0, due_at = $2, settled_at = $3
		WHERE id = $1 AND state = 'dead' AND payload <> ''`, id, timestamp{now}, timestamp{})
	if err == nil && requeued == 0 {
		err = notFound("dead message", id)
	}
	t.effects.enqueued = true
	return err
}

// Backlog tells how many messages are pending and dead, and since when the
// oldest pending one is due; the zero time for none.
func (r reader) Backlog(ctx context.Context) (pending, dead int64, oldest time.Time, err error) {
	var row struct {
		Pending int64     `db:"pending"`
		Dead    int64     `db:"dead"`
		Oldest  timestamp `db:"oldest"`
	}
	err = r.get(ctx, &row, `SELECT (SELECT count(*) FROM outbox WHERE state = 'pending') AS pending,
		(SELECT count(*) FROM outbox WHERE state = 'dead') AS dead,
		coalesce((SELECT created_at FROM outbox WHERE state = 'pending' ORDER BY id LIMIT 1), $1) AS oldest`, timestamp{})
	if err != nil {
		return 0, 0, time.Time{}, fmt.Errorf("backlog: %w", err)
	}
	return row.Pending, row.Dead, row.Oldest.Time, nil
}
