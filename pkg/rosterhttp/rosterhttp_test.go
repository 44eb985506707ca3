package rosterhttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/pkg/client"
	"github.com/rosterhq/roster/pkg/rosterhttp"
)

// protected is a handler behind a guard, which writes the caller.
func protected(g *rosterhttp.Guard, permissions ...string) http.Handler {
	return g.Require(permissions...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller := rosterhttp.CallerFrom(r.Context())
		caller.Permissions[0] = "changed by a handler" // which must not be seen by the next one
		fmt.Fprint(w, caller.Subject, " ", caller.Username, " ", caller.Address)
	}))
}

type request struct{ token, peer, forwarded string }

func ask(h http.Handler, r request) *httptest.ResponseRecorder {
	return askWith(context.Background(), h, r)
}

func askWith(ctx context.Context, h http.Handler, r request) *httptest.ResponseRecorder {
	answer, asked := httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	if r.token != "" {
		asked.Header.Set("Authorization", "Bearer "+r.token)
	}
	if r.forwarded != "" {
		asked.Header.Set("X-Forwarded-For", r.forwarded)
	}
	asked.RemoteAddr = r.peer
	h.ServeHTTP(answer, asked)
	return answer
}

func roster(t *testing.T, address, token string, transport http.RoundTripper) *client.Client {
	t.Helper()
	c, err := client.New(address, client.Token(token), client.HTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestGuard(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := s.CreateGroup("Support", "users.view")
		id := s.CreateUser("mary@example.com", map[string]any{"groups": []int64{group}, "ipWhitelist": []string{"192.0.2.0/24"}})
		mary := s.SignIn("mary@example.com", apitest.From("192.0.2.7"))
		service := s.CreateToken(0, []string{"users.view"})
		own := s.CreateToken(0, []string{"tokens.introspect"})
		g := rosterhttp.New(roster(t, s.URL, own, nil), rosterhttp.TrustedProxies(netip.MustParsePrefix("10.0.0.0/8")), rosterhttp.TTL(0))
		anyone, viewers, auditors := protected(g), protected(g, "users.view"), protected(g, "users.view", "audit.view")
		here := "192.0.2.7:1234"
		for name, c := range map[string]struct {
			handler http.Handler
			request request
			status  int
			body    string
		}{
			"a user":               {viewers, request{mary, here, ""}, 200, fmt.Sprint(id, " mary@example.com 192.0.2.7")},
			"from elsewhere":       {viewers, request{mary, "198.51.100.7:1", ""}, 403, "address"},
			"through a proxy":      {anyone, request{mary, "10.0.0.1:1", "192.0.2.7"}, 200, "192.0.2.7"},
			"through two":          {anyone, request{mary, "10.0.0.1:1", "192.0.2.7, 10.9.9.9"}, 200, "192.0.2.7"},
			"a lie before a proxy": {anyone, request{mary, "10.0.0.1:1", "192.0.2.7, 198.51.100.7"}, 403, "address"},
			"a lie without one":    {anyone, request{mary, "198.51.100.7:1", "192.0.2.7"}, 403, "address"},
			"nonsense by a proxy":  {anyone, request{service, "10.0.0.1:1", "unknown"}, 403, "cannot be told"},
			"no address":           {anyone, request{service, "@", ""}, 403, "cannot be told"},
			"IPv4 in IPv6":         {anyone, request{mary, "[::ffff:192.0.2.7]:1", ""}, 200, "192.0.2.7"},
			"without a port":       {anyone, request{mary, "192.0.2.7", ""}, 200, "192.0.2.7"},
			"lacks one":            {auditors, request{mary, here, ""}, 403, "audit.view"},
			"a service":            {viewers, request{service, "198.51.100.7:1", ""}, 200, "token:"},
			"an administrator":     {auditors, request{apitest.AdminToken, here, ""}, 200, "token:"},
			"no token":             {anyone, request{"", here, ""}, 401, ""},
			"unknown":              {anyone, request{"rst_nonsense", here, ""}, 401, "unknown"},
			"strange":              {anyone, request{"a\x00b", here, ""}, 401, ""},
			"not ASCII":            {anyone, request{"ä", here, ""}, 401, ""},
			"endless":              {anyone, request{strings.Repeat("a", 5000), here, ""}, 401, ""},
		} {
			answer := ask(c.handler, c.request)
			if answer.Code != c.status || !strings.Contains(answer.Body.String(), c.body) {
				t.Errorf("%s: got %d %s, want %d %s", name, answer.Code, answer.Body, c.status, c.body)
			}
			if challenge := answer.Header().Get("WWW-Authenticate"); c.status == 401 &&
				!strings.HasPrefix(challenge, "Bearer ") {
				t.Errorf("%s: the challenge is %q", name, challenge)
			}
		}
		s.Do(http.MethodPatch, apitest.UserPath(id), map[string]any{"active": false}).Want(http.StatusOK)
		if answer := ask(anyone, request{mary, here, ""}); answer.Code != http.StatusUnauthorized {
			t.Errorf("an inactive user: %d", answer.Code)
		}
	})
}

