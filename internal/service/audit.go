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

// Events returns a page of the events that match, the latest first, with other
// people's data masked for a caller who may not see it.
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

// PruneEvents deletes the events from before a time, some at a time, and tells
// how many there were. It is for whoever may run the binary beside its database.
func (s *Service) PruneEvents(ctx context.Context, olderThan time.Duration) (int64, error) {
	before := s.now().Add(-olderThan)
	const batch = 1000 // lest others wait for it
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

// Denied records that an authenticated caller was refused something. That it
// cannot be recorded changes nothing about the refusal.
func (s *Service) Denied(ctx context.Context, actor identity.Actor, cause error) {
	var refusal *identity.Error
	if !errors.As(cause, &refusal) || refusal.Kind != identity.Forbidden {
		return
	}
	now := s.now()
	err := s.store.InTx(ctx, func(tx *store.Tx) error { return refuse(ctx, tx, actor, now, refusal.Code) })
	if err != nil {
		slog.WarnContext(ctx, "recording a refusal", "error", err)
	}
}

// refusalPeriod is how long equal refusals are counted in one event.
const refusalPeriod = time.Minute

// refuse records a refusal. Equal ones, of one caller from one source for one
// reason, are one event with a count: a caller who is refused must not be able to fill
// the table. It is the last step of its transaction.
func refuse(ctx context.Context, tx *store.Tx, actor identity.Actor, now time.Time, reason string) error {
	event := identity.Event{
		Type: identity.UserAccessDenied, Time: now, Actor: actor, SubjectID: actor.UserID, Reason: reason,
	}
	// A lock first, then the look: of equal refusals at once, in any number of
	// instances, one begins the event and the others see it.
	key := fmt.Sprintf("refusal %d %d %q %s %s", actor.TokenID, actor.UserID, actor.Name, actor.Source, reason)
	if _, err := tx.LockThrottle(ctx, secret.Digest(key)); err != nil {
		return err
	}
	counted, err := tx.CountRefusal(ctx, event, refusalPeriod)
	if err != nil || counted {
		return err
	}
	return emit(ctx, tx, event)
}
