package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/pgtest"
	"github.com/rosterhq/roster/internal/store/storetest"
	"github.com/rosterhq/roster/pkg/client"
	"github.com/rosterhq/roster/pkg/webhooksig"
)

// TestRestore backs up a Roster in use and restores it with the commands of
// docs/operating.md as they are printed there. What was acknowledged before the backup
// is there, what was delivered is not sent again, and what was not delivered is sent.
func TestRestore(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			folder, receiver := t.TempDir(), startRefusingReceiver(t)
			env := []string{"ROSTER_SECRET_KEY=" + strings.Repeat("5e", 32), "ROSTER_WEBHOOK_ALLOW_PRIVATE=127.0.0.0/8"}
			oldEnv, newEnv := env, env
			commands := commandsOf(t, "SQLite")
			if engine == "postgres" {
				commands = commandsOf(t, "PostgreSQL")
				oldEnv = append(slices.Clip(env), "DATABASE_URL="+pgtest.New(t))
				newEnv = append(slices.Clip(env), "DATABASE_URL="+pgtest.New(t))
			}

			service := start(t, folder, oldEnv...)
			before := fill(t, service, receiver)
			shell(t, folder, oldEnv, commands[0])
			before.changeAfterBackup(t)
			if err := service.Process.Kill(); err != nil { // the host is lost, and a SQLite log is left
				t.Fatal(err)
			}
			_ = service.Wait()

			shell(t, folder, newEnv, commands[1])
			receiver.refuses.Store(false)
			restored := start(t, folder, newEnv...)
			before.check(t, restored)
			if id := receiver.next(t); id != before.undelivered {
				t.Errorf("message %s is sent, want %s, which was not delivered at the backup", id, before.undelivered)
			}
			createMary(t, clientOf(t, restored, before.admin), "restored@example.com") // ids go on
			receiver.next(t)
			restored.stop(t)
			receiver.check(t, before)
		})
	}
}

// commandsOf returns the commands that docs/operating.md has for a database: to back it
// up and to restore it.
func commandsOf(t *testing.T, database string) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n**"+database+"**")
	section, _, _ = strings.Cut(section, "\n**")
	commands := regexp.MustCompile(`(?m)(?:^    .*\n)+`).FindAllString(section, 2)
	if len(commands) != 2 {
		t.Fatalf("%s has %d blocks of commands in docs/operating.md, not two", database, len(commands))
	}
	return commands
}

// shell runs commands in a folder, with this program as roster and the programs of the
// PostgreSQL under test. Without pg_dump it skips the test or, where PostgreSQL is
// required, fails.
func shell(t *testing.T, folder string, env []string, commands string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "roster")); err != nil {
		t.Fatal(err)
	}
	path := bin + ":" + os.Getenv("PATH")
	if strings.Contains(commands, "pg_") {
		if programs := pgtest.Programs(t); programs != "" {
			path = programs + ":" + path
		}
		check := exec.CommandContext(t.Context(), "sh", "-c", "command -v pg_dump pg_restore")
		check.Env = []string{"PATH=" + path}
		if err := check.Run(); err != nil {
			if os.Getenv("CI") != "" || os.Getenv("REQUIRE_POSTGRES") != "" {
				t.Fatal("there is no pg_dump or pg_restore")
			}
			t.Skip("there is no pg_dump or pg_restore")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "sh", "-euxc", commands)
	command.Dir = folder
	command.Env = append([]string{"TEST_RUN_ROSTER=1", "PATH=" + path}, env...)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// A refusingReceiver receives webhooks and refuses or accepts them.
type refusingReceiver struct {
	*httptest.Server

	refuses  atomic.Bool
	accepted chan string // the id of each message that is accepted

	mu       sync.Mutex
	received []received
}

type received struct {
	id     string
	header http.Header
	body   []byte
}

func startRefusingReceiver(t *testing.T) *refusingReceiver {
	t.Helper()
	r := &refusingReceiver{accepted: make(chan string, 100)}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *refusingReceiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	if r.refuses.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	id := request.Header.Get(webhooksig.HeaderID)
	r.mu.Lock()
	r.received = append(r.received, received{id, request.Header, body})
	r.mu.Unlock()
	r.accepted <- id
}

// next returns the id of the next message that is accepted.
func (r *refusingReceiver) next(t *testing.T) string {
	t.Helper()
	select {
	case id := <-r.accepted:
		return id
	case <-time.After(time.Minute):
		t.Fatal("no message comes")
		return ""
	}
}

// check checks that each message was accepted once, with the signature of the secret
// that the webhook got before the backup.
func (r *refusingReceiver) check(t *testing.T, want *contents) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := map[string]int{}
	for _, m := range r.received {
		ids[m.id]++
		if err := (webhooksig.Verifier{Secrets: []string{want.webhook.Secret}}).Standard(m.header, m.body); err != nil {
			t.Errorf("message %s: %v", m.id, err)
		}
	}
	if len(r.received) != 3 || len(ids) != 3 || ids[want.delivered] != 1 || ids[want.undelivered] != 1 {
		t.Errorf("accepted messages: %v; %s came before the backup", ids, want.delivered)
	}
}

