package identity

import "time"

// SourcePeriod is how long the source of a sign-in is remembered after the last one.
const SourcePeriod = 90 * 24 * time.Hour

// FreshPeriod is how long a session is fresh after its user has shown all that a
// sign-in takes.
const FreshPeriod = 15 * time.Minute

// Session is one sign-in of a user.
type Session struct {
	ID         int64
	CreatedAt  time.Time
	LastUsedAt time.Time // to the minute
	ExpiresAt  time.Time // when it ends unless it is used
	FreshUntil time.Time // zero for sessions that never were
	Source     string    // the address of its last use; "***" for who may not see it, "" where it is not known
	Client     string    // what its client called itself at the sign-in; "" for nothing
}

// Masked returns the session as others see it without CanViewMaskedData: where
// somebody comes from tells of the allow-list.
func (s Session) Masked() Session {
	if s.Source != "" {
		s.Source = mask
	}
	return s
}

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

// RefreshToken is one refresh token of a session, used or not.
type RefreshToken struct {
	ID         int64
	SessionID  int64
	UserID     int64
	SignedInAt time.Time // when the session began
	ExpiresAt  time.Time
	UsedAt     time.Time // zero until it is used
}
