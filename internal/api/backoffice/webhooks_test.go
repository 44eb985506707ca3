package backoffice_test

import (
	"encoding/json"
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
	"github.com/rosterhq/roster/internal/store/storetest"
)

const (
	webhooks  = "/api/v2/webhooks"
	outboxURL = "/api/v2/outbox"
)

var allEvents = []string{"USER_CREATED", "USER_UPDATED", "USER_DELETED", "USER_SYNCED"}

// createWebhook creates a webhook for all events and returns its path and secret.
func createWebhook(s *apitest.Server, url string, more ...changes) (path, secret string) {
	body := changes{"url": url, "events": allEvents}
	for _, change := range more {
		for field, value := range change {
			body[field] = value
		}
	}
	answer := s.Do(http.MethodPost, webhooks, body).Want(http.StatusCreated)
	secret, _ = answer.Object()["secret"].(string)
	return answer.Header.Get("Location"), secret
}

// deliveries returns the delivery log of a webhook, the latest first.
func deliveries(s *apitest.Server, webhook, query string) []map[string]any {
	var list struct{ Data []map[string]any }
	s.Do(http.MethodGet, webhook+"/deliveries"+query, nil).Want(http.StatusOK).Decode(&list)
	return list.Data
}

// webhookCalls is calls of what has to do with webhooks.
func webhookCalls(t *testing.T, s *apitest.Server) []struct {
	method, path string
	body         any
	needs        string
} {
	path, _ := createWebhook(s, apitest.NewReceiver(t).URL)
	first := s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted).ID()
	second := s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted).ID()
	s.Send()
	const needs = "webhooks.manage"
	return []struct {
		method, path string
		body         any
		needs        string
	}{
		{"GET", webhooks, nil, needs},
		{"POST", webhooks, changes{"url": "https://example.com", "events": allEvents}, needs},
		{"GET", path, nil, needs},
		{"PUT", path, changes{"active": true}, needs},
		{"PATCH", path, changes{"active": true}, needs},
		{"POST", path + "/rotate", nil, needs},
		{"POST", path + "/test", nil, needs},
		{"GET", path + "/deliveries", nil, needs},
		{"POST", fmt.Sprintf("%s/deliveries/%d/redeliver", path, first), nil, needs},
		{"GET", outboxURL, nil, needs},
		{"POST", fmt.Sprintf("%s/%d/retry", outboxURL, second), nil, needs},
		{"DELETE", path, nil, needs},
	}
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		created := s.Do(http.MethodPost, webhooks, changes{"url": "https://example.com/hook?key=1", "events": []string{"USER_DELETED", "USER_CREATED", "USER_CREATED"}}).
			Want(http.StatusCreated)
		path := created.Header.Get("Location")
		want := changes{
			"id": 1.0, "url": "https://example.com/hook?key=1", "events": []any{"USER_CREATED", "USER_DELETED"}, "format": "powens", "auth": "standard",
			"active": true, "createTime": "2026-11-22T12:00:00+00:00", "updateTime": nil, "version": 1.0,
		}
		got := created.Object()
		secret, _ := got["secret"].(string)
		delete(got, "secret")
		if diff := cmp.Diff(want, got); diff != "" || path != webhooks+"/1" || created.Header.Get("ETag") != `"1"` || !strings.HasPrefix(secret, "whsec_") || len(secret) != 50 {
			t.Errorf("%s %s %s", diff, path, secret)
		}
		if diff := cmp.Diff(want, s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Object()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(changes{"total": 1.0, "data": []any{want}}, s.Do(http.MethodGet, webhooks, nil).Want(http.StatusOK).Object()); diff != "" {
			t.Error(diff)
		}
		s.Do(http.MethodPatch, path, changes{"active": true}).Want(http.StatusOK) // no change
		s.Clock.Advance(time.Minute)
		want["url"], want["events"], want["format"], want["auth"], want["active"] = "http://example.org", []any{"USER_SYNCED"}, "v2", "bearer", false
		want["version"], want["updateTime"] = 2.0, "2026-11-22T12:01:00+00:00"
		change := changes{"url": "http://example.org", "events": []string{"USER_SYNCED"}, "format": "v2", "auth": "bearer", "active": false, "token": "fixed-Secret-1"}
		got = s.Do(http.MethodPut, path, change, apitest.Header("If-Match", `"1"`)).Want(http.StatusOK).Object()
		moved, _ := got["secret"].(string)
		delete(got, "secret")
		if diff := cmp.Diff(want, got); diff != "" || !strings.HasPrefix(moved, "whsec_") || moved == secret {
			t.Errorf("%s %s", diff, moved)
		}
		s.Do(http.MethodPatch, path, changes{"active": true}, apitest.Header("If-Match", `"1"`)).WantProblem(http.StatusPreconditionFailed, "stale_version")
		s.Do(http.MethodDelete, path, nil, apitest.Header("If-Match", `"1"`)).WantProblem(http.StatusPreconditionFailed, "stale_version")
		s.Do(http.MethodPatch, path, changes{"token": nil}).WantProblem(http.StatusBadRequest, "validation_failed", "token")
		s.Do(http.MethodPatch, path, changes{"token": nil, "auth": "none"}).Want(http.StatusOK)
		s.Do(http.MethodPatch, path, changes{"auth": "bearer"}).WantProblem(http.StatusBadRequest, "validation_failed", "token")
		rotated := s.Do(http.MethodPost, path+"/rotate", nil).Want(http.StatusOK)
		newSecret, _ := rotated.Object()["secret"].(string)
		if newSecret == secret || !strings.HasPrefix(newSecret, "whsec_") || rotated.Header.Get("ETag") != `"4"` {
			t.Errorf("%s", rotated.Body)
		}
		s.Do(http.MethodDelete, path, nil).Want(http.StatusNoContent)
		for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPatch} {
			s.Do(method, path, changes{}).WantProblem(http.StatusNotFound, "not_found")
		}
		for _, call := range []string{"/rotate", "/test", "/deliveries/1/redeliver"} {
			s.Do(http.MethodPost, path+call, nil).WantProblem(http.StatusNotFound, "not_found")
		}
		s.Do(http.MethodGet, path+"/deliveries", nil).WantProblem(http.StatusNotFound, "not_found")

		// All of that are events, and none of them has a secret.
		events := string(s.Do(http.MethodGet, events+"?limit=100", nil).Want(http.StatusOK).Body)
		for event, count := range map[string]int{"WEBHOOK_CREATED": 1, "WEBHOOK_UPDATED": 2, "WEBHOOK_SECRET_ROTATED": 1, "WEBHOOK_DELETED": 1} {
			if got := strings.Count(events, event); got != count {
				t.Errorf("%d of %s, want %d", got, event, count)
			}
		}
		for _, hidden := range []string{secret, moved, newSecret, "fixed-Secret-1", "key=1"} {
			if strings.Contains(events, hidden) || strings.Contains(s.Log.String(), hidden) {
				t.Errorf("%s is told", hidden)
			}
		}
		if !strings.Contains(events, `"subjectType":"webhook","subjectId":1`) || !strings.Contains(events, "https://example.com/hook?***") {
			t.Error(events)
		}
	})
}

