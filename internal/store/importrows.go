package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/rosterhq/roster/internal/identity"
)

// ImportBatch is how many rows of an import a transaction applies: on SQLite, all other writes
// wait for it.
func (s *Store) ImportBatch() int { return s.pool.engine.importBatch }

// InsertImportKey stores what the rows of a new import are sealed with.
func (t *Tx) InsertImportKey(ctx context.Context, jobID int64, key string) error {
	_, err := t.exec(ctx, "UPDATE jobs SET import_key = $2 WHERE id = $1", jobID, key)
	return err
}

// ImportKey returns what the rows of an import are sealed with; "" once it has ended. The error
// is NotFound.
func (r reader) ImportKey(ctx context.Context, jobID int64) (string, error) {
	var key string
	err := r.get(ctx, &key, "SELECT import_key FROM jobs WHERE id = $1", jobID)
	return key, one(err, "job", jobID)
}

const importRowColumns = "number, state, outcome, user_id, email, code, field, message, version, data"

type importRow struct {
	Number  int64  `db:"number"`
	State   string `db:"state"`
	Outcome string `db:"outcome"`
	UserID  int64  `db:"user_id"`
	Email   string `db:"email"`
	Code    string `db:"code"`
	Field   string `db:"field"`
	Message string `db:"message"`
	Version int64  `db:"version"`
	Data    string `db:"data"`
}

func (r importRow) row() identity.ImportRow {
	return identity.ImportRow{
		JobItem: identity.JobItem{
			Row: r.Number, State: identity.JobItemState(r.State), Outcome: identity.RowOutcome(r.Outcome),
			UserID: r.UserID, Email: r.Email, Code: r.Code, Field: r.Field, Message: r.Message,
		},
		Version: r.Version, Data: r.Data,
	}
}

// InsertImportRows adds rows to an import.
func (t *Tx) InsertImportRows(ctx context.Context, jobID int64, rows []identity.ImportRow) error {
	values := make([][]any, len(rows))
	for i, r := range rows {
		values[i] = []any{
			jobID, r.Row, string(r.State), string(r.Outcome), r.UserID, r.Email, r.Code, r.Field, r.Message, r.Version, r.Data,
		}
	}
	return t.insertAll(ctx, "import_rows (job_id, "+importRowColumns+")", values)
}

// SettleImportRows replaces pending rows, which follow each other, by what came of them.
func (t *Tx) SettleImportRows(ctx context.Context, jobID int64, rows []identity.ImportRow) error {
	_, err := t.exec(ctx, `DELETE FROM import_rows
		WHERE job_id = $1 AND state = 'pending' AND number BETWEEN $2 AND $3`, jobID, rows[0].Row, rows[len(rows)-1].Row)
	if err != nil {
		return err
	}
	return t.InsertImportRows(ctx, jobID, rows)
}

// PendingImportRows returns the next pending rows of an import, at most limit, after the row with
// a number.
func (r reader) PendingImportRows(ctx context.Context, jobID, after int64, limit int) ([]identity.ImportRow, error) {
	return r.importRows(ctx, "SELECT "+importRowColumns+` FROM import_rows
		WHERE job_id = $1 AND state = 'pending' AND number > $2 ORDER BY number LIMIT $3`, jobID, after, limit)
}

func (r reader) importRows(ctx context.Context, query string, args ...any) ([]identity.ImportRow, error) {
	var found []importRow
	if err := r.all(ctx, &found, query, args...); err != nil {
		return nil, fmt.Errorf("rows of an import: %w", err)
	}
	rows := make([]identity.ImportRow, len(found))
	for i, row := range found {
		rows[i] = row.row()
	}
	return rows, nil
}

// ImportItems returns one page of the rows of an import that are in one of the states, and how
// many there are. The rows have no data.
func (r reader) ImportItems(ctx context.Context, jobID int64, states []identity.JobItemState, page identity.Page,
) ([]identity.JobItem, int64, error) {
	args, placeholders := []any{jobID}, make([]string, len(states))
	for i, state := range states {
		args = append(args, string(state))
		placeholders[i] = "$" + strconv.Itoa(len(args))
	}
	from := " FROM import_rows WHERE job_id = $1 AND state IN (" + strings.Join(placeholders, ", ") + ")"
	var total int64
	if err := r.get(ctx, &total, "SELECT count(*)"+from, args...); err != nil {
		return nil, 0, fmt.Errorf("count rows of import %d: %w", jobID, err)
	}
	n := len(args)
	rows, err := r.importRows(ctx, "SELECT "+strings.TrimSuffix(importRowColumns, "data")+"'' AS data"+from+
		" ORDER BY number LIMIT $"+strconv.Itoa(n+1)+" OFFSET $"+strconv.Itoa(n+2), append(args, page.Limit, page.Offset)...)
	items := make([]identity.JobItem, len(rows))
	for i, row := range rows {
		items[i] = row.JobItem
	}
	return items, total, err
}

// ImportedEmails returns which keys of addresses an import already has, each with the number of
// a row.
func (r reader) ImportedEmails(ctx context.Context, jobID int64, emails []string) (map[string]int64, error) {
	return imported[string](ctx, r, r.pool.engine.among("email", r.pool.engine.texts), "email", jobID, emails)
}

// ImportedUsers is ImportedEmails for ids of users.
func (r reader) ImportedUsers(ctx context.Context, jobID int64, users []int64) (map[int64]int64, error) {
	return imported[int64](ctx, r, r.pool.engine.among("user_id", r.pool.engine.numbers), "user_id", jobID, users)
}

func imported[T int64 | string](ctx context.Context, r reader, among, column string, jobID int64, values []T,
) (map[T]int64, error) {
	found := make(map[T]int64, len(values))
	if len(values) == 0 {
		return found, nil
	}
	var rows []struct {
		Value  T     `db:"value"`
		Number int64 `db:"number"`
	}
	// The last condition is that of the index.
	err := r.all(ctx, &rows, "SELECT "+column+" AS value, min(number) AS number FROM import_rows WHERE job_id = $1 AND "+
		fmt.Sprintf(among, 2)+" AND "+column+" <> "+map[bool]string{true: "''", false: "0"}[column == "email"]+
		" GROUP BY "+column, jobID, jsonArray(values))
	if err != nil {
		return nil, fmt.Errorf("rows of import %d: %w", jobID, err)
	}
	for _, row := range rows {
		found[row.Value] = row.Number
	}
	return found, nil
}

// orphanedImport finds the first import whose job is gone and whose rows are not, by hopping from
// one import to the next.
const orphanedImport = `WITH RECURSIVE ids (id) AS (
		SELECT min(job_id) FROM import_rows
		UNION ALL
		SELECT (SELECT min(job_id) FROM import_rows WHERE job_id > ids.id) FROM ids WHERE ids.id IS NOT NULL)
	SELECT id FROM ids WHERE id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = ids.id) LIMIT 1`

// PruneImportRows deletes rows, at most limit, of an import whose job is deleted, and returns how
// many. 0 means that there are none.
func (t *Tx) PruneImportRows(ctx context.Context, limit int) (int64, error) {
	var jobID int64
	err := t.get(ctx, &jobID, orphanedImport)
	if isNoRows(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("imports without a job: %w", err)
	}
	return t.exec(ctx, `DELETE FROM import_rows WHERE job_id = $1 AND (state, number) IN
		(SELECT state, number FROM import_rows WHERE job_id = $1 LIMIT $2)`, jobID, limit)
}
