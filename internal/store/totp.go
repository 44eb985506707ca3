package store

import (
	"context"

	"github.com/rosterhq/roster/internal/identity"
)

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
		ON CONFLICT (user_id) DO UPDATE
			SET secret = excluded.secret, confirmed_at = excluded.confirmed_at, last_step = excluded.last_step`,
		totp.UserID, totp.Secret, timestamp{totp.ConfirmedAt}, totp.LastStep)
	return err
}

// UseTOTPStep stores that the code of a step has been used. It returns false if one of
// that step or of a later one has been used before.
func (t *Tx) UseTOTPStep(ctx context.Context, userID, step int64) (bool, error) {
	used, err := t.exec(ctx, "UPDATE totp SET last_step = $2 WHERE user_id = $1 AND last_step < $2", userID, step)
	return used > 0, err
}

// DeleteTOTP deletes a user's authenticator and recovery codes and reports whether there
// was an authenticator.
func (t *Tx) DeleteTOTP(ctx context.Context, userID int64) (bool, error) {
	if _, err := t.exec(ctx, "DELETE FROM recovery_codes WHERE user_id = $1", userID); err != nil {
		return false, err
	}
	deleted, err := t.exec(ctx, "DELETE FROM totp WHERE user_id = $1", userID)
	return deleted > 0, err
}

// ReplaceRecoveryCodes stores the digests of a user's recovery codes in place of earlier
// ones.
func (t *Tx) ReplaceRecoveryCodes(ctx context.Context, userID int64, digests []string) error {
	if _, err := t.exec(ctx, "DELETE FROM recovery_codes WHERE user_id = $1", userID); err != nil {
		return err
	}
	for _, digest := range digests {
		_, err := t.exec(ctx, "INSERT INTO recovery_codes (user_id, digest) VALUES ($1, $2)", userID, digest)
		if err != nil {
			return err
		}
	}
	return nil
}

// RecoveryCodeCount returns how many recovery codes a user has left.
func (r reader) RecoveryCodeCount(ctx context.Context, userID int64) (int64, error) {
	var n int64
	err := r.get(ctx, &n, "SELECT count(*) FROM recovery_codes WHERE user_id = $1", userID)
	return n, err
}

// UseRecoveryCode deletes a recovery code and reports whether it existed.
func (t *Tx) UseRecoveryCode(ctx context.Context, userID int64, digest string) (bool, error) {
	deleted, err := t.exec(ctx, "DELETE FROM recovery_codes WHERE user_id = $1 AND digest = $2", userID, digest)
	return deleted > 0, err
}
