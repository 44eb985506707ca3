package client_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/pkg/client"
)

const password = "MySecret123"

func of(t *testing.T, address, token string) *client.Client {
	t.Helper()
	c, err := client.New(address, client.Token(token))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantCode(t *testing.T, err error, status int, code string) client.Error {
	t.Helper()
	e := wantStatus(t, err, status)
	if e.Code != code || e.Message == "" || e.RequestID == "" || !strings.Contains(e.Error(), code) {
		t.Fatalf("got %+v, want the code %s", e, code)
	}
	return e
}

func TestUsers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c, ctx := of(t, s.URL+"/", apitest.AdminToken), t.Context()
		mary, err := c.Users.Create(ctx, client.UserCreate{
			Name: "Mary", Email: "mary@example.com", Password: password, Active: true, Phone: "+15550100",
			ClientTags: []client.Tag{{Text: "tag"}, {ID: new(int64(0)), Name: "x"}, {Name: "y"}},
		}, client.IdempotencyKey("order-17"))
		if err != nil {
			t.Fatal(err)
		}
		if len(mary.ClientTags) != 3 || mary.ClientTags[0].Text != "tag" || *mary.ClientTags[1].ID != 0 ||
			mary.ClientTags[2].Name != "y" {
			t.Errorf("%+v", mary.ClientTags)
		}
		if mary.Phone != "+15550100" || mary.CreateTime.IsZero() || !mary.LastSigninTime.IsZero() || mary.Groups == nil {
			t.Errorf("%+v", mary)
		}
		_, err = c.Users.Create(ctx, client.UserCreate{Name: "Mary", Email: "mary@example.com", Password: password, Active: true})
		wantCode(t, err, http.StatusConflict, "email_taken")
		_, err = c.Users.Create(ctx, client.UserCreate{})
		if e := wantCode(t, err, http.StatusBadRequest, "validation_failed"); len(e.Fields) != 3 ||
			e.Fields[0].Message == "" {
			t.Errorf("%+v", e.Fields)
		}
		invited, err := c.Users.Create(ctx, client.UserCreate{Name: "Zoe", Email: "zoe@example.com", Active: true, Invite: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Users.Invite(ctx, invited.ID); err != nil {
			t.Error(err)
		}
		wantCode(t, c.Users.Invite(ctx, mary.ID+99), http.StatusNotFound, "not_found")
		ann := client.UserCreate{Name: "Ann", Email: "ann@example.com", Password: password}
		_, err = c.Users.Create(ctx, ann, client.IdempotencyKey("order-17"))
		wantStatus(t, err, http.StatusConflict)

		empty := client.UserUpdate{Phone: new(""), ClientTags: new([]client.Tag{})}
		changed, err := c.Users.Update(ctx, mary.ID, empty, client.IfVersion(mary.Version))
		if err != nil || changed.Phone != "" || len(changed.ClientTags) != 0 || changed.Name != "Mary" ||
			changed.Version != mary.Version+1 {
			t.Errorf("%v %+v", err, changed)
		}
		_, err = c.Users.Update(ctx, mary.ID, client.UserUpdate{Name: new("Ann")}, client.IfVersion(mary.Version))
		wantCode(t, err, http.StatusPreconditionFailed, "stale_version")
		wantCode(t, c.Users.Delete(ctx, mary.ID, client.IfVersion(mary.Version)), http.StatusPreconditionFailed, "stale_version")
		if err := c.Users.Delete(ctx, mary.ID, client.IfVersion(changed.Version)); err != nil {
			t.Error(err)
		}
		_, err = c.Users.Get(ctx, mary.ID)
		wantCode(t, err, http.StatusNotFound, "not_found")
		wantCode(t, c.Users.Delete(ctx, mary.ID), http.StatusNotFound, "not_found")
		_, err = of(t, s.URL, "nonsense").Users.Get(ctx, client.Me)
		wantCode(t, err, http.StatusUnauthorized, "invalid_token")
	})
}

