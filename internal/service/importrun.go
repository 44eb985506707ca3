package service

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

const (
	// importTurn is how many transactions an import has before the next job has its turn.
	importTurn = 4
	// importTimeout bounds a transaction of an import.
	importTimeout = 10 * time.Second
)

// importBatch is pending rows of an import that are applied together.
type importBatch struct {
	job   identity.Job
	lease time.Time
	rows  []pendingRow
}

// pendingRow is a row with what it changes of its user.
type pendingRow struct {
	identity.ImportRow

	change       identity.UserChange
	passwordHash string
	err          error // the data cannot be read, or the hash cannot be taken
}

// importTurn applies the next rows of an import that this worker has until lease. Users, events,
// messages and results of some rows are one transaction: whatever ends the worker, no row is
// applied twice or half.
func (s *Service) importTurn(ctx context.Context, job identity.Job, lease time.Time,
	observe func(identity.Job, identity.JobItem),
) error {
	key, err := s.store.ImportKey(ctx, job.ID)
	if err != nil || key == "" { // it has been cancelled
		return gone(err)
	}
	sealer, err := secret.NewSealer(key)
	if err != nil {
		return err
	}
	work := context.WithoutCancel(ctx)
	for range importTurn {
		rows, err := s.store.PendingImportRows(work, job.ID, job.Applied, s.store.ImportBatch())
		if err != nil {
			return err
		}
		if len(rows) == 0 || ctx.Err() != nil {
			break
		}
		batch := importBatch{job: job, lease: lease, rows: make([]pendingRow, len(rows))}
		for i, row := range rows {
			batch.rows[i] = pendingRow{ImportRow: row}
			if row.Data != "" { // else the user has been deleted
				batch.rows[i].change, batch.rows[i].passwordHash, batch.rows[i].err = unseal(sealer, job.ID, row)
			}
			batch.rows[i].Data = ""
		}
		held, err := s.applyBatch(work, &batch)
		if stop := stopOf(err); stop != nil {
			return s.stopJob(work, job.ID, batch.lease, stop)
		}
		if err != nil || !held {
			return err
		}
		for _, row := range batch.rows {
			observe(job, row.JobItem)
		}
		job.Applied, lease = rows[len(rows)-1].Row, batch.lease
	}
	return s.settleJob(work, job.ID, lease, func(tx *store.Tx, job *identity.Job) error {
		job.LeaseUntil = s.now() // the others have their turns first
		left, err := tx.PendingImportRows(work, job.ID, job.Applied, 1)
		if err == nil && len(left) == 0 {
			job.State, job.FinishedAt = identity.JobFinished, job.LeaseUntil
		}
		return err
	})
}

// applyBatch applies rows and gives them their results, in one transaction or, if the database
// refuses that, one by one. It reports false if the job is no longer this worker's. The error is
// a stopError, or Unavailable.
func (s *Service) applyBatch(ctx context.Context, batch *importBatch) (held bool, err error) {
	planned := slices.Clone(batch.rows)
	held, err = s.tryBatch(ctx, batch, s.applyRows)
	if err == nil || stopOf(err) != nil || identity.KindOf(err) == identity.Unavailable {
		return held, err
	}
	if len(planned) == 1 {
		cause := err
		batch.rows = planned
		return s.tryBatch(ctx, batch, func(context.Context, *store.Tx, *importBatch, time.Time) error {
			batch.rows[0].JobItem = failed(ctx, batch.job, batch.rows[0].JobItem, cause)
			return nil
		})
	}
	batch.rows = nil
	for i := range planned {
		one := importBatch{job: batch.job, lease: batch.lease, rows: planned[i : i+1]}
		if held, err = s.applyBatch(ctx, &one); err != nil || !held {
			return held, err
		}
		batch.rows, batch.lease = append(batch.rows, one.rows...), one.lease
	}
	return true, nil
}

// tryBatch runs apply, which gives the rows their results, and stores these in the same
// transaction.
func (s *Service) tryBatch(ctx context.Context, batch *importBatch,
	apply func(context.Context, *store.Tx, *importBatch, time.Time) error,
) (held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, importTimeout)
	defer cancel()
	now := s.now()
	next, planned := now.Add(jobLease), batch.rows
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		job, err := tx.JobForUpdate(ctx, batch.job.ID)
		if err != nil {
			held = false
			return gone(err)
		}
		if held = job.State == identity.JobRunning && job.LeaseUntil.Equal(batch.lease); !held {
			return nil
		}
		batch.rows = slices.Clone(planned) // a transaction may run several times
		if err := apply(ctx, tx, batch, now); err != nil {
			return err
		}
		rows := make([]identity.ImportRow, len(batch.rows))
		for i, row := range batch.rows {
			rows[i] = row.ImportRow
			job.Count(row.State)
		}
		if err := tx.SettleImportRows(ctx, job.ID, rows); err != nil {
			return err
		}
		job.Applied, job.LeaseUntil = rows[len(rows)-1].Row, next
		return tx.UpdateJob(ctx, job)
	})
	if err == nil {
		batch.lease = next
	}
	return held, err
}

