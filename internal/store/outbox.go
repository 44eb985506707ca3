package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
)

// listedMessageColumns are all columns but the payload: a list does not show it, and a page
// of payloads can have hundreds of megabytes.
const (
	messageColumns       = listedMessageColumns + ", payload"
	listedMessageColumns = "id, channel, webhook_id, topic, user_id, state, attempts, created_at, due_at, expires_at, " +
		"attempted_at, status, last_error, settled_at"
)

// notPaused selects messages that do not go to an inactive webhook; such messages wait.
const notPaused = "webhook_id NOT IN (SELECT id FROM webhooks WHERE NOT active)"

type messageRow struct {
	ID          int64     `db:"id"`
	Channel     string    `db:"channel"`
	WebhookID   int64     `db:"webhook_id"`
	Topic       string    `db:"topic"`
	UserID      int64     `db:"user_id"`
	Payload     string    `db:"payload"`
	State       string    `db:"state"`
	Attempts    int       `db:"attempts"`
	CreatedAt   timestamp `db:"created_at"`
	DueAt       timestamp `db:"due_at"`
	ExpiresAt   timestamp `db:"expires_at"`
	AttemptedAt timestamp `db:"attempted_at"`
	Status      int       `db:"status"`
	LastError   string    `db:"last_error"`
	CompletedAt timestamp `db:"settled_at"`
}

func (r messageRow) message() delivery.Message {
	return delivery.Message{
		ID: r.ID, To: delivery.Destination{Channel: delivery.Channel(r.Channel), WebhookID: r.WebhookID},
		Topic: r.Topic, UserID: r.UserID, Payload: r.Payload, State: delivery.State(r.State), Attempts: r.Attempts,
		CreatedAt: r.CreatedAt.Time, DueAt: r.DueAt.Time, ExpiresAt: r.ExpiresAt.Time,
		AttemptedAt: r.AttemptedAt.Time, Status: r.Status, LastError: r.LastError, CompletedAt: r.CompletedAt.Time,
	}
}

func messagesFrom(rows []messageRow) []delivery.Message {
	messages := make([]delivery.Message, len(rows))
	for i, row := range rows {
		messages[i] = row.message()
	}
	return messages
}

// Enqueue puts a message into the outbox, due at once, and returns its id. It writes the
// destination in the column lane, which the version before reads; the database generates
// channel and webhook_id from it.
func (t *Tx) Enqueue(ctx context.Context, m delivery.Message) (int64, error) {
	var id int64
	err := t.get(ctx, &id, `INSERT INTO outbox (lane, topic, user_id, address, payload, created_at, due_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $6, $7) RETURNING id`,
		m.To.String(), m.Topic, m.UserID, m.Address, m.Payload, timestamp{m.CreatedAt}, timestamp{m.ExpiresAt})
	t.effects.enqueued = true
	return id, err
}

// EnqueueAll is Enqueue for several messages, whose ids nobody asks for.
func (t *Tx) EnqueueAll(ctx context.Context, messages []delivery.Message) error {
	rows := make([][]any, len(messages))
	for i, m := range messages {
		rows[i] = []any{
			m.To.String(), m.Topic, m.UserID, m.Address, m.Payload,
			timestamp{m.CreatedAt},
			timestamp{m.CreatedAt},
			timestamp{m.ExpiresAt},
		}
	}
	t.effects.enqueued = t.effects.enqueued || len(rows) > 0
	return t.insertAll(ctx, "outbox (lane, topic, user_id, address, payload, created_at, due_at, expires_at)", rows)
}

// EnqueueToAddress is Enqueue for a message about the user with an address. It returns the
// id of that user, 0 for none. It is one statement, so that it takes the same time with and
// without a user.
func (t *Tx) EnqueueToAddress(ctx context.Context, m delivery.Message, email string) (userID int64, err error) {
	err = t.get(ctx, &userID, `INSERT INTO outbox
			(lane, topic, user_id, address, payload, created_at, due_at, expires_at)
		VALUES ($1, $2, coalesce((SELECT id FROM users WHERE email_folded = $3), 0), $3, $4, $5, $5, $6)
		RETURNING user_id`,
		m.To.String(), m.Topic, identity.EmailKey(email), m.Payload, timestamp{m.CreatedAt}, timestamp{m.ExpiresAt})
	t.effects.enqueued = true
	return userID, err
}

