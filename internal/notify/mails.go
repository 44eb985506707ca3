package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// MailOrder is the payload of a mail's message. It holds no secret: codes and links are
// made when the mail is sent, and only their digests are stored.
type MailOrder struct {
	Kind        delivery.MailKind
	UserID      int64     // 0 where only the address is known
	To          string    // "" for the user's address at the time of sending
	ChallengeID int64     // MailSigninCode
	Changed     []string  // MailAccountChanged
	Source      string    // MailNewSource
	At          time.Time // MailNewSource, MailInvitation
	Inviter     string    // MailInvitation
}

// ProfileCreated mails a user that the profile was created.
func ProfileCreated(ctx context.Context, tx *store.Tx, user identity.User, now time.Time) error {
	return enqueueMail(ctx, tx, MailOrder{Kind: delivery.MailProfileCreated, UserID: user.ID}, now, time.Time{})
}

// AccountChanged mails a user which of e-mail, password, tfa and active have changed, if
// any. A change of the address is mailed to the old address as well: a user whose account
// was taken over has no other notice.
func AccountChanged(ctx context.Context, tx *store.Tx, before, after identity.User, changes identity.Changes,
	now time.Time,
) error {
	order := MailOrder{Kind: delivery.MailAccountChanged, UserID: after.ID}
	for _, field := range []string{
		identity.FieldEmail, identity.FieldPassword, identity.FieldTFA, identity.FieldActive,
	} {
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

// SigninCode mails the user of a challenge a code for it, unless it has expired before.
func SigninCode(ctx context.Context, tx *store.Tx, challenge identity.Challenge, now time.Time) error {
	order := MailOrder{Kind: delivery.MailSigninCode, UserID: challenge.UserID, ChallengeID: challenge.ID}
	return enqueueMail(ctx, tx, order, now, challenge.ExpiresAt)
}

// NewSource mails a user about a sign-in from a new source. It goes to the present address:
// an intruder may change it next.
func NewSource(ctx context.Context, tx *store.Tx, user identity.User, source string, now time.Time) error {
	return enqueueMail(ctx, tx, MailOrder{
		Kind: delivery.MailNewSource, UserID: user.ID, To: string(user.Email), Source: source, At: now,
	}, now, time.Time{})
}

// Invitation mails a user a link to choose the first password, unless it has expired before. It
// goes to the present address. inviter is the name of the person who invites, "" for none.
func Invitation(ctx context.Context, tx *store.Tx, user identity.User, inviter string, now, expiresAt time.Time) error {
	return enqueueMail(ctx, tx, MailOrder{
		Kind: delivery.MailInvitation, UserID: user.ID, To: string(user.Email), Inviter: inviter, At: now,
	}, now, expiresAt)
}

// PasswordReset mails a link to choose a new password to the user with an address, if
// there is one, and returns the id of that user, 0 for none.
func PasswordReset(ctx context.Context, tx *store.Tx, email identity.Email, now, expiresAt time.Time,
) (userID int64, err error) {
	message, err := mailMessage(MailOrder{Kind: delivery.MailPasswordReset, To: string(email)}, now, expiresAt)
	if err != nil {
		return 0, err
	}
	return tx.EnqueueToAddress(ctx, message, string(email))
}

func enqueueMail(ctx context.Context, tx *store.Tx, order MailOrder, now, expiresAt time.Time) error {
	message, err := mailMessage(order, now, expiresAt)
	if err == nil {
		_, err = tx.Enqueue(ctx, message)
	}
	return err
}

func mailMessage(order MailOrder, now, expiresAt time.Time) (delivery.Message, error) {
	payload, err := json.Marshal(order)
	return delivery.Message{
		To: delivery.ToMail(), Topic: string(order.Kind), UserID: order.UserID, Payload: string(payload),
		CreatedAt: now, ExpiresAt: expiresAt,
	}, err
}

// ParseMailOrder reads the payload of a mail's message.
func ParseMailOrder(m delivery.Message) (MailOrder, error) {
	var order MailOrder
	if err := json.Unmarshal([]byte(m.Payload), &order); err != nil {
		return order, fmt.Errorf("mail order: %w", err)
	}
	return order, nil
}

// Mail returns the mail of a message to a user. It has neither code nor link.
func (o MailOrder) Mail(messageID int64, user identity.User) delivery.Mail {
	mail := delivery.Mail{
		Kind: o.Kind, ID: strconv.FormatInt(messageID, 10), Name: user.Name, To: identity.Email(o.To),
		Changed: o.Changed, Source: o.Source, At: o.At, Inviter: o.Inviter,
	}
	if o.To == "" || o.UserID == 0 {
		mail.To = user.Email
	}
	return mail
}
