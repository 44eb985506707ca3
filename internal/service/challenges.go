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

// challenge asks a user, whose right password was tried at triedAt, for a second factor:
// a code of the authenticator, or one by mail if there is no authenticator.
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
	token := secret.NewToken(s.random(noMessage))
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

// providerOf returns the provider of the codes of a user's second factor.
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

// ConfirmSignIn answers a challenge with a code of the authenticator, a recovery code in
// its place, or the code that was mailed. Every code works once. The errors are
// Unauthenticated (invalid_token, invalid_code), TooManyRequests and, for the address,
// Forbidden.
func (s *Service) ConfirmSignIn(ctx context.Context, actor identity.Actor, token, code string,
) (identity.TokenPair, error) {
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

// codeAnswer is a code that a user gives for a challenge.
type codeAnswer struct {
	code    string
	sealer  *secret.Sealer
	attempt attempt // what the guess has counted for
	at      time.Time
}

func (s *Service) confirm(ctx context.Context, actor identity.Actor, user identity.User, found identity.Challenge,
	code string, now time.Time,
) (identity.TokenPair, error) {
	sealer, err := s.sealing(ctx)
	if err != nil {
		return identity.TokenPair{}, err
	}
	answer := codeAnswer{code: code, sealer: sealer, attempt: codeAttempt(user, actor.Source), at: now}
	if err := s.begin(ctx, &answer.attempt, now); err != nil {
		return identity.TokenPair{}, err
	}
	var pair identity.TokenPair
	err = s.decide(ctx, func(tx *store.Tx) (denied, err error) {
		pair, denied, err = s.answerChallenge(ctx, tx, actor, found, answer)
		return denied, err
	})
	return pair, err
}

// answerChallenge is the transaction of ConfirmSignIn. denied is the answer to a caller
// who does not get in; the transaction commits all the same.
func (s *Service) answerChallenge(ctx context.Context, tx *store.Tx, actor identity.Actor, found identity.Challenge,
	answer codeAnswer,
) (pair identity.TokenPair, denied, err error) {
	account := answer.attempt.everywhere()
	user, challenge, codeDigest, err := lockChallenge(ctx, tx, found, answer.at)
	if errors.Is(err, errNoUsableUser) || errors.Is(err, errNoChallenge) { // no code was looked at
		return pair, errInvalidToken(), account.succeed(ctx, tx)
	}
	if err != nil {
		return pair, nil, err
	}
	if !user.AllowList.Allows(actor.Source) {
		return pair, errAddressNotAllowed(), denyAddress(ctx, tx, actor, user, account, answer.at)
	}
	factor, err := answer.check(ctx, tx, challenge, codeDigest)
	if err != nil {
		return pair, nil, err
	}
	if factor == "" {
		denied = identity.Errorf(identity.Unauthenticated, codeInvalidCode, "The code is wrong, or was used before.")
		return pair, denied, countWrongCode(ctx, tx, actor, challenge, answer)
	}
	if err := tx.DeleteChallenge(ctx, challenge.ID); err != nil {
		return pair, nil, err
	}
	if err := answer.attempt.succeed(ctx, tx); err != nil {
		return pair, nil, err
	}
	// The password has counted as a try until now.
	password := signinAttempt(string(user.Email), actor.Source).here()
	password.at = challenge.TriedAt
	if err := password.succeed(ctx, tx); err != nil {
		return pair, nil, err
	}
	if err := factorUsed(ctx, tx, asUser(actor, user), factor, answer.at); err != nil {
		return pair, nil, err
	}
	pair, err = s.openSession(ctx, tx, asUser(actor, user), user, answer.at)
	return pair, nil, err
}

var errNoChallenge = errors.New("no challenge that can be answered")

// lockChallenge locks the user of a challenge, so that one answer of a user is checked
// at a time, then the challenge, and returns both. It returns errNoUsableUser, and
// errNoChallenge if the challenge is gone or expired.
func lockChallenge(ctx context.Context, tx *store.Tx, found identity.Challenge, now time.Time,
) (user identity.User, challenge identity.Challenge, codeDigest string, err error) {
	if user, err = usableUser(ctx, tx, found.UserID); err != nil {
		return user, challenge, "", err
	}
	challenge, codeDigest, err = tx.ChallengeForUpdate(ctx, found.ID)
	if identity.KindOf(err) == identity.NotFound || err == nil && challenge.ExpiredAt(now) {
		err = errNoChallenge
	}
	return user, challenge, codeDigest, err
}

// countWrongCode counts a wrong code and records it.
func countWrongCode(ctx context.Context, tx *store.Tx, actor identity.Actor, challenge identity.Challenge,
	answer codeAnswer,
) error {
	if err := tx.CountWrongCode(ctx, challenge.ID); err != nil {
		return err
	}
	if err := answer.attempt.fail(ctx, tx); err != nil {
		return err
	}
	return emit(ctx, tx, identity.Event{
		Type: identity.UserSigninFailed, Time: answer.at, Actor: actor, SubjectID: challenge.UserID, Reason: "wrong_code",
	})
}

// codeInvalidCode is the code of the error for a wrong code of a second factor.
const codeInvalidCode = "invalid_code"

// factorRecoveryCode is the factor of a recovery code; that of another code is its
// provider.
const factorRecoveryCode = "recovery_code"

// check returns the factor that the code proves, "" for a wrong code, and uses the code
// up. codeDigest is that of the code that was mailed; "" for none.
func (a codeAnswer) check(ctx context.Context, tx *store.Tx, challenge identity.Challenge, codeDigest string,
) (factor string, err error) {
	code := secret.PlainCode(a.code)
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
	seed, err := a.sealer.Open(totp.Secret, totpPurpose(challenge.UserID))
	if err != nil {
		return "", err
	}
	if step, valid := secret.TOTPStep(seed, code, a.at); valid {
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

// factorUsed records that a user has proved a factor.
func factorUsed(ctx context.Context, tx *store.Tx, actor identity.Actor, factor string, now time.Time) error {
	return emit(ctx, tx, identity.Event{
		Type: identity.UserFactorUsed, Time: now, Actor: actor, SubjectID: actor.UserID, Reason: factor,
	})
}

// mailedCodeDigest binds a code to its challenge.
func mailedCodeDigest(challengeID int64, code string) string {
	return secret.Digest(strconv.FormatInt(challengeID, 10) + " " + code)
}
