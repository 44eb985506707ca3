package outbox_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// TestSendingByHandIsRecorded checks that tests, redeliveries and retries are events, with their
// message.
func TestSendingByHandIsRecorded(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		receiver := apitest.NewReceiver(t)
		path, _ := s.CreateWebhook(receiver.URL)
		delivery := s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted).ID()
		redeliver := fmt.Sprintf("%s/deliveries/%d/redeliver", path, delivery)
		retry := fmt.Sprintf("%s/%d/retry", apitest.OutboxPath, delivery)
		s.Do(http.MethodPost, redeliver, nil).WantProblem(http.StatusConflict, "message_pending") // and no event
		s.Do(http.MethodPost, retry, nil).WantProblem(http.StatusConflict, "message_pending")
		s.Send()
		s.Do(http.MethodPost, redeliver, nil).Want(http.StatusAccepted)
		s.Send()
		s.Do(http.MethodPost, retry, nil).Want(http.StatusAccepted)

		type event struct {
			Type, SubjectType string
			SubjectID         int64
			UserID            *int64
			Actor             struct{ Name string }
			RequestID         string
			Changes           map[string]struct{ Old, New any }
		}
		byType := func(kind string) event {
			t.Helper()
			var list struct{ Data []event }
			s.Do(http.MethodGet, apitest.EventsPath+"?filter[type]="+kind, nil).Want(http.StatusOK).Decode(&list)
			if len(list.Data) != 1 {
				t.Fatalf("%s: %+v", kind, list.Data)
			}
			e := list.Data[0]
			if e.Actor.Name != "ROSTER_ADMIN_TOKEN" || e.RequestID == "" || e.UserID != nil {
				t.Errorf("%s: %+v", kind, e)
			}
			return e
		}
		for _, kind := range []string{"WEBHOOK_TESTED", "WEBHOOK_REDELIVERED"} {
			e := byType(kind)
			if e.SubjectType != "webhook" || e.SubjectID != 1 || len(e.Changes) != 1 ||
				e.Changes["delivery"].New != float64(delivery) {
				t.Errorf("%+v", e)
			}
		}
		if e := byType("MESSAGE_RETRIED"); e.SubjectType != "message" || e.SubjectID != delivery ||
			len(e.Changes) != 0 {
			t.Errorf("%+v", e)
		}
	})
}

// TestNothingIsSentUnrecorded checks that nothing is sent when the event cannot be written.
func TestNothingIsSentUnrecorded(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		receiver := apitest.NewReceiver(t)
		path, _ := s.CreateWebhook(receiver.URL)
		delivery := s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted).ID()
		s.Send()
		receiver.Take()
		apitest.BreakEvents(t, engine, apitest.OpenDatabase(t, engine, url))
		redeliver, retry := fmt.Sprintf("%s/deliveries/%d/redeliver", path, delivery), fmt.Sprintf("%s/%d/retry",
			apitest.OutboxPath, delivery)
		for _, call := range []string{path + "/test", redeliver, retry} {
			s.Do(http.MethodPost, call, nil).WantProblem(http.StatusInternalServerError, "internal_error")
		}
		s.Send()
		if got := receiver.Take(); len(got) != 0 {
			t.Errorf("%+v", got)
		}
		if log := s.Deliveries(path, ""); len(log) != 1 || log[0]["state"] != "done" {
			t.Errorf("%v", log)
		}
	})
}

// TestLastErrorIsInOurWords checks that lastError has only the kind of failure and nothing from the
// receiver.
func TestLastErrorIsInOurWords(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const hidden = "hidden-word"
		for want, answer := range map[string]func(http.ResponseWriter, *http.Request){
			"HTTP 503": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "http://"+hidden)
				w.Header().Set("Retry-After", hidden)
				http.Error(w, hidden+" 10.1.2.3 mary@example.com", http.StatusServiceUnavailable)
			},
			"HTTP 302: redirects are not followed": func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://10.1.2.3/"+hidden, http.StatusFound)
			},
			"HTTP 410: the receiver is gone for good": func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, hidden, http.StatusGone)
			},
			"the connection broke, or what came was no HTTP answer": func(w http.ResponseWriter, _ *http.Request) {
				conn, buffered, err := w.(http.Hijacker).Hijack()
				if err != nil {
					return
				}
				_, _ = buffered.WriteString("HTTP/1.1 " + hidden + " 10.1.2.3\r\n" + hidden + "\r\n\r\n")
				_ = buffered.Flush()
				_ = conn.Close()
			},
		} {
			receiver := apitest.NewReceiver(t)
			receiver.Handle(answer)
			path, _ := s.CreateWebhook(receiver.URL + "/?key=" + hidden)
			s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted)
			s.Send()
			if got := s.Deliveries(path, "")[0]["lastError"]; got != want {
				t.Errorf("%v, want %s", got, want)
			}
		}
		// An unused port, forbidden addresses, and a name without an address.
		for url, wants := range map[string][]string{
			"http://127.0.0.1:1/":    {"the connection was refused"},
			"http://10.1.2.3/":       {"the address is not public"},
			"http://[::1]:1/":        {"the address is not public"},
			"http://nobody.invalid/": {"the host name was not found", "the host name could not be looked up"},
		} {
			path, _ := s.CreateWebhook("http://127.0.0.1:1/")
			var id int64
			if _, err := fmt.Sscanf(path, apitest.WebhooksPath+"/%d", &id); err != nil {
				t.Fatal(err)
			}
			err := s.Store.InTx(t.Context(), func(tx *store.Tx) error { // as if it had been let in
				webhook, err := tx.WebhookForUpdate(t.Context(), id)
				if err != nil {
					return err
				}
				webhook.URL = identity.WebhookURL(url)
				return tx.UpdateWebhook(t.Context(), webhook)
			})
			if err != nil {
				t.Fatal(err)
			}
			s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted)
			s.Send()
			got, _ := s.Deliveries(path, "")[0]["lastError"].(string)
			if !slices.Contains(wants, got) {
				t.Errorf("%s: %s, want %q", url, got, wants)
			}
		}
		list := string(s.Do(http.MethodGet, apitest.OutboxPath, nil).Body)
		for _, told := range []string{"10.1.2.3", "127.0.0.1", hidden} {
			if strings.Contains(list, told) {
				t.Errorf("%s is told: %s", told, list)
			}
		}
		// What goes wrong in here is for the log.
		var id int64
		err := s.Store.InTx(t.Context(), func(tx *store.Tx) (err error) {
			id, err = tx.Enqueue(t.Context(), delivery.Message{
				To: delivery.ToWebhook(1), Topic: string(identity.WebhookPing), Payload: `{"Type":"` + hidden,
				CreatedAt: s.Clock.Now(),
			})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Do(http.MethodPatch, apitest.WebhooksPath+"/1", changes{"active": true}).Want(http.StatusOK)
		s.Send()
		m, err := s.Store.Message(t.Context(), id)
		if err != nil || m.State != delivery.Dead || m.LastError != "it could not be sent; the log tells why" {
			t.Errorf("%+v %v", m, err)
		}
	})
}
