package httpserver

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/rosterhq/roster/internal/identity"
)

// source is the address that a request comes from; the zero Addr where it
// cannot be told.
func (s *Server) source(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	forwardedFor := r.Header.Values("X-Forwarded-For")
	source := sourceAddress(peer.Addr(), forwardedFor, s.options.TrustedProxies)
	if len(forwardedFor) > 0 && source == peer.Addr().Unmap().WithZone("") {
		// Behind a proxy that nobody has told of, everyone is the proxy: allow-lists
		// shut everyone out, and one who guesses passwords locks everyone.
		s.disbelieved.Do(func() {
			s.options.Logger.Warn("X-Forwarded-For is not believed, for the peer is not in ROSTER_TRUSTED_PROXIES", "peer", source.String())
		})
	}
	return source
}

// sourceAddress is the peer, or, where the peer is a trusted proxy, the
// right-most address of X-Forwarded-For that is not one: what stands left of it
// was written by someone who is not trusted. Where that entry is no address the
// result is the zero Addr, which no allow-list lets in.
func sourceAddress(peer netip.Addr, forwardedFor []string, trusted []identity.AddressRange) netip.Addr {
	address := peer.Unmap().WithZone("")
	isTrusted := func(a netip.Addr) bool { return isIn(trusted, a) }
	entries := strings.Split(strings.Join(forwardedFor, ","), ",")
	for _, entry := range slices.Backward(entries) {
		if !isTrusted(address) {
			return address
		}
		entry = strings.TrimSpace(entry)
		if entry == "" && len(entries) == 1 { // no header: the proxy itself is the client
			return address
		}
		address = parseForwarded(entry)
	}
	return address
}

func isIn(ranges []identity.AddressRange, a netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(r identity.AddressRange) bool { return r.Contains(a) })
}

// fromProxy reports whether the peer of a request is a trusted proxy.
func (s *Server) fromProxy(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && isIn(s.options.TrustedProxies, peer.Addr().Unmap().WithZone(""))
}

// parseForwarded reads an entry of X-Forwarded-For: an address, which some
// proxies write with a port or in brackets.
func parseForwarded(entry string) netip.Addr {
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(entry, "["), "]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(entry)
		if err != nil {
			return netip.Addr{}
		}
		address = withPort.Addr()
	}
	if address.Zone() != "" {
		return netip.Addr{}
	}
	return address.Unmap()
}
