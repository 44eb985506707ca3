package store

import (
	"context"
	"fmt"
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

// Sources returns one page of the sources that a user has signed in from since a time, the
// latest first, and how many there are.
func (r reader) Sources(ctx context.Context, userID int64, since time.Time, page identity.Page,
) ([]identity.Source, int64, error) {
	var total int64
	err := r.get(ctx, &total, "SELECT count(*) FROM user_sources WHERE user_id = $1 AND last_seen_at > $2",
		userID, timestamp{since})
	if err != nil {
		return nil, 0, fmt.Errorf("count sources: %w", err)
	}
	var rows []struct {
		Source      string    `db:"source"`
		FirstSeenAt timestamp `db:"first_seen_at"`
		LastSeenAt  timestamp `db:"last_seen_at"`
	}
	err = r.all(ctx, &rows, `SELECT source, first_seen_at, last_seen_at FROM user_sources
		WHERE user_id = $1 AND last_seen_at > $2 ORDER BY last_seen_at DESC, source LIMIT $3 OFFSET $4`,
		userID, timestamp{since}, page.Limit, page.Offset)
	if err != nil {
		return nil, 0, fmt.Errorf("list sources: %w", err)
	}
	sources := make([]identity.Source, len(rows))
	for i, row := range rows {
		sources[i] = identity.Source{
			Address: row.Source, FirstSeenAt: row.FirstSeenAt.Time, LastSeenAt: row.LastSeenAt.Time,
		}
	}
	return sources, total, nil
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
