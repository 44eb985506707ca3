package identity

import (
	"net/netip"
	"slices"
	"strings"
)

// MaxAllowListEntries bounds an allow-list.
const MaxAllowListEntries = 256

// maxRangeBytes bounds the text of an address or prefix: the longest spelling of an IPv6
// prefix has 49.
const maxRangeBytes = 64

// ParseAddress reads a single address; the error is a *ValueError. An IPv4-mapped IPv6
// address becomes an IPv4 address.
func ParseAddress(s string) (netip.Addr, error) {
	if len(s) <= maxRangeBytes {
		if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
			return addr.Unmap(), nil
		}
	}
	return netip.Addr{}, invalid("invalid_address", "must be an IPv4 or IPv6 address")
}

// AddressRange is one entry of an allow-list: a prefix whose host bits are
// zero, or a single address. IPv4-mapped IPv6 is stored as IPv4. The zero value
// contains no address: it is the mask of a range.
type AddressRange struct{ prefix netip.Prefix }

// ParseAddressRange reads an address or a CIDR prefix; the error is a *ValueError.
func ParseAddressRange(s string) (AddressRange, error) {
	if len(s) <= maxRangeBytes {
		if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
			addr = addr.Unmap()
			return AddressRange{netip.PrefixFrom(addr, addr.BitLen())}, nil
		}
		if prefix, err := netip.ParsePrefix(s); err == nil {
			prefix, ok := unmapPrefix(prefix)
			if !ok || prefix != prefix.Masked() {
				return AddressRange{}, invalid("host_bits_set",
					"must have no bits set after the prefix length; did you mean %s?", prefix.Masked())
			}
			return AddressRange{prefix}, nil
		}
	}
	return AddressRange{}, invalid("invalid_address",
		"must be an IPv4 or IPv6 address or a CIDR prefix such as 10.0.0.0/8")
}

// unmapPrefix turns ::ffff:10.0.0.0/104 into 10.0.0.0/8. It reports false for a
// mapped address whose prefix reaches into the mapping itself: such a range
// means neither IPv4 nor IPv6.
func unmapPrefix(p netip.Prefix) (netip.Prefix, bool) {
	if !p.Addr().Is4In6() {
		return p, true
	}
	const mappingBits = 96
	if p.Bits() < mappingBits {
		return p, false
	}
	return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappingBits), true
}

// Contains reports whether the address is in the range.
func (r AddressRange) Contains(addr netip.Addr) bool { return r.prefix.Contains(addr.Unmap()) }

// Prefix returns the range as a prefix, /32 or /128 for a single address; the zero Prefix,
// which contains no address, for the zero range.
func (r AddressRange) Prefix() netip.Prefix { return r.prefix }

// String returns the canonical form: a bare address for a single one, *** for the zero
// value.
func (r AddressRange) String() string {
	if r == (AddressRange{}) {
		return mask
	}
	if r.prefix.IsSingleIP() {
		return r.prefix.Addr().String()
	}
	return r.prefix.String()
}

// MarshalText is String.
func (r AddressRange) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is ParseAddressRange.
func (r *AddressRange) UnmarshalText(text []byte) (err error) {
	*r, err = ParseAddressRange(string(text))
	return err
}

// AllowList is a set of source addresses. The empty list allows every address.
type AllowList []AddressRange

// Allows reports whether a request may come from addr. The zero Addr, an unknown source,
// passes only the empty list.
func (l AllowList) Allows(addr netip.Addr) bool {
	if len(l) == 0 {
		return true
	}
	for _, r := range l {
		if r.Contains(addr) {
			return true
		}
	}
	return false
}

// Within reports whether every address of the list is one of other. The empty
// list, which allows every address, is within the empty list only.
func (l AllowList) Within(other AllowList) bool {
	if len(other) == 0 {
		return true
	}
	return len(l) > 0 && !slices.ContainsFunc(l, func(r AddressRange) bool { return !r.within(other) })
}

func (r AddressRange) within(list AllowList) bool {
	return slices.ContainsFunc(list, func(wide AddressRange) bool {
		return wide.prefix.Bits() <= r.prefix.Bits() && wide.prefix.Overlaps(r.prefix)
	})
}

// Intersect returns a list of the addresses that both lists allow. They must have one in
// common: there is no list that allows no address.
func (l AllowList) Intersect(other AllowList) AllowList {
	if len(l) == 0 {
		return other
	}
	if len(other) == 0 {
		return l
	}
	var both AllowList
	for _, r := range l {
		if r.within(other) {
			both = append(both, r)
		}
	}
	for _, r := range other {
		if r.within(l) && !slices.Contains(both, r) {
			both = append(both, r)
		}
	}
	return both
}

// String returns the entries separated by spaces.
func (l AllowList) String() string {
	entries := make([]string, len(l))
	for i, r := range l {
		entries[i] = r.String()
	}
	return strings.Join(entries, " ")
}

// ParseAddressRangeOrMask reads a range, or the mask of one.
func ParseAddressRangeOrMask(s string) (AddressRange, error) {
	if s == mask {
		return AddressRange{}, nil
	}
	return ParseAddressRange(s)
}

// AllowListFrom reads the text that String returns. It returns an error for an entry that it
// cannot read: to skip it could leave the empty list, which allows every address.
func AllowListFrom(text string) (AllowList, error) {
	list := AllowList{}
	for entry := range strings.FieldsSeq(text) {
		r, err := ParseAddressRange(entry)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}