// applyRows does what rows say, each as one operation of the caller who has started the import,
// with the rights that the caller has now, and gives each row its result.
func (s *Service) applyRows(ctx context.Context, tx *store.Tx, batch *importBatch, now time.Time) error {
	users, groups, err := lockImported(ctx, tx, batch.rows)
	if err != nil {
		return err
	}
	actor, err := s.starterIn(ctx, tx, batch.job)
	if err != nil {
		return err
	}
	if err := s.admitHashes(ctx, tx, batch.rows); err != nil {
		return err
	}
	events, err := createImported(ctx, tx, actor, batch, groups, now)
	if err != nil {
		return err
	}
	for i := range batch.rows {
		row := &batch.rows[i]
		if row.State != identity.ItemPending || row.err != nil {
			continue
		}
		before, found := users[row.UserID]
		if !found {
			row.State, row.Code, row.Message = identity.ItemSkipped, codeGone, skipMessages[codeGone]
			continue
		}
		event, err := updateImported(ctx, tx, actor, *row, before, groups, now)
		if err := row.settle(ctx, batch.job, err); err != nil {
			return err
		}
		if err == nil && len(event) == 0 {
			row.State = identity.ItemUnchanged
		}
		events = append(events, event...)
	}
	for i := range batch.rows {
		if row := &batch.rows[i]; row.err != nil {
			row.JobItem = failed(ctx, batch.job, row.JobItem, row.err)
		}
	}
	return emit(ctx, tx, events...)
}

// admitHashes checks the password hashes of rows again: others may have come into use since.
func (s *Service) admitHashes(ctx context.Context, tx *store.Tx, rows []pendingRow) error {
	hashes, err := s.hashKinds(ctx, tx)
	if err != nil {
		return err
	}
	for i := range rows {
		if row := &rows[i]; row.err == nil && row.passwordHash != "" {
			row.err = hashes.admit(row.passwordHash)
		}
	}
	return nil
}

// settle gives a row the result of an operation. It returns an error of the database: the
// transaction cannot go on after it.
func (r *pendingRow) settle(ctx context.Context, job identity.Job, err error) error {
	var refusal *identity.Error
	switch {
	case err == nil:
		r.State = identity.ItemDone
	case !errors.As(err, &refusal), refusal.Unwrap() != nil:
		return err
	default:
		r.JobItem = failed(ctx, job, r.JobItem, err)
	}
	return nil
}

// lockImported locks and reads the users that rows change, and then all groups that these have
// and get.
func lockImported(ctx context.Context, tx *store.Tx, rows []pendingRow,
) (users map[int64]identity.User, groups map[int64]identity.Group, err error) {
	var userIDs, groupIDs []int64
	for _, row := range rows {
		if row.UserID != 0 {
			userIDs = append(userIDs, row.UserID)
		}
		if row.change.Groups != nil {
			groupIDs = append(groupIDs, *row.change.Groups...)
		}
	}
	locked, err := tx.LockUsers(ctx, sortedSet(userIDs))
	if err != nil {
		return nil, nil, err
	}
	users = make(map[int64]identity.User, len(locked))
	for _, user := range locked {
		users[user.ID] = user
		groupIDs = append(groupIDs, user.Groups...)
	}
	exclusively := slices.ContainsFunc(rows, func(row pendingRow) bool {
		before := users[row.UserID]
		return losesAdministrator(before, row.change.Apply(before))
	})
	found, err := tx.LockGroups(ctx, sortedSet(groupIDs), exclusively)
	return users, groupsByID(found), err
}

// createImported creates the users of the rows that create one, and returns the events.
func createImported(ctx context.Context, tx *store.Tx, actor identity.Actor, batch *importBatch,
	groups map[int64]identity.Group, now time.Time,
) ([]identity.Event, error) {
	var users []identity.User
	var hashes []string
	var rows []*pendingRow
	for i := range batch.rows {
		row := &batch.rows[i]
		if row.Outcome != identity.RowCreate || row.err != nil {
			continue
		}
		user := row.change.Apply(newImported)
		if err := row.settle(ctx, batch.job, checkNewUser(actor, user, groups)); err != nil {
			return nil, err
		}
		if row.State == identity.ItemDone {
			user.CreatedAt, user.Version = now, 1
			users, hashes, rows = append(users, user), append(hashes, row.passwordHash), append(rows, row)
		}
	}
	ids, err := tx.InsertUsers(ctx, users, hashes)
	if err != nil {
		return nil, err
	}
	events := make([]identity.Event, 0, len(users))
	for i, user := range users {
		id, isNew := ids[user.Email.Key()]
		if !isNew {
			rows[i].JobItem = refused(rows[i].JobItem, store.ErrEmailTaken())
			continue
		}
		user.ID, rows[i].UserID = id, id
		events = append(events, identity.Event{
			Type: identity.UserCreated, Time: now, Actor: actor, SubjectID: id, Changes: identity.User{}.Diff(user),
			User: &user,
		})
	}
	return events, nil
}

// updateImported changes the locked user of a row, and returns the event, or none if nothing
// changes.
func updateImported(ctx context.Context, tx *store.Tx, actor identity.Actor, row pendingRow, before identity.User,
	groups map[int64]identity.Group, now time.Time,
) ([]identity.Event, error) {
	match := identity.VersionMatch{Conditional: true, Versions: []int64{row.Version}}
	if err := match.Check(before.Version); err != nil {
		return nil, err
	}
	after := row.change.Apply(before)
	in := importedUpdate(before, after, row.passwordHash)
	if err := checkImportedUpdate(ctx, tx, actor, before, after, in, groups); err != nil {
		return nil, err
	}
	if in.Change.Email != nil && before.Email.Key() != after.Email.Key() {
		if err := tx.RequireFreeEmail(ctx, after.Email); err != nil {
			return nil, err
		}
	}
	events, err := writeUpdate(ctx, tx, actor, before, &after, in, row.passwordHash, now)
	for i := range events {
		events[i].User = &after
	}
	return events, err
}
