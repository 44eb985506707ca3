package client_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rosterhq/roster/pkg/client"
)

// The clock of these tests is that of synctest: waits take no time.

// failing answers each try but the last with a failure.
func failing(times int, f failure) *answering {
	return &answering{answer: func(try int, _ *http.Request) (*http.Response, error) {
		switch {
		case try > times:
			return reply(http.StatusOK, `{"id":1}`)
		case f.status == 0:
			return nil, errLost
		}
		return reply(f.status, "", "Retry-After", f.retryAfter)
	}}
}

// failure is how a try fails: by an answer, or, where the status is 0, by a lost connection.
type failure struct {
	status     int
	retryAfter string
}

var lost = failure{}

func TestRetries(t *testing.T) {
	calls := map[string]func(context.Context, *client.Client) error{
		"get": func(ctx context.Context, c *client.Client) error { _, err := c.Users.Get(ctx, 1); return err },
		"create user": func(ctx context.Context, c *client.Client) error {
			_, err := c.Users.Create(ctx, client.UserCreate{Name: "Mary"})
			return err
		},
		"update": func(ctx context.Context, c *client.Client) error {
			_, err := c.Users.Update(ctx, 1, client.UserUpdate{Name: new("Ann")})
			return err
		},
		"delete": func(ctx context.Context, c *client.Client) error { return c.Users.Delete(ctx, 1, client.IfVersion(3)) },
		"introspect": func(ctx context.Context, c *client.Client) error {
			_, err := c.Tokens.Introspect(ctx, "x", "")
			return err
		},
		// These could be done twice, or be refused for having been done.
		"update of a version": func(ctx context.Context, c *client.Client) error {
			_, err := c.Users.Update(ctx, 1, client.UserUpdate{Name: new("Ann")}, client.IfVersion(3))
			return err
		},
		"create token": func(ctx context.Context, c *client.Client) error {
			_, err := c.Tokens.Create(ctx, client.TokenCreate{Name: "CI"})
			return err
		},
		"sign in": func(ctx context.Context, c *client.Client) error {
			_, err := c.Sessions.SignIn(ctx, "a", "b")
			return err
		},
	}
	once := map[string]bool{"update of a version": true, "create token": true, "sign in": true}
	for name, call := range calls {
		for kind, f := range map[string]failure{
			"lost": lost, "503": {503, "2"}, "502": {502, ""}, "504": {504, ""}, "429": {429, "2"},
			"500": {500, ""}, "409": {409, ""}, "429 for long": {429, "600"},
		} {
			synctest.Test(t, func(t *testing.T) {
				a := failing(3, f)
				err := call(t.Context(), a.client(t))
				want := 4
				if kind == "500" || kind == "409" || kind == "429 for long" || once[name] && kind != "429" {
					want = 1
				}
				if a.tries != want || (err == nil) != (want == 4) {
					t.Errorf("%s, %s: %d tries, want %d: %v", name, kind, a.tries, want, err)
				}
			})
		}
	}
}

// TestRetriesAreTheSameCall checks that a creation is sent again with the same key and body, and each creation with a
// key of its own.
func TestRetriesAreTheSameCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := failing(2, lost)
		c := a.client(t)
		for range 2 {
			if _, err := c.Users.Create(t.Context(), client.UserCreate{Name: "Mary"}); err != nil {
				t.Fatal(err)
			}
		}
		keys := map[string]int{}
		for i, r := range a.requests {
			keys[r.Header.Get("Idempotency-Key")]++
			if a.bodies[i] != a.bodies[0] || r.URL.Path != "/below/api/v2/users" ||
				r.Header.Get("Authorization") != "Bearer rst_secret" {
				t.Errorf("%s %s %v", r.URL, a.bodies[i], r.Header)
			}
		}
		if len(a.requests) != 4 || len(keys) != 2 || keys[a.requests[0].Header.Get("Idempotency-Key")] != 3 ||
			keys[""] != 0 {
			t.Errorf("%v", keys)
		}
	})
}

func TestWaits(t *testing.T) {
	wait := func(t *testing.T, failures int, f failure, options ...client.Option) (time.Duration, int, error) {
		a, begin := failing(failures, f), time.Now()
		_, err := a.client(t, options...).Users.Get(t.Context(), 1)
		return time.Since(begin), a.tries, err
	}
	synctest.Test(t, func(t *testing.T) {
		if took, _, err := wait(t, 1, failure{503, "20"}); err != nil || took < 20*time.Second {
			t.Errorf("%v, %v", took, err)
		}
		at := time.Now().Add(25 * time.Second).UTC().Format(http.TimeFormat)
		if took, _, err := wait(t, 1, failure{503, at}); err != nil || took < 24*time.Second || took > 26*time.Second {
			t.Errorf("%v, %v", took, err)
		}
		for _, nonsense := range []string{"", "-5", "soon", "1e9"} {
			if took, _, err := wait(t, 1, failure{503, nonsense}); err != nil || took > time.Second || took == 0 {
				t.Errorf("%q: %v, %v", nonsense, took, err)
			}
		}
		one, _, _ := wait(t, 1, lost)
		if three, _, _ := wait(t, 3, lost); three < 2*one {
			t.Errorf("%v for one, %v for three: the waits do not grow", one, three)
		}
		if _, tries, err := wait(t, 9, failure{503, "1"}); tries != 4 || err == nil {
			t.Errorf("%d tries, %v", tries, err)
		} else if e := wantStatus(t, err, 503); e.RetryAfter != time.Second {
			t.Errorf("%+v", e)
		}
		if _, tries, err := wait(t, 9, lost, client.Retries(0)); tries != 1 || !errors.Is(err, errLost) {
			t.Errorf("%d tries, %v", tries, err)
		}
	})
}

// TestNoRetryBeyondTheContext checks that a call says what has failed instead of waiting for more time than it has.
func TestNoRetryBeyondTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		a := failing(3, failure{503, "10"})
		_, err := a.client(t).Users.Get(ctx, 1)
		if wantStatus(t, err, 503); a.tries != 1 || time.Since(begin) > 0 {
			t.Errorf("%d tries, %v", a.tries, time.Since(begin))
		}
		cancel()
		a = failing(3, lost)
		if _, err := a.client(t).Users.Get(ctx, 1); err == nil || a.tries > 1 {
			t.Errorf("%d tries, %v", a.tries, err)
		}
	})
}

// TestDeletionWhoseAnswerWasLost checks that a deletion that is found done is done, unless it cannot have been.
func TestDeletionWhoseAnswerWasLost(t *testing.T) {
	for first, done := range map[failure]bool{lost: true, {503, ""}: true, {429, "1"}: false} {
		synctest.Test(t, func(t *testing.T) {
			a := failing(1, first)
			fail := a.answer
			a.answer = func(try int, r *http.Request) (*http.Response, error) {
				if try > 1 {
					return reply(http.StatusNotFound, `{"code":"not_found"}`)
				}
				return fail(try, r)
			}
			if err := a.client(t).Users.Delete(t.Context(), 1); (err == nil) != done || a.tries != 2 {
				t.Errorf("%+v: %v, %d tries", first, err, a.tries)
			}
		})
	}
}
