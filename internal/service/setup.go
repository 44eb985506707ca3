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

// Setup names the first administrator of a new installation.
type Setup struct {
	// Token is an administrator's token; "" for none.
	Token string
	// Email and Password are the first administrator's; "" for none.
	Email    identity.Email
	Password identity.Password
	// RequireAdminTFA requires a second factor of administrators: without one they can
	// only enrol one.
	RequireAdminTFA bool
}

// administrator returns the first user.
func (s Setup) administrator() identity.User {
	return identity.User{
		Name: "Administrator", Email: s.Email, Active: true, Groups: []int64{identity.AdministratorsID},
		CanViewMaskedData: true, Version: 1,
	}
}

// configuredTokenName is the name of the token in the configuration. No other token may
// have it.
const configuredTokenName = "ROSTER_ADMIN_TOKEN"

// firstTokenName is the name of the token of a first start.
const firstTokenName = "first administrator"

// firstTokenPeriod is the lifetime of the token of a first start: enough time to create
// other administrators.
const firstTokenPeriod = 30 * 24 * time.Hour

// SetUp gives a new installation its first administrator. In an empty database it creates
// what Setup names, or else a token, which it returns and cannot return again. At every
// start it makes the configured token work, and revokes one that is no longer configured.
// Any number of instances may call it at once.
func (s *Service) SetUp(ctx context.Context, setup Setup) (newToken string, err error) {
	actor := identity.CommandLine()
	actor.Name = "setup"
	hash := ""
	inUse, err := s.store.HasUsersOrTokens(ctx)
	if err == nil && !inUse && setup.Email != "" {
		// In a database with users these settings have no effect any more.
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

func (s *Service) setUp(ctx context.Context, tx *store.Tx, actor identity.Actor, setup Setup, hash string,
) (newToken string, err error) {
	// The lock lets one instance in at a time.
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
		return "", emit(ctx, tx, identity.Event{
			Type: identity.UserCreated, Time: now, Actor: actor, SubjectID: user.ID,
			Changes: identity.User{}.Diff(user),
		})
	case setup.Token == "":
		newToken = secret.NewToken(s.random(noMessage))
		token := administratorToken(firstTokenName)
		token.ExpiresAt = now.Add(firstTokenPeriod).Truncate(time.Second)
		_, err = insertToken(ctx, tx, actor, token, newToken, now)
	}
	return newToken, err
}

func requireAdminTFA(ctx context.Context, tx *store.Tx, actor identity.Actor, before identity.Group, required bool,
	now time.Time,
) error {
	after := before
	after.RequireTFA, after.UpdatedAt, after.Version = required, now, before.Version+1
	if err := tx.UpdateGroup(ctx, before, after); err != nil {
		return err
	}
	return emit(ctx, tx, identity.Event{
		Type: identity.GroupUpdated, Time: now, Actor: actor, SubjectID: after.ID, Changes: before.Diff(after),
	})
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
