package store

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzTrigrams: the parts make up the text, and each is long enough to be found
// through the index.
func FuzzTrigrams(f *testing.F) {
	for _, seed := range []string{"ann", "anna", "annab", "annabel", "äöüäöüäö", "100%_\\"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || utf8.RuneCountInString(text) < 3 {
			t.Skip("not searched through the index")
		}
		parts := trigrams(text)
		if strings.Join(parts, "") != text {
			t.Errorf("%q: %q", text, parts)
		}
		for _, part := range parts {
			if n := utf8.RuneCountInString(part); n < 3 || n > 5 {
				t.Errorf("%q: %q", text, parts)
			}
		}
	})
}