func TestInvalidWebhooks(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		path, _ := createWebhook(s, "https://example.com")
		for field, values := range map[string][]any{
			"url": {
				nil, "", 5, "example.com", "ftp://example.com", "https://user:pass@example.com", "https://example.com/#x", "http://10.0.0.1/", "http://169.254.169.254/latest",
				"http://[::1]/", "http://2130706433/", "https://example.com:0/", "https://example.com/" + strings.Repeat("x", 2048),
				"http://[::ffff:10.0.0.1]/", "http://0.0.0.0/",
			},
			"events": {nil, []string{}, "USER_CREATED"}, "events[1]": {[]any{"USER_CREATED", "GROUP_CREATED"}, []any{"USER_CREATED", nil}, []any{"USER_CREATED", "PING"}},
			"format": {nil, "v1", 1}, "auth": {nil, "basic", true}, "active": {nil, 1}, "token": {"", 5, "a b", "ä", strings.Repeat("x", 1025)}, "secret": {"whsec_x"}, "id": {1},
		} {
			for _, value := range values {
				name, _, _ := strings.Cut(field, "[")
				s.Do(http.MethodPost, webhooks, changes{"url": "https://example.com", "events": allEvents, name: value}).
					WantProblem(http.StatusBadRequest, "validation_failed", field)
				s.Do(http.MethodPatch, path, changes{name: value}).WantProblem(http.StatusBadRequest, "validation_failed", field)
			}
		}
		s.Do(http.MethodPost, webhooks, `{}`).WantProblem(http.StatusBadRequest, "validation_failed", "url", "events")
		s.Do(http.MethodPost, webhooks, changes{"url": "https://example.com", "events": allEvents, "auth": "bearer"}).
			WantProblem(http.StatusBadRequest, "validation_failed", "token")
		s.Do(http.MethodPost, webhooks, changes{"url": "https://example.com", "events": allEvents, "token": nil}).Want(http.StatusCreated)
		s.Do(http.MethodGet, webhooks+"/x", nil).WantProblem(http.StatusBadRequest, "validation_failed", "webhookId")
		s.Do(http.MethodGet, path+"/deliveries?filter[state]=lost&x=1", nil).WantProblem(http.StatusBadRequest, "validation_failed", "filter[state]", "x")
		s.Do(http.MethodPost, path+"/deliveries/x/redeliver", nil).WantProblem(http.StatusBadRequest, "validation_failed", "deliveryId")
		s.Do(http.MethodGet, outboxURL+"?filter[state]=done", nil).WantProblem(http.StatusBadRequest, "validation_failed", "filter[state]")
		s.Do(http.MethodPost, outboxURL+"/0/retry", nil).WantProblem(http.StatusBadRequest, "validation_failed", "messageId")
		s.Do(http.MethodPost, outboxURL+"/999/retry", nil).WantProblem(http.StatusNotFound, "not_found")
	})
}

