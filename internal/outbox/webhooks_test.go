package outbox_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
)

func TestDeliveryLog(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		receiver := apitest.NewReceiver(t)
		path, _ := s.CreateWebhook(receiver.URL, changes{"format": "v2"})
		other, _ := s.CreateWebhook(receiver.URL, changes{"events": []string{"USER_SYNCED"}})
		ping := s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted)
		want := changes{
			"id": float64(ping.ID()), "kind": "webhook", "webhookId": 1.0, "topic": "PING", "userId": nil,
			"state": "pending", "attempts": 0.0, "statusCode": nil, "lastError": nil,
			"createTime": "2026-11-22T12:00:00+00:00", "attemptTime": nil, "dueTime": "2026-11-22T12:00:00+00:00",
			"settleTime": nil,
		}
		if diff := cmp.Diff(want, ping.Object()); diff != "" {
			t.Error(diff)
		}
		s.Clock.Advance(time.Second)
		s.Send()
		if got := receiver.Take(); len(got) != 1 ||
			string(got[0].Body) != fmt.Sprintf(`{"id":%d,"type":"PING","time":"2026-11-22T12:00:00+00:00","user":null}`,
				ping.ID()) {
			t.Errorf("%+v", got)
		}
		want["state"], want["attempts"], want["statusCode"], want["dueTime"] = "done", 1.0, 204.0, nil
		want["attemptTime"], want["settleTime"] = "2026-11-22T12:00:01+00:00", "2026-11-22T12:00:01+00:00"
		if diff := cmp.Diff([]map[string]any{want}, s.Deliveries(path, "")); diff != "" {
			t.Error(diff)
		}
		receiver.Answer(http.StatusInternalServerError)
		user := s.CreateUser("mary@example.com")
		s.Send()
		log := s.Deliveries(path, "")
		if len(log) != 2 || log[0]["topic"] != "USER_CREATED" || log[0]["userId"] != float64(user) ||
			log[0]["state"] != "pending" || log[0]["statusCode"] != 500.0 ||
			log[0]["lastError"] != "HTTP 500" || log[0]["attempts"] != 1.0 || log[1]["topic"] != "PING" {
			t.Errorf("%v", log)
		}
		if strings.Contains(fmt.Sprint(log), "mary") {
			t.Error("the log shows what was said")
		}
		for query, topics := range map[string]string{
			"?filter[state]=pending": "[USER_CREATED]", "?filter[state]=done": "[PING]", "?filter[state]=dead": "[]",
			"?limit=1": "[USER_CREATED]", "?offset=1": "[PING]",
		} {
			got := []any{}
			for _, delivery := range s.Deliveries(path, query) {
				got = append(got, delivery["topic"])
			}
			if fmt.Sprint(got) != topics {
				t.Errorf("%s: %v", query, got)
			}
		}
		if got := s.Deliveries(other, ""); len(got) != 0 {
			t.Errorf("%v", got)
		}

		// Once more, what has arrived; not what is on its way, nor what is another's.
		receiver.Take()
		receiver.Answer(http.StatusOK)
		redeliver := func(webhook string, id any) *apitest.Answer {
			return s.Do(http.MethodPost, fmt.Sprintf("%s/deliveries/%v/redeliver", webhook, id), nil)
		}
		redeliver(path, log[0]["id"]).WantProblem(http.StatusConflict, "message_pending")
		redeliver(other, ping.ID()).WantProblem(http.StatusNotFound, "not_found")
		again := redeliver(path, ping.ID()).Want(http.StatusAccepted)
		if again.Object()["state"] != "pending" || again.Object()["attempts"] != 0.0 {
			t.Errorf("%s", again.Body)
		}
		s.Send()
		if got := receiver.Take(); len(got) != 1 || got[0].Header.Get("webhook-id") != fmt.Sprint(ping.ID()) {
			t.Errorf("%+v", got)
		}

		// A deleted webhook takes along what waits for it.
		s.Do(http.MethodDelete, path, nil).Want(http.StatusNoContent)
		s.Clock.Advance(time.Hour)
		s.Send()
		if got := receiver.Take(); len(got) != 0 {
			t.Errorf("%+v", got)
		}
		if list := s.Do(http.MethodGet, apitest.OutboxPath, nil).Object(); list["total"] != 0.0 {
			t.Errorf("%v", list)
		}
	})
}