// dueDestinations hops from one destination's first message to that of the next,
// however many messages each has: to the next webhook, or else to the next channel.
// SQLite goes by one column only of (channel, webhook_id) > (…).
const (
	dueDestinations = `WITH RECURSIVE firsts (channel, webhook_id, due_at) AS (
			SELECT channel, webhook_id, due_at FROM outbox WHERE id = (
				SELECT id FROM outbox WHERE state = 'pending'` + firstPending + `)
			UNION ALL
			SELECT outbox.channel, outbox.webhook_id, outbox.due_at FROM firsts JOIN outbox ON outbox.id = coalesce(
				(SELECT id FROM outbox WHERE state = 'pending' AND channel = firsts.channel AND webhook_id > firsts.webhook_id` +
		firstPending + `),
				(SELECT id FROM outbox WHERE state = 'pending' AND channel > firsts.channel` + firstPending + `)))
		SELECT channel, webhook_id FROM firsts WHERE due_at <= $1 AND ` + notPaused
	firstPending = " ORDER BY channel, webhook_id, due_at, id LIMIT 1"
)

// claimable selects the messages that ClaimMessages takes.
const claimable = `SELECT id FROM outbox
	WHERE state = 'pending' AND channel = $1 AND webhook_id = $2 AND due_at <= $3 AND ` + notPaused + `
	ORDER BY due_at, id LIMIT $4`

// DueDestinations returns the destinations with a message that is due, without
// inactive webhooks.
func (r reader) DueDestinations(ctx context.Context, now time.Time) ([]delivery.Destination, error) {
	var rows []struct {
		Channel   string `db:"channel"`
		WebhookID int64  `db:"webhook_id"`
	}
	err := r.all(ctx, &rows, dueDestinations, timestamp{now})
	if err != nil {
		return nil, fmt.Errorf("due destinations: %w", err)
	}
	due := make([]delivery.Destination, len(rows))
	for i, row := range rows {
		due[i] = delivery.Destination{Channel: delivery.Channel(row.Channel), WebhookID: row.WebhookID}
	}
	return due, nil
}

// ClaimMessages claims up to limit due messages of a destination, the longest due first, and
// counts an attempt. They are due again at leaseEnd unless they are completed.
func (t *Tx) ClaimMessages(ctx context.Context, to delivery.Destination, now, leaseEnd time.Time, limit int,
) ([]delivery.Message, error) {
	var rows []messageRow
	err := t.all(ctx, &rows, `UPDATE outbox SET attempts = attempts + 1, attempted_at = $3, due_at = $5
		WHERE id IN (`+claimable+t.pool.engine.skipLocked+`) RETURNING `+messageColumns,
		string(to.Channel), to.WebhookID, timestamp{now}, limit, timestamp{leaseEnd})
	if err != nil {
		return nil, fmt.Errorf("claim messages: %w", err)
	}
	messages := messagesFrom(rows)
	slices.SortFunc(messages, func(a, b delivery.Message) int { return cmp.Compare(a.ID, b.ID) })
	return messages, nil
}

// DropMessage deletes a message.
func (t *Tx) DropMessage(ctx context.Context, id int64) error {
	_, err := t.exec(ctx, "DELETE FROM outbox WHERE id = $1", id)
	return err
}

// CompleteMessage records that a message is done or dead, with the result of its last
// attempt. It erases the payload if the user has been deleted; the payload of the message
// about the deletion itself only if the message is done.
func (t *Tx) CompleteMessage(ctx context.Context, m delivery.Message, state delivery.State, now time.Time) error {
	_, err := t.exec(ctx, `UPDATE outbox SET state = $2, status = $3, last_error = $4, settled_at = $5,
			payload = CASE WHEN erase OR topic = 'USER_DELETED' AND $2 = 'done' THEN '' ELSE payload END
		WHERE id = $1 AND state = 'pending'`,
		m.ID, string(state), m.Status, m.LastError, timestamp{now})
	return err
}

