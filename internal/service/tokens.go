package service

import (
	"context"
	"fmt"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// Token returns a service token, or NotFound.
func (s *Service) Token(ctx context.Context, actor identity.Actor, id int64) (identity.Token, error) {
	if err := actor.Require(identity.TokensManage); err != nil {
		return identity.Token{}, err
	}
	token, err := s.store.Token(ctx, id)
	return actor.SeesToken(token), err
}

// Tokens returns a page of the service tokens that match, by id, and how many
// there are.
func (s *Service) Tokens(ctx context.Context, actor identity.Actor, filter identity.TokenFilter, page identity.Page,
) ([]identity.Token, int64, error) {
	if err := actor.Require(identity.TokensManage); err != nil {
		return nil, 0, err
	}
	tokens, total, err := s.store.Tokens(ctx, filter, page)
	for i, token := range tokens {
		tokens[i] = actor.SeesToken(token)
	}
	return tokens, total, err
}

// CreateToken creates a service token with no more rights than the caller has, and returns
// it with its secret, which cannot be read again.
//
// Permissions, CanViewMaskedData, allow-list and end lie within those of the caller.
// Without an allow-list the token gets the caller's. Without expiresAt it lasts as long as
// the caller may allow: for ever if the caller holds every permission and does not expire,
// else MaxTokenPeriod at most. The zero time asks for no end. A session may create tokens
// that outlast it, but has to be fresh. A token that acts for another user takes every
// permission of that user and CanViewMaskedData.
//
// The errors are Forbidden and Invalid.
func (s *Service) CreateToken(ctx context.Context, actor identity.Actor, token identity.Token, expiresAt *time.Time,
) (identity.Token, string, error) {
	if err := mayTryCreateToken(actor, token); err != nil {
		return identity.Token{}, "", err
	}
	if token.Name == configuredTokenName || token.Name == setupTokenName {
		return identity.Token{}, "", identity.InvalidField(identity.FieldName, "reserved",
			"is a name that Roster gives itself")
	}
	now := s.now()
	credential := secret.NewToken(s.random(noMessage))
	var created identity.Token
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		user, permissions, err := lockActedFor(ctx, tx, token.UserID)
		if err != nil {
			return err
		}
		actor, grant, err := s.regrant(ctx, tx, actor)
		if err != nil {
			return err
		}
		if err := mayTryCreateToken(actor, token); err != nil {
			return err
		}
		if token.UserID != 0 && !actor.Is(token.UserID) {
			if err := actor.RequireCover(permissions, user.CanViewMaskedData); err != nil {
				return err
			}
			if err := actor.RequireWayIn(); err != nil {
				return err
			}
		}
		created = token
		if created.AllowList, err = allowListWithin(token.AllowList, grant); err != nil {
			return err
		}
		if created.ExpiresAt, err = endWithin(expiresAt, actor, grant.Token, now); err != nil {
			return err
		}
		created, err = insertToken(ctx, tx, actor, created, credential, now)
		return err
	})
	if len(token.AllowList) == 0 { // else the caller has given it
		created = actor.SeesToken(created)
	}
	return created, credential, err
}

func mayTryCreateToken(actor identity.Actor, token identity.Token) error {
	if err := actor.Require(identity.TokensManage); err != nil {
		return err
	}
	if err := actor.RequireCover(token.Permissions, token.CanViewMaskedData); err != nil {
		return err
	}
	return actor.RequireFresh()
}

// lockActedFor locks the user that a new token acts for, and returns the user with all
// its permissions; zero values for the id 0. The error is Invalid for a user that does not
// exist.
func lockActedFor(ctx context.Context, tx *store.Tx, id int64) (identity.User, identity.Permissions, error) {
	if id == 0 {
		return identity.User{}, 0, nil
	}
	user, err := tx.UserForUpdate(ctx, id)
	if identity.KindOf(err) == identity.NotFound {
		err = identity.InvalidField(identity.FieldUserID, "unknown_user", fmt.Sprintf("there is no user with the id %d", id))
	}
	if err != nil {
		return user, 0, err
	}
	permissions, err := lockGroups(ctx, tx, nil, user.Groups, false)
	return user, permissions, err
}

