package store

import (
	"context"
	"time"

	"github.com/rosterhq/roster/internal/delivery"
)

// PasswordLink is a mailed link to choose a password.
type PasswordLink struct {
	UserID     int64
	MessageID  int64  // of the message that mails the link
	Digest     string // of the token in the link
	Invitation bool
	CreatedAt  time.Time
	ExpiresAt  time.Time
}

// InsertPasswordReset stores a link to choose a password.
func (t *Tx) InsertPasswordReset(ctx context.Context, l PasswordLink) error {
	_, err := t.exec(ctx, `INSERT INTO password_resets (digest, user_id, message_id, invitation, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6)`,
		l.Digest, l.UserID, l.MessageID, l.Invitation, timestamp{l.CreatedAt}, timestamp{l.ExpiresAt})
	return err
}

// VoidInvitations deletes the invitations of a user, also those that are not mailed yet.
func (t *Tx) VoidInvitations(ctx context.Context, userID int64) error {
	if _, err := t.exec(ctx, "DELETE FROM password_resets WHERE user_id = $1 AND invitation", userID); err != nil {
		return err
	}
	_, err := t.exec(ctx, "DELETE FROM outbox WHERE user_id = $1 AND channel = 'mail' AND topic = $2",
		userID, string(delivery.MailInvitation))
	return err
}

// DeletePasswordReset deletes the link that an earlier attempt of a message has mailed.
func (t *Tx) DeletePasswordReset(ctx context.Context, userID, messageID int64) error {
	_, err := t.exec(ctx, "DELETE FROM password_resets WHERE user_id = $1 AND message_id = $2", userID, messageID)
	return err
}

// PasswordResetCount returns how many links a user has been sent since a time, without
// invitations.
func (r reader) PasswordResetCount(ctx context.Context, userID int64, since time.Time) (int, error) {
	var n int
	err := r.get(ctx, &n, "SELECT count(*) FROM password_resets WHERE user_id = $1 AND created_at > $2 AND NOT invitation",
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
