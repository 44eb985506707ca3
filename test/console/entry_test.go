package console

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
)

const (
	marysEmail = "mary@example.com"
	maryPath   = "/console/users/2"
)

// mary creates a user without rights, whose page is maryPath: the administrator comes first.
func mary(t *testing.T, s *apitest.Server, changes ...func(*identity.User)) identity.User {
	t.Helper()
	Administrator(t, s)
	tag := "vip"
	user := identity.User{
		Name: "Mary Ann Evans", Email: marysEmail, Phone: "+18043257762", Active: true,
		ClientTags: []identity.ClientTag{{Text: &tag}},
	}
	for _, change := range changes {
		change(&user)
	}
	return CreateUser(t, s, user)
}

// TestSignInByClicks fails once, and then gets in with a code by mail.
func TestSignInByClicks(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary(t, s, func(u *identity.User) { u.TFA = true })
		tab := NewTab(t, s)
		tab.Go("/console/me")
		tab.look("signin")
		tab.Fill("#email", marysEmail)
		tab.Fill("#password", "wrong horse")
		tab.ClickText("Sign in")
		tab.See("The e-mail address or the password is wrong.")
		tab.focused("#password") // the address is there already
		tab.Axe()
		tab.Shot("signin-failed")
		tab.Fill("#password", Password)
		tab.ClickText("Sign in")
		tab.See("Code from the mail")
		tab.focused("#code")
		tab.look("code")
		tab.Fill("#code", "000000")
		tab.ClickText("Go on")
		tab.See("The code is wrong")
		tab.Fill("#code", s.Mail().Code)
		tab.ClickText("Go on")
		tab.At("/console/me")
		tab.See("Where you are signed in")
	})
}

// TestSignInByKeys does the same without a mouse, and signs out again. "Back" shows nothing
// then.
func TestSignInByKeys(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary(t, s, func(u *identity.User) { u.TFA = true })
		tab := NewTab(t, s)
		tab.Go("/console/me")
		tab.focused("#email")
		tab.Keys(marysEmail + kb.Tab + Password + kb.Enter)
		tab.focused("#code")
		tab.Keys(s.Mail().Code + kb.Enter)
		tab.See("Where you are signed in")
		tab.Eval(`document.querySelector("[title='Sign out']").focus()`)
		tab.Keys(kb.Enter)
		tab.See("You are signed out.")
		tab.Back()
		tab.At("/console/me")
		tab.See("Forgotten your password?")
		if strings.Contains(tab.Text("body"), marysEmail) {
			t.Error("the page is shown again after the sign-out")
		}
	})
}

// TestLockedSignIn shows for how long.
func TestLockedSignIn(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary(t, s)
		tab := NewTab(t, s)
		tab.Go("/console")
		for range 6 {
			tab.Fill("#email", marysEmail)
			tab.Fill("#password", "wrong horse")
			tab.Eval(`document.body.dataset.old = "yes"`)
			tab.Keys(kb.Enter)
			tab.Wait(`!document.body.dataset.old && document.querySelector("#problem")`)
		}
		tab.See("You can try again in 10 minutes.")
		tab.Axe()
		tab.Shot("signin-locked")
	})
}

// TestForgottenPassword gets a new password by the mailed link and signs in with it.
func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary(t, s)
		tab := NewTab(t, s)
		tab.Go("/console")
		tab.ClickText("Forgotten your password?")
		tab.focused("#f-email")
		tab.look("forgotten")
		tab.Fill("#f-email", "mary@")
		tab.Eval(`document.querySelector("form").noValidate = true`)
		tab.Keys(kb.Enter)
		tab.focused("#problems")
		tab.Axe()
		tab.Fill("#f-email", marysEmail)
		tab.Keys(kb.Enter)
		tab.See("If there is a user with this address")
		tab.Axe()
		link := strings.TrimPrefix(s.Mail().Link, apitest.BaseURL)

		tab.Go(link)
		tab.focused("#password")
		tab.look("newpassword")
		tab.Keys("left horse battery" + kb.Tab + "another one" + kb.Enter)
		tab.See("The two passwords differ.")
		tab.Fill("#again", "left horse battery")
		tab.ClickText("Change the password")
		tab.See("Your password is changed.")
		tab.focused("#signin")
		tab.Axe()
		tab.Shot("newpassword-done")
		tab.Keys(kb.Enter)
		tab.At("/console")
		tab.Fill("#email", marysEmail)
		tab.Keys(kb.Tab + "left horse battery" + kb.Enter)
		tab.See("Mary Ann Evans")
		// The link works once, and offers another one.
		tab.Go(link + "&again")
		tab.Fill("#password", "right horse battery")
		tab.Fill("#again", "right horse battery")
		tab.Keys(kb.Enter)
		tab.See("The link is unknown, over or used")
		tab.focused("#email")
		tab.Axe()
	})
}

