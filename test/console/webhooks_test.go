package console

import (
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
)

// failingWebhook makes a webhook with deliveries that were given up, and returns its receiver.
func failingWebhook(t *testing.T, s *apitest.Server) *apitest.Receiver {
	t.Helper()
	r := apitest.NewReceiver(t)
	r.Answer(http.StatusInternalServerError)
	path, _ := s.CreateWebhook(r.URL + "/roster/events?tenant=north")
	s.CreateUser("mary@example.com", map[string]any{"name": "Mary Ann Evans"})
	s.CreateUser("chidi@example.com", map[string]any{"name": "Chidi Okafor"})
	for range 20 {
		s.Send()
		s.Clock.Advance(13 * time.Hour)
	}
	s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted)
	s.Send()
	return r
}

// TestWebhooksByClicks creates, changes, moves, rotates and deletes a webhook with the mouse.
func TestWebhooksByClicks(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		tab := NewTab(t, s)
		tab.SignIn()
		tab.Click(`nav.rail a[href="/console/webhooks"]`)
		tab.See("There is no webhook yet")
		tab.ClickText("New webhook")
		tab.Type("#f-url", "https://hooks.example.com/roster")
		tab.look("webhook-form")
		tab.ClickText("Review")
		tab.See("USER_CREATED, USER_UPDATED, USER_DELETED")
		tab.look("webhook-review")
		tab.ClickText("Create")
		tab.See("It is shown only now")
		tab.Wait(`document.querySelector("#secret").innerText.startsWith("whsec_")`)
		tab.look("webhook-secret")
		tab.ClickText("I have kept it")
		tab.At("/console/webhooks/1")
		tab.Wait(`!document.body.innerText.includes("whsec_")`)
		tab.ClickText("Change")
		tab.Wait(`document.querySelector("#f-url").value === "https://hooks.example.com/roster"`)
		tab.Fill("#f-url", "https://other.example.com/roster")
		tab.ClickText("Review")
		tab.See("The URL has another origin")
		tab.ClickText("Back to the form")
		tab.Wait(`document.querySelector("#f-url")?.value === "https://other.example.com/roster"`)
		tab.ClickText("Review")
		tab.ClickText("Save")
		tab.See("The old one signs no more")
		tab.ClickText("I have kept it")
		tab.ClickText("Replace the secret")
		tab.See("Replace the secret?")
		tab.look("webhook-rotate")
		tab.ClickText("Replace the secret")
		tab.See("The new secret")
		tab.ClickText("I have kept it")
		tab.ClickText("Delete the webhook")
		tab.See("It cannot be undone.")
		tab.look("webhook-delete")
		tab.ClickText("Delete the webhook")
		tab.See("The webhook is deleted")
		tab.At("/console/webhooks")
	})
}

// TestWebhooksByKeys creates a webhook without a mouse. What is wrong gets the focus.
func TestWebhooksByKeys(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		tab := NewTab(t, s)
		tab.SignIn()
		tab.Go("/console/webhooks/new")
		tab.Eval(`document.querySelector("#f-url").focus()`)
		tab.Keys("https://x.example.com/#part" + kb.Enter)
		tab.Wait(`document.activeElement.id === "problems"`)
		tab.See("must have no fragment")
		tab.look("webhook-problem")
		tab.Eval(`document.querySelector("#problems").focus()`)
		tab.Keys(kb.Tab)
		tab.focused("#problems a") // the link to the field
		tab.Click("#problems a")   // the keys of chromedp are pressed again in the field that Enter leads to
		tab.Wait(`location.hash === "#f-url"`)
		tab.Fill("#f-url", "https://x.example.com/")
		tab.Keys(kb.Enter)
		tab.See("Review the new webhook")
		tab.Wait(`document.activeElement.innerText === "Create"`)
		tab.Keys(kb.Enter)
		tab.See("It is shown only now")
	})
}

// TestDeliveriesByClicks sends what has failed again.
func TestDeliveriesByClicks(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		r := failingWebhook(t, s)
		tab := NewTab(t, s)
		tab.SignIn()
		tab.Go("/console/webhooks")
		tab.See("Failing")
		tab.look("webhooks")
		tab.ClickText("2 given up")
		tab.See("The last failure:")
		tab.look("webhook")
		tab.Click("td.act button")
		tab.See("The message is on its way again.")
		tab.ClickText("Send a test")
		tab.See("A test is on its way.")
		tab.Click(`nav.rail a[href="/console/outbox"]`)
		tab.See("Given up")
		tab.look("outbox")
		tab.ClickText("Send all again that were given up")
		tab.See("sent again, each with all of its tries")
		tab.look("outbox-retry")
		tab.ClickText("Send 1 again")
		tab.See("What was given up and could be sent again is on its way.")
		r.Answer(http.StatusNoContent)
		s.Clock.Advance(time.Hour)
		s.Send()
		tab.Click(`a.tile[href$="done"]`)
		tab.See("HTTP 204")
		tab.At("/console/outbox?filter[state]=done")
	})
}

// TestActivityByClicks filters events, takes a filter away and follows new ones.
func TestActivityByClicks(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		failingWebhook(t, s)
		CreateUser(t, s, identity.User{Name: "<img src=x onerror=alert(1)> مريم", Email: "m@example.com", Active: true})
		s.Do(http.MethodPatch, "/api/v2/users/1", map[string]any{"email": "ann@example.com", "groups": []int64{}, "phone": "+41791234567"}).
			Want(http.StatusOK)
		s.TrySignIn("ann@example.com", "wrong")
		tab := NewTab(t, s)
		tab.SignIn()
		tab.Click(`nav.rail a[href="/console/activity"]`)
		tab.See("changed the e-mail and the phone of Mary Ann Evans")
		tab.look("activity")
		tab.Fill(`[name="filter[user]"]`, "x"+kb.Enter)
		tab.Wait(`document.activeElement.id === "problems"`)
		tab.look("activity-problem")
		tab.Fill(`[name="filter[user]"]`, "1"+kb.Enter)
		tab.See("A try to sign in as Mary Ann Evans failed")
		tab.At("/console/activity?filter[user]=1")
		tab.look("activity-filtered")
		tab.Click(".chip")
		tab.At("/console/activity")
		tab.ClickText("Follow live")
		tab.At("/console/activity?follow=true")
		s.CreateUser("new@example.com", map[string]any{"name": "Newcomer"})
		tab.See("Newcomer")
		tab.Wait(`document.querySelector("#live").innerText === "1 new event."`)
		tab.Wait(`document.querySelectorAll("li.new").length === 1`)
		tab.look("activity-live")

		// It rests while nobody looks, and goes on afterwards.
		tab.Eval(`Object.defineProperty(document, "hidden", {value: true, configurable: true});
			window.asked = 0; document.addEventListener("htmx:before:request", (e) => { window.asked += e.defaultPrevented ? 0 : 1 });
			window.ticks = 0; document.querySelector("#follow").addEventListener("every", () => window.ticks++)`)
		tab.Wait(`window.ticks >= 2 && window.asked === 0`)
		s.CreateUser("later@example.com", map[string]any{"name": "Latecomer"})
		tab.Wait(`window.ticks >= 3 && !document.body.innerText.includes("Latecomer")`)
		tab.Eval(`delete document.hidden`)
		tab.See("Latecomer")

		// The session ends: the form to sign in comes, and leads back.
		tab.ClearCookies()
		tab.Wait(`document.querySelector("#email")`)
		tab.ClickText("Sign in")
		tab.Fill("#email", Email)
		tab.Type("#password", Password+kb.Enter)
		tab.At("/console/activity?follow=true")
	})
}
