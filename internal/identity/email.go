package identity

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxEmailBytes is the longest address that SMTP can carry in a path
// (RFC 5321 §4.5.3.1.3, less the angle brackets).
const MaxEmailBytes = 254

const (
	maxLocalBytes = 64 // RFC 5321 §4.5.3.1.1
	maxLabelBytes = 63 // RFC 1035 §2.3.4
)

// Email is one mail address as its owner spells it: a dot-atom of RFC 5322
// (letters beyond ASCII as in RFC 6531) at a domain of two labels or more. No
// display name, quoted local part, comment or address literal.
type Email string

// ParseEmail checks an address; the error is a *ValueError. The length is
// checked first, so that the cost of the rest is bounded.
func ParseEmail(s string) (Email, error) {
	if len(s) > MaxEmailBytes {
		return "", invalid("too_long", "must have at most %d bytes", MaxEmailBytes)
	}
	local, domain, found := strings.Cut(s, "@")
	if !found || !utf8.ValidString(s) || len(local) > maxLocalBytes || !isDotAtom(local) || !isDomain(domain) {
		return "", invalid("invalid_email", "must be one e-mail address such as mary@example.com")
	}
	return Email(s), nil
}

// UnmarshalText is ParseEmail.
func (e *Email) UnmarshalText(text []byte) (err error) {
	*e, err = ParseEmail(string(text))
	return err
}

// Key returns the form in which addresses are unique: ASCII letters in lower case.
func (e Email) Key() string { return FoldASCII(string(e)) }

func isDotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool { return !isAtomText(r) }) {
			return false
		}
	}
	return true
}

func isAtomText(r rune) bool {
	if r < utf8.RuneSelf {
		return isASCIIAlnum(r) || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
	}
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}

func isDomain(s string) bool {
	labels := strings.Split(s, ".")
	if len(labels) < 2 {
		return false
	}
	for _, label := range labels {
		if label == "" || len(label) > maxLabelBytes || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.ContainsFunc(label, func(r rune) bool { return !isDomainText(r) }) {
			return false
		}
	}
	// An all-digit last label would be an IPv4 address, not a name (RFC 1123 §2.1).
	return strings.ContainsFunc(labels[len(labels)-1], func(r rune) bool { return r < '0' || r > '9' })
}

func isDomainText(r rune) bool {
	if r < utf8.RuneSelf {
		return isASCIIAlnum(r) || r == '-'
	}
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}

func isASCIIAlnum(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}
