package identity

import "time"

// Provider is where the code of a second factor comes from.
type Provider string

// The providers of codes.
const (
	ProviderEmail Provider = "email" // six digits by mail
	ProviderTOTP  Provider = "totp"  // an authenticator app (RFC 6238), or a recovery code
)

// Challenge is a sign-in, or a reauthentication of a session, that waits for its second
// factor.
type Challenge struct {
	ID         int64
	UserID     int64
	SessionID  int64 // the session that it makes fresh again; 0 for a sign-in
	Provider   Provider
	WrongCodes int
	ExpiresAt  time.Time
	TriedAt    time.Time // when the password was tried, by the clock of its Throttle
}

// MaxWrongCodes is how many wrong codes end a challenge.
const MaxWrongCodes = 5

// ExpiredAt reports whether the challenge can no longer be answered: it is too old, or had
// too many wrong codes.
func (c Challenge) ExpiredAt(now time.Time) bool {
	return c.WrongCodes >= MaxWrongCodes || !now.Before(c.ExpiresAt)
}
