package service_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/service"
)

// wantFresh checks that a session has to authenticate again for a call.
func wantFresh(s *apitest.Server, method, path string, body any, as apitest.Option) {
	s.Do(method, path, body, as).WantProblem(http.StatusForbidden, "reauthentication_required")
}

// TestTokenIsNobody checks that a token of a user has the rights of its list and none of the user's
// own.
func TestTokenIsNobody(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@website.com", changes{"phone": "+18043257762", "tfa": false})
		session := apitest.As(s.SignIn("mary@website.com"))
		bare := apitest.As(s.CreateToken(id, nil))
		self := apitest.As(s.CreateToken(id, []string{"users.self"}, changes{"canViewMaskedData": true}))
		for _, path := range []string{
			apitest.MePath, apitest.UserPath(id), "/2.0/users/me",
			apitest.MePath + "/sessions",
		} {
			s.Do(http.MethodGet, path, nil, bare).Want(http.StatusForbidden)
		}
		// users.self reads that user, with the masks of the token.
		me := string(s.Do(http.MethodGet, apitest.MePath, nil, self).Want(http.StatusOK).Body)
		if strings.Contains(me, "mary@") || strings.Contains(me, "8043257762") {
			t.Errorf("not masked: %s", me)
		}
		s.Do(http.MethodGet, apitest.UsersPath, nil, self).WantProblem(http.StatusForbidden, "permission_denied")
		for _, as := range []apitest.Option{bare, self} {
			for _, call := range []struct {
				method, path string
				body         any
			}{
				{"PATCH", apitest.MePath, changes{"name": "Mine"}},
				{"PATCH", apitest.MePath, changes{"phone": nil}},
				{"PATCH", apitest.MePath, changes{"password": "TakenOver1"}},
				{"PATCH", apitest.MePath, changes{"email": "mine@website.com"}},
				{"POST", apitest.MePath + "/totp", nil},
				{"POST", apitest.MePath + "/totp/confirm", changes{"code": "123456"}},
				{"DELETE", apitest.MePath + "/totp", nil},
				{"DELETE", apitest.MePath, nil},
				{"DELETE", apitest.MePath + "/sessions", nil},
				{"DELETE", apitest.MePath + "/sessions" + "/1", nil},
				{"POST", apitest.ExplainPath, changes{"ip": "192.0.2.1", "userId": id}},
			} {
				s.Do(call.method, call.path, call.body, as).Want(http.StatusForbidden)
			}
			s.Do(http.MethodPatch, apitest.MePath,
				changes{"password": "TakenOver1", "currentPassword": apitest.Password}, as).
				WantProblem(http.StatusForbidden, "permission_denied")
			s.Do(http.MethodPost, apitest.ReauthenticatePath, changes{"password": apitest.Password}, as).
				WantProblem(http.StatusConflict, "no_session")
		}
		s.Do(http.MethodDelete, "/2.0/users/me", nil, bare).Want(http.StatusForbidden)
		if got := s.Do(http.MethodGet, apitest.MePath, nil,
			session).Want(http.StatusOK).Object(); got["name"] != "Mary" || got["version"] != 1.0 {
			t.Errorf("%v", got)
		}
		s.Do(http.MethodDelete, "/2.0/users/me", nil, self).Want(http.StatusNoContent)
	})
}

// TestTokenNeverTouchesItsUsersWayIn checks this also for a token with users.update, which may change
// all other users.
func TestTokenNeverTouchesItsUsersWayIn(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@website.com", changes{"groups": []int{1}, "canViewMaskedData": true})
		other := s.CreateUser("john@website.com")
		session := s.SignIn("mary@website.com")
		s.Enrol(session)
		as := apitest.As(s.CreateToken(id, apitest.AllPermissions()))
		for _, change := range []changes{{"password": "TakenOver1"}, {"tfa": false}} {
			s.Do(http.MethodPatch, apitest.MePath, change, as).WantProblem(http.StatusForbidden, "session_required")
			s.Do(http.MethodPatch, apitest.UserPath(id), change, as).
				WantProblem(http.StatusForbidden, "session_required")
		}
		for _, path := range []string{
			apitest.MePath + "/totp", apitest.MePath + "/sessions",
			apitest.MePath + "/sessions" + "/1",
		} {
			s.Do(http.MethodDelete, path, nil, as).WantProblem(http.StatusForbidden, "session_required")
		}
		s.Do(http.MethodPost, apitest.MePath+"/totp", nil, as).WantProblem(http.StatusForbidden, "session_required")
		s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(session)).Want(http.StatusOK)
		s.Do(http.MethodPatch, apitest.MePath, changes{"name": "Mary Ann"}, as).Want(http.StatusOK) // by users.update
		s.Do(http.MethodPatch, apitest.UserPath(other), changes{"password": "NewSecret123", "tfa": true}, as).
			Want(http.StatusOK)
	})
}

