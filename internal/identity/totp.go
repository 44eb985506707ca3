package identity

import "time"

// SecondFactor is what a user proves after the password. The zero value is none.
type SecondFactor struct {
	Provider      Provider  // "" for no second factor
	Since         time.Time // when the authenticator was confirmed; zero for codes by mail
	RecoveryCodes int64     // that are left
}

// TOTP is a user's authenticator. Secret is sealed.
type TOTP struct {
	UserID      int64
	Secret      string
	ConfirmedAt time.Time // zero until a first code has confirmed it
	LastStep    int64     // of the last accepted code, which works only once (RFC 6238 §5.2)
}
