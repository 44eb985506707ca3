package outbox_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/mail"
	"github.com/rosterhq/roster/internal/mail/mailtest"
	"github.com/rosterhq/roster/internal/outbox"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

type changes = map[string]any

// TestRetries checks that a failed delivery is repeated with growing waits for three days, and after
// that on request.
func TestRetries(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		receiver := apitest.NewReceiver(t)
		receiver.Answer(http.StatusServiceUnavailable)
		path, _ := s.CreateWebhook(receiver.URL)
		id := s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted).ID()
		start := s.Clock.Now()
		attempt := 0
		var message delivery.Message
		for {
			s.Send()
			attempt++
			if got := len(receiver.Take()); got != 1 {
				t.Fatalf("attempt %d: %d deliveries", attempt, got)
			}
			var err error
			if message, err = s.Store.Message(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			if message.State != delivery.Pending {
				break
			}
			wait := message.DueAt.Sub(s.Clock.Now())
			least, _ := delivery.RetryAfter(attempt, 0)
			most, _ := delivery.RetryAfter(attempt, 1)
			if message.Attempts != attempt || wait < least || wait > most {
				t.Fatalf("attempt %d (%d): waits %s, want %s to %s", attempt, message.Attempts, wait, least, most)
			}
			s.Clock.Advance(wait - time.Microsecond)
			s.Send() // a moment too early
			if got := receiver.Take(); len(got) != 0 {
				t.Fatalf("attempt %d: too early", attempt)
			}
			s.Clock.Advance(time.Microsecond)
		}
		days := s.Clock.Now().Sub(start).Hours() / 24
		if message.State != delivery.Dead || days < 2.4 || days > 3.6 {
			t.Errorf("%s after %f days", message.State, days)
		}
		s.Do(http.MethodPost, fmt.Sprintf("%s/%d/retry", apitest.OutboxPath, id), nil).Want(http.StatusAccepted)
		s.Send()
		if message, err := s.Store.Message(t.Context(), id); err != nil || message.State != delivery.Pending ||
			message.Attempts != 1 {
			t.Errorf("%+v %v", message, err)
		}
		receiver.Answer(http.StatusOK)
		s.Clock.Advance(time.Minute)
		s.Send()
		if log := s.Deliveries(path, ""); log[0]["state"] != "done" || log[0]["attempts"] != 2.0 ||
			log[0]["lastError"] != nil {
			t.Errorf("%v", log)
		}
	})
}

// TestOrphans checks that a message whose webhook is deleted ends as dead.
func TestOrphans(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		var id int64
		err := s.Store.InTx(t.Context(), func(tx *store.Tx) (err error) {
			id, err = tx.Enqueue(t.Context(),
				delivery.Message{To: delivery.ToWebhook(99), Payload: "{}", CreatedAt: s.Clock.Now()})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Send()
		if m, err := s.Store.Message(t.Context(), id); err != nil || m.State != delivery.Dead ||
			m.LastError != "the webhook has been deleted" {
			t.Errorf("%+v %v", m, err)
		}
	})
}

// run runs a worker until stop is called or the test ends.
func run(t *testing.T, worker *outbox.Worker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { worker.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return stop
}

// TestSlowReceiversDelayNobody checks that requests, mails and other receivers go on while one
// receiver and then the mail server hang, and that messages are released when the process ends.
func TestSlowReceiversDelayNobody(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		slow, quick := apitest.NewReceiver(t), apitest.NewReceiver(t)
		release := make(chan struct{})
		t.Cleanup(sync.OnceFunc(func() { close(release) }))
		hangs := make(chan struct{}, 100)
		slow.Handle(func(_ http.ResponseWriter, r *http.Request) {
			hangs <- struct{}{}
			select {
			case <-release:
			case <-r.Context().Done():
			}
		})
		arrived := make(chan struct{}, 100)
		quick.Handle(func(w http.ResponseWriter, _ *http.Request) {
			arrived <- struct{}{}
			w.WriteHeader(http.StatusOK)
		})
		slowPath, _ := s.CreateWebhook(slow.URL)
		s.CreateWebhook(quick.URL)
		mails := make(chan delivery.Mail, 100)
		mailing := make(chan struct{}, 100)
		stop := run(t, s.NewWorker(func(ctx context.Context, m delivery.Mail) error {
			if m.To == "hang@example.com" {
				mailing <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			}
			mails <- m
			return nil
		}))
		const n = 10
		for i := range n {
			s.CreateUser(fmt.Sprintf("user%d@example.com", i), changes{"sendNotify": true})
		}
		<-hangs
		for range n {
			<-arrived
			<-mails
		}
		s.CreateUser("hang@example.com", changes{"sendNotify": true})
		<-mailing
		<-arrived
		stop()
		for _, delivery := range s.Deliveries(slowPath, "") {
			if delivery["state"] != "pending" || delivery["attempts"] != 0.0 {
				t.Errorf("%v", delivery)
			}
		}
		pending, total, err := s.Store.Messages(t.Context(), delivery.Filter{To: delivery.ToMail()},
			identity.Page{Limit: 10})
		if err != nil || total != 1 || pending[0].Attempts != 0 || pending[0].DueAt.After(s.Clock.Now()) {
			t.Errorf("%+v %v", pending, err)
		}
	})
}

