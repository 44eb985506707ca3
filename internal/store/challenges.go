package store

import (
	"context"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

const challengeColumns = "id, user_id, provider, wrong_codes, expires_at, code_digest"

type challengeRow struct {
	ID         int64     `db:"id"`
	UserID     int64     `db:"user_id"`
	Provider   string    `db:"provider"`
	WrongCodes int       `db:"wrong_codes"`
	ExpiresAt  timestamp `db:"expires_at"`
	CodeDigest string    `db:"code_digest"`
}

func (r challengeRow) challenge() identity.Challenge {
	return identity.Challenge{
		ID: r.ID, UserID: r.UserID, Provider: identity.Provider(r.Provider), WrongCodes: r.WrongCodes, ExpiresAt: r.ExpiresAt.Time,
	}
}

// InsertChallenge stores a sign-in that waits for its second factor, by the
// digest of its token, and returns its id.
func (t *Tx) InsertChallenge(ctx context.Context, c identity.Challenge, digest string) (int64, error) {
	var id int64
	err := t.get(ctx, &id, "INSERT INTO challenges (digest, user_id, provider, expires_at) VALUES ($1, $2, $3, $4) RETURNING id",
		digest, c.UserID, string(c.Provider), timestamp{c.ExpiresAt})
	return id, err
}

// Challenge finds a challenge by the digest of its token, or NotFound.
func (r reader) Challenge(ctx context.Context, digest string) (identity.Challenge, error) {
	var row challengeRow
	err := r.get(ctx, &row, "SELECT "+challengeColumns+" FROM challenges WHERE digest = $1", digest)
	return row.challenge(), one(err, "challenge", 0)
}

// ChallengeForUpdate returns a challenge and the digest of the code that was
// mailed for it ("" for none), and keeps others from answering it until the
// transaction ends. It is NotFound once it has been answered.
func (t *Tx) ChallengeForUpdate(ctx context.Context, id int64) (c identity.Challenge, codeDigest string, err error) {
	var row challengeRow
	err = t.get(ctx, &row, "SELECT "+challengeColumns+" FROM challenges WHERE id = $1"+t.pool.engine.forUpdate, id)
	return row.challenge(), row.CodeDigest, one(err, "challenge", id)
}

// SetChallengeCode stores the digest of the code that is being mailed.
func (t *Tx) SetChallengeCode(ctx context.Context, id int64, codeDigest string) error {
	_, err := t.exec(ctx, "UPDATE challenges SET code_digest = $2 WHERE id = $1", id, codeDigest)
	return err
}

// CountWrongCode counts a wrong code.
func (t *Tx) CountWrongCode(ctx context.Context, id int64) error {
	_, err := t.exec(ctx, "UPDATE challenges SET wrong_codes = wrong_codes + 1 WHERE id = $1", id)
	return err
}

// DeleteChallenge forgets a challenge that has been answered.
func (t *Tx) DeleteChallenge(ctx context.Context, id int64) error {
	_, err := t.exec(ctx, "DELETE FROM challenges WHERE id = $1", id)
	return err
}

// TOTP returns a user's authenticator, confirmed or not, or NotFound.
func (r reader) TOTP(ctx context.Context, userID int64) (identity.TOTP, error) {
	var row struct {
		Secret      string    `db:"secret"`
		ConfirmedAt timestamp `db:"confirmed_at"`
		LastStep    int64     `db:"last_step"`
	}
	err := r.get(ctx, &row, "SELECT secret, confirmed_at, last_step FROM totp WHERE user_id = $1", userID)
	return identity.TOTP{
		UserID: userID, Secret: row.Secret, ConfirmedAt: row.ConfirmedAt.Time, LastStep: row.LastStep,
	}, one(err, "authenticator of user", userID)
}

// ReplaceTOTP stores a user's authenticator in place of an earlier one.
func (t *Tx) ReplaceTOTP(ctx context.Context, totp identity.TOTP) error {
	_, err := t.exec(ctx, `INSERT INTO totp (user_id, secret, confirmed_at, last_step) VALUES ($1, $2, $3, $4)
		ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, confirmed_at = excluded.confirmed_at, last_step = excluded.last_step`,
		totp.UserID, totp.Secret, timestamp{totp.ConfirmedAt}, totp.LastStep)
	return err
}

// UseTOTPStep records that the code of a step has been taken, and reports false
// if one of that step or a later one was taken before.
func (t *Tx) UseTOTPStep(ctx context.Context, userID, step int64) (bool, error) {
	used, err := t.exec(ctx, "UPDATE totp SET last_step = $2 WHERE user_id = $1 AND last_step < $2", userID, step)
	return used > 0, err
}

// DeleteTOTP forgets a user's authenticator and recovery codes and tells
// whether there was one.
func (t *Tx) DeleteTOTP(ctx context.Context, userID int64) (bool, error) {
	if _, err := t.exec(ctx, "DELETE FROM recovery_codes WHERE user_id = $1", userID); err != nil {
		return false, err
	}
	deleted, err := t.exec(ctx, "DELETE FROM totp WHERE user_id = $1", userID)
	return deleted > 0, err
}

// ReplaceRecoveryCodes stores a user's recovery codes by their digests.
func (t *Tx) ReplaceRecoveryCodes(ctx context.Context, userID int64, digests []string) error {
	if _, err := t.exec(ctx, "DELETE FROM recovery_codes WHERE user_id = $1", userID); err != nil {
		return err
	}
	for _, digest := range digests {
		if _, err := t.exec(ctx, "INSERT INTO recovery_codes (user_id, digest) VALUES ($1, $2)", userID, digest); err != nil {
			return err
		}
	}
	return nil
}

// UseRecoveryCode forgets a recovery code and tells whether it was there.
func (t *Tx) UseRecoveryCode(ctx context.Context, userID int64, digest string) (bool, error) {
	deleted, err := t.exec(ctx, "DELETE FROM recovery_codes WHERE user_id = $1 AND digest = $2", userID, digest)
	return deleted > 0, err
}

// InsertPasswordReset stores a link to choose a new password, by the digest of
// its token.
func (t *Tx) InsertPasswordReset(ctx context.Context, userID int64, digest string, now, expiresAt time.Time) error {
	_, err := t.exec(ctx, "INSERT INTO password_resets (digest, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
		digest, userID, timestamp{now}, timestamp{expiresAt})
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

// Throttle returns what is counted under a key, and keeps others from counting
// until the transaction ends.
func (t *Tx) Throttle(ctx context.Context, key string) (identity.Throttle, error) {
	var row struct {
		StartedAt   timestamp `db:"started_at"`
		Attempts    int       `db:"attempts"`
		Failures    int       `db:"failures"`
		LockedUntil timestamp `db:"locked_until"`
	}
	err := t.get(ctx, &row, `INSERT INTO throttles (key, started_at, attempts, failures, locked_until) VALUES ($1, $2, 0, 0, $2)
		ON CONFLICT (key) DO UPDATE SET attempts = throttles.attempts RETURNING started_at, attempts, failures, locked_until`,
		key, timestamp{})
	return identity.Throttle{
		StartedAt: row.StartedAt.Time, Attempts: row.Attempts, Failures: row.Failures, LockedUntil: row.LockedUntil.Time,
	}, err
}

// SetThrottle stores what is counted under a key.
func (t *Tx) SetThrottle(ctx context.Context, key string, throttle identity.Throttle) error {
	_, err := t.exec(ctx, "UPDATE throttles SET started_at = $2, attempts = $3, failures = $4, locked_until = $5 WHERE key = $1",
		key, timestamp{throttle.StartedAt}, throttle.Attempts, throttle.Failures, timestamp{throttle.LockedUntil})
	return err
}

// SecretKey returns the key that this database was made with.
func (r reader) SecretKey(ctx context.Context) (string, error) {
	var key string
	err := r.get(ctx, &key, "SELECT key FROM secret_keys")
	return key, err
}
