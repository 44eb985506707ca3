package webhook

import (
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
)

// errNotPublic is a refusal to connect to an address. It does not tell which: that
// would tell what a name stands for in here.
const errNotPublic = delivery.Error("the address is not public")

// newGuard knows which addresses are public, by the registries of IANA, with
// those that only lead to others (mapped, NAT64, 6to4, Teredo) among the refused.
func newGuard(private []identity.AddressRange) *ssrf.Guardian {
	var v4, v6 []netip.Prefix
	for _, r := range private {
		if r.Prefix().Addr().Is4() {
			v4 = append(v4, r.Prefix())
		} else {
			v6 = append(v6, r.Prefix())
		}
	}
	return ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
}

// control is called with each address that is about to be connected to, after
// the host was looked up: what a name stands for at any other time is no matter.
func (c *Client) control(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return c.checkAddress(target.Addr())
}

func (c *Client) checkAddress(addr netip.Addr) error {
	if c.guard.SafeAddr(addr.Unmap()) != nil {
		return errNotPublic
	}
	return nil
}

// Check refuses a URL whose host says by itself that it may not be reached: a
// literal address that is not public, or a name of this very machine. Other
// names are looked up when they are used, and not before. The error is a
// *identity.ValueError.
func (c *Client) Check(u identity.WebhookURL) error {
	parsed, err := url.Parse(string(u))
	if err != nil {
		return &identity.ValueError{Code: "invalid_url", Message: "must be an absolute URL"}
	}
	host := strings.TrimSuffix(identity.FoldASCII(parsed.Hostname()), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761 §6.3
		host = "127.0.0.1"
	}
	if addr, err := netip.ParseAddr(host); err == nil && c.checkAddress(addr) != nil {
		return &identity.ValueError{Code: "address_not_public", Message: "must not have an address that is not public"}
	}
	return nil
}
