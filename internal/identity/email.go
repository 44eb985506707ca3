package identity

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// MaxEmailBytes is the longest address that SMTP can carry in a path
// (RFC 5321 §4.5.3.1.3, less the angle brackets).
const MaxEmailBytes = 254

const (
	maxLocalBytes = 64 // RFC 5321 §4.5.3.1.1
	maxLabelBytes = 63 // RFC 1035 §2.3.4
)

// Email is one mail address as it was given: a dot-atom of RFC 5322
// (letters beyond ASCII as in RFC 6531) at a domain of two labels or more. No
// display name, quoted local part, comment or address literal. The domain has an
// ASCII form (UTS 46).
type Email string

// ParseEmail checks an address; the error is a *ValueError. The length is
// checked first, so that the cost of the rest is bounded.
func ParseEmail(s string) (Email, error) {
	errTooLong := invalid("too_long", "must have at most %d bytes", MaxEmailBytes)
	errInvalid := invalid("invalid_email", "must be one e-mail address such as mary@example.com")
	if len(s) > MaxEmailBytes {
		return "", errTooLong
	}
	isHidden := func(r rune) bool { return isInvisible(r) || unicode.Is(unicode.Variation_Selector, r) }
	if !isAddress(s) || strings.ContainsFunc(s, isHidden) {
		return "", errInvalid
	}
	local, domain, _ := strings.Cut(s, "@")
	domain, ok := asciiDomain(domain)
	switch {
	case !ok:
		return "", errInvalid
	case len(local)+len("@")+len(domain) > MaxEmailBytes:
		return "", errTooLong
	}
	return Email(s), nil
}

// isAddress reports whether a text has the form of an address. It does not check whether
// its domain has an ASCII form.
func isAddress(s string) bool {
	local, domain, found := strings.Cut(s, "@")
	return found && len(s) <= MaxEmailBytes && utf8.ValidString(s) && len(local) <= maxLocalBytes && isDotAtom(local) &&
		isDomain(domain)
}

// UnmarshalText is ParseEmail.
func (e *Email) UnmarshalText(text []byte) (err error) {
	*e, err = ParseEmail(string(text))
	return err
}

// Key returns the form in which addresses are unique; see EmailKey.
func (e Email) Key() string { return EmailKey(string(e)) }

// EmailKey returns the form in which addresses are compared: ASCII letters in
// lower case, and the domain in its ASCII form, so that one mailbox has one key
// however its domain is spelled (bücher.example, BÜCHER.example and
// xn--bcher-kva.example are one domain). Any text has a key: where it is no
// address, or its domain has no ASCII form, only the letters change.
func EmailKey(s string) string {
	s = FoldASCII(s)
	local, domain, found := strings.Cut(s, "@")
	if !found || len(s) > MaxEmailBytes { // bounds the work
		return s
	}
	if ascii, ok := asciiDomain(domain); ok {
		return local + "@" + ascii
	}
	return s
}

// domains maps a domain to A-labels by UTS 46, non-transitional as in browsers,
// with the checks of RFC 5891 §5 and RFC 5893 and the lengths of RFC 1035. Hyphens
// in the third and fourth place are left alone: such ASCII domains exist.
var domains = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(), idna.CheckHyphens(false),
	idna.VerifyDNSLength(true))

// asciiDomain returns the ASCII form of a domain, or false where it has none.
func asciiDomain(s string) (string, bool) {
	ascii, err := domains.ToASCII(s)
	return ascii, err == nil && isDomain(ascii)
}

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
