package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
)

// hookForm returns the form of a webhook.
func hookForm(address string, changes ...url.Values) url.Values {
	values := url.Values{
		"url": {address}, "events": {"USER_CREATED", "USER_UPDATED"}, "format": {"v2"}, "auth": {"standard"},
		"active": {"true"}, "step": {"review"},
	}
	for _, change := range changes {
		for name, list := range change {
			values[name] = list
		}
	}
	return values
}

var hookSecretPattern = regexp.MustCompile(`whsec_[A-Za-z0-9+/=]+`)

// and returns the hidden fields with the button that is pressed.
func (a answer) and(step string) url.Values {
	values := a.hidden()
	values.Set("step", step)
	return values
}

func TestWebhookPages(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		b.get("/console/webhooks").want(t, 200, "There is no webhook yet")
		b.get("/console/webhooks/new").want(t, 200, "New webhook")
		a := b.post("/console/webhooks/new", hookForm("ftp://x", url.Values{"events": nil, "token": {"a b"}}))
		a.want(t, 400, "must start with http", "visible ASCII", `value="ftp://x"`)
		r := apitest.NewReceiver(t)
		review := b.post("/console/webhooks/new", hookForm(r.URL+"/hook?key=1")).
			want(t, 200, "Review the new webhook", "USER_CREATED, USER_UPDATED", "curl")
		created := b.post("/console/webhooks/new", review.and("save")).want(t, 200, "It is shown only now")
		secret := hookSecretPattern.FindString(html.UnescapeString(created.body))
		if secret == "" {
			t.Fatalf("no secret in\n%s", created.body)
		}
		b.post("/console/webhooks/new", review.and("save")).want(t, 409, "was created while you had the form open")
		page := b.get("/console/webhooks/1").want(t, 200, r.URL+"/hook?key=1", "Signed (Standard Webhooks)")
		if strings.Contains(page.body, secret) {
			t.Error("the secret is shown again")
		}

		// Change: review, then save.
		edit := b.get("/console/webhooks/1/edit").want(t, 200, "Change the webhook")
		typed := hookForm(r.URL+"/hook?key=1", edit.hidden(), url.Values{"events": {"USER_DELETED"}})
		review = b.post("/console/webhooks/1/edit", typed).want(t, 200, "Review the change", "USER_CREATED, USER_UPDATED", "USER_DELETED")
		b.post("/console/webhooks/1/edit", review.and("save")).want(t, 200, "The webhook is changed.")
		same := b.get("/console/webhooks/1/edit")
		b.post("/console/webhooks/1/edit", hookForm(r.URL+"/hook?key=1", same.hidden(), url.Values{"events": {"USER_DELETED"}})).
			want(t, 200, "Nothing was different")

		// Somebody else was faster: both changes are shown, and a choice is kept.
		typed = hookForm(r.URL+"/other", edit.hidden(), url.Values{"events": {"USER_CREATED"}})
		merge := b.post("/console/webhooks/1/edit", typed).want(t, 412, "Somebody else was faster", "USER_DELETED")
		chosen := merge.and("review")
		chosen.Set("merge.events", "yours")
		review = b.post("/console/webhooks/1/edit", chosen).want(t, 200, "Review the change", "/other")
		b.post("/console/webhooks/1/edit", review.and("save")).want(t, 200, "The webhook is changed.", "/other")

		// Another origin: a new secret.
		edit = b.get("/console/webhooks/1/edit")
		typed = hookForm("https://other.example.com/", edit.hidden())
		review = b.post("/console/webhooks/1/edit", typed).want(t, 200, "The URL has another origin")
		moved := b.post("/console/webhooks/1/edit", review.and("save")).want(t, 200, "The old one signs no more")
		if hookSecretPattern.FindString(html.UnescapeString(moved.body)) == secret {
			t.Error("the secret is the same")
		}

		// Rotation, once however often the form is sent.
		ask := b.get("/console/webhooks/1/rotate").want(t, 200, "Replace the secret?")
		b.post("/console/webhooks/1/rotate", ask.hidden()).want(t, 200, "The new secret")
		b.post("/console/webhooks/1/rotate", ask.hidden()).want(t, 412, "Somebody else was faster")
		b.post("/console/webhooks/1/rotate", nil).want(t, 412)
		if list := s.Events("?filter[type]=WEBHOOK_SECRET_ROTATED").Data; len(list) != 1 {
			t.Errorf("%d rotations", len(list))
		}

		ask = b.get("/console/webhooks/1/delete").want(t, 200, "Delete the webhook?")
		b.post("/console/webhooks/1/delete", ask.hidden()).want(t, 200, "The webhook is deleted")
		b.post("/console/webhooks/1/delete", ask.hidden()).want(t, 404)
		b.get("/console/webhooks/1").want(t, 404)
		b.get("/console/webhooks/x").want(t, 404)
	})
}