func TestInactiveWebhooks(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		receiver := apitest.NewReceiver(t)
		path, _ := s.CreateWebhook(receiver.URL, changes{"format": "v2"})
		before := s.CreateUser("before@example.com")
		s.Do(http.MethodPatch, path, changes{"active": false}).Want(http.StatusOK)
		s.CreateUser("meanwhile@example.com")
		s.Clock.Advance(time.Hour)
		s.Send()
		if got := receiver.Take(); len(got) != 0 {
			t.Errorf("%+v", got)
		}
		if log := s.Deliveries(path, ""); len(log) != 1 || log[0]["state"] != "pending" || log[0]["attempts"] != 0.0 {
			t.Errorf("%v", log)
		}
		s.Do(http.MethodPatch, path, changes{"active": true}).Want(http.StatusOK)
		s.Send()
		if got := receiver.Take(); len(got) != 1 || got[0].Object(t)["user"].(map[string]any)["id"] != float64(before) {
			t.Errorf("%+v", got)
		}
	})
}

// TestGone checks that 410 deactivates a webhook, and that the event has the reason.
func TestGone(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		receiver := apitest.NewReceiver(t)
		path, _ := s.CreateWebhook(receiver.URL)
		receiver.Answer(http.StatusGone)
		s.CreateUser("a@example.com")
		s.Send()
		webhook := s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Object()
		if webhook["active"] != false || webhook["version"] != 2.0 {
			t.Errorf("%v", webhook)
		}
		if log := s.Deliveries(path, ""); len(log) != 1 || log[0]["state"] != "dead" || log[0]["statusCode"] != 410.0 {
			t.Errorf("%v", log)
		}
		s.CreateUser("b@example.com")
		receiver.Take()
		s.Clock.Advance(time.Hour)
		s.Send()
		if got := receiver.Take(); len(got) != 0 {
			t.Errorf("%+v", got)
		}
		var list struct {
			Data []struct {
				Reason  *string
				Actor   struct{ Name string }
				Changes map[string]any
			}
		}
		s.Do(http.MethodGet, apitest.EventsPath+"?filter[type]=WEBHOOK_UPDATED", nil).Decode(&list)
		if len(list.Data) != 1 || list.Data[0].Reason == nil || *list.Data[0].Reason != "receiver_gone" ||
			list.Data[0].Actor.Name != "webhook sender" || len(list.Data[0].Changes) != 1 {
			t.Errorf("%+v", list)
		}
	})
}

// TestMovedBeforeGone checks that 410 from the old address does not deactivate a webhook that has
// moved.
func TestMovedBeforeGone(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		moved, receiver := apitest.NewReceiver(t), apitest.NewReceiver(t)
		path, _ := s.CreateWebhook(receiver.URL)
		receiver.Handle(func(w http.ResponseWriter, _ *http.Request) {
			s.Do(http.MethodPatch, path, changes{"url": moved.URL})
			w.WriteHeader(http.StatusGone)
		})
		s.CreateUser("a@example.com")
		s.Send()
		s.CreateUser("b@example.com")
		s.Send()
		if got := moved.Take(); len(got) != 1 {
			t.Errorf("%d deliveries to the new place", len(got))
		}
	})
}

