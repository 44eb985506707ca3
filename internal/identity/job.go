package identity

import (
	"slices"
	"time"
)

// Bounds of jobs.
const (
	// MaxJobUsers bounds the users of a job.
	MaxJobUsers = 100_000
	// MaxImportRows bounds the rows of an import, MaxRowsPerCall those that a call adds to it.
	MaxImportRows  = 1_000_000
	MaxRowsPerCall = 1000
	// MaxJobUserIDs bounds the users that a request names one by one.
	MaxJobUserIDs = 10_000
	// MaxOpenJobs bounds the jobs of a creator that have not ended.
	MaxOpenJobs = 20
	// KeptJobs is how many jobs of a creator are stored; the oldest that have ended go first.
	KeptJobs = 50
	// PlanPeriod is how long a job is stored that is not started.
	PlanPeriod = time.Hour
	// JobPeriod is how long a job is stored after it has ended.
	JobPeriod = 7 * 24 * time.Hour
)

// JobAction is what a job does to each of its users.
type JobAction string

// The actions of jobs.
const (
	JobActivate        JobAction = "activate"
	JobDeactivate      JobAction = "deactivate"
	JobAddToGroup      JobAction = "add_to_group"
	JobRemoveFromGroup JobAction = "remove_from_group"
	JobEndSessions     JobAction = "end_sessions"
	JobDelete          JobAction = "delete"
	JobImport          JobAction = "import" // creates and changes users; see ImportRow
)

// JobActions lists the actions.
var JobActions = []JobAction{
	JobActivate, JobDeactivate, JobAddToGroup, JobRemoveFromGroup, JobEndSessions, JobDelete, JobImport,
}

// UnmarshalText reads an action; an unknown one is a *ValueError.
func (a *JobAction) UnmarshalText(text []byte) error {
	if *a = JobAction(text); !slices.Contains(JobActions, *a) {
		return invalid("invalid_value", "must be one of activate, deactivate, add_to_group, remove_from_group, "+
			"end_sessions, delete, import")
	}
	return nil
}

// NeedsGroup reports whether the action is about a group.
func (a JobAction) NeedsGroup() bool { return a == JobAddToGroup || a == JobRemoveFromGroup }

// Needs returns the permission that the action takes for each user. A row of an import that
// changes a user takes UsersUpdate as well.
func (a JobAction) Needs() Permission {
	switch a {
	case JobDelete:
		return UsersDelete
	case JobImport:
		return UsersCreate
	case JobActivate, JobDeactivate, JobAddToGroup, JobRemoveFromGroup, JobEndSessions:
	}
	return UsersUpdate
}

// JobState is the state of a job.
type JobState string

// The states of a job.
const (
	JobPlanned   JobState = "planned" // nothing is changed yet
	JobRunning   JobState = "running" // also while it waits for an earlier job of its creator
	JobFinished  JobState = "finished"
	JobStopped   JobState = "stopped" // its caller may not go on; it can be started again
	JobCancelled JobState = "cancelled"
)

// JobItemState is the state of one user of a job.
type JobItemState string

// The states of a user of a job.
const (
	ItemPending   JobItemState = "pending"
	ItemDone      JobItemState = "done"
	ItemUnchanged JobItemState = "unchanged" // the user is as the action makes it
	ItemSkipped   JobItemState = "skipped"   // the user is gone, or does not match the filter any more
	ItemFailed    JobItemState = "failed"    // the change was refused
)

// JobItemStates lists the states.
var JobItemStates = []JobItemState{ItemPending, ItemDone, ItemUnchanged, ItemSkipped, ItemFailed}

// JobItem is one user of a job, or one row of an import. Of the user it has the id alone: the
// user may have been deleted.
type JobItem struct {
	Row     int64      // the number of the row of an import, from 1; else 0
	Outcome RowOutcome // of the row of an import; else ""
	Email   string     // the key of the address that the row of an import has; else ""
	UserID  int64      // 0 for a row whose user is not there
	State   JobItemState
	Code    string // why it was skipped or has failed; else ""
	Field   string // the field of the row of an import that is wrong; else ""
	Message string // the same as Code as a sentence
}

// RowOutcome is what the plan of an import says of a row.
type RowOutcome string

// The outcomes. A row that changes nothing is RowSame, and ItemUnchanged from the start; a wrong
// one is RowError, and ItemFailed from the start.
const (
	RowCreate RowOutcome = "create"
	RowUpdate RowOutcome = "update"
	RowSame   RowOutcome = "same"
	RowError  RowOutcome = "error"
)

// ImportRow is a row of an import as it is stored.
type ImportRow struct {
	JobItem

	// Version is that of the user that the row changes, when it was planned; 0 for none.
	Version int64
	// Data has the fields of a pending row, sealed; "" once the row is settled, or its user is
	// deleted.
	Data string
}

// Job is one action on many users, which runs in the background. Only its creator sees it.
type Job struct {
	ID      int64
	Action  JobAction
	GroupID int64 // of an action that NeedsGroup; else 0
	State   JobState
	// Code and Message say why the job was stopped; else "".
	Code    string
	Message string

	// Total is the number of users; the others count those that are no longer pending.
	Total, Done, Unchanged, Skipped, Failed int64

	// Of an import: how many rows are RowCreate and RowUpdate, and up to which row all are settled.
	Creates, Updates, Applied int64

	CreatedBy  Creator
	CreatedAt  time.Time
	StartedAt  time.Time // the last start; zero until the first
	FinishedAt time.Time // when it was finished, stopped or cancelled; else zero

	// Starter is who has started the job, without rights: they are read again for each user.
	Starter Actor
	// LeaseUntil is until when a worker has the job.
	LeaseUntil time.Time
}

// Startable returns a Conflict if a job has ended for good, or nil.
func (j Job) Startable() error {
	if j.State == JobFinished || j.State == JobCancelled {
		return Errorf(Conflict, "job_ended", "The job is %s.", j.State)
	}
	return nil
}

// Count counts a user that is no longer pending.
func (j *Job) Count(state JobItemState) {
	switch state {
	case ItemDone:
		j.Done++
	case ItemUnchanged:
		j.Unchanged++
	case ItemSkipped:
		j.Skipped++
	case ItemFailed:
		j.Failed++
	case ItemPending:
	}
}
