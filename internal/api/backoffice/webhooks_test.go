package backoffice_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/api/apitest"
)

func TestWebhooks(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		created := s.Do(http.MethodPost, apitest.WebhooksPath,
			changes{
				"url":    "https://example.com/hook?key=1",
				"events": []string{"USER_DELETED", "USER_CREATED", "USER_CREATED"},
			}).
			Want(http.StatusCreated)
		path := created.Location()
		want := changes{
			"id": 1.0, "url": "https://example.com/hook?key=1", "events": []any{"USER_CREATED", "USER_DELETED"},
			"format": "powens", "auth": "standard",
			"active": true, "createTime": "2026-11-22T12:00:00+00:00", "updateTime": nil, "version": 1.0,
			"createdBy": changes{"userId": nil, "tokenId": 1.0},
		}
		got := created.Object()
		secret, _ := got["secret"].(string)
		delete(got, "secret")
		if diff := cmp.Diff(want, got); diff != "" || path != apitest.WebhooksPath+"/1" ||
			created.Header.Get("ETag") != `"1"` || !strings.HasPrefix(secret, "whsec_") || len(secret) != 50 {
			t.Errorf("%s %s %s", diff, path, secret)
		}
		if diff := cmp.Diff(want, s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Object()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(changes{"total": 1.0, "data": []any{want}},
			s.Do(http.MethodGet, apitest.WebhooksPath, nil).Want(http.StatusOK).Object()); diff != "" {
			t.Error(diff)
		}
		s.Do(http.MethodPatch, path, changes{"active": true}).Want(http.StatusOK) // no change
		s.Clock.Advance(time.Minute)
		want["url"], want["events"] = "http://example.org", []any{"USER_SYNCED"}
		want["format"], want["auth"], want["active"] = "v2", "bearer", false
		want["version"], want["updateTime"] = 2.0, "2026-11-22T12:01:00+00:00"
		change := changes{
			"url": "http://example.org", "events": []string{"USER_SYNCED"}, "format": "v2",
			"auth": "bearer", "active": false, "token": "fixed-Secret-1",
		}
		got = s.Do(http.MethodPut, path, change, apitest.Header("If-Match", `"1"`)).Want(http.StatusOK).Object()
		moved, _ := got["secret"].(string)
		delete(got, "secret")
		if diff := cmp.Diff(want, got); diff != "" || !strings.HasPrefix(moved, "whsec_") || moved == secret {
			t.Errorf("%s %s", diff, moved)
		}
		s.Do(http.MethodPatch, path, changes{"active": true}, apitest.Header("If-Match", `"1"`)).
			WantProblem(http.StatusPreconditionFailed, "stale_version")
		s.Do(http.MethodDelete, path, nil, apitest.Header("If-Match", `"1"`)).
			WantProblem(http.StatusPreconditionFailed, "stale_version")
		s.Do(http.MethodPatch, path, changes{"token": nil}).
			WantProblem(http.StatusBadRequest, "validation_failed", "token")
		s.Do(http.MethodPatch, path, changes{"token": nil, "auth": "none"}).Want(http.StatusOK)
		s.Do(http.MethodPatch, path, changes{"auth": "bearer"}).
			WantProblem(http.StatusBadRequest, "validation_failed", "token")
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
		events := string(s.Do(http.MethodGet, apitest.EventsPath+"?limit=100", nil).Want(http.StatusOK).Body)
		for event, count := range map[string]int{
			"WEBHOOK_CREATED": 1, "WEBHOOK_UPDATED": 2,
			"WEBHOOK_SECRET_ROTATED": 1, "WEBHOOK_DELETED": 1,
		} {
			if got := strings.Count(events, event); got != count {
				t.Errorf("%d of %s, want %d", got, event, count)
			}
		}
		for _, hidden := range []string{secret, moved, newSecret, "fixed-Secret-1", "key=1"} {
			if strings.Contains(events, hidden) || strings.Contains(s.Log.String(), hidden) {
				t.Errorf("%s is told", hidden)
			}
		}
		if !strings.Contains(events, `"subjectType":"webhook","subjectId":1`) ||
			!strings.Contains(events, "https://example.com/hook?***") {
			t.Error(events)
		}
	})
}

