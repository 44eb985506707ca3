package identity

import "time"

// IssuedToken is a token as it is given out, this once.
type IssuedToken struct {
	Token     string
	CreatedAt time.Time
	ExpiresAt time.Time
}

// TokenPair is what a user works with after signing in: Access authenticates
// requests for a short time, Refresh gets the next pair, once.
type TokenPair struct {
	Access  IssuedToken
	Refresh IssuedToken
}

// Provider is where the code of a second factor comes from.
type Provider string

// The providers of codes.
const (
	ProviderEmail Provider = "email" // six digits by mail
	ProviderTOTP  Provider = "totp"  // an authenticator app (RFC 6238), or a recovery code
)

// Challenge is a sign-in that waits for its second factor.
type Challenge struct {
	ID         int64
	UserID     int64
	Provider   Provider
	WrongCodes int
	ExpiresAt  time.Time
}

// MaxWrongCodes is how many wrong codes end a challenge.
const MaxWrongCodes = 5

// OverAt reports whether the challenge can be answered no more.
func (c Challenge) OverAt(now time.Time) bool {
	return c.WrongCodes >= MaxWrongCodes || !now.Before(c.ExpiresAt)
}

// RefreshToken is one refresh token of a session, used or not.
type RefreshToken struct {
	ID        int64
	SessionID int64
	UserID    int64
	ExpiresAt time.Time
	UsedAt    time.Time // zero until it is used
}

// TOTP is a user's authenticator. Secret is sealed.
type TOTP struct {
	UserID      int64
	Secret      string
	ConfirmedAt time.Time // zero until a first code has shown that it works
	LastStep    int64     // of the last code that was taken (RFC 6238 §5.2: once only)
}
