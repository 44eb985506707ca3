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

// RefreshToken is one refresh token of a session, used or not.
type RefreshToken struct {
	ID        int64
	SessionID int64
	UserID    int64
	ExpiresAt time.Time
	UsedAt    time.Time // zero until it is used
}
