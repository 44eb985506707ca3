package store

import (
	"context"

	"github.com/rosterhq/roster/internal/identity"
)

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
