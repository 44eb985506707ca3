package service

import (
	"context"
	"fmt"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// Token returns a service token.
func (s *Service) Token(ctx context.Context, actor identity.Actor, id int64) (identity.Token, error) {
	if err := actor.Require(identity.TokensManage); err != nil {
		return identity.Token{}, err
	}
	return s.store.Token(ctx, id)
}

// Tokens returns a page of the service tokens by id, and how many there are.
func (s *Service) Tokens(ctx context.Context, actor identity.Actor, page identity.Page) ([]identity.Token, int64, error) {
	if err := actor.Require(identity.TokensManage); err != nil {
		return nil, 0, err
	}
	return s.store.Tokens(ctx, page)
}

// CreateToken creates a service token with permissions that the caller holds,
// and returns it with its secret, which cannot be had again. A token that acts
// for a user needs every permission of that user, too. Without expiresAt it is
// valid for ever. The errors are Forbidden and Invalid.
func (s *Service) CreateToken(ctx context.Context, actor identity.Actor, token identity.Token, expiresAt *time.Time) (identity.Token, string, error) {
	if err := actor.Require(identity.TokensManage); err != nil {
		return identity.Token{}, "", err
	}
	if err := actor.RequireCover(token.Permissions, token.CanViewMaskedData); err != nil {
		return identity.Token{}, "", err
	}
	now := s.now()
	if expiresAt != nil {
		token.ExpiresAt = expiresAt.UTC().Truncate(time.Second) // as exact as it is shown
		const lastYear = 9999                                   // that is written with four digits
		if !token.ExpiresAt.After(now) || token.ExpiresAt.Year() > lastYear {
			return identity.Token{}, "", identity.InvalidField("expiresAt", "out_of_range", "must be in the future, and before the year 10000")
		}
	}
	credential := secret.NewToken()
	err := s.store.InTx(ctx, func(tx *store.Tx) error {
		var err error
		token, err = insertToken(ctx, tx, actor, token, credential, now)
		return err
	})
	return token, credential, err
}

func insertToken(ctx context.Context, tx *store.Tx, actor identity.Actor, token identity.Token, credential string, now time.Time,
) (identity.Token, error) {
	if token.UserID != 0 {
		user, err := tx.UserForUpdate(ctx, token.UserID)
		if identity.KindOf(err) == identity.NotFound {
			err = identity.InvalidField("userId", "unknown_user", fmt.Sprintf("there is no user with the id %d", token.UserID))
		}
		if err != nil {
			return token, err
		}
		permissions, err := lockGroups(ctx, tx, nil, user.Groups, false)
		if err != nil {
			return token, err
		}
		if err := actor.RequireCover(permissions, user.CanViewMaskedData); err != nil {
			return token, err
		}
	}
	token.CreatedAt = now
	var err error
	if token.ID, err = tx.InsertToken(ctx, token, secret.Digest(credential)); err != nil {
		return token, err
	}
	return token, emit(ctx, tx, actor, now, identity.TokenCreated, token.ID, identity.Token{}.Diff(token))
}

// RevokeToken deletes a service token whose permissions the caller holds; it
// stops working at once. The errors are Forbidden and NotFound.
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
		if err := actor.RequireCover(token.Permissions, token.CanViewMaskedData); err != nil {
			return err
		}
		deleted, err := tx.DeleteToken(ctx, id)
		if err != nil {
			return err
		}
		if !deleted { // someone else was faster, and has recorded it
			return nil
		}
		return emit(ctx, tx, actor, now, identity.TokenRevoked, id, token.Diff(identity.Token{}))
	})
}