// TestNobodyBecomesWhomTheyMayNotSee checks that only callers who see unmasked data can change the
// credentials of others.
func TestNobodyBecomesWhomTheyMayNotSee(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@website.com", changes{"ipWhitelist": []string{"192.0.2.0/24"}})
		path := apitest.UserPath(id)
		s.CreateUser("desk@example.com",
			changes{"groups": []int64{s.CreateGroup("Desk", "users.update", "tokens.manage", "users.self")}})
		for name, masked := range map[string]apitest.Option{
			"token": apitest.As(s.CreateToken(0, []string{"users.update", "tokens.manage", "users.self"},
				changes{"canViewMaskedData": false})),
			"session": apitest.As(s.SignIn("desk@example.com")),
		} {
			for _, change := range []changes{
				{"password": "TakenOver1"},
				{"email": "mine@example.com"},
				{"email": "MARY@website.com"},
				{"tfa": true},
			} {
				s.Do(http.MethodPatch, path, change, masked).WantProblem(http.StatusForbidden, "masked_data")
				s.Do(http.MethodPut, path, change, masked).WantProblem(http.StatusForbidden, "masked_data")
			}
			s.Do(http.MethodDelete, path+"/totp", nil, masked).WantProblem(http.StatusForbidden, "masked_data")
			// Nor may they create a token that acts for that user.
			for _, permissions := range [][]string{{}, {"users.self"}, {"users.view"}} {
				s.Do(http.MethodPost, apitest.TokensPath,
					changes{"name": "x", "permissions": permissions, "userId": id}, masked).
					WantProblem(http.StatusForbidden, "masked_data")
			}
			// Masks written back, and fields that are no credentials, are accepted.
			s.Do(http.MethodPatch, path, changes{"email": "m***@website.com", "tfa": false, "name": "Mary " + name},
				masked).Want(http.StatusOK)
		}
		if got := s.Do(http.MethodGet, path, nil).Object(); got["version"] != 3.0 ||
			got["email"] != "mary@website.com" {
			t.Errorf("%v", got)
		}
		s.TrySignIn("mary@website.com", "TakenOver1", apitest.NoToken("192.0.2.9")).Want(http.StatusUnauthorized)
	})
}

// TestCurrentPasswordIsNoOracle checks that currentPassword for another user is always an error,
// before any password is compared.
func TestCurrentPasswordIsNoOracle(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("admin@example.com", changes{"groups": []int{1}, "canViewMaskedData": true})
		other := s.CreateUser("mary@example.com")
		for _, as := range []apitest.Option{apitest.As(apitest.AdminToken), apitest.As(s.SignIn("admin@example.com"))} {
			for _, guess := range []string{apitest.Password, "WrongSecret1", ""} {
				for _, body := range []changes{
					{"currentPassword": guess},
					{"currentPassword": guess, "password": "NewSecret123"},
				} {
					answer := s.Do(http.MethodPatch, apitest.UserPath(other), body, as).
						WantProblem(http.StatusBadRequest, "validation_failed", "currentPassword")
					if !strings.Contains(string(answer.Body), "not_oneself") {
						t.Errorf("%s", answer.Body)
					}
				}
			}
		}
		s.SignInWith("mary@example.com", apitest.Password)
	})
}

