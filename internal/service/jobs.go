package service

import (
	"context"
	"fmt"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// JobPlan holds the parameters of PlanJob. One of UserIDs and Filter is set, but for JobImport,
// whose rows come by AddImportRows.
type JobPlan struct {
	Action  identity.JobAction
	GroupID int64 // of an action that NeedsGroup; else 0
	// UserIDs names the users one by one; those that do not exist are skipped later.
	UserIDs []int64
	Filter  *identity.UserFilter
}

// PlanJob stores a job with the users that it is for, and changes none of them. It takes the
// permission of the action and, for a group, the permissions of the group. A filter selects what
// Users lists for the caller. The errors are Forbidden, Invalid (group, too many users) and
// Conflict (too many jobs).
func (s *Service) PlanJob(ctx context.Context, actor identity.Actor, in JobPlan) (identity.Job, error) {
	if err := mayTryJob(actor, in.Action); err != nil {
		return identity.Job{}, err
	}
	if err := in.check(); err != nil {
		return identity.Job{}, err
	}
	now := s.now()
	var job identity.Job
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		job = identity.Job{
			Action: in.Action, GroupID: in.GroupID, State: identity.JobPlanned, CreatedBy: creatorOf(actor), CreatedAt: now,
		}
		actor, err := s.mayPlanJob(ctx, tx, actor, in)
		if err != nil {
			return err
		}
		if err := tx.DropOldJobs(ctx, job.CreatedBy, identity.KeptJobs-1); err != nil {
			return err
		}
		if in.Filter != nil {
			in.Filter = new(s.filterOf(actor, *in.Filter))
		}
		if job.ID, err = tx.InsertJob(ctx, job, in.Filter); err != nil {
			return err
		}
		if in.Action == identity.JobImport {
			return tx.InsertImportKey(ctx, job.ID, secret.NewKey())
		}
		if job.Total, err = insertItems(ctx, tx, job.ID, in); err != nil {
			return err
		}
		return tx.UpdateJob(ctx, job)
	})
	return job, err
}

// mayTryJob checks what does not depend on the users of a job.
func mayTryJob(actor identity.Actor, action identity.JobAction) error {
	if err := actor.Require(identity.UsersView); err != nil {
		return err
	}
	if err := actor.Require(action.Needs()); err != nil {
		return err
	}
	if actor.SessionID == 0 && actor.TokenID == 0 { // a job goes on by one of them
		return identity.Errorf(identity.Forbidden, "session_required", "A job takes a session or a service token.")
	}
	return nil
}

// check returns an Invalid error for parameters that do not go together.
func (p JobPlan) check() error {
	var problems identity.Problems
	switch {
	case p.Action.NeedsGroup() && p.GroupID == 0:
		problems.Add(identity.FieldGroupID, "required", "is required for this action")
	case !p.Action.NeedsGroup() && p.GroupID != 0:
		problems.Add(identity.FieldGroupID, "not_allowed", "is not for this action")
	}
	isImport := p.Action == identity.JobImport
	switch {
	case isImport && p.UserIDs != nil:
		problems.Add(identity.FieldUserIDs, "not_allowed", "is not for an import")
	case isImport && p.Filter != nil:
		problems.Add(identity.FieldFilter, "not_allowed", "is not for an import")
	case isImport:
	case p.UserIDs == nil && p.Filter == nil:
		problems.Add(identity.FieldUserIDs, "required", "is required, unless there is a filter")
	case p.UserIDs != nil && p.Filter != nil:
		problems.Add(identity.FieldFilter, "not_allowed", "must not be given together with userIds")
	}
	return problems.Err()
}

// mayPlanJob checks that the caller, as current returns it, may plan a job.
func (s *Service) mayPlanJob(ctx context.Context, tx *store.Tx, actor identity.Actor, in JobPlan,
) (identity.Actor, error) {
	var groups []int64
	if in.GroupID != 0 {
		groups = []int64{in.GroupID}
	}
	permissions, err := lockGroups(ctx, tx, groups, nil, false)
	if identity.KindOf(err) == identity.Invalid {
		err = identity.InvalidField(identity.FieldGroupID, "unknown_group",
			fmt.Sprintf("there is no group with the id %d", in.GroupID))
	}
	if err != nil {
		return actor, err
	}
	if actor, err = s.current(ctx, tx, actor); err != nil {
		return actor, err
	}
	if err := mayTryJob(actor, in.Action); err != nil {
		return actor, err
	}
	if err := actor.RequireCover(permissions, false); err != nil {
		return actor, err
	}
	open, err := tx.OpenJobs(ctx, creatorOf(actor))
	if err == nil && open >= identity.MaxOpenJobs {
		err = identity.Errorf(identity.Conflict, "too_many_jobs",
			"You have %d jobs that have not ended: start them or cancel them first.", open)
	}
	return actor, err
}

