package service

import (
	"context"
	"strconv"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// Idempotency makes a create that is asked for several times happen once (the
// Idempotency-Key of draft-ietf-httpapi-idempotency-key-header). The zero value
// asks for nothing. Only success is remembered: what failed may be tried again.
type Idempotency struct {
	Key string
	// Request is the request in a form that is the same for the same request, and
	// without a password: another request may not have the same key.
	Request string
	// Render returns the answer to keep; it runs inside the transaction and must not fail.
	Render func(identity.User) []byte
}

// Answer is what a create is answered with, where Idempotency had a key.
type Answer struct {
	Replayed bool
	UserID   int64
	Body     []byte
}

// caller tells whose key it is: keys of different callers never meet, nor do those
// of one who sees masks and has not always, for a kept answer is as masked as its
// caller was.
func (i Idempotency) caller(actor identity.Actor) string {
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
func (i Idempotency) purpose(actor identity.Actor) string {
	return "idempotency key " + i.caller(actor) + " " + i.Key
}

// replay returns the kept answer to an earlier use of the key, if there was one.
func (s *Service) replay(ctx context.Context, actor identity.Actor, idempotency Idempotency, now time.Time) (Answer, error) {
	if idempotency.Key == "" {
		return Answer{}, nil
	}
	kept, err := s.store.IdempotencyKey(ctx, idempotency.caller(actor), idempotency.Key, now.Add(-identity.IdempotencyPeriod))
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
	if !sealer.VerifyMAC(kept.Fingerprint, idempotency.purpose(actor), idempotency.Request) {
		return Answer{}, identity.Errorf(identity.Conflict, "idempotency_key_reused",
			"This Idempotency-Key was used for another request.").WithField("Idempotency-Key")
	}
	return Answer{Replayed: true, UserID: kept.UserID, Body: []byte(kept.Answer)}, nil
}

// keep stores the answer in the transaction of the create.
func (i Idempotency) keep(ctx context.Context, tx *store.Tx, sealer *secret.Sealer, actor identity.Actor, user identity.User, now time.Time,
) error {
	if i.Key == "" {
		return nil
	}
	return tx.InsertIdempotencyKey(ctx, store.IdempotencyKey{
		Caller: i.caller(actor), Key: i.Key, Fingerprint: sealer.MAC(i.purpose(actor), i.Request), UserID: user.ID,
		Answer: string(i.Render(user)), CreatedAt: now,
	}, now.Add(-identity.IdempotencyPeriod))
}
