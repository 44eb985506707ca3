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

// post sends JSON and returns the status and the body.
func post(t *testing.T, url, token string, body any) (int, map[string]any) {
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
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer := map[string]any{}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

// TestKilledBeforeSending: what was acknowledged is told, although the process was
// killed before it could, with some messages in hand and some in the queue.
func TestKilledBeforeSending(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			hanging, got := true, map[float64]bool{}
			hangs, over := make(chan struct{}, 100), make(chan struct{})
			t.Cleanup(func() { close(over) })
			arrived := make(chan struct{}, 1000)
			receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				mu.Lock()
				defer mu.Unlock()
				if hanging {
					hangs <- struct{}{}
					mu.Unlock()
					select {
					case <-over:
					case <-r.Context().Done():
					}
					mu.Lock()
					w.WriteHeader(http.StatusInternalServerError)
					return
				}
				var user struct{ ID float64 }
				if json.Unmarshal(body, &user) == nil {
					got[user.ID] = true
				}
				arrived <- struct{}{}
			}))
			t.Cleanup(receiver.Close)

			database := storetest.EmptyURL(t, engine)
			token := strings.Repeat("t", 32)
			env := []string{"DATABASE_URL=" + database, "ROSTER_ADMIN_TOKEN=" + token, "ROSTER_WEBHOOK_ALLOW_PRIVATE=127.0.0.0/8"}
			mails := mailtest.Start(t, mailtest.Config{})
			first := start(t, t.TempDir(), append(env, "ROSTER_SMTP_URL="+mailtest.Silent(t))...)
			if code, answer := post(t, first.base+"/api/v2/webhooks", token, map[string]any{"url": receiver.URL, "events": []string{"USER_CREATED"}}); code != http.StatusCreated {
				t.Fatal(code, answer)
			}
			acknowledged := map[float64]bool{}
			const n = 12
			for i := range n {
				begun := time.Now()
				code, answer := post(t, first.base+"/api/v2/users", token, map[string]any{
					"name": "Mary", "email": fmt.Sprintf("user%d@example.com", i), "password": "MySecret123", "active": true, "tfa": false, "groups": []int{}, "sendNotify": true,
				})
				if code != http.StatusCreated || time.Since(begun) > 3*time.Second {
					t.Fatal(code, answer, time.Since(begun))
				}
				id, _ := answer["id"].(float64)
				acknowledged[id] = true
			}
			for range 4 { // as many as there are in hand at once
				<-hangs
			}
			if err := first.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = first.Wait()
			mu.Lock()
			hanging = false
			mu.Unlock()

			endLeases(t, database)
			second := start(t, t.TempDir(), append(env, "ROSTER_SMTP_URL="+mails.URL())...)
			for range n {
				<-arrived
			}
			mails.Wait(t, n)
			second.stop(t)
			mu.Lock()
			defer mu.Unlock()
			for id := range acknowledged {
				if !got[id] {
					t.Errorf("user %v was acknowledged and is lost", id)
				}
			}
		})
	}
}

// endLeases is half a minute of waiting: what the dead process had in hand is due
// again. It was all kept, and nothing of it is done.
func endLeases(t *testing.T, databaseURL string) {
	t.Helper()
	db := storetest.Open(t, databaseURL)
	messages, total, err := db.Messages(t.Context(), delivery.Filter{States: []delivery.State{delivery.Pending}}, identity.Page{Limit: 1000})
	if err != nil || total != 24 {
		t.Fatal(total, err)
	}
	claimed := 0
	for _, m := range messages {
		if wait := time.Until(m.DueAt); wait > 30*time.Second {
			t.Errorf("message %d is due in %s", m.ID, wait)
		} else if wait > 0 {
			claimed++
		}
		if err := db.InTx(t.Context(), func(tx *store.Tx) error { return tx.RetryMessage(context.Background(), m, time.Now()) }); err != nil {
			t.Fatal(err)
		}
	}
	if claimed == 0 {
		t.Error("nothing was in hand")
	}
}

func TestOutboxCommands(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	mails := mailtest.Start(t, mailtest.Config{})
	mails.Refuse(mailtest.StepRcpt, -1, 550, "no such mailbox")
	service := start(t, folder, "ROSTER_SMTP_URL="+mails.URL(), "ROSTER_METRICS_ADDR=127.0.0.1:0")
	code, answer := post(t, service.base+"/api/v2/users", service.token(), map[string]any{
		"name": "Mary", "email": "mary@example.com", "password": "MySecret123", "active": true, "tfa": false, "groups": []int{}, "sendNotify": true,
	})
	if code != http.StatusCreated {
		t.Fatal(code, answer)
	}
	line := regexp.MustCompile(`(?m)^1 +mail +profile_created +1 +dead +1 +\S+ +- +`)
	var list string
	for end := time.Now().Add(20 * time.Second); !line.MatchString(list); { // each look takes a process a while
		if time.Now().After(end) {
			t.Fatalf("%s\n%s", list, service.errors)
		}
		list, _, _ = output(t, roster(t, folder, nil, "outbox", "list"))
	}
	if stdout, _, ok := output(t, roster(t, folder, nil, "outbox", "list", "--state", "pending")); !ok || strings.Count(stdout, "\n") != 1 {
		t.Error(stdout)
	}
	mails.Refuse(mailtest.StepRcpt, 0, 0, "")
	if stdout, stderr, ok := output(t, roster(t, folder, nil, "outbox", "retry", "1")); !ok || stdout != "Message 1 is on its way again.\n" {
		t.Error(stdout, stderr)
	}
	mails.Wait(t, 1)
	if _, stderr, ok := output(t, roster(t, folder, nil, "outbox", "retry", "7")); ok || !strings.Contains(stderr, "There is no message with the id 7") {
		t.Error(stderr)
	}
	service.stop(t)
}

// TestCommandLineIsTold: what the command line changes, the running service tells.
func TestCommandLineIsTold(t *testing.T) {
	t.Parallel()
	arrived := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- string(body)
	}))
	t.Cleanup(receiver.Close)
	folder := t.TempDir()
	service := start(t, folder, "ROSTER_WEBHOOK_ALLOW_PRIVATE=127.0.0.1")
	if code, answer := post(t, service.base+"/api/v2/webhooks", service.token(), map[string]any{"url": receiver.URL, "events": []string{"USER_CREATED"}}); code != http.StatusCreated {
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
	code, answer := post(t, other.base+"/api/v2/webhooks", other.token(), map[string]any{"url": receiver.URL, "events": []string{"USER_CREATED"}})
	if code != http.StatusBadRequest || !strings.Contains(fmt.Sprint(answer), "address_not_public") {
		t.Error(code, answer)
	}
	other.stop(t)
}
