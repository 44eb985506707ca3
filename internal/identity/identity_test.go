package identity

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestFoldAgreesWithEqualFold(t *testing.T) {
	t.Parallel()
	words := []string{
		"straße", "STRASSE", "ſtraße", "ΌΣΟΣ", "όσος", "Kelvin", "\u212Aelvin", "mike", "mıke", "MİKE", "Éa", "éA", "ǅ",
		"ǆ", "", "ẞ", "ß",
	}
	for _, a := range words {
		for _, b := range words {
			if got, want := Fold(a) == Fold(b), strings.EqualFold(a, b); got != want {
				t.Errorf("%q, %q: %v, want %v", a, b, got, want)
			}
		}
	}
	if got := FoldASCII("MİKe@X\u212A"); got != "mİke@x\u212A" {
		t.Errorf("%q", got)
	}
}

func FuzzFold(f *testing.F) {
	f.Add("Straße", "STRASSE")
	f.Add("K", "\u212A")
	f.Add("\xff", "\uFFFD")
	f.Fuzz(func(t *testing.T, a, b string) {
		if !utf8.ValidString(a) || !utf8.ValidString(b) {
			t.Skip("texts are valid UTF-8 by then")
		}
		if (Fold(a) == Fold(b)) != strings.EqualFold(a, b) {
			t.Errorf("%q %q", a, b)
		}
		if Fold(Fold(a)) != Fold(a) {
			t.Errorf("%q folds further", a)
		}
	})
}

func FuzzParseEmail(f *testing.F) {
	for _, seed := range []string{
		"mary@example.com", "a.b+c@x.io", "ä@ö.example", `"a b"@x.io`, "a@b", "@", "a@1.2.3.4",
		"a@x.io\r\nBcc: b@x.io", strings.Repeat("(", 300),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		email, err := ParseEmail(s)
		if err != nil {
			return
		}
		if string(email) != s || len(s) > MaxEmailBytes || strings.Count(s, "@") != 1 ||
			strings.ContainsAny(s, " \t\r\n,;<>()[]\"\x00") {
			t.Errorf("accepted %q", s)
		}
		if again, err := ParseEmail(email.Key()); err != nil || again.Key() != email.Key() {
			t.Errorf("the key of %q is no address: %v", s, err)
		}
	})
}

func FuzzParseAddressRange(f *testing.F) {
	for _, seed := range []string{
		"10.0.0.1", "10.0.0.0/8", "::ffff:10.0.0.0/104", "::ffff:1.2.3.4", "2001:db8::/32", "fe80::1%eth0", "0.0.0.0/0",
		"::/0", "1.2.3.4/8", "::ffff:0:0/95",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseAddressRange(s)
		if err != nil {
			return
		}
		again, err := ParseAddressRange(r.String())
		if err != nil || again != r {
			t.Errorf("%q: %q reads as %v, %v", s, r, again, err)
		}
		if addr, err := netip.ParseAddr(s); err == nil && !r.Contains(addr) {
			t.Errorf("%q does not contain itself", s)
		}
		list, err := AllowListFrom(AllowList{r, r}.String())
		if err != nil || len(list) != 2 || list[0] != r {
			t.Errorf("%q: list %v, %v", s, list, err)
		}
	})
}

func TestAllowList(t *testing.T) {
	t.Parallel()
	list, err := AllowListFrom("10.0.0.0/8 2001:db8::1")
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{
		"10.255.0.1": true, "::ffff:10.0.0.1": true, "11.0.0.1": false, "2001:db8::1": true, "2001:db8::2": false,
		"::a00:1": false,
	} {
		if got := list.Allows(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	if list.Allows(netip.Addr{}) || !(AllowList{}).Allows(netip.Addr{}) {
		t.Error("an unknown address passes the empty list only")
	}
	if _, err := AllowListFrom("10.0.0.0/8 junk"); err == nil {
		t.Error("a list that cannot be read must not be read in part")
	}
}

func FuzzParseCursor(f *testing.F) {
	f.Add(Cursor{Sort: SortByName, ID: 7, Key: "a b  c"}.String())
	f.Add(Cursor{Sort: SortByCreation, Descending: true, Broad: true, ID: -1, Key: TimeKey(time.Unix(0, 0))}.String())
	f.Add("x")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCursor(s)
		if err != nil {
			return
		}
		if c.String() != s || !utf8.ValidString(c.Key) || strings.ContainsRune(c.Key, 0) {
			t.Errorf("%q reads as %+v", s, c)
		}
	})
}

func TestCursorRefusesTimesThatNoDatabaseHolds(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]bool{
		TimeKey(time.Time{}): true, TimeKey(time.Now()): true, "9223372036854775807": false,
		"-9223372036854775808": false, "x": false, "": false,
	} {
		_, err := ParseCursor(Cursor{Sort: SortByCreation, ID: 1, Key: key}.String())
		if (err == nil) != want {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	set := PermissionSet(UsersView, AuditView)
	if got := set.String(); got != "users.view audit.view" {
		t.Errorf("%s", got)
	}
	if PermissionsFrom(set.String()+" from.the.future") != set || PermissionsFrom("*") != AllPermissions ||
		AllPermissions.String() != "*" {
		t.Error("what is stored does not read back")
	}
	if !AllPermissions.Contains(set) || set.Contains(AllPermissions) || !set.Contains(0) || set.Has(UsersDelete) {
		t.Error("sets")
	}
}

func TestPasswordNeverShows(t *testing.T) {
	t.Parallel()
	password := Password("MySecret123")
	wrapped := struct{ P *Password }{&password}
	for _, shown := range []string{
		fmt.Sprint(password), fmt.Sprintf("%v %+v %s %q %#v", password, password, password, password, password),
		fmt.Sprintf("%+v", wrapped),
	} {
		if strings.Contains(shown, "MySecret") {
			t.Error(shown)
		}
	}
}

func TestClientTagRoundTrip(t *testing.T) {
	t.Parallel()
	for _, tag := range []string{`"x"`, `{"id":9007199254740993}`, `{"name":"n"}`, `{"id":-1,"name":"\u003cb\u003e"}`} {
		var parsed ClientTag
		if err := json.Unmarshal([]byte(tag), &parsed); err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(parsed); err != nil || string(got) != tag {
			t.Errorf("%s: %s, %v", tag, got, err)
		}
	}
}
