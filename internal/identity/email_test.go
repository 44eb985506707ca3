package identity

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEmailKey(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"Mary@Example.COM":              "mary@example.com",
		"mary@BÜCHER.example":           "mary@xn--bcher-kva.example",
		"mary@bu\u0308cher.example":     "mary@xn--bcher-kva.example", // u and a combining diaeresis
		"mary@xn--bcher-kva.example":    "mary@xn--bcher-kva.example",
		"mary@XN--BCHER-KVA.example":    "mary@xn--bcher-kva.example",
		"mary@ｅｘａｍｐｌｅ.com":              "mary@example.com", // full width
		"mary@\u212Aelvin.example":      "mary@kelvin.example",
		"mary@straße.example":           "mary@xn--strae-oqa.example", // not strasse: non-transitional
		"MÄRY@example.com":              "mÄry@example.com",           // local parts are the mail server's business
		"mary@r3---sn-5.example":        "mary@r3---sn-5.example",
		"mary":                          "mary",
		"Bücher.Example":                "bücher.example",
		"":                              "",
		"a@b@Bücher.example":            "a@b@bücher.example",
		"a@xn--a.example":               "a@xn--a.example",
		"a@\u05D0a.example":             "a@\u05D0a.example", // both directions in one label
		strings.Repeat("ü", 200) + "@Ü": strings.Repeat("ü", 200) + "@Ü",
	} {
		if got := EmailKey(given); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
}

func TestParseEmailDomains(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("a", 63)
	for _, good := range []string{"a@bücher.example", "a@例え.テスト", "a@r3---sn.example", "ä@example.com",
		"a@" + label + ".example"} {
		if _, err := ParseEmail(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	var han strings.Builder // 21 characters of 3 bytes, far apart
	for i := range 21 {
		han.WriteRune(rune(0x4E00 + i*997%20000))
	}
	for name, bad := range map[string]string{
		"no A-label":              "a@xn--a.example",
		"A-label of plain ASCII":  "a@xn--example-.com",
		"both directions":         "a@\u05D0a.example",
		"unassigned":              "a@\u0378.example",
		"soft hyphen":             "a@exa\u00ADmple.com",
		"joiner out of place":     "a@exa\u200Dmple.com",
		"variation selector":      "a@example\uFE0F.com",
		"grapheme joiner":         "a@exa\u034Fmple.com",
		"digits in the end":       "a@1.２",
		"label too long in ASCII": "a@" + han.String() + ".example",
		"too long in ASCII":       strings.Repeat("x", 64) + "@" + strings.Repeat("漢字漢.", 16) + "com",
		"invisible local part":    "ma\u034Fry@example.com",
		"selected local part":     "mary\uFE0F@example.com",
		"filler as local part":    "\u3164@example.com",
	} {
		if email, err := ParseEmail(bad); err == nil {
			t.Errorf("%s: accepted, with the key %q of %d bytes", name, email.Key(), len(email.Key()))
		}
	}
}

// A name that has the shape of an address is masked, though its domain could not
// be one today.
func TestNamesOfOldAddressesAreMasked(t *testing.T) {
	t.Parallel()
	if got := Name("mary@xn--a.example").Masked(); got != "m***@xn--a.example" {
		t.Errorf("%s", got)
	}
}

func FuzzEmailKey(f *testing.F) {
	for _, seed := range []string{
		"Mary@Example.COM", "a@bücher.example", "a@XN--BCHER-KVA.example", "a@xn--a.b", "@", "a@b@ü.de", "a@ü", "a@.",
		"a@ü.", "a@ß.ﬀ", "a@\u2488.x",
		"a@xn--bcher-KVA.\u3002x", "a@x\u00AD.y", "a@\u200C.x", "ä@\u1E9E.x", "\xff@\xff", "a@xn--xn---epa.x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key := EmailKey(s)
		if again := EmailKey(key); again != key {
			t.Errorf("%q: %q has the key %q", s, key, again)
		}
		if upper := EmailKey(strings.Map(asciiUpper, s)); upper != key {
			t.Errorf("%q: %q, and in capital letters %q", s, key, upper)
		}
		email, err := ParseEmail(s)
		if err != nil {
			return
		}
		_, domain, _ := strings.Cut(key, "@")
		if email.Key() != key || !isDomain(domain) ||
			strings.ContainsFunc(domain, func(r rune) bool { return r >= utf8.RuneSelf }) || len(key) > MaxEmailBytes {
			t.Errorf("%q: %q", s, key)
		}
	})
}

func asciiUpper(r rune) rune {
	if 'a' <= r && r <= 'z' {
		return r - ('a' - 'A')
	}
	return r
}
