package service

import (
	"context"
	"io"
	"strconv"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// totpPurpose is what the secret of a user's authenticator is sealed for.
func totpPurpose(userID int64) string { return "totp " + strconv.FormatInt(userID, 10) }

// EnrolTOTP returns a new secret for an authenticator of the caller, a user in person.
// It is not used before ConfirmTOTP; until then another call replaces it. The errors are
// Forbidden, and Conflict for a user whose second factor is an authenticator already.
func (s *Service) EnrolTOTP(ctx context.Context, actor identity.Actor, userID int64) (secret.TOTPEnrolment, error) {
	if err := mayEnrol(actor, userID); err != nil {
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
	enrolment, err := secret.NewTOTP(string(user.Email), s.random(noMessage))
	if err != nil {
		return secret.TOTPEnrolment{}, err
	}
	return enrolment, s.store.InTx(ctx, func(tx *store.Tx) error {
		user, err := tx.UserForUpdate(ctx, userID)
		if err != nil {
			return err
		}
		actor, err := s.current(ctx, tx, actor)
		if err != nil {
			return err
		}
		if err := mayEnrol(actor, userID); err != nil {
			return err
		}
		if err := requireNoTOTP(ctx, tx, user); err != nil {
			return err
		}
		sealed := sealer.Seal(enrolment.Secret, totpPurpose(userID))
		return tx.ReplaceTOTP(ctx, identity.TOTP{UserID: userID, Secret: sealed})
	})
}

// mayEnrol returns Forbidden unless the caller is a fresh session of the user. It is
// enough for a session that must enrol before it may do anything else.
func mayEnrol(actor identity.Actor, userID int64) error {
	if err := actor.RequireSession(userID); err != nil {
		return err
	}
	return actor.RequireFresh()
}

// SecondFactor returns what the second factor of a user is. Users may see their own, also
// before they have enrolled one that they must; that of others takes users.view. The errors
// are Forbidden and NotFound.
func (s *Service) SecondFactor(ctx context.Context, actor identity.Actor, userID int64,
) (identity.SecondFactor, error) {
	if actor.RequireSession(userID) != nil {
		if err := actor.Require(identity.UsersView); err != nil {
			return identity.SecondFactor{}, err
		}
	}
	user, err := s.store.User(ctx, userID)
	if err != nil || !user.TFA {
		return identity.SecondFactor{}, err
	}
	totp, err := s.store.TOTP(ctx, userID)
	switch {
	case identity.KindOf(err) == identity.NotFound || err == nil && totp.ConfirmedAt.IsZero():
		return identity.SecondFactor{Provider: identity.ProviderEmail}, nil
	case err != nil:
		return identity.SecondFactor{}, err
	}
	left, err := s.store.RecoveryCodeCount(ctx, userID)
	return identity.SecondFactor{Provider: identity.ProviderTOTP, Since: totp.ConfirmedAt, RecoveryCodes: left}, err
}

// requireNoTOTP returns a Conflict if the user's second factor is an authenticator. An
// authenticator of a user whose second factor is off does not count.
func requireNoTOTP(ctx context.Context, tx *store.Tx, user identity.User) error {
	totp, err := tx.TOTP(ctx, user.ID)
	switch {
	case identity.KindOf(err) == identity.NotFound:
		return nil
	case err == nil && user.TFA && !totp.ConfirmedAt.IsZero():
		return identity.Errorf(identity.Conflict, "totp_enrolled", "There is an authenticator already. Reset it first.")
	}
	return err
}

// recoveryCodes is how many recovery codes a user gets.
const recoveryCodes = 10

// newRecoveryCodes returns new recovery codes, and the digests that are stored of them.
func newRecoveryCodes(random io.Reader) (codes, digests []string) {
	codes, digests = make([]string, recoveryCodes), make([]string, recoveryCodes)
	for i := range codes {
		codes[i] = secret.NewRecoveryCode(random)
		digests[i] = secret.Digest(secret.PlainCode(codes[i]))
	}
	return codes, digests
}

// ConfirmTOTP switches on the caller's authenticator, and with it the second factor, if
// code is one of its codes. It returns the recovery codes, this once. All other sessions
// of the user end. The errors are Forbidden, Conflict (nothing was enrolled, or it is on
// already) and Invalid (code).
func (s *Service) ConfirmTOTP(ctx context.Context, actor identity.Actor, userID int64, code string) ([]string, error) {
	if err := mayEnrol(actor, userID); err != nil {
		return nil, err
	}
	sealer, err := s.sealing(ctx)
	if err != nil {
		return nil, err
	}
	now := s.now()
	codes, digests := newRecoveryCodes(s.random(noMessage))
	return codes, s.store.InTx(ctx, func(tx *store.Tx) error {
		before, err := tx.UserForUpdate(ctx, userID)
		if err != nil {
			return err
		}
		actor, err := s.current(ctx, tx, actor)
		if err != nil {
			return err
		}
		if err := mayEnrol(actor, userID); err != nil {
			return err
		}
		totp, err := confirmedTOTP(ctx, tx, sealer, before, code, now)
		if err != nil {
			return err
		}
		if err := tx.ReplaceRecoveryCodes(ctx, userID, digests); err != nil {
			return err
		}
		return switchOnTOTP(ctx, tx, actor, before, totp, now)
	})
}

// switchOnTOTP stores a confirmed authenticator of a locked user and switches the second factor on.
// The user's other sessions end.
func switchOnTOTP(ctx context.Context, tx *store.Tx, actor identity.Actor, before identity.User, totp identity.TOTP,
	now time.Time,
) error {
	if err := tx.ReplaceTOTP(ctx, totp); err != nil {
		return err
	}
	if err := tx.EndSessions(ctx, before.ID, ownSession(actor, before.ID)); err != nil {
		return err
	}
	if !before.TFA {
		if err := enableTFA(ctx, tx, actor, before, now); err != nil {
			return err
		}
	}
	return emit(ctx, tx, identity.Event{Type: identity.UserTOTPEnabled, Time: now, Actor: actor, SubjectID: before.ID})
}

// confirmedTOTP returns the enrolled authenticator of a user as a first code confirms
// it. The errors are Conflict and Invalid (code).
func confirmedTOTP(ctx context.Context, tx *store.Tx, sealer *secret.Sealer, user identity.User, code string,
	now time.Time,
) (identity.TOTP, error) {
	if err := requireNoTOTP(ctx, tx, user); err != nil {
		return identity.TOTP{}, err
	}
	totp, err := tx.TOTP(ctx, user.ID)
	if identity.KindOf(err) == identity.NotFound || err == nil && !totp.ConfirmedAt.IsZero() {
		err = identity.Errorf(identity.Conflict, "totp_not_enrolled",
			"There is no authenticator to confirm. Enrol one first.")
	}
	if err != nil {
		return totp, err
	}
	seed, err := sealer.Open(totp.Secret, totpPurpose(user.ID))
	if err != nil {
		return totp, err
	}
	step, valid := secret.TOTPStep(seed, code, now)
	if !valid {
		return totp, identity.InvalidField(identity.FieldCode, codeInvalidCode,
			"is not the code that the authenticator shows now")
	}
	totp.ConfirmedAt, totp.LastStep = now, step
	return totp, nil
}

// AdoptTOTP gives a user an authenticator that exists already; key is its secret in
// base32 (RFC 6238). It switches on the second factor, and there are no recovery codes.
// All other sessions of the user end. It takes what ResetTOTP takes. The errors are Forbidden,
// NotFound, Conflict (there is an authenticator) and Invalid (secret).
func (s *Service) AdoptTOTP(ctx context.Context, actor identity.Actor, userID int64, key string) error {
	if err := mayTouchTOTP(userID)(actor); err != nil {
		return err
	}
	const minKey = 16 // characters, which are 80 bits: what the weakest apps make
	if _, err := secret.TOTPCode(key, 0); err != nil || len(key) < minKey {
		return identity.InvalidField(identity.FieldSecret, "invalid_secret",
			"must be the secret of an authenticator: at least 16 characters of base32")
	}
	sealer, err := s.sealing(ctx)
	if err != nil {
		return err
	}
	now := s.now()
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		before, actor, err := s.lockTouched(ctx, tx, actor, userID, mayTouchTOTP(userID))
		if err != nil {
			return err
		}
		if err := requireNoTOTP(ctx, tx, before); err != nil {
			return err
		}
		return switchOnTOTP(ctx, tx, actor, before, identity.TOTP{
			UserID: userID, Secret: sealer.Seal(key, totpPurpose(userID)), ConfirmedAt: now,
		}, now)
	})
}