// TestBadReceivers checks the state and the error of a delivery for each fault of a receiver.
func TestBadReceivers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		elsewhere := apitest.NewReceiver(t)
		for name, test := range map[string]struct {
			answer func(http.ResponseWriter, *http.Request)
			status any
			state  string
			says   string
		}{
			"redirect": {func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
			}, 307.0, "pending", "redirects are not followed"},
			"endless body": {func(w http.ResponseWriter, r *http.Request) {
				for r.Context().Err() == nil {
					if _, err := w.Write(make([]byte, 1<<16)); err != nil {
						return
					}
				}
			}, 200.0, "done", ""},
			"broken": {func(http.ResponseWriter, *http.Request) {
				panic(http.ErrAbortHandler)
			}, nil, "pending", "the connection broke"},
			"404": {func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusNotFound)
			}, 404.0, "pending", "HTTP 404"},
		} {
			receiver := apitest.NewReceiver(t)
			receiver.Handle(test.answer)
			path, _ := s.CreateWebhook(receiver.URL)
			s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted)
			s.Send()
			log := s.Deliveries(path, "")[0]
			says, _ := log["lastError"].(string)
			if log["state"] != test.state || log["statusCode"] != test.status || !strings.Contains(says, test.says) {
				t.Errorf("%s: %v", name, log)
			}
		}
		if got := elsewhere.Take(); len(got) != 0 {
			t.Errorf("a redirect was followed: %+v", got)
		}
	})
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		receiver := apitest.NewReceiver(t)
		receiver.Answer(http.StatusGone)
		s.CreateWebhook(receiver.URL)
		refuse := true
		var mails []string
		worker := s.NewWorker(apitest.MailFunc(func(m delivery.Mail) error {
			mails = append(mails, string(m.To))
			if refuse {
				return &delivery.Permanent{Cause: delivery.Errorf("refused: %d", 550)}
			}
			return nil
		}))
		user := s.CreateUser("mary@example.com", changes{"sendNotify": true})
		worker.Once(t.Context())
		list := func(query string) (topics []string) {
			var body struct{ Data []map[string]any }
			s.Do(http.MethodGet, apitest.OutboxPath+query, nil).Want(http.StatusOK).Decode(&body)
			for _, m := range body.Data {
				topics = append(topics, fmt.Sprint(m["kind"], " ", m["topic"], " ", m["state"], " ", m["userId"]))
			}
			slices.Sort(topics)
			return topics
		}
		want := []string{
			fmt.Sprintf("mail profile_created dead %d", user),
			fmt.Sprintf("webhook USER_CREATED dead %d", user),
		}
		if got := list(""); !slices.Equal(got, want) {
			t.Errorf("%v", got)
		}
		if got := list("?filter[state]=pending"); len(got) != 0 {
			t.Errorf("%v", got)
		}
		body := string(s.Do(http.MethodGet, apitest.OutboxPath+"?filter[state]=dead", nil).Body)
		if strings.Contains(body, "mary@") || !strings.Contains(body, "refused: 550") {
			t.Error(body)
		}
		messages, _, err := s.Store.Messages(t.Context(), delivery.Filter{To: delivery.ToMail()},
			identity.Page{Limit: 10})
		if err != nil || len(messages) != 1 {
			t.Fatal(messages, err)
		}
		refuse = false
		retry := fmt.Sprintf("%s/%d/retry", apitest.OutboxPath, messages[0].ID)
		s.Do(http.MethodPost, retry, nil).Want(http.StatusAccepted)
		s.Do(http.MethodPost, retry, nil).WantProblem(http.StatusConflict, "message_pending")
		worker.Once(t.Context())
		if !slices.Equal(mails, []string{"mary@example.com", "mary@example.com"}) {
			t.Errorf("%v", mails)
		}
		// it has arrived and is deleted
		s.Do(http.MethodPost, retry, nil).WantProblem(http.StatusNotFound, "not_found")

		// An expired code cannot be sent again.
		refuse = true
		s.Do(http.MethodPost, "/api/v2/password/forgot", changes{"email": "mary@example.com"}).Want(http.StatusAccepted)
		s.Clock.Advance(2 * time.Hour)
		worker.Once(t.Context())
		messages, _, err = s.Store.Messages(t.Context(),
			delivery.Filter{To: delivery.ToMail(), States: []delivery.State{delivery.Dead}}, identity.Page{Limit: 10})
		if err != nil || len(messages) != 1 {
			t.Fatal(messages, err)
		}
		s.Do(http.MethodPost, fmt.Sprintf("%s/%d/retry", apitest.OutboxPath, messages[0].ID), nil).
			WantProblem(http.StatusConflict, "message_expired")
	})
}
