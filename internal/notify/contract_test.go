package notify_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// signatures has the headers that each auth adds.
var signatures = map[string][]string{
	"standard":     {"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"},
	"bi_signature": {"Bi-Signature-Date", "Bi-Signature"},
	"bearer":       {"Authorization"},
	"none":         {},
}

// TestDeliveriesFollowTheContract holds deliveries of every event, format and auth to the
// contract, and to the contract of the other format, which they must not follow.
func TestDeliveriesFollowTheContract(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for format, other := range map[string]string{"powens": "v2", "v2": "powens"} {
			for auth, headers := range signatures {
				receiver := apitest.NewReceiver(t)
				webhook := changes{"format": format, "auth": auth}
				if auth == "bearer" {
					webhook["token"] = "secret"
				}
				path, _ := s.CreateWebhook(receiver.URL, webhook)
				if auth == "standard" { // two secrets sign
					s.Do(http.MethodPost, path+"/rotate", nil).Want(http.StatusOK)
				}
				everyEvent(s, path, fmt.Sprintf("%s-%s@example.com", format, auth))
				deliveries := receiver.Take()
				if len(deliveries) != 5 {
					t.Errorf("%s, %s: %d deliveries, want 5", format, auth, len(deliveries))
				}
				for _, d := range deliveries {
					name := strings.Join([]string{format, auth, d.Header.Get("Roster-Event")}, ", ")
					if err := apitest.CheckDelivery(t.Context(), format, d); err != nil {
						t.Errorf("%s: %v in %s", name, err, d.Body)
					}
					if apitest.CheckDelivery(t.Context(), other, d) == nil {
						t.Errorf("%s: follows the format %s too", name, other)
					}
					for of, all := range signatures {
						for _, header := range all {
							if _, has := d.Header[header]; has != slices.Contains(headers, header) {
								t.Errorf("%s: %s of %s: %v", name, header, of, has)
							}
						}
					}
				}
				s.Do(http.MethodDelete, path, nil).Want(http.StatusNoContent)
			}
		}
	})
}

// everyEvent makes each event that a webhook can be told of, and a ping, and sends them.
func everyEvent(s *apitest.Server, webhook, email string) {
	id := s.CreateUser(email, changes{"clientTags": []any{"a", changes{"id": 7}}, "phone": "+18043257762"})
	s.Do(http.MethodPatch, apitest.UserPath(id), changes{"name": "Ann", "phone": nil}).Want(http.StatusOK)
	s.Do(http.MethodPost, fmt.Sprintf("/2.0/users/%d/synced", id),
		`{"connections":[{"connector":{"id":40},"sources":[],"accounts":[{"id":1,"transactions":[]}]}]}`).
		Want(http.StatusAccepted)
	s.Do(http.MethodDelete, apitest.UserPath(id), nil).Want(http.StatusNoContent)
	s.Do(http.MethodPost, webhook+"/test", nil).Want(http.StatusAccepted)
	s.Send()
}

// TestCheckDeliveryRefuses checks that the check above can fail.
func TestCheckDeliveryRefuses(t *testing.T) {
	t.Parallel()
	const ping = `{"id":7,"type":"PING","time":"2022-01-01T00:00:00+00:00","user":null}`
	check := func(body string, change func(http.Header)) error {
		d := apitest.Delivery{Method: http.MethodPost, Body: []byte(body), Header: http.Header{
			"Content-Type": {"application/json"}, "Roster-Event": {"PING"}, "Roster-Delivery": {"7"},
		}}
		change(d.Header)
		return apitest.CheckDelivery(t.Context(), "v2", d)
	}
	asItIs := func(http.Header) {}
	if err := check(ping, asItIs); err != nil {
		t.Error(err)
	}
	for _, body := range []string{
		"", "{}", `{"id_webhook_data":7}`, strings.Replace(ping, "null", "{}", 1), strings.Replace(ping, "PING", "PONG", 1),
		strings.Replace(ping, "PING", "USER_CREATED", 1), strings.Replace(ping, "+00:00", "+01:00", 1),
		strings.Replace(ping, "null", `null,"more":1`, 1), strings.Replace(ping, `"id":7,`, "", 1),
	} {
		if check(body, asItIs) == nil {
			t.Errorf("%s is accepted", body)
		}
	}
	for name, value := range map[string]string{
		"Roster-Event": "PONG", "Roster-Delivery": "x", "Roster-More": "1", "Webhook-More": "1", "Webhook-Signature": "v2,x",
		"Bi-Signature": "x", "Content-Type": "text/plain",
	} {
		if check(ping, func(h http.Header) { h.Set(name, value) }) == nil {
			t.Errorf("%s: %s is accepted", name, value)
		}
	}
	for _, name := range []string{"Roster-Event", "Roster-Delivery"} {
		if check(ping, func(h http.Header) { h.Del(name) }) == nil {
			t.Errorf("accepted without %s", name)
		}
	}
}