// contents is what a Roster holds at its backup.
type contents struct {
	c                      *client.Client
	admin                  string
	users                  []client.User
	webhook                client.Webhook
	token, revoked         client.ServiceToken
	delivered, undelivered string // ids of messages, as the receiver sees them
}

func clientOf(t *testing.T, service *running, token string) *client.Client {
	t.Helper()
	c, err := client.New(service.base, client.Token(token))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fill creates users, tokens and a webhook with one delivered and one refused message.
func fill(t *testing.T, service *running, receiver *refusingReceiver) *contents {
	t.Helper()
	w := &contents{admin: service.token()}
	w.c = clientOf(t, service, w.admin)
	for i := range 20 {
		createMary(t, w.c, fmt.Sprintf("mary%d@example.com", i))
	}
	var err error
	w.webhook, err = w.c.Webhooks.Create(t.Context(), client.WebhookCreate{
		URL: receiver.URL, Events: []string{"USER_CREATED"}, Format: "v2",
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]*client.ServiceToken{"CI": &w.token, "revoked": &w.revoked} {
		*token, err = w.c.Tokens.Create(t.Context(), client.TokenCreate{Name: name, Permissions: []string{"users.view"}})
		if err != nil {
			t.Fatal(err)
		}
	}
	createMary(t, w.c, "delivered@example.com")
	w.delivered = receiver.next(t)
	w.await(t, func(d client.Delivery) bool { return d.State == "done" })
	receiver.refuses.Store(true)
	createMary(t, w.c, "undelivered@example.com")
	refused := w.await(t, func(d client.Delivery) bool { return d.State == "pending" && d.StatusCode != 0 })
	w.undelivered = fmt.Sprint(refused.ID)
	w.users = users(t, w.c)
	return w
}

func createMary(t *testing.T, c *client.Client, email string) {
	t.Helper()
	_, err := c.Users.Create(t.Context(), client.UserCreate{
		Name: "Mary", Email: email, Password: "MySecret123", Active: true, Groups: []int64{1},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func users(t *testing.T, c *client.Client) []client.User {
	t.Helper()
	users, err := client.Collect(c.Users.List(t.Context(), client.UserList{}))
	if err != nil {
		t.Fatal(err)
	}
	return users
}

// await returns the latest delivery of the webhook once it is as wanted.
func (w *contents) await(t *testing.T, wanted func(client.Delivery) bool) client.Delivery {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		for latest, err := range w.c.Webhooks.Deliveries(t.Context(), w.webhook.ID, client.DeliveryList{Size: 1}) {
			if err != nil {
				t.Fatal(err)
			}
			if wanted(latest) {
				return latest
			}
			break
		}
		<-tick.C
	}
}

// changeAfterBackup makes changes that the backup does not have.
func (w *contents) changeAfterBackup(t *testing.T) {
	t.Helper()
	createMary(t, w.c, "later@example.com")
	if err := w.c.Users.Delete(t.Context(), w.users[len(w.users)-1].ID); err != nil {
		t.Fatal(err)
	}
	if err := w.c.Tokens.Delete(t.Context(), w.revoked.ID); err != nil {
		t.Fatal(err)
	}
}

// check checks that a restored Roster has the users, passwords and tokens that it had
// at the backup.
func (w *contents) check(t *testing.T, restored *running) {
	t.Helper()
	c := clientOf(t, restored, w.admin)
	if diff := cmp.Diff(w.users, users(t, c)); diff != "" {
		t.Errorf("users (-before +after):\n%s", diff)
	}
	code, answer := post(t, restored.base+"/api/v2/signin", "", object{"email": w.users[0].Email, "password": "MySecret123"})
	if code != http.StatusOK {
		t.Errorf("a sign-in: %d %v", code, answer)
	}
	for _, token := range []client.ServiceToken{w.token, w.revoked} {
		if got := status(t, restored.base+"/api/v2/users", token.Secret); got != http.StatusOK {
			t.Errorf("the token %s: %d", token.Name, got)
		}
	}
}
