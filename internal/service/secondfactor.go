package service

import (
	"context"
	"crypto/subtle"
	"errors"
	"strconv"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// challenge asks a user for a second factor: a code of the authenticator, or
// one by mail as long as there is none.
func (s *Service) challenge(ctx context.Context, tx *store.Tx, user identity.User, now time.Time) (SignIn, error) {
	challenge := identity.Challenge{
		UserID: user.ID, Provider: identity.ProviderEmail, ExpiresAt: now.Add(challengeTTL).Truncate(time.Second),
	}
	totp, err := tx.TOTP(ctx, user.ID)
	switch {
	case identity.KindOf(err) == identity.NotFound:
	case err != nil:
		return SignIn{}, err
	case !totp.ConfirmedAt.IsZero():
		challenge.Provider = identity.ProviderTOTP
	}
	token := secret.NewToken()
	if challenge.ID, err = tx.InsertChallenge(ctx, challenge, secret.Digest(token)); err != nil {
		return SignIn{}, err
	}
	if challenge.Provider == identity.ProviderEmail {
		err = enqueueMail(ctx, tx, mailOrder{Kind: identity.MailSigninCode, UserID: user.ID, ChallengeID: challenge.ID}, now, challenge.ExpiresAt)
	}
	return SignIn{ChallengeToken: token, Challenge: challenge}, err
}

// ConfirmSignIn answers a challenge with a code: of the authenticator, a
// recovery code in its place, or the one that was mailed. Every code works once.
// The errors are Unauthenticated (invalid_token, invalid_code), TooManyRequests
// and, for the address, Forbidden.
func (s *Service) ConfirmSignIn(ctx context.Context, actor identity.Actor, token, code string) (identity.TokenPair, error) {
	now := s.now()
	found, err := s.store.Challenge(ctx, secret.Digest(token))
	if err == nil {
		var user identity.User
		if user, err = s.store.User(ctx, found.UserID); err == nil {
			return s.confirm(ctx, actor, user, found, code, now)
		}
	}
	if identity.KindOf(err) == identity.NotFound {
		err = errInvalidToken()
	}
	return identity.TokenPair{}, err
}

func (s *Service) confirm(ctx context.Context, actor identity.Actor, user identity.User, found identity.Challenge, code string, now time.Time,
) (identity.TokenPair, error) {
	attempt := append(newAttempt("code", string(user.Email), actor.Source),
		throttled{secret.Digest("code " + strconv.FormatInt(user.ID, 10)), codeRule})
	if err := s.begin(ctx, attempt, now); err != nil {
		return identity.TokenPair{}, err
	}
	sealer, err := s.sealing(ctx)
	if err != nil {
		return identity.TokenPair{}, err
	}
	var pair identity.TokenPair
	var outcome error
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		pair, outcome = identity.TokenPair{}, errInvalidToken()
		user, err := usableUser(ctx, tx, user.ID) // locked: one answer of a user at a time
		if errors.Is(err, errNoUsableUser) {
			return nil
		}
		if err != nil {
			return err
		}
		challenge, codeDigest, err := tx.ChallengeForUpdate(ctx, found.ID)
		if identity.KindOf(err) == identity.NotFound || err == nil && challenge.OverAt(now) {
			return nil
		}
		if err != nil {
			return err
		}
		if !user.AllowList.Allows(actor.Source) {
			outcome = errAddressNotAllowed()
			return refuse(ctx, tx, asUser(actor, user), now, "ip_not_allowed")
		}
		right, err := checkCode(ctx, tx, sealer, challenge, codeDigest, code, now)
		if err != nil {
			return err
		}
		if !right {
			outcome = identity.Errorf(identity.Unauthenticated, "invalid_code", "The code is wrong, or was used before.")
			return countWrongCode(ctx, tx, actor, challenge, attempt, now)
		}
		outcome = nil
		if err := tx.DeleteChallenge(ctx, challenge.ID); err != nil {
			return err
		}
		if err := attempt.succeed(ctx, tx); err != nil {
			return err
		}
		// The password counted, too, until now: it is no way to have codes mailed without end.
		if err := signinAttempt(string(user.Email), actor.Source).succeed(ctx, tx); err != nil {
			return err
		}
		pair, err = s.openSession(ctx, tx, asUser(actor, user), user, now)
		return err
	})
	if err == nil {
		err = outcome
	}
	return pair, err
}

func countWrongCode(ctx context.Context, tx *store.Tx, actor identity.Actor, challenge identity.Challenge, attempt attempt, now time.Time) error {
	if err := tx.CountWrongCode(ctx, challenge.ID); err != nil {
		return err
	}
	if err := attempt.fail(ctx, tx, now); err != nil {
		return err
	}
	return tx.Emit(ctx, identity.Event{
		Type: identity.UserSigninFailed, Time: now, Actor: actor, SubjectID: challenge.UserID, Reason: "wrong_code",
	})
}

// checkCode reports whether a code answers a challenge, and uses it up.
func checkCode(ctx context.Context, tx *store.Tx, sealer *secret.Sealer, challenge identity.Challenge, codeDigest, code string, now time.Time,
) (bool, error) {
	code = secret.PlainCode(code)
	if challenge.Provider == identity.ProviderEmail {
		got := mailedCodeDigest(challenge.ID, code)
		return codeDigest != "" && subtle.ConstantTimeCompare([]byte(got), []byte(codeDigest)) == 1, nil
	}
	totp, err := tx.TOTP(ctx, challenge.UserID)
	if identity.KindOf(err) == identity.NotFound { // it has just been reset
		return false, nil
	}
	if err != nil {
		return false, err
	}
	seed, err := sealer.Open(totp.Secret, totpPurpose(challenge.UserID))
	if err != nil {
		return false, err
	}
	if step, valid := secret.TOTPStep(seed, code, now); valid {
		return tx.UseTOTPStep(ctx, challenge.UserID, step)
	}
	return tx.UseRecoveryCode(ctx, challenge.UserID, secret.Digest(code))
}

// mailedCodeDigest binds a code to its challenge.
func mailedCodeDigest(challengeID int64, code string) string {
	return secret.Digest(strconv.FormatInt(challengeID, 10) + " " + code)
}

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
