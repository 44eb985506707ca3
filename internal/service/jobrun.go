package service

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

const (
	// jobTurn is how many users of a job are changed before the next job has its turn.
	jobTurn = 20
	// jobUserTimeout bounds the work on one user of a job.
	jobUserTimeout = 10 * time.Second
	// jobLease is how long a worker has a job after each user, and so how long a job waits after
	// its worker has died.
	jobLease = 15 * time.Second
	// jobTries bounds how often a change is tried while others change the same user.
	jobTries = 3
)

// WorkOnJob changes the next users, at most jobTurn, of the running job that has waited longest,
// and calls observe with each result. It returns false if no job needs a worker. Any number of
// instances may call it at any time. When ctx ends it returns after the user at hand. An error
// leaves the job to the next worker, once its lease has ended.
func (s *Service) WorkOnJob(ctx context.Context, observe func(identity.Job, identity.JobItem)) (bool, error) {
	now := s.now()
	id, err := s.store.RunnableJob(ctx, now)
	if id == 0 || err != nil {
		return false, err
	}
	claimed, lease := false, now.Add(jobLease)
	err = s.store.InTx(ctx, func(tx *store.Tx) (err error) {
		claimed, err = tx.ClaimJob(ctx, id, now, lease)
		return err
	})
	if err != nil || !claimed { // another worker was faster
		return true, err
	}
	return true, s.workOnTurn(ctx, id, lease, observe)
}

// workOnTurn does the turn of a job that this worker has until lease.
func (s *Service) workOnTurn(ctx context.Context, id int64, lease time.Time,
	observe func(identity.Job, identity.JobItem),
) error {
	job, err := s.store.Job(ctx, id)
	if err != nil {
		return gone(err)
	}
	if job.Action == identity.JobImport {
		return s.importTurn(ctx, job, lease, observe)
	}
	filter, err := s.store.JobFilter(ctx, id)
	if err != nil {
		return gone(err)
	}
	// The creator comes last: a job that deletes or deactivates its creator ends with that.
	pending, err := s.store.PendingItems(ctx, id, job.CreatedBy.UserID, jobTurn)
	if err != nil {
		return err
	}
	work := context.WithoutCancel(ctx)
	for _, userID := range pending {
		if ctx.Err() != nil {
			break
		}
		item, err := s.workOnUser(work, job, filter, userID)
		if stop := stopOf(err); stop != nil {
			return s.stopJob(work, job.ID, lease, stop)
		}
		if err != nil {
			return err
		}
		observe(job, item)
		var held bool
		if lease, held, err = s.settleItem(work, job.ID, item, lease); err != nil || !held {
			return err
		}
	}
	return s.settleJob(work, job.ID, lease, func(tx *store.Tx, job *identity.Job) error {
		job.LeaseUntil = s.now() // the others have their turns first
		left, err := tx.PendingItems(work, job.ID, 0, 1)
		if err == nil && len(left) == 0 {
			job.State, job.FinishedAt = identity.JobFinished, job.LeaseUntil
		}
		return err
	})
}

// settleItem counts a result and extends the lease of the job. It reports false if the job is no
// longer this worker's: it has been cancelled or deleted, or the lease had ended and another
// worker has the job.
func (s *Service) settleItem(ctx context.Context, jobID int64, item identity.JobItem, lease time.Time,
) (next time.Time, held bool, err error) {
	next = s.now().Add(jobLease)
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		job, err := tx.JobForUpdate(ctx, jobID)
		if err != nil {
			held = false
			return gone(err)
		}
		if held = job.State == identity.JobRunning && job.LeaseUntil.Equal(lease); held {
			job.LeaseUntil = next
		}
		settled, err := tx.SettleItem(ctx, jobID, item)
		if err != nil {
			return err
		}
		if settled {
			job.Count(item.State)
		}
		return tx.UpdateJob(ctx, job)
	})
	return next, held, err
}

// settleJob changes a job that is still this worker's.
func (s *Service) settleJob(ctx context.Context, id int64, lease time.Time,
	change func(*store.Tx, *identity.Job) error,
) error {
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		job, err := tx.JobForUpdate(ctx, id)
		if err != nil {
			return gone(err)
		}
		if job.State != identity.JobRunning || !job.LeaseUntil.Equal(lease) {
			return nil
		}
		if err := change(tx, &job); err != nil {
			return err
		}
		return tx.UpdateJob(ctx, job)
	})
}

// stopJob stops a job that is still this worker's.
func (s *Service) stopJob(ctx context.Context, id int64, lease time.Time, stop *identity.Error) error {
	return s.settleJob(ctx, id, lease, func(_ *store.Tx, job *identity.Job) error {
		job.State, job.Code, job.Message, job.FinishedAt = identity.JobStopped, stop.Code, stop.Message, s.now()
		return nil
	})
}

// gone returns nil for NotFound: the job has been deleted with its creator.
func gone(err error) error {
	if identity.KindOf(err) == identity.NotFound {
		return nil
	}
	return err
}

// stopError says that the starter of a job may not go on.
type stopError struct{ refusal *identity.Error }

func (e stopError) Error() string { return e.refusal.Error() }

func stopOf(err error) *identity.Error {
	var stop stopError
	if errors.As(err, &stop) {
		return stop.refusal
	}
	return nil
}

// starter is starterIn outside a transaction.
func (s *Service) starter(ctx context.Context, job identity.Job) (identity.Actor, error) {
	var actor identity.Actor
	err := s.store.Peek(func(tx *store.Tx) (err error) {
		actor, err = s.starterIn(ctx, tx, job)
		return err
	})
	return actor, err
}

