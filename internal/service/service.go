// Package service is what Roster does: who may, by which rules, in what
// transaction, with which event. It speaks the words of identity only; HTTP,
// wire names and dialects are its callers' business.
//
// Every operation takes the caller first and checks it first, and works before
// the transaction on what is slow (hashing).
package service

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// Options are what a service is made of.
type Options struct {
	Store     *store.Store // migrated
	Passwords *secret.Passwords
	Clock     func() time.Time // the database's, so that all instances agree
	// PasswordList has more passwords that are refused; may be nil.
	PasswordList *secret.PasswordList
	// AccessTTL and RefreshTTL are how long a session's tokens live, SessionTTL how
	// long a session lasts however much it is used.
	AccessTTL  time.Duration
	RefreshTTL time.Duration
	SessionTTL time.Duration
	// SecretKey is what secrets are sealed with; "" for a key that the database
	// itself has.
	SecretKey string
	// BaseURL returns where people reach the service, for the links in mails; without
	// a slash at the end.
	BaseURL func() string
	// CheckWebhookURL refuses a URL whose address may not be reached, with an
	// *identity.ValueError; nil refuses none, for what sends checks again.
	CheckWebhookURL func(identity.WebhookURL) error
}

// Service has the operations. It is safe for concurrent use.
type Service struct {
	options   Options
	store     *store.Store
	passwords *secret.Passwords
	sealer    atomic.Pointer[secret.Sealer]
}

// New returns a service.
func New(options Options) *Service {
	return &Service{options: options, store: options.Store, passwords: options.Passwords}
}

// now is asked once per operation.
func (s *Service) now() time.Time { return s.options.Clock().UTC().Truncate(time.Microsecond) }

// sealing returns what secrets are sealed with.
func (s *Service) sealing(ctx context.Context) (*secret.Sealer, error) {
	if sealer := s.sealer.Load(); sealer != nil {
		return sealer, nil
	}
	databaseKey, err := s.store.SecretKey(ctx)
	if err != nil {
		return nil, err
	}
	sealer, err := secret.NewSealer(s.options.SecretKey, databaseKey)
	if err == nil {
		s.sealer.Store(sealer)
	}
	return sealer, err
}

// emit records what an operation has done, and tells those who want to know, as
// the last step of its transaction, or the one before a deletion: what it is about
// has to be there still.
func emit(ctx context.Context, tx *store.Tx, actor identity.Actor, now time.Time,
	eventType identity.EventType, subjectID int64, changes identity.Changes,
) error {
	return record(ctx, tx, identity.Event{Type: eventType, Time: now, Actor: actor, SubjectID: subjectID, Changes: changes}, nil)
}

// record is emit of a whole event. connections are what UserSynced is about.
func record(ctx context.Context, tx *store.Tx, event identity.Event, connections []byte) error {
	if err := tx.Emit(ctx, event); err != nil {
		return err
	}
	return fanOut(ctx, tx, event, connections)
}
