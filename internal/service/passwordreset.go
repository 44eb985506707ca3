package service

import (
	"context"
	"time"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/notify"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

const (
	// resetTTL is how long a link to choose a new password works.
	resetTTL = time.Hour
	// maxResets is how many links a user gets in that time: the caller may be a stranger.
	maxResets = 5
	// ResetPath is the path of the link, relative to BaseURL. The token follows as the
	// fragment, which browsers do not send.
	ResetPath = "/password/reset"
)

// ForgotPassword mails a link to choose a new password. The user is looked up when the
// mail is sent, so that neither the answer nor its time reveals whether the address has
// a user. After too many calls it returns nil as well, and mails nothing. The error can
// only be that of the database.
func (s *Service) ForgotPassword(ctx context.Context, actor identity.Actor, email identity.Email) error {
	now := s.now()
	attempt := newAttempt("forgot", string(email), actor.Source)
	err := s.begin(ctx, &attempt, now)
	if identity.KindOf(err) == identity.TooManyRequests {
		return nil
	}
	if err != nil {
		return err
	}
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		if err := attempt.fail(ctx, tx); err != nil { // each call counts
			return err
		}
		userID, err := notify.PasswordReset(ctx, tx, email, now, now.Add(resetTTL))
		if err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.UserPasswordResetRequested, Time: now, Actor: actor, SubjectID: userID,
		})
	})
}

// composeLink makes the link of a message and stores its digest. It returns false if the
// user is not active or has got maxResets links; invitations are bounded by Invite. Each
// attempt to send a message makes another link, and only the last one counts: maxResets
// bounds messages, not attempts. A new attempt of an invitation does not prolong it.
func (s *Service) composeLink(ctx context.Context, messageID int64, order notify.MailOrder, user identity.User,
	mail *delivery.Mail, now time.Time,
) (bool, error) {
	if !user.Active {
		return false, nil
	}
	token := secret.NewToken(s.random(messageID))
	link := store.PasswordLink{
		UserID: user.ID, MessageID: messageID, Digest: secret.Digest(token), CreatedAt: now, ExpiresAt: now.Add(resetTTL),
	}
	if order.Kind == delivery.MailInvitation {
		link.Invitation, link.ExpiresAt = true, order.At.Add(inviteTTL)
	}
	sent := false
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		sent = false
		if _, err := tx.UserForUpdate(ctx, user.ID); err != nil {
			return err
		}
		// A change of the password deletes the message, also while it is being sent. What voids an
		// invitation does so as well.
		if _, err := tx.Message(ctx, messageID); err != nil {
			return err
		}
		if err := tx.DeletePasswordReset(ctx, user.ID, messageID); err != nil {
			return err
		}
		if !link.Invitation {
			n, err := tx.PasswordResetCount(ctx, user.ID, now.Add(-resetTTL))
			if err != nil || n >= maxResets {
				return err
			}
		}
		sent = true
		return tx.InsertPasswordReset(ctx, link)
	})
	if identity.KindOf(err) == identity.NotFound {
		return false, nil
	}
	mail.Link, mail.ExpiresAt = s.options.BaseURL()+ResetPath+"#token="+token, link.ExpiresAt
	return sent, err
}

// ResetPassword sets the password of the user who got a link, also that of an invitation, and
// ends all sessions of the user. Nobody is signed in by it: a second factor is asked for as
// ever. The error is Invalid (token) for a link that is unknown, expired or used.
func (s *Service) ResetPassword(ctx context.Context, actor identity.Actor, token string, password identity.Password,
) error {
	now := s.now()
	digest := secret.Digest(token)
	userID, err := s.store.PasswordReset(ctx, digest, now) // what cannot succeed must not cost a hash
	var user identity.User
	if err == nil {
		user, err = s.store.User(ctx, userID)
	}
	if identity.KindOf(err) == identity.NotFound || err == nil && !user.Active {
		return errInvalidLink()
	}
	if err != nil {
		return err
	}
	hash, err := s.newPasswordHash(ctx, actor, password, user)
	if err != nil {
		return err
	}
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		user, err := tx.UserForUpdate(ctx, userID)
		if identity.KindOf(err) == identity.NotFound || err == nil && !user.Active {
			return errInvalidLink()
		}
		if err != nil {
			return err
		}
		used, err := tx.UsePasswordReset(ctx, digest)
		if err != nil {
			return err
		}
		if !used { // another call has used it meanwhile
			return errInvalidLink()
		}
		after := user
		after.UpdatedAt, after.Version = now, user.Version+1
		if err := tx.UpdateUser(ctx, user, after); err != nil {
			return err
		}
		if err := tx.UpdatePasswordHash(ctx, userID, hash); err != nil {
			return err
		}
		if err := tx.EndSessions(ctx, userID, 0); err != nil {
			return err
		}
		if err := tx.VoidInvitations(ctx, userID); err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.UserUpdated, Time: now, Actor: asUser(actor, user), SubjectID: userID,
			Changes: identity.Changes{identity.FieldPassword: identity.HiddenChange},
		})
	})
}

func errInvalidLink() error {
	return identity.InvalidField(identity.FieldToken, "invalid_token", "is unknown, over or used; ask for another one")
}
