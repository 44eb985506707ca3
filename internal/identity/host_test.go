package identity

import (
	"net/url"
	"strings"
	"testing"
)

// hosts maps hosts to how they are written in a URL, or to "" for what is no host.
var hosts = map[string]string{
	"example.com": "example.com", "Example.COM:8443": "example.com:8443", "a_b.example.": "a_b.example.",
	"xn--mller-kva.example:080": "xn--mller-kva.example:80", "192.0.2.1:1": "192.0.2.1:1",
	"[2001:DB8:0::1]:65535": "[2001:db8::1]:65535", "[::ffff:192.0.2.1]": "192.0.2.1", "[::1]": "[::1]",

	"": "", ":80": "", "example.com:": "", "example.com:0": "", "example.com:65536": "", "example.com:http": "",
	"example.com:-1": "", "example.com:80:80": "", "http://example.com": "", "example.com/": "", "example.com?x": "",
	"example.com#x": "", "mary@example.com": "", "localhost:80@example.com": "", "example.com,example.net": "",
	"*.example.com": "", "example..com": "", "::1": "", "[::1": "", "[::1%25lo]": "", "[::1%lo]": "", "[localhost]": "",
	"127.1": "", "0x7f.1": "", "2130706433": "", "127.0.0.1.": "", "exämple.com": "", "exam%70le.com": "",
	"example.com\r\nX: y": "", "example.com ": "", "example.com\x00": "", `"><script>`: "", `example.com\@x`: "",
	strings.Repeat("a", 64): "", strings.Repeat("a.", 130) + "b": "", strings.Repeat("0", 300): "",
}

func TestParseHost(t *testing.T) {
	t.Parallel()
	for s, want := range hosts {
		h, err := ParseHost(s)
		if (err != nil) != (want == "") || h.String() != want {
			t.Errorf("%q: %q, %v, want %q", s, h, err, want)
		}
	}
}

func TestHostIncludes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		host, other string
		want        bool
	}{
		{"example.com", "EXAMPLE.com", true},
		{"example.com", "example.com:8443", true},
		{"example.com:8443", "example.com:8443", true},
		{"example.com:8443", "example.com", false},
		{"example.com:8443", "example.com:8444", false},
		{"example.com", "www.example.com", false},
		{"example.com", "example.com.", false},
		{"example.com", "example.com.evil.example", false},
		{"[2001:db8::1]", "[2001:db8:0::1]:80", true},
	} {
		if got := host(t, test.host).Includes(host(t, test.other)); got != test.want {
			t.Errorf("%s includes %s: %t", test.host, test.other, got)
		}
	}
}

func TestHostIsLoopback(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"localhost": true, "LocalHost:8080": true, "127.0.0.1": true, "127.8.9.1:1": true, "[::1]:8080": true,
		"[::ffff:127.0.0.1]": true,
		"localhost.":         false, "localhost.evil.example": false, "127.0.0.1.evil.example": false, "0.0.0.0": false,
		"128.0.0.1": false, "[::]": false, "[::2]": false, "x.localhost": false,
	} {
		if got := host(t, s).IsLoopback(); got != want {
			t.Errorf("%s: %t", s, got)
		}
	}
}

func host(t *testing.T, s string) Host {
	t.Helper()
	h, err := ParseHost(s)
	if err != nil {
		t.Fatal(s, err)
	}
	return h
}

// FuzzParseHost checks that a host is all that it adds to a URL, and reads the same again.
func FuzzParseHost(f *testing.F) {
	for s := range hosts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseHost(s)
		if err != nil {
			return
		}
		u, err := url.Parse("https://" + h.String() + "/path?a=b")
		if err != nil || u.Host != h.String() || u.User != nil || u.Path != "/path" || u.RawQuery != "a=b" ||
			strings.ContainsFunc(h.String(), isNoURLText) {
			t.Fatalf("%q: %q: %v, %v", s, h, u, err)
		}
		if again, err := ParseHost(h.String()); err != nil || again != h || !h.Includes(again) {
			t.Fatalf("%q: %q, then %q, %v", s, h, again, err)
		}
	})
}
