package service

import (
	"context"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/notify"
	"github.com/rosterhq/roster/internal/store"
)

// noteSource remembers from where a user, as it was before, has signed in, and mails
// the user about a source that is new, unless it is the user's very first sign-in.
func noteSource(ctx context.Context, tx *store.Tx, actor identity.Actor, user identity.User, now time.Time) error {
	if !actor.Source.IsValid() {
		return nil
	}
	isNew, err := tx.TouchSource(ctx, user.ID, sourceKey(actor.Source), now, now.Add(-identity.SourcePeriod))
	if err != nil || !isNew || user.LastSigninAt.IsZero() {
		return err
	}
	return notify.NewSource(ctx, tx, user, actor.Source.String(), now)
}