// TestEventsReachTheirSubscribers: one message per event and webhook, whatever
// caused it, in the words of the webhook's format.
func TestEventsReachTheirSubscribers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		powens, v2, deletions := apitest.NewReceiver(t), apitest.NewReceiver(t), apitest.NewReceiver(t)
		createWebhook(s, powens.URL+"/hook?a=b")
		createWebhook(s, v2.URL, changes{"format": "v2"})
		createWebhook(s, deletions.URL, changes{"events": []string{"USER_DELETED"}})
		createWebhook(s, apitest.NewReceiver(t).URL, changes{"active": false})
		id := s.CreateUser("mary@example.com", changes{"phone": "+18043257762", "ipWhitelist": []string{"10.0.0.0/8"}, "clientTags": []any{"x", changes{"id": 5}}})
		user := s.Do(http.MethodGet, apitest.UserPath(id), nil).Object()
		const signin = "2026-11-22 12:00:00"

		check := func(event string, v2Body, powensBody changes) {
			t.Helper()
			s.Send()
			got := v2.Take()
			if len(got) != 1 {
				t.Fatalf("%s: %d deliveries", event, len(got))
			}
			body := got[0].Object(t)
			if fmt.Sprint(body["id"]) != got[0].Header.Get("webhook-id") {
				t.Errorf("id %v, webhook-id %s", body["id"], got[0].Header.Get("webhook-id"))
			}
			delete(body, "id")
			v2Body["type"], v2Body["time"] = event, s.Clock.Now().Format("2006-01-02T15:04:05-07:00")
			if diff := cmp.Diff(v2Body, body); diff != "" {
				t.Errorf("%s: %s", event, diff)
			}
			got = powens.Take()
			if len(got) != 1 || got[0].Method != http.MethodPost || got[0].Path != "/hook?a=b" || got[0].Header.Get("Content-Type") != "application/json" {
				t.Fatalf("%s: %+v", event, got)
			}
			body = got[0].Object(t)
			if number, ok := body["id_webhook_data"].(float64); !ok || number != float64(int64(number)) || number < 1 {
				t.Errorf("id_webhook_data %v", body["id_webhook_data"])
			}
			delete(body, "id_webhook_data")
			if diff := cmp.Diff(powensBody, body); diff != "" {
				t.Errorf("%s: %s", event, diff)
			}
			if got := len(deletions.Take()); (got == 1) != (event == "USER_DELETED") {
				t.Errorf("%s: %d to who wants deletions only", event, got)
			}
		}
		powensUser := changes{"id": float64(id), "signin": signin}
		check("USER_CREATED", changes{"user": user}, powensUser)
		s.Clock.Advance(time.Minute)
		user = s.Do(http.MethodPatch, apitest.UserPath(id), changes{"name": "<Ann> & Söhne", "groups": []int{1}}).Object()
		check("USER_UPDATED", changes{"user": user}, powensUser)
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"name": "<Ann> & Söhne"}).Want(http.StatusOK) // no change
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"email": "x"}).Want(http.StatusBadRequest)
		s.Do(http.MethodPost, users, apitest.NewUser("MARY@example.com")).Want(http.StatusConflict) // rolled back
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"name": "B"}, apitest.Header("If-Match", `"1"`)).Want(http.StatusPreconditionFailed)

		connections := `[{"connector":{"id":40,"big":12345678901234567890},"sources":[{"x":null}],"accounts":[{"id":1,"transactions":[{"value":0.10}]}]}]`
		s.Do(http.MethodPost, fmt.Sprintf("/2.0/users/%d/synced", id), `{"connections":`+connections+`}`).Want(http.StatusAccepted)
		var synced any
		if err := json.Unmarshal([]byte(connections), &synced); err != nil {
			t.Fatal(err)
		}
		check("USER_SYNCED", changes{"user": user, "connections": synced}, changes{"user": powensUser, "connections": synced})

		// Of whoever is deleted the last state is told, also after other deletions.
		s.Do(http.MethodDelete, apitest.UserPath(id), nil).Want(http.StatusNoContent)
		check("USER_DELETED", changes{"user": user}, powensUser)

		// A replay is no other creation.
		key := apitest.Header("Idempotency-Key", "k")
		for range 2 {
			s.Do(http.MethodPost, users, apitest.NewUser("other@example.com"), key).Want(http.StatusCreated)
		}
		s.Send()
		if got := len(v2.Take()); got != 1 {
			t.Errorf("%d deliveries of a creation and its replay", got)
		}
	})
}

