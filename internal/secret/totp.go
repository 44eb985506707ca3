package secret

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"image/png"
	"io"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

// totpPeriod is the length of a time step (RFC 6238 §5.2).
const totpPeriod = 30 // seconds

// TOTPEnrolment is a new secret for an authenticator app.
type TOTPEnrolment struct {
	Secret string // base32, for typing
	URI    string // otpauth://…
	QR     []byte // PNG of the URI, for scanning
}

// NewTOTP returns a new secret of 160 bits for a user's authenticator.
func NewTOTP(account string, random io.Reader) (TOTPEnrolment, error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Roster", AccountName: account, Rand: random})
	if err != nil {
		return TOTPEnrolment{}, fmt.Errorf("new authenticator: %w", err)
	}
	const pixels = 240
	picture, err := key.Image(pixels, pixels)
	if err != nil {
		return TOTPEnrolment{}, fmt.Errorf("new authenticator: %w", err)
	}
	var qr bytes.Buffer
	if err := png.Encode(&qr, picture); err != nil {
		return TOTPEnrolment{}, fmt.Errorf("new authenticator: %w", err)
	}
	return TOTPEnrolment{Secret: key.Secret(), URI: key.URL(), QR: qr.Bytes()}, nil
}

// TOTPStepAt returns the time step of a time.
func TOTPStepAt(now time.Time) int64 { return now.Unix() / totpPeriod }

// TOTPStepTime returns when a time step begins.
func TOTPStepTime(step int64) time.Time { return time.Unix(step*totpPeriod, 0) }

// TOTPStep returns the time step of a code. It accepts the current step, the one before
// and the one after, because clocks differ. The caller must not accept a step twice.
func TOTPStep(secret, code string, now time.Time) (step int64, valid bool) {
	code = PlainCode(code)
	current := TOTPStepAt(now)
	for _, step := range []int64{current - 1, current, current + 1} {
		want, err := TOTPCode(secret, step)
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			return step, true
		}
	}
	return 0, false
}

// TOTPCode returns the code of a time step. The error is for a secret that is no base32.
func TOTPCode(secret string, step int64) (string, error) {
	return totp.GenerateCodeCustom(secret, TOTPStepTime(step), totp.ValidateOpts{
		Period: totpPeriod, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
	})
}

// PlainCode returns a code in lower case, without the spaces and hyphens that people
// add.
func PlainCode(code string) string {
	return strings.ToLower(strings.NewReplacer(" ", "", "-", "", "\u00a0", "").Replace(code))
}