// TestFreshness checks that changes that outlast a stolen session need a recent authentication.
func TestFreshness(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := fmt.Sprintf("%s/%d", apitest.GroupsPath, s.CreateGroup("Support", "users.view"))
		id := s.CreateUser("mary@example.com", changes{"groups": []int{1}, "canViewMaskedData": true})
		as := apitest.As(s.SignIn("mary@example.com"))
		receiver := apitest.NewReceiver(t)
		hook := s.Do(http.MethodPost, apitest.WebhooksPath,
			changes{"url": receiver.URL, "events": apitest.WebhookEvents()}, as).Want(http.StatusCreated).
			Location()
		token := changes{"name": "x", "permissions": []string{}}
		s.Do(http.MethodPost, apitest.TokensPath, token, as).Want(http.StatusCreated)
		s.Clock.Advance(15*time.Minute - time.Second)
		s.Do(http.MethodPost, apitest.TokensPath, token, as).Want(http.StatusCreated)
		s.Clock.Advance(time.Second)
		stale := []struct {
			method, path string
			body         any
		}{
			{"PATCH", apitest.MePath, changes{"email": "new@example.com"}},
			{"PATCH", apitest.UserPath(id), changes{"email": "new@example.com"}},
			{"PATCH", apitest.MePath, changes{"tfa": true}},
			{"POST", apitest.MePath + "/totp", nil},
			{"POST", apitest.MePath + "/totp/confirm", changes{"code": "123456"}},
			{"DELETE", apitest.MePath + "/totp", nil},
			{"POST", apitest.TokensPath, token},
			{"POST", apitest.GroupsPath, changes{"name": "New", "permissions": []string{}}},
			{"PATCH", group, changes{"permissions": []string{"audit.view"}}},
			{"PUT", group, changes{"requireTfa": true}},
			{"POST", apitest.WebhooksPath, changes{"url": receiver.URL, "events": apitest.WebhookEvents()}},
			{"PATCH", hook, changes{"active": false}},
			{"POST", hook + "/rotate", nil},
			{"DELETE", hook, nil},
		}
		for _, call := range stale {
			wantFresh(s, call.method, call.path, call.body, as)
		}
		// The rest goes on, and service tokens have nothing to prove.
		s.Do(http.MethodPatch, apitest.MePath, changes{"name": "Mary Ann"}, as).Want(http.StatusOK)
		s.Do(http.MethodPatch, group, changes{"name": "Helpers"}, as).Want(http.StatusOK)
		other := s.CreateUser("john@example.com")
		s.Do(http.MethodPatch, apitest.UserPath(other), changes{"email": "jo@example.com"}, as).Want(http.StatusOK)
		s.Do(http.MethodPost, apitest.TokensPath, token).Want(http.StatusCreated)
		// A refreshed session is as old as its sign-in.
		p := s.SignInWith("mary@example.com", apitest.Password)
		s.Clock.Advance(15 * time.Minute)
		var next apitest.Tokens
		s.Refresh(p.RefreshToken.Token).Want(http.StatusOK).Decode(&next)
		wantFresh(s, http.MethodPost, apitest.TokensPath, token, apitest.As(next.AccessToken.Token))

		s.Do(http.MethodPost, apitest.ReauthenticatePath, changes{"password": "WrongSecret1"}, as).
			WantProblem(http.StatusBadRequest, "validation_failed", "password")
		wantFresh(s, http.MethodPost, apitest.TokensPath, token, as)
		answer := s.Do(http.MethodPost, apitest.ReauthenticatePath, changes{"password": apitest.Password}, as).
			Want(http.StatusOK).Object()
		if answer["freshUntil"] != "2026-11-22T12:45:00+00:00" || answer["2faRequired"] != false {
			t.Errorf("%v", answer)
		}
		s.Do(http.MethodPost, apitest.TokensPath, token, as).Want(http.StatusCreated)
		wantFresh(s, http.MethodPost, apitest.TokensPath, token, apitest.As(next.AccessToken.Token)) // another session
		s.Do(http.MethodPatch, apitest.MePath, changes{"email": "new@example.com"}, as).Want(http.StatusOK)
		var found struct{ Total int }
		s.Do(http.MethodGet, apitest.EventsPath+"?filter[type]=USER_REAUTHENTICATED", nil).Want(http.StatusOK).
			Decode(&found)
		if found.Total != 1 {
			t.Errorf("%d events", found.Total)
		}
	})
}