// TestOtherWaysToChangeUsers: a password that was reset, and a second factor that
// was confirmed, are updates, too.
func TestOtherWaysToChangeUsers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		receiver := apitest.NewReceiver(t)
		createWebhook(s, receiver.URL, changes{"events": []string{"USER_UPDATED"}, "format": "v2"})
		s.CreateUser("mary@example.com")
		s.Do(http.MethodPost, "/api/v2/password/forgot", changes{"email": "mary@example.com"}).Want(http.StatusAccepted)
		_, token, _ := strings.Cut(s.Mail().Link, "#token=")
		s.Do(http.MethodPost, "/api/v2/password/reset", changes{"token": token, "password": "NewSecret123"}).Want(http.StatusNoContent)
		s.Send()
		if got := receiver.Take(); len(got) != 1 || got[0].Object(t)["type"] != "USER_UPDATED" || strings.Contains(string(got[0].Body), "assword") {
			t.Errorf("%+v", got)
		}

		every, _ := createWebhook(s, receiver.URL, changes{"format": "v2"})
		expect := func(event string) {
			t.Helper()
			s.Send()
			if log := deliveries(s, every, ""); len(log) == 0 || log[0]["topic"] != event || log[0]["state"] != "done" {
				t.Errorf("no %s in %v", event, log)
			}
		}
		id := s.Do(http.MethodPost, "/api/v1/users", changes{"email": "fly@example.com", "blocked": false}).Want(http.StatusOK).Object()["data"].(map[string]any)["id"]
		expect("USER_CREATED")
		s.Do(http.MethodPut, fmt.Sprintf("/api/v1/users/%v", id), changes{"email": "fly@example.com", "blocked": true, "blocked_code": "email_changed"}).Want(http.StatusOK)
		expect("USER_UPDATED")
		s.Do(http.MethodDelete, fmt.Sprintf("/api/v1/users/%v", id), nil).Want(http.StatusNoContent)
		expect("USER_DELETED")
		s.Do(http.MethodDelete, fmt.Sprintf("/2.0/users/%d", s.CreateUser("powens@example.com")), nil).Want(http.StatusNoContent)
		expect("USER_DELETED")
	})
}

