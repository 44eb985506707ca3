package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

type throttleRow struct {
	Tries       string    `db:"tries"`
	LatestAt    timestamp `db:"started_at"`
	LockedUntil timestamp `db:"locked_until"`
}

func (r throttleRow) throttle() (identity.Throttle, error) {
	tries, err := triesFrom(r.Tries)
	return identity.Throttle{Tries: tries, LatestAt: r.LatestAt.Time, LockedUntil: r.LockedUntil.Time}, err
}

// LockThrottle returns the count of attempts under a key and locks it until the
// transaction ends. It inserts an empty one where there is none.
func (t *Tx) LockThrottle(ctx context.Context, key string) (identity.Throttle, error) {
	var row throttleRow
	err := t.get(ctx, &row, `INSERT INTO throttles (key, started_at, attempts, failures, locked_until)
		VALUES ($1, $2, 0, 0, $2)
		ON CONFLICT (key) DO UPDATE SET attempts = throttles.attempts RETURNING tries, started_at, locked_until`,
		key, timestamp{})
	if err != nil {
		return identity.Throttle{}, err
	}
	return row.throttle()
}

// SetThrottle stores the count of attempts under a key, which LockThrottle has locked, and
// until when it blocks the user with an address; the address is "" where it blocks no user.
// It is one statement, so that it takes the same time with and without a user.
func (t *Tx) SetThrottle(ctx context.Context, key string, throttle identity.Throttle, email string,
	blockedUntil time.Time,
) error {
	_, err := t.exec(ctx, `UPDATE throttles SET tries = $2, started_at = $3, locked_until = $4, blocked_until = $5,
			user_id = coalesce((SELECT id FROM users WHERE email_folded = $6), 0)
		WHERE key = $1`,
		key, triesText(throttle.Tries), timestamp{throttle.LatestAt}, timestamp{throttle.LockedUntil},
		timestamp{blockedUntil}, identity.EmailKey(email))
	return err
}

// ReleaseThrottles records that no count of attempts keeps a user out any more, except the one
// under a key. The counts go on.
func (t *Tx) ReleaseThrottles(ctx context.Context, userID int64, exceptKey string) error {
	_, err := t.exec(ctx, "UPDATE throttles SET user_id = 0 WHERE user_id = $1 AND user_id <> 0 AND key <> $2",
		userID, exceptKey)
	return err
}

// Throttle returns the count of attempts under a key; the zero Throttle where there is none.
func (r reader) Throttle(ctx context.Context, key string) (identity.Throttle, error) {
	var row throttleRow
	err := r.get(ctx, &row, "SELECT tries, started_at, locked_until FROM throttles WHERE key = $1", key)
	if isNoRows(err) {
		return identity.Throttle{}, nil
	}
	if err != nil {
		return identity.Throttle{}, err
	}
	return row.throttle()
}

// BlockedUntil returns until when a user is blocked, from one address at least; a time in
// the past if nothing blocks the user.
func (r reader) BlockedUntil(ctx context.Context, userID int64) (time.Time, error) {
	var until timestamp
	err := r.get(ctx, &until, "SELECT max(blocked_until) FROM throttles WHERE user_id = $1 AND user_id <> 0", userID)
	return until.Time, err
}

// failedMark is the suffix of the time of a try that has failed.
const failedMark = "x"

func triesText(tries []identity.Try) string {
	fields := make([]string, len(tries))
	for i, try := range tries {
		fields[i] = strconv.FormatInt(try.At.UnixMicro(), 10)
		if try.Failed {
			fields[i] += failedMark
		}
	}
	return strings.Join(fields, " ")
}

func triesFrom(text string) ([]identity.Try, error) {
	var tries []identity.Try
	for field := range strings.FieldsSeq(text) {
		digits, failed := strings.CutSuffix(field, failedMark)
		micro, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("tries of a throttle: %w", err)
		}
		tries = append(tries, identity.Try{At: time.UnixMicro(micro).UTC(), Failed: failed})
	}
	return tries, nil
}
