package service

import (
	"context"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/notify"
	"github.com/rosterhq/roster/internal/store"
)

// User returns a user, or NotFound. Users may read themselves in person, a token with
// users.self the user that it acts for; other users take users.view.
func (s *Service) User(ctx context.Context, actor identity.Actor, id int64) (identity.User, error) {
	if !actor.Is(id) && !mayAsSelf(actor, id) {
		if err := actor.Require(identity.UsersView); err != nil {
			return identity.User{}, err
		}
	}
	user, err := s.store.User(ctx, id)
	return actor.Sees(user), err
}

// mayAsSelf reports whether a token may read and delete the user that it acts for.
func mayAsSelf(actor identity.Actor, id int64) bool {
	return actor.ActsFor(id) && actor.Permissions.Has(identity.UsersSelf)
}

// Users returns a page of the users that match. A caller without CanViewMaskedData
// searches in names only and cannot order by e-mail: both would reveal what the mask hides.
func (s *Service) Users(ctx context.Context, actor identity.Actor, q identity.UserQuery) (identity.UserPage, error) {
	if err := actor.Require(identity.UsersView); err != nil {
		return identity.UserPage{}, err
	}
	if !actor.CanViewMaskedData && q.Sort == identity.SortByEmail {
		return identity.UserPage{}, errMasked("Ordering by e-mail would tell of masked addresses.")
	}
	q.Filter = s.filterOf(actor, q.Filter)
	page, err := s.store.Users(ctx, q)
	for i, user := range page.Users {
		page.Users[i] = actor.Sees(user)
	}
	return page, err
}

// filterOf returns a filter as the caller may use it, at this moment.
func (s *Service) filterOf(actor identity.Actor, f identity.UserFilter) identity.UserFilter {
	f.SearchNames = f.SearchNames || !actor.CanViewMaskedData
	if f.Locked != nil {
		f.LockedAt = s.now()
	}
	return f
}

// CountUsers returns how many users match, which costs the same however many there are:
// exactly, or as a lower bound. It searches as Users does.
func (s *Service) CountUsers(ctx context.Context, actor identity.Actor, f identity.UserFilter,
) (identity.UserCount, error) {
	if err := actor.Require(identity.UsersView); err != nil {
		return identity.UserCount{}, err
	}
	return s.store.UserCount(ctx, s.filterOf(actor, f))
}

// NewUser holds the parameters of CreateUser.
type NewUser struct {
	User identity.User // only the fields that a caller may choose
	// Password is "" for a random one: the user has to choose another one by a mailed link.
	Password identity.Password
	// Notify mails the user that the profile exists.
	Notify bool
	// Invite mails the user a link to choose the password, instead of that; see Invite. There
	// must be no Password.
	Invite bool
}

// CreateUser creates a user. If idempotency has a key that was used for the same request,
// it changes nothing and returns the answer to the first call and no user. The errors are
// Forbidden, Invalid (groups, password), Conflict, TooManyRequests and Unavailable.
func (s *Service) CreateUser(ctx context.Context, actor identity.Actor, in NewUser, idempotency Idempotency,
) (identity.User, Answer, error) {
	if err := actor.Require(identity.UsersCreate); err != nil {
		return identity.User{}, Answer{}, err
	}
	if err := in.User.RequireNoMask(actor); err != nil {
		return identity.User{}, Answer{}, err
	}
	if err := in.checkInvite(); err != nil {
		return identity.User{}, Answer{}, err
	}
	now := s.now()
	if answer, err := s.replay(ctx, actor, idempotency, now); err != nil || answer.Replayed {
		return identity.User{}, answer, err
	}
	user, err := s.createUser(ctx, actor, in, idempotency, now)
	if identity.KindOf(err) == identity.Conflict {
		// The same request, sent twice at the same time, may have come first.
		if answer, replayErr := s.replay(ctx, actor, idempotency, now); replayErr != nil || answer.Replayed {
			return identity.User{}, answer, replayErr
		}
	}
	return actor.Sees(user), Answer{}, err
}

