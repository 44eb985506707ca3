package store

import (
	"context"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// IdempotencyKey is a create that was answered.
type IdempotencyKey struct {
	Caller      string // who used the key; keys of different callers never meet
	Key         string
	Fingerprint string // of the request, keyed; it tells nothing of a password
	UserID      int64  // who was created; the row goes with the user
	Answer      string // the body of the answer
	CreatedAt   time.Time
}

// IdempotencyKey returns what a caller's key was used for since the given time,
// or NotFound.
func (r reader) IdempotencyKey(ctx context.Context, caller, key string, since time.Time) (IdempotencyKey, error) {
	var row struct {
		Fingerprint string    `db:"fingerprint"`
		UserID      int64     `db:"user_id"`
		Answer      string    `db:"answer"`
		CreatedAt   timestamp `db:"created_at"`
	}
	// The release before leaves an empty answer where the user has been deleted.
	err := r.get(ctx, &row, `SELECT fingerprint, user_id, answer, created_at FROM idempotency_keys
		WHERE caller = $1 AND key = $2 AND created_at > $3 AND answer <> ''`, caller, key, timestamp{since})
	if isNoRows(err) {
		return IdempotencyKey{}, identity.Errorf(identity.NotFound, "not_found", "This Idempotency-Key has not been used.")
	}
	return IdempotencyKey{
		Caller: caller, Key: key, Fingerprint: row.Fingerprint, UserID: row.UserID, Answer: row.Answer, CreatedAt: row.CreatedAt.Time,
	}, err
}

// InsertIdempotencyKey keeps an answer and forgets those before the given time.
// A key that is in use is a Conflict.
func (t *Tx) InsertIdempotencyKey(ctx context.Context, k IdempotencyKey, before time.Time) error {
	if _, err := t.exec(ctx, "DELETE FROM idempotency_keys WHERE created_at <= $1", timestamp{before}); err != nil {
		return err
	}
	_, err := t.exec(ctx, `INSERT INTO idempotency_keys (caller, key, fingerprint, user_id, answer, created_at)
		VALUES ($1, $2, $3, $4, $5, $6)`, k.Caller, k.Key, k.Fingerprint, k.UserID, k.Answer, timestamp{k.CreatedAt})
	return err
}