// TestReauthenticateWithSecondFactor checks that a user with a second factor needs it here too.
func TestReauthenticateWithSecondFactor(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com", changes{"tfa": true})
		from := apitest.NoToken("192.0.2.1")
		c := s.Challenge("mary@example.com", "email", from)
		var p apitest.Tokens
		s.Confirm(c, s.Mail().Code, from).Want(http.StatusOK).Decode(&p)
		as := apitest.As(p.AccessToken.Token)
		s.Clock.Advance(16 * time.Minute)
		ask := func(body changes) *apitest.Answer { return s.Do(http.MethodPost, apitest.ReauthenticatePath, body, as) }
		// none was mailed
		ask(changes{"password": apitest.Password, "code": "123456"}).
			WantProblem(http.StatusBadRequest, "validation_failed", "code")
		answer := ask(changes{"password": apitest.Password}).Want(http.StatusOK).Object()
		if answer["2faRequired"] != true || answer["freshUntil"] != nil ||
			answer["2faDetails"].(map[string]any)["provider"] != "email" {
			t.Errorf("%v", answer)
		}
		wantFresh(s, http.MethodPost, apitest.MePath+"/totp", nil, as)
		code := s.Mail().Code
		ask(changes{"password": apitest.Password, "code": anotherCode(code)}).
			WantProblem(http.StatusBadRequest, "validation_failed", "code")
		ask(changes{"password": "WrongSecret1", "code": code}).
			WantProblem(http.StatusBadRequest, "validation_failed", "password")
		ask(changes{"password": apitest.Password, "code": code}).Want(http.StatusOK)
		// it works once
		ask(changes{"password": apitest.Password, "code": code}).
			WantProblem(http.StatusBadRequest, "validation_failed", "code")
		app, _ := s.Enrol(p.AccessToken.Token)

		s.Clock.Advance(16 * time.Minute)
		answer = ask(changes{"password": apitest.Password}).Want(http.StatusOK).Object()
		if answer["2faDetails"].(map[string]any)["provider"] != "totp" || len(s.Mails()) != 0 {
			t.Errorf("%v", answer)
		}
		wantFresh(s, http.MethodDelete, apitest.MePath+"/totp", nil, as)
		ask(changes{"password": apitest.Password, "code": app.Code(t, s.Clock.Now())}).Want(http.StatusOK)
		s.Do(http.MethodDelete, apitest.MePath+"/totp", nil, as).Want(http.StatusNoContent)
		// The codes of a session open no sign-in, and mails are bounded.
		s.Clock.Advance(16 * time.Minute)
		for i := range 6 {
			answer := ask(changes{"password": apitest.Password})
			if i < 5 {
				answer.Want(http.StatusOK)
			} else {
				answer.WantProblem(http.StatusTooManyRequests, "too_many_attempts")
			}
		}
	})
}

