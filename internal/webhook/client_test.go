package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/pkg/webhooksig"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// newClient reaches loopback, where the tests' receivers are.
func newClient(t *testing.T, ranges ...string) *Client {
	t.Helper()
	var private []identity.AddressRange
	for _, text := range ranges {
		r, err := identity.ParseAddressRange(text)
		if err != nil {
			t.Fatal(err)
		}
		private = append(private, r)
	}
	c := New(private, nil)
	t.Cleanup(c.Close)
	return c
}

func newReceiver(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

func to(u string) Request {
	return Request{URL: identity.WebhookURL(u), Body: []byte(`{"id":1}`), ID: "msg_1", At: noon, Secrets: []string{secret}}
}

func TestPostIsWhatAReceiverExpects(t *testing.T) {
	t.Parallel()
	type received struct {
		*http.Request
		body []byte
	}
	got := make(chan received, 1)
	server := newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- received{r, body}
		w.WriteHeader(http.StatusAccepted)
	})
	verifier := webhooksig.Verifier{Secrets: []string{secret}, Now: func() time.Time { return noon }}
	tests := map[identity.WebhookAuth]func(received) error{
		"":                           func(r received) error { return verifier.Standard(r.Header, r.body) },
		identity.WebhookAuthStandard: func(r received) error { return verifier.Standard(r.Header, r.body) },
		identity.WebhookAuthBearer:   func(r received) error { return wantHeader(r.Header, "Authorization", "Bearer t0ken") },
		identity.WebhookAuthNone:     func(r received) error { return wantHeader(r.Header, "Authorization", "") },
		identity.WebhookAuthBISignature: func(r received) error {
			return verifier.BI(r.Header, r.Method, r.URL.EscapedPath(), r.body)
		},
	}
	client := newClient(t, "127.0.0.0/8")
	for auth, check := range tests {
		request := to(server.URL + "/a%2Fb//c?d=e")
		request.Auth, request.Token = auth, "t0ken"
		status, err := client.Post(t.Context(), request)
		if status != http.StatusAccepted || err != nil {
			t.Fatalf("%q: %d, %v", auth, status, err)
		}
		r := <-got
		err = errors.Join(check(r), wantHeader(r.Header, "Content-Type", "application/json"),
			wantHeader(r.Header, "User-Agent", "Roster"))
		if err != nil {
			t.Errorf("%q: %v", auth, err)
		}
		if r.Method != http.MethodPost || string(r.body) != `{"id":1}` || r.ContentLength != int64(len(r.body)) {
			t.Errorf("%q: %s %q, length %d", auth, r.Method, r.body, r.ContentLength)
		}
	}
}

func wantHeader(header http.Header, name, want string) error {
	if got := header.Get(name); got != want {
		return fmt.Errorf("%s: %q, want %q", name, got, want)
	}
	return nil
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	var redirected atomic.Int64
	target := newReceiver(t, func(http.ResponseWriter, *http.Request) { redirected.Add(1) })
	server := newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		var status int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.Header().Set("Location", target.URL)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "the receiver's own words")
	})
	client := newClient(t, "127.0.0.0/8")
	tests := map[int]string{
		200: "", 201: "", 204: "", 299: "",
		301: "HTTP 301: redirects are not followed", 302: "HTTP 302: redirects are not followed",
		304: "HTTP 304: redirects are not followed", 307: "HTTP 307: redirects are not followed",
		308: "HTTP 308: redirects are not followed",
		400: "HTTP 400", 404: "HTTP 404", 429: "HTTP 429", 500: "HTTP 500", 503: "HTTP 503", 599: "HTTP 599",
		410: "HTTP 410: the receiver is gone for good",
	}
	for want, text := range tests {
		status, err := client.Post(t.Context(), to(fmt.Sprintf("%s/%d", server.URL, want)))
		if status != want || text == "" && err != nil || text != "" && (err == nil || err.Error() != text) {
			t.Errorf("%d: %d, %v", want, status, err)
		}
		if gone := want == http.StatusGone; errors.Is(err, delivery.ErrWebhookGone) != gone ||
			delivery.IsPermanent(err) != gone {
			t.Errorf("%d: gone %v, permanent %v", want, errors.Is(err, delivery.ErrWebhookGone), delivery.IsPermanent(err))
		}
	}
	if n := redirected.Load(); n != 0 {
		t.Errorf("redirects were followed %d times", n)
	}
}

// TestBadReceivers: a delivery ends whatever the receiver does, and its error has no text of
// the receiver.
func TestBadReceivers(t *testing.T) {
	t.Parallel()
	const silence = "no complete answer within 1s"
	const broken = "the connection broke, or what came was no HTTP answer"
	tests := map[string]struct {
		answer func(net.Conn, <-chan struct{})
		status int
		text   string
	}{
		"hanging":             {func(_ net.Conn, done <-chan struct{}) { <-done }, 0, silence},
		"closing":             {func(net.Conn, <-chan struct{}) {}, 0, broken},
		"talking nonsense":    {say("SSH-2.0-secret words\r\n"), 0, broken},
		"a bad header":        {say("HTTP/1.1 200 OK\r\nsecret words\r\n\r\n"), 0, broken},
		"a bad status":        {say("HTTP/1.1 secret words\r\n\r\n"), 0, broken},
		"dripping its header": {drip("HTTP/1.1 200 OK\r\n", "X: y\r\n"), 0, silence},
		"endless header":      {flood("HTTP/1.1 200 OK\r\n", "X: "+strings.Repeat("y", 1000)+"\r\n"), 0, broken},
		"endless interim":     {flood("", "HTTP/1.1 100 Continue\r\n\r\n"), 0, broken},
		"other protocol": {
			drip("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "x"), 101, "HTTP 101",
		},
		"dripping a body":      {drip("HTTP/1.1 200 OK\r\n\r\n", "x"), 200, ""},
		"dripping a refusal":   {drip("HTTP/1.1 500 No\r\n\r\n", "x"), 500, "HTTP 500"},
		"endless body":         {flood("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 1000)), 200, ""},
		"body shorter than it": {say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx"), 200, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, "127.0.0.0/8")
			if test.text != broken {
				client.timeout = time.Second
			}
			status, err := client.Post(t.Context(), to("http://"+listen(t, test.answer)+"/?key=hidden"))
			text := ""
			if err != nil {
				text = err.Error()
			}
			if status != test.status || text != test.text {
				t.Errorf("%d, %q", status, text)
			}
		})
	}
}

// listen answers each request on a bare connection.
func listen(t *testing.T, answer func(net.Conn, <-chan struct{})) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = conn.Read(make([]byte, 4096))
		answer(conn, done)
	}()
	t.Cleanup(func() {
		close(done)
		_ = listener.Close()
		<-ended
	})
	return listener.Addr().String()
}

