package notify_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
)

const iban = "FR7630006000011234567890189"

// syncAccount reports that an account with the iban was synchronised.
func syncAccount(s *apitest.Server, user int64) {
	connection := `{"connector":{},"sources":[],"accounts":[{"iban":"` + iban + `","transactions":[]}]}`
	path := fmt.Sprintf("/2.0/users/%d/synced", user)
	s.Do(http.MethodPost, path, `{"connections":[`+connection+`]}`).Want(http.StatusAccepted)
}

// TestWebhooksReadWhatTheirOwnerMay checks that a caller can change a webhook only if they may see
// everything it receives before and after the change.
func TestWebhooksReadWhatTheirOwnerMay(t *testing.T) {
	t.Parallel()
	type rights struct {
		users, records, unmasked bool
	}
	// The model, written from the contract: what a webhook takes.
	takes := func(format string, synced bool) rights { return rights{true, synced, format == "v2"} }
	covers := func(has, takes rights) bool {
		return (has.users || !takes.users) && (has.records || !takes.records) && (has.unmasked || !takes.unmasked)
	}
	events := map[bool][]string{false: {"USER_CREATED", "USER_DELETED"}, true: {"USER_DELETED", "USER_SYNCED"}}
	type shape struct {
		format string
		synced bool
	}
	shapes := []shape{{"powens", false}, {"powens", true}, {"v2", false}, {"v2", true}}
	body := func(is shape) changes {
		return changes{"url": "https://example.com", "events": events[is.synced], "format": is.format}
	}
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for mask := range 8 {
			has := rights{mask&1 != 0, mask&2 != 0, mask&4 != 0}
			permissions := []string{"webhooks.manage"}
			if has.users {
				permissions = append(permissions, "users.view")
			}
			if has.records {
				permissions = append(permissions, "records.manage")
			}
			as := apitest.As(s.CreateToken(0, permissions, changes{"canViewMaskedData": has.unmasked}))
			check := func(what string, may bool, answer *apitest.Answer) {
				t.Helper()
				if refused := answer.Status == http.StatusForbidden; refused == may || may && answer.Status >= 300 {
					t.Errorf("%+v, %s: %d %s", has, what, answer.Status, answer.Body)
				} else if refused {
					answer.WantProblem(http.StatusForbidden, "escalation_denied")
				}
			}
			for _, is := range shapes {
				may := covers(has, takes(is.format, is.synced))
				name := fmt.Sprint(is)
				created := s.Do(http.MethodPost, apitest.WebhooksPath, body(is), as)
				check("create "+name, may, created)
				if may {
					s.Do(http.MethodDelete, created.Location(), nil).Want(http.StatusNoContent)
				}
				path := s.Do(http.MethodPost, apitest.WebhooksPath, body(is)).Want(http.StatusCreated).
					Location()
				for what, change := range map[string]changes{
					"nothing": {}, "url": {"url": "https://example.com/elsewhere"},
					"host":   {"url": "https://example.net"},
					"active": {"active": false}, "token": {"token": "x"}, "auth": {"auth": "none"},
				} {
					check("change "+what+" of "+name, may, s.Do(http.MethodPatch, path, change, as))
				}
				for _, becomes := range shapes { // and back, by the administrator
					change := changes{"events": events[becomes.synced], "format": becomes.format}
					mayBecome := may && covers(has, takes(becomes.format, becomes.synced))
					check(fmt.Sprintf("make %s %v", name, becomes), mayBecome, s.Do(http.MethodPut, path, change, as))
					s.Do(http.MethodPatch, path, changes{"events": events[is.synced], "format": is.format}).
						Want(http.StatusOK)
				}
				check("rotate "+name, may, s.Do(http.MethodPost, path+"/rotate", nil, as))
				s.Do(http.MethodGet, path, nil, as).Want(http.StatusOK) // it tells nothing of a user
				check("delete "+name, may, s.Do(http.MethodDelete, path, nil, as))
				if !may {
					s.Do(http.MethodDelete, path, nil).Want(http.StatusNoContent)
				}
			}
		}
	})
}