// enableTFA switches on the second factor of a user and records it.
func enableTFA(ctx context.Context, tx *store.Tx, actor identity.Actor, before identity.User, now time.Time) error {
	after := before
	after.TFA, after.UpdatedAt, after.Version = true, now, before.Version+1
	if err := tx.UpdateUser(ctx, before, after); err != nil {
		return err
	}
	return emit(ctx, tx, identity.Event{
		Type: identity.UserUpdated, Time: now, Actor: actor, SubjectID: before.ID, Changes: before.Diff(after),
	})
}

// mayTouchTOTP returns what checks whether a caller may try to change a user's authenticator.
func mayTouchTOTP(userID int64) func(identity.Actor) error {
	return func(actor identity.Actor) error {
		if !actor.Is(userID) {
			if err := actor.Require(identity.UsersUpdate); err != nil {
				return err
			}
		}
		return mayTouchWayIn(actor, userID, true)
	}
}

// ResetTOTP deletes a user's authenticator and recovery codes. One's own takes a fresh
// session; that of another user takes users.update, CanViewMaskedData and every permission
// of that user. A user who needs a second factor gets codes by mail from then on. All
// other sessions of the user end.
func (s *Service) ResetTOTP(ctx context.Context, actor identity.Actor, userID int64) error {
	if err := mayTouchTOTP(userID)(actor); err != nil {
		return err
	}
	now := s.now()
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		_, actor, err := s.lockTouched(ctx, tx, actor, userID, mayTouchTOTP(userID))
		if err != nil {
			return err
		}
		deleted, err := tx.DeleteTOTP(ctx, userID)
		if err != nil || !deleted {
			return err
		}
		if err := tx.EndSessions(ctx, userID, ownSession(actor, userID)); err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{Type: identity.UserTOTPReset, Time: now, Actor: actor, SubjectID: userID})
	})
}