func TestUserLists(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const many = 7
		group := s.CreateGroup("Support")
		for i := range many {
			s.CreateUser(string(rune('a'+i))+"@example.com", map[string]any{"groups": []int64{group}, "active": i%2 == 0, "tfa": i == 3})
		}
		c, ctx := of(t, s.URL, apitest.AdminToken), t.Context()
		for _, list := range []struct {
			which client.UserList
			want  string
		}{
			{client.UserList{}, "abcdefg"},
			{client.UserList{Size: 2, SortBy: "email", Desc: true}, "gfedcba"},
			{client.UserList{Size: 3, Status: "inactive", Group: group}, "bdf"},
			{client.UserList{Size: many}, "abcdefg"},
			{client.UserList{Email: "C@example.com"}, "c"},
			{client.UserList{TFA: new(true), Search: "example.com", Name: "mar"}, "d"},
			{client.UserList{TFA: new(false), Size: 1}, "abcefg"},
			{client.UserList{Name: "%"}, ""},
			{client.UserList{Locked: new(true)}, ""},
			{client.UserList{Locked: new(false), CreatedAfter: s.Clock.Now(), Size: 3}, "abcdefg"},
			{client.UserList{CreatedBefore: s.Clock.Now()}, ""},
			{client.UserList{LastSigninBefore: s.Clock.Now(), Status: "active"}, "aceg"},
			{client.UserList{LastSigninAfter: s.Clock.Now()}, ""},
		} {
			got := ""
			for user, err := range c.Users.List(ctx, list.which) {
				if err != nil {
					t.Fatal(err)
				}
				got += user.Email[:1]
			}
			if got != list.want {
				t.Errorf("%+v: got %s, want %s", list.which, got, list.want)
			}
			if n, err := c.Users.Count(ctx, list.which); err != nil || n != (client.UserCount{Total: int64(len(list.want))}) {
				t.Errorf("%+v: count %+v, %v", list.which, n, err)
			}
		}
		for _, err := range c.Users.List(ctx, client.UserList{Size: 2}) {
			if err != nil {
				t.Error(err)
			}
			break // which asks for no other page
		}
		_, err := client.Collect(c.Users.List(ctx, client.UserList{SortBy: "phone"}))
		wantCode(t, err, http.StatusBadRequest, "validation_failed")
		created := c.Events.List(ctx, client.EventList{Type: "USER_CREATED", Size: 2, Since: time.Unix(1, 0)})
		if all, err := client.Collect(created); err != nil || len(all) != many {
			t.Errorf("%v, %d events", err, len(all))
		}
	})
}

