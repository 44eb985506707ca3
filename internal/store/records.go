package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/rosterhq/roster/internal/identity"
)

const recordColumns = "type, id, attributes, created_at, updated_at"

type recordRow struct {
	Type       string    `db:"type"`
	ID         string    `db:"id"`
	Attributes string    `db:"attributes"`
	CreatedAt  timestamp `db:"created_at"`
	UpdatedAt  timestamp `db:"updated_at"`
}

func (r recordRow) record() identity.Record {
	return identity.Record{
		Type: identity.RecordType(r.Type), ID: identity.RecordID(r.ID), Attributes: identity.Attributes(r.Attributes),
		CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time,
	}
}

// Record returns a record of a user, or NotFound.
func (r reader) Record(ctx context.Context, userID int64, recordType identity.RecordType, id identity.RecordID,
) (identity.Record, error) {
	var row recordRow
	err := r.get(ctx, &row, "SELECT "+recordColumns+" FROM records WHERE user_id = $1 AND type = $2 AND id = $3",
		userID, recordType, id)
	switch {
	case err == nil:
		return row.record(), nil
	case isNoRows(err):
		return identity.Record{}, identity.Errorf(identity.NotFound, "not_found", "The user has no such record.")
	}
	return identity.Record{}, fmt.Errorf("record of user %d: %w", userID, err)
}

// RecordPage returns one page of a user's records by type and id, and how many there
// are. The type "" stands for all types.
func (r reader) RecordPage(ctx context.Context, userID int64, recordType identity.RecordType, page identity.Page,
) ([]identity.Record, int64, error) {
	where, args := " WHERE user_id = $1", []any{userID}
	if recordType != "" {
		where, args = where+" AND type = $2", append(args, recordType)
	}
	var total int64
	if err := r.get(ctx, &total, "SELECT count(*) FROM records"+where, args...); err != nil {
		return nil, 0, fmt.Errorf("count records: %w", err)
	}
	limit := len(args) + 1
	query := "SELECT " + recordColumns + " FROM records" + where +
		" ORDER BY type, id LIMIT $" + strconv.Itoa(limit) + " OFFSET $" + strconv.Itoa(limit+1)
	rows, _, err := pageOf[recordRow](ctx, r, page.Limit, query, append(args, page.Limit, page.Offset)...)
	if err != nil {
		return nil, 0, fmt.Errorf("list records: %w", err)
	}
	return recordsFrom(rows), total, nil
}

// Records returns all records of a user that are of these types, by type and id.
func (r reader) Records(ctx context.Context, userID int64, types []identity.RecordType) ([]identity.Record, error) {
	if len(types) == 0 {
		return nil, nil
	}
	placeholders, args := make([]string, len(types)), []any{userID}
	for i, t := range types {
		args = append(args, t)
		placeholders[i] = "$" + strconv.Itoa(len(args))
	}
	var rows []recordRow
	err := r.all(ctx, &rows, "SELECT "+recordColumns+" FROM records WHERE user_id = $1 AND type IN ("+
		strings.Join(placeholders, ", ")+") ORDER BY type, id", args...)
	if err != nil {
		return nil, fmt.Errorf("list records: %w", err)
	}
	return recordsFrom(rows), nil
}

func recordsFrom(rows []recordRow) []identity.Record {
	records := make([]identity.Record, len(rows))
	for i, row := range rows {
		records[i] = row.record()
	}
	return records
}

// InsertRecord stores a new record of a user.
func (t *Tx) InsertRecord(ctx context.Context, userID int64, record identity.Record) error {
	_, err := t.exec(ctx, "INSERT INTO records (user_id, type, id, attributes, created_at) VALUES ($1, $2, $3, $4, $5)",
		userID, record.Type, record.ID, record.Attributes, timestamp{record.CreatedAt})
	return err
}

// UpdateRecord stores the attributes of a record of a user.
func (t *Tx) UpdateRecord(ctx context.Context, userID int64, record identity.Record) error {
	_, err := t.exec(ctx,
		"UPDATE records SET attributes = $4, updated_at = $5 WHERE user_id = $1 AND type = $2 AND id = $3",
		userID, record.Type, record.ID, record.Attributes, timestamp{record.UpdatedAt})
	return err
}

// DeleteRecord deletes a record of a user.
func (t *Tx) DeleteRecord(ctx context.Context, userID int64, recordType identity.RecordType, id identity.RecordID,
) error {
	_, err := t.exec(ctx, "DELETE FROM records WHERE user_id = $1 AND type = $2 AND id = $3", userID, recordType, id)
	return err
}
