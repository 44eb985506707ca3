package service

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// mailOrder is what the outbox has of a mail. It holds no secret: codes and
// links are made when the mail is sent, and only their digests are stored.
type mailOrder struct {
	Kind        identity.MailKind
	UserID      int64    // 0 where only the address is known
	To          string   // "" for the user's address at the time of sending
	ChallengeID int64    // MailSigninCode
	Changed     []string // MailAccountChanged
	Source      string   // MailNewSource, as At
	At          time.Time
}

func enqueueMail(ctx context.Context, tx *store.Tx, order mailOrder, now, expiresAt time.Time) error {
	payload, err := json.Marshal(order)
	if err != nil {
		return err
	}
	message := identity.Message{
		Lane: identity.LaneMail, Topic: string(order.Kind), UserID: order.UserID, Payload: string(payload), CreatedAt: now, ExpiresAt: expiresAt,
	}
	if order.UserID == 0 {
		message.Address = identity.Email(order.To).Key()
	}
	_, err = tx.Enqueue(ctx, message)
	return err
}

// enqueueMailToAddress is enqueueMail to the user who has the order's address, if anyone
// does, and returns the id of that user, 0 for nobody.
func enqueueMailToAddress(ctx context.Context, tx *store.Tx, order mailOrder, now, expiresAt time.Time,
) (userID int64, err error) {
	payload, err := json.Marshal(order)
	if err != nil {
		return 0, err
	}
	return tx.EnqueueToAddress(ctx, identity.Message{
		Lane: identity.LaneMail, Topic: string(order.Kind), Payload: string(payload),
		CreatedAt: now, ExpiresAt: expiresAt,
	}, order.To)
}

// MailSender returns what sends the messages of the mail lane: it makes the mail
// that was ordered, with the code or link that it needs, and delivers it.
func (s *Service) MailSender(deliver func(context.Context, identity.Mail) error) func(context.Context, identity.Message) (int, error) {
	return func(ctx context.Context, m identity.Message) (int, error) {
		var order mailOrder
		if err := json.Unmarshal([]byte(m.Payload), &order); err != nil {
			return 0, &identity.PermanentError{Cause: fmt.Errorf("mail order: %w", err)}
		}
		mail := identity.Mail{Kind: order.Kind, ID: strconv.FormatInt(m.ID, 10), Changed: order.Changed}
		wanted, err := s.compose(ctx, m.ID, order, &mail)
		if err != nil || !wanted {
			return 0, err
		}
		return 0, deliver(ctx, mail)
	}
}

// compose fills in the mail of a message, and reports false when it is not to be sent:
// there is no such user any more, or never was.
func (s *Service) compose(ctx context.Context, messageID int64, order mailOrder, mail *identity.Mail,
) (wanted bool, err error) {
	var user identity.User
	if order.UserID != 0 {
		user, err = s.store.User(ctx, order.UserID)
	} else {
		user, _, err = s.store.UserByEmail(ctx, order.To)
	}
	if identity.KindOf(err) == identity.NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	mail.Name, mail.To = user.Name, identity.Email(order.To)
	if mail.To == "" || order.UserID == 0 {
		mail.To = user.Email
	}
	now := s.now()
	switch order.Kind {
	case identity.MailSigninCode:
		return s.composeCode(ctx, order, mail)
	case identity.MailPasswordReset:
		return s.composeReset(ctx, messageID, user, mail, now)
	case identity.MailNewSource:
		mail.Source, mail.At, mail.Link = order.Source, order.At, s.options.BaseURL()+ResetPath
	case identity.MailProfileCreated, identity.MailAccountChanged:
		mail.Link = s.options.BaseURL()
	}
	return true, nil
}

// composeCode makes a code for a challenge. A repetition of the mail has another
// one, and only that one counts.
func (s *Service) composeCode(ctx context.Context, order mailOrder, mail *identity.Mail) (bool, error) {
	code := secret.NewCode()
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		challenge, _, err := tx.ChallengeForUpdate(ctx, order.ChallengeID)
		if err != nil {
			return err
		}
		mail.ExpiresAt = challenge.ExpiresAt
		return tx.SetChallengeCode(ctx, challenge.ID, mailedCodeDigest(challenge.ID, code))
	})
	mail.Code = code
	if identity.KindOf(err) == identity.NotFound { // it has been answered, or is over
		return false, nil
	}
	return err == nil, err
}
