package service_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
)

// giveUp makes a webhook with n messages that were given up.
func giveUp(s *apitest.Server, r *apitest.Receiver, n int) (path string, id int64) {
	path, _ = s.CreateWebhook(r.URL)
	for range n {
		s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted)
	}
	for range 20 { // more than the attempts of a message
		r.Answer(http.StatusInternalServerError)
		s.Send()
		s.Clock.Advance(25 * time.Hour)
	}
	_, _ = fmt.Sscanf(path[strings.LastIndex(path, "/")+1:], "%d", &id)
	return path, id
}

// TestRetryDead queues what was given up again: once, with one event, and only what matches.
func TestRetryDead(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		r := apitest.NewReceiver(t)
		first, id := giveUp(s, r, 3)
		second, _ := giveUp(s, r, 2)
		count := func(path string, want int) {
			t.Helper()
			var answer struct{ Count int }
			if s.Do(http.MethodPost, path, nil).Want(http.StatusAccepted).Decode(&answer); answer.Count != want {
				t.Errorf("%s: %d, want %d", path, answer.Count, want)
			}
		}
		if got := len(s.Deliveries(first, "?filter[state]=dead")); got != 3 {
			t.Fatalf("%d are dead", got)
		}
		count("/api/v2/outbox/retry?filter[kind]=mail", 0)
		count("/api/v2/outbox/retry?filter[user]=1", 0)
		count(fmt.Sprintf("/api/v2/outbox/retry?filter[webhook]=%d", id), 3)
		count(fmt.Sprintf("/api/v2/outbox/retry?filter[webhook]=%d", id), 0)
		if got := len(s.Deliveries(second, "?filter[state]=dead")); got != 2 {
			t.Errorf("%d of the other webhook are dead", got)
		}
		events := s.Events("?filter[type]=WEBHOOK_REDELIVERED").Data
		if len(events) != 1 || fmt.Sprint(events[0].Changes["deliveries"].New) != "3" {
			t.Errorf("%+v", events)
		}
		var mu sync.Mutex
		var total int64
		var all sync.WaitGroup
		for range 4 { // at once: each message is queued by one of them
			all.Go(func() {
				n, err := s.Service.RetryDead(t.Context(), identity.CommandLine(), delivery.Filter{})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				total += n
			})
		}
		all.Wait()
		if total != 2 {
			t.Errorf("%d were queued", total)
		}
		r.Answer(http.StatusNoContent)
		r.Take()
		s.Send()
		if got := len(r.Take()); got != 5 {
			t.Errorf("%d arrived", got)
		}
		done := s.Do(http.MethodGet, "/api/v2/outbox?filter[state]=done&filter[kind]=webhook", nil).Want(http.StatusOK).Object()
		if fmt.Sprint(done["total"]) != "5" {
			t.Errorf("%v are listed as done", done)
		}
		counts := s.Do(http.MethodGet, "/api/v2/outbox/counts", nil).Want(http.StatusOK)
		if !strings.Contains(string(counts.Body), `"state":"done","count":3`) {
			t.Errorf("%s", counts.Body)
		}
	})
}

// TestRetryDeadLeavesWhatIsErased: nothing is sent again once what it said has been erased.
func TestRetryDeadLeavesWhatIsErased(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		r := apitest.NewReceiver(t)
		r.Answer(http.StatusInternalServerError)
		user := s.CreateUser("mary@example.com")
		giveUp(s, r, 0)
		s.Do(http.MethodPatch, fmt.Sprintf("/api/v2/users/%d", user), map[string]any{"name": "Mary Ann"}).Want(http.StatusOK)
		for range 20 {
			s.Send()
			s.Clock.Advance(25 * time.Hour)
		}
		s.Do(http.MethodDelete, fmt.Sprintf("/api/v2/users/%d", user), nil).Want(http.StatusNoContent)
		for range 20 {
			s.Send()
			s.Clock.Advance(12 * time.Hour)
		}
		n, err := s.Service.RetryDead(t.Context(), identity.CommandLine(), delivery.Filter{Channel: delivery.ChannelWebhook})
		if err != nil || n != 1 { // only the one about the deletion
			t.Errorf("%d, %v", n, err)
		}
	})
}
