package identity

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a user's texts.
const (
	MaxNameLength  = 255 // characters
	MaxLabelLength = 100 // characters; names of groups and tokens
)

// Name is a person's name: 1 to MaxNameLength characters, trimmed, without
// control characters.
type Name string

// ParseName trims and checks a name; the error is a *ValueError.
func ParseName(s string) (Name, error) {
	s, err := parseLine(s, MaxNameLength)
	return Name(s), err
}

// UnmarshalText is ParseName.
func (n *Name) UnmarshalText(text []byte) (err error) {
	*n, err = ParseName(string(text))
	return err
}

// Label names a group or a token: as Name, with MaxLabelLength.
type Label string

// ParseLabel trims and checks a label; the error is a *ValueError.
func ParseLabel(s string) (Label, error) {
	s, err := parseLine(s, MaxLabelLength)
	return Label(s), err
}

// UnmarshalText is ParseLabel.
func (l *Label) UnmarshalText(text []byte) (err error) {
	*l, err = ParseLabel(string(text))
	return err
}

func parseLine(s string, most int) (string, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return "", invalid("required", "must not be empty")
	case utf8.RuneCountInString(s) > most:
		return "", invalid("too_long", "must have at most %d characters", most)
	case !utf8.ValidString(s):
		return "", invalid("invalid_text", "must be valid UTF-8")
	case strings.ContainsFunc(s, unicode.IsControl):
		return "", invalid("invalid_text", "must not contain control characters")
	}
	return s, nil
}

// Fold returns s in the form in which texts are compared without regard to
// case: each character becomes the first one of its simple folding orbit, in
// lower case where that is ASCII, so that Fold(a) == Fold(b) exactly when
// strings.EqualFold(a, b). Folding in Go makes both database engines agree.
func Fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf {
			return asciiLower(r)
		}
		first := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			first = min(first, next)
		}
		return asciiLower(first)
	}, s)
}

// FoldASCII lowers the letters A to Z and nothing else. Addresses are compared
// this way: full folding would make two mailboxes one (mıke@ is not mike@).
func FoldASCII(s string) string { return strings.Map(asciiLower, s) }

func asciiLower(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + ('a' - 'A')
	}
	return r
}
