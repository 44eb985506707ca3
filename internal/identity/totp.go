package identity

import "time"

// TOTP is a user's authenticator. Secret is sealed.
type TOTP struct {
	UserID      int64
	Secret      string
	ConfirmedAt time.Time // zero until a first code has confirmed it
	LastStep    int64     // of the last accepted code, which works only once (RFC 6238 §5.2)
}
