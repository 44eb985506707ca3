package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

const jobColumns = "id, coalesce(user_id, 0) AS user_id, coalesce(token_id, 0) AS token_id, session_id, source, " +
	"request_id, action, group_id, state, code, message, total, done, unchanged, skipped, failed, creates, updates, " +
	"applied, created_at, started_at, finished_at, lease_until"

type jobRow struct {
	ID         int64     `db:"id"`
	UserID     int64     `db:"user_id"`
	TokenID    int64     `db:"token_id"`
	SessionID  int64     `db:"session_id"`
	Source     string    `db:"source"`
	RequestID  string    `db:"request_id"`
	Action     string    `db:"action"`
	GroupID    int64     `db:"group_id"`
	State      string    `db:"state"`
	Code       string    `db:"code"`
	Message    string    `db:"message"`
	Total      int64     `db:"total"`
	Done       int64     `db:"done"`
	Unchanged  int64     `db:"unchanged"`
	Skipped    int64     `db:"skipped"`
	Failed     int64     `db:"failed"`
	Creates    int64     `db:"creates"`
	Updates    int64     `db:"updates"`
	Applied    int64     `db:"applied"`
	CreatedAt  timestamp `db:"created_at"`
	StartedAt  timestamp `db:"started_at"`
	FinishedAt timestamp `db:"finished_at"`
	LeaseUntil timestamp `db:"lease_until"`
}

func (r jobRow) job() identity.Job {
	source, _ := netip.ParseAddr(r.Source) // "" is the zero address
	return identity.Job{
		ID: r.ID, Action: identity.JobAction(r.Action), GroupID: r.GroupID, State: identity.JobState(r.State),
		Code: r.Code, Message: r.Message,
		Total: r.Total, Done: r.Done, Unchanged: r.Unchanged, Skipped: r.Skipped, Failed: r.Failed,
		Creates: r.Creates, Updates: r.Updates, Applied: r.Applied,
		CreatedBy: identity.Creator{UserID: r.UserID, TokenID: r.TokenID},
		CreatedAt: r.CreatedAt.Time, StartedAt: r.StartedAt.Time, FinishedAt: r.FinishedAt.Time,
		Starter: identity.Actor{
			UserID: r.UserID, TokenID: r.TokenID, SessionID: r.SessionID, Source: source, RequestID: r.RequestID,
		},
		LeaseUntil: r.LeaseUntil.Time,
	}
}

// Job returns the job with this id, or NotFound.
func (r reader) Job(ctx context.Context, id int64) (identity.Job, error) {
	return r.job(ctx, "SELECT "+jobColumns+" FROM jobs WHERE id = $1", id)
}

// JobForUpdate is Job, and locks the job until the transaction ends.
func (t *Tx) JobForUpdate(ctx context.Context, id int64) (identity.Job, error) {
	return t.job(ctx, "SELECT "+jobColumns+" FROM jobs WHERE id = $1"+t.pool.engine.forUpdate, id)
}

func (r reader) job(ctx context.Context, query string, id int64) (identity.Job, error) {
	var row jobRow
	err := r.get(ctx, &row, query, id)
	return row.job(), one(err, "job", id)
}

// byCreator selects the jobs of a creator, whose ids are $1 and $2; see creatorIDs.
const byCreator = " WHERE user_id IS NOT DISTINCT FROM $1 AND token_id IS NOT DISTINCT FROM $2"

func creatorIDs(c identity.Creator) (userID, tokenID sql.NullInt64) {
	return orNull(c.UserID), orNull(c.TokenID)
}

// Jobs returns one page of the jobs of a creator, the latest first, and how many there are.
func (r reader) Jobs(ctx context.Context, creator identity.Creator, page identity.Page) ([]identity.Job, int64, error) {
	userID, tokenID := creatorIDs(creator)
	var total int64
	if err := r.get(ctx, &total, "SELECT count(*) FROM jobs"+byCreator, userID, tokenID); err != nil {
		return nil, 0, fmt.Errorf("count jobs: %w", err)
	}
	var rows []jobRow
	err := r.all(ctx, &rows, "SELECT "+jobColumns+" FROM jobs"+byCreator+" ORDER BY id DESC LIMIT $3 OFFSET $4",
		userID, tokenID, page.Limit, page.Offset)
	if err != nil {
		return nil, 0, fmt.Errorf("list jobs: %w", err)
	}
	jobs := make([]identity.Job, len(rows))
	for i, row := range rows {
		jobs[i] = row.job()
	}
	return jobs, total, nil
}