// TestMustEnrolByKeys sets up the authenticator that a group requires, without a mouse.
func TestMustEnrolByKeys(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := s.Do(http.MethodPost, apitest.GroupsPath, map[string]any{
			"name": "Careful", "permissions": []string{"users.view"}, "requireTfa": true,
		}).Want(http.StatusCreated).ID()
		mary(t, s, func(u *identity.User) { u.Groups = []int64{group} })
		tab := NewTab(t, s)
		tab.Go("/console/users")
		tab.Keys(marysEmail + kb.Tab + Password + kb.Enter)
		tab.At("/console/me/totp")
		tab.See("You need a second factor")
		tab.look("mustenrol")
		tab.Go("/console/users")
		tab.See("You need a second factor")
		tab.Axe()
		tab.ClickText("Set up the second factor")
		tab.At("/console/me/totp")
		tab.Eval(`document.querySelector("button.primary").focus()`)
		tab.Keys(kb.Enter)
		app := tab.scan()
		tab.look("totp")
		tab.Keys(app.Code(t, s.Clock.Now()) + kb.Enter)
		tab.See("Keep your recovery codes")
		tab.look("recovery")
		tab.Eval(`window.print = () => { window.printed = true; }`)
		tab.ClickText("Print")
		tab.Wait("window.printed")
		if codes := strings.Fields(tab.Text("#codes")); len(codes) != 10 {
			t.Errorf("%q", codes)
		}
		file := Value[string](tab, `atob(document.querySelector("a[download]").href.split(",")[1])`)
		if strings.Join(strings.Fields(file), " ") != strings.Join(strings.Fields(tab.Text("#codes")), " ") {
			t.Errorf("the file has %q", file)
		}
		tab.Eval(`window.print = () => { window.printed = true }`)
		tab.ClickText("Print")
		tab.Wait(`window.printed`)
		tab.Eval(`dispatchEvent(new Event("pagehide"))`)
		tab.Wait(`document.querySelector("#codes").textContent === "The secret is not shown again."`)
		tab.ClickText("I have kept them. Go on")
		tab.At("/console")
		tab.Wait(`document.querySelector("nav.rail")`)
	})
}

// scan reads the secret that the page shows, after it has looked at the picture.
func (tab *Tab) scan() apitest.Authenticator {
	tab.t.Helper()
	tab.Wait(`document.querySelector("img.qr")?.naturalWidth === 240`)
	tab.focused("#f-code")
	return apitest.Authenticator{
		Secret: strings.ReplaceAll(Value[string](tab, `document.querySelector("#secret").textContent`), " ", ""),
	}
}

// TestMe changes what operators change of themselves, by clicks.
func TestMe(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary(t, s)
		s.SignInWith(marysEmail, Password)
		tab := NewTab(t, s)
		tab.SignInAs(marysEmail)
		tab.Click("nav.rail a.who")
		tab.At("/console/me")
		tab.See("This session")
		tab.look("me")

		tab.Fill("#f-name", "Marian Evans")
		tab.ClickText("Review the change")
		tab.See("Your change")
		tab.look("me-review")
		tab.ClickText("Back to the form")
		tab.Wait(`document.querySelector("#f-name").value === "Marian Evans"`)
		tab.Fill("#f-phone", "12")
		tab.ClickText("Review the change")
		tab.focused("#problems")
		tab.Axe()
		tab.ClickText("Phone")
		tab.focused("#f-phone")
		tab.Fill("#f-phone", "+33687654321")
		tab.Keys(kb.Enter)
		tab.See("Your change")
		tab.ClickText("Save")
		tab.See("Your profile is saved.")

		tab.ClickText("End all others")
		tab.See("This ends 1 other session.")
		tab.look("me-sessions")
		tab.ClickText("End 1 other session")
		tab.See("All your other sessions have ended.")

		tab.ClickText("Dark")
		tab.ClickText("Save for this browser")
		tab.See("Saved for this browser.")
		tab.Wait(`getComputedStyle(document.documentElement).colorScheme === "dark"`)
		tab.Axe()
		tab.Click("input[value=system]")
		tab.ClickText("Save for this browser")
		tab.Wait(`getComputedStyle(document.documentElement).colorScheme !== "dark"`)
	})
}

// TestMyPasswordAndFactor changes the password and the second factor, by clicks and keys.
func TestMyPasswordAndFactor(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary(t, s)
		tab := NewTab(t, s)
		tab.SignInAs(marysEmail)
		tab.Go("/console/me")
		tab.Fill("#f-currentPassword", "wrong horse")
		tab.Keys(kb.Tab + "left horse battery" + kb.Tab + "left horse battery" + kb.Enter)
		tab.focused("#problems")
		tab.See("is not the current password")
		tab.Axe()
		tab.Fill("#f-currentPassword", Password)
		tab.Keys(kb.Tab + "left horse battery" + kb.Tab + "left horse battery" + kb.Enter)
		tab.See("Your password is changed.")

		tab.ClickText("Set up an authenticator")
		tab.Axe()
		tab.ClickText("Begin")
		app := tab.scan()
		tab.Keys("000000" + kb.Enter)
		tab.focused("#problems")
		tab.See("Take the next one.")
		tab.Axe()
		tab.Fill("#f-code", app.Code(t, s.Clock.Now()))
		tab.ClickText("Switch it on")
		tab.See("Keep your recovery codes")
		tab.ClickText("I have kept them. Go on")
		tab.See("10 recovery codes are left.")
		tab.ClickText("Manage")
		tab.Axe()
		tab.ClickText("Take it away")
		tab.See("10 recovery codes no longer count")
		tab.look("totp-reset")
		tab.Click("button.danger")
		tab.See("Codes by mail")
	})
}
