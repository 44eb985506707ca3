package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/mail/mailtest"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

type object = map[string]any

// post sends JSON and returns the status and the body.
func post(t *testing.T, url, token string, body any) (int, object) {
	t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(string(encoded)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer := object{}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

// createWebhook creates a webhook for USER_CREATED and returns the status and the body.
func createWebhook(t *testing.T, base, token, url string) (int, object) {
	t.Helper()
	return post(t, base+"/api/v2/webhooks", token, object{"url": url, "events": []string{"USER_CREATED"}})
}

// createUser creates a user who is notified by mail, and returns the id.
func createUser(t *testing.T, base, token, email string) float64 {
	t.Helper()
	code, answer := post(t, base+"/api/v2/users", token, object{
		"name": "Mary", "email": email, "password": "MySecret123",
		"active": true, "tfa": false, "groups": []int{}, "sendNotify": true,
	})
	id, ok := answer["id"].(float64)
	if code != http.StatusCreated || !ok {
		t.Fatal(code, answer)
	}
	return id
}

// hangingReceiver receives webhooks. It answers none until answerAll is called.
type hangingReceiver struct {
	*httptest.Server

	hangs   chan struct{} // a value for each request that is not answered
	arrived chan struct{} // a value for each request that is answered
	ended   chan struct{} // closed at the end of the test

	mu      sync.Mutex
	hanging bool
	users   map[float64]bool // ids of the users in the answered requests
}

func startHangingReceiver(t *testing.T) *hangingReceiver {
	t.Helper()
	r := &hangingReceiver{
		hangs: make(chan struct{}, 100), arrived: make(chan struct{}, 1000), ended: make(chan struct{}),
		hanging: true, users: map[float64]bool{},
	}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	t.Cleanup(func() { close(r.ended) })
	return r
}

func (r *hangingReceiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	if !r.take(body) {
		r.hangs <- struct{}{}
		select {
		case <-r.ended:
		case <-request.Context().Done():
		}
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	r.arrived <- struct{}{}
}

// take notes the user in a body, unless the receiver hangs.
func (r *hangingReceiver) take(body []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	var user struct{ ID float64 }
	if !r.hanging && json.Unmarshal(body, &user) == nil {
		r.users[user.ID] = true
	}
	return !r.hanging
}

func (r *hangingReceiver) answerAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hanging = false
}

// TestKilledBeforeSending checks that all messages of acknowledged changes are sent,
// although the process was killed while it held some of them and others were queued.
func TestKilledBeforeSending(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			receiver := startHangingReceiver(t)
			database := storetest.EmptyURL(t, engine)
			token := strings.Repeat("t", 32)
			env := []string{
				"DATABASE_URL=" + database, "ROSTER_ADMIN_TOKEN=" + token, "ROSTER_WEBHOOK_ALLOW_PRIVATE=127.0.0.0/8",
			}
			mails := mailtest.Start(t, mailtest.Config{})
			first := start(t, t.TempDir(), append(env, "ROSTER_SMTP_URL="+mailtest.Silent(t))...)
			if code, answer := createWebhook(t, first.base, token, receiver.URL); code != http.StatusCreated {
				t.Fatal(code, answer)
			}
			var acknowledged []float64
			const n = 12
			for i := range n { // no call waits for a receiver, which never answers
				id := createUser(t, first.base, token, fmt.Sprintf("user%d@example.com", i))
				acknowledged = append(acknowledged, id)
			}
			for range 4 { // the number of messages sent at once to a receiver
				<-receiver.hangs
			}
			if err := first.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = first.Wait()
			receiver.answerAll()

			endLeases(t, database, 2*n)
			second := start(t, t.TempDir(), append(env, "ROSTER_SMTP_URL="+mails.URL())...)
			for range n {
				<-receiver.arrived
			}
			mails.Wait(t, n)
			second.stop(t)
			receiver.mu.Lock()
			defer receiver.mu.Unlock()
			for _, id := range acknowledged {
				if !receiver.users[id] {
					t.Errorf("user %v was acknowledged and is lost", id)
				}
			}
		})
	}
}