func TestInvalidWebhooks(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		path, _ := s.CreateWebhook("https://example.com")
		for field, values := range map[string][]any{
			"url": {
				nil, "", 5, "example.com", "ftp://example.com", "https://user:pass@example.com",
				"https://example.com/#x", "http://10.0.0.1/", "http://169.254.169.254/latest",
				"http://[::1]/", "http://2130706433/", "https://example.com:0/",
				"https://example.com/" + strings.Repeat("x", 2048),
				"http://[::ffff:10.0.0.1]/", "http://0.0.0.0/",
			},
			"events": {nil, []string{}, "USER_CREATED"},
			"events[1]": {
				[]any{"USER_CREATED", "GROUP_CREATED"},
				[]any{"USER_CREATED", nil},
				[]any{"USER_CREATED", "PING"},
			},
			"format": {nil, "v1", 1}, "auth": {nil, "basic", true}, "active": {nil, 1},
			"token": {"", 5, "a b", "ä", strings.Repeat("x", 1025)}, "secret": {"whsec_x"}, "id": {1},
		} {
			for _, value := range values {
				name, _, _ := strings.Cut(field, "[")
				s.Do(http.MethodPost, apitest.WebhooksPath,
					changes{"url": "https://example.com", "events": apitest.WebhookEvents(), name: value}).
					WantProblem(http.StatusBadRequest, "validation_failed", field)
				s.Do(http.MethodPatch, path, changes{name: value}).
					WantProblem(http.StatusBadRequest, "validation_failed", field)
			}
		}
		s.Do(http.MethodPost, apitest.WebhooksPath, `{}`).
			WantProblem(http.StatusBadRequest, "validation_failed", "url", "events")
		s.Do(http.MethodPost, apitest.WebhooksPath,
			changes{"url": "https://example.com", "events": apitest.WebhookEvents(), "auth": "bearer"}).
			WantProblem(http.StatusBadRequest, "validation_failed", "token")
		s.Do(http.MethodPost, apitest.WebhooksPath,
			changes{"url": "https://example.com", "events": apitest.WebhookEvents(), "token": nil}).
			Want(http.StatusCreated)
		s.Do(http.MethodGet, apitest.WebhooksPath+"/x", nil).
			WantProblem(http.StatusBadRequest, "validation_failed", "webhookId")
		s.Do(http.MethodGet, path+"/deliveries?filter[state]=lost&x=1", nil).
			WantProblem(http.StatusBadRequest, "validation_failed", "filter[state]", "x")
		s.Do(http.MethodPost, path+"/deliveries/x/redeliver", nil).
			WantProblem(http.StatusBadRequest, "validation_failed", "deliveryId")
		s.Do(http.MethodGet, apitest.OutboxPath+"?filter[state]=lost&filter[kind]=x&filter[webhook]=0&filter[user]=0", nil).
			WantProblem(http.StatusBadRequest, "validation_failed", "filter[user]", "filter[kind]", "filter[webhook]", "filter[state]")
		s.Do(http.MethodPost, apitest.OutboxPath+"/retry?filter[state]=dead", nil).
			WantProblem(http.StatusBadRequest, "validation_failed", "filter[state]")
		s.Do(http.MethodGet, apitest.OutboxPath+"/counts?x=1", nil).WantProblem(http.StatusBadRequest, "validation_failed", "x")
		s.Do(http.MethodPost, path+"/rotate", nil, apitest.Header("If-Match", `"99"`)).
			WantProblem(http.StatusPreconditionFailed, "stale_version")
		s.Do(http.MethodPost, apitest.OutboxPath+"/0/retry", nil).
			WantProblem(http.StatusBadRequest, "validation_failed", "messageId")
		s.Do(http.MethodPost, apitest.OutboxPath+"/999/retry", nil).WantProblem(http.StatusNotFound, "not_found")
	})
}
