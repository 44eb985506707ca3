package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"time"
)

// Job is one action on many users, which runs in the background.
type Job struct {
	ID         int64     `json:"id"`
	Action     string    `json:"action"`
	GroupID    int64     `json:"groupId"` // 0 for none
	State      string    `json:"state"`   // planned, running, finished, stopped or cancelled
	Code       string    `json:"code"`    // why it was stopped; else ""
	Message    string    `json:"message"` // the same as a sentence
	Total      int64     `json:"total"`
	Done       int64     `json:"done"`
	Unchanged  int64     `json:"unchanged"`
	Skipped    int64     `json:"skipped"`
	Failed     int64     `json:"failed"`
	CreateTime time.Time `json:"createTime"`
	StartTime  time.Time `json:"startTime"`  // the last start; zero before the first
	FinishTime time.Time `json:"finishTime"` // zero until it is finished, stopped or cancelled
}

// JobPlan is a new job. Action and one of UserIDs and Filter must be given; an import has neither, its rows come by
// AddRows.
type JobPlan struct {
	// Action is activate, deactivate, add_to_group, remove_from_group, end_sessions, delete or import.
	Action  string     `json:"action"`
	GroupID int64      `json:"groupId,omitempty"` // of add_to_group and remove_from_group
	UserIDs []int64    `json:"userIds,omitempty"`
	Filter  *JobFilter `json:"filter,omitempty"`
}

// JobFilter has the filters of the list of users. The zero value is everyone.
type JobFilter struct {
	Name   string `json:"name,omitempty"`
	Email  string `json:"email,omitempty"`
	Active int    `json:"active,omitempty"` // 1 for active users only
	Status string `json:"status,omitempty"` // active, inactive or any
	Query  string `json:"q,omitempty"`
	Group  int64  `json:"group,omitempty"`
	TFA    *bool  `json:"tfa,omitempty"`
	Locked *bool  `json:"locked,omitempty"`

	// The periods include their first moment and not their last.
	LastSigninAfter  time.Time `json:"lastSigninAfter,omitzero"`
	LastSigninBefore time.Time `json:"lastSigninBefore,omitzero"`
	CreatedAfter     time.Time `json:"createdAfter,omitzero"`
	CreatedBefore    time.Time `json:"createdBefore,omitzero"`
}

// JobItem is one user of a job, or one row of an import.
type JobItem struct {
	Row     int64  `json:"row"`     // of an import, from 1; else 0
	Outcome string `json:"outcome"` // of a row of an import: create, update, same or error; else ""
	UserID  int64  `json:"userId"`  // 0 for a row whose user is not there
	Email   string `json:"email"`   // of the row, as addresses are compared; else ""
	State   string `json:"state"`   // pending, done, unchanged, skipped or failed
	Code    string `json:"code"`    // why it was skipped or has failed; else ""
	Field   string `json:"field"`   // the field of the row that is wrong, if it is one; the Message goes on from there
	Message string `json:"message"`
}

// MaxRowsPerCall is how many rows a call of AddRows takes.
const MaxRowsPerCall = 1000

// importRows are rows that follow each other.
type importRows struct {
	First int64             `json:"first"`
	Rows  []json.RawMessage `json:"rows"`
}

// ImportPlan counts what the rows of an import will do.
type ImportPlan struct {
	Received int64 `json:"received"` // how many rows are there
	Create   int64 `json:"create"`
	Update   int64 `json:"update"`
	Same     int64 `json:"same"`
	Error    int64 `json:"error"`
}

// JobItemList says which users of a job are listed.
type JobItemList struct {
	State string // "" for all
	Size  int    // how many are asked for at once, 1 to 1000; 0 for 50
}

// Jobs is the part of the API about jobs. The jobs are those that the caller has planned.
type Jobs struct{ c *Client }

// List returns the jobs, the latest first.
func (s *Jobs) List(ctx context.Context, page Page) iter.Seq2[Job, error] {
	return list[Job](ctx, s.c, "/jobs", page.query())
}

// Get returns a job.
func (s *Jobs) Get(ctx context.Context, id int64) (Job, error) {
	return one[Job](ctx, s.c, newCall(http.MethodGet, path("jobs", id), nil))
}

// Plan stores a job, which changes nobody until it is started.
func (s *Jobs) Plan(ctx context.Context, plan JobPlan) (Job, error) {
	return one[Job](ctx, s.c, newCall(http.MethodPost, "/jobs", plan))
}

// AddRows adds up to MaxRowsPerCall rows to an import that is planned, and returns what is planned so far.
// Each row is a JSON object with the fields of a user (see ImportRow in the contract). A wrong one is no
// error here: Items tells of it. first is the number of the first row, from 1. Rows that are there already
// are left out; a gap is an error with the code rows_missing. A call takes at most 1 MiB.
func (s *Jobs) AddRows(ctx context.Context, id, first int64, rows []json.RawMessage) (ImportPlan, error) {
	if rows == nil {
		rows = []json.RawMessage{}
	}
	call := newCall(http.MethodPost, path("jobs", id, "rows"), importRows{first, rows})
	call.safe = true
	return one[ImportPlan](ctx, s.c, call)
}

// Start makes a job run in the background. A stopped job goes on.
func (s *Jobs) Start(ctx context.Context, id int64) (Job, error) { return s.change(ctx, id, "start") }

// Cancel ends a job. What is done is not undone.
func (s *Jobs) Cancel(ctx context.Context, id int64) (Job, error) { return s.change(ctx, id, "cancel") }

func (s *Jobs) change(ctx context.Context, id int64, what string) (Job, error) {
	call := newCall(http.MethodPost, path("jobs", id, what), nil)
	call.safe = true
	return one[Job](ctx, s.c, call)
}

// Items returns the users of a job by id, or the rows of an import by their numbers.
func (s *Jobs) Items(ctx context.Context, id int64, which JobItemList) iter.Seq2[JobItem, error] {
	q := Page{which.Size}.query()
	setText(q, "filter[state]", which.State)
	return list[JobItem](ctx, s.c, path("jobs", id, "items"), q)
}
