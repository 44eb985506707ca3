package webhook

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
)

// TestNothingInsideIsReached tries every spelling of this machine's own address:
// what the registration lets through, the connection refuses.
func TestNothingInsideIsReached(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	server := newReceiver(t, func(http.ResponseWriter, *http.Request) { requests.Add(1) })
	parsed, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(t)
	hosts := []string{
		"127.0.0.1", "127.1.2.3", "0.0.0.0", "localhost", "localhost.", "LOCALHOST", "a.localhost", "[::1]", "[::]",
		"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]",
		"[2002:7f00:1::]",
		"[2001:0:7f00:1::]", "[fe80::1]", "[fd00::1]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]",
		"169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1",
		"255.255.255.255",
	}
	for _, host := range hosts {
		u, err := identity.ParseWebhookURL("http://" + host + ":" + parsed.Port() + "/")
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		var value *identity.ValueError
		if err := client.Check(u); !errors.As(err, &value) || value.Code != "address_not_public" {
			t.Errorf("%s may be registered: %v", host, err)
		}
		status, err := client.Post(t.Context(), to(string(u)))
		if status != 0 || !errors.Is(err, errNotPublic) && (err == nil || !strings.HasPrefix(err.Error(), "the host name ")) {
			t.Errorf("%s: %d, %v", host, status, err)
		}
	}
	// Some resolvers read these as 127.0.0.1.
	for _, host := range []string{"2130706433", "0x7f000001", "127.1", "0177.0.0.1"} {
		status, err := client.Post(t.Context(), to("http://"+host+":"+parsed.Port()+"/"))
		if status != 0 || err == nil || !strings.HasPrefix(err.Error(), "the URL must have a host name") {
			t.Errorf("%s: %d, %v", host, status, err)
		}
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests came through", n)
	}
}

// TestNamesThatLeadInside: what a name stands for in here is not told.
func TestNamesThatLeadInside(t *testing.T) {
	t.Parallel()
	_, err := newClient(t).Post(t.Context(), to("http://localhost:1/?key=hidden"))
	var ours delivery.Error
	if !errors.As(err, &ours) || err.Error() != "the address is not public" {
		t.Errorf("%v", err)
	}
	// Where it may go there, and nobody is there, neither address nor port is told.
	_, err = newClient(t, "127.0.0.0/8", "::1").Post(t.Context(), to("http://localhost:1/?key=hidden"))
	if !errors.As(err, &ours) || strings.ContainsAny(string(ours), "0123456789:") ||
		strings.Contains(string(ours), "localhost") {
		t.Errorf("%v", err)
	}
}

func TestAllowedRanges(t *testing.T) {
	t.Parallel()
	server := newReceiver(t, func(http.ResponseWriter, *http.Request) {})
	onIPv6 := ""
	if listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp6", "[::1]:0"); err == nil {
		six := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		six.Listener = listener
		six.Start()
		t.Cleanup(six.Close)
		onIPv6 = six.URL
	}
	named := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	mapped := strings.Replace(server.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1)
	tests := []struct {
		ranges, url string
		want        bool
	}{
		{"127.0.0.0/8", server.URL, true},
		{"127.0.0.1", server.URL, true},
		{"::ffff:127.0.0.0/104", server.URL, true},
		{"127.0.0.0/8", named, true},
		{"127.0.0.0/8", mapped, true},
		{"127.0.0.2", server.URL, false},
		{"10.0.0.0/8", server.URL, false},
		{"::/0", server.URL, false},
		{"::1", onIPv6, true},
		{"127.0.0.0/8", onIPv6, false},
	}
	for _, test := range tests {
		if test.url == "" {
			t.Log("this machine has no IPv6")
			continue
		}
		client := newClient(t, test.ranges)
		if err := client.Check(identity.WebhookURL(test.url)); (err == nil) != test.want {
			t.Errorf("%s, %s: %v", test.ranges, test.url, err)
		}
		if _, err := client.Post(t.Context(), to(test.url)); (err == nil) != test.want {
			t.Errorf("%s, %s: %v", test.ranges, test.url, err)
		}
	}
}

func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	client := newClient(t)
	for _, text := range []string{"1.1.1.1", "8.8.8.8", "::ffff:8.8.8.8", "2606:4700::1111", "2a00:1450:4001::1"} {
		if err := client.checkAddress(netip.MustParseAddr(text)); err != nil {
			t.Error(err)
		}
	}
	for _, u := range []identity.WebhookURL{
		"https://example.com/", "https://1.1.1.1/", "https://[2606:4700::1111]/", "https://localhost.example/",
	} {
		if err := client.Check(u); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	if err := client.control("tcp", "nonsense", nil); err == nil {
		t.Error("what is no address is let through")
	}
}
