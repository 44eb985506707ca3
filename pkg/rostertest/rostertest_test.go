package rostertest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rosterhq/roster/pkg/client"
	"github.com/rosterhq/roster/pkg/rostertest"
	"github.com/rosterhq/roster/pkg/webhooksig"
)

// TestMain checks that nothing is left of any Roster.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var newYear = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// TestNewcomerIsShort holds the example to 30 lines.
func TestNewcomerIsShort(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("newcomer_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, body, found := strings.Cut(string(content), "func TestNewcomer(")
	if lines := strings.Count(body, "\n"); !found || lines > 30 || lines < 10 {
		t.Errorf("%d lines", lines)
	}
}

// TestTogether checks that several Rosters of one process share nothing.
func TestTogether(t *testing.T) {
	t.Parallel()
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			r := rostertest.Start(t, rostertest.Clock(newYear))
			r.Advance(time.Duration(i) * time.Hour)
			if user := r.CreateUser(t, "mary@example.com"); user.ID != 1 ||
				!user.CreateTime.Equal(newYear.Add(time.Duration(i)*time.Hour)) {
				t.Errorf("%+v", user)
			}
			r.CreateUser(t, fmt.Sprintf("user%d@example.com", i), func(u *client.UserCreate) { u.SendNotify = true })
			if mail := r.Mail(t, fmt.Sprintf("user%d@example.com", i)); mail.N != 1 {
				t.Errorf("%+v", mail)
			}
		})
	}
}

// TestSeedAndFactor checks that what a file has exists, that its tokens and secrets are told, and
// that a user of the file signs in with the authenticator as often as a test wants.
func TestSeedAndFactor(t *testing.T) {
	t.Parallel()
	r := rostertest.Start(t, rostertest.Seed("testdata/seed.yaml"), rostertest.Clock(newYear))
	for range 3 {
		session := r.SignIn(t, "mary@example.com", rostertest.Password, "JBSWY3DPEHPK3PXP")
		if me, err := session.Users.Get(t.Context(), client.Me); err != nil || me.Name != "Mary" || len(me.Groups) != 1 {
			t.Errorf("%+v, %v", me, err)
		}
	}
	if now := r.Now(); !now.Equal(newYear.Add(time.Minute)) {
		t.Errorf("%s: three codes take two steps of the clock", now)
	}
	shop := r.As(r.Tokens["shop"])
	if n, err := shop.Users.Count(t.Context(), client.UserList{}); err != nil || n.Total != 1 {
		t.Errorf("%+v, %v", n, err)
	}
	if r.Secrets["https://shop.example/hook"] == "" {
		t.Errorf("%v", r.Secrets)
	}
}

// TestReset checks that a reset takes everything back to the start, and that the same calls give
// the same afterwards.
func TestReset(t *testing.T) {
	t.Parallel()
	r := rostertest.Start(t, rostertest.Seed("testdata/seed.yaml"), rostertest.Clock(newYear))
	create := func() string {
		r.Advance(time.Minute)
		token, err := r.Client.Tokens.Create(t.Context(), client.TokenCreate{Name: "one"})
		if err != nil {
			t.Fatal(err)
		}
		user := r.CreateUser(t, "ann@example.com", func(u *client.UserCreate) { u.Password, u.Invite = "", true })
		return fmt.Sprint(token, user, r.Mail(t, "ann@example.com"))
	}
	first := create()
	r.SetFaults(rostertest.Faults{SMTP: "down", Webhooks: "hang"})
	r.Reset()
	if now := r.Now(); !now.Equal(newYear) {
		t.Error(now)
	}
	if again := create(); again != first {
		t.Errorf("first\n%s\nthen\n%s", first, again)
	}
}

