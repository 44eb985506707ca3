package service

import (
	"context"
	"slices"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// User returns a user. Everyone may read oneself; others need users.view.
func (s *Service) User(ctx context.Context, actor identity.Actor, id int64) (identity.User, error) {
	if actor.UserID != id {
		if err := actor.Require(identity.UsersView); err != nil {
			return identity.User{}, err
		}
	}
	user, err := s.store.User(ctx, id)
	return actor.Sees(user), err
}

// Users returns a page of the users that match. A caller who sees masked data
// searches in names only and cannot order by e-mail: either would tell what the
// mask hides.
func (s *Service) Users(ctx context.Context, actor identity.Actor, q identity.UserQuery) (identity.UserPage, error) {
	if err := actor.Require(identity.UsersView); err != nil {
		return identity.UserPage{}, err
	}
	if !actor.CanViewMaskedData {
		if q.Sort == identity.SortByEmail {
			return identity.UserPage{}, errMasked("Ordering by e-mail would tell of masked addresses.")
		}
		q.Filter.SearchNames = true
	}
	page, err := s.store.Users(ctx, q)
	for i, user := range page.Users {
		page.Users[i] = actor.Sees(user)
	}
	return page, err
}

// NewUser is a user to be created; of User the fields that a caller may choose.
type NewUser struct {
	User     identity.User
	Password identity.Password
	// Notify mails the user that the profile exists.
	Notify bool
}

// CreateUser creates a user. Where once names a key that was used before for the
// same request, it has no further effect and returns the first call's answer
// and no user. The errors are Forbidden, Invalid (groups), Conflict and
// Unavailable.
func (s *Service) CreateUser(ctx context.Context, actor identity.Actor, in NewUser, once Once) (identity.User, Answer, error) {
	if err := actor.Require(identity.UsersCreate); err != nil {
		return identity.User{}, Answer{}, err
	}
	if in.User.Email.IsMask() && !actor.CanViewMaskedData {
		return identity.User{}, Answer{}, identity.InvalidField("email", "masked_value", "is a mask, not an address")
	}
	now := s.now()
	if answer, err := s.replay(ctx, actor, once, now); err != nil || answer.Replayed {
		return identity.User{}, answer, err
	}
	sealer, err := s.sealing(ctx)
	if err != nil {
		return identity.User{}, Answer{}, err
	}
	hash, err := s.passwords.Hash(ctx, in.Password) // slow, so before the transaction
	if err != nil {
		return identity.User{}, Answer{}, err
	}
	user := in.User
	user.Groups = sortedSet(in.User.Groups)
	user.CreatedAt, user.Version = now, 1
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		permissions, err := lockGroups(ctx, tx, in.User.Groups, nil, false)
		if err != nil {
			return err
		}
		if err := actor.RequireCover(permissions, user.CanViewMaskedData); err != nil {
			return err
		}
		if user.ID, err = tx.InsertUser(ctx, user, hash); err != nil {
			return err
		}
		if err := once.keep(ctx, tx, sealer, actor, actor.Sees(user), now); err != nil {
			return err
		}
		if in.Notify {
			if err := notifyOfCreation(ctx, tx, user, now); err != nil {
				return err
			}
		}
		return emit(ctx, tx, actor, now, identity.UserCreated, user.ID, identity.User{}.Diff(user))
	})
	if identity.KindOf(err) == identity.Conflict {
		// The same request, sent twice at once, may have come first.
		if answer, replayErr := s.replay(ctx, actor, once, now); replayErr != nil || answer.Replayed {
			return identity.User{}, answer, replayErr
		}
	}
	return actor.Sees(user), Answer{}, err
}

// UpdateUser is how a change is to be made.
type UpdateUser struct {
	Change identity.UserChange
	Match  identity.VersionMatch
	// CurrentPassword is needed to change one's own password without users.update.
	CurrentPassword *identity.Password
	// Force allows a change that shuts its own author out.
	Force bool
	// Notify mails the user what has changed, of what a user should know.
	Notify bool
}

