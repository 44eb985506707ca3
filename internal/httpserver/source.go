package httpserver

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// source returns the address of the client, or the zero Addr where it is unknown.
func (s *Server) source(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	forwardedFor := r.Header.Values("X-Forwarded-For")
	source := sourceAddress(peer.Addr(), forwardedFor, s.options.TrustedProxies)
	if len(forwardedFor) > 0 && source == peer.Addr().Unmap().WithZone("") {
		// Behind a proxy that is not configured all clients have the proxy's address:
		// allow-lists shut all of them out, and guesses of one lock out all.
		s.warnForwarded.Do(func() {
			s.options.Logger.Warn("X-Forwarded-For is ignored because the peer is not in ROSTER_TRUSTED_PROXIES",
				"peer", source.String())
		})
	}
	return source
}

// sourceAddress returns the peer, or, where the peer is a trusted proxy, the right-most
// address of X-Forwarded-For that is not one: no trusted proxy has written the entries
// to its left. Where that entry is no address it returns the zero Addr, which no
// allow-list allows.
func sourceAddress(peer netip.Addr, forwardedFor []string, trusted []identity.AddressRange) netip.Addr {
	address := peer.Unmap().WithZone("")
	entries := strings.Split(strings.Join(forwardedFor, ","), ",")
	for _, entry := range slices.Backward(entries) {
		if !api.IsProxy(address, trusted) {
			return address
		}
		entry = strings.TrimSpace(entry)
		if entry == "" && len(entries) == 1 { // no header: the proxy is the client
			return address
		}
		address = parseForwarded(entry)
	}
	return address
}

// parseForwarded reads an entry of X-Forwarded-For: an address, with a port or in
// brackets from some proxies. It returns the zero Addr for any other text.
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
