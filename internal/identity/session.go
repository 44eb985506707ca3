package identity

import "time"

// SourcePeriod is how long a source is stored after the last sign-in from it.
const SourcePeriod = 90 * 24 * time.Hour

// FreshPeriod is how long a session is fresh after its user has signed in or
// reauthenticated.
const FreshPeriod = 15 * time.Minute

// Session is one sign-in of a user.
type Session struct {
	ID         int64
	CreatedAt  time.Time
	LastUsedAt time.Time // to the minute
	ExpiresAt  time.Time // when it ends unless it is used
	FreshUntil time.Time // zero for sessions that never were fresh
	Source     string    // the address of its last use; "***" if it is masked, "" if it is unknown
	Client     string    // the name of its client at the sign-in; "" for none
}

// Masked returns the session as others see it without CanViewMaskedData: the source of a
// user reveals a part of the allow-list.
func (s Session) Masked() Session {
	if s.Source != "" {
		s.Source = mask
	}
	return s
}

// IssuedToken is a new token, with its secret.
type IssuedToken struct {
	Token     string
	CreatedAt time.Time
	ExpiresAt time.Time
}

// TokenPair has the tokens of a session: Access authenticates requests for a short time,
// Refresh gets the next pair, once.
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