// TestFaults checks that what goes wrong looks as it does on a server, and that what could not be
// sent is sent when the clock has moved on.
func TestFaults(t *testing.T) {
	t.Parallel()
	r := rostertest.Start(t, rostertest.Clock(newYear))
	hook := r.Webhook(t, "USER_CREATED")
	r.SetFaults(rostertest.Faults{SMTP: "down", Webhooks: "hang"})
	mary := r.CreateUser(t, "mary@example.com", func(u *client.UserCreate) { u.SendNotify = true })
	await(t, r, func(messages string) bool { return strings.Contains(messages, "refused the connection") })
	if post := hook.Next(t); post.Status != 0 || post.Error != "the receiver hangs" {
		t.Errorf("%+v", post)
	}
	r.Advance(11 * time.Second) // longer than a receiver may take
	r.SetFaults(rostertest.Faults{Database: 2})
	for i := range 3 {
		_, err := r.Client.Users.Get(t.Context(), mary.ID)
		if isAway := strings.Contains(fmt.Sprint(err), "database_unavailable"); isAway != (i < 2) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	await(t, r, func(messages string) bool { return strings.Contains(messages, "no complete answer") })
	r.Advance(time.Minute)
	r.Mail(t, "mary@example.com")
	if post := hook.Next(t); post.Status != http.StatusNoContent {
		t.Errorf("%+v", post)
	}
}

// await waits until the messages that have not arrived are as they should be.
func await(t *testing.T, r *rostertest.Roster, is func(messages string) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	messages := ""
	for !is(messages) {
		messages = ""
		for message, err := range r.Client.Outbox.List(ctx, client.DeliveryList{}) {
			if err != nil {
				t.Fatalf("%v: %s", err, messages)
			}
			messages += fmt.Sprintln(message)
		}
	}
}

// TestReceiver checks that a receiver on this machine gets what a webhook tells, with a signature
// that is right by the clock of the double, and wrong by that of the machine.
func TestReceiver(t *testing.T) {
	t.Parallel()
	r := rostertest.Start(t, rostertest.Clock(newYear))
	got := make(chan error, 2)
	secret := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		key := <-secret
		got <- webhooksig.Verifier{Secrets: []string{key}, Now: r.Now}.Standard(request.Header, body)
		got <- webhooksig.Verifier{Secrets: []string{key}}.Standard(request.Header, body)
	}))
	t.Cleanup(receiver.Close)
	create := client.WebhookCreate{URL: receiver.URL, Events: []string{"USER_CREATED"}}
	hook, err := r.Client.Webhooks.Create(t.Context(), create)
	if err != nil {
		t.Fatal(err)
	}
	secret <- hook.Secret
	r.Advance(1000 * time.Hour)
	r.CreateUser(t, "mary@example.com")
	if err := <-got; err != nil {
		t.Error(err)
	}
	if err := <-got; err == nil {
		t.Error("the time of the machine is the right one")
	}
}

// TestThrottled checks that guesses are limited only where that is asked for.
func TestThrottled(t *testing.T) {
	t.Parallel()
	for _, options := range [][]rostertest.Option{nil, {rostertest.Throttled()}} {
		r := rostertest.Start(t, options...)
		r.CreateUser(t, "mary@example.com")
		var err error
		for range 8 {
			_, err = r.As("").Sessions.SignIn(t.Context(), "mary@example.com", "wrong")
		}
		if limited := strings.Contains(fmt.Sprint(err), "too_many_attempts"); limited != (options != nil) {
			t.Errorf("%v", err)
		}
	}
}

// TestSameAgain checks that the same calls get the same answers and mails, byte by byte, from
// two Rosters with one clock.
func TestSameAgain(t *testing.T) {
	t.Parallel()
	if first, second := record(t), record(t); first != second {
		t.Errorf("first\n%s\nsecond\n%s", first, second)
	}
}

// record returns what a Roster answers and sends, without its port.
func record(t *testing.T) string {
	t.Helper()
	r := rostertest.Start(t, rostertest.Seed("testdata/seed.yaml"), rostertest.Clock(newYear))
	var all bytes.Buffer
	call := func(method, path, body string) {
		request, err := http.NewRequestWithContext(t.Context(), method, r.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+r.Token)
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		response.Header.Del("Date")
		_ = response.Header.Write(&all)
		_, _ = io.Copy(&all, response.Body)
	}
	const user = `{"name":"Ann","email":"ann@example.com","active":true,"tfa":true,"groups":[1],`
	call(http.MethodPost, "/api/v2/users", user+`"invite":true}`)
	fmt.Fprintln(&all, r.Mail(t, "ann@example.com"))
	call(http.MethodPost, "/api/v2/password/forgot", `{"email":"ann@example.com"}`)
	fmt.Fprintln(&all, r.Mail(t, "ann@example.com"))
	call(http.MethodPost, "/api/v2/users", strings.ReplaceAll(user, "ann@", "bo@")+`"password":"`+rostertest.Password+`"}`)
	call(http.MethodPost, "/api/v2/signin", `{"email":"bo@example.com","password":"`+rostertest.Password+`"}`)
	fmt.Fprintln(&all, r.Mail(t, "bo@example.com"))
	call(http.MethodPost, "/api/v2/tokens", `{"name":"x","permissions":["users.view"]}`)
	call(http.MethodPost, "/api/v2/webhooks", `{"url":"https://x.example/","events":["USER_CREATED"]}`)
	call(http.MethodGet, "/api/v2/events", "")
	call(http.MethodGet, "/api/v2/groups", "")
	http.DefaultClient.CloseIdleConnections()
	_, port, _ := strings.Cut(strings.TrimPrefix(r.URL, "http://"), ":")
	return fmt.Sprintln(r.Token, r.Tokens, r.Secrets) + strings.ReplaceAll(all.String(), port, "PORT")
}
