package notify_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// TestEventsReachTheirSubscribers checks that there is one message per event and webhook, in the
// webhook's format.
func TestEventsReachTheirSubscribers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		powens, v2, deletions := apitest.NewReceiver(t), apitest.NewReceiver(t), apitest.NewReceiver(t)
		s.CreateWebhook(powens.URL + "/hook?a=b")
		s.CreateWebhook(v2.URL, changes{"format": "v2"})
		s.CreateWebhook(deletions.URL, changes{"events": []string{"USER_DELETED"}})
		s.CreateWebhook(apitest.NewReceiver(t).URL, changes{"active": false})
		id := s.CreateUser("mary@example.com",
			changes{
				"phone": "+18043257762", "ipWhitelist": []string{"10.0.0.0/8"},
				"clientTags": []any{"x", changes{"id": 5}},
			})
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
			if len(got) != 1 || got[0].Method != http.MethodPost || got[0].Path != "/hook?a=b" ||
				got[0].Header.Get("Content-Type") != "application/json" {
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
		user = s.Do(http.MethodPatch, apitest.UserPath(id), changes{"name": "<Ann> & Söhne", "groups": []int{1}}).
			Object()
		check("USER_UPDATED", changes{"user": user}, powensUser)
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"name": "<Ann> & Söhne"}).Want(http.StatusOK) // no change
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"email": "x"}).Want(http.StatusBadRequest)
		// rolled back
		s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("MARY@example.com")).Want(http.StatusConflict)
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"name": "B"}, apitest.Header("If-Match", `"1"`)).
			Want(http.StatusPreconditionFailed)

		connections := `[{"connector":{"id":40,"big":12345678901234567890},"sources":[{"x":null}],` +
			`"accounts":[{"id":1,"transactions":[{"value":0.10}]}]}]`
		s.Do(http.MethodPost, fmt.Sprintf("/2.0/users/%d/synced", id), `{"connections":`+connections+`}`).
			Want(http.StatusAccepted)
		var synced any
		if err := json.Unmarshal([]byte(connections), &synced); err != nil {
			t.Fatal(err)
		}
		check("USER_SYNCED", changes{"user": user, "connections": synced},
			changes{"user": powensUser, "connections": synced})

		// The event of a deletion has the last state of the user, also after other deletions.
		s.Do(http.MethodDelete, apitest.UserPath(id), nil).Want(http.StatusNoContent)
		check("USER_DELETED", changes{"user": user}, powensUser)

		// A replay is no other creation.
		key := apitest.Header("Idempotency-Key", "k")
		for range 2 {
			s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("other@example.com"), key).Want(http.StatusCreated)
		}
		s.Send()
		if got := len(v2.Take()); got != 1 {
			t.Errorf("%d deliveries of a creation and its replay", got)
		}
	})
}

// TestOtherWaysToChangeUsers checks that a reset password and a confirmed second factor are updates
// too.
func TestOtherWaysToChangeUsers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		receiver := apitest.NewReceiver(t)
		s.CreateWebhook(receiver.URL, changes{"events": []string{"USER_UPDATED"}, "format": "v2"})
		s.CreateUser("mary@example.com")
		s.Do(http.MethodPost, "/api/v2/password/forgot", changes{"email": "mary@example.com"}).Want(http.StatusAccepted)
		_, token, _ := strings.Cut(s.Mail().Link, "#token=")
		s.Do(http.MethodPost, "/api/v2/password/reset", changes{"token": token, "password": "NewSecret123"}).
			Want(http.StatusNoContent)
		s.Send()
		if got := receiver.Take(); len(got) != 1 || got[0].Object(t)["type"] != "USER_UPDATED" ||
			strings.Contains(string(got[0].Body), "assword") {
			t.Errorf("%+v", got)
		}

		every, _ := s.CreateWebhook(receiver.URL, changes{"format": "v2"})
		expect := func(event string) {
			t.Helper()
			s.Send()
			if log := s.Deliveries(every, ""); len(log) == 0 || log[0]["topic"] != event || log[0]["state"] != "done" {
				t.Errorf("no %s in %v", event, log)
			}
		}
		created := s.Do(http.MethodPost, "/api/v1/users", changes{"email": "fly@example.com", "blocked": false})
		id := created.Want(http.StatusOK).Object()["data"].(map[string]any)["id"]
		expect("USER_CREATED")
		s.Do(http.MethodPut, fmt.Sprintf("/api/v1/users/%v", id),
			changes{"email": "fly@example.com", "blocked": true, "blocked_code": "email_changed"}).Want(http.StatusOK)
		expect("USER_UPDATED")
		s.Do(http.MethodDelete, fmt.Sprintf("/api/v1/users/%v", id), nil).Want(http.StatusNoContent)
		expect("USER_DELETED")
		s.Do(http.MethodDelete, fmt.Sprintf("/2.0/users/%d", s.CreateUser("powens@example.com")), nil).
			Want(http.StatusNoContent)
		expect("USER_DELETED")
	})
}
