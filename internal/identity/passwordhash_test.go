package identity_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// hash returns a hash of a password that nobody knows: n digits of base64 at each %s.
func filled(format string, lengths ...int) string {
	parts := make([]any, len(lengths))
	for i, n := range lengths {
		parts[i] = strings.Repeat("A", n)
	}
	return fmt.Sprintf(format, parts...)
}

func TestParsePasswordHash(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"$2a$10$" + strings.Repeat("a", 53):                                    "",
		"$2b$15$" + strings.Repeat("a", 53):                                    "",
		"$2y$04$" + strings.Repeat("a", 53):                                    "",
		"bcrypt$$2b$12$" + strings.Repeat("a", 53):                             "",
		"$2a$16$" + strings.Repeat("a", 53):                                    "costly_hash",
		"$2a$31$" + strings.Repeat("a", 53):                                    "costly_hash",
		"$2a$03$" + strings.Repeat("a", 53):                                    "malformed_hash",
		"$2a$10$" + strings.Repeat("a", 52):                                    "malformed_hash",
		"$2a$10$" + strings.Repeat("a", 52) + "!":                              "malformed_hash",
		"$2x$10$" + strings.Repeat("a", 53):                                    "unknown_hash", // made by a wrong implementation
		filled("$argon2id$v=19$m=65536,t=3,p=4$%s$%s", 22, 43):                 "",
		filled("$argon2i$v=19$t=3,m=65536,p=1$%s$%s", 22, 22):                  "",
		filled("argon2$argon2id$v=19$m=102400,t=2,p=8$%s$%s", 22, 43):          "",
		filled("$argon2id$v=19$m=131072,t=8,p=64$%s$%s", 22, 43):               "costly_hash", // just above the bound
		filled("$argon2id$v=19$m=131072,t=7,p=64$%s$%s", 22, 43):               "",
		filled("$argon2id$v=19$m=131073,t=1,p=1$%s$%s", 22, 43):                "costly_hash",
		filled("$argon2id$v=19$m=67108864,t=1,p=1$%s$%s", 22, 43):              "costly_hash", // 64 GiB
		filled("$argon2id$v=19$m=4294967295,t=4294967295,p=255$%s$%s", 22, 43): "costly_hash",
		filled("$argon2id$v=19$m=99999999999999999999,t=1,p=1$%s$%s", 22, 43):  "costly_hash",
		filled("$argon2id$v=19$m=65536,t=0,p=1$%s$%s", 22, 43):                 "malformed_hash",
		filled("$argon2id$v=19$m=65536,t=1,p=256$%s$%s", 22, 43):               "malformed_hash",
		filled("$argon2id$v=19$m=7,t=1,p=1$%s$%s", 22, 43):                     "malformed_hash",
		filled("$argon2id$v=16$m=65536,t=1,p=1$%s$%s", 22, 43):                 "malformed_hash",
		filled("$argon2id$v=19$m=65536,t=1$%s$%s", 22, 43):                     "malformed_hash",
		filled("$argon2id$v=19$m=65536,t=1,p=1$%s$%s", 22, 6):                  "malformed_hash", // any of a few passwords would do
		filled("$argon2id$v=19$m=65536,t=1,p=1$%s$%s", 0, 43):                  "malformed_hash",
		filled("$argon2d$v=19$m=65536,t=1,p=1$%s$%s", 22, 43):                  "unknown_hash",
		filled("$scrypt$ln=17,r=8,p=1$%s$%s", 22, 43):                          "",
		filled("$scrypt$ln=16384,r=8,p=1$%s=$%s=", 43, 43):                     "",
		filled("$scrypt$ln=16385,r=8,p=1$%s$%s", 43, 43):                       "malformed_hash",
		filled("$scrypt$ln=18,r=8,p=1$%s$%s", 22, 43):                          "costly_hash",
		filled("$scrypt$ln=31,r=4294967295,p=255$%s$%s", 22, 43):               "costly_hash",
		filled("$scrypt$ln=10,r=8,p=256$%s$%s", 22, 43):                        "malformed_hash",
		filled("$scrypt$ln=0,r=8,p=1$%s$%s", 22, 43):                           "malformed_hash",
		filled("$firescrypt$ln=14,r=8,p=1$%s$%s==$Bw==$%s==", 14, 86, 86):      "",
		filled("$firescrypt$ln=14,r=8,p=1$%s$%s==$$%s==", 14, 86, 86):          "",
		filled("$firescrypt$ln=31,r=8,p=1$%s$%s==$Bw==$%s==", 14, 86, 86):      "costly_hash",
		filled("$firescrypt$ln=99,r=8,p=1$%s$%s==$Bw==$%s==", 14, 86, 86):      "costly_hash",
		filled("$firescrypt$ln=14,r=8,p=1$%s$%s==$Bw==$%s", 14, 86, 43):        "malformed_hash",
		filled("$firescrypt$ln=14,r=8,p=1$%s$%s==", 14, 86):                    "malformed_hash",
		filled("$pbkdf2-sha256$600000$%s$%s", 22, 43):                          "",
		filled("$pbkdf2-sha256$i=600000,l=32$%s$%s", 22, 43):                   "",
		filled("$pbkdf2-sha256$27500$%s==$%s==", 22, 86):                       "", // Keycloak's, of two blocks
		filled("$pbkdf2-sha512$210000$%s$%s", 22, 86):                          "",
		filled("$pbkdf2$131000$%s$%s", 22, 27):                                 "",
		filled("$pbkdf2-sha256$2000000$%s$%s", 22, 43):                         "",
		filled("$pbkdf2-sha256$1000000000$%s$%s", 22, 43):                      "costly_hash",
		filled("$pbkdf2-sha512$1100000$%s$%s", 22, 86):                         "costly_hash",
		filled("$pbkdf2-sha1$1000000$%s$%s", 22, 170):                          "costly_hash", // seven blocks
		filled("$pbkdf2-sha256$0$%s$%s", 22, 43):                               "malformed_hash",
		filled("$pbkdf2-sha256$-1$%s$%s", 22, 43):                              "malformed_hash",
		filled("$pbkdf2-sha256$1000$%s$%s", 22, 42) + "!":                      "malformed_hash",
		filled("$pbkdf2-sha256$1000$%s", 22):                                   "malformed_hash",
		filled("$pbkdf2-md5$1000$%s$%s", 22, 43):                               "unknown_hash",
		filled("pbkdf2_sha256$1200000$%s$%s=", 22, 43):                         "",
		filled("pbkdf2_sha1$1000$%s$%s=", 22, 27):                              "",
		filled("pbkdf2_sha256$1000000000$%s$%s=", 22, 43):                      "costly_hash",
		filled("pbkdf2_sha256$1000$%s", 22):                                    "malformed_hash",
		filled("pbkdf2_sha256$1000$\x00%s$%s=", 22, 43):                        "unknown_hash",
		filled("pbkdf2_sha256$1000$é%s$%s=", 22, 43):                           "unknown_hash",
		filled("$5$%s$%s", 16, 43):                                             "",
		filled("$6$rounds=656000$%s$%s", 16, 86):                               "",
		filled("$6$rounds=999999999$%s$%s", 16, 86):                            "costly_hash",
		filled("$6$rounds=999$%s$%s", 16, 86):                                  "malformed_hash",
		filled("$6$1000$%s$%s", 16, 86):                                        "malformed_hash",
		filled("$6$%s$%s", 17, 86):                                             "malformed_hash",
		filled("$6$%s$%s", 16, 43):                                             "malformed_hash",
		filled("$1$%s$%s", 8, 22):                                              "unknown_hash",
		filled("$md5$%s", 24):                                                  "unknown_hash",
		"":                                                                     "unknown_hash",
		"$":                                                                    "unknown_hash",
		"MySecret123":                                                          "unknown_hash",
		strings.Repeat("$2a$", 1<<20):                                          "too_long",
	} {
		h, err := identity.ParsePasswordHash(text)
		var wrong *identity.ValueError
		switch {
		case err == nil && want == "":
			if text := fmt.Sprintf("%v %+v %#v %s", h, h, h, h); strings.Contains(text, "AAAA") || strings.Contains(text, "65 65") {
				t.Errorf("it prints as %s", text)
			}
		case !errors.As(err, &wrong) || wrong.Code != want:
			t.Errorf("%.80s: %v, want %q", text, err, want)
		case strings.Contains(wrong.Message, "AAAA"):
			t.Errorf("the hash is in %q", wrong.Message)
		}
	}
}

