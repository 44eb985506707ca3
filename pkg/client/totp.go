package client

import (
	"context"
	"net/http"
	"time"
)

// SecondFactor is what a user proves after the password. Provider is "totp" (an authenticator), "email" (codes by
// mail) or "" for none. Since is zero without an authenticator.
type SecondFactor struct {
	Provider      string    `json:"provider"`
	Since         time.Time `json:"since"`
	RecoveryCodes int       `json:"recoveryCodes"` // that are left
}

// SecondFactor returns the second factor of a user. Me is the caller.
func (s *Users) SecondFactor(ctx context.Context, userID int64) (SecondFactor, error) {
	return one[SecondFactor](ctx, s.c, newCall(http.MethodGet, path("users", userID, "totp"), nil))
}

// Enrolment is a new authenticator, which counts once ConfirmTOTP has got a code of it.
type Enrolment struct {
	Secret string `json:"secret"` // in base32, to be typed
	URI    string `json:"uri"`    // the same as an otpauth: address
	QRPNG  []byte `json:"qrPng"`  // the address as a picture, to be scanned
}

// EnrolTOTP gives the caller, in a fresh session, the secret of a new authenticator. It is in this answer only, and
// another call replaces it.
func (s *Users) EnrolTOTP(ctx context.Context) (Enrolment, error) {
	r := newCall(http.MethodPost, path("users", Me, "totp"), nil)
	r.safe = true
	return one[Enrolment](ctx, s.c, r)
}

// ConfirmTOTP switches the caller's new authenticator on, and returns recovery codes. Each stands in for a code once.
// They are in this answer only. All other sessions of the caller end.
func (s *Users) ConfirmTOTP(ctx context.Context, code string) ([]string, error) {
	type recoveryCodes struct {
		RecoveryCodes []string `json:"recoveryCodes"`
	}
	r := newCall(http.MethodPost, path("users", Me, "totp", "confirm"), map[string]string{"code": code})
	answer, err := one[recoveryCodes](ctx, s.c, r)
	return answer.RecoveryCodes, err
}

// ResetTOTP takes the authenticator and the recovery codes of a user away. All other sessions of the user end. Me is
// the caller, who needs a fresh session.
func (s *Users) ResetTOTP(ctx context.Context, userID int64) error {
	return s.c.remove(ctx, path("users", userID, "totp"))
}
