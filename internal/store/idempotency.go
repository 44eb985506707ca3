package store

import (
	"context"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// IdempotencyKey holds the answer to the creation of a user, to be repeated.
type IdempotencyKey struct {
	Caller      string // a key is unique per caller
	Key         string
	Fingerprint string // keyed digest of the request, which reveals nothing of a password
	UserID      int64  // the user that was created; the row is deleted with the user
	Answer      string // the body of the answer
	CreatedAt   time.Time
}

// IdempotencyKey returns what a caller has used a key for since a time, or NotFound.
func (r reader) IdempotencyKey(ctx context.Context, caller, key string, since time.Time) (IdempotencyKey, error) {
	var row struct {
		Fingerprint string    `db:"fingerprint"`
		UserID      int64     `db:"user_id"`
		Answer      string    `db:"answer"`
		CreatedAt   timestamp `db:"created_at"`
	}
	// An earlier release leaves an empty answer where the user has been deleted.
	err := r.get(ctx, &row, `SELECT fingerprint, user_id, answer, created_at FROM idempotency_keys
		WHERE caller = $1 AND key = $2 AND created_at > $3 AND answer <> ''`, caller, key, timestamp{since})
	if isNoRows(err) {
		return IdempotencyKey{}, identity.Errorf(identity.NotFound, "not_found", "This key has not been used.")
	}
	return IdempotencyKey{
		Caller: caller, Key: key, Fingerprint: row.Fingerprint, UserID: row.UserID, Answer: row.Answer,
		CreatedAt: row.CreatedAt.Time,
	}, err
}

// InsertIdempotencyKey stores an answer and deletes those from before a time. A key that
// the caller has used since is a Conflict.
func (t *Tx) InsertIdempotencyKey(ctx context.Context, k IdempotencyKey, before time.Time) error {
	if _, err := t.exec(ctx, "DELETE FROM idempotency_keys WHERE created_at <= $1", timestamp{before}); err != nil {
		return err
	}
	_, err := t.exec(ctx, `INSERT INTO idempotency_keys (caller, key, fingerprint, user_id, answer, created_at)
		VALUES ($1, $2, $3, $4, $5, $6)`, k.Caller, k.Key, k.Fingerprint, k.UserID, k.Answer, timestamp{k.CreatedAt})
	return err
}