func (s *Service) createUser(ctx context.Context, actor identity.Actor, in NewUser, idempotency Idempotency,
	now time.Time,
) (identity.User, error) {
	// What cannot succeed must not cost a hash.
	err := s.store.Peek(func(tx *store.Tx) error {
		if _, err := s.mayCreateUser(ctx, tx, actor, in); err != nil {
			return err
		}
		return tx.RequireFreeEmail(ctx, in.User.Email)
	})
	if err != nil {
		return identity.User{}, err
	}
	sealer, err := s.sealing(ctx)
	if err != nil {
		return identity.User{}, err
	}
	hash, err := s.newPasswordHash(ctx, actor, in.Password, in.User)
	if err != nil {
		return identity.User{}, err
	}
	user := in.User
	user.Groups = sortedSet(in.User.Groups)
	user.CreatedAt, user.Version = now, 1
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		actor, err := s.mayCreateUser(ctx, tx, actor, in)
		if err != nil {
			return err
		}
		if user.ID, err = tx.InsertUser(ctx, user, hash); err != nil {
			return err
		}
		if err := idempotency.keep(ctx, tx, sealer, actor, actor.Sees(user), now); err != nil {
			return err
		}
		if in.Notify && !in.Invite {
			if err := notify.ProfileCreated(ctx, tx, user, now); err != nil {
				return err
			}
		}
		err = emit(ctx, tx, identity.Event{
			Type: identity.UserCreated, Time: now, Actor: actor, SubjectID: user.ID,
			Changes: identity.User{}.Diff(user),
		})
		if err != nil || !in.Invite {
			return err
		}
		return invite(ctx, tx, actor, user, now)
	})
	return user, err
}

// mayCreateUser locks the groups of a new user and checks that the caller, as current
// returns it, may create the user.
func (s *Service) mayCreateUser(ctx context.Context, tx *store.Tx, actor identity.Actor, in NewUser,
) (identity.Actor, error) {
	permissions, err := lockGroups(ctx, tx, in.User.Groups, nil, false)
	if err != nil {
		return actor, err
	}
	if actor, err = s.current(ctx, tx, actor); err != nil {
		return actor, err
	}
	return actor, mayCreate(actor, in.User, permissions)
}

// mayCreate checks that the caller may create a user in groups with these permissions.
func mayCreate(actor identity.Actor, user identity.User, permissions identity.Permissions) error {
	if err := actor.Require(identity.UsersCreate); err != nil {
		return err
	}
	return actor.RequireCover(permissions, user.CanViewMaskedData)
}

// DeleteUser deletes a user with all its data. Users may delete themselves in person; other
// users take users.delete and every permission that the user has.
func (s *Service) DeleteUser(ctx context.Context, actor identity.Actor, id int64, match identity.VersionMatch) error {
	return s.deleteUser(ctx, actor, id, match, func(actor identity.Actor) bool { return actor.Is(id) })
}

// DeleteAsSelf is DeleteUser, and also allows a token with users.self to delete the user
// that it acts for, as in the Powens API.
func (s *Service) DeleteAsSelf(ctx context.Context, actor identity.Actor, id int64) error {
	return s.deleteUser(ctx, actor, id, identity.VersionMatch{}, func(actor identity.Actor) bool {
		return actor.Is(id) || mayAsSelf(actor, id)
	})
}

// deleteUser deletes a user. isSelf reports whether the caller deletes itself.
func (s *Service) deleteUser(ctx context.Context, actor identity.Actor, id int64, match identity.VersionMatch,
	isSelf func(identity.Actor) bool,
) error {
	mayTry := func(actor identity.Actor) error {
		if isSelf(actor) {
			return nil
		}
		return actor.Require(identity.UsersDelete)
	}
	if err := mayTry(actor); err != nil {
		return err
	}
	now := s.now()
	return s.store.InTxOn(ctx, id, func(tx *store.Tx) error {
		user, err := tx.UserForUpdate(ctx, id)
		if err != nil {
			return err
		}
		actor, err := s.current(ctx, tx, actor)
		if err != nil {
			return err
		}
		if err := mayTry(actor); err != nil {
			return err
		}
		if err := match.Check(user.Version); err != nil {
			return err
		}
		permissions, err := lockGroups(ctx, tx, nil, user.Groups, user.IsAdministrator())
		if err != nil {
			return err
		}
		if !isSelf(actor) {
			if err := actor.RequireCover(permissions, user.CanViewMaskedData); err != nil {
				return err
			}
		}
		if user.IsAdministrator() {
			if err := requireOtherAdministrator(ctx, tx, actor, id); err != nil {
				return err
			}
		}
		// The event does not have the user's fields: personal data is deleted with the user.
		changes := identity.Changes{}
		if err := countCreatedTokens(ctx, tx, id, changes); err != nil {
			return err
		}
		if err := tx.DeleteUser(ctx, id); err != nil {
			return err
		}
		if actor.UserID == id {
			actor = actor.Forgotten()
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.UserDeleted, Time: now, Actor: actor, SubjectID: id, Changes: changes, User: &user,
		})
	})
}

// requireOtherAdministrator returns a Conflict if no administrator would remain: neither
// another active one, nor the caller, if that is a service with all permissions.
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
