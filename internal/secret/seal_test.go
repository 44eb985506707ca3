package secret

import (
	"encoding/base32"
	"encoding/base64"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/rosterhq/roster/internal/identity"
)

func newSealer(t *testing.T, keys ...string) *Sealer {
	t.Helper()
	s, err := NewSealer(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSeal(t *testing.T) {
	t.Parallel()
	s := newSealer(t, "", "first key")
	sealed, again := s.Seal("JBSWY3DP", "totp 7"), s.Seal("JBSWY3DP", "totp 7")
	if sealed == again || strings.Contains(sealed, "JBSWY3DP") {
		t.Errorf("%s, %s", sealed, again)
	}
	if got, err := s.Open(sealed, "totp 7"); got != "JBSWY3DP" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	// A new key comes first; what the old one sealed can still be read.
	newer := newSealer(t, "second key", "first key")
	if got, err := newer.Open(sealed, "totp 7"); got != "JBSWY3DP" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := s.Open(newer.Seal("x", "p"), "p"); err == nil || !strings.Contains(err.Error(), "ROSTER_SECRET_KEY") {
		t.Errorf("sealed with a key that is not there: %v", err)
	}
	flipped := []byte(sealed)
	flipped[len(flipped)-2] ^= 1
	for _, bad := range []string{"", ".", "JBSWY3DP", string(flipped), sealed[:len(sealed)-4], sealed + "AAAA"} {
		if got, err := s.Open(bad, "totp 7"); err == nil {
			t.Errorf("%q reads as %q", bad, got)
		}
	}
	if _, err := s.Open(sealed, "totp 8"); err == nil {
		t.Error("it is opened for another purpose")
	}
	if _, err := NewSealer("", ""); err == nil {
		t.Error("a sealer without a key")
	}
}

func TestMAC(t *testing.T) {
	t.Parallel()
	s := newSealer(t, "", "first key")
	mac := s.MAC("create 7", "a text")
	if mac != s.MAC("create 7", "a text") || !s.VerifyMAC(mac, "create 7", "a text") {
		t.Error("the same is not recognised")
	}
	// A new key comes first; what the old one made is still recognised.
	newer := newSealer(t, "second key", "first key")
	if !newer.VerifyMAC(mac, "create 7", "a text") || newer.MAC("create 7", "a text") == mac {
		t.Error("with another key")
	}
	if s.VerifyMAC(newer.MAC("create 7", "a text"), "create 7", "a text") {
		t.Error("recognised without the key")
	}
	for _, other := range [][3]string{
		{mac, "create 7", "another text"},
		{mac, "create 8", "a text"},
		{mac, "create 7a", " text"}, // the same letters, split elsewhere
		{mac, "create ", "7a text"},
		{"", "create 7", "a text"},
		{mac[:len(mac)-1], "create 7", "a text"},
		{Digest("a text"), "create 7", "a text"},
		{base64.RawURLEncoding.EncodeToString(make([]byte, 32)), "create 7", "a text"},
	} {
		if s.VerifyMAC(other[0], other[1], other[2]) {
			t.Errorf("%q is recognised", other)
		}
	}
}

var (
	codePattern     = regexp.MustCompile(`^[0-9]{6}$`)
	recoveryPattern = regexp.MustCompile(`^([a-z2-9]{4}-){3}[a-z2-9]{4}$`)
)

func TestCodes(t *testing.T) {
	t.Parallel()
	digits, seen := [10]int{}, map[string]bool{}
	for range 3000 {
		code, recovery := NewCode(), NewRecoveryCode()
		if !codePattern.MatchString(code) || !recoveryPattern.MatchString(recovery) || seen[recovery] {
			t.Fatalf("%s, %s", code, recovery)
		}
		seen[recovery] = true
		for _, c := range code {
			digits[c-'0']++
		}
	}
	for digit, n := range digits { // 1800 each, give or take six standard deviations
		if n < 1560 || n > 2040 {
			t.Errorf("%d came %d times", digit, n)
		}
	}
}

// TestTOTPVectors compares with the last six digits of RFC 6238, appendix B.
func TestTOTPVectors(t *testing.T) {
	t.Parallel()
	secret := base32.StdEncoding.EncodeToString([]byte("12345678901234567890"))
	for unix, code := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924",
		2000000000: "279037", 20000000000: "353130",
	} {
		at := time.Unix(unix, 0)
		for offset, want := range map[time.Duration]bool{
			0: true, 30 * time.Second: true, -30 * time.Second: true, time.Minute: false, -time.Minute: false,
		} {
			if at.Add(offset).Unix() < 0 {
				continue // before the first step
			}
			step, valid := TOTPStep(secret, code[:3]+" "+code[3:], at.Add(offset))
			if valid != want || valid && step != unix/30 {
				t.Errorf("%s at %d%+v: %d, %v", code, unix, offset, step, valid)
			}
		}
	}
	for _, code := range []string{"", "28708", "2870820", "abcdef"} {
		if _, valid := TOTPStep(secret, code, time.Unix(59, 0)); valid {
			t.Errorf("%q is valid", code)
		}
	}
}

// TestDecoysCostAsMuch checks that bcrypt takes a decoy of any cost for a hash of that
// cost, and that the decoy does not match a password.
func TestDecoysCostAsMuch(t *testing.T) {
	t.Parallel()
	for cost := MinCost; cost <= MinCost+3; cost++ {
		decoy := []byte(identity.BcryptDecoy(cost))
		if got, err := bcrypt.Cost(decoy); got != cost || err != nil {
			t.Errorf("%d: %d, %v", cost, got, err)
		}
		err := bcrypt.CompareHashAndPassword(decoy, []byte("MySecret123"))
		if !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
			t.Errorf("%d: %v", cost, err)
		}
	}
	p := NewPasswords(MinCost+2, 1)
	old, err := NewPasswords(MinCost, 1).Hash(t.Context(), "caller", "MySecret123")
	if err != nil {
		t.Fatal(err)
	}
	matches, err := p.Matches(t.Context(), "caller", old, "MySecret123", nil)
	if !matches || err != nil || !p.Outdated(old) {
		t.Errorf("%v, %v", matches, err)
	}
	now, err := p.Hash(t.Context(), "caller", "MySecret123")
	if err != nil || p.Outdated(now) || p.Outdated("") || !NewPasswords(MinCost, 1).Outdated(now) {
		t.Errorf("%s, %v", now, err)
	}
	before := p.Rounds()
	matches, err = p.Matches(t.Context(), "caller", "nonsense", identity.Password("nonsense"), nil)
	if matches || err != nil || p.Rounds()-before != 1<<(MinCost+2) {
		t.Errorf("a text that is no hash: %v, %v, %d rounds", matches, err, p.Rounds()-before)
	}
}
