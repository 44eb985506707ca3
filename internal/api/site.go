package api

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/rosterhq/roster/internal/identity"
)

// Site is what the settings say of the address at which clients reach the service.
type Site struct {
	// PublicURL may be nil.
	PublicURL *url.URL
	// AllowedHosts are further hosts of the service. Those of loopback need not be named.
	AllowedHosts []identity.Host
	// TrustedProxies are the peers whose X-Forwarded-Proto is used.
	TrustedProxies []identity.AddressRange
}

// Base returns what to put before a path to make a link for the client of a request: the
// public URL or, without one, the origin of the request. It is "" where the origin is not
// known: the link is the path then.
func (s Site) Base(r *http.Request) string {
	if s.PublicURL != nil {
		return s.public()
	}
	origin, _ := s.Origin(r)
	return origin
}

// Origin returns the scheme, host and port at which the client has reached the service, as in
// https://roster.example.com. It reports false unless the host is that of the public URL, an
// allowed one or one of loopback, because the client chooses the Host header. It never uses
// X-Forwarded-Host, Forwarded and the like: a proxy has to pass the Host header on.
func (s Site) Origin(r *http.Request) (origin string, known bool) {
	host, err := identity.ParseHost(r.Host)
	if err != nil {
		return "", false
	}
	includes := func(h identity.Host) bool { return h.Includes(host) }
	if s.PublicURL != nil {
		if public, err := identity.ParseHost(s.PublicURL.Host); err == nil && includes(public) {
			return s.public(), true
		}
	}
	if !host.IsLoopback() && !slices.ContainsFunc(s.AllowedHosts, includes) {
		return "", false
	}
	return s.scheme(r) + "://" + host.String(), true
}

// Secure reports whether clients reach the service by HTTPS, as the public URL says.
func (s Site) Secure() bool { return s.PublicURL != nil && s.PublicURL.Scheme == "https" }

func (s Site) public() string { return s.PublicURL.Scheme + "://" + s.PublicURL.Host }

// scheme returns https for a request over TLS, to this process or to a trusted proxy.
func (s Site) scheme(r *http.Request) string {
	forwarded := r.Header.Values("X-Forwarded-Proto") // more than one: a proxy has added to the client's
	if r.TLS != nil ||
		len(forwarded) == 1 && strings.EqualFold(forwarded[0], "https") && FromProxy(r, s.TrustedProxies) {
		return "https"
	}
	return "http"
}

// FromProxy reports whether the peer of a request is one of the proxies.
func FromProxy(r *http.Request, proxies []identity.AddressRange) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && IsProxy(peer.Addr().Unmap().WithZone(""), proxies)
}

// IsProxy reports whether an address, without a zone and not IPv4 in IPv6, is one of the proxies.
func IsProxy(address netip.Addr, proxies []identity.AddressRange) bool {
	return slices.ContainsFunc(proxies, func(p identity.AddressRange) bool { return p.Contains(address) })
}
