package outbox_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/delivery"
)

// TestErasedDeliveries checks that the deletion of a user erases the payloads of earlier deliveries.
// Those still to be sent arrive, and are erased then.
func TestErasedDeliveries(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		receiver := apitest.NewReceiver(t)
		path, _ := s.CreateWebhook(receiver.URL, changes{"format": "v2"})
		user := s.CreateUser("mary@example.com")
		s.Send()
		s.Do(http.MethodPatch, apitest.UserPath(user), changes{"name": "Ann"}).Want(http.StatusOK)
		s.Do(http.MethodDelete, apitest.UserPath(user), nil).Want(http.StatusNoContent)
		receiver.Take()
		s.Send()
		if got := receiver.Take(); len(got) != 2 {
			t.Fatalf("%+v", got)
		}
		log := s.Deliveries(path, "?filter[state]=done")
		if len(log) != 3 {
			t.Fatalf("%v", log)
		}
		for _, delivery := range log {
			s.Do(http.MethodPost, fmt.Sprintf("%s/deliveries/%v/redeliver", path, delivery["id"]), nil).
				WantProblem(http.StatusConflict, "message_erased")
		}
		if kept := apitest.CountRows(t, engine, url, "outbox", "payload LIKE '%mary%'"); kept != 0 {
			t.Errorf("%d messages have her address", kept)
		}
		// And after 30 days nothing is left at all.
		s.Clock.Advance(delivery.KeepPeriod - time.Hour)
		if err := s.Service.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := s.Deliveries(path, ""); len(got) != 3 {
			t.Errorf("%v", got)
		}
		s.Clock.Advance(2 * time.Hour)
		if err := s.Service.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := s.Deliveries(path, ""); len(got) != 0 {
			t.Errorf("%v", got)
		}
	})
}

// TestUntoldDeletions checks that a deletion can be redelivered until a receiver has accepted it.
func TestUntoldDeletions(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		receiver := apitest.NewReceiver(t)
		path, _ := s.CreateWebhook(receiver.URL, changes{"format": "v2", "events": []string{"USER_DELETED"}})
		user := s.CreateUser("mary@example.com")
		s.Do(http.MethodDelete, apitest.UserPath(user), nil).Want(http.StatusNoContent)
		receiver.Answer(http.StatusGone)
		s.Send()
		log := s.Deliveries(path, "")
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
		if kept := apitest.CountRows(t, engine, url, "outbox", "payload <> ''"); kept != 0 {
			t.Errorf("%d messages say something", kept)
		}
	})
}

// TestLinksAskedForGoWithTheUser checks that mails in the outbox that have only the address of a user
// are deleted with the user.
func TestLinksAskedForGoWithTheUser(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		user := s.CreateUser("Mary@example.com")
		for _, address := range []string{"mary@EXAMPLE.com", "other@example.com"} {
			s.Do(http.MethodPost, "/api/v2/password/forgot", changes{"email": address}).Want(http.StatusAccepted)
		}
		s.Do(http.MethodDelete, apitest.UserPath(user), nil).Want(http.StatusNoContent)
		if kept := apitest.CountRows(t, engine, url, "outbox",
			"lower(payload) LIKE '%mary%' OR address LIKE '%mary%'"); kept != 0 {
			t.Errorf("%d messages have her address", kept)
		}
		if kept := apitest.CountRows(t, engine, url, "outbox", "payload LIKE '%other%'"); kept != 1 {
			t.Errorf("%d messages of others are left", kept)
		}
	})
}
