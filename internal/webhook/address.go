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

// errNotPublic is the error for an address that must not be reached. It does not have the
// address, which would reveal how names resolve in this network.
const errNotPublic = delivery.Error("the address is not public")

// newGuard returns a guard that allows public addresses, by the registries of IANA, and those
// in the private ranges. It refuses addresses that embed others (mapped, NAT64, 6to4, Teredo).
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

// control is called before each connection with the address that the host resolved to. To
// check the name earlier would not be safe: it can resolve to another address later.
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

// Check returns an *identity.ValueError for a URL whose host cannot be public: a literal
// address that is not public, or a name of this machine. Other names are looked up only by
// Post.
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