// failing returns the page of a webhook with n deliveries that were given up, and one that waits.
func failing(t *testing.T, s *apitest.Server, n int) (path string, r *apitest.Receiver) {
	t.Helper()
	r = apitest.NewReceiver(t)
	r.Answer(http.StatusInternalServerError)
	api, _ := s.CreateWebhook(r.URL)
	for range n {
		s.Do(http.MethodPost, api+"/test", nil).Want(http.StatusAccepted)
	}
	for range 20 {
		s.Send()
		s.Clock.Advance(25 * time.Hour)
	}
	return "/console/webhooks/" + api[strings.LastIndex(api, "/")+1:], r
}

func TestDeliveryPages(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		path, r := failing(t, s, 3)
		b := signedIn(t, s)
		b.get("/console/webhooks").want(t, 200, "3 given up", "Failing")
		b.get(path).want(t, 200, "The last failure:", "HTTP 500", "Send all 3 failed again")
		b.get(path+"?filter[state]=done").want(t, 200, "There is no such message")
		b.get(path+"?filter[state]=x").want(t, 400)
		b.get("/console/outbox?filter[kind]=webhook&filter[user]=&filter[webhook]=").want(t, 200, "Given up", "PING")
		b.get("/console/outbox?filter[kind]=x").want(t, 400)
		b.get("/console/outbox?filter[user]=1").want(t, 200, "USER_CREATED", "1–1 of 1", ">Jane Doe<")
		b.get("/console/outbox?filter[user]=99").want(t, 200, "0 of 0")

		list := s.Deliveries("/api/v2"+strings.TrimPrefix(path, "/console"), "?filter[state]=dead")
		one := fmt.Sprintf("%s/deliveries/%v/redeliver", path, list[0]["id"])
		b.post(one, url.Values{"back": {"https://evil.example.com/"}}).want(t, 200, "The message is on its way again", "Deliveries")
		b.post(one, nil).want(t, 409, "This cannot be done now", "The message is on its way")
		b.post("/console/webhooks/99/deliveries/1/redeliver", nil).want(t, 404)
		b.post(fmt.Sprintf("/console/outbox/%v/retry", list[1]["id"]), url.Values{"back": {"/console/outbox?filter[state]=dead"}}).
			want(t, 200, "The message is on its way again", "filter[state]=dead")
		b.get(path+"/redeliver").want(t, 200, "Send 1 again")
		b.post(path+"/redeliver", nil).want(t, 200, "What was given up and could be sent again is on its way")
		b.post(path+"/redeliver", nil).want(t, 200, "There was nothing to send again")
		b.get("/console/outbox/retry").want(t, 200, "Nothing was given up")
		r.Answer(http.StatusNoContent)
		r.Take()
		b.post(path+"/test", nil).want(t, 200, "A test is on its way")
		s.Send()
		if got := len(r.Take()); got != 5 { // one is of the administrator of the test
			t.Errorf("%d arrived", got)
		}
		b.get("/console/outbox?filter[state]=done").want(t, 200, "Delivered", "HTTP 204")
	})
}

// TestWebhookRights: who lacks a right is told so, and changes nothing.
func TestWebhookRights(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		path, _ := s.CreateWebhook("https://hooks.example.com/a", map[string]any{"format": "v2"})
		path = "/console" + strings.TrimPrefix(path, "/api/v2")
		plain := s.CreateGroup("Support", "users.view")
		hooks := s.CreateGroup("Hooks", "webhooks.manage", "users.view", "records.manage", "audit.view")
		createUser(t, s, identity.User{Name: "Plain", Email: "plain@example.com", Active: true, Groups: []int64{plain}})
		createUser(t, s, identity.User{Name: "Masked", Email: "masked@example.com", Active: true, Groups: []int64{hooks}})
		b := newBrowser(t, s)
		b.signIn("plain@example.com", password)
		for _, page := range []string{"/console/webhooks", "/console/webhooks/new", path, path + "/edit", path + "/rotate", "/console/outbox", "/console/outbox/retry"} {
			b.get(page).want(t, 403, "This needs the permission webhooks.manage.", "Administrators can give you")
		}
		for _, action := range []string{"/console/webhooks/new", path + "/edit", path + "/rotate", path + "/delete", path + "/test", path + "/redeliver", "/console/outbox/retry", "/console/outbox/1/retry"} {
			b.post(action, hookForm("https://example.com", url.Values{"version": {"1"}})).want(t, 403)
		}
		b.get("/console/activity").want(t, 403, "This needs the permission audit.view.")
		b.get("/console/activity?filter[user]=x").want(t, 403)
		b.get("/console/activity.csv").want(t, 403)

		b = newBrowser(t, s)
		b.signIn("masked@example.com", password)
		a := b.get(path).want(t, 200, "told more than you may see")
		if strings.Contains(a.body, path+"/edit") || strings.Contains(a.body, path+"/rotate") {
			t.Error("there is a button that does nothing")
		}
		b.get(path+"/edit").want(t, 403, "told more than you may see")
		b.post(path+"/rotate", url.Values{"version": {"1"}}).want(t, 403)
		review := b.post("/console/webhooks/new", hookForm("https://example.com/"))
		b.post("/console/webhooks/new", review.and("save")).want(t, 403, "permissions that you do not hold")
		if total := s.Do(http.MethodGet, "/api/v2/webhooks", nil).Object()["total"]; fmt.Sprint(total) != "1" {
			t.Errorf("%v webhooks", total)
		}
	})
}

