package store

import (
	"context"
	"fmt"
	"time"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
)

const sessionColumns = "id, created_at, last_used_at, expires_at, fresh_until, source, client"

type sessionRow struct {
	ID         int64     `db:"id"`
	CreatedAt  timestamp `db:"created_at"`
	LastUsedAt timestamp `db:"last_used_at"`
	ExpiresAt  timestamp `db:"expires_at"`
	FreshUntil timestamp `db:"fresh_until"`
	Source     string    `db:"source"`
	Client     string    `db:"client"`
}

// Sessions returns one page of a user's sessions that have not expired, the latest
// first, and how many there are.
func (r reader) Sessions(ctx context.Context, userID int64, now time.Time, page identity.Page,
) ([]identity.Session, int64, error) {
	var total int64
	err := r.get(ctx, &total, "SELECT count(*) FROM sessions WHERE user_id = $1 AND expires_at > $2",
		userID, timestamp{now})
	if err != nil {
		return nil, 0, fmt.Errorf("count sessions: %w", err)
	}
	var rows []sessionRow
	err = r.all(ctx, &rows, "SELECT "+sessionColumns+` FROM sessions WHERE user_id = $1 AND expires_at > $2
		ORDER BY id DESC LIMIT $3 OFFSET $4`, userID, timestamp{now}, page.Limit, page.Offset)
	if err != nil {
		return nil, 0, fmt.Errorf("list sessions: %w", err)
	}
	sessions := make([]identity.Session, len(rows))
	for i, row := range rows {
		sessions[i] = identity.Session{
			ID: row.ID, CreatedAt: row.CreatedAt.Time, LastUsedAt: row.LastUsedAt.Time, ExpiresAt: row.ExpiresAt.Time,
			FreshUntil: row.FreshUntil.Time, Source: row.Source, Client: row.Client,
		}
	}
	return sessions, total, nil
}

// InsertSession stores a new session of a user and returns its id.
func (t *Tx) InsertSession(ctx context.Context, userID int64, s identity.Session) (int64, error) {
	var id int64
	err := t.get(ctx, &id, `INSERT INTO sessions
			(user_id, created_at, last_used_at, expires_at, fresh_until, source, client)
		VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id`,
		userID, timestamp{s.CreatedAt}, timestamp{s.LastUsedAt}, timestamp{s.ExpiresAt}, timestamp{s.FreshUntil},
		s.Source, s.Client)
	return id, err
}

// ExtendSession sets when a session expires and deletes its expired access tokens.
func (t *Tx) ExtendSession(ctx context.Context, id int64, now, expiresAt time.Time) error {
	_, err := t.exec(ctx, "DELETE FROM tokens WHERE session_id = $1 AND expires_at <= $2", id, timestamp{now})
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, "UPDATE sessions SET expires_at = $2 WHERE id = $1", id, timestamp{expiresAt})
	return err
}

// HoldSession makes a session one of a browser: it has no refresh token, and its access token
// ends with it. See ExtendHeld.
func (t *Tx) HoldSession(ctx context.Context, id, tokenID int64, idle time.Duration, expiresAt time.Time) error {
	if _, err := t.exec(ctx, "DELETE FROM refresh_tokens WHERE session_id = $1", id); err != nil {
		return err
	}
	_, err := t.exec(ctx, "UPDATE sessions SET idle_seconds = $2 WHERE id = $1", id, int64(idle.Seconds()))
	if err != nil {
		return err
	}
	return t.ExtendHeld(ctx, id, tokenID, expiresAt)
}

// ExtendHeld sets when a held session and its access token expire.
func (t *Tx) ExtendHeld(ctx context.Context, id, tokenID int64, expiresAt time.Time) error {
	_, err := t.exec(ctx, "UPDATE sessions SET expires_at = $2 WHERE id = $1", id, timestamp{expiresAt})
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, "UPDATE tokens SET expires_at = $2 WHERE id = $1 AND session_id = $3",
		tokenID, timestamp{expiresAt}, id)
	t.tokenTouched(tokenID)
	return err
}

// FreshenSession makes a session of a user fresh until a time.
func (t *Tx) FreshenSession(ctx context.Context, id, userID int64, until time.Time) error {
	_, err := t.exec(ctx, "UPDATE sessions SET fresh_until = $2 WHERE id = $1", id, timestamp{until})
	t.accessChanged(userID)
	return err
}

// DeleteSession deletes a session of a user with all its tokens and reports whether it
// existed.
func (t *Tx) DeleteSession(ctx context.Context, id, userID int64) (bool, error) {
	deleted, err := t.exec(ctx, "DELETE FROM sessions WHERE id = $1 AND user_id = $2", id, userID)
	t.accessChanged(userID)
	return deleted > 0, err
}

// EndSessions deletes all sessions of a user except one (0 for none), and all else that
// rests on the user's password: sign-ins that wait for a second factor, links to choose
// another password, and the mails that deliver a code or such a link. Invitations stay.
func (t *Tx) EndSessions(ctx context.Context, userID, exceptID int64) error {
	if _, err := t.exec(ctx, "DELETE FROM sessions WHERE user_id = $1 AND id <> $2", userID, exceptID); err != nil {
		return err
	}
	t.accessChanged(userID)
	if _, err := t.exec(ctx, "DELETE FROM challenges WHERE user_id = $1", userID); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "DELETE FROM password_resets WHERE user_id = $1 AND NOT invitation", userID); err != nil {
		return err
	}
	_, err := t.exec(ctx, "DELETE FROM outbox WHERE user_id = $1 AND channel = 'mail' AND topic IN ($2, $3)",
		userID, string(delivery.MailPasswordReset), string(delivery.MailSigninCode))
	return err
}

