package identity

import (
	_ "embed" // the common passwords
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Bounds of a password.
const (
	MinPasswordLength = 8 // characters
	// MaxPasswordBytes is the limit of bcrypt, which ignores what follows: the first 72 bytes
	// of a longer password would be enough to sign in.
	MaxPasswordBytes = 72
)

// Password is a password in clear. It is hidden when it is printed or logged.
type Password string

// commonPasswordsText has those of at least MinPasswordLength characters, in lower
// case and one per line, that are most often found in breaches: the frequency
// lists of zxcvbn and zxcvbn-ts (both MIT).
//
//go:embed common_passwords.txt
var commonPasswordsText string

// commonPasswords returns the list in byte order.
var commonPasswords = sync.OnceValue(func() []string { return strings.Fields(commonPasswordsText) })

// ParsePassword checks a new password by the rules of NIST SP 800-63B §3.1.1: its length,
// and that it is not one of the most common passwords. There are no rules on its
// composition. The error is a *ValueError.
func ParsePassword(s string) (Password, error) {
	switch {
	case len(s) > MaxPasswordBytes:
		return "", invalid("too_long", "must have at most %d bytes", MaxPasswordBytes)
	case utf8.RuneCountInString(s) < MinPasswordLength:
		return "", invalid("too_short", "must have at least %d characters", MinPasswordLength)
	case isCommon(s):
		return "", invalid("too_common", "is among the most common passwords; choose another one")
	}
	return Password(s), nil
}

func isCommon(s string) bool {
	_, found := slices.BinarySearch(commonPasswords(), strings.ToLower(s))
	return found
}

// productName may not be in a password: attackers of this service try it first.
const productName = "roster"

// minPersonalWord is the minimum length of a word that a password may not contain: shorter
// words are in many passwords by chance.
const minPersonalWord = 4 // characters

// CheckPersonal checks that a new password contains no data of its owner or this service
// (NIST SP 800-63B §3.1.1.2): the name, with or without spaces, the local part of the
// address, or the name of the product, without regard to case. The error is a *ValueError.
func (p Password) CheckPersonal(name Name, email Email) error {
	local, _, _ := strings.Cut(string(email), "@")
	folded := Fold(string(p))
	for _, word := range []string{string(name), strings.Join(strings.Fields(string(name)), ""), local, productName} {
		if utf8.RuneCountInString(word) >= minPersonalWord && strings.Contains(folded, Fold(word)) {
			return invalid("contains_personal",
				"must not contain the user's name, what stands before the @ of the address, or the word %s", productName)
		}
	}
	return nil
}

// UnmarshalText is ParsePassword.
func (p *Password) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePassword(string(text))
	return err
}

// String hides the password.
func (p Password) String() string { return "[password]" }

// GoString hides the password from %#v.
func (p Password) GoString() string { return p.String() }