// TestAboutUsers reads what else there is of users: by a pasted list, and of one of them.
func TestAboutUsers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := s.CreateGroup("Support", "users.view")
		id := s.CreateUser("a@example.com", map[string]any{"groups": []int64{group}})
		s.SignIn("a@example.com", apitest.NoToken("192.0.2.1"))
		s.CreateToken(id, []string{"users.view"}, map[string]any{"name": "acting"})
		path, _ := s.CreateWebhook("https://example.com/hook")
		c, ctx := of(t, s.URL, apitest.AdminToken), t.Context()
		found, err := c.Users.Find(ctx, []string{"nobody@example.com", "A@example.com"})
		if err != nil || len(found.Users) != 1 || found.Users[0].ID != id || len(found.NotFound) != 1 {
			t.Errorf("%+v, %v", found, err)
		}
		if found, err := c.Users.Find(ctx, nil); err != nil || len(found.Users) != 0 {
			t.Errorf("%+v, %v", found, err)
		}
		sources, err := client.Collect(c.Users.Sources(ctx, id, client.Page{}))
		if err != nil || len(sources) != 1 || sources[0].Address != "192.0.2.1" || !sources[0].LastSeenTime.Equal(s.Clock.Now()) {
			t.Errorf("%+v, %v", sources, err)
		}
		if state, err := c.Users.SigninState(ctx, id); err != nil || state != (client.SigninState{}) {
			t.Errorf("%+v, %v", state, err)
		}
		access, err := c.Users.Access(ctx, id)
		if err != nil || len(access.Permissions) != 1 || access.Permissions[0].Groups[0] != (client.GroupName{ID: group, Name: "Support"}) {
			t.Errorf("%+v, %v", access, err)
		}
		held, err := c.Users.Holdings(ctx, id)
		if err != nil || held.Sessions != 1 || len(held.TokensActingFor.First) != 1 || held.TokensCreated.Total != 0 {
			t.Errorf("%+v, %v", held, err)
		}
		tokens, err := client.Collect(c.Tokens.List(ctx, client.TokenList{UserID: id, CreatedBy: client.Creator{TokenID: 1}}))
		if err != nil || len(tokens) != 1 || tokens[0].Name != "acting" {
			t.Errorf("%+v, %v", tokens, err)
		}
		for creator, want := range map[client.Creator]int{{}: 1, {TokenID: 1}: 1, {UserID: id}: 0} {
			webhooks, err := client.Collect(c.Webhooks.List(ctx, client.WebhookList{CreatedBy: creator}))
			if err != nil || len(webhooks) != want || want == 1 && webhooks[0].CreatedBy.TokenID != 1 {
				t.Errorf("%s of %+v: %+v, %v", path, creator, webhooks, err)
			}
		}
		failed, err := client.Collect(c.Events.List(ctx, client.EventList{Reason: "ip_not_allowed"}))
		if err != nil || len(failed) != 0 {
			t.Errorf("%+v, %v", failed, err)
		}
	})
}

// TestListThroughAProxy reads a list through a proxy that serves Roster below another path, while Roster's own links
// lead to an address that does not exist.
func TestListThroughAProxy(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("a@example.com")
		s.CreateUser("b@example.com")
		upstream, err := url.Parse(s.At("http://roster.invalid").URL)
		if err != nil {
			t.Fatal(err)
		}
		proxy := httptest.NewServer(http.StripPrefix("/below", httputil.NewSingleHostReverseProxy(upstream)))
		defer proxy.Close()
		users, err := client.Collect(of(t, proxy.URL+"/below", apitest.AdminToken).Users.List(t.Context(), client.UserList{Size: 1}))
		if err != nil || len(users) != 2 {
			t.Errorf("%v %v", err, users)
		}
	})
}

