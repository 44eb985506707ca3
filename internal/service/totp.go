package service

import (
	"context"
	"strconv"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// totpPurpose is what the secret of a user's authenticator is sealed for.
func totpPurpose(userID int64) string { return "totp " + strconv.FormatInt(userID, 10) }

// EnrolTOTP gives the caller, a user, a secret for an authenticator. It counts
// once ConfirmTOTP has shown that it works; until then another call replaces
// it. Conflict is for a user who has one already.
func (s *Service) EnrolTOTP(ctx context.Context, actor identity.Actor, userID int64) (secret.TOTPEnrolment, error) {
	if err := requireOneself(actor, userID); err != nil {
		return secret.TOTPEnrolment{}, err
	}
	sealer, err := s.sealing(ctx)
	if err != nil {
		return secret.TOTPEnrolment{}, err
	}
	user, err := s.store.User(ctx, userID)
	if err != nil {
		return secret.TOTPEnrolment{}, err
	}
	enrolment, err := secret.NewTOTP(string(user.Email))
	if err != nil {
		return secret.TOTPEnrolment{}, err
	}
	return enrolment, s.store.InTx(ctx, func(tx *store.Tx) error {
		if _, err := tx.UserForUpdate(ctx, userID); err != nil {
			return err
		}
		if err := requireNoTOTP(ctx, tx, userID); err != nil {
			return err
		}
		return tx.ReplaceTOTP(ctx, identity.TOTP{UserID: userID, Secret: sealer.Seal(enrolment.Secret, totpPurpose(userID))})
	})
}

func requireOneself(actor identity.Actor, userID int64) error {
	if actor.UserID == userID {
		return nil
	}
	return identity.Errorf(identity.Forbidden, "permission_denied", "Everyone enrols their own authenticator.")
}

func requireNoTOTP(ctx context.Context, tx *store.Tx, userID int64) error {
	totp, err := tx.TOTP(ctx, userID)
	switch {
	case identity.KindOf(err) == identity.NotFound:
		return nil
	case err == nil && !totp.ConfirmedAt.IsZero():
		return identity.Errorf(identity.Conflict, "totp_enrolled", "There is an authenticator already. Reset it first.")
	}
	return err
}

// recoveryCodes is how many recovery codes a user gets.
const recoveryCodes = 10

// ConfirmTOTP switches on the caller's authenticator with a first code of it,
// and the second factor with it, and returns the recovery codes, this once.
// The errors are Forbidden, Conflict (nothing was enrolled, or it is on
// already) and Invalid (code).
func (s *Service) ConfirmTOTP(ctx context.Context, actor identity.Actor, userID int64, code string) ([]string, error) {
	if err := requireOneself(actor, userID); err != nil {
		return nil, err
	}
	sealer, err := s.sealing(ctx)
	if err != nil {
		return nil, err
	}
	now := s.now()
	codes, digests := make([]string, recoveryCodes), make([]string, recoveryCodes)
	for i := range codes {
		codes[i] = secret.NewRecoveryCode()
		digests[i] = secret.Digest(secret.PlainCode(codes[i]))
	}
	return codes, s.store.InTx(ctx, func(tx *store.Tx) error {
		before, err := tx.UserForUpdate(ctx, userID)
		if err != nil {
			return err
		}
		if err := requireNoTOTP(ctx, tx, userID); err != nil {
			return err
		}
		totp, err := tx.TOTP(ctx, userID)
		if identity.KindOf(err) == identity.NotFound {
			return identity.Errorf(identity.Conflict, "totp_not_enrolled", "There is no authenticator to confirm. Enrol one first.")
		}
		if err != nil {
			return err
		}
		seed, err := sealer.Open(totp.Secret, totpPurpose(userID))
		if err != nil {
			return err
		}
		step, valid := secret.TOTPStep(seed, code, now)
		if !valid {
			return identity.InvalidField("code", "invalid_code", "is not the code that the authenticator shows now")
		}
		totp.ConfirmedAt, totp.LastStep = now, step
		if err := tx.ReplaceTOTP(ctx, totp); err != nil {
			return err
		}
		if err := tx.ReplaceRecoveryCodes(ctx, userID, digests); err != nil {
			return err
		}
		if !before.TFA {
			after := before
			after.TFA, after.UpdatedAt, after.Version = true, now, before.Version+1
			if err := tx.UpdateUser(ctx, before, after); err != nil {
				return err
			}
			if err := emit(ctx, tx, actor, now, identity.UserUpdated, userID, before.Diff(after)); err != nil {
				return err
			}
		}
		return emit(ctx, tx, actor, now, identity.UserTOTPEnabled, userID, nil)
	})
}

// ResetTOTP takes a user's authenticator and recovery codes away: one's own, or
// with users.update that of a user whose every permission the caller holds. A
// user who needs a second factor gets codes by mail from then on.
func (s *Service) ResetTOTP(ctx context.Context, actor identity.Actor, userID int64) error {
	if actor.UserID != userID {
		if err := actor.Require(identity.UsersUpdate); err != nil {
			return err
		}
	}
	now := s.now()
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		user, err := tx.UserForUpdate(ctx, userID)
		if err != nil {
			return err
		}
		if actor.UserID != userID {
			permissions, err := lockGroups(ctx, tx, nil, user.Groups, false)
			if err != nil {
				return err
			}
			if err := actor.RequireCover(permissions, user.CanViewMaskedData); err != nil {
				return err
			}
		}
		deleted, err := tx.DeleteTOTP(ctx, userID)
		if err != nil || !deleted {
			return err
		}
		return emit(ctx, tx, actor, now, identity.UserTOTPReset, userID, nil)
	})
}
