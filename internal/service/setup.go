package service

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	// RequireAdminTFA lets administrators without a second factor do nothing but
	// enrol one.
	RequireAdminTFA bool
}

// administrator is the first user.
func (s Setup) administrator() identity.User {
	return identity.User{
		Name: "Administrator", Email: s.Email, Active: true, Groups: []int64{identity.AdministratorsID},
		CanViewMaskedData: true, Version: 1,
	}
}

// configuredTokenName names the token that the configuration gives. No other token
// may have this name.
const configuredTokenName = "ROSTER_ADMIN_TOKEN"

// firstTokenName names the token of a first start.
const firstTokenName = "first administrator"

// firstTokenPeriod is how long the token of a first start lasts: long enough to set
// up what takes its place.
const firstTokenPeriod = 30 * 24 * time.Hour

// SetUp gives a new installation its first administrator. On an empty database
// it creates what Setup names, or else a token, which it returns: the only time
// that it is shown. A configured token is made to work at every start; one that is
// configured no more stops working. Any number of instances may call it at once.
func (s *Service) SetUp(ctx context.Context, setup Setup) (newToken string, err error) {
	actor := identity.CommandLine()
	actor.Name = "setup"
	hash := ""
	inUse, err := s.store.HasUsersOrTokens(ctx)
	if err == nil && !inUse && setup.Email != "" {
		// Where there is a user, the settings are those of a first start that was long ago.
		hash, err = s.newPasswordHash(ctx, actor, setup.Password, setup.administrator())
		var wrong *identity.Error
		if errors.As(err, &wrong) && wrong.Kind == identity.Invalid {
			return "", fmt.Errorf("ROSTER_ADMIN_PASSWORD (--admin-password) %s", wrong.Fields[0].Message)
		}
	}
	if err != nil {
		return "", fmt.Errorf("setting up the first administrator: %w", err)
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		newToken, err = s.setUp(ctx, tx, actor, setup, hash)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("setting up the first administrator: %w", err)
	}
	return newToken, nil
}

// OnlyFirstToken reports that nothing but the token of the first start exists, and that no
// one has used it: it may be lost, because it is shown once.
func (s *Service) OnlyFirstToken(ctx context.Context) (bool, error) {
	return s.store.OnlyUnusedToken(ctx, firstTokenName)
}

// HasAccount reports that a user has this e-mail address.
func (s *Service) HasAccount(ctx context.Context, email identity.Email) (bool, error) {
	_, _, err := s.store.UserByEmail(ctx, string(email))
	if identity.KindOf(err) == identity.NotFound {
		return false, nil
	}
	return err == nil, err
}

func (s *Service) setUp(ctx context.Context, tx *store.Tx, actor identity.Actor, setup Setup, hash string) (newToken string, err error) {
	// One instance at a time.
	administrators, err := tx.GroupForDeletion(ctx, identity.AdministratorsID)
	if err != nil {
		return "", err
	}
	inUse, err := tx.HasUsersOrTokens(ctx)
	if err != nil {
		return "", err
	}
	now := s.now()
	if administrators.RequireTFA != setup.RequireAdminTFA {
		if err := requireAdminTFA(ctx, tx, actor, administrators, setup.RequireAdminTFA, now); err != nil {
			return "", err
		}
	}
	if err := configureToken(ctx, tx, actor, setup.Token, now); err != nil {
		return "", err
	}
	switch {
	case inUse:
		return "", nil
	case setup.Email != "":
		user := setup.administrator()
		user.CreatedAt = now
		if user.ID, err = tx.InsertUser(ctx, user, hash); err != nil {
			return "", err
		}
		return "", emit(ctx, tx, actor, now, identity.UserCreated, user.ID, identity.User{}.Diff(user))
	case setup.Token == "":
		newToken = secret.NewToken()
		token := administratorToken(firstTokenName)
		token.ExpiresAt = now.Add(firstTokenPeriod).Truncate(time.Second)
		_, err = insertToken(ctx, tx, actor, token, newToken, now)
	}
	return newToken, err
}

func requireAdminTFA(ctx context.Context, tx *store.Tx, actor identity.Actor, before identity.Group, required bool, now time.Time) error {
	after := before
	after.RequireTFA, after.UpdatedAt, after.Version = required, now, before.Version+1
	if err := tx.UpdateGroup(ctx, before, after); err != nil {
		return err
	}
	return emit(ctx, tx, actor, now, identity.GroupUpdated, after.ID, before.Diff(after))
}

// configureToken makes the configured token the only one of its name; "" for none.
func configureToken(ctx context.Context, tx *store.Tx, actor identity.Actor, configured string, now time.Time) error {
	digest := ""
	if configured != "" {
		digest = secret.Digest(configured)
	}
	old, err := tx.TokensNamed(ctx, configuredTokenName, digest)
	if err != nil {
		return err
	}
	for _, token := range old {
		if err := revokeToken(ctx, tx, actor, token, now); err != nil {
			return err
		}
	}
	if configured == "" {
		return nil
	}
	if _, err = tx.Grant(ctx, digest); identity.KindOf(err) == identity.NotFound {
		_, err = insertToken(ctx, tx, actor, administratorToken(configuredTokenName), configured, now)
	}
	return err
}

func administratorToken(name identity.Label) identity.Token {
	return identity.Token{Name: name, Permissions: identity.AllPermissions, CanViewMaskedData: true}
}
