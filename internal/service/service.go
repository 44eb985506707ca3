// Package service has the operations of Roster: who may call them, by which rules, in
// which transaction, with which event. It uses the terms of identity only; HTTP, wire
// names and dialects belong to its callers.
//
// Every operation takes the caller as its first parameter and checks it first. Slow work
// (hashing) happens before the transaction.
package service

import (
	"context"
	"crypto/rand"
	"io"
	"sync/atomic"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/notify"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// Options are the parts and settings of a Service.
type Options struct {
	Store     *store.Store // migrated
	Passwords *secret.Passwords
	Clock     func() time.Time // the database's, so that all instances agree
	// PasswordList has breached passwords, which are refused; may be nil.
	PasswordList *secret.PasswordList
	// AccessTTL and RefreshTTL are the lifetimes of a session's tokens. SessionTTL is the
	// lifetime of a session, also of one that is used.
	AccessTTL  time.Duration
	RefreshTTL time.Duration
	SessionTTL time.Duration
	// HeldTTL is how long a session of a browser lasts without being used.
	HeldTTL time.Duration
	// SecretKey is the key that secrets are sealed with; "" for the key in the database.
	SecretKey string
	// BaseURL returns the URL of the service in the links of mails; without a slash at the end.
	BaseURL func() string
	// CheckWebhookURL returns an *identity.ValueError for a URL whose address may not be
	// reached. If it is nil, only the sender checks.
	CheckWebhookURL func(identity.WebhookURL) error
	// Random returns the random bytes that tokens, codes and keys are made of: those that
	// the mail of a message has, or, for noMessage, all others. If it is nil, they are those
	// of the operating system. Only a test double has others.
	Random func(messageID int64) io.Reader
	// Unthrottled lets any number of attempts pass. It is for a test double.
	Unthrottled bool
}

// noMessage stands for the secrets that no mail has.
const noMessage = 0

// Service implements the operations. It is safe for concurrent use.
type Service struct {
	options   Options
	store     *store.Store
	passwords *secret.Passwords
	sealer    atomic.Pointer[secret.Sealer]
}

// New returns a service.
func New(options Options) *Service {
	if options.Random == nil {
		options.Random = func(int64) io.Reader { return rand.Reader }
	}
	return &Service{options: options, store: options.Store, passwords: options.Passwords}
}

// now returns the time of an operation, which calls it once.
func (s *Service) now() time.Time { return s.options.Clock().UTC().Truncate(time.Microsecond) }

// random returns the random bytes for the secrets of a message, or for all others.
func (s *Service) random(messageID int64) io.Reader { return s.options.Random(messageID) }

// sealing returns the sealer of secrets.
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

// emit records events and queues them for the webhooks that subscribe to them. It is the last
// step of the transaction of each operation. Nothing else records events.
func emit(ctx context.Context, tx *store.Tx, events ...identity.Event) error {
	webhooks, err := tx.Emit(ctx, events...)
	if err != nil {
		return err
	}
	return notify.Webhooks(ctx, tx, webhooks, events...)
}
