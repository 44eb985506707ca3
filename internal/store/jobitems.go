package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/rosterhq/roster/internal/identity"
)

// UserMatches reports whether the user with this id exists and matches a filter. It reads one
// row, whatever the filter.
func (r reader) UserMatches(ctx context.Context, id int64, f identity.UserFilter) (bool, error) {
	if f.None {
		return false, nil
	}
	where := r.userConditions(f, false)
	where.addOn(anyTable, "id = $%d", id)
	var matches bool
	err := r.get(ctx, &matches, "SELECT EXISTS (SELECT 1"+where.over(usersTable, perRow)+")", where.args...)
	return matches, err
}

// InsertJobItems adds the users with these ids to a job, also ids that no user has.
func (t *Tx) InsertJobItems(ctx context.Context, jobID int64, userIDs []int64) error {
	_, err := t.exec(ctx, "INSERT INTO job_items (job_id, user_id) SELECT CAST($1 AS bigint), value FROM ("+
		fmt.Sprintf(t.pool.engine.numbers, 2)+") AS ids", jobID, jsonArray(userIDs))
	return err
}

// InsertMatches adds the users that match a filter to a job and returns how many they are.
func (t *Tx) InsertMatches(ctx context.Context, jobID int64, f identity.UserFilter) (int64, error) {
	if f.None {
		return 0, nil
	}
	where := t.userConditions(f, true)
	query := "INSERT INTO job_items (job_id, user_id) SELECT CAST($" + strconv.Itoa(len(where.args)+1) +
		" AS bigint), id" + where.over(where.search.home(), forAll)
	return t.exec(ctx, query, append(where.args, jobID)...)
}

// PendingItems returns up to limit pending users of a job by id. The user with the id last comes
// after all others.
func (r reader) PendingItems(ctx context.Context, jobID, last int64, limit int) ([]int64, error) {
	const pending = "SELECT user_id FROM job_items WHERE job_id = $1 AND state = 'pending' AND user_id"
	var ids []int64
	err := r.all(ctx, &ids, pending+" <> $2 ORDER BY user_id LIMIT $3", jobID, last, limit)
	if err == nil && len(ids) < limit {
		var own []int64
		err = r.all(ctx, &own, pending+" = $2", jobID, last)
		ids = append(ids, own...)
	}
	return ids, err
}

// SettleItem records what came of a pending user of a job. It reports false if that is recorded
// already.
func (t *Tx) SettleItem(ctx context.Context, jobID int64, item identity.JobItem) (bool, error) {
	settled, err := t.exec(ctx, `UPDATE job_items SET state = $3, code = $4, message = $5
		WHERE job_id = $1 AND user_id = $2 AND state = 'pending'`,
		jobID, item.UserID, string(item.State), item.Code, item.Message)
	return settled > 0, err
}

// JobItems returns one page of the users of a job that are in one of the states, by id, and how
// many there are.
func (r reader) JobItems(ctx context.Context, jobID int64, states []identity.JobItemState, page identity.Page,
) ([]identity.JobItem, int64, error) {
	args, placeholders := []any{jobID}, make([]string, len(states))
	for i, state := range states {
		args = append(args, string(state))
		placeholders[i] = "$" + strconv.Itoa(len(args))
	}
	from := " FROM job_items WHERE job_id = $1 AND state IN (" + strings.Join(placeholders, ", ") + ")"
	var total int64
	if err := r.get(ctx, &total, "SELECT count(*)"+from, args...); err != nil {
		return nil, 0, fmt.Errorf("count users of job %d: %w", jobID, err)
	}
	var rows []struct {
		UserID  int64  `db:"user_id"`
		State   string `db:"state"`
		Code    string `db:"code"`
		Message string `db:"message"`
	}
	n := len(args)
	err := r.all(ctx, &rows, "SELECT user_id, state, code, message"+from+
		" ORDER BY user_id LIMIT $"+strconv.Itoa(n+1)+" OFFSET $"+strconv.Itoa(n+2),
		append(args, page.Limit, page.Offset)...)
	if err != nil {
		return nil, 0, fmt.Errorf("users of job %d: %w", jobID, err)
	}
	items := make([]identity.JobItem, len(rows))
	for i, row := range rows {
		items[i] = identity.JobItem{
			UserID: row.UserID, State: identity.JobItemState(row.State), Code: row.Code, Message: row.Message,
		}
	}
	return items, total, nil
}