// RetryMessage makes a message whose last attempt has failed due at a later time. It has no
// effect if another worker has claimed the message since, because the lease has expired.
func (t *Tx) RetryMessage(ctx context.Context, m delivery.Message, dueAt time.Time) error {
	_, err := t.exec(ctx, `UPDATE outbox SET due_at = $5, status = $3, last_error = $4
		WHERE id = $1 AND attempts = $2 AND state = 'pending'`,
		m.ID, m.Attempts, m.Status, m.LastError, timestamp{dueAt})
	return err
}

// RenewMessage extends a claim that ends at leaseEnd. It has no effect on a message that has
// been completed, put off or claimed by another worker since: that is due at another time.
func (t *Tx) RenewMessage(ctx context.Context, id int64, leaseEnd, next time.Time) error {
	_, err := t.exec(ctx, "UPDATE outbox SET due_at = $3 WHERE id = $1 AND due_at = $2 AND state = 'pending'",
		id, timestamp{leaseEnd}, timestamp{next})
	return err
}

// ReleaseMessage makes a claimed message due at once and does not count the attempt.
func (t *Tx) ReleaseMessage(ctx context.Context, id int64, attempts int, now time.Time) error {
	_, err := t.exec(ctx, `UPDATE outbox SET due_at = $3, attempts = attempts - 1
		WHERE id = $1 AND attempts = $2 AND state = 'pending'`, id, attempts, timestamp{now})
	return err
}

// Message returns the message with this id, or NotFound.
func (r reader) Message(ctx context.Context, id int64) (delivery.Message, error) {
	return r.message(ctx, "SELECT "+messageColumns+" FROM outbox WHERE id = $1", id)
}

// MessageForUpdate is Message, and locks the message until the transaction ends.
func (t *Tx) MessageForUpdate(ctx context.Context, id int64) (delivery.Message, error) {
	return t.message(ctx, "SELECT "+messageColumns+" FROM outbox WHERE id = $1"+t.pool.engine.forUpdate, id)
}

func (r reader) message(ctx context.Context, query string, id int64) (delivery.Message, error) {
	var row messageRow
	err := r.get(ctx, &row, query, id)
	return row.message(), one(err, "message", id)
}

// Messages returns one page of the messages that match, the latest first and without
// their payloads, and how many there are.
func (r reader) Messages(ctx context.Context, f delivery.Filter, page identity.Page,
) ([]delivery.Message, int64, error) {
	where := messageConditions(f)
	if len(f.States) > 0 {
		states := make([]string, len(f.States))
		for i, state := range f.States {
			where.args = append(where.args, string(state))
			states[i] = "state = $" + strconv.Itoa(len(where.args))
		}
		where.texts = append(where.texts, "("+strings.Join(states, " OR ")+")")
	}
	var total int64
	if err := r.get(ctx, &total, "SELECT count(*) FROM outbox"+where.String(), where.args...); err != nil {
		return nil, 0, fmt.Errorf("count messages: %w", err)
	}
	n := len(where.args)
	rows, _, err := pageOf[messageRow](ctx, r, page.Limit, "SELECT "+listedMessageColumns+" FROM outbox"+where.String()+
		" ORDER BY id DESC LIMIT $"+strconv.Itoa(n+1)+" OFFSET $"+strconv.Itoa(n+2),
		append(where.args, page.Limit, page.Offset)...)
	if err != nil {
		return nil, 0, fmt.Errorf("list messages: %w", err)
	}
	return messagesFrom(rows), total, nil
}

// messageConditions returns the conditions of a filter but those of its states.
func messageConditions(f delivery.Filter) *conditions {
	where := &conditions{}
	if f.To != (delivery.Destination{}) {
		where.add("channel = $%d", string(f.To.Channel))
		where.add("webhook_id = $%d", f.To.WebhookID)
	}
	if f.Channel != "" {
		where.add("channel = $%d", string(f.Channel))
	}
	if f.UserID != 0 {
		where.add("user_id = $%d", f.UserID)
	}
	return where
}