// endLeases makes the messages that the killed process held due again, in place of
// waiting for half a minute. It checks that n messages are pending.
func endLeases(t *testing.T, databaseURL string, n int64) {
	t.Helper()
	db := storetest.Open(t, databaseURL)
	pending := delivery.Filter{States: []delivery.State{delivery.Pending}}
	messages, total, err := db.Messages(t.Context(), pending, identity.Page{Limit: 1000})
	if err != nil || total != n {
		t.Fatal(total, err)
	}
	claimed := 0
	for _, m := range messages {
		if wait := time.Until(m.DueAt); wait > 30*time.Second {
			t.Errorf("message %d is due in %s", m.ID, wait)
		} else if wait > 0 {
			claimed++
		}
		err := db.InTx(t.Context(), func(tx *store.Tx) error {
			return tx.RetryMessage(context.Background(), m, time.Now())
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if claimed == 0 {
		t.Error("the killed process held no message")
	}
}

func TestOutboxCommands(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	mails := mailtest.Start(t, mailtest.Config{})
	mails.Refuse(mailtest.StepRcpt, -1, 550, "no such mailbox")
	service := start(t, folder, "ROSTER_SMTP_URL="+mails.URL(), "ROSTER_METRICS_ADDR=127.0.0.1:0")
	createUser(t, service.base, service.token(), "mary@example.com")
	command := func(args ...string) (stdout, stderr string, ok bool) {
		t.Helper()
		return output(t, roster(t, folder, nil, append([]string{"outbox"}, args...)...))
	}
	line := regexp.MustCompile(`(?m)^1 +mail +profile_created +1 +dead +1 +\S+ +- +`)
	var list string
	for end := time.Now().Add(20 * time.Second); !line.MatchString(list); { // each command takes a process a while
		if time.Now().After(end) {
			t.Fatalf("%s\n%s", list, service.errors)
		}
		list, _, _ = command("list")
	}
	if stdout, _, ok := command("list", "--state", "pending"); !ok || strings.Count(stdout, "\n") != 1 {
		t.Error(stdout)
	}
	mails.Refuse(mailtest.StepRcpt, 0, 0, "")
	if stdout, stderr, ok := command("retry", "1"); !ok || stdout != "Message 1 is queued again.\n" {
		t.Error(stdout, stderr)
	}
	mails.Wait(t, 1)
	if _, stderr, ok := command("retry", "7"); ok || !strings.Contains(stderr, "There is no message with the id 7") {
		t.Error(stderr)
	}
	mails.Refuse(mailtest.StepRcpt, -1, 550, "no such mailbox")
	createUser(t, service.base, service.token(), "ann@example.com")
	createUser(t, service.base, service.token(), "lee@example.com")
	for args, rows := range map[string]int{
		"": 2, "--limit 1": 1, "--limit 2": 2, "--limit 3": 2, "--kind mail": 2, "--kind webhook": 0, "--webhook 1": 0,
		"--user 2": 1, "--user 1": 0,
	} {
		stdout, stderr, ok := command(append([]string{"list"}, strings.Fields(args)...)...)
		if !ok || strings.Count(stdout, "\n") != rows+1 {
			t.Errorf("%s: %s%s", args, stdout, stderr)
		}
	}
	service.stop(t)
}

// TestWebhookOfCommandLine checks that the running service sends the webhook of a
// change that the command line makes.
func TestWebhookOfCommandLine(t *testing.T) {
	t.Parallel()
	arrived := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- string(body)
	}))
	t.Cleanup(receiver.Close)
	folder := t.TempDir()
	service := start(t, folder, "ROSTER_WEBHOOK_ALLOW_PRIVATE=127.0.0.1")
	if code, answer := createWebhook(t, service.base, service.token(), receiver.URL); code != http.StatusCreated {
		t.Fatal(code, answer)
	}
	command := roster(t, folder, nil, "user", "create", "--name", "Mary", "--email", "mary@example.com")
	command.Stdin = strings.NewReader("MySecret123\n")
	if stdout, stderr, ok := output(t, command); !ok {
		t.Fatal(stdout, stderr)
	}
	if body := <-arrived; !strings.HasPrefix(body, `{"id":1,"signin":"`) {
		t.Error(body)
	}
	service.stop(t)
	// Without the setting, an address of this host is refused.
	other := start(t, t.TempDir())
	code, answer := createWebhook(t, other.base, other.token(), receiver.URL)
	if code != http.StatusBadRequest || !strings.Contains(fmt.Sprint(answer), "address_not_public") {
		t.Error(code, answer)
	}
	other.stop(t)
}
