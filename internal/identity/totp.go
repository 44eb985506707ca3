package identity

import "time"

// TOTP is a user's authenticator. Secret is sealed.
type TOTP struct {
	UserID      int64
	Secret      string
	ConfirmedAt time.Time // zero until a first code has shown that it works
	LastStep    int64     // of the last code that was taken (RFC 6238 §5.2: once only)
}