// TestMintedTokensStayWithinTheirMinter checks permissions, masks, addresses and end.
func TestMintedTokensStayWithinTheirMinter(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		inside := apitest.From("192.0.2.7")
		end := s.Clock.Now().Add(time.Hour).Format(time.RFC3339)
		minter := apitest.As(s.CreateToken(0, []string{"tokens.manage", "users.view"}, changes{
			"canViewMaskedData": false, "ipWhitelist": []string{"192.0.2.0/24", "2001:db8::/32"}, "expiresAt": end,
		}))
		mint := func(as apitest.Option, change changes) *apitest.Answer {
			body := changes{"name": "x", "permissions": []string{"users.view"}}
			for field, value := range change {
				body[field] = value
			}
			return s.Do(http.MethodPost, apitest.TokensPath, body, as, inside)
		}
		for _, beyond := range []changes{
			{"permissions": []string{"users.update"}},
			{"permissions": []string{"*"}},
			{"canViewMaskedData": true},
			{"ipWhitelist": []string{"0.0.0.0/0"}},
			{"ipWhitelist": []string{"192.0.2.7", "192.0.3.1"}},
			{"ipWhitelist": []string{"2001:db8::/31"}},
			{"expiresAt": s.Clock.Now().Add(time.Hour + time.Second).Format(time.RFC3339)},
			{"expiresAt": nil},
		} {
			mint(minter, beyond).Want(http.StatusForbidden)
			if !strings.Contains(string(mint(minter, beyond).Body), "escalation_denied") {
				t.Errorf("%v", beyond)
			}
		}
		got := mint(minter, nil).Want(http.StatusCreated).Object()
		inherited := func(token map[string]any) string {
			return fmt.Sprint(s.Do(http.MethodGet, fmt.Sprintf("%s/%v", apitest.TokensPath, token["id"]), nil).
				Want(http.StatusOK).Object()["ipWhitelist"])
		}
		// Whose list it is may be masked for the minter: the list of a user becomes that of tokens.
		if fmt.Sprint(got["ipWhitelist"]) != "[***]" || inherited(got) != "[192.0.2.0/24 2001:db8::/32]" ||
			got["expiresAt"] != "2026-11-22T13:00:00+00:00" {
			t.Errorf("%v", got)
		}
		if by := got["createdBy"].(map[string]any); by["tokenId"] != 2.0 || by["userId"] != nil ||
			got["issuerGone"] != false {
			t.Errorf("%v", by)
		}
		got = mint(minter, changes{"ipWhitelist": []string{"192.0.2.7", "2001:db8:1::/48"}}).Want(http.StatusCreated).
			Object()
		if fmt.Sprint(got["ipWhitelist"]) != "[192.0.2.7 2001:db8:1::/48]" {
			t.Errorf("%v", got)
		}

		// A session may make tokens that outlast it, but its addresses go with them.
		group := s.CreateGroup("Minters", "tokens.manage", "users.view")
		mary := s.CreateUser("mary@example.com",
			changes{"groups": []int64{group}, "ipWhitelist": []string{"192.0.2.0/28"}})
		session := apitest.As(s.SignIn("mary@example.com", inside))
		year := s.Clock.Now().Add(366 * 24 * time.Hour)
		mint(session, changes{"expiresAt": nil}).WantProblem(http.StatusForbidden, "escalation_denied", "expiresAt")
		mint(session, changes{"expiresAt": year.Add(time.Second).Format(time.RFC3339)}).
			WantProblem(http.StatusBadRequest, "validation_failed", "expiresAt")
		mint(session, changes{"ipWhitelist": []string{"192.0.2.0/24"}}).
			WantProblem(http.StatusForbidden, "escalation_denied", "ipWhitelist")
		got = mint(session, nil).Want(http.StatusCreated).Object()
		if fmt.Sprint(got["ipWhitelist"]) != "[192.0.2.0/28]" || got["expiresAt"] != "2027-11-23T12:00:00+00:00" ||
			got["createdBy"].(map[string]any)["userId"] != float64(mary) {
			t.Errorf("%v", got)
		}
		for _, path := range []string{apitest.TokensPath, fmt.Sprintf("%s/%v", apitest.TokensPath, got["id"])} {
			if body := string(s.Do(http.MethodGet, path, nil, minter,
				inside).Want(http.StatusOK).Body); strings.Contains(body, "192.0.2.0/28") {
				t.Errorf("%s", body)
			}
		}
		outside := apitest.As(got["token"].(string))
		s.Do(http.MethodGet, apitest.UsersPath, nil, outside, apitest.From("192.0.2.99")).
			WantProblem(http.StatusForbidden, "ip_not_allowed")
		s.Do(http.MethodGet, apitest.UsersPath, nil, outside, inside).Want(http.StatusOK)

		// A token that acts for a user comes from where both may come.
		both := apitest.As(s.CreateToken(mary, []string{"tokens.manage"},
			changes{"ipWhitelist": []string{"192.0.2.0/29", "198.51.100.0/24"}}))
		if got := mint(both,
			changes{"permissions": []string{}}).Want(http.StatusCreated).Object(); inherited(got) != "[192.0.2.0/29]" {
			t.Errorf("%v", got)
		}
		// For ever is for those who hold everything, and themselves never end.
		if got := s.Do(http.MethodPost, apitest.TokensPath,
			changes{
				"name":        "x",
				"permissions": []string{"*"},
			}).Want(http.StatusCreated).Object(); got["expiresAt"] != nil {
			t.Errorf("%v", got)
		}
		s.Do(http.MethodPost, apitest.TokensPath, changes{"name": "ROSTER_ADMIN_TOKEN", "permissions": []string{}}).
			WantProblem(http.StatusBadRequest, "validation_failed", "name")
	})
}