// TestCostlyHashesAreRefusedAtOnce checks that the cost of a hash is looked at, and not found out.
func TestCostlyHashesAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	const many = 10_000 // a hash takes a second or more, and one of these is refused in microseconds
	begun := time.Now()
	for range many {
		if _, err := identity.ParsePasswordHash(filled("$argon2id$v=19$m=67108864,t=1,p=1$%s$%s", 22, 43)); err == nil {
			t.Fatal("64 GiB are accepted")
		}
		if _, err := identity.ParsePasswordHash(filled("$pbkdf2-sha256$1000000000$%s$%s", 22, 43)); err == nil {
			t.Fatal("10^9 rounds are accepted")
		}
	}
	t.Logf("%v each", time.Since(begun)/(2*many))
}

// TestDecoys checks that hashes with the same parameters have one decoy, which costs as much.
func TestDecoys(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"$2a$12$" + strings.Repeat("a", 53), "$2y$12$" + strings.Repeat("b", 53)},
		{filled("$argon2id$v=19$m=65536,t=3,p=4$%s$%s", 22, 43), filled("$argon2id$v=19$p=4,t=3,m=65536$%s$%s", 32, 22)},
		{
			filled("$scrypt$ln=14,r=8,p=1$%s$%s", 22, 43), filled("$scrypt$ln=16384,r=8,p=1$%s=$%s=", 43, 86),
			filled("$firescrypt$ln=14,r=8,p=1$%s$%s==$Bw==$%s==", 14, 86, 86),
		},
		{filled("$pbkdf2-sha256$1000$%s$%s", 22, 43), filled("pbkdf2_sha256$1000$%s$%s=", 10, 43), filled("$pbkdf2-sha256$1000$%s$%s", 8, 27)},
		{filled("$pbkdf2-sha256$1000$%s$%s", 22, 86)},
		{filled("$pbkdf2-sha1$1000$%s$%s", 22, 170), filled("$pbkdf2$1000$%s$%s", 22, 162)},
		{filled("$5$%s$%s", 16, 43), filled("$5$rounds=5000$%s$%s", 16, 43)},
		{filled("$6$%s$%s", 8, 86)},
	} {
		want := identity.DecoyOf(same[0])
		decoy, err := identity.ParsePasswordHash(want)
		if err != nil || identity.DecoyOf(want) != want {
			t.Errorf("%s: %q is %v, and has the decoy %s", same[0], want, err, identity.DecoyOf(want))
		}
		for _, text := range same {
			h, err := identity.ParsePasswordHash(text)
			if got := identity.DecoyOf(text); err != nil || got != want || h.Work() != decoy.Work() || h.Bytes() != decoy.Bytes() {
				t.Errorf("%s: %q, %v, %d rounds; want %q with %d", text, got, err, h.Work(), want, decoy.Work())
			}
		}
	}
	for _, text := range []string{"", "nonsense", "$2a$10$" + strings.Repeat("a", 53), "$2a$04$" + strings.Repeat("a", 53)} {
		if got := identity.DecoyOf(text); got != "" {
			t.Errorf("%q: %s", text, got)
		}
	}
}