// insertItems stores the users of a new job and returns how many they are.
func insertItems(ctx context.Context, tx *store.Tx, jobID int64, in JobPlan) (int64, error) {
	if in.Filter == nil {
		ids := sortedSet(in.UserIDs)
		return int64(len(ids)), tx.InsertJobItems(ctx, jobID, ids)
	}
	total, err := tx.CountUsers(ctx, *in.Filter)
	if err == nil && total <= identity.MaxJobUsers {
		total, err = tx.InsertMatches(ctx, jobID, *in.Filter)
	}
	if err == nil && total > identity.MaxJobUsers {
		err = identity.InvalidField(identity.FieldFilter, "too_many_users",
			fmt.Sprintf("matches %d users; a job may have at most %d", total, identity.MaxJobUsers))
	}
	return total, err
}

// requireOwnJob returns NotFound unless the caller has created the job.
func requireOwnJob(actor identity.Actor, job identity.Job) error {
	if creatorOf(actor) != job.CreatedBy {
		return identity.Errorf(identity.NotFound, "not_found", "There is no job with the id %d.", job.ID)
	}
	return nil
}

// Job returns a job of the caller. The jobs of others are NotFound.
func (s *Service) Job(ctx context.Context, actor identity.Actor, id int64) (identity.Job, error) {
	if err := actor.RequireEnrolled(); err != nil {
		return identity.Job{}, err
	}
	job, err := s.store.Job(ctx, id)
	if err == nil {
		err = requireOwnJob(actor, job)
	}
	if err != nil {
		return identity.Job{}, err
	}
	return job, nil
}

// Jobs returns a page of the caller's jobs, the latest first, and how many there are.
func (s *Service) Jobs(ctx context.Context, actor identity.Actor, page identity.Page) ([]identity.Job, int64, error) {
	if err := actor.RequireEnrolled(); err != nil {
		return nil, 0, err
	}
	return s.store.Jobs(ctx, creatorOf(actor), page)
}

// JobItems returns a page of the users of a job of the caller that are in one of the states, by
// id, or of the rows of an import by their numbers, and how many there are. The errors are those
// of Job.
func (s *Service) JobItems(ctx context.Context, actor identity.Actor, id int64, states []identity.JobItemState,
	page identity.Page,
) ([]identity.JobItem, int64, error) {
	job, err := s.Job(ctx, actor, id)
	if err != nil {
		return nil, 0, err
	}
	if job.Action == identity.JobImport {
		return s.store.ImportItems(ctx, id, states, page)
	}
	return s.store.JobItems(ctx, id, states, page)
}

// StartJob makes a job of the caller run in the background, with the rights that the caller has at
// each moment. A stopped job goes on with the users that are pending. To start a running job
// changes nothing. The errors are Forbidden, NotFound and Conflict: the job has ended.
func (s *Service) StartJob(ctx context.Context, actor identity.Actor, id int64) (identity.Job, error) {
	now := s.now()
	return s.changeJob(ctx, actor, id, func(_ *store.Tx, actor identity.Actor, job *identity.Job) error {
		if err := mayTryJob(actor, job.Action); err != nil {
			return err
		}
		if err := job.Startable(); err != nil || job.State == identity.JobRunning {
			return err
		}
		job.State, job.Code, job.Message, job.Starter = identity.JobRunning, "", "", actor
		job.StartedAt, job.FinishedAt, job.LeaseUntil = now, time.Time{}, now
		return nil
	})
}

// CancelJob ends a job of the caller. Users that are pending stay as they are; one whose turn it
// is may still be changed. To cancel a cancelled job changes nothing. The errors are those of Job,
// and a Conflict for a job that is finished.
func (s *Service) CancelJob(ctx context.Context, actor identity.Actor, id int64) (identity.Job, error) {
	now := s.now()
	return s.changeJob(ctx, actor, id, func(_ *store.Tx, _ identity.Actor, job *identity.Job) error {
		if job.State == identity.JobCancelled {
			return nil
		}
		if err := job.Startable(); err != nil {
			return err
		}
		job.State, job.Code, job.Message, job.FinishedAt = identity.JobCancelled, "", "", now
		return nil
	})
}

// changeJob locks a job of the caller, changes it and returns it. change gets the caller as
// current returns it.
func (s *Service) changeJob(ctx context.Context, actor identity.Actor, id int64,
	change func(*store.Tx, identity.Actor, *identity.Job) error,
) (identity.Job, error) {
	if err := actor.RequireEnrolled(); err != nil {
		return identity.Job{}, err
	}
	var job identity.Job
	err := s.store.InTx(ctx, func(tx *store.Tx) (err error) {
		if job, err = tx.JobForUpdate(ctx, id); err != nil {
			return err
		}
		if err := requireOwnJob(actor, job); err != nil {
			return err
		}
		actor, err := s.current(ctx, tx, actor)
		if err != nil {
			return err
		}
		if err := actor.RequireEnrolled(); err != nil {
			return err
		}
		if err := change(tx, actor, &job); err != nil {
			return err
		}
		return tx.UpdateJob(ctx, job)
	})
	if err != nil {
		return identity.Job{}, err
	}
	return job, nil
}
