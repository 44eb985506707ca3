package store

import (
	"context"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// TouchSource stores that a user has signed in from a source, and reports whether the
// source is new: unknown, or not used since a time. Lock the user first.
func (t *Tx) TouchSource(ctx context.Context, userID int64, source string, now, since time.Time,
) (isNew bool, err error) {
	var known bool
	err = t.get(ctx, &known, `SELECT EXISTS
		(SELECT 1 FROM user_sources WHERE user_id = $1 AND source = $2 AND last_seen_at > $3)`,
		userID, source, timestamp{since})
	if err != nil {
		return false, err
	}
	_, err = t.exec(ctx, `INSERT INTO user_sources (user_id, source, first_seen_at, last_seen_at)
		VALUES ($1, $2, $3, $3)
		ON CONFLICT (user_id, source) DO UPDATE SET last_seen_at = excluded.last_seen_at`,
		userID, source, timestamp{now})
	return !known, err
}

// IsKnownSource reports whether there is a user with this address who has signed in from
// a source since a time. It is one query, so that its duration does not reveal whether
// there is such a user.
func (r reader) IsKnownSource(ctx context.Context, email, source string, since time.Time) (bool, error) {
	var known bool
	err := r.get(ctx, &known, `SELECT EXISTS (SELECT 1 FROM user_sources WHERE source = $2 AND last_seen_at > $3
		AND user_id = (SELECT id FROM users WHERE email_folded = $1))`,
		identity.EmailKey(email), source, timestamp{since})
	return known, err
}
