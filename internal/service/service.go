// Package service is what Roster does: who may, by which rules, in what
// transaction, with which event. It speaks the words of identity only; HTTP,
// wire names and dialects are its callers' business.
//
// Every operation takes the caller first and checks it first, and works before
// the transaction on what is slow (hashing).
package service

import (
	"context"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// Service has the operations. It is safe for concurrent use.
type Service struct {
	store     *store.Store
	passwords *secret.Passwords
	clock     func() time.Time
}

// New returns a service over a migrated store. clock is time.Now but in tests.
func New(s *store.Store, passwords *secret.Passwords, clock func() time.Time) *Service {
	return &Service{store: s, passwords: passwords, clock: clock}
}

// now is asked once per operation.
func (s *Service) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }

// emit records what an operation has done, as the last step of its transaction.
func emit(ctx context.Context, tx *store.Tx, actor identity.Actor, now time.Time,
	eventType identity.EventType, subjectID int64, changes identity.Changes,
) error {
	return tx.Emit(ctx, identity.Event{Type: eventType, Time: now, Actor: actor, SubjectID: subjectID, Changes: changes})
}