func say(text string) func(net.Conn, <-chan struct{}) {
	return func(conn net.Conn, _ <-chan struct{}) { _, _ = io.WriteString(conn, text) }
}

func flood(first, text string) func(net.Conn, <-chan struct{}) { return repeat(first, text, 0) }

func drip(first, text string) func(net.Conn, <-chan struct{}) {
	return repeat(first, text, 20*time.Millisecond)
}

func repeat(first, text string, pause time.Duration) func(net.Conn, <-chan struct{}) {
	return func(conn net.Conn, done <-chan struct{}) {
		_, err := io.WriteString(conn, first)
		for err == nil {
			select {
			case <-done:
				return
			case <-time.After(pause):
				_, err = io.WriteString(conn, text)
			}
		}
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	client := newClient(t, "127.0.0.0/8")
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	status, err := client.Post(t.Context(), to("http://"+address+"/?key=hidden"))
	if want := "the connection was refused"; status != 0 || err == nil || err.Error() != want {
		t.Errorf("%d, %v, want %s", status, err, want)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	encrypted := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	encrypted.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail
	encrypted.StartTLS()
	t.Cleanup(encrypted.Close)
	plain := newReceiver(t, func(http.ResponseWriter, *http.Request) {})
	client := newClient(t, "127.0.0.0/8")
	tests := map[string]string{
		encrypted.URL: "the receiver's certificate is signed by an unknown authority",
		"https" + strings.TrimPrefix(plain.URL,
			"http"): "the receiver speaks HTTP, not HTTPS",
		"https://" + listen(t, say("\x15\x03\x03\x00\x02\x02\x28")):                             "the TLS handshake failed",
		"https://" + listen(t, say("SSH-2.0-secret words, of some length, and then a few\r\n")): "the TLS handshake failed",
	}
	for u, want := range tests {
		if status, err := client.Post(t.Context(), to(u)); status != 0 || err == nil || err.Error() != want {
			t.Errorf("%s: %d, %v, want %s", u, status, err, want)
		}
	}
	client.transport.TLSClientConfig = encrypted.Client().Transport.(*http.Transport).TLSClientConfig
	if _, err := client.Post(t.Context(), to(encrypted.URL)); err != nil {
		t.Error(err)
	}
	wrongName := strings.Replace(encrypted.URL, "127.0.0.1", "localhost", 1)
	if _, err := client.Post(t.Context(), to(wrongName)); err == nil ||
		err.Error() != "the receiver's certificate is for another host" {
		t.Error(err)
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	address := listen(t, func(_ net.Conn, done <-chan struct{}) {
		cancel()
		<-done
	})
	if _, err := newClient(t, "127.0.0.0/8").Post(ctx, to("http://"+address)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	server := newReceiver(t, func(http.ResponseWriter, *http.Request) { requests.Add(1) })
	tests := map[string]func(*Request){
		"the URL must start with http:// or https://": func(r *Request) { r.URL = "ftp://x.example/" },

		"the URL must have no user name or password; use the webhook's auth instead": func(r *Request) {
			r.URL = "http://a:b@127.0.0.1/"
		},
		"the webhook cannot be signed: there is no such auth":           func(r *Request) { r.Auth = "basic" },
		"the webhook cannot be signed: " + webhooksig.ErrSecret.Error(): func(r *Request) { r.Secrets = []string{"hidden"} },
		"the webhook cannot be signed: " + webhooksig.ErrID.Error():     func(r *Request) { r.ID = "" },
		"the webhook has no token that a header could carry": func(r *Request) {
			r.Auth, r.Token = identity.WebhookAuthBearer, "hidden\r\nX: y"
		},
	}
	client := newClient(t, "127.0.0.0/8")
	for want, change := range tests {
		r := to(server.URL)
		change(&r)
		if status, err := client.Post(t.Context(), r); status != 0 || err == nil || err.Error() != want {
			t.Errorf("%d, %v, want %s", status, err, want)
		}
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestConnectionsAreUsedAgain, but not kept in any number.
func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 1000))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client := newClient(t, "127.0.0.0/8")
	for range 10 {
		if _, err := client.Post(t.Context(), to(server.URL)); err != nil {
			t.Fatal(err)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	if tr := client.transport; tr.MaxIdleConns == 0 || tr.MaxIdleConnsPerHost == 0 || tr.IdleConnTimeout == 0 ||
		tr.Proxy != nil {
		t.Error("connections are kept without a bound, or go through a proxy")
	}
}

func TestCloseFreesConnections(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(closed)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client := newClient(t, "127.0.0.0/8")
	if _, err := client.Post(t.Context(), to(server.URL)); err != nil {
		t.Fatal(err)
	}
	client.Close()
	<-closed
}