// TestLease checks that a message of a stuck process is sent by another one after the lease ends, and
// not before.
func TestLease(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		receiver := apitest.NewReceiver(t)
		path, _ := s.CreateWebhook(receiver.URL)
		s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted)
		hung, over := make(chan struct{}), make(chan struct{})
		receiver.Handle(func(w http.ResponseWriter, _ *http.Request) {
			close(hung)
			<-over
			w.WriteHeader(http.StatusOK)
		})
		stuck := s.NewWorker(nil)
		var first sync.WaitGroup
		first.Go(func() { stuck.Once(t.Context()) })
		<-hung
		receiver.Answer(http.StatusOK)
		s.Send()
		s.Clock.Advance(4 * time.Second)
		s.Send()
		if got := receiver.Take(); len(got) != 1 {
			t.Errorf("within the lease: %d", len(got))
		}
		s.Clock.Advance(time.Second)
		s.Send()
		if got := receiver.Take(); len(got) != 1 {
			t.Errorf("after the lease: %d", len(got))
		}
		close(over)
		first.Wait()
		if log := s.Deliveries(path, ""); len(log) != 1 || log[0]["state"] != "done" || log[0]["attempts"] != 2.0 {
			t.Errorf("%v", log)
		}
	})
}

// TestLedger checks, with two instances and receivers that often fail, that exactly the acknowledged
// changes arrive, and that no message is sent twice at the same time.
func TestLedger(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := storetest.URL(t, engine)
			one := apitest.New(t, url)
			two := apitest.NewOn(t, storetest.Open(t, url), one.Clock)

			var mu sync.Mutex
			arrived, onTheWay := map[string]int{}, map[string]bool{}
			receiver := apitest.NewReceiver(t)
			receiver.Handle(func(w http.ResponseWriter, r *http.Request) {
				id := r.Header.Get("webhook-id")
				mu.Lock()
				twice := onTheWay[id]
				onTheWay[id] = true
				fails := rand.IntN(4) == 0
				mu.Unlock()
				if twice {
					t.Errorf("message %s is on its way twice", id)
				}
				mu.Lock()
				defer mu.Unlock()
				delete(onTheWay, id)
				if fails {
					w.WriteHeader(http.StatusBadGateway)
					return
				}
				arrived[id]++
			})
			one.CreateWebhook(receiver.URL, changes{"format": "v2"})

			acknowledged := map[string]int{}
			var changing sync.WaitGroup
			for i, s := range []*apitest.Server{one, two} {
				changing.Go(func() {
					for j := range 30 {
						user := s.CreateUser(fmt.Sprintf("user%d-%d@example.com", i, j))
						mine := []string{fmt.Sprint("USER_CREATED ", user)}
						s.Do(http.MethodPatch, apitest.UserPath(user), changes{"name": "Ann"}).Want(http.StatusOK)
						mine = append(mine, fmt.Sprint("USER_UPDATED ", user))
						s.Do(http.MethodPost, apitest.UsersPath,
							apitest.NewUser(fmt.Sprintf("user%d-%d@example.com", i, j))).Want(http.StatusConflict)
						if j%3 == 0 {
							s.Do(http.MethodDelete, apitest.UserPath(user), nil).Want(http.StatusNoContent)
							mine = append(mine, fmt.Sprint("USER_DELETED ", user))
						}
						mu.Lock()
						for _, change := range mine {
							acknowledged[change]++
						}
						mu.Unlock()
					}
				})
			}
			sendBoth := func() {
				var sending sync.WaitGroup
				sending.Go(one.Send)
				sending.Go(two.Send)
				sending.Wait()
			}
			for range 3 { // also while there are changes
				sendBoth()
			}
			changing.Wait()
			for round := 0; ; round++ {
				sendBoth()
				backlog, err := one.Store.Backlog(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if len(backlog) == 0 {
					break
				}
				if round > 50 {
					t.Fatalf("still %+v", backlog)
				}
				one.Clock.Advance(4 * time.Hour)
			}
			got := map[string]int{}
			ids := map[string]bool{}
			for _, d := range receiver.Take() {
				id := d.Header.Get("webhook-id")
				if arrived[id] != 1 {
					t.Errorf("message %s arrived %d times", id, arrived[id])
				}
				if ids[id] {
					continue // a repetition
				}
				ids[id] = true
				body := d.Object(t)
				got[fmt.Sprint(body["type"], " ", body["user"].(map[string]any)["id"])]++
			}
			if diff := cmp.Diff(acknowledged, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestMailServers checks that users are created whatever the mail server does, and that the mail
// arrives once it can.
func TestMailServers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		sender := func(url string) *outbox.Worker {
			sender, err := mail.New(mail.Config{URL: url, From: "roster@example.com"})
			if err != nil {
				t.Fatal(err)
			}
			return s.NewWorker(sender.Send)
		}
		server := mailtest.Start(t, mailtest.Config{})
		worker := sender(server.URL())
		state := func() string {
			t.Helper()
			messages, _, err := s.Store.Messages(t.Context(), delivery.Filter{To: delivery.ToMail()},
				identity.Page{Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			texts := make([]string, len(messages))
			for i, m := range messages {
				texts[i] = fmt.Sprint(m.State, m.Attempts)
			}
			return strings.Join(texts, " ")
		}
		// Absent, then back.
		s.CreateUser("mary@example.com", changes{"sendNotify": true})
		sender(mailtest.Absent(t)).Once(t.Context())
		if got := state(); got != "pending1" {
			t.Errorf("absent: %s", got)
		}
		// For the moment, at each step.
		for i, step := range []mailtest.Step{mailtest.StepMail, mailtest.StepRcpt, mailtest.StepData} {
			server.Refuse(step, 1, 451, "try later")
			s.Clock.Advance(time.Hour)
			worker.Once(t.Context())
			if got, want := state(), fmt.Sprint("pending", i+2); got != want {
				t.Errorf("%s: %s, want %s", step, got, want)
			}
		}
		s.Clock.Advance(time.Hour)
		worker.Once(t.Context())
		if got := server.Messages(); state() != "" || len(got) != 1 || got[0].To[0] != "mary@example.com" ||
			got[0].Subject() != "Your profile in Roster" ||
			!strings.Contains(got[0].Text, apitest.BaseURL) || !strings.Contains(got[0].HTML, apitest.BaseURL) {
			t.Errorf("%s %+v", state(), got)
		}
		// For good.
		server.Refuse(mailtest.StepRcpt, -1, 550, "no such mailbox")
		s.CreateUser("nobody@example.com", changes{"sendNotify": true})
		worker.Once(t.Context())
		if got := state(); got != "dead1" {
			t.Errorf("refused: %s", got)
		}
		server.Refuse(mailtest.StepRcpt, 0, 0, "")

		// One that hangs: webhooks go on, and at the end the mail is given back.
		receiver := apitest.NewReceiver(t)
		arrived := make(chan struct{}, 1)
		receiver.Handle(func(http.ResponseWriter, *http.Request) { arrived <- struct{}{} })
		s.CreateWebhook(receiver.URL)
		stop := run(t, sender(mailtest.Silent(t)))
		s.CreateUser("late@example.com", changes{"sendNotify": true})
		<-arrived
		stop()
		if got := state(); got != "pending0 dead1" {
			t.Errorf("hanging: %s", got)
		}
		worker.Once(t.Context())
		if got := server.Messages(); len(got) != 2 || got[1].To[0] != "late@example.com" {
			t.Errorf("%+v", got)
		}
	})
}

func TestOutboxMetrics(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		figures := func() map[string]float64 {
			t.Helper()
			registry := prometheus.NewPedanticRegistry()
			registry.MustRegister(s.OutboxMetrics())
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			all := map[string]float64{}
			for _, family := range families {
				for _, metric := range family.GetMetric() {
					name := strings.TrimPrefix(family.GetName(), "roster_outbox_")
					for _, label := range metric.GetLabel() {
						name += " " + label.GetValue()
					}
					if value := metric.GetGauge().GetValue() + metric.GetCounter().GetValue(); value != 0 {
						all[name] = value
					}
				}
			}
			return all
		}
		if got := figures(); len(got) != 0 {
			t.Errorf("%v", got)
		}
		receiver := apitest.NewReceiver(t)
		s.CreateWebhook(receiver.URL)
		s.CreateUser("a@example.com", changes{"sendNotify": true})
		s.Clock.Advance(time.Minute)
		s.CreateUser("b@example.com")
		want := map[string]float64{
			"messages mail pending": 1, "messages webhook pending": 2, "oldest_pending_seconds mail": 60,
			"oldest_pending_seconds webhook": 60,
		}
		if got := figures(); !maps.Equal(got, want) {
			t.Errorf("%v", got)
		}
		receiver.Answer(http.StatusInternalServerError)
		s.Send()
		want = map[string]float64{
			"messages webhook pending": 2, "oldest_pending_seconds webhook": 60, "attempts_total mail sent": 1,
			"attempts_total webhook failed": 2,
		}
		if got := figures(); !maps.Equal(got, want) {
			t.Errorf("%v", got)
		}
		receiver.Answer(http.StatusGone)
		s.Clock.Advance(time.Minute)
		s.Send()
		got := figures()
		if got["messages webhook dead"] == 0 || got["attempts_total webhook dead"] != got["messages webhook dead"] {
			t.Errorf("%v", got)
		}
	})
}
