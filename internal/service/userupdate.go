package service

import (
	"context"
	"slices"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/notify"
	"github.com/rosterhq/roster/internal/store"
)

// UserUpdate holds the parameters of UpdateUser.
type UserUpdate struct {
	Change identity.UserChange
	Match  identity.VersionMatch
	// CurrentPassword is required to change the caller's own password, and not allowed in a
	// change of another user.
	CurrentPassword *identity.Password
	// Force allows a change that locks the caller out.
	Force bool
	// Notify mails the user about the change; see notify.AccountChanged.
	Notify bool
}

// UpdateUser changes a user and returns the new state. Equal values are no change. In
// person, users may change their own name, phone and password (with the current one). All
// else takes users.update and every permission that the user has or gets. The address, the
// password and the second factor of another user also take CanViewMaskedData; the caller's
// own address and second factor take a fresh session. The errors are Forbidden, NotFound,
// Invalid, Conflict, Precondition, TooManyRequests and Unavailable.
func (s *Service) UpdateUser(ctx context.Context, actor identity.Actor, id int64, in UserUpdate,
) (identity.User, error) {
	if err := mayTryUpdate(actor, id, in); err != nil {
		return identity.User{}, err
	}
	password, err := s.preparePassword(ctx, actor, id, in)
	if err != nil {
		return identity.User{}, err
	}
	now := s.now()
	var after identity.User
	err = s.store.InTxOn(ctx, id, func(tx *store.Tx) error {
		before, wanted, actor, err := s.checkUpdate(ctx, tx, actor, id, in, &password)
		if err != nil {
			return err
		}
		after = wanted
		events, err := writeUpdate(ctx, tx, actor, before, &after, in, password.newHash, now)
		if err != nil {
			return err
		}
		return emit(ctx, tx, events...)
	})
	return actor.Sees(after), err
}

// writeUpdate stores a change that is checked, with its new password hash if it has a password,
// and gives the user the new version. It returns the event of the change, or none if nothing
// changes.
func writeUpdate(ctx context.Context, tx *store.Tx, actor identity.Actor, before identity.User, after *identity.User,
	in UserUpdate, newHash string, now time.Time,
) ([]identity.Event, error) {
	changes := before.Diff(*after)
	newPassword := in.Change.Password != nil
	if newPassword {
		changes[identity.FieldPassword] = identity.HiddenChange
	}
	if len(changes) == 0 {
		return nil, nil
	}
	after.UpdatedAt, after.Version = now, before.Version+1
	if err := tx.UpdateUser(ctx, before, *after); err != nil {
		return nil, err
	}
	if newPassword {
		if err := tx.UpdatePasswordHash(ctx, before.ID, newHash); err != nil {
			return nil, err
		}
	}
	if err := endAccess(ctx, tx, actor, before, *after, newPassword); err != nil {
		return nil, err
	}
	if before.Active && !after.Active {
		if err := countCreatedTokens(ctx, tx, before.ID, changes); err != nil {
			return nil, err
		}
	}
	if !slices.Equal(before.Groups, after.Groups) {
		if err := tx.ReplaceMemberships(ctx, before.ID, after.Groups); err != nil {
			return nil, err
		}
	}
	if in.Notify {
		if err := notify.AccountChanged(ctx, tx, before, *after, changes, now); err != nil {
			return nil, err
		}
	}
	return []identity.Event{{
		Type: identity.UserUpdated, Time: now, Actor: actor, SubjectID: before.ID, Changes: changes,
	}}, nil
}

// endAccess ends the sessions and voids the invitations that a change of a user must not leave.
// What is counted for an old address no longer keeps the user out; codes count by user.
func endAccess(ctx context.Context, tx *store.Tx, actor identity.Actor, before, after identity.User, newPassword bool,
) error {
	if newPassword || endsSessions(before, after) {
		if err := tx.EndSessions(ctx, before.ID, ownSession(actor, before.ID)); err != nil {
			return err
		}
	}
	if before.Email.Key() != after.Email.Key() {
		if err := tx.ReleaseThrottles(ctx, before.ID, codeKey(before.ID)); err != nil {
			return err
		}
	}
	if newPassword || voidsInvitations(before, after) {
		return tx.VoidInvitations(ctx, before.ID)
	}
	return nil
}

// endsSessions reports whether a change ends the user's sessions: those that were opened
// with what it replaces must not stay open.
func endsSessions(before, after identity.User) bool {
	return before.Active && !after.Active || before.Email != after.Email || !before.TFA && after.TFA
}

// ownSession returns the session that a change of a user leaves open: the caller's, if the
// caller is the user; 0 for none.
func ownSession(actor identity.Actor, userID int64) int64 {
	if actor.UserID == userID {
		return actor.SessionID
	}
	return 0
}

// countCreatedTokens adds to the changes how many tokens the user has created: they stay
// valid after the user is deleted or deactivated.
func countCreatedTokens(ctx context.Context, tx *store.Tx, userID int64, changes identity.Changes) error {
	n, err := tx.TokenCount(ctx, userID)
	if err == nil && n > 0 {
		changes[identity.FieldCreatedTokens] = identity.Change{New: n}
	}
	return err
}