// UpdateUser changes a user and returns the new state; what is the same already
// is no change. Everyone may change one's own name, phone and password (giving
// the current one); all else needs users.update and every permission that the
// user has or gets. The errors are Forbidden, NotFound, Invalid, Conflict,
// Precondition and Unavailable.
func (s *Service) UpdateUser(ctx context.Context, actor identity.Actor, id int64, in UpdateUser) (identity.User, error) {
	own := actor.UserID == id && in.Change.OnlyOwn()
	if !own {
		if err := actor.Require(identity.UsersUpdate); err != nil {
			return identity.User{}, err
		}
	}
	password, err := s.preparePassword(ctx, actor, id, in)
	if err != nil {
		return identity.User{}, err
	}
	now := s.now()
	var after identity.User
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		before, err := tx.UserForUpdate(ctx, id)
		if err != nil {
			return err
		}
		if err := in.Match.Check(before.Version); err != nil {
			return err
		}
		change, err := in.Change.Unmasked(before, actor)
		if err != nil {
			return err
		}
		after = change.Apply(before)
		after.Groups = sortedSet(after.Groups)
		if err := mayUpdate(ctx, tx, actor, before, after, in, own, password); err != nil {
			return err
		}
		changes := before.Diff(after)
		if in.Change.Password != nil {
			changes["password"] = identity.HiddenChange
		}
		if len(changes) == 0 {
			return nil
		}
		after.UpdatedAt, after.Version = now, before.Version+1
		if err := tx.UpdateUser(ctx, before, after); err != nil {
			return err
		}
		if in.Change.Password != nil {
			if err := tx.UpdatePasswordHash(ctx, id, password.newHash); err != nil {
				return err
			}
		}
		if in.Change.Password != nil || before.Active && !after.Active {
			except := int64(0)
			if actor.UserID == id {
				except = actor.SessionID
			}
			if err := tx.EndSessions(ctx, id, except); err != nil {
				return err
			}
		}
		if !slices.Equal(before.Groups, after.Groups) {
			if err := tx.ReplaceMemberships(ctx, id, after.Groups); err != nil {
				return err
			}
		}
		if in.Notify {
			if err := notifyOfChange(ctx, tx, before, after, changes, now); err != nil {
				return err
			}
		}
		return emit(ctx, tx, actor, now, identity.UserUpdated, id, changes)
	})
	return actor.Sees(after), err
}

// preparedPassword is the slow part of changing a password, done before the
// transaction.
type preparedPassword struct {
	newHash      string
	verifiedHash string // the current hash, where the current password was given and right
}

func (s *Service) preparePassword(ctx context.Context, actor identity.Actor, id int64, in UpdateUser) (preparedPassword, error) {
	var p preparedPassword
	if in.Change.Password == nil && in.CurrentPassword == nil {
		return p, nil
	}
	// What cannot succeed must not cost a hash.
	user, err := s.store.User(ctx, id)
	if err != nil {
		return p, err
	}
	if err := in.Match.Check(user.Version); err != nil {
		return p, err
	}
	if in.CurrentPassword != nil {
		if p.verifiedHash, err = s.verifyCurrentPassword(ctx, actor, user, *in.CurrentPassword); err != nil {
			return p, err
		}
	}
	if in.Change.Password != nil {
		p.newHash, err = s.passwords.Hash(ctx, *in.Change.Password)
	}
	return p, err
}

// verifyCurrentPassword returns the hash of a user's password if this is it. It
// bounds guesses as SignIn does, and together with it.
func (s *Service) verifyCurrentPassword(ctx context.Context, actor identity.Actor, user identity.User, password identity.Password) (string, error) {
	now := s.now()
	attempt := signinAttempt(string(user.Email), actor.Source)
	if err := s.begin(ctx, attempt, now); err != nil {
		return "", err
	}
	hash, err := s.store.PasswordHash(ctx, user.ID)
	if err != nil {
		return "", err
	}
	matches, err := s.passwords.Matches(ctx, hash, password)
	if err != nil {
		s.takeBack(ctx, attempt)
		return "", err
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		if matches {
			return attempt.succeed(ctx, tx)
		}
		return attempt.fail(ctx, tx, now)
	})
	if err == nil && !matches {
		err = identity.InvalidField("currentPassword", "wrong_password", "is not the current password")
	}
	return hash, err
}

