package service

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// hashingCaller returns the key by which hashing is shared out: one caller gets only some
// of the places. For a caller without a credential it is the source.
func hashingCaller(actor identity.Actor) string {
	switch {
	case actor.TokenID != 0:
		return "token " + strconv.FormatInt(actor.TokenID, 10)
	case actor.UserID != 0:
		return "user " + strconv.FormatInt(actor.UserID, 10)
	}
	return "source " + sourceKey(actor.Source)
}

// checkPassword checks a new password against its user, as the user will be, and against
// the list of passwords. The error is Invalid (password).
func (s *Service) checkPassword(password identity.Password, user identity.User) error {
	if err := password.CheckPersonal(user.Name, user.Email); err != nil {
		return errPassword(err)
	}
	if s.options.PasswordList == nil {
		return nil
	}
	listed, err := s.options.PasswordList.Contains(password)
	if err == nil && listed {
		err = identity.InvalidField(identity.FieldPassword, "breached",
			"is on a list of passwords that others know; choose another one")
	}
	return err
}

func errPassword(err error) error {
	var wrong *identity.ValueError
	if errors.As(err, &wrong) {
		err = identity.InvalidField(identity.FieldPassword, wrong.Code, wrong.Message)
	}
	return err
}

// newPasswordHash checks and hashes the new password of a user, as the user will be; for
// "" it hashes a random one. The caller has checked the rights before: what cannot succeed
// must not cost a hash.
func (s *Service) newPasswordHash(ctx context.Context, actor identity.Actor, password identity.Password,
	user identity.User,
) (string, error) {
	if password == "" {
		password = secret.NewPassword()
	} else if err := s.checkPassword(password, user); err != nil {
		return "", err
	}
	return s.passwords.Hash(ctx, hashingCaller(actor), password)
}

// preparedPassword is the slow part of changing a password, done before the
// transaction.
type preparedPassword struct {
	newHash      string
	verifiedHash string // the current hash, if the current password was given and right
}

func (s *Service) preparePassword(ctx context.Context, actor identity.Actor, id int64, in UserUpdate,
) (preparedPassword, error) {
	var p preparedPassword
	if in.Change.Password == nil && in.CurrentPassword == nil {
		return p, nil
	}
	// What cannot succeed must not cost a hash.
	var before, after identity.User
	err := s.store.Peek(func(tx *store.Tx) (err error) {
		before, after, _, err = s.checkUpdate(ctx, tx, actor, id, in, nil)
		return err
	})
	if err != nil {
		return p, err
	}
	if in.CurrentPassword != nil {
		p.verifiedHash, err = s.verifyPassword(ctx, actor, before, *in.CurrentPassword, identity.FieldCurrentPassword)
		if err != nil {
			return p, err
		}
	}
	if in.Change.Password != nil {
		p.newHash, err = s.newPasswordHash(ctx, actor, *in.Change.Password, after)
	}
	return p, err
}

// verifyPassword returns the hash of a user's password if the given one is right, or
// Invalid for the field. Guesses count together with those of SignIn.
func (s *Service) verifyPassword(ctx context.Context, actor identity.Actor, user identity.User,
	password identity.Password, field string,
) (string, error) {
	now := s.now()
	attempt := signinAttempt(string(user.Email), actor.Source)
	if err := s.begin(ctx, &attempt, now); err != nil {
		return "", err
	}
	hash, err := s.store.PasswordHash(ctx, user.ID)
	if err != nil {
		s.takeBack(ctx, attempt)
		return "", err
	}
	matches, err := s.passwords.Matches(ctx, hashingCaller(actor), hash, password, nil) // who the user is, is known
	if err != nil {
		s.takeBack(ctx, attempt)
		return "", err
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		if matches {
			return attempt.succeed(ctx, tx)
		}
		if err := attempt.fail(ctx, tx); err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.UserSigninFailed, Time: now, Actor: actor, SubjectID: user.ID,
			Reason: "wrong_current_password",
		})
	})
	if err == nil && !matches {
		err = errWrongPassword(field)
	}
	return hash, err
}

// hashKinds are the kinds and costs of the password hashes in use, which a refused sign-in takes the
// time of. They bound what an import can add.
type hashKinds struct {
	passwords *secret.Passwords
	decoys    []string
}

// hashKinds returns those of all users. An import asks for it in each of its transactions. Two
// that add different kinds at the same moment do not see each other's.
func (s *Service) hashKinds(ctx context.Context, tx *store.Tx) (*hashKinds, error) {
	decoys, err := tx.PasswordDecoys(ctx)
	return &hashKinds{s.passwords, decoys}, err
}

// admit checks a hash that another system has made and counts it among those in use. The store takes
// the hash as it is. The error is Invalid (passwordHash).
func (k *hashKinds) admit(hash string) error {
	_, err := identity.ParsePasswordHash(hash)
	if decoy := identity.DecoyOf(hash); err == nil && decoy != "" && !slices.Contains(k.decoys, decoy) {
		decoys := append(slices.Clip(k.decoys), decoy)
		if err = k.passwords.CheckDecoys(decoys); err == nil {
			k.decoys = decoys
		}
	}
	var wrong *identity.ValueError
	if errors.As(err, &wrong) {
		err = identity.InvalidField(identity.FieldPasswordHash, wrong.Code, wrong.Message)
	}
	return err
}

// checkCurrentPassword checks that the verified password has not been changed since.
func checkCurrentPassword(ctx context.Context, tx *store.Tx, id int64, password *preparedPassword) error {
	hash, err := tx.PasswordHash(ctx, id)
	if err == nil && hash != password.verifiedHash {
		err = errWrongPassword(identity.FieldCurrentPassword)
	}
	return err
}

func errWrongPassword(field string) error {
	return identity.InvalidField(field, "wrong_password", "is not the current password")
}
