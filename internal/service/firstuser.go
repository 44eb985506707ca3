package service

import (
	"context"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// setupTokenName is the name of the tokens that setup links hold. Such a token has no
// permission: it only lets CreateFirstUser in. No other token may have the name.
const setupTokenName = "setup link"

// setupTokenPeriod is the lifetime of a setup link. Each start makes another one.
const setupTokenPeriod = 24 * time.Hour

// SetupCode returns the code of a new setup link, which CreateFirstUser takes, or "" if
// there is a user already. Links of other starts go on until there is one.
func (s *Service) SetupCode(ctx context.Context) (code string, err error) {
	actor := identity.CommandLine()
	actor.Name = "setup"
	now := s.now()
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		code = ""
		hasUsers, err := tx.HasUsers(ctx)
		if err != nil || hasUsers {
			return err
		}
		code = secret.NewToken(s.random(noMessage))
		token := identity.Token{Name: setupTokenName, ExpiresAt: now.Add(setupTokenPeriod).Truncate(time.Second)}
		_, err = insertToken(ctx, tx, actor, token, code, now)
		return err
	})
	return code, err
}

// CheckSetupCode returns nil while CreateFirstUser takes a code. The errors are NotFound for
// a code that is unknown or over, and Conflict where there is a user already.
func (s *Service) CheckSetupCode(ctx context.Context, code string) error {
	hasUsers, err := s.store.HasUsers(ctx) // costs strangers no lock
	if err != nil || hasUsers {
		return errSetUp(err)
	}
	return s.store.Peek(func(tx *store.Tx) error { return s.mayCreateFirstUser(ctx, tx, code) })
}

// mayCreateFirstUser locks the group of the administrators, so that one call comes at a
// time, and checks a code.
func (s *Service) mayCreateFirstUser(ctx context.Context, tx *store.Tx, code string) error {
	if _, err := tx.GroupForDeletion(ctx, identity.AdministratorsID); err != nil {
		return err
	}
	// The grant before the users: one that another call has just used is a Conflict.
	grant, err := tx.Grant(ctx, secret.Digest(code))
	isOver := identity.KindOf(err) == identity.NotFound
	if err != nil && !isOver {
		return err
	}
	hasUsers, err := tx.HasUsers(ctx)
	if err != nil || hasUsers {
		return errSetUp(err)
	}
	if isOver || grant.Token.Name != setupTokenName || grant.Token.UserID != 0 ||
		grant.Token.CreatedBy != (identity.Creator{}) || !usable(grant, s.now()) {
		return identity.Errorf(identity.NotFound, "invalid_setup_link",
			"The link is unknown or over. Start roster serve again: it prints another one.")
	}
	return nil
}

// CreateFirstUser creates the first user, an administrator, for the holder of a setup link,
// and signs the user in. It ends all setup links. The errors are those of CheckSetupCode,
// and Invalid for the fields.
func (s *Service) CreateFirstUser(ctx context.Context, actor identity.Actor, code string, name identity.Name,
	email identity.Email, password identity.Password,
) (pair identity.TokenPair, err error) {
	if err := s.CheckSetupCode(ctx, code); err != nil { // what cannot succeed must not cost a hash
		return identity.TokenPair{}, err
	}
	user := Setup{Email: email}.administrator()
	user.Name = name
	if password == "" {
		return identity.TokenPair{}, identity.InvalidField(identity.FieldPassword, "required", "must not be empty")
	}
	hash, err := s.newPasswordHash(ctx, actor, password, user)
	if err != nil {
		return identity.TokenPair{}, err
	}
	now := s.now()
	user.CreatedAt = now
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		if err := s.mayCreateFirstUser(ctx, tx, code); err != nil {
			return err
		}
		if user.ID, err = tx.InsertUser(ctx, user, hash); err != nil {
			return err
		}
		created := actor
		created.Name = setupTokenName
		err := emit(ctx, tx, identity.Event{
			Type: identity.UserCreated, Time: now, Actor: created, SubjectID: user.ID, Changes: identity.User{}.Diff(user),
		})
		if err != nil {
			return err
		}
		links, err := tx.TokensNamed(ctx, setupTokenName, "")
		if err != nil {
			return err
		}
		for _, link := range links {
			if err := revokeToken(ctx, tx, created, link, now); err != nil {
				return err
			}
		}
		pair, err = s.openSession(ctx, tx, asUser(actor, user), user, now)
		return err
	})
	return pair, err
}

// errSetUp returns err, or a Conflict if it is nil.
func errSetUp(err error) error {
	if err != nil {
		return err
	}
	return identity.Errorf(identity.Conflict, "already_set_up", "Roster is set up already: there is a user.")
}