// TestTokensOutlastTheirIssuer checks that such tokens are counted in the event, found by a filter and
// marked in the list.
func TestTokensOutlastTheirIssuer(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary := s.CreateUser("mary@example.com", changes{"groups": []int{1}})
		as := apitest.As(s.SignIn("mary@example.com"))
		body := changes{"name": "x", "permissions": []string{"users.view", "tokens.manage"}}
		var first struct {
			ID    int64
			Token string
		}
		s.Do(http.MethodPost, apitest.TokensPath, body, as).Want(http.StatusCreated).Decode(&first)
		s.Do(http.MethodPost, apitest.TokensPath, body, as).Want(http.StatusCreated)
		child := s.Do(http.MethodPost, apitest.TokensPath, changes{"name": "y", "permissions": []string{}},
			apitest.As(first.Token)).Want(http.StatusCreated).ID()
		list := func(filter string) string {
			var page struct {
				Total int
				Data  []struct {
					ID         int64
					IssuerGone bool
				}
			}
			s.Do(http.MethodGet, apitest.TokensPath+"?filter[createdBy]="+filter, nil).Want(http.StatusOK).Decode(&page)
			if page.Total != len(page.Data) {
				t.Errorf("%+v", page)
			}
			return fmt.Sprint(page.Data)
		}
		byMary, byToken := fmt.Sprint(mary), fmt.Sprintf("token:%d", first.ID)
		if got, want := list(byMary)+list(byToken), fmt.Sprintf("[{%d false} {%d false}][{%d false}]", first.ID,
			first.ID+1, child); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		counted := func(eventType string) any {
			var page struct {
				Data []struct {
					Changes map[string]struct{ New any }
				}
			}
			s.Do(http.MethodGet,
				fmt.Sprintf("%s?filter[type]=%s&filter[user]=%d&limit=1", apitest.EventsPath, eventType, mary), nil).
				Want(http.StatusOK).Decode(&page)
			return page.Data[0].Changes["createdTokens"].New
		}
		s.Do(http.MethodPatch, apitest.UserPath(mary), changes{"active": false}).Want(http.StatusOK)
		if n := counted("USER_UPDATED"); n != 2.0 {
			t.Errorf("%v tokens", n)
		}
		if got, want := list(byMary), fmt.Sprintf("[{%d true} {%d true}]", first.ID, first.ID+1); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		s.Do(http.MethodGet, apitest.UsersPath, nil, apitest.As(first.Token)).Want(http.StatusOK)
		s.Do(http.MethodDelete, fmt.Sprintf("%s/%d", apitest.TokensPath, first.ID), nil).Want(http.StatusNoContent)
		s.Do(http.MethodDelete, apitest.UserPath(mary), nil).Want(http.StatusNoContent)
		if got, want := list(byMary)+list(byToken), fmt.Sprintf("[{%d true}][{%d true}]", first.ID+1,
			child); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if n := counted("USER_DELETED"); n != 1.0 {
			t.Errorf("%v tokens", n)
		}
		s.Do(http.MethodGet, apitest.TokensPath+"?filter[createdBy]=x", nil).
			WantProblem(http.StatusBadRequest, "validation_failed", "filter[createdBy]")
	})
}