func TestGroupsTokensWebhooks(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c, ctx := of(t, s.URL, apitest.AdminToken), t.Context()
		group, err := c.Groups.Create(ctx, client.GroupCreate{Name: "Support"})
		if err != nil || group.Permissions == nil {
			t.Fatalf("%v %+v", err, group)
		}
		group, err = c.Groups.Update(ctx, group.ID, client.GroupUpdate{Permissions: new([]string{"users.view"})}, client.IfVersion(group.Version))
		if err != nil || !slices.Equal(group.Permissions, []string{"users.view"}) {
			t.Errorf("%v %+v", err, group)
		}
		if all, err := client.Collect(c.Groups.List(ctx, client.Page{Size: 1})); err != nil || len(all) != 2 {
			t.Errorf("%v %v", err, all)
		}
		if err := c.Groups.Delete(ctx, group.ID); err != nil {
			t.Error(err)
		}

		token, err := c.Tokens.Create(ctx, client.TokenCreate{Name: "CI", Permissions: []string{"users.view"}, NeverExpires: true})
		if err != nil || token.Secret == "" || !token.ExpiresAt.IsZero() || token.UserID != 0 {
			t.Fatalf("%v %+v", err, token)
		}
		end := s.Clock.Now().Add(time.Hour)
		if limited, err := c.Tokens.Create(ctx, client.TokenCreate{Name: "limited", ExpiresAt: end}); err != nil ||
			!limited.ExpiresAt.Equal(end) {
			t.Errorf("%v %+v", err, limited)
		}
		if got, err := c.Tokens.Introspect(ctx, token.Secret, "192.0.2.1"); err != nil || !got.Active ||
			!got.IPAllowed || got.Scope != "users.view" {
			t.Errorf("%v %+v", err, got)
		}
		for creator, want := range map[client.Creator]int{{}: 3, {TokenID: 1}: 2, {UserID: 17}: 0} { // the administrator's is one more
			which := client.TokenList{CreatedBy: creator, Size: 1}
			if all, err := client.Collect(c.Tokens.List(ctx, which)); err != nil || len(all) != want {
				t.Errorf("by %+v: %v %+v", creator, err, all)
			}
		}
		if err := c.Tokens.Delete(ctx, token.ID); err != nil {
			t.Error(err)
		}
		if got, err := c.Tokens.Introspect(ctx, token.Secret, ""); err != nil || got.Active {
			t.Errorf("%v %+v", err, got)
		}

		hook, err := c.Webhooks.Create(ctx, client.WebhookCreate{
			URL: "http://127.0.0.1:9/hook", Events: []string{"USER_CREATED"}, Auth: "bearer", Token: "t",
		})
		if err != nil || !hook.Active {
			t.Fatalf("%v %+v", err, hook)
		}
		hook, err = c.Webhooks.Update(ctx, hook.ID, client.WebhookUpdate{Auth: new("none"), Token: new("")}, client.IfVersion(hook.Version))
		if err != nil || hook.Auth != "none" {
			t.Errorf("%v %+v", err, hook)
		}
		ping, err := c.Webhooks.Test(ctx, hook.ID)
		if err != nil || ping.Topic != "PING" || ping.State != "pending" || ping.DueTime.IsZero() ||
			!ping.SettleTime.IsZero() {
			t.Errorf("%v %+v", err, ping)
		}
		if all, err := client.Collect(c.Outbox.List(ctx, client.DeliveryList{State: "pending"})); err != nil ||
			len(all) != 1 || all[0].ID != ping.ID {
			t.Errorf("%v %+v", err, all)
		}
	})
}

func TestSessions(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com")
		anyone, ctx := of(t, s.URL, ""), t.Context()
		_, err := anyone.Sessions.SignIn(ctx, "mary@example.com", "wrong")
		wantCode(t, err, http.StatusUnauthorized, "invalid_credentials")
		first, err := anyone.Sessions.SignIn(ctx, "mary@example.com", password)
		if err != nil || first.CodeRequired {
			t.Fatalf("%v %+v", err, first)
		}
		pair, err := anyone.Sessions.Refresh(ctx, first.RefreshToken.Token)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := anyone.Sessions.SignIn(ctx, "mary@example.com", password); err != nil {
			t.Fatal(err)
		}
		mary := of(t, s.URL, pair.AccessToken.Token)
		if user, err := mary.Users.Get(ctx, client.Me); err != nil || user.ID != id {
			t.Errorf("%v %+v", err, user)
		}
		if all, err := client.Collect(mary.Sessions.List(ctx, client.Me, client.Page{Size: 1})); err != nil ||
			len(all) != 2 {
			t.Errorf("%v %+v", err, all)
		}
		if err := mary.Sessions.EndAll(ctx, client.Me); err != nil {
			t.Error(err)
		}
		if all, err := client.Collect(mary.Sessions.List(ctx, id, client.Page{})); err != nil || len(all) != 1 ||
			!all[0].Current {
			t.Errorf("%v %+v", err, all)
		}
		if err := mary.Sessions.SignOut(ctx); err != nil {
			t.Error(err)
		}
		_, err = mary.Users.Get(ctx, client.Me)
		wantCode(t, err, http.StatusUnauthorized, "invalid_token")

		s.Do(http.MethodPatch, apitest.UserPath(id), map[string]any{"tfa": true}).Want(http.StatusOK)
		s.Mails()
		second, err := anyone.Sessions.SignIn(ctx, "mary@example.com", password)
		if err != nil || !second.CodeRequired || second.Challenge.Provider != "email" || second.AccessToken.Token != "" {
			t.Errorf("%v %+v", err, second)
		}
		if _, err := anyone.Sessions.Confirm(ctx, second.Challenge.Token, s.Mail().Code); err != nil {
			t.Error(err)
		}
	})
}

