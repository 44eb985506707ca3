package identity

import (
	"net/netip"
	"net/url"
	"strings"
)

// maxHostBytes bounds the text of a host: the longest name, its dot, and a port.
const maxHostBytes = 260

// Host is where a service is reached, as in the Host header: a name or an address, with or
// without a port. Two spellings of a host make equal values.
type Host struct {
	name string // in lower case; IPv6 in brackets
	port string // "" for none
}

// ParseHost reads a host such as example.com, example.com:8443 or [::1]:8080; the error is a
// *ValueError. It refuses everything else that clients put into a Host header.
func ParseHost(s string) (Host, error) {
	if len(s) <= maxHostBytes {
		u, err := url.Parse("http://" + s)
		if err == nil && u.Host == s && isURLHost(u.Host, u.Hostname()) && isURLPort(u.Host, u.Port()) {
			return Host{hostName(u.Hostname()), portNumber(u.Port())}, nil
		}
	}
	return Host{}, invalid("invalid_host",
		"must be a host name of ASCII letters or an IP address, with or without a port, such as roster.example.com:8443")
}

func hostName(s string) string {
	addr, err := netip.ParseAddr(s)
	switch addr = addr.Unmap(); {
	case err != nil:
		return FoldASCII(s)
	case addr.Is6():
		return "[" + addr.String() + "]"
	}
	return addr.String()
}

// portNumber returns a valid port without leading zeros.
func portNumber(s string) string { return strings.TrimLeft(s, "0") }

// UnmarshalText is ParseHost.
func (h *Host) UnmarshalText(text []byte) (err error) {
	*h, err = ParseHost(string(text))
	return err
}

// String returns the host as it stands in a URL.
func (h Host) String() string {
	if h.port == "" {
		return h.name
	}
	return h.name + ":" + h.port
}

// Includes reports whether the other host is this one. A host without a port includes all its
// ports.
func (h Host) Includes(other Host) bool {
	return h.name == other.name && (h.port == "" || h.port == other.port)
}

// IsLoopback reports whether the host is the client's own machine: localhost or a loopback
// address, with any port.
func (h Host) IsLoopback() bool {
	addr, err := netip.ParseAddr(strings.Trim(h.name, "[]"))
	return h.name == "localhost" || err == nil && addr.IsLoopback()
}