// mayUpdate checks a change against the locked state of what it touches.
func mayUpdate(ctx context.Context, tx *store.Tx, actor identity.Actor, before, after identity.User,
	in UpdateUser, own bool, password preparedPassword,
) error {
	losesAdministrator := before.IsAdministrator() && !after.IsAdministrator()
	wanted := after.Groups
	if in.Change.Groups != nil {
		wanted = *in.Change.Groups // in the caller's order, by which errors name them
	}
	permissions, err := lockGroups(ctx, tx, wanted, before.Groups, losesAdministrator)
	if err != nil {
		return err
	}
	err = actor.Require(identity.UsersUpdate)
	if err == nil {
		err = actor.RequireCover(permissions, before.CanViewMaskedData || after.CanViewMaskedData)
	}
	if err != nil {
		if !own {
			return err
		}
		if err := checkCurrentPassword(ctx, tx, in, before.ID, password); err != nil {
			return err
		}
	}
	if losesAdministrator {
		if err := requireOtherAdministrator(ctx, tx, actor, before.ID); err != nil {
			return err
		}
	}
	if actor.UserID == before.ID && in.Change.AllowList != nil && !in.Force && !after.AllowList.Allows(actor.Source) {
		return identity.Errorf(identity.Conflict, "would_lock_out",
			"This would shut you out: your own address is not in the list. Repeat with force=true to do it all the same.").WithField("ipWhitelist")
	}
	return nil
}

func checkCurrentPassword(ctx context.Context, tx *store.Tx, in UpdateUser, id int64, password preparedPassword) error {
	if in.Change.Password == nil {
		return nil
	}
	if in.CurrentPassword == nil {
		return identity.InvalidField("currentPassword", "required", "is required to change your own password")
	}
	hash, err := tx.PasswordHash(ctx, id)
	if err == nil && hash != password.verifiedHash { // it has just been changed
		err = identity.InvalidField("currentPassword", "wrong_password", "is not the current password")
	}
	return err
}

// DeleteUser deletes a user, oneself too, with all that belongs to it. It needs
// users.delete and every permission that the user has.
func (s *Service) DeleteUser(ctx context.Context, actor identity.Actor, id int64, match identity.VersionMatch) error {
	if err := actor.Require(identity.UsersDelete); err != nil {
		return err
	}
	return s.deleteUser(ctx, actor, id, match)
}

// DeleteOneself deletes the caller's own user, as the Powens API lets everyone
// do. A caller without one gets NotFound.
func (s *Service) DeleteOneself(ctx context.Context, actor identity.Actor) error {
	return s.deleteUser(ctx, actor, actor.UserID, identity.VersionMatch{})
}

func (s *Service) deleteUser(ctx context.Context, actor identity.Actor, id int64, match identity.VersionMatch) error {
	now := s.now()
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		user, err := tx.UserForUpdate(ctx, id)
		if err != nil {
			return err
		}
		if err := match.Check(user.Version); err != nil {
			return err
		}
		permissions, err := lockGroups(ctx, tx, nil, user.Groups, user.IsAdministrator())
		if err != nil {
			return err
		}
		if actor.UserID != id {
			if err := actor.RequireCover(permissions, user.CanViewMaskedData); err != nil {
				return err
			}
		}
		if user.IsAdministrator() {
			if err := requireOtherAdministrator(ctx, tx, actor, id); err != nil {
				return err
			}
		}
		// Not what the user was: personal values go with the user.
		if err := emit(ctx, tx, actor, now, identity.UserDeleted, id, nil); err != nil {
			return err
		}
		return tx.DeleteUser(ctx, id)
	})
}

// requireOtherAdministrator keeps someone able to administer: another active
// administrator, or the caller, where that is a service that may do everything.
func requireOtherAdministrator(ctx context.Context, tx *store.Tx, actor identity.Actor, id int64) error {
	if actor.IsAdministrator() {
		return nil
	}
	found, err := tx.HasOtherAdministrator(ctx, id)
	if err == nil && !found {
		err = identity.Errorf(identity.Conflict, "last_administrator", "This is the last active administrator.")
	}
	return err
}
