package store

import (
	"context"

	"github.com/rosterhq/roster/internal/identity"
)

const challengeColumns = "id, user_id, coalesce(session_id, 0) AS session_id, provider, wrong_codes, expires_at, " +
	"tried_at, code_digest"

type challengeRow struct {
	ID         int64     `db:"id"`
	UserID     int64     `db:"user_id"`
	SessionID  int64     `db:"session_id"`
	Provider   string    `db:"provider"`
	WrongCodes int       `db:"wrong_codes"`
	ExpiresAt  timestamp `db:"expires_at"`
	TriedAt    timestamp `db:"tried_at"`
	CodeDigest string    `db:"code_digest"`
}

func (r challengeRow) challenge() identity.Challenge {
	return identity.Challenge{
		ID: r.ID, UserID: r.UserID, SessionID: r.SessionID, Provider: identity.Provider(r.Provider),
		WrongCodes: r.WrongCodes, ExpiresAt: r.ExpiresAt.Time, TriedAt: r.TriedAt.Time,
	}
}

// InsertChallenge stores a sign-in or a session that waits for its second factor, with
// the digest of the challenge's token, and returns the challenge's id.
func (t *Tx) InsertChallenge(ctx context.Context, c identity.Challenge, digest string) (int64, error) {
	var id int64
	err := t.get(ctx, &id, `INSERT INTO challenges (digest, user_id, session_id, provider, expires_at, tried_at)
		VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`,
		digest, c.UserID, orNull(c.SessionID), string(c.Provider), timestamp{c.ExpiresAt}, timestamp{c.TriedAt})
	return id, err
}

// Challenge returns the challenge of a sign-in by the digest of its token, or NotFound.
func (r reader) Challenge(ctx context.Context, digest string) (identity.Challenge, error) {
	var row challengeRow
	err := r.get(ctx, &row,
		"SELECT "+challengeColumns+" FROM challenges WHERE digest = $1 AND session_id IS NULL", digest)
	return row.challenge(), one(err, "challenge", 0)
}

// ChallengeForUpdate returns a challenge and the digest of the code that was mailed for
// it ("" where none was), and locks the challenge until the transaction ends. A
// challenge that has been answered is NotFound.
func (t *Tx) ChallengeForUpdate(ctx context.Context, id int64) (c identity.Challenge, codeDigest string, err error) {
	var row challengeRow
	err = t.get(ctx, &row, "SELECT "+challengeColumns+" FROM challenges WHERE id = $1"+t.pool.engine.forUpdate, id)
	return row.challenge(), row.CodeDigest, one(err, "challenge", id)
}

// SessionChallengeForUpdate is ChallengeForUpdate by the id of the session.
func (t *Tx) SessionChallengeForUpdate(ctx context.Context, sessionID int64,
) (c identity.Challenge, codeDigest string, err error) {
	var row challengeRow
	err = t.get(ctx, &row,
		"SELECT "+challengeColumns+" FROM challenges WHERE session_id = $1"+t.pool.engine.forUpdate, sessionID)
	return row.challenge(), row.CodeDigest, one(err, "challenge of session", sessionID)
}

// DeleteSessionChallenges deletes the challenges of a session.
func (t *Tx) DeleteSessionChallenges(ctx context.Context, sessionID int64) error {
	_, err := t.exec(ctx, "DELETE FROM challenges WHERE session_id = $1", sessionID)
	return err
}

// SetChallengeCode stores the digest of the code that is mailed for a challenge.
func (t *Tx) SetChallengeCode(ctx context.Context, id int64, codeDigest string) error {
	_, err := t.exec(ctx, "UPDATE challenges SET code_digest = $2 WHERE id = $1", id, codeDigest)
	return err
}

// CountWrongCode adds one to the wrong codes of a challenge.
func (t *Tx) CountWrongCode(ctx context.Context, id int64) error {
	_, err := t.exec(ctx, "UPDATE challenges SET wrong_codes = wrong_codes + 1 WHERE id = $1", id)
	return err
}

// DeleteChallenge deletes a challenge that has been answered.
func (t *Tx) DeleteChallenge(ctx context.Context, id int64) error {
	_, err := t.exec(ctx, "DELETE FROM challenges WHERE id = $1", id)
	return err
}