// TestGuardThatMayNotAsk checks that a guard whose own token is not good enough lets nobody through.
func TestGuardThatMayNotAsk(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		mary := s.SignIn("mary@example.com")
		for _, own := range []string{
			"nonsense", s.CreateToken(0, []string{"users.view"}),
			s.CreateToken(0, []string{"tokens.introspect"}, map[string]any{"canViewMaskedData": false}),
		} {
			if answer := ask(protected(rosterhttp.New(roster(t, s.URL, own, nil))), request{mary, "192.0.2.7:1", ""}); answer.Code != http.StatusServiceUnavailable {
				t.Errorf("%d %s", answer.Code, answer.Body)
			}
		}
	})
}

func TestRepeatedAuthorization(t *testing.T) {
	t.Parallel()
	fake := &fakeRoster{}
	asked := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
	asked.Header["Authorization"] = []string{"Bearer good", "Bearer other"}
	answer := httptest.NewRecorder()
	protected(fake.guard(t)).ServeHTTP(answer, asked)
	if answer.Code != http.StatusUnauthorized || fake.asked.Load() != 0 {
		t.Errorf("%d", answer.Code)
	}
}

func TestCallerOfNoGuard(t *testing.T) {
	t.Parallel()
	if caller := rosterhttp.CallerFrom(t.Context()); caller.Has("users.view") || caller.Has("") ||
		caller.Subject != "" {
		t.Errorf("%+v", caller)
	}
}

// fakeRoster is a transport that answers introspections: tokens that begin with good are active.
type fakeRoster struct {
	asked  atomic.Int64
	away   atomic.Bool
	exp    atomic.Int64
	active atomic.Bool
	// Where gate is not nil, each answer waits for it, or for the end of the request.
	gate         chan struct{}
	inFlight     atomic.Int64
	mostInFlight atomic.Int64
}

// wait waits for the gate.
func (f *fakeRoster) wait(r *http.Request) error {
	defer f.inFlight.Add(-1)
	for now := f.inFlight.Add(1); ; {
		if most := f.mostInFlight.Load(); most >= now || f.mostInFlight.CompareAndSwap(most, now) {
			break
		}
	}
	if f.gate == nil {
		return nil
	}
	select {
	case <-f.gate:
		return nil
	case <-r.Context().Done():
		return r.Context().Err()
	}
}

func (f *fakeRoster) guard(t *testing.T, options ...rosterhttp.Option) *rosterhttp.Guard {
	t.Helper()
	f.active.Store(true)
	return rosterhttp.New(roster(t, "http://roster.example", "own", f), options...)
}

