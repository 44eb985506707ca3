package service

import (
	"context"
	"crypto/subtle"
	"errors"
	"strconv"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/notify"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// challengeTTL is how long a sign-in waits for its second factor.
const challengeTTL = 10 * time.Minute

// challenge asks a user, whose password was tried at a time and was right, for a second
// factor: a code of the authenticator, or one by mail as long as there is none.
func (s *Service) challenge(ctx context.Context, tx *store.Tx, actor identity.Actor, user identity.User,
	triedAt, now time.Time,
) (SignIn, error) {
	challenge := identity.Challenge{
		UserID: user.ID, ExpiresAt: now.Add(challengeTTL).Truncate(time.Second), TriedAt: triedAt,
	}
	var err error
	if challenge.Provider, err = providerOf(ctx, tx, user.ID); err != nil {
		return SignIn{}, err
	}
	token := secret.NewToken()
	if challenge.ID, err = tx.InsertChallenge(ctx, challenge, secret.Digest(token)); err != nil {
		return SignIn{}, err
	}
	if challenge.Provider == identity.ProviderEmail {
		if err := notify.SigninCode(ctx, tx, challenge, now); err != nil {
			return SignIn{}, err
		}
	}
	return SignIn{ChallengeToken: token, Challenge: challenge}, emit(ctx, tx, identity.Event{
		Type: identity.UserSigninChallenged, Time: now, Actor: actor, SubjectID: user.ID,
		Reason: string(challenge.Provider),
	})
}

// providerOf returns where the codes of a user's second factor come from.
func providerOf(ctx context.Context, tx *store.Tx, userID int64) (identity.Provider, error) {
	totp, err := tx.TOTP(ctx, userID)
	switch {
	case identity.KindOf(err) == identity.NotFound || err == nil && totp.ConfirmedAt.IsZero():
		return identity.ProviderEmail, nil
	case err != nil:
		return "", err
	}
	return identity.ProviderTOTP, nil
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
	sealer, err := s.sealing(ctx)
	if err != nil {
		return identity.TokenPair{}, err
	}
	attempt := codeAttempt(user, actor.Source)
	if err := s.begin(ctx, &attempt, now); err != nil {
		return identity.TokenPair{}, err
	}
	var pair identity.TokenPair
	var outcome error
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		pair, outcome = identity.TokenPair{}, errInvalidToken()
		user, err := usableUser(ctx, tx, user.ID) // locked: one answer of a user at a time
		if errors.Is(err, errNoUsableUser) {
			return attempt.everywhere().succeed(ctx, tx) // no code was looked at
		}
		if err != nil {
			return err
		}
		challenge, codeDigest, err := tx.ChallengeForUpdate(ctx, found.ID)
		if identity.KindOf(err) == identity.NotFound || err == nil && challenge.ExpiredAt(now) {
			return attempt.everywhere().succeed(ctx, tx)
		}
		if err != nil {
			return err
		}
		if !user.AllowList.Allows(actor.Source) {
			outcome = errAddressNotAllowed()
			if err := attempt.everywhere().succeed(ctx, tx); err != nil {
				return err
			}
			return refuse(ctx, tx, asUser(actor, user), now, "ip_not_allowed")
		}
		factor, err := checkCode(ctx, tx, sealer, challenge, codeDigest, code, now)
		if err != nil {
			return err
		}
		if factor == "" {
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
		// The password counted, too, until now.
		password := signinAttempt(string(user.Email), actor.Source).here()
		password.at = challenge.TriedAt
		if err := password.succeed(ctx, tx); err != nil {
			return err
		}
		if err := factorUsed(ctx, tx, asUser(actor, user), factor, now); err != nil {
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
	if err := attempt.fail(ctx, tx); err != nil {
		return err
	}
	return emit(ctx, tx, identity.Event{
		Type: identity.UserSigninFailed, Time: now, Actor: actor, SubjectID: challenge.UserID, Reason: "wrong_code",
	})
}

// factorRecoveryCode is what checkCode calls a recovery code; any other code it calls
// by its provider.
const factorRecoveryCode = "recovery_code"

// checkCode tells what kind of code answers a challenge, "" where this one does not,
// and uses it up.
func checkCode(ctx context.Context, tx *store.Tx, sealer *secret.Sealer, challenge identity.Challenge, codeDigest, code string, now time.Time,
) (factor string, err error) {
	code = secret.PlainCode(code)
	if challenge.Provider == identity.ProviderEmail {
		got := mailedCodeDigest(challenge.ID, code)
		right := codeDigest != "" && subtle.ConstantTimeCompare([]byte(got), []byte(codeDigest)) == 1
		return factorIf(right, string(identity.ProviderEmail)), nil
	}
	totp, err := tx.TOTP(ctx, challenge.UserID)
	if identity.KindOf(err) == identity.NotFound { // it has just been reset
		return "", nil
	}
	if err != nil {
		return "", err
	}
	seed, err := sealer.Open(totp.Secret, totpPurpose(challenge.UserID))
	if err != nil {
		return "", err
	}
	if step, valid := secret.TOTPStep(seed, code, now); valid {
		right, err := tx.UseTOTPStep(ctx, challenge.UserID, step)
		return factorIf(right, string(identity.ProviderTOTP)), err
	}
	right, err := tx.UseRecoveryCode(ctx, challenge.UserID, secret.Digest(code))
	return factorIf(right, factorRecoveryCode), err
}

func factorIf(right bool, factor string) string {
	if right {
		return factor
	}
	return ""
}

// factorUsed records that a user has shown a factor, as checkCode calls it.
func factorUsed(ctx context.Context, tx *store.Tx, actor identity.Actor, factor string, now time.Time) error {
	return emit(ctx, tx, identity.Event{
		Type: identity.UserFactorUsed, Time: now, Actor: actor, SubjectID: actor.UserID, Reason: factor,
	})
}

// mailedCodeDigest binds a code to its challenge.
func mailedCodeDigest(challengeID int64, code string) string {
	return secret.Digest(strconv.FormatInt(challengeID, 10) + " " + code)
}
