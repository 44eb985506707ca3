package identity

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

// urls maps URLs to the code of their error, or "".
var urls = map[string]string{
	"https://example.com/hook":           "",
	"HTTP://Example.COM:8080/a%2Fb?c=d":  "",
	"http://localhost":                   "",
	"http://a_b.example.":                "",
	"http://192.0.2.1:1/":                "",
	"http://[2001:db8::1]:65535/":        "",
	"http://[::ffff:127.0.0.1]/":         "",
	"http://xn--mller-kva.example/":      "",
	"":                                   "invalid_url",
	"example.com/hook":                   "invalid_url",
	"/hook":                              "invalid_url",
	"//example.com/hook":                 "invalid_scheme",
	"ftp://example.com/":                 "invalid_scheme",
	"file:///etc/passwd":                 "invalid_url",
	"javascript:alert(1)":                "invalid_url",
	"http:example.com":                   "invalid_url",
	"http:///hook":                       "invalid_url",
	"http://:80/":                        "invalid_host",
	"http://example.com/a b":             "invalid_url",
	"http://example.com/\r\nX: y":        "invalid_url",
	"http://example.com\\@evil.example/": "invalid_url",
	"http://exämple.com/":                "invalid_url",
	"http://example.com/%zz":             "invalid_url",
	"http://mary@example.com/":           "userinfo_not_allowed",
	"http://mary:pw@example.com/":        "userinfo_not_allowed",
	"http://@example.com/":               "userinfo_not_allowed",
	"http://example.com/#top":            "fragment_not_allowed",
	"http://example.com/#":               "fragment_not_allowed",
	"http://2130706433/":                 "invalid_host",
	"http://0x7f000001/":                 "invalid_host",
	"http://0X7F.1/":                     "invalid_host",
	"http://127.1/":                      "invalid_host",
	"http://0177.0.0.1/":                 "invalid_host",
	"http://127.0.0.1./":                 "invalid_host",
	"http://1.2.3.4.5/":                  "invalid_host",
	"http://a..b/":                       "invalid_host",
	"http://./":                          "invalid_host",
	"http://exam%70le.com/":              "invalid_url",
	"http://[fe80::1%25eth0]/":           "invalid_host",
	"http://[127.0.0.1]/":                "invalid_url",
	"http://example.com:/":               "invalid_port",
	"http://example.com:0/":              "invalid_port",
	"http://example.com:65536/":          "invalid_port",
	"http://" + strings.Repeat("a", 64):  "invalid_host",
	"http://x/" + strings.Repeat("a", MaxWebhookURLBytes): "too_long",
}

func TestParseWebhookURL(t *testing.T) {
	t.Parallel()
	for s, want := range urls {
		var u WebhookURL
		err := u.UnmarshalText([]byte(s))
		var value *ValueError
		switch {
		case err == nil && (want != "" || string(u) != s):
			t.Errorf("%q is accepted as %q", s, u)
		case err != nil && (!errors.As(err, &value) || value.Code != want):
			t.Errorf("%q: %v, want %q", s, err, want)
		}
	}
}

// TestOrigins: URLs of one line lead to one receiver, those of different lines to
// different ones.
func TestOrigins(t *testing.T) {
	t.Parallel()
	lines := [][]WebhookURL{
		{
			"https://example.com", "https://example.com/", "HTTPS://EXAMPLE.com:443/a?b", "https://example.com./x",
			"https://Example.Com.:0443",
		},
		{"http://example.com", "http://example.com:80/", "http://EXAMPLE.COM.:080/hook"},
		{"https://example.com:80"},
		{"http://example.com:443"},
		{"https://example.com:8443", "https://example.com.:8443/?x"},
		{"https://www.example.com"},
		{"https://example.com.evil.example"},
		{"https://xn--exmple-cua.com"},
		{"http://192.0.2.1", "http://192.0.2.1:80/"},
		{"http://192.0.2.1:81"},
		{"http://[2001:db8::1]/", "http://[2001:DB8:0:0:0:0:0:1]:80", "http://[2001:0db8::0001]"},
		{"http://[2001:db8::2]/"},
	}
	seen := map[string]int{}
	for i, line := range lines {
		for _, u := range line {
			if _, err := ParseWebhookURL(string(u)); err != nil {
				t.Errorf("%s: %v", u, err)
			}
			origin := u.Origin()
			if before, known := seen[origin]; known && before != i || origin != line[0].Origin() {
				t.Errorf("%s is of %s", u, origin)
			}
			seen[origin] = i
		}
	}
}

func TestWebhookAuth(t *testing.T) {
	t.Parallel()
	for _, want := range WebhookAuths {
		var got WebhookAuth
		if err := got.UnmarshalText([]byte(want)); err != nil || got != want {
			t.Errorf("%q reads as %q, %v", want, got, err)
		}
	}
	var value *ValueError
	got := WebhookAuthBearer
	if err := got.UnmarshalText([]byte("Standard")); !errors.As(err, &value) || got != WebhookAuthBearer {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzParseWebhookURL(f *testing.F) {
	for _, seed := range []string{
		"https://example.com/hook?a=b", "http://[::1]:80/", "http://[::ffff:127.0.0.1]", "http://2130706433",
		"http://0.0.0.0/", "http://user@x/",
		"http://x#", "http://x\\@y/", "http://[fe80::1%25lo]/", "http:/x", "http://127.0.0.1.", "http://x:99999",
		"http://%31/", "http://x/%2e%2e/\x7f",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := ParseWebhookURL(s)
		if err != nil {
			return
		}
		if string(parsed) != s || len(s) > MaxWebhookURLBytes || strings.ContainsAny(s, " \t\r\n\\#\x00") {
			t.Errorf("accepted %q", s)
		}
		if origin := parsed.Origin(); origin == "" || WebhookURL(origin).Origin() != origin ||
			WebhookURL(origin+"/x?y").Origin() != origin {
			t.Errorf("%q is of %q", s, origin)
		}
		u, err := url.Parse(s)
		if err != nil || !strings.HasPrefix(u.Scheme, "http") || u.Hostname() == "" || u.User != nil || u.Opaque != "" {
			t.Errorf("accepted %q: %v", s, err)
		}
	})
}