// TestWebhookNeedsAFreshSession: the password is asked for, and the form goes on. A token that
// was typed is not kept, and the form says so.
func TestWebhookNeedsAFreshSession(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		s.Clock.Advance(20 * time.Minute)
		typed := hookForm("https://example.com/hook")
		prove := b.post("/console/webhooks/new", typed).want(t, 403, "Prove that it is you")
		proof := prove.hidden()
		proof.Set("password", password)
		again := b.post("/console/prove", proof).want(t, 200, "Go on with the form")
		review := b.post("/console/webhooks/new", again.hidden()).want(t, 200, "Review the new webhook", "https://example.com/hook")
		b.post("/console/webhooks/new", review.and("save")).want(t, 200, "The webhook is created")

		typed = hookForm("https://example.com/two", url.Values{"auth": {"bearer"}, "token": {"abcdef"}})
		review = b.post("/console/webhooks/new", typed).want(t, 200, "as you typed it")
		s.Clock.Advance(20 * time.Minute)
		proof = b.post("/console/webhooks/new", review.and("save")).want(t, 403, "Prove that it is you").hidden()
		if strings.Contains(fmt.Sprint(proof), "abcdef") {
			t.Errorf("the token is kept: %v", proof)
		}
		proof.Set("password", password)
		again = b.post("/console/prove", proof).want(t, 200, "Go on with the form")
		b.post("/console/webhooks/new", again.hidden()).want(t, 400, "has to be typed again")
	})
}

// TestWebhookFormsAreOurs: a page of another origin changes nothing.
func TestWebhookFormsAreOurs(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		path, _ := s.CreateWebhook("https://hooks.example.com/a")
		path = "/console" + strings.TrimPrefix(path, "/api/v2")
		b := signedIn(t, s)
		b.header.Set("Origin", "https://evil.example.com")
		for _, action := range []string{"/console/webhooks/new", path + "/edit", path + "/rotate", path + "/delete", path + "/test", path + "/redeliver", "/console/outbox/retry", "/console/outbox/1/retry", path + "/deliveries/1/redeliver"} {
			b.post(action, hookForm("https://example.com", url.Values{"version": {"1"}, "step": {"save"}})).
				want(t, 403, "another site")
		}
		if events := s.Events("?filter[type]=WEBHOOK_TESTED").Data; len(events) != 0 {
			t.Errorf("%+v", events)
		}
	})
}

// TestHostileWebhook: what is in a URL stays text.
func TestHostileWebhook(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateWebhook("https://hooks.example.com/?a='onload=alert(1)&b=javascript:alert(1)//" + strings.Repeat("x", 1800))
		b := signedIn(t, s)
		for _, page := range []string{"/console/webhooks", "/console/webhooks/1", "/console/webhooks/1/edit", "/console/activity"} {
			a := b.get(page).want(t, 200)
			if strings.Contains(a.body, "'onload") || strings.Contains(a.body, `href="javascript`) {
				t.Errorf("%s\n%s", page, a.body)
			}
		}
		const hostile = `"><img src=x onerror=alert(1)>`
		a := b.post("/console/webhooks/new", hookForm(hostile, url.Values{"format": {hostile}, "events": {hostile}, "auth": {hostile}}))
		if a.status != 400 || strings.Contains(a.body, "<img src") {
			t.Errorf("%d\n%s", a.status, a.body)
		}
	})
}
