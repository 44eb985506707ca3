package service

import (
	"context"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// noteSource remembers from where a user, as it was before, has signed in, and mails
// the user about a source that is new, unless it is the user's very first sign-in. The
// mail goes to the address of this moment: who has got in may change it next.
func noteSource(ctx context.Context, tx *store.Tx, actor identity.Actor, user identity.User, now time.Time) error {
	if !actor.Source.IsValid() {
		return nil
	}
	isNew, err := tx.TouchSource(ctx, user.ID, sourceKey(actor.Source), now, now.Add(-identity.SourcePeriod))
	if err != nil || !isNew || user.LastSigninAt.IsZero() {
		return err
	}
	return enqueueMail(ctx, tx, mailOrder{
		Kind: identity.MailNewSource, UserID: user.ID, To: string(user.Email), Source: actor.Source.String(), At: now,
	}, now, time.Time{})
}
