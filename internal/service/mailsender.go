package service

import (
	"context"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/notify"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// MailSender returns the sender of mails for the outbox: it composes the mail of a message,
// with the code or link that it needs, and calls deliver.
func (s *Service) MailSender(deliver func(context.Context, delivery.Mail) error,
) func(context.Context, delivery.Message) (int, error) {
	return func(ctx context.Context, m delivery.Message) (int, error) {
		order, err := notify.ParseMailOrder(m)
		if err != nil {
			return 0, &delivery.Permanent{Cause: err}
		}
		mail, wanted, err := s.compose(ctx, m.ID, order)
		if err != nil || !wanted {
			return 0, err
		}
		return 0, deliver(ctx, mail)
	}
}

// compose returns the mail of a message. wanted is false if it must not be sent, for
// example because the user does not exist.
func (s *Service) compose(ctx context.Context, messageID int64, order notify.MailOrder,
) (mail delivery.Mail, wanted bool, err error) {
	var user identity.User
	if order.UserID != 0 {
		user, err = s.store.User(ctx, order.UserID)
	} else {
		user, _, err = s.store.UserByEmail(ctx, order.To)
	}
	if identity.KindOf(err) == identity.NotFound {
		return mail, false, nil
	}
	if err != nil {
		return mail, false, err
	}
	mail, wanted = order.Mail(messageID, user), true
	switch order.Kind {
	case delivery.MailSigninCode:
		wanted, err = s.composeCode(ctx, messageID, order.ChallengeID, &mail)
	case delivery.MailPasswordReset, delivery.MailInvitation:
		wanted, err = s.composeLink(ctx, messageID, order, user, &mail, s.now())
	case delivery.MailNewSource:
		mail.Link = s.options.BaseURL() + ResetPath
	case delivery.MailProfileCreated, delivery.MailAccountChanged:
		mail.Link = s.options.BaseURL()
	}
	return mail, wanted, err
}

// composeCode makes a code for a challenge and stores its digest. Each attempt to send the
// mail makes another code, and only the last one counts.
func (s *Service) composeCode(ctx context.Context, messageID, challengeID int64, mail *delivery.Mail) (bool, error) {
	code := secret.NewCode(s.random(messageID))
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		challenge, _, err := tx.ChallengeForUpdate(ctx, challengeID)
		if err != nil {
			return err
		}
		mail.ExpiresAt = challenge.ExpiresAt
		return tx.SetChallengeCode(ctx, challenge.ID, mailedCodeDigest(challenge.ID, code))
	})
	mail.Code = code
	if identity.KindOf(err) == identity.NotFound { // it was answered, or has expired
		return false, nil
	}
	return err == nil, err
}