// allowListWithin returns the allow-list of a new token: the given one, or that of its
// creator if none is given. The error is Forbidden for a list that is not within the
// creator's.
func allowListWithin(given identity.AllowList, creator store.Grant) (identity.AllowList, error) {
	own := creator.Token.AllowList.Intersect(creator.UserAllowList)
	switch {
	case len(given) == 0:
		return own, nil
	case !given.Within(own):
		return nil, identity.ErrEscalation(
			"The addresses of the token must be among those from which you may come yourself.",
		).WithField(identity.FieldAllowList)
	}
	return given, nil
}

// endWithin returns when a new token expires; zero for never. creator is the token of the
// caller, or the zero Token for the command line.
func endWithin(wanted *time.Time, actor identity.Actor, creator identity.Token, now time.Time) (time.Time, error) {
	longest := now.Add(identity.MaxTokenPeriod).Truncate(time.Second)
	ends := creator.SessionID == 0 && !creator.ExpiresAt.IsZero() // a session's tokens may outlast it
	mayBeForEver := actor.Permissions.HasAllNamed() && !ends
	if wanted == nil {
		switch {
		case mayBeForEver:
			return time.Time{}, nil
		case ends && creator.ExpiresAt.Before(longest):
			return creator.ExpiresAt, nil
		}
		return longest, nil
	}
	end := wanted.UTC().Truncate(time.Second) // the precision of the answer
	switch {
	case wanted.IsZero() && mayBeForEver:
		return time.Time{}, nil
	case wanted.IsZero() && ends, ends && end.After(creator.ExpiresAt):
		return end, identity.ErrEscalation("The token must not last longer than the one that makes it.").
			WithField(identity.FieldExpiresAt)
	case wanted.IsZero():
		return end, identity.ErrEscalation("Only those who hold every permission may make a token that lasts for ever.").
			WithField(identity.FieldExpiresAt)
	case !end.After(now) || end.After(now.Add(identity.MaxTokenPeriod)):
		return end, identity.InvalidField(identity.FieldExpiresAt, "out_of_range",
			"must be in the future, and at most 366 days away")
	}
	return end, nil
}

// creatorOf returns the caller as the creator of a token, a webhook or a job.
func creatorOf(actor identity.Actor) identity.Creator {
	return identity.Creator{UserID: actor.UserID, TokenID: actor.TokenID}
}

func insertToken(ctx context.Context, tx *store.Tx, actor identity.Actor, token identity.Token, credential string,
	now time.Time,
) (identity.Token, error) {
	token.CreatedAt, token.CreatedBy = now, creatorOf(actor)
	var err error
	if token.ID, err = tx.InsertToken(ctx, token, secret.Digest(credential)); err != nil {
		return token, err
	}
	return token, emit(ctx, tx, identity.Event{
		Type: identity.TokenCreated, Time: now, Actor: actor, SubjectID: token.ID,
		Changes: identity.Token{}.Diff(token),
	})
}

// RevokeToken deletes a service token whose permissions the caller holds. It stops working
// at once. The errors are Forbidden and NotFound.
func (s *Service) RevokeToken(ctx context.Context, actor identity.Actor, id int64) error {
	if err := actor.Require(identity.TokensManage); err != nil {
		return err
	}
	now := s.now()
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		token, err := tx.Token(ctx, id)
		if err != nil {
			return err
		}
		actor, err := s.current(ctx, tx, actor)
		if err != nil {
			return err
		}
		if err := actor.Require(identity.TokensManage); err != nil {
			return err
		}
		if err := actor.RequireCover(token.Permissions, token.CanViewMaskedData); err != nil {
			return err
		}
		return revokeToken(ctx, tx, actor, token, now)
	})
}

func revokeToken(ctx context.Context, tx *store.Tx, actor identity.Actor, token identity.Token, now time.Time) error {
	deleted, err := tx.DeleteToken(ctx, token.ID)
	if err != nil || !deleted { // another call has deleted and recorded it
		return err
	}
	return emit(ctx, tx, identity.Event{
		Type: identity.TokenRevoked, Time: now, Actor: actor, SubjectID: token.ID,
		Changes: token.Diff(identity.Token{}),
	})
}
