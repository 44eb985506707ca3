package console

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

func TestClientName(t *testing.T) {
	t.Parallel()
	for userAgent, want := range map[string]string{
		"": "Unknown client", "curl/8.5.0": "curl/8.5.0", "Chrome spider for Linux": "Chrome spider for Linux",
		"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0":                                    "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0) Chrome/140 Safari/537.36":                                                    "Chrome on Windows",
		"Mozilla/5.0 (Windows NT 10.0) Chrome/140 Safari/537.36 Edg/140":                                            "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18 Safari/605.1":                                   "Safari on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 CriOS/140 Mobile Safari/604.1": "Chrome on iPhone",
		"Mozilla/5.0 (Linux; Android 15) Chrome/140 Mobile Safari/537.36":                                           "Chrome on Android",
		"Mozilla/5.0 (Unheard of) Firefox/1":                                                                        "Firefox", "Mozilla/5.0 (compatible; Robot)": "Mozilla/5.0 (compatible; Robot)",
	} {
		if got := clientName(userAgent); got != want {
			t.Errorf("%s: %q, want %q", userAgent, got, want)
		}
	}
}

func TestSessionsView(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	view := sessionsViewFrom(identity.Actor{SessionID: 7}, []identity.Session{
		{ID: 9, CreatedAt: now.Add(-time.Hour), LastUsedAt: now, Client: "curl"}, {ID: 7, CreatedAt: now, Source: "192.0.2.1"},
	}, 42, identity.Page{Limit: 2, Offset: 20}, now)
	if len(view.Rows) != 2 || view.Others != 41 || view.Rows[0].Current || !view.Rows[1].Current ||
		view.Rows[0].Source != "unknown" || view.Rows[0].Began.Text != "1 hour ago" || view.Rows[1].Used.Text != "never" ||
		view.Range != "21–22 of 42" || view.Next != "/console/me?offset=22" || view.Prev != "/console/me?offset=18" {
		t.Errorf("%+v", view)
	}
}

func TestInFours(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"": "", "ABCD": "ABCD", "ABCDE": "ABCD E", "ABCDEFGHI": "ABCD EFGH I"} {
		if got := inFours(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// FuzzOwnPath checks that no text leads away from the console, as Go and as browsers read it.
func FuzzOwnPath(f *testing.F) {
	for _, seed := range []string{
		"/console", "/console/users?a=b#c", "//evil.example", `/\evil.example`, "/console/..//evil", "https://evil.example",
		"/console/%2f%2fevil", "/console/%5c", "/console\t//evil", "/console//evil", "javascript:alert(1)", "/console/%zz", "\x00",
	} {
		f.Add(seed)
	}
	base, err := url.Parse("https://roster.example.com/console/users")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := ownPath(text)
		// Browsers drop tabs and line ends, and read a backslash as a slash (URL Standard).
		read := strings.ReplaceAll(strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(got), `\`, "/")
		led, err := base.Parse(read)
		if err != nil || led.Scheme != "https" || led.Host != base.Host ||
			led.Path != Prefix && !strings.HasPrefix(led.Path, Prefix+"/") {
			t.Errorf("%q: %q leads to %v, %v", text, got, led, err)
		}
		if ownPath(got) != got {
			t.Errorf("%q is not a path of ours itself", got)
		}
	})
}