// TestUpdatesSendWhatIsSet checks that a field that is left out is not in the update: null and "" mean something else.
func TestUpdatesSendWhatIsSet(t *testing.T) {
	t.Parallel()
	for want, update := range map[string]any{
		`{}`:                         client.UserUpdate{},
		`{"phone":null}`:             client.UserUpdate{Phone: new("")},
		`{"phone":"+15550100"}`:      client.UserUpdate{Phone: new("+15550100")},
		`{"active":false}`:           client.UserUpdate{Active: new(false)},
		`{"ipWhitelist":[]}`:         client.UserUpdate{IPWhitelist: new([]string{})},
		`{"groups":[]}`:              client.UserUpdate{Groups: new([]int64{})},
		`{"clientTags":["a"]}`:       client.UserUpdate{ClientTags: new([]client.Tag{{Text: "a"}})},
		`{"token":null}`:             client.WebhookUpdate{Token: new("")},
		`{"name":"","phone":"+1"}`:   client.UserUpdate{Name: new(""), Phone: new("+1")},
		`{"active":true}`:            client.WebhookUpdate{Active: new(true)},
		`{"requireTfa":false}`:       client.GroupUpdate{RequireTFA: new(false)},
		`[{"id":0},{"name":"x"},""]`: []client.Tag{{ID: new(int64(0))}, {Name: "x"}, {}},
	} {
		got, err := json.Marshal(update)
		if err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "roster.example.com", "ftp://roster.example.com", "http://", "http://u:p@host", "http://host?x=1", "http://host#x", "http://%zz"} {
		if _, err := client.New(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestTokenGoesNowhereElse checks that neither a redirect nor a link takes the token to another server.
func TestTokenGoesNowhereElse(t *testing.T) {
	t.Parallel()
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the thief got %s %s", r.URL, r.Header)
	}))
	defer thief.Close()
	pages := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			http.Redirect(w, r, thief.URL, http.StatusTemporaryRedirect)
			return
		}
		if pages++; pages == 1 {
			w.Header().Set("Link", `<`+thief.URL+`/steal?after=x>; rel="next"`)
		}
		_, _ = w.Write([]byte(`{"data":[]}`))
	}))
	defer server.Close()
	c := of(t, server.URL, "rst_secret")
	if _, err := client.Collect(c.Users.List(t.Context(), client.UserList{})); err != nil || pages != 2 {
		t.Errorf("%v, %d pages", err, pages)
	}
	wantStatus(t, c.Users.Delete(t.Context(), 1), http.StatusTemporaryRedirect)
}

// TestStrangeAnswers checks that what is not Roster's is an error, and not an empty result or an endless list.
func TestStrangeAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(int, *http.Request) (*http.Response, error){
		"HTML": func(int, *http.Request) (*http.Response, error) {
			return reply(http.StatusOK, "<html>sign in to the network")
		},
		"nothing": func(int, *http.Request) (*http.Response, error) { return reply(http.StatusOK, "") },
		"endless": func(int, *http.Request) (*http.Response, error) {
			return reply(http.StatusOK, `{"data":[]}`, "Link", `</api/v2/users?after=x>; rel="next"`)
		},
		"error in HTML": func(int, *http.Request) (*http.Response, error) { return reply(http.StatusForbidden, "<html>") },
	} {
		a := &answering{answer: answer}
		if all, err := client.Collect(a.client(t).Users.List(t.Context(), client.UserList{})); err == nil || a.tries > 2 {
			t.Errorf("%s: %v, %v, %d tries", name, all, err, a.tries)
		} else if e, ok := errors.AsType[*client.Error](err); ok && (e.Code != "" || e.Message != "Forbidden") {
			t.Errorf("%s: %+v", name, e)
		}
	}
}