// FuzzParsePasswordHash checks that what is accepted is within the bounds, and has a decoy that
// costs as much.
func FuzzParsePasswordHash(f *testing.F) {
	for _, text := range []string{
		"$2a$12$" + strings.Repeat("a", 53), filled("$argon2id$v=19$m=65536,t=3,p=4$%s$%s", 22, 43),
		filled("$scrypt$ln=14,r=8,p=1$%s$%s", 22, 43), filled("$firescrypt$ln=14,r=8,p=1$%s$%s==$Bw==$%s==", 14, 86, 86),
		filled("$pbkdf2-sha512$i=1000,l=64$%s$%s", 22, 86), filled("pbkdf2_sha256$1000$%s$%s=", 10, 43),
		filled("$6$rounds=5000$%s$%s", 16, 86), "argon2$argon2id$", "bcrypt$$2b$", "$$$$$$$",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := identity.ParsePasswordHash(text)
		if err != nil {
			if identity.DecoyOf(text) != "" {
				t.Errorf("what is no hash has a decoy")
			}
			return
		}
		if h.Work() <= 0 || h.Work() > 1<<15 || h.Bytes() < 0 || h.Bytes() > 128<<20 || len(h.Key) < 16 {
			t.Errorf("%d rounds, %d bytes, a key of %d", h.Work(), h.Bytes(), len(h.Key))
		}
		decoy := identity.DecoyOf(text)
		if decoy == "" && h.Kind == identity.Bcrypt && h.Time <= 10 {
			return
		}
		if d, err := identity.ParsePasswordHash(decoy); err != nil || d.Work() != h.Work() || d.Bytes() != h.Bytes() {
			t.Errorf("%q: %v", decoy, err)
		}
	})
}