// OpenJobs returns how many jobs of a creator are planned or running.
func (r reader) OpenJobs(ctx context.Context, creator identity.Creator) (int64, error) {
	userID, tokenID := creatorIDs(creator)
	var n int64
	err := r.get(ctx, &n, "SELECT count(*) FROM jobs"+byCreator+" AND state IN ('planned', 'running')", userID, tokenID)
	return n, err
}

// DropOldJobs deletes the jobs of a creator that are neither planned nor running, except the latest.
func (t *Tx) DropOldJobs(ctx context.Context, creator identity.Creator, keep int) error {
	userID, tokenID := creatorIDs(creator)
	_, err := t.exec(ctx, "DELETE FROM jobs"+byCreator+` AND state NOT IN ('planned', 'running')
		AND id NOT IN (SELECT id FROM jobs`+byCreator+" ORDER BY id DESC LIMIT $3)", userID, tokenID, keep)
	return err
}

// InsertJob stores a new job and returns its id. Each of its users must match the filter, if
// it is not nil.
func (t *Tx) InsertJob(ctx context.Context, j identity.Job, filter *identity.UserFilter) (int64, error) {
	userID, tokenID := creatorIDs(j.CreatedBy)
	text := ""
	if filter != nil {
		encoded, err := json.Marshal(filter)
		if err != nil {
			return 0, err
		}
		text = string(encoded)
	}
	var id int64
	err := t.get(ctx, &id, `INSERT INTO jobs (user_id, token_id, action, group_id, filter, state, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id`,
		userID, tokenID, string(j.Action), j.GroupID, text, string(j.State), timestamp{j.CreatedAt})
	return id, err
}

// JobFilter returns the filter of a job, or nil if it has none. A filter with a field that only
// a later release knows is an error: without the field more users would match.
func (r reader) JobFilter(ctx context.Context, id int64) (*identity.UserFilter, error) {
	var text string
	if err := r.get(ctx, &text, "SELECT filter FROM jobs WHERE id = $1", id); err != nil || text == "" {
		return nil, one(err, "job", id)
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.DisallowUnknownFields()
	filter := &identity.UserFilter{}
	if err := decoder.Decode(filter); err != nil {
		return nil, fmt.Errorf("filter of job %d: %w", id, err)
	}
	return filter, nil
}

// UpdateJob stores what changes of a job after it is planned. The filter of a job that has ended
// is erased, because it may have a name or an address, and so is the key of an import's rows.
func (t *Tx) UpdateJob(ctx context.Context, j identity.Job) error {
	source := ""
	if j.Starter.Source.IsValid() {
		source = j.Starter.Source.String()
	}
	_, err := t.exec(ctx, `UPDATE jobs SET session_id = $2, source = $3, request_id = $4, state = $5, code = $6,
			message = $7, total = $8, done = $9, unchanged = $10, skipped = $11, failed = $12, started_at = $13,
			finished_at = $14, lease_until = $15, creates = $16, updates = $17, applied = $18,
			filter = CASE WHEN $5 IN ('finished', 'cancelled') THEN '' ELSE filter END,
			import_key = CASE WHEN $5 IN ('finished', 'cancelled') THEN '' ELSE import_key END
		WHERE id = $1`,
		j.ID, j.Starter.SessionID, source, j.Starter.RequestID, string(j.State), j.Code,
		j.Message, j.Total, j.Done, j.Unchanged, j.Skipped, j.Failed, timestamp{j.StartedAt},
		timestamp{j.FinishedAt}, timestamp{j.LeaseUntil}, j.Creates, j.Updates, j.Applied)
	return err
}

// RunnableJob returns the id of the running job without a worker that has waited longest, or 0
// for none. Of each creator it is the first job.
func (r reader) RunnableJob(ctx context.Context, now time.Time) (int64, error) {
	var id int64
	err := r.get(ctx, &id, `SELECT id FROM jobs WHERE state = 'running' AND lease_until <= $1
			AND NOT EXISTS (SELECT 1 FROM jobs AS earlier WHERE earlier.state = 'running' AND earlier.id < jobs.id
				AND earlier.user_id IS NOT DISTINCT FROM jobs.user_id
				AND earlier.token_id IS NOT DISTINCT FROM jobs.token_id)
		ORDER BY lease_until, id LIMIT 1`, timestamp{now})
	if isNoRows(err) {
		return 0, nil
	}
	return id, err
}

// ClaimJob gives a running job to a worker until leaseEnd. It reports false if another worker
// has it.
func (t *Tx) ClaimJob(ctx context.Context, id int64, now, leaseEnd time.Time) (bool, error) {
	claimed, err := t.exec(ctx, `UPDATE jobs SET lease_until = $3
		WHERE id = $1 AND state = 'running' AND lease_until <= $2`, id, timestamp{now}, timestamp{leaseEnd})
	return claimed > 0, err
}
