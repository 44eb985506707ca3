package store

import (
	"context"
	"time"
)

// InsertPasswordReset stores the digest of the token of a link to choose a new password,
// and the id of the message that mails the link.
func (t *Tx) InsertPasswordReset(ctx context.Context, userID, messageID int64, digest string, now, expiresAt time.Time,
) error {
	_, err := t.exec(ctx, `INSERT INTO password_resets (digest, user_id, message_id, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5)`, digest, userID, messageID, timestamp{now}, timestamp{expiresAt})
	return err
}

// DeletePasswordReset deletes the link that an earlier attempt of a message has mailed.
func (t *Tx) DeletePasswordReset(ctx context.Context, userID, messageID int64) error {
	_, err := t.exec(ctx, "DELETE FROM password_resets WHERE user_id = $1 AND message_id = $2", userID, messageID)
	return err
}

// PasswordResetCount returns how many links a user has been sent since a time.
func (r reader) PasswordResetCount(ctx context.Context, userID int64, since time.Time) (int, error) {
	var n int
	err := r.get(ctx, &n, "SELECT count(*) FROM password_resets WHERE user_id = $1 AND created_at > $2",
		userID, timestamp{since})
	return n, err
}

// PasswordReset returns the user whose password a link is for. A link that is unknown or
// expired is NotFound.
func (r reader) PasswordReset(ctx context.Context, digest string, now time.Time) (userID int64, err error) {
	err = r.get(ctx, &userID, "SELECT user_id FROM password_resets WHERE digest = $1 AND expires_at > $2",
		digest, timestamp{now})
	return userID, one(err, "password reset", 0)
}

// UsePasswordReset deletes a link and reports whether it existed.
func (t *Tx) UsePasswordReset(ctx context.Context, digest string) (bool, error) {
	deleted, err := t.exec(ctx, "DELETE FROM password_resets WHERE digest = $1", digest)
	return deleted > 0, err
}
