package notify_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// TestDeliveriesNameTheirEvent checks the headers that tell a receiver the event, which
// bodies of the format powens do not name, and the delivery, in every format and auth.
func TestDeliveriesNameTheirEvent(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, format := range []string{"powens", "v2"} {
			for _, auth := range []string{"standard", "bi_signature", "none"} {
				receiver := apitest.NewReceiver(t)
				path, _ := s.CreateWebhook(receiver.URL, changes{"format": format, "auth": auth})
				id := s.CreateUser(fmt.Sprintf("%s-%s@example.com", format, auth))
				s.Do(http.MethodPatch, apitest.UserPath(id), changes{"name": "Ann"}).Want(http.StatusOK)
				s.Do(http.MethodDelete, apitest.UserPath(id), nil).Want(http.StatusNoContent)
				s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted)
				s.Send()
				var events []string
				for _, d := range receiver.Take() {
					events = append(events, d.Header.Get("Roster-Event"))
					delivery, body := d.Header.Get("Roster-Delivery"), d.Object(t)
					inBody := body["id"]
					if format == "powens" {
						inBody = body["id_webhook_data"]
					}
					if fmt.Sprint(inBody) != delivery {
						t.Errorf("%s, %s: delivery %q, body %v", format, auth, delivery, body)
					}
				}
				slices.Sort(events)
				if want := "[PING USER_CREATED USER_DELETED USER_UPDATED]"; fmt.Sprint(events) != want {
					t.Errorf("%s, %s: %v", format, auth, events)
				}
				s.Do(http.MethodDelete, path, nil).Want(http.StatusNoContent)
			}
		}
	})
}
