package service

import (
	"context"
	"errors"
	"strconv"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
)

// hashingCaller names the caller whose password is hashed: one caller gets some of the places
// only. Who has no credential is told by the source.
func hashingCaller(actor identity.Actor) string {
	switch {
	case actor.TokenID != 0:
		return "token " + strconv.FormatInt(actor.TokenID, 10)
	case actor.UserID != 0:
		return "user " + strconv.FormatInt(actor.UserID, 10)
	}
	return "source " + sourceKey(actor.Source)
}

// checkPassword checks a new password of a user, as the user will be, by what the
// password alone does not tell. The error is Invalid (password).
func (s *Service) checkPassword(password identity.Password, user identity.User) error {
	if err := password.CheckPersonal(user.Name, user.Email); err != nil {
		return errPassword(err)
	}
	if s.options.PasswordList == nil {
		return nil
	}
	listed, err := s.options.PasswordList.Contains(password)
	if err == nil && listed {
		err = identity.InvalidField("password", "breached",
			"is on a list of passwords that others know; choose another one")
	}
	return err
}

func errPassword(err error) error {
	var wrong *identity.ValueError
	if errors.As(err, &wrong) {
		err = identity.InvalidField("password", wrong.Code, wrong.Message)
	}
	return err
}

// newPasswordHash checks and hashes the new password of a user, as the user will be; ""
// is one that nobody knows. What cannot succeed must not cost a hash: what else the
// caller needs for it has been checked before.
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