// mayTryUpdate checks what does not depend on the state of the user.
func mayTryUpdate(actor identity.Actor, id int64, in UserUpdate) error {
	self := actor.Is(id)
	if !self || !in.Change.OnlyOwn() {
		if err := actor.Require(identity.UsersUpdate); err != nil {
			return err
		}
	}
	if in.CurrentPassword != nil && !self {
		return identity.InvalidField(identity.FieldCurrentPassword, "not_oneself", "is for changing your own password only")
	}
	if self && in.Change.Password != nil && in.CurrentPassword == nil {
		return identity.InvalidField(identity.FieldCurrentPassword, "required", "is required to change your own password")
	}
	if actor.ActsFor(id) && in.Change.Password != nil {
		return actor.RequireSession(id)
	}
	if !self && in.Change.Password != nil {
		return actor.RequireWayIn()
	}
	return nil
}

// checkUpdate locks a user and returns it before and after a change, and the caller as
// current does, if the caller may make the change. password is nil in the check before the
// hashing.
func (s *Service) checkUpdate(ctx context.Context, tx *store.Tx, actor identity.Actor, id int64, in UserUpdate,
	password *preparedPassword,
) (before, after identity.User, now identity.Actor, err error) {
	before, held, actor, err := s.lockToUpdate(ctx, tx, actor, id, in)
	if err != nil {
		return before, after, actor, err
	}
	if after, err = changed(actor, before, in); err != nil {
		return before, after, actor, err
	}
	return before, after, actor, mayUpdate(ctx, tx, actor, before, after, in, held, password)
}

// lockToUpdate locks a user and returns it and the caller as current does. A change that leaves the
// groups and the administrators as they are, which nearly all do, reads both in one query, with the
// permissions of the user's groups; for any other, held is nil.
func (s *Service) lockToUpdate(ctx context.Context, tx *store.Tx, actor identity.Actor, id int64, in UserUpdate,
) (user identity.User, held *identity.Permissions, now identity.Actor, err error) {
	if in.Change.Groups == nil && in.Change.Active == nil {
		user, permissions, grant, err := tx.UserAndCaller(ctx, id, actor)
		if identity.KindOf(err) != identity.NotFound {
			actor, _, err = s.regranted(actor, grant, err)
			return user, &permissions, actor, err
		}
	}
	if user, err = tx.UserForUpdate(ctx, id); err != nil {
		return user, nil, actor, err
	}
	actor, err = s.current(ctx, tx, actor)
	return user, nil, actor, err
}

// changed returns a user after a change. The errors are Precondition, and Invalid for the mask of
// another value.
func changed(actor identity.Actor, before identity.User, in UserUpdate) (identity.User, error) {
	if err := in.Match.Check(before.Version); err != nil {
		return identity.User{}, err
	}
	change, err := in.Change.Unmasked(before, actor)
	if err != nil {
		return identity.User{}, err
	}
	after := change.Apply(before)
	after.Groups = sortedSet(after.Groups)
	return after, nil
}

// mayUpdate checks a change against the locked user and groups, for the caller as current
// returns it. held are the permissions of the user's groups, or nil where these are to be locked.
func mayUpdate(ctx context.Context, tx *store.Tx, actor identity.Actor, before, after identity.User, in UserUpdate,
	held *identity.Permissions, password *preparedPassword,
) error {
	if err := mayTryUpdate(actor, before.ID, in); err != nil {
		return err
	}
	if held == nil {
		permissions, err := lockGroups(ctx, tx, wantedGroups(after, in), before.Groups, losesAdministrator(before, after))
		if err != nil {
			return err
		}
		held = &permissions
	}
	if err := mayChange(actor, before, after, in, *held); err != nil {
		return err
	}
	if actor.Is(before.ID) && in.Change.Password != nil && password != nil {
		if err := checkCurrentPassword(ctx, tx, before.ID, password); err != nil {
			return err
		}
	}
	if losesAdministrator(before, after) {
		return requireOtherAdministrator(ctx, tx, actor, before.ID)
	}
	return nil
}

// wantedGroups returns the groups of a user after a change, in the caller's order, by which
// errors name them.
func wantedGroups(after identity.User, in UserUpdate) []int64 {
	if in.Change.Groups != nil {
		return *in.Change.Groups
	}
	return after.Groups
}

func losesAdministrator(before, after identity.User) bool {
	return before.IsAdministrator() && !after.IsAdministrator()
}

// mayChange checks a change of a user for a caller who may try it. permissions are those of the
// groups that the user has and gets.
func mayChange(actor identity.Actor, before, after identity.User, in UserUpdate, permissions identity.Permissions) error {
	if !actor.Is(before.ID) || !in.Change.OnlyOwn() {
		if err := actor.RequireCover(permissions, before.CanViewMaskedData || after.CanViewMaskedData); err != nil {
			return err
		}
	}
	if before.Email != after.Email || before.TFA != after.TFA {
		if err := mayTouchWayIn(actor, before.ID, before.TFA != after.TFA); err != nil {
			return err
		}
	}
	if actor.UserID == before.ID && in.Change.AllowList != nil && !in.Force && !after.AllowList.Allows(actor.Source) {
		return identity.Errorf(identity.Conflict, "would_lock_out",
			"This would shut you out: your own address is not in the list.").WithField(identity.FieldAllowList)
	}
	return nil
}

// mayTouchWayIn checks a change of a user's address or second factor by a caller who may
// change the user. The caller's own takes a fresh session, that of another user takes
// CanViewMaskedData. A token may not change the second factor of the user that it acts for.
func mayTouchWayIn(actor identity.Actor, userID int64, secondFactor bool) error {
	switch {
	case actor.Is(userID):
		return actor.RequireFresh()
	case secondFactor && actor.ActsFor(userID):
		return actor.RequireSession(userID)
	}
	return actor.RequireWayIn()
}
