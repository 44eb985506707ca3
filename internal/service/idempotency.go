package service

import (
	"context"
	"strconv"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// Once makes a create happen once, however often it is requested with the same key.
// The zero value has no effect. Only success is remembered: what failed may be tried again.
type Once struct {
	Key string
	// Request is the request in a form that is the same for the same request, and
	// without a password: another request may not have the same key.
	Request string
	// Render returns the answer to keep; it runs inside the transaction and must not fail.
	Render func(identity.User) []byte
}

// Answer is what a create is answered with, where Once had a key.
type Answer struct {
	Replayed bool
	UserID   int64
	Body     []byte
}

// caller tells whose key it is: keys of different callers never meet, nor do those
// of one who sees masks and has not always, for a kept answer is as masked as its
// caller was.
func (o Once) caller(actor identity.Actor) string {
	caller := "user " + strconv.FormatInt(actor.UserID, 10)
	if actor.TokenID != 0 {
		caller = "token " + strconv.FormatInt(actor.TokenID, 10)
	}
	if !actor.CanViewMaskedData {
		caller += " masked"
	}
	return caller
}

// purpose binds a fingerprint to its place.
func (o Once) purpose(actor identity.Actor) string {
	return "idempotency key " + o.caller(actor) + " " + o.Key
}

// replay returns the kept answer to an earlier use of the key, if there was one.
func (s *Service) replay(ctx context.Context, actor identity.Actor, once Once, now time.Time) (Answer, error) {
	if once.Key == "" {
		return Answer{}, nil
	}
	kept, err := s.store.IdempotencyKey(ctx, once.caller(actor), once.Key, now.Add(-identity.IdempotencyPeriod))
	if identity.KindOf(err) == identity.NotFound {
		return Answer{}, nil
	}
	if err != nil {
		return Answer{}, err
	}
	sealer, err := s.sealing(ctx)
	if err != nil {
		return Answer{}, err
	}
	if !sealer.VerifyMAC(kept.Fingerprint, once.purpose(actor), once.Request) {
		return Answer{}, identity.Errorf(identity.Conflict, "idempotency_key_reused",
			"This key was used for another request.").WithField("key")
	}
	return Answer{Replayed: true, UserID: kept.UserID, Body: []byte(kept.Answer)}, nil
}

// keep stores the answer in the transaction of the create.
func (o Once) keep(ctx context.Context, tx *store.Tx, sealer *secret.Sealer, actor identity.Actor, user identity.User, now time.Time,
) error {
	if o.Key == "" {
		return nil
	}
	return tx.InsertIdempotencyKey(ctx, store.IdempotencyKey{
		Caller: o.caller(actor), Key: o.Key, Fingerprint: sealer.MAC(o.purpose(actor), o.Request), UserID: user.ID,
		Answer: string(o.Render(user)), CreatedAt: now,
	}, now.Add(-identity.IdempotencyPeriod))
}