func TestDeliveryLog(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		receiver := apitest.NewReceiver(t)
		path, _ := createWebhook(s, receiver.URL, changes{"format": "v2"})
		other, _ := createWebhook(s, receiver.URL, changes{"events": []string{"USER_SYNCED"}})
		ping := s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted)
		want := changes{
			"id": float64(ping.ID()), "kind": "webhook", "webhookId": 1.0, "topic": "PING", "userId": nil, "state": "pending", "attempts": 0.0, "statusCode": nil, "lastError": nil,
			"createTime": "2026-11-22T12:00:00+00:00", "attemptTime": nil, "dueTime": "2026-11-22T12:00:00+00:00", "settleTime": nil,
		}
		if diff := cmp.Diff(want, ping.Object()); diff != "" {
			t.Error(diff)
		}
		s.Clock.Advance(time.Second)
		s.Send()
		if got := receiver.Take(); len(got) != 1 || string(got[0].Body) != fmt.Sprintf(`{"id":%d,"type":"PING","time":"2026-11-22T12:00:00+00:00","user":null}`, ping.ID()) {
			t.Errorf("%+v", got)
		}
		want["state"], want["attempts"], want["statusCode"], want["dueTime"] = "done", 1.0, 204.0, nil
		want["attemptTime"], want["settleTime"] = "2026-11-22T12:00:01+00:00", "2026-11-22T12:00:01+00:00"
		if diff := cmp.Diff([]map[string]any{want}, deliveries(s, path, "")); diff != "" {
			t.Error(diff)
		}
		receiver.Answer(http.StatusInternalServerError)
		user := s.CreateUser("mary@example.com")
		s.Send()
		log := deliveries(s, path, "")
		if len(log) != 2 || log[0]["topic"] != "USER_CREATED" || log[0]["userId"] != float64(user) || log[0]["state"] != "pending" || log[0]["statusCode"] != 500.0 ||
			log[0]["lastError"] != "HTTP 500" || log[0]["attempts"] != 1.0 || log[1]["topic"] != "PING" {
			t.Errorf("%v", log)
		}
		if strings.Contains(fmt.Sprint(log), "mary") {
			t.Error("the log shows what was said")
		}
		for query, topics := range map[string]string{
			"?filter[state]=pending": "[USER_CREATED]", "?filter[state]=done": "[PING]", "?filter[state]=dead": "[]", "?limit=1": "[USER_CREATED]", "?offset=1": "[PING]",
		} {
			got := []any{}
			for _, delivery := range deliveries(s, path, query) {
				got = append(got, delivery["topic"])
			}
			if fmt.Sprint(got) != topics {
				t.Errorf("%s: %v", query, got)
			}
		}
		if got := deliveries(s, other, ""); len(got) != 0 {
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
		if list := s.Do(http.MethodGet, outboxURL, nil).Object(); list["total"] != 0.0 {
			t.Errorf("%v", list)
		}
	})
}

// TestErasedDeliveries: with a user goes what was said of that user. What is on its
// way still arrives, and then goes, too.
func TestErasedDeliveries(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := storetest.URL(t, engine)
			s := apitest.New(t, url)
			receiver := apitest.NewReceiver(t)
			path, _ := createWebhook(s, receiver.URL, changes{"format": "v2"})
			user := s.CreateUser("mary@example.com")
			s.Send()
			s.Do(http.MethodPatch, apitest.UserPath(user), changes{"name": "Ann"}).Want(http.StatusOK)
			s.Do(http.MethodDelete, apitest.UserPath(user), nil).Want(http.StatusNoContent)
			receiver.Take()
			s.Send()
			if got := receiver.Take(); len(got) != 2 {
				t.Fatalf("%+v", got)
			}
			log := deliveries(s, path, "?filter[state]=done")
			if len(log) != 3 {
				t.Fatalf("%v", log)
			}
			for _, delivery := range log {
				s.Do(http.MethodPost, fmt.Sprintf("%s/deliveries/%v/redeliver", path, delivery["id"]), nil).
					WantProblem(http.StatusConflict, "message_erased")
			}
			if kept := countIn(t, engine, url, "outbox", "payload LIKE '%mary%'"); kept != 0 {
				t.Errorf("%d messages have her address", kept)
			}
			// And after 30 days nothing is left at all.
			s.Clock.Advance(delivery.KeepPeriod - time.Hour)
			if err := s.Service.Prune(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := deliveries(s, path, ""); len(got) != 3 {
				t.Errorf("%v", got)
			}
			s.Clock.Advance(2 * time.Hour)
			if err := s.Service.Prune(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := deliveries(s, path, ""); len(got) != 0 {
				t.Errorf("%v", got)
			}
		})
	}
}