// TestWildcard checks that only * covers the permissions of later releases, and that only a holder of
// * can give it or change a user who has it.
func TestWildcard(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		admin := s.CreateUser("admin@example.com", changes{"groups": []int{1}})
		named := s.Do(http.MethodPost, apitest.GroupsPath,
			changes{"name": "Named", "permissions": apitest.NamedPermissions()}).Want(http.StatusCreated)
		if got := fmt.Sprint(named.Object()["permissions"]); strings.Contains(got, "*") ||
			!strings.Contains(got, "users.self") {
			t.Errorf("%s", got)
		}
		all := s.Do(http.MethodPost, apitest.GroupsPath,
			changes{"name": "All", "permissions": []string{"audit.view", "*"}}).Want(http.StatusCreated).Object()
		if got := all["permissions"].([]any); got[0] != "*" || len(got) != 1+len(apitest.NamedPermissions()) {
			t.Errorf("%v", got)
		}
		as := apitest.As(s.CreateToken(0, apitest.NamedPermissions()))
		for _, call := range []struct {
			method, path string
			body         any
		}{
			{"POST", apitest.TokensPath, changes{"name": "x", "permissions": []string{"*"}}},
			{"POST", apitest.GroupsPath, changes{"name": "x", "permissions": []string{"*"}}},
			{"PATCH", named.Location(), changes{"permissions": []string{"*"}}},
			{"PATCH", apitest.UserPath(admin), changes{"name": "x"}},
			{"POST", apitest.UsersPath, apitest.NewUser("x@example.com", changes{"groups": []int{1}})},
		} {
			s.Do(call.method, call.path, call.body, as).WantProblem(http.StatusForbidden, "escalation_denied")
		}
		// To change users includes to see them.
		for _, permission := range []string{"users.create", "users.update", "users.delete"} {
			s.Do(http.MethodGet, apitest.UsersPath, nil, apitest.As(s.CreateToken(0, []string{permission}))).
				Want(http.StatusOK)
		}
	})
}

// TestRequireTFA checks that a member without a second factor can only enrol one.
func TestRequireTFA(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := s.CreateGroup("Guarded", "users.view", "users.update", "tokens.manage")
		path := fmt.Sprintf("%s/%d", apitest.GroupsPath, group)
		mary := s.CreateUser("mary@example.com", changes{"groups": []int64{group}, "canViewMaskedData": true})
		service := apitest.As(s.CreateToken(mary, []string{"users.view"}))
		before := apitest.As(s.SignIn("mary@example.com"))
		s.Do(http.MethodGet, apitest.UsersPath, nil, before).Want(http.StatusOK)
		if got := s.Do(http.MethodPatch, path,
			changes{"requireTfa": true}).Want(http.StatusOK).Object(); got["requireTfa"] != true {
			t.Errorf("%v", got)
		}
		answer := s.TrySignIn("mary@example.com", apitest.Password, apitest.NoToken("192.0.2.1")).Want(http.StatusOK)
		if answer.Object()["2faEnrolmentRequired"] != true || answer.Object()["2faRequired"] != false {
			t.Errorf("%s", answer.Body)
		}
		var p apitest.Tokens
		answer.Decode(&p)
		for _, as := range []apitest.Option{before, apitest.As(p.AccessToken.Token)} { // also one from before
			for _, call := range []struct {
				method, path string
				body         any
			}{
				{"GET", apitest.MePath, nil},
				{"GET", apitest.UsersPath, nil},
				{"PATCH", apitest.MePath, changes{"name": "Mine"}},
				{"PATCH", apitest.MePath, changes{"password": "NewSecret123"}},
				{"GET", apitest.MePath + "/sessions", nil},
				{"DELETE", apitest.MePath + "/sessions", nil},
				{"DELETE", apitest.MePath, nil},
				{"DELETE", apitest.MePath + "/totp", nil},
				{"POST", apitest.TokensPath, changes{"name": "x", "permissions": []string{}}},
				{"POST", apitest.ExplainPath, changes{"ip": "192.0.2.1", "userId": mary}},
				{"GET", "/2.0/users/me", nil},
				{"DELETE", "/2.0/users/me", nil},
				{"GET", apitest.WebhooksPath, nil},
			} {
				got := s.Do(call.method, call.path, call.body, as)
				if got.Status != http.StatusForbidden && got.Status != http.StatusBadRequest &&
					got.Status != http.StatusNotFound {
					t.Errorf("%s %s: %d %s", call.method, call.path, got.Status, got.Body)
				}
			}
			s.Do(http.MethodGet, apitest.MePath, nil, as).WantProblem(http.StatusForbidden, "second_factor_required")
		}
		s.Do(http.MethodGet, apitest.UsersPath, nil, service).Want(http.StatusOK) // a token has no factors
		s.Enrol(p.AccessToken.Token)
		s.Do(http.MethodGet, apitest.UsersPath, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusOK)
		s.Do(http.MethodGet, apitest.UsersPath, nil, before).WantProblem(http.StatusUnauthorized, "invalid_token")
		// Without the second factor it starts anew, though the authenticator is there still.
		s.Do(http.MethodPatch, apitest.UserPath(mary), changes{"tfa": false}).Want(http.StatusOK)
		s.Do(http.MethodGet, apitest.UsersPath, nil, apitest.As(p.AccessToken.Token)).
			WantProblem(http.StatusForbidden, "second_factor_required")
		s.Enrol(p.AccessToken.Token)
		s.Do(http.MethodGet, apitest.UsersPath, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusOK)
	})
}

