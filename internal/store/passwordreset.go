package store

import (
	"context"
	"time"
)

// InsertPasswordReset stores the link to choose a new password that a message is mailed
// with, by the digest of its token.
func (t *Tx) InsertPasswordReset(ctx context.Context, userID, messageID int64, digest string, now, expiresAt time.Time,
) error {
	_, err := t.exec(ctx, `INSERT INTO password_resets (digest, user_id, message_id, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5)`, digest, userID, messageID, timestamp{now}, timestamp{expiresAt})
	return err
}

// DeletePasswordReset forgets the link that a message was mailed with before.
func (t *Tx) DeletePasswordReset(ctx context.Context, userID, messageID int64) error {
	_, err := t.exec(ctx, "DELETE FROM password_resets WHERE user_id = $1 AND message_id = $2", userID, messageID)
	return err
}

// PasswordResets counts the links that a user was sent since a time.
func (r reader) PasswordResets(ctx context.Context, userID int64, since time.Time) (int, error) {
	var n int
	err := r.get(ctx, &n, "SELECT count(*) FROM password_resets WHERE user_id = $1 AND created_at > $2", userID, timestamp{since})
	return n, err
}

// PasswordReset returns whose password a link is for, or NotFound.
func (r reader) PasswordReset(ctx context.Context, digest string, now time.Time) (userID int64, err error) {
	err = r.get(ctx, &userID, "SELECT user_id FROM password_resets WHERE digest = $1 AND expires_at > $2", digest, timestamp{now})
	return userID, one(err, "password reset", 0)
}

// UsePasswordReset forgets a link and tells whether it was there.
func (t *Tx) UsePasswordReset(ctx context.Context, digest string) (bool, error) {
	deleted, err := t.exec(ctx, "DELETE FROM password_resets WHERE digest = $1", digest)
	return deleted > 0, err
}