// RequeueDead makes up to limit dead messages that match due at once, as RequeueMessage does:
// those after an id, in the order of their ids, that can be queued again. It returns their
// ids. It ignores the states of the filter.
func (t *Tx) RequeueDead(ctx context.Context, f delivery.Filter, after int64, limit int, now time.Time,
) ([]int64, error) {
	where := messageConditions(f)
	where.texts = append(where.texts, "state = 'dead'", "payload <> ''")
	where.add("expires_at = $%d", timestamp{})
	where.add("expires_at > $%d", timestamp{now})
	where.either()
	where.add("id > $%d", after)
	n := len(where.args)
	var rows []struct {
		ID int64 `db:"id"`
	}
	// The state stands twice: another call can have queued a row since it was selected.
	err := t.all(ctx, &rows, fmt.Sprintf(`UPDATE outbox SET state = 'pending', attempts = 0, due_at = $%d, settled_at = $%d
		WHERE state = 'dead' AND id IN (SELECT id FROM outbox%s ORDER BY id LIMIT $%d) RETURNING id`,
		n+1, n+2, where, n+3), append(where.args, timestamp{now}, timestamp{}, limit)...)
	if err != nil {
		return nil, fmt.Errorf("requeue dead messages: %w", err)
	}
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	slices.Sort(ids)
	t.effects.enqueued = t.effects.enqueued || len(ids) > 0
	return ids, nil
}

// MessageCounts counts the messages by destination and state.
func (r reader) MessageCounts(ctx context.Context) ([]delivery.Count, error) {
	var rows []struct {
		Channel   string    `db:"channel"`
		WebhookID int64     `db:"webhook_id"`
		State     string    `db:"state"`
		Count     int64     `db:"messages"`
		Oldest    timestamp `db:"oldest"`
	}
	err := r.all(ctx, &rows, `SELECT channel, webhook_id, state, count(*) AS messages, min(created_at) AS oldest
		FROM outbox GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`)
	if err != nil {
		return nil, fmt.Errorf("count messages: %w", err)
	}
	counts := make([]delivery.Count, len(rows))
	for i, row := range rows {
		counts[i] = delivery.Count{
			To:    delivery.Destination{Channel: delivery.Channel(row.Channel), WebhookID: row.WebhookID},
			State: delivery.State(row.State), Count: row.Count, Oldest: row.Oldest.Time,
		}
	}
	return counts, nil
}

// RequeueMessage makes a complete message due at once, with a new set of attempts.
func (t *Tx) RequeueMessage(ctx context.Context, id int64, now time.Time) error {
	_, err := t.exec(ctx, `UPDATE outbox SET state = 'pending', attempts = 0, due_at = $2, settled_at = $3
		WHERE id = $1 AND state <> 'pending'`, id, timestamp{now}, timestamp{})
	t.effects.enqueued = true
	return err
}

// Backlog counts the messages that have not arrived, pending and dead, by channel.
func (r reader) Backlog(ctx context.Context) ([]delivery.Backlog, error) {
	var rows []struct {
		Channel string    `db:"channel"`
		State   string    `db:"state"`
		Count   int64     `db:"messages"`
		Oldest  timestamp `db:"oldest"`
	}
	err := r.all(ctx, &rows, `SELECT channel, state, count(*) AS messages, min(created_at) AS oldest
		FROM outbox WHERE state IN ('pending', 'dead') GROUP BY 1, 2 ORDER BY 1, 2`)
	if err != nil {
		return nil, fmt.Errorf("backlog: %w", err)
	}
	backlog := make([]delivery.Backlog, len(rows))
	for i, row := range rows {
		backlog[i] = delivery.Backlog{
			Channel: delivery.Channel(row.Channel), State: delivery.State(row.State), Count: row.Count, Oldest: row.Oldest.Time,
		}
	}
	return backlog, nil
}
