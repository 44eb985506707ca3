package identity

import "strings"

// Phone is a telephone number in E.164: a plus sign and 2 to 15 digits, the
// first not 0. The empty Phone means none.
type Phone string

// ParsePhone strips spaces, dashes and brackets and checks the result; the error is a
// *ValueError.
func ParsePhone(s string) (Phone, error) {
	const maxBytes = 64 // far more than any spelling of 15 digits
	if len(s) > maxBytes {
		return "", invalid("invalid_phone", "must be a phone number such as +18043257762")
	}
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -()[]", r) {
			return -1
		}
		return r
	}, s)
	digits, international := strings.CutPrefix(s, "+")
	if !international || len(digits) < 2 || len(digits) > 15 || digits[0] == '0' ||
		strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return "", invalid("invalid_phone", "must be a phone number such as +18043257762")
	}
	return Phone(s), nil
}

// UnmarshalText is ParsePhone.
func (p *Phone) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePhone(string(text))
	return err
}
