package apitest

import (
	"fmt"
	"net/http"
	"net/url"
)

// Call is a call of the Back Office API that needs a permission.
type Call struct {
	Method, Path string
	Body         any
	Needs        string // the permission
}

// Calls returns all calls that need a permission, except those of webhooks, with bodies that are
// accepted.
func Calls(userID, groupID, tokenID int64) []Call {
	group := fmt.Sprintf("%s/%d", GroupsPath, groupID)
	token := fmt.Sprintf("%s/%d", TokensPath, tokenID)
	records := UserPath(userID) + "/records"
	return []Call{
		{"GET", UsersPath, nil, "users.view"},
		{"POST", UsersPath, NewUser("new@example.com"), "users.create"},
		{"GET", UsersPath + "/count", nil, "users.view"},
		{"GET", UsersPath + "/export", nil, "users.view"},
		{"POST", UsersPath + "/find", map[string]any{"texts": []string{"1"}}, "users.view"},
		{"GET", UserPath(userID), nil, "users.view"},
		{"GET", UserPath(userID) + "/sources", nil, "users.view"},
		{"GET", UserPath(userID) + "/signin-state", nil, "users.view"},
		{"GET", UserPath(userID) + "/access", nil, "groups.view"},
		{"GET", UserPath(userID) + "/holdings", nil, "users.view"},
		{"PUT", UserPath(userID), map[string]any{"name": "X"}, "users.update"},
		{"PATCH", UserPath(userID), map[string]any{"name": "X"}, "users.update"},
		{"PUT", records + "/accounts/17", map[string]any{"attributes": map[string]any{}}, "records.manage"},
		{"GET", records, nil, "records.manage"},
		{"GET", records + "/accounts/17", nil, "records.manage"},
		{"DELETE", records + "/accounts/17", nil, "records.manage"},
		{"POST", ExplainPath, map[string]any{"ip": "192.0.2.1", "userId": userID}, "users.view"},
		{"GET", UserPath(userID) + "/totp", nil, "users.view"},
		{"DELETE", UserPath(userID) + "/totp", nil, "users.update"},
		{"GET", UserPath(userID) + "/sessions", nil, "users.view"},
		{"DELETE", UserPath(userID) + "/sessions/1", nil, "users.update"},
		{"DELETE", UserPath(userID) + "/sessions", nil, "users.update"},
		{"DELETE", UserPath(userID), nil, "users.delete"},
		{"GET", GroupsPath, nil, "groups.view"},
		{"POST", GroupsPath, map[string]any{"name": "New", "permissions": []string{}}, "groups.manage"},
		{"GET", group, nil, "groups.view"},
		{"PUT", group, map[string]any{"name": "X"}, "groups.manage"},
		{"PATCH", group, map[string]any{"name": "X"}, "groups.manage"},
		{"DELETE", group, nil, "groups.manage"},
		{"GET", TokensPath, nil, "tokens.manage"},
		{"POST", TokensPath, map[string]any{"name": "New", "permissions": []string{}}, "tokens.manage"},
		{"GET", token, nil, "tokens.manage"},
		{"DELETE", token, nil, "tokens.manage"},
		{"POST", IntrospectPath, url.Values{"token": {"x"}}, "tokens.introspect"},
		{"GET", EventsPath, nil, "audit.view"},
		{"POST", JobsPath, map[string]any{"action": "deactivate", "userIds": []int64{userID}}, "users.update"},
	}
}

// WebhookCalls returns all calls of webhooks and of the outbox, with what they need in place.
func (s *Server) WebhookCalls() []Call {
	s.tb.Helper()
	path, _ := s.CreateWebhook(NewReceiver(s.tb).URL)
	first := s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted).ID()
	second := s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted).ID()
	s.Send()
	const needs = "webhooks.manage"
	return []Call{
		{"GET", WebhooksPath, nil, needs},
		{"POST", WebhooksPath, map[string]any{"url": "https://example.com", "events": WebhookEvents()}, needs},
		{"GET", path, nil, needs},
		{"PUT", path, map[string]any{"active": true}, needs},
		{"PATCH", path, map[string]any{"active": true}, needs},
		{"POST", path + "/rotate", nil, needs},
		{"POST", path + "/test", nil, needs},
		{"GET", path + "/deliveries", nil, needs},
		{"POST", fmt.Sprintf("%s/deliveries/%d/redeliver", path, first), nil, needs},
		{"GET", OutboxPath, nil, needs},
		{"GET", OutboxPath + "/counts", nil, needs},
		{"POST", OutboxPath + "/retry", nil, needs},
		{"POST", fmt.Sprintf("%s/%d/retry", OutboxPath, second), nil, needs},
		{"DELETE", path, nil, needs},
	}
}