// TestUntoldDeletions: as long as nobody has taken a deletion, it can be told.
func TestUntoldDeletions(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := storetest.URL(t, engine)
			s := apitest.New(t, url)
			receiver := apitest.NewReceiver(t)
			path, _ := createWebhook(s, receiver.URL, changes{"format": "v2", "events": []string{"USER_DELETED"}})
			user := s.CreateUser("mary@example.com")
			s.Do(http.MethodDelete, apitest.UserPath(user), nil).Want(http.StatusNoContent)
			receiver.Answer(http.StatusGone)
			s.Send()
			log := deliveries(s, path, "")
			if len(log) != 1 || log[0]["state"] != "dead" {
				t.Fatalf("%v", log)
			}
			s.Do(http.MethodPatch, path, changes{"active": true}).Want(http.StatusOK)
			receiver.Answer(http.StatusOK)
			receiver.Take()
			redeliver := fmt.Sprintf("%s/deliveries/%v/redeliver", path, log[0]["id"])
			s.Do(http.MethodPost, redeliver, nil).Want(http.StatusAccepted)
			s.Send()
			if got := receiver.Take(); len(got) != 1 || !strings.Contains(string(got[0].Body), "mary@example.com") {
				t.Errorf("%+v", got)
			}
			s.Do(http.MethodPost, redeliver, nil).WantProblem(http.StatusConflict, "message_erased")
			if kept := countIn(t, engine, url, "outbox", "payload <> ''"); kept != 0 {
				t.Errorf("%d messages say something", kept)
			}
		})
	}
}

// TestLinksAskedForGoWithTheUser: a mail that was ordered for an address alone is
// about somebody all the same.
func TestLinksAskedForGoWithTheUser(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := storetest.URL(t, engine)
			s := apitest.New(t, url)
			user := s.CreateUser("Mary@example.com")
			for _, address := range []string{"mary@EXAMPLE.com", "other@example.com"} {
				s.Do(http.MethodPost, "/api/v2/password/forgot", changes{"email": address}).Want(http.StatusAccepted)
			}
			s.Do(http.MethodDelete, apitest.UserPath(user), nil).Want(http.StatusNoContent)
			if kept := countIn(t, engine, url, "outbox", "lower(payload) LIKE '%mary%' OR address LIKE '%mary%'"); kept != 0 {
				t.Errorf("%d messages have her address", kept)
			}
			if kept := countIn(t, engine, url, "outbox", "payload LIKE '%other%'"); kept != 1 {
				t.Errorf("%d messages of others are left", kept)
			}
		})
	}
}

// countIn counts rows of a table.
func countIn(t *testing.T, engine, url, table, where string) (n int) {
	t.Helper()
	query := "SELECT count(*) FROM " + table + " WHERE " + where
	if err := openDatabase(t, engine, url).QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestInactiveWebhooks(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		receiver := apitest.NewReceiver(t)
		path, _ := createWebhook(s, receiver.URL, changes{"format": "v2"})
		before := s.CreateUser("before@example.com")
		s.Do(http.MethodPatch, path, changes{"active": false}).Want(http.StatusOK)
		s.CreateUser("meanwhile@example.com")
		s.Clock.Advance(time.Hour)
		s.Send()
		if got := receiver.Take(); len(got) != 0 {
			t.Errorf("%+v", got)
		}
		if log := deliveries(s, path, ""); len(log) != 1 || log[0]["state"] != "pending" || log[0]["attempts"] != 0.0 {
			t.Errorf("%v", log)
		}
		s.Do(http.MethodPatch, path, changes{"active": true}).Want(http.StatusOK)
		s.Send()
		if got := receiver.Take(); len(got) != 1 || got[0].Object(t)["user"].(map[string]any)["id"] != float64(before) {
			t.Errorf("%+v", got)
		}
	})
}

// TestGone: a receiver that says 410 is asked no more, and the log says why.
func TestGone(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		receiver := apitest.NewReceiver(t)
		path, _ := createWebhook(s, receiver.URL)
		receiver.Answer(http.StatusGone)
		s.CreateUser("a@example.com")
		s.Send()
		webhook := s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Object()
		if webhook["active"] != false || webhook["version"] != 2.0 {
			t.Errorf("%v", webhook)
		}
		if log := deliveries(s, path, ""); len(log) != 1 || log[0]["state"] != "dead" || log[0]["statusCode"] != 410.0 {
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
		s.Do(http.MethodGet, events+"?filter[type]=WEBHOOK_UPDATED", nil).Decode(&list)
		if len(list.Data) != 1 || list.Data[0].Reason == nil || *list.Data[0].Reason != "receiver_gone" || list.Data[0].Actor.Name != "webhook sender" || len(list.Data[0].Changes) != 1 {
			t.Errorf("%+v", list)
		}
	})
}

