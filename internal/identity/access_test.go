package identity

import (
	"strings"
	"testing"
)

func TestMasks(t *testing.T) {
	t.Parallel()
	for email, want := range map[Email]Email{
		"mary@website.com": "m***@website.com", "m@x.io": "m***@x.io", "élan@x.io": "é***@x.io", "": "",
		"m***@website.com": "m***@website.com",
	} {
		if got := email.Masked(); got != want {
			t.Errorf("%s: %s, want %s", email, got, want)
		}
	}
	for name, want := range map[Name]Name{
		"Mary Ann": "Mary Ann", "mary@website.com": "m***@website.com", "J@mes": "J@mes",
	} {
		if got := name.Masked(); got != want || name.Key() != Fold(string(want)) {
			t.Errorf("%s: %s, %s", name, got, name.Key())
		}
	}
	for phone, want := range map[Phone]Phone{
		"+18043257762": "+1*******62", "+37120000000": "+3*******00", "+12345678": "+1*******78", "+1234567": "+*******",
		"+12": "+*******", "": "",
	} {
		got := phone.Masked()
		if got != want {
			t.Errorf("%s: %s, want %s", phone, got, want)
		}
		if parsed, err := ParsePhoneOrMask(string(got)); got != "" && (err != nil || parsed != got || !parsed.IsMask()) {
			t.Errorf("%s: %s, %v", got, parsed, err)
		}
	}
	list := AllowList{AddressRange{}}
	if list.String() != "***" || AllowList(nil).Masked() != nil {
		t.Errorf("%s", list)
	}
	if _, err := AllowListFrom(list.String()); err == nil {
		t.Error("a stored mask would be read")
	}
}

// FuzzMasks: a mask never shows more than it should, and reads back as itself.
func FuzzMasks(f *testing.F) {
	f.Add("mary@website.com", "+18043257762")
	f.Add("é@x.io", "+12")
	f.Add("*@0.A", "0")
	f.Fuzz(func(t *testing.T, email, phone string) {
		if e, err := ParseEmail(email); err == nil {
			local, domain, _ := strings.Cut(email, "@")
			masked := string(e.Masked())
			if masked != string([]rune(local)[0])+"***@"+domain {
				t.Errorf("%s: %s", email, masked)
			}
			if again, err := ParseEmail(masked); err == nil && (!again.IsMask() || again.Masked() != again) {
				t.Errorf("%s: %s", email, masked)
			}
		}
		if p, err := ParsePhone(phone); err == nil {
			masked := p.Masked()
			if again, err := ParsePhoneOrMask(string(masked)); err != nil || again != masked || len(masked) > 11 || p.IsMask() {
				t.Errorf("%s: %s, %v", phone, masked, err)
			}
		}
	})
}

func TestCommonPasswords(t *testing.T) {
	t.Parallel()
	for _, common := range []string{"password1", "PASSWORD1", "qwertyuiop", "12345678"} {
		if _, err := ParsePassword(common); err == nil {
			t.Errorf("%s is taken", common)
		}
	}
	for _, fine := range []string{"MySecret123", "password1\npassword2", strings.Repeat("a", 72)} {
		if _, err := ParsePassword(fine); err != nil {
			t.Errorf("%s: %v", fine, err)
		}
	}
	list := commonPasswords()
	if len(list) < 3000 {
		t.Errorf("%d common passwords", len(list))
	}
	for i, p := range list {
		if len(p) < MinPasswordLength || p != strings.ToLower(p) || i > 0 && list[i-1] >= p {
			t.Errorf("%s", p)
		}
	}
}
