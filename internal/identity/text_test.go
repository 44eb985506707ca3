package identity

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestNamesShowWhatTheyAre(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"Mary", "María José", "محمد", "می\u200Cخواهم", "क्\u200Dष", "👩\u200D👩\u200D👧", "❤\uFE0F", "葛\U000E0100城", "a\u0301",
		"O’Brien", "!", "7", "Ⅷ", "Anne\u00A0Marie",
	} {
		if got, err := ParseName(good); err != nil || string(got) != good {
			t.Errorf("%q: %q, %v", good, got, err)
		}
		if got, err := ParseLabel(good); err != nil || string(got) != good {
			t.Errorf("%q: %q, %v", good, got, err)
		}
	}
	for name, bad := range map[string]string{
		"right-to-left override": "Mary \u202Eyram",
		"left-to-right mark":     "Mary\u200E",
		"arabic letter mark":     "Mary\u061C",
		"isolate":                "\u2066Mary\u2069",
		"zero width space":       "Ma\u200Bry",
		"word joiner":            "Ma\u2060ry",
		"byte order mark":        "Ma\uFEFFry",
		"soft hyphen":            "Ma\u00ADry",
		"grapheme joiner":        "Ma\u034Fry",
		"invisible times":        "Ma\u2062ry",
		"tag":                    "Mary\U000E0041",
		"line separator":         "Ma\u2028ry",
		"paragraph separator":    "Ma\u2029ry",
		"blank of Braille":       "Ma\u2800ry",
		"Hangul filler":          "\u3164",
		"Hangul filler inside":   "Ma\u3164ry",
		"half-width filler":      "\uFFA0",
		"choseong filler":        "\u115F",
		"joiners only":           "\u200C\u200D",
		"selectors only":         "\uFE0F\uFE0F",
		"a lone accent":          "\u0301",
		"joiner between spaces":  "\u200D \u200D",
		"control":                "Ma\u0085ry",
		"NUL":                    "Ma\x00ry",
	} {
		_, err := ParseName(bad)
		var value *ValueError
		if !errors.As(err, &value) || value.Code != "invalid_text" {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := ParseLabel(bad); err == nil {
			t.Errorf("%s: accepted as a label", name)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, seed := range []string{"Mary", " \u202E", "👩\u200D👧", "\u3164", "\u2800\u2800", "a\u2028", "\xff",
		strings.Repeat("é", 255)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := ParseName(s)
		if err != nil {
			return
		}
		hidden := func(r rune) bool {
			return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) ||
				r == utf8.RuneError && !strings.ContainsRune(s, r)
		}
		if strings.ContainsFunc(string(name), hidden) || !strings.ContainsFunc(string(name), isVisible) ||
			utf8.RuneCountInString(string(name)) > MaxNameLength {
			t.Errorf("%q gives %q", s, name)
		}
		if again, err := ParseName(string(name)); err != nil || again != name {
			t.Errorf("%q gives %q, which gives %q, %v", s, name, again, err)
		}
	})
}