// TestMovedBeforeGone: that the old place is gone says nothing of the new one.
func TestMovedBeforeGone(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		moved, receiver := apitest.NewReceiver(t), apitest.NewReceiver(t)
		path, _ := createWebhook(s, receiver.URL)
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

// TestBadReceivers: what a receiver does wrong is its own trouble, and is told.
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
			"broken": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil, "pending", "the connection broke"},
			"404":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, 404.0, "pending", "HTTP 404"},
		} {
			receiver := apitest.NewReceiver(t)
			receiver.Handle(test.answer)
			path, _ := createWebhook(s, receiver.URL)
			s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted)
			s.Send()
			log := deliveries(s, path, "")[0]
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
		createWebhook(s, receiver.URL)
		refuse := true
		var mails []string
		worker := s.NewWorker(mailTo(func(m delivery.Mail) error {
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
			s.Do(http.MethodGet, outboxURL+query, nil).Want(http.StatusOK).Decode(&body)
			for _, m := range body.Data {
				topics = append(topics, fmt.Sprint(m["kind"], " ", m["topic"], " ", m["state"], " ", m["userId"]))
			}
			slices.Sort(topics)
			return topics
		}
		want := []string{fmt.Sprintf("mail profile_created dead %d", user), fmt.Sprintf("webhook USER_CREATED dead %d", user)}
		if got := list(""); !slices.Equal(got, want) {
			t.Errorf("%v", got)
		}
		if got := list("?filter[state]=pending"); len(got) != 0 {
			t.Errorf("%v", got)
		}
		body := string(s.Do(http.MethodGet, outboxURL+"?filter[state]=dead", nil).Body)
		if strings.Contains(body, "mary@") || !strings.Contains(body, "refused: 550") {
			t.Error(body)
		}
		messages, _, err := s.Store.Messages(t.Context(), delivery.Filter{To: delivery.ToMail()}, identity.Page{Limit: 10})
		if err != nil || len(messages) != 1 {
			t.Fatal(messages, err)
		}
		refuse = false
		retry := fmt.Sprintf("%s/%d/retry", outboxURL, messages[0].ID)
		s.Do(http.MethodPost, retry, nil).Want(http.StatusAccepted)
		s.Do(http.MethodPost, retry, nil).WantProblem(http.StatusConflict, "message_pending")
		worker.Once(t.Context())
		if !slices.Equal(mails, []string{"mary@example.com", "mary@example.com"}) {
			t.Errorf("%v", mails)
		}
		s.Do(http.MethodPost, retry, nil).WantProblem(http.StatusNotFound, "not_found") // it has arrived, and is nobody's business

		// A code that is over is of no use, whoever asks for it.
		refuse = true
		s.Do(http.MethodPost, "/api/v2/password/forgot", changes{"email": "mary@example.com"}).Want(http.StatusAccepted)
		s.Clock.Advance(2 * time.Hour)
		worker.Once(t.Context())
		messages, _, err = s.Store.Messages(t.Context(), delivery.Filter{To: delivery.ToMail(), States: []delivery.State{delivery.Dead}}, identity.Page{Limit: 10})
		if err != nil || len(messages) != 1 {
			t.Fatal(messages, err)
		}
		s.Do(http.MethodPost, fmt.Sprintf("%s/%d/retry", outboxURL, messages[0].ID), nil).WantProblem(http.StatusConflict, "message_expired")
	})
}

// TestWebhooksAreBounded: each one costs every change a row.
func TestWebhooksAreBounded(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		body := changes{"url": "https://example.com/hook", "events": allEvents}
		for range 100 {
			s.Do(http.MethodPost, webhooks, body).Want(http.StatusCreated)
		}
		s.Do(http.MethodPost, webhooks, body).WantProblem(http.StatusConflict, "too_many_webhooks")
		s.Do(http.MethodDelete, webhooks+"/7", nil).Want(http.StatusNoContent)
		s.Do(http.MethodPost, webhooks, body).Want(http.StatusCreated)
	})
}
