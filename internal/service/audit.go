package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// Events returns a page of the events that match, the latest first. Data of other
// users is masked for a caller without CanViewMaskedData.
func (s *Service) Events(ctx context.Context, actor identity.Actor, q identity.EventQuery) (identity.EventPage, error) {
	if err := actor.Require(identity.AuditView); err != nil {
		return identity.EventPage{}, err
	}
	page, err := s.store.Events(ctx, q)
	for i, event := range page.Events {
		page.Events[i] = actor.SeesEvent(event)
	}
	return page, err
}

// PruneEvents deletes the events that are older than a period, in batches, and returns
// how many it has deleted. It checks no caller: it is for the command line.
func (s *Service) PruneEvents(ctx context.Context, olderThan time.Duration) (int64, error) {
	before := s.now().Add(-olderThan)
	const batch = 1000 // short transactions, so that others do not wait long
	var total int64
	for {
		var deleted int64
		err := s.store.InTx(ctx, func(tx *store.Tx) (err error) {
			deleted, err = tx.PruneEvents(ctx, before, batch)
			return err
		})
		total += deleted
		if err != nil || deleted < batch {
			return total, err
		}
	}
}

// Denied records that an authenticated caller was denied something. A failure to
// record it is logged: the denial stands.
func (s *Service) Denied(ctx context.Context, actor identity.Actor, cause error) {
	var denial *identity.Error
	if !errors.As(cause, &denial) || denial.Kind != identity.Forbidden {
		return
	}
	now := s.now()
	err := s.store.InTx(ctx, func(tx *store.Tx) error { return recordDenial(ctx, tx, actor, now, denial.Code) })
	if err != nil {
		slog.WarnContext(ctx, "recording a denial", "error", err)
	}
}

// denialPeriod is how long equal denials are counted in one event.
const denialPeriod = time.Minute

// recordDenial records a denial. Equal ones, of one caller from one source for one
// reason, are one event with a count, so that a denied caller cannot fill the table.
// It is the last step of its transaction.
func recordDenial(ctx context.Context, tx *store.Tx, actor identity.Actor, now time.Time, reason string) error {
	event := identity.Event{
		Type: identity.UserAccessDenied, Time: now, Actor: actor, SubjectID: actor.UserID, Reason: reason,
	}
	// Lock first, then read: of equal denials at the same time, in any number of
	// instances, one starts the event and the others see it.
	key := fmt.Sprintf("refusal %d %d %q %s %s", actor.TokenID, actor.UserID, actor.Name, actor.Source, reason)
	if _, err := tx.LockThrottle(ctx, secret.Digest(key)); err != nil {
		return err
	}
	counted, err := tx.CountRefusal(ctx, event, denialPeriod)
	if err != nil || counted {
		return err
	}
	return emit(ctx, tx, event)
}
