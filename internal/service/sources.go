package service

import (
	"context"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/notify"
	"github.com/rosterhq/roster/internal/store"
)

// noteSource stores the source of a sign-in. It mails the user about a new source, unless
// this is the user's first sign-in. user is the state before the sign-in.
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
