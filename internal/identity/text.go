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

// Name is a person's name: 1 to MaxNameLength characters, trimmed, at least one of them
// visible, without control characters and invisible characters (see isInvisible).
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

func parseLine(s string, maxLength int) (string, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return "", invalid("required", "must not be empty")
	case utf8.RuneCountInString(s) > maxLength:
		return "", invalid("too_long", "must have at most %d characters", maxLength)
	case !utf8.ValidString(s):
		return "", invalid("invalid_text", "must be valid UTF-8")
	case strings.ContainsFunc(s, unicode.IsControl):
		return "", invalid("invalid_text", "must not contain control characters")
	case strings.ContainsFunc(s, isInvisible):
		return "", invalid("invalid_text", "must not contain invisible characters or marks of direction")
	case !strings.ContainsFunc(s, isVisible):
		return "", invalid("invalid_text", "must contain a visible character")
	}
	return s, nil
}

const (
	zeroWidthNonJoiner = '\u200C' // Persian and Indic names need both joiners, emoji the second
	zeroWidthJoiner    = '\u200D'
	brailleBlank       = '\u2800' // a symbol by its category that looks like a space
)

// isInvisible reports whether a character is refused in names because two texts
// that differ by it look alike, or because it turns the order of others around:
// format characters (Cf, which has all the bidirectional controls and the tags),
// the other code points that are ignored by default (the Hangul fillers are among
// them), line and paragraph separators and the blank of Braille. The two joiners
// and variation selectors pass: names and emoji are spelled with them.
func isInvisible(r rune) bool {
	if r == zeroWidthNonJoiner || r == zeroWidthJoiner {
		return false
	}
	return r == brailleBlank ||
		unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}

// isVisible reports whether a character is visible when it stands alone.
func isVisible(r rune) bool {
	return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) && !isInvisible(r)
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

// FoldASCII lowers the letters A to Z and nothing else. The local parts of
// addresses are compared this way (see EmailKey): full folding would make two
// mailboxes one (mıke@ is not mike@).
func FoldASCII(s string) string { return strings.Map(asciiLower, s) }

func asciiLower(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + ('a' - 'A')
	}
	return r
}