// TestWebhooksAreNoWayAround checks that webhooks.manage alone cannot get accounts or unmasked users
// delivered.
func TestWebhooksAreNoWayAround(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mine, theirs := apitest.NewReceiver(t), apitest.NewReceiver(t)
		theirPath, _ := s.CreateWebhook(theirs.URL, changes{"format": "v2"})
		manage := apitest.As(s.CreateToken(0, []string{"webhooks.manage"}, changes{"canViewMaskedData": false}))
		unmasked := apitest.As(s.CreateToken(0, []string{"webhooks.manage"}, changes{"canViewMaskedData": true}))
		viewer := apitest.As(s.CreateToken(0, []string{"webhooks.manage", "users.view"},
			changes{"canViewMaskedData": false}))
		for _, as := range []apitest.Option{manage, unmasked, viewer} {
			for _, body := range []changes{
				{"url": mine.URL, "events": []string{"USER_SYNCED"}},
				{"url": mine.URL, "events": apitest.WebhookEvents(), "format": "v2"},
				{"url": mine.URL, "events": []string{"USER_CREATED"}, "format": "v2"},
			} {
				s.Do(http.MethodPost, apitest.WebhooksPath, body, as).
					WantProblem(http.StatusForbidden, "escalation_denied")
			}
			s.Do(http.MethodPatch, theirPath, changes{"url": mine.URL}, as).
				WantProblem(http.StatusForbidden, "escalation_denied")
		}
		path := s.Do(http.MethodPost, apitest.WebhooksPath,
			changes{"url": mine.URL, "events": []string{"USER_CREATED"}}, viewer).
			Want(http.StatusCreated).Location()
		for _, change := range []changes{
			{"events": apitest.WebhookEvents()},
			{"events": []string{"USER_SYNCED"}},
			{"format": "v2"},
		} {
			s.Do(http.MethodPatch, path, change, viewer).WantProblem(http.StatusForbidden, "escalation_denied")
		}
		user := s.CreateUser("mary@example.com", changes{"phone": "+18043257762"})
		syncAccount(s, user)
		s.Send()
		if got := theirs.Take(); len(got) != 2 {
			t.Errorf("%d deliveries to who may have them", len(got))
		}
		got := mine.Take()
		if len(got) != 1 {
			t.Errorf("%d deliveries", len(got))
		}
		for _, delivery := range got {
			for _, hidden := range []string{iban, "mary", "Mary", "+1804"} {
				if strings.Contains(string(delivery.Body), hidden) {
					t.Errorf("%s is in %s", hidden, delivery.Body)
				}
			}
		}
	})
}

// TestOldDeliveriesAreNoWayAround checks that a caller with the rights for a webhook's present events
// does not receive its earlier deliveries of other events.
func TestOldDeliveriesAreNoWayAround(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		receiver, mine := apitest.NewReceiver(t), apitest.NewReceiver(t)
		path, _ := s.CreateWebhook(receiver.URL)
		user := s.CreateUser("mary@example.com")
		syncAccount(s, user)
		s.Send()
		receiver.Answer(http.StatusServiceUnavailable)
		syncAccount(s, user)
		s.Send()
		s.Do(http.MethodPatch, path, changes{"events": []string{"USER_CREATED"}}).Want(http.StatusOK)

		viewer := apitest.As(s.CreateToken(0, []string{"webhooks.manage", "users.view"},
			changes{"canViewMaskedData": false}))
		s.Do(http.MethodPatch, path, changes{"url": mine.URL}, viewer).Want(http.StatusOK)
		for _, delivery := range s.Deliveries(path, "?filter[state]=done") {
			redeliver := fmt.Sprintf("%s/deliveries/%v/redeliver", path, delivery["id"])
			s.Do(http.MethodPost, redeliver, nil, viewer).Want(http.StatusAccepted)
		}
		s.Clock.Advance(time.Hour)
		s.Send()
		bodies := []string{}
		for _, delivery := range mine.Take() {
			bodies = append(bodies, string(delivery.Body))
		}
		if len(bodies) != 1 || strings.Contains(bodies[0], iban) { // the creation alone
			t.Errorf("%q", bodies)
		}
		states := []string{}
		for _, delivery := range s.Deliveries(path, "") {
			states = append(states, fmt.Sprint(delivery["topic"], " ", delivery["state"], " ", delivery["lastError"]))
		}
		slices.Sort(states)
		const given = "USER_SYNCED dead the webhook is not told of such events any more"
		if want := []string{"USER_CREATED done <nil>", given, given}; !slices.Equal(states, want) {
			t.Errorf("%q", states)
		}

		// Who may see accounts takes them up again.
		s.Do(http.MethodPatch, path, changes{"events": apitest.WebhookEvents()}, viewer).
			WantProblem(http.StatusForbidden, "escalation_denied")
		s.Do(http.MethodPatch, path, changes{"events": apitest.WebhookEvents()}).Want(http.StatusOK)
		for _, delivery := range s.Deliveries(path, "?filter[state]=dead") {
			s.Do(http.MethodPost, fmt.Sprintf("%s/deliveries/%v/redeliver", path, delivery["id"]), nil).
				Want(http.StatusAccepted)
		}
		s.Send()
		if got := mine.Take(); len(got) != 2 || !strings.Contains(string(got[0].Body), iban) {
			t.Errorf("%+v", got)
		}
	})
}
