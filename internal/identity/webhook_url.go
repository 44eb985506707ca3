package identity

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// MaxWebhookURLBytes bounds the URL of a webhook.
const MaxWebhookURLBytes = 2048

// WebhookURL is where a webhook is posted to: an absolute http or https URL,
// printable ASCII, without user name, password or fragment. Its host is a name or
// an IP address in its usual spelling. It may be an address that must not be reached.
type WebhookURL string

// ParseWebhookURL checks a URL; the error is a *ValueError. The length is checked
// first, so that the cost of the rest is bounded.
func ParseWebhookURL(s string) (WebhookURL, error) {
	if len(s) > MaxWebhookURLBytes {
		return "", invalid("too_long", "must have at most %d bytes", MaxWebhookURLBytes)
	}
	// Refuses what browsers and libraries read in different ways: it is a mistake, or an
	// attempt to reach another host.
	u, err := url.Parse(s)
	if err != nil || strings.ContainsFunc(s, isNoURLText) || u.Opaque != "" || u.Host == "" {
		return "", invalid("invalid_url", "must be an absolute URL such as https://example.com/hook")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return "", invalid("invalid_scheme", "must start with http:// or https://")
	case u.User != nil:
		return "", invalid("userinfo_not_allowed", "must have no user name or password; use the webhook's auth instead")
	case strings.Contains(s, "#"):
		return "", invalid("fragment_not_allowed", "must have no fragment")
	case !isURLHost(u.Host, u.Hostname()):
		return "", invalid("invalid_host",
			"must have a host name of ASCII letters, or an IP address as in 192.0.2.1 or [2001:db8::1]")
	case !isURLPort(u.Host, u.Port()):
		return "", invalid("invalid_port", "must have a port between 1 and 65535, or none")
	}
	return WebhookURL(s), nil
}

// Origin returns scheme, host and port in one spelling: two URLs with the same origin have
// the same receiver. It includes the default port. The host is in lower case and without
// the dot at its end. It is "" for an invalid URL.
func (w WebhookURL) Origin() string {
	u, err := url.Parse(string(w))
	if err != nil || u.Host == "" {
		return ""
	}
	host := strings.TrimSuffix(FoldASCII(u.Hostname()), ".")
	if addr, err := netip.ParseAddr(host); err == nil {
		host = addr.String()
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil { // there is none
		port = map[string]uint64{"http": 80, "https": 443}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(host, strconv.FormatUint(port, 10))
}

// UnmarshalText is ParseWebhookURL.
func (w *WebhookURL) UnmarshalText(text []byte) (err error) {
	*w, err = ParseWebhookURL(string(text))
	return err
}

func isNoURLText(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune(`"<>\^`+"`{|}", r)
}

// isURLHost reports whether a host is a name or an address. It refuses names that some
// resolvers read as an address: 2130706433, 0x7f.1 and 127.1 are 127.0.0.1 for them.
func isURLHost(host, name string) bool {
	if strings.HasPrefix(host, "[") {
		addr, err := netip.ParseAddr(name)
		return err == nil && addr.Is6() && addr.Zone() == ""
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	const maxNameBytes = 253 // RFC 1035 §2.3.4, less the length bytes at both ends
	name = strings.TrimSuffix(name, ".")
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > maxLabelBytes || strings.ContainsFunc(label, isNoHostText) {
			return false
		}
	}
	last := FoldASCII(labels[len(labels)-1])
	isNoDigit := func(r rune) bool { return r < '0' || r > '9' }
	return len(name) <= maxNameBytes && !strings.HasPrefix(last, "0x") && strings.ContainsFunc(last, isNoDigit)
}

func isNoHostText(r rune) bool { return !isASCIIAlnum(r) && r != '-' && r != '_' }

func isURLPort(host, port string) bool {
	if port == "" {
		return !strings.HasSuffix(host, ":")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
