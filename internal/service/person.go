package service

import (
	"context"

	"github.com/rosterhq/roster/internal/identity"
)

// mayView checks that the caller may read about a user, and that there is one. Users may read
// about themselves in person; other users take the permissions. It returns the user.
func (s *Service) mayView(ctx context.Context, actor identity.Actor, userID int64, permissions ...identity.Permission,
) (identity.User, error) {
	if !actor.Is(userID) {
		for _, p := range permissions {
			if err := actor.Require(p); err != nil {
				return identity.User{}, err
			}
		}
	}
	return s.store.User(ctx, userID)
}

// Sources returns a page of the sources that a user has signed in from within
// identity.SourcePeriod, the latest first, and how many there are. Users may see their own;
// those of others take users.view, and are masked for a caller without CanViewMaskedData. The
// errors are Forbidden and NotFound.
func (s *Service) Sources(ctx context.Context, actor identity.Actor, userID int64, page identity.Page,
) ([]identity.Source, int64, error) {
	if _, err := s.mayView(ctx, actor, userID, identity.UsersView); err != nil {
		return nil, 0, err
	}
	sources, total, err := s.store.Sources(ctx, userID, s.now().Add(-identity.SourcePeriod), page)
	if !actor.SeesUnmasked(userID) {
		for i := range sources {
			sources[i] = sources[i].Masked()
		}
	}
	return sources, total, err
}

// SigninState returns how many tries to sign in as a user have failed, and what is locked.
// Users may see their own; that of others takes users.view. The errors are Forbidden and
// NotFound.
func (s *Service) SigninState(ctx context.Context, actor identity.Actor, userID int64) (identity.SigninState, error) {
	user, err := s.mayView(ctx, actor, userID, identity.UsersView)
	if err != nil {
		return identity.SigninState{}, err
	}
	now := s.now()
	passwords, err := s.store.Throttle(ctx, accountKey(string(user.Email)))
	if err != nil {
		return identity.SigninState{}, err
	}
	codes, err := s.store.Throttle(ctx, codeKey(userID))
	if err != nil {
		return identity.SigninState{}, err
	}
	state := identity.SigninState{
		WrongPasswords:        accountRule.FailedSince(passwords, now),
		WrongCodes:            codeRule.FailedSince(codes, now),
		LockedEverywhereUntil: accountRule.BlockedUntil(passwords),
	}
	if until := codeRule.BlockedUntil(codes); until.After(state.LockedEverywhereUntil) {
		state.LockedEverywhereUntil = until
	}
	if state.LockedUntil, err = s.store.BlockedUntil(ctx, userID); err != nil {
		return identity.SigninState{}, err
	}
	if state.LockedEverywhereUntil.After(state.LockedUntil) {
		state.LockedUntil = state.LockedEverywhereUntil
	}
	return state.At(now), nil
}

// Access returns what a user may do, and which groups give it. Users may see their own; that
// of others takes users.view and groups.view. The errors are Forbidden and NotFound.
func (s *Service) Access(ctx context.Context, actor identity.Actor, userID int64) (identity.Access, error) {
	user, err := s.mayView(ctx, actor, userID, identity.UsersView, identity.GroupsView)
	if err != nil {
		return identity.Access{}, err
	}
	groups, err := s.store.GroupsOf(ctx, userID)
	return identity.AccessOf(user, groups), err
}

// Holdings returns what a user holds: sessions, tokens, webhooks. Users may see their own;
// those of others take users.view. It shows tokens to callers with tokens.manage and webhooks
// to those with webhooks.manage; others get the numbers. The errors are Forbidden and NotFound.
func (s *Service) Holdings(ctx context.Context, actor identity.Actor, userID int64) (identity.Holdings, error) {
	if _, err := s.mayView(ctx, actor, userID, identity.UsersView); err != nil {
		return identity.Holdings{}, err
	}
	held, err := s.store.Holdings(ctx, userID, s.now())
	if err != nil {
		return identity.Holdings{}, err
	}
	tokens := actor.Permissions.Has(identity.TokensManage)
	held.TokensActingFor = held.TokensActingFor.ShownIf(tokens)
	held.TokensCreated = held.TokensCreated.ShownIf(tokens)
	held.WebhooksCreated = held.WebhooksCreated.ShownIf(actor.Permissions.Has(identity.WebhooksManage))
	for _, list := range [][]identity.Token{held.TokensActingFor.First, held.TokensCreated.First} {
		for i := range list {
			list[i] = actor.SeesToken(list[i])
		}
	}
	return held, nil
}
