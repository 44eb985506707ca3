package identity

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
)

// TestNothingIsOwnUnlessNamed: a field that a later release adds is not editable
// by its owner until somebody says so.
func TestNothingIsOwnUnlessNamed(t *testing.T) {
	t.Parallel()
	own := []string{"Name", "Phone", "Password"}
	kind := reflect.TypeFor[UserChange]()
	for i := range kind.NumField() {
		var change UserChange
		field := reflect.ValueOf(&change).Elem().Field(i)
		field.Set(reflect.New(field.Type().Elem()))
		name := kind.Field(i).Name
		if got, want := change.OnlyOwn(), slices.Contains(own, name); got != want {
			t.Errorf("%s is own: %v, want %v", name, got, want)
		}
	}
}

func TestPermissionSets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "users.update": "users.view users.update", "audit.view users.delete": "users.view users.delete audit.view",
		"users.self": "users.self", "*": "*", "users.view *": "*", "users.view users.fly": "users.view",
	} {
		if got := PermissionsFrom(text); got.String() != want || PermissionsFrom(got.String()) != got {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	every := PermissionsFrom(everyNamed.Scope())
	if every.String() == "*" || !every.HasAllNamed() || every.Contains(AllPermissions) || !AllPermissions.Contains(every) {
		t.Errorf("%s", every)
	}
	if names := AllPermissions.Names(); names[0] != "*" || len(names) != 1+len(permissionNames) {
		t.Errorf("%v", names)
	}
	if AllPermissions&PermissionSet(UsersUpdate) != PermissionSet(UsersUpdate) {
		t.Error("a token of everything has not what its user has")
	}
}

func parseList(t *testing.T, text string) AllowList {
	t.Helper()
	list, err := AllowListFrom(text)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAllowListsWithin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		list, other string
		within      bool
		both        string
	}{
		{"", "", true, ""},
		{"10.0.0.1", "", true, "10.0.0.1"},
		{"", "10.0.0.1", false, "10.0.0.1"},
		{"10.1.0.0/16", "10.0.0.0/8", true, "10.1.0.0/16"},
		{"10.0.0.0/8", "10.1.0.0/16", false, "10.1.0.0/16"},
		{"10.1.0.0/16 192.0.2.1", "10.0.0.0/8", false, "10.1.0.0/16"},
		{"10.0.0.0/8", "10.0.0.0/8 ::/0", true, "10.0.0.0/8"},
		{"10.0.0.0/8 2001:db8::/48", "10.2.0.0/16 2001:db8::/32", false, "2001:db8::/48 10.2.0.0/16"},
		{"0.0.0.0/0", "::/0", false, ""},
		{"10.0.0.0/8", "::ffff:10.0.0.0/104", true, "10.0.0.0/8"},
	} {
		list, other := parseList(t, c.list), parseList(t, c.other)
		if got := list.Within(other); got != c.within {
			t.Errorf("%q within %q: %v", c.list, c.other, got)
		}
		if got := list.Intersect(other).String(); got != c.both {
			t.Errorf("%q and %q: %q, want %q", c.list, c.other, got, c.both)
		}
	}
}

// FuzzAllowLists: what both lists allow is what their intersection allows, and a
// list within another allows nothing that the other does not.
func FuzzAllowLists(f *testing.F) {
	f.Add(uint8(10), uint8(8), uint8(10), uint8(16), uint32(10<<24|5))
	f.Add(uint8(10), uint8(32), uint8(11), uint8(7), uint32(10<<24))
	f.Fuzz(func(t *testing.T, a, bitsA, b, bitsB uint8, address uint32) {
		one := func(first, bits uint8) AllowList {
			prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{first, 1, 1, 1}), int(bits%33)).Masked()
			return parseList(t, fmt.Sprintf("%s 192.0.2.%d", prefix, first))
		}
		l, other := one(a, bitsA), one(b, bitsB)
		addr := netip.AddrFrom4([4]byte{byte(address >> 24), byte(address >> 16), byte(address >> 8), byte(address)})
		both := l.Intersect(other)
		if wanted := l.Allows(addr) && other.Allows(addr); len(both) > 0 && both.Allows(addr) != wanted {
			t.Errorf("%s: %v and %v are %v", addr, l, other, both)
		}
		if l.Within(other) && l.Allows(addr) && !other.Allows(addr) {
			t.Errorf("%s: %v within %v", addr, l, other)
		}
	})
}
