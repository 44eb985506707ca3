package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// LockThrottle returns the count of attempts under a key and locks it until the
// transaction ends. It inserts an empty one where there is none.
func (t *Tx) LockThrottle(ctx context.Context, key string) (identity.Throttle, error) {
	var row struct {
		Tries       string    `db:"tries"`
		LatestAt    timestamp `db:"started_at"`
		LockedUntil timestamp `db:"locked_until"`
	}
	err := t.get(ctx, &row, `INSERT INTO throttles (key, started_at, attempts, failures, locked_until)
		VALUES ($1, $2, 0, 0, $2)
		ON CONFLICT (key) DO UPDATE SET attempts = throttles.attempts RETURNING tries, started_at, locked_until`,
		key, timestamp{})
	if err != nil {
		return identity.Throttle{}, err
	}
	tries, err := triesFrom(row.Tries)
	return identity.Throttle{Tries: tries, LatestAt: row.LatestAt.Time, LockedUntil: row.LockedUntil.Time}, err
}

// SetThrottle stores the count of attempts under a key, which LockThrottle has locked.
func (t *Tx) SetThrottle(ctx context.Context, key string, throttle identity.Throttle) error {
	_, err := t.exec(ctx, "UPDATE throttles SET tries = $2, started_at = $3, locked_until = $4 WHERE key = $1",
		key, triesText(throttle.Tries), timestamp{throttle.LatestAt}, timestamp{throttle.LockedUntil})
	return err
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