func (f *fakeRoster) RoundTrip(r *http.Request) (*http.Response, error) {
	f.asked.Add(1)
	active := f.active.Load() // Roster answers at once, and the answer comes late
	if err := f.wait(r); err != nil {
		return nil, err
	}
	if f.away.Load() {
		return nil, errors.New("nobody is there")
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		return nil, err
	}
	body := `{"active":false}`
	if strings.HasPrefix(form.Get("token"), "good") && active {
		body = fmt.Sprintf(`{"active":true,"sub":"1","userId":1,"permissions":["users.view"],"ipAllowed":%t,"exp":%d}`,
			form.Get("ip") == "192.0.2.7", f.exp.Load())
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

const here = "192.0.2.7:1"

func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeRoster{}
		h := protected(fake.guard(t), "users.view")
		want := func(what string, r request, status int, asked int64) {
			t.Helper()
			if answer := ask(h, r); answer.Code != status || fake.asked.Load() != asked {
				t.Errorf("%s: %d, asked %d times, want %d and %d", what, answer.Code, fake.asked.Load(), status, asked)
			}
		}
		want("the first", request{"good", here, ""}, 200, 1)
		want("again", request{"good", here, ""}, 200, 1)
		want("another address is another question", request{"good", "192.0.2.8:1", ""}, 403, 2)
		want("another address again", request{"good", "192.0.2.8:1", ""}, 403, 2)
		want("another token", request{"goods", here, ""}, 200, 3)
		want("a bad one", request{"bad", here, ""}, 401, 4)
		want("a bad one again", request{"bad", here, ""}, 401, 4)
		fake.active.Store(false) // revoked
		time.Sleep(10*time.Second - time.Nanosecond)
		want("still", request{"good", here, ""}, 200, 4)
		time.Sleep(time.Nanosecond)
		want("no longer", request{"good", here, ""}, 401, 5)
		fake.active.Store(true)
		want("a moment later", request{"good", here, ""}, 401, 5)
		time.Sleep(10 * time.Second)
		want("later", request{"good", here, ""}, 200, 6)
	})
}

func TestCacheEndsWithTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeRoster{}
		fake.exp.Store(time.Now().Add(3 * time.Second).Unix())
		h := protected(fake.guard(t))
		if answer := ask(h, request{"good", here, ""}); answer.Code != http.StatusOK {
			t.Errorf("%d", answer.Code)
		}
		fake.active.Store(false)
		time.Sleep(3 * time.Second)
		if answer := ask(h, request{"good", here, ""}); answer.Code != http.StatusUnauthorized {
			t.Errorf("%d", answer.Code)
		}
	})
}

// TestRosterIsAway checks that nobody passes while Roster cannot be asked, also those who did a moment ago.
func TestRosterIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeRoster{}
		h := protected(fake.guard(t))
		ask(h, request{"good", here, ""})
		fake.away.Store(true)
		time.Sleep(10 * time.Second)
		for range 2 {
			if answer := ask(h, request{"good", here, ""}); answer.Code != http.StatusServiceUnavailable ||
				answer.Header().Get("Retry-After") == "" {
				t.Errorf("%d %v", answer.Code, answer.Header())
			}
		}
		fake.away.Store(false)
		if answer := ask(h, request{"good", here, ""}); answer.Code != http.StatusOK {
			t.Errorf("%d: the failure is kept", answer.Code)
		}
	})
}

// TestCacheIsBounded checks that tokens that are made up push out neither each other's memory bound nor a good one.
func TestCacheIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, most := &fakeRoster{}, 8
		h := protected(fake.guard(t, rosterhttp.CacheSize(most)))
		ask(h, request{"good", here, ""})
		for i := range 100 * most {
			ask(h, request{fmt.Sprint("bad", i), here, ""})
		}
		asked := fake.asked.Load()
		if ask(h, request{"good", here, ""}); fake.asked.Load() != asked {
			t.Error("bad tokens have pushed out a good one")
		}
		for i := range 100 * most { // at most so many are known, whichever they are
			ask(h, request{fmt.Sprint("bad", i), here, ""})
		}
		if again := fake.asked.Load() - asked; again < int64(99*most) {
			t.Errorf("asked %d times again: too many are kept", again)
		}
	})
}

func FuzzClientAddress(f *testing.F) {
	fake := &fakeRoster{}
	for _, seed := range []string{"", "192.0.2.7", "192.0.2.7, 10.0.0.1", "[2001:db8::1]:80", ",,", "fe80::1%eth0", "unknown", "10.0.0.1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, forwarded string) {
		h := protected(fake.guard(t, rosterhttp.TTL(0), rosterhttp.TrustedProxies(netip.MustParsePrefix("10.0.0.0/8"))))
		// Whatever stands left of the address that a trusted proxy saw, it does not count.
		if answer := ask(h, request{"good", "10.0.0.1:1", forwarded + ", 198.51.100.7"}); answer.Code != http.StatusForbidden {
			t.Errorf("%q: %d", forwarded, answer.Code)
		}
		if answer := ask(h, request{"good", "10.0.0.1:1", forwarded + ",192.0.2.7"}); answer.Code != http.StatusOK {
			t.Errorf("%q: %d", forwarded, answer.Code)
		}
	})
}