// HoldsSessions reports whether there is anything that EndSessions would delete, mails aside.
func (r reader) HoldsSessions(ctx context.Context, userID, exceptID int64) (bool, error) {
	var holds bool
	err := r.get(ctx, &holds, `SELECT EXISTS (SELECT 1 FROM sessions WHERE user_id = $1 AND id <> $2)
		OR EXISTS (SELECT 1 FROM challenges WHERE user_id = $1)
		OR EXISTS (SELECT 1 FROM password_resets WHERE user_id = $1 AND NOT invitation)`, userID, exceptID)
	return holds, err
}

// InsertRefreshToken stores the digest of a new refresh token of a session.
func (t *Tx) InsertRefreshToken(ctx context.Context, sessionID int64, digest string, expiresAt time.Time) error {
	_, err := t.exec(ctx, "INSERT INTO refresh_tokens (session_id, digest, expires_at) VALUES ($1, $2, $3)",
		sessionID, digest, timestamp{expiresAt})
	return err
}

// RefreshToken returns a refresh token by its digest, or NotFound.
func (r reader) RefreshToken(ctx context.Context, digest string) (identity.RefreshToken, error) {
	return r.refreshToken(ctx, selectRefresh, digest)
}

// RefreshTokenForUpdate is RefreshToken, and locks the token until the transaction ends.
func (t *Tx) RefreshTokenForUpdate(ctx context.Context, digest string) (identity.RefreshToken, error) {
	return t.refreshToken(ctx, selectRefresh+t.pool.engine.forUpdate, digest)
}

const selectRefresh = `SELECT id, session_id, (SELECT user_id FROM sessions WHERE sessions.id = session_id) AS user_id,
		(SELECT created_at FROM sessions WHERE sessions.id = session_id) AS signed_in_at, expires_at, used_at
	FROM refresh_tokens WHERE digest = $1`

func (r reader) refreshToken(ctx context.Context, query, digest string) (identity.RefreshToken, error) {
	var row struct {
		ID        int64     `db:"id"`
		SessionID int64     `db:"session_id"`
		UserID    int64     `db:"user_id"`
		SignedIn  timestamp `db:"signed_in_at"`
		ExpiresAt timestamp `db:"expires_at"`
		UsedAt    timestamp `db:"used_at"`
	}
	err := r.get(ctx, &row, query, digest)
	return identity.RefreshToken{
		ID: row.ID, SessionID: row.SessionID, UserID: row.UserID, SignedInAt: row.SignedIn.Time,
		ExpiresAt: row.ExpiresAt.Time, UsedAt: row.UsedAt.Time,
	}, one(err, "refresh token", 0)
}

// UseRefreshToken stores when a refresh token was used.
func (t *Tx) UseRefreshToken(ctx context.Context, id int64, now time.Time) error {
	_, err := t.exec(ctx, "UPDATE refresh_tokens SET used_at = $2 WHERE id = $1", id, timestamp{now})
	return err
}

// SetLastSignin stores when a user has signed in. The version of the user stays.
func (t *Tx) SetLastSignin(ctx context.Context, userID int64, now time.Time) error {
	_, err := t.exec(ctx, "UPDATE signins SET last_signin_at = $2 WHERE id = $1", userID, timestamp{now})
	return err
}

// Prune deletes what has expired: sessions with their tokens, challenges, links, counts
// of attempts, answers kept for repetition, replaced secrets of webhooks, jobs that were not
// started or have ended, and messages that were completed long ago. It also adds up the counts
// of users that many writers have spread.
func (t *Tx) Prune(ctx context.Context, now time.Time) error {
	const throttled = 24 * time.Hour // no window and no lock is longer
	for _, expired := range []struct {
		statement string
		before    time.Time
	}{
		{"DELETE FROM sessions WHERE expires_at <= $1", now},
		{"DELETE FROM tokens WHERE session_id IS NOT NULL AND expires_at <= $1", now},
		{"DELETE FROM refresh_tokens WHERE expires_at <= $1", now},
		{"DELETE FROM challenges WHERE expires_at <= $1", now},
		{"DELETE FROM password_resets WHERE expires_at <= $1", now},
		{"DELETE FROM throttles WHERE started_at <= $1", now.Add(-throttled)},
		// From a clock that was ahead and has been corrected.
		{"DELETE FROM throttles WHERE started_at > $1", now.Add(throttled)},
		{"DELETE FROM user_sources WHERE last_seen_at <= $1", now.Add(-identity.SourcePeriod)},
		{"DELETE FROM idempotency_keys WHERE created_at <= $1", now.Add(-identity.IdempotencyPeriod)},
		{"DELETE FROM webhook_old_secrets WHERE until <= $1", now},
		{"UPDATE webhooks SET old_secret = '' WHERE old_secret <> '' AND old_secret_until <= $1", now},
		{"DELETE FROM jobs WHERE state = 'planned' AND created_at <= $1", now.Add(-identity.PlanPeriod)},
		{
			"DELETE FROM jobs WHERE state NOT IN ('planned', 'running') AND finished_at <= $1",
			now.Add(-identity.JobPeriod),
		},
		{"DELETE FROM outbox WHERE state <> 'pending' AND settled_at <= $1", now.Add(-delivery.KeepPeriod)},
	} {
		if _, err := t.exec(ctx, expired.statement, timestamp{expired.before}); err != nil {
			return err
		}
	}
	if t.pool.engine.foldCounts == "" {
		return nil
	}
	_, err := t.exec(ctx, t.pool.engine.foldCounts)
	return err
}
