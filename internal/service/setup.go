package service

import (
	"context"
	"fmt"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// Setup is who is to administer a new installation.
type Setup struct {
	// Token is an administrator token to use as it is; "" for none.
	Token string
	// Email and Password are the first administrator's; "" for none.
	Email    identity.Email
	Password identity.Password
}

// configuredTokenName names the token that the configuration gives.
const configuredTokenName = "ROSTER_ADMIN_TOKEN"

// SetUp gives a new installation its first administrator. On an empty database
// it creates what Setup names, or else a token, which it returns: the only time
// that it is shown. A configured token is made to work at every start, in place
// of an earlier one. Any number of instances may call it at once.
func (s *Service) SetUp(ctx context.Context, setup Setup) (newToken string, err error) {
	hash := ""
	inUse, err := s.store.HasUsersOrTokens(ctx)
	if err == nil && !inUse && setup.Email != "" {
		hash, err = s.passwords.Hash(ctx, setup.Password)
	}
	if err != nil {
		return "", fmt.Errorf("setting up the first administrator: %w", err)
	}
	actor := identity.CommandLine()
	actor.Name = "setup"
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		newToken, err = s.setUp(ctx, tx, actor, setup, hash)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("setting up the first administrator: %w", err)
	}
	return newToken, nil
}

func (s *Service) setUp(ctx context.Context, tx *store.Tx, actor identity.Actor, setup Setup, hash string) (newToken string, err error) {
	// One instance at a time.
	if _, err := tx.LockGroups(ctx, []int64{identity.AdministratorsID}, true); err != nil {
		return "", err
	}
	inUse, err := tx.HasUsersOrTokens(ctx)
	if err != nil {
		return "", err
	}
	now := s.now()
	if setup.Token != "" {
		digest := secret.Digest(setup.Token)
		if err := tx.DeleteTokensNamed(ctx, configuredTokenName, digest); err != nil {
			return "", err
		}
		_, err := tx.Grant(ctx, digest)
		if identity.KindOf(err) == identity.NotFound {
			_, err = insertToken(ctx, tx, actor, administratorToken(configuredTokenName), setup.Token, now)
		}
		if err != nil {
			return "", err
		}
	}
	switch {
	case inUse:
		return "", nil
	case setup.Email != "":
		user := identity.User{
			Name: "Administrator", Email: setup.Email, Active: true, Groups: []int64{identity.AdministratorsID},
			CanViewMaskedData: true, CreatedAt: now, Version: 1,
		}
		if user.ID, err = tx.InsertUser(ctx, user, hash); err != nil {
			return "", err
		}
		return "", emit(ctx, tx, actor, now, identity.UserCreated, user.ID, identity.User{}.Diff(user))
	case setup.Token == "":
		newToken = secret.NewToken()
		_, err = insertToken(ctx, tx, actor, administratorToken("first administrator"), newToken, now)
	}
	return newToken, err
}

func administratorToken(name identity.Label) identity.Token {
	return identity.Token{Name: name, Permissions: identity.AllPermissions, CanViewMaskedData: true}
}
