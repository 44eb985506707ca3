package service

import (
	"context"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

const (
	// resetTTL is how long a link to choose a new password works.
	resetTTL = time.Hour
	// maxResets is how many links a user is sent in that time: who asks for them
	// may be someone else.
	maxResets = 5
	// ResetPath is where the link leads, relative to BaseURL; the token follows
	// as the fragment, which browsers send to nobody.
	ResetPath = "/password/reset"
)

// ForgotPassword asks for a link by mail to choose a new password. Whether there
// is a user with this address is found out when the mail is to be sent, so that
// neither the answer nor its time tells. Who asks too often is told nothing else,
// and nobody is mailed for it. The error can only be the database's.
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
		if err := attempt.fail(ctx, tx); err != nil { // each one counts
			return err
		}
		order := mailOrder{Kind: identity.MailPasswordReset, To: string(email)}
		userID, err := enqueueMailToAddress(ctx, tx, order, now, now.Add(resetTTL))
		if err != nil {
			return err
		}
		return tx.Emit(ctx, identity.Event{
			Type: identity.UserPasswordResetRequested, Time: now, Actor: actor, SubjectID: userID,
		})
	})
}

// composeReset makes the link of a message for a user who may sign in. A repetition of
// the message has another link, and only that one counts: so it is messages that are
// bounded, not attempts to deliver them.
func (s *Service) composeReset(ctx context.Context, messageID int64, user identity.User, mail *identity.Mail,
	now time.Time,
) (bool, error) {
	if !user.Active {
		return false, nil
	}
	token := secret.NewToken()
	sent := false
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		sent = false
		if _, err := tx.UserForUpdate(ctx, user.ID); err != nil {
			return err
		}
		// A password that was changed since the message was taken has taken it back.
		if _, err := tx.Message(ctx, messageID); err != nil {
			return err
		}
		if err := tx.DeletePasswordReset(ctx, user.ID, messageID); err != nil {
			return err
		}
		n, err := tx.PasswordResetCount(ctx, user.ID, now.Add(-resetTTL))
		if err != nil || n >= maxResets {
			return err
		}
		sent = true
		return tx.InsertPasswordReset(ctx, user.ID, messageID, secret.Digest(token), now, now.Add(resetTTL))
	})
	if identity.KindOf(err) == identity.NotFound {
		return false, nil
	}
	mail.Link, mail.ExpiresAt = s.options.BaseURL()+ResetPath+"#token="+token, now.Add(resetTTL)
	return sent, err
}

// ResetPassword gives a user the password that was chosen with a mailed link,
// and ends all sessions of the user. The error is Invalid (token) for a link
// that is unknown, over or used.
func (s *Service) ResetPassword(ctx context.Context, actor identity.Actor, token string, password identity.Password) error {
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
		if !used { // someone was faster
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
		return emit(ctx, tx, asUser(actor, user), now, identity.UserUpdated, userID, identity.Changes{"password": identity.HiddenChange})
	})
}

func errInvalidLink() error {
	return identity.InvalidField("token", "invalid_token", "is unknown, over or used; ask for another one")
}
