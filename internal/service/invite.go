package service

import (
	"context"
	"strconv"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/notify"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// inviteTTL is how long the link of an invitation works.
const inviteTTL = 7 * 24 * time.Hour

// inviteRule bounds the invitations that one user is mailed.
var inviteRule = identity.ThrottleRule{Max: 5, Window: 24 * time.Hour}

// Invite mails an active user who has never signed in a link to choose the password. It
// works once, for inviteTTL, and proves nothing else. It is void as soon as another one is
// sent, a password is set, the address changes, or the user is deactivated or deleted. It
// takes users.update, every permission of the user and CanViewMaskedData. The errors are
// Forbidden, NotFound, Conflict and TooManyRequests.
func (s *Service) Invite(ctx context.Context, actor identity.Actor, id int64) error {
	if err := mayTryInvite(actor, id); err != nil {
		return err
	}
	now := s.now()
	// What is refused must not count.
	err := s.store.Peek(func(tx *store.Tx) error {
		_, _, err := s.mayInvite(ctx, tx, actor, id)
		return err
	})
	if err != nil {
		return err
	}
	attempt := attempt{counts: []throttled{{
		key: secret.Digest("invite " + strconv.FormatInt(id, 10)), rule: inviteRule, everywhere: true,
	}}}
	if err := s.begin(ctx, &attempt, now); err != nil {
		return err
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		user, actor, err := s.mayInvite(ctx, tx, actor, id)
		if err != nil {
			return err
		}
		if err := tx.VoidInvitations(ctx, id); err != nil {
			return err
		}
		if err := attempt.fail(ctx, tx); err != nil { // each one counts
			return err
		}
		return invite(ctx, tx, actor, user, now)
	})
	if err != nil {
		s.takeBack(ctx, attempt)
	}
	return err
}

// invite mails an invitation and records it.
func invite(ctx context.Context, tx *store.Tx, actor identity.Actor, user identity.User, now time.Time) error {
	inviter := identity.Name("")
	if actor.UserID != 0 {
		by, err := tx.User(ctx, actor.UserID)
		if err != nil {
			return err
		}
		inviter = by.Name.Masked() // a name can be an address
	}
	if err := notify.Invitation(ctx, tx, user, string(inviter), now, now.Add(inviteTTL)); err != nil {
		return err
	}
	return emit(ctx, tx, identity.Event{Type: identity.UserInvited, Time: now, Actor: actor, SubjectID: user.ID})
}

// mayTryInvite checks what does not depend on the state of the user. The rights are those to
// set another user's password.
func mayTryInvite(actor identity.Actor, id int64) error {
	if err := actor.Require(identity.UsersUpdate); err != nil {
		return err
	}
	if actor.ActsFor(id) {
		return actor.RequireSession(id)
	}
	return actor.RequireWayIn()
}

// mayInvite is lockTouched for a user whom the caller may invite.
func (s *Service) mayInvite(ctx context.Context, tx *store.Tx, actor identity.Actor, id int64,
) (identity.User, identity.Actor, error) {
	user, actor, err := s.lockTouched(ctx, tx, actor, id, func(actor identity.Actor) error {
		return mayTryInvite(actor, id)
	})
	switch {
	case err != nil:
	case !user.Active:
		err = identity.Errorf(identity.Conflict, "user_inactive", "The user is not active.")
	case !user.LastSigninAt.IsZero():
		err = identity.Errorf(identity.Conflict, "has_signed_in",
			"The user has signed in before. Send a link to choose another password instead.")
	}
	return user, actor, err
}

// checkInvite checks that a user who is invited is active and has no password yet.
func (in NewUser) checkInvite() error {
	var problems identity.Problems
	if in.Invite && in.Password != "" {
		problems.Add(identity.FieldPassword, "not_allowed", "must not be given for a user who is invited")
	}
	if in.Invite && !in.User.Active {
		problems.Add(identity.FieldActive, "inactive_invited", "must be true for a user who is invited")
	}
	return problems.Err()
}

// voidsInvitations reports whether a change of a user voids invitations.
func voidsInvitations(before, after identity.User) bool {
	return before.Active && !after.Active || before.Email != after.Email
}