// starterIn returns the caller who has started a job, with the rights that it has now. The error
// is a stopError if the session or token has ended, or may not do this, or not from there, any
// more.
func (s *Service) starterIn(ctx context.Context, tx *store.Tx, job identity.Job) (identity.Actor, error) {
	actor, err := s.current(ctx, tx, job.Starter)
	if err == nil {
		err = mayTryJob(actor, job.Action)
	}
	var refusal *identity.Error
	if kind := identity.KindOf(err); (kind == identity.Unauthenticated || kind == identity.Forbidden) &&
		errors.As(err, &refusal) {
		if kind == identity.Unauthenticated {
			refusal = identity.Errorf(kind, "session_ended",
				"The session or token with which the job was started has ended, or its user is inactive.")
		}
		return actor, stopError{refusal}
	}
	return actor, err
}

// workOnUser does the action of a job to one user and returns the result. The error is a
// stopError, or Unavailable.
func (s *Service) workOnUser(ctx context.Context, job identity.Job, filter *identity.UserFilter, userID int64,
) (identity.JobItem, error) {
	ctx, cancel := context.WithTimeout(ctx, jobUserTimeout)
	defer cancel()
	item := identity.JobItem{UserID: userID}
	var err error
	for range jobTries {
		var actor identity.Actor
		if actor, err = s.starter(ctx, job); err != nil {
			return item, err
		}
		var code string
		if item.State, code, err = s.tryUser(ctx, actor, job, filter, userID); err == nil {
			item.Code, item.Message = code, skipMessages[code]
			return item, nil
		}
		if identity.KindOf(err) != identity.Precondition { // else the user was changed since it was read
			break
		}
	}
	switch identity.KindOf(err) {
	case identity.NotFound:
		item.State, item.Code, item.Message = identity.ItemSkipped, codeGone, skipMessages[codeGone]
		return item, nil
	case identity.Unavailable:
		return item, err
	}
	if _, stop := s.starter(ctx, job); stop != nil { // it was refused because the rights have just ended
		return item, stop
	}
	return failed(ctx, job, item, err), nil
}

// The codes of skipped users.
const (
	codeGone            = "gone"
	codeNoLongerMatches = "no_longer_matches"
)

var skipMessages = map[string]string{
	codeGone:            "There is no such user.",
	codeNoLongerMatches: "The user did not match the filter any more.",
}

// failed returns the item with what an error says to callers. Others are only logged.
func failed(ctx context.Context, job identity.Job, item identity.JobItem, err error) identity.JobItem {
	var refusal *identity.Error
	if errors.As(err, &refusal) {
		return refused(item, refusal)
	}
	slog.ErrorContext(ctx, "working on a job", "job_id", job.ID, "user_id", item.UserID, "row", item.Row, "error", err)
	item.State, item.Code, item.Message = identity.ItemFailed, "internal_error", "This went wrong; the log tells why."
	return item
}

// refused returns the item with a refusal: of its first field, if it names fields.
func refused(item identity.JobItem, refusal *identity.Error) identity.JobItem {
	item.State, item.Code, item.Message = identity.ItemFailed, refusal.Code, refusal.Message
	if len(refusal.Fields) > 0 {
		item.Field, item.Code, item.Message = refusal.Fields[0].Field, refusal.Fields[0].Code, refusal.Fields[0].Message
	}
	return item
}

// tryUser does the action of a job to one user who still matches the filter, as one operation of
// the caller. It returns the state of the user in the job and, for a skipped one, the code. The
// error is that of the operation; Precondition if the user was changed at the same time.
func (s *Service) tryUser(ctx context.Context, actor identity.Actor, job identity.Job, filter *identity.UserFilter,
	userID int64,
) (state identity.JobItemState, code string, err error) {
	user, err := s.store.User(ctx, userID)
	if err != nil {
		return "", "", err
	}
	if filter != nil {
		matches, err := s.store.UserMatches(ctx, userID, s.filterOf(actor, *filter))
		if err != nil {
			return "", "", err
		}
		if !matches {
			return identity.ItemSkipped, codeNoLongerMatches, nil
		}
	}
	changed, err := s.act(ctx, actor, job, user)
	if !changed {
		return identity.ItemUnchanged, "", err
	}
	return identity.ItemDone, "", err
}

// act does the action of a job to a user whose state is as given. It reports false if the user is
// already as the action makes it.
func (s *Service) act(ctx context.Context, actor identity.Actor, job identity.Job, user identity.User,
) (changed bool, err error) {
	match := identity.VersionMatch{Conditional: true, Versions: []int64{user.Version}}
	isMember := slices.Contains(user.Groups, job.GroupID)
	var change identity.UserChange
	switch job.Action {
	case identity.JobActivate, identity.JobDeactivate:
		active := job.Action == identity.JobActivate
		if user.Active == active {
			return false, nil
		}
		change.Active = &active
	case identity.JobAddToGroup, identity.JobRemoveFromGroup:
		if isMember == (job.Action == identity.JobAddToGroup) {
			return false, nil
		}
		groups := slices.DeleteFunc(slices.Clone(user.Groups), func(id int64) bool { return id == job.GroupID })
		if !isMember {
			groups = append(groups, job.GroupID)
		}
		if len(groups) > identity.MaxGroupsPerUser {
			return false, identity.Errorf(identity.Conflict, "too_many_groups",
				"The user is in %d groups already.", len(user.Groups))
		}
		change.Groups = &groups
	case identity.JobEndSessions:
		holds, err := s.store.HoldsSessions(ctx, user.ID, ownSession(actor, user.ID))
		if err != nil || !holds {
			return false, err
		}
		return true, s.EndSessions(ctx, actor, user.ID)
	case identity.JobDelete:
		return true, s.DeleteUser(ctx, actor, user.ID, match)
	}
	_, err = s.UpdateUser(ctx, actor, user.ID, UserUpdate{Change: change, Match: match})
	return true, err
}
