package service

import (
	"context"
	"time"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// notifyOfCreation mails a user that there is a profile now.
func notifyOfCreation(ctx context.Context, tx *store.Tx, user identity.User, now time.Time) error {
	return enqueueMail(ctx, tx, mailOrder{Kind: delivery.MailProfileCreated, UserID: user.ID}, now, time.Time{})
}

// notifyOfChange mails a user which of e-mail, password, tfa and active have
// changed, if any. The old address is told of a new one as well: whoever lost
// an account to it would not hear of it otherwise.
func notifyOfChange(ctx context.Context, tx *store.Tx, before, after identity.User, changes identity.Changes, now time.Time) error {
	order := mailOrder{Kind: delivery.MailAccountChanged, UserID: after.ID}
	for _, field := range []string{"email", "password", "tfa", "active"} {
		if _, changed := changes[field]; changed {
			order.Changed = append(order.Changed, field)
		}
	}
	if len(order.Changed) == 0 {
		return nil
	}
	if err := enqueueMail(ctx, tx, order, now, time.Time{}); err != nil {
		return err
	}
	if before.Email.Key() == after.Email.Key() {
		return nil
	}
	order.To = string(before.Email)
	return enqueueMail(ctx, tx, order, now, time.Time{})
}