// TestConfiguredTokenEnds checks that a removed or changed ROSTER_ADMIN_TOKEN ends at the next start,
// and that the token of a first start expires.
func TestConfiguredTokenEnds(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.Do(http.MethodGet, apitest.UsersPath, nil).Want(http.StatusOK)
		setUp(t, s, "another-administrator-token-0123456789")
		s.Do(http.MethodGet, apitest.UsersPath, nil).WantProblem(http.StatusUnauthorized, "invalid_token")
		another := apitest.As("another-administrator-token-0123456789")
		s.Do(http.MethodGet, apitest.UsersPath, nil, another).Want(http.StatusOK)
		if got := setUp(t, s, ""); got != "" { // there has been a token: it is no first start
			t.Errorf("a token was printed")
		}
		s.Do(http.MethodGet, apitest.UsersPath, nil, another).WantProblem(http.StatusUnauthorized, "invalid_token")
		token := setUp(t, s, "") // now there is nothing at all
		as := apitest.As(token)
		s.Do(http.MethodGet, apitest.UsersPath, nil, as).Want(http.StatusOK)
		var page struct {
			Data []struct{ Type string }
		}
		s.Do(http.MethodGet, apitest.EventsPath, nil, as).Want(http.StatusOK).Decode(&page)
		revoked := 0
		for _, event := range page.Data {
			if event.Type == "TOKEN_REVOKED" {
				revoked++
			}
		}
		if revoked != 2 {
			t.Errorf("%d revocations in %v", revoked, page.Data)
		}
		s.Clock.Advance(30 * 24 * time.Hour)
		s.Do(http.MethodGet, apitest.UsersPath, nil, as).WantProblem(http.StatusUnauthorized, "invalid_token")
	})
}

func TestAdministratorsNeedASecondFactor(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("admin@example.com", changes{"groups": []int{1}})
		as := apitest.As(s.SignIn("admin@example.com"))
		s.Do(http.MethodGet, apitest.UsersPath, nil, as).Want(http.StatusOK)
		requireAdminTFA(t, s, true)
		s.Do(http.MethodGet, apitest.UsersPath, nil, as).WantProblem(http.StatusForbidden, "second_factor_required")
		if got := s.Do(http.MethodGet, apitest.GroupsPath+"/1", nil).Object(); got["requireTfa"] != true ||
			!slices.Contains(got["permissions"].([]any), any("*")) {
			t.Errorf("%v", got)
		}
		requireAdminTFA(t, s, false)
		s.Do(http.MethodGet, apitest.UsersPath, nil, as).Want(http.StatusOK)
	})
}

func setUp(t *testing.T, s *apitest.Server, configured string) (newToken string) {
	t.Helper()
	newToken, err := s.Service.SetUp(t.Context(), service.Setup{Token: configured})
	if err != nil {
		t.Fatal(err)
	}
	return newToken
}

func requireAdminTFA(t *testing.T, s *apitest.Server, required bool) {
	t.Helper()
	setup := service.Setup{Token: apitest.AdminToken, RequireAdminTFA: required}
	if _, err := s.Service.SetUp(t.Context(), setup); err != nil {
		t.Fatal(err)
	}
}
