package service

import (
	"context"
	"strconv"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// Idempotency makes a create happen once, however often it is requested with the same
// key. The zero value has no effect. Only success is stored: what failed may be tried again.
type Idempotency struct {
	Key string
	// Request is the request in a canonical form without the password. A different request
	// with the same key is a Conflict.
	Request string
	// Render returns the answer to store; it runs inside the transaction and must not fail.
	Render func(identity.User) []byte
}

// Answer is the stored answer to an earlier create with the same key, if Replayed.
type Answer struct {
	Replayed bool
	UserID   int64
	Body     []byte
}

// caller returns the caller whose key it is, as it is stored: callers do not share keys. A
// caller who sees masks is another one than the same caller without masks, because a
// stored answer is masked as its caller saw it.
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

// purpose returns what a fingerprint is made for: it does not verify for another key.
func (i Idempotency) purpose(actor identity.Actor) string {
	return "idempotency key " + i.caller(actor) + " " + i.Key
}

// replay returns the stored answer to an earlier use of the key, or the zero Answer.
func (s *Service) replay(ctx context.Context, actor identity.Actor, idempotency Idempotency, now time.Time,
) (Answer, error) {
	if idempotency.Key == "" {
		return Answer{}, nil
	}
	since := now.Add(-identity.IdempotencyPeriod)
	kept, err := s.store.IdempotencyKey(ctx, idempotency.caller(actor), idempotency.Key, since)
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
			"This key was used for another request.").WithField(identity.FieldKey)
	}
	return Answer{Replayed: true, UserID: kept.UserID, Body: []byte(kept.Answer)}, nil
}

// keep stores the answer in the transaction of the create.
func (i Idempotency) keep(ctx context.Context, tx *store.Tx, sealer *secret.Sealer, actor identity.Actor,
	user identity.User, now time.Time,
) error {
	if i.Key == "" {
		return nil
	}
	return tx.InsertIdempotencyKey(ctx, store.IdempotencyKey{
		Caller: i.caller(actor), Key: i.Key, Fingerprint: sealer.MAC(i.purpose(actor), i.Request), UserID: user.ID,
		Answer: string(i.Render(user)), CreatedAt: now,
	}, now.Add(-identity.IdempotencyPeriod))
}
