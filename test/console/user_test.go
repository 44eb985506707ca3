package console

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
)

const markup = `<img src=x onerror=alert(1)>`

// besideMary returns a window in which the administrator has signed in, once Mary is there.
func besideMary(t *testing.T, s *apitest.Server) *Tab {
	t.Helper()
	mary(t, s)
	tab := NewTab(t, s)
	tab.SignIn()
	return tab
}

// createGroups creates groups with these names.
func createGroups(t *testing.T, s *apitest.Server, names ...string) {
	t.Helper()
	for _, name := range names {
		addGroup(t, s, name, identity.UsersView)
	}
}

var teams = []string{"Support", "Refunds", "Payments", "Compliance", "Auditors", "Night shift", "Partners", "Reporting", "Trainees"}

// TestEditByClicks edits a user with the mouse: form, errors, review, save.
func TestEditByClicks(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		createGroups(t, s, teams...)
		tab := besideMary(t, s)
		tab.Go(maryPath)
		tab.Axe()
		tab.Shot("profile")
		tab.ClickText("Edit")
		tab.At(maryPath + "/edit")
		tab.Axe()
		tab.Fill("#f-name", "Mary Evans")
		tab.Fill("#f-phone", "12")
		tab.Click(`.bar button.primary`)
		tab.Wait(`document.activeElement.id === "problems"`)
		tab.Axe()
		tab.Shot("edit-problems")
		tab.Fill("#f-phone", "+33 6 12 34 56 78")
		tab.Fill("[data-filter]", "fund")
		tab.Wait(`[...document.querySelectorAll("#choices label")].filter(l => l.checkVisibility()).length === 1`)
		tab.ClickText("Refunds")
		tab.Fill("[data-filter]", "")
		tab.Wait(`[...document.querySelectorAll("#choices label")].filter(l => l.checkVisibility()).length === 10`)
		tab.Shot("edit")
		tab.Click(`.bar button.primary`)
		tab.See("Review the changes")
		tab.See("+33612345678")
		tab.See("Refunds")
		tab.Axe()
		tab.Shot("review")
		tab.ClickText("Back to the form")
		tab.Wait(`document.querySelector("#f-name")?.value === "Mary Evans"`)
		tab.Click(`.bar button.primary`)
		tab.ClickText("Save")
		tab.At(maryPath)
		tab.See("The changes are saved.")
		tab.See("+33612345678")
		tab.Go(maryPath + "/edit")
		for _, width := range []int64{360, 320} {
			tab.Size(width, 700)
			tab.NoOverflow()
		}
		tab.Size(360, 780)
		tab.Shot("edit-phone")
		tab.Go(maryPath)
		tab.NoOverflow()
		tab.Shot("profile-phone")
	})
}

// TestEditByKeys edits a user without a mouse: Enter in a field reviews, Enter again saves.
func TestEditByKeys(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		tab := besideMary(t, s)
		tab.Go(maryPath)
		tab.press("Edit", kb.Enter)
		tab.At(maryPath + "/edit")
		tab.Wait(`document.querySelector("#f-name")`)
		tab.tabTo(`document.activeElement.id === "f-name"`)
		tab.Keys(kb.End + " II" + kb.Enter)
		tab.See("Review the changes")
		tab.Wait(`document.activeElement.innerText === "Save"`)
		tab.Keys(kb.Enter)
		tab.See("The changes are saved.")
		tab.See("Mary Ann Evans II")
		tab.press("Deactivate", kb.Enter)
		tab.See("What this user still holds")
		tab.press("Deactivate", kb.Enter)
		tab.See("The user is inactive")
		tab.press("Activate", kb.Enter)
		tab.At(maryPath + "/activate")
		tab.press("Activate", kb.Enter)
		tab.See("The user is active.")
	})
}

// TestMergeInTwoTabs lets the second of two people choose, field by field.
func TestMergeInTwoTabs(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		one, two := NewTab(t, s), NewTab(t, s)
		one.SignIn()
		two.SignIn()
		mary(t, s)
		for _, tab := range []*Tab{one, two} {
			tab.Go(maryPath + "/edit")
		}
		one.Fill("#f-name", "Mary of one "+markup)
		one.Fill("#f-phone", "+33612345678")
		one.Click(".bar button.primary")
		one.ClickText("Save")
		one.See("The changes are saved.")
		two.Fill("#f-name", "Mary of two "+markup)
		two.Click(".bar button.primary")
		two.See("Somebody else was faster")
		two.See("Mary of one " + markup)
		two.Axe()
		two.Shot("merge")
		two.Click(`input[name="merge.name"][value="yours"]`)
		two.ClickText("Go on")
		two.See("Review the changes")
		two.Click(`button[value="save"]`)
		two.See("The changes are saved.")
		two.See("Mary of two " + markup)
		two.See("+33612345678")
		two.Size(320, 700)
		two.NoOverflow()
	})
}

// TestLeavingAnEditedForm makes the browser ask, but not after the form was sent.
func TestLeavingAnEditedForm(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		tab := besideMary(t, s)
		const ask = `(() => { const e = new Event("beforeunload", {cancelable: true}); dispatchEvent(e);
			return e.defaultPrevented; })()`
		asks := func() bool { return Value[bool](tab, ask) }
		tab.Go(maryPath + "/edit")
		if asks() {
			t.Error("an untouched form asks")
		}
		tab.Type("#f-name", "x")
		if !asks() {
			t.Error("an edited form does not ask")
		}
		tab.Click(".bar button.primary") // which is no leaving
		tab.See("Review the changes")
		tab.Wait(ask) // a review has not been saved
		tab.ClickText("Save")
		tab.See("The changes are saved.")
		if asks() {
			t.Error("a saved form asks")
		}
	})
}

// TestSessionEndsInAForm keeps what was typed over another sign-in.
func TestSessionEndsInAForm(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		tab := besideMary(t, s)
		tab.Go(maryPath + "/edit")
		tab.Fill("#f-name", "Typed before")
		tab.ClearCookies()
		tab.Click(".bar button.primary")
		tab.See("What you typed is kept")
		tab.Axe()
		tab.Fill("#email", Email)
		tab.Type("#password", Password+kb.Enter)
		tab.See("Nothing that you typed is lost")
		tab.Wait(`document.activeElement.innerText === "Go on with the form"`)
		tab.Keys(kb.Enter)
		tab.See("Review the changes")
		tab.See("Typed before")
		tab.ClickText("Save")
		tab.See("The changes are saved.")
	})
}

// TestNewUserByClicks creates users one after the other, and one with mistakes.
func TestNewUserByClicks(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		tab := NewTab(t, s)
		tab.SignIn()
		createGroups(t, s, teams...)
		tab.Go("/console/users/new")
		tab.Wait(`document.activeElement.id === "f-name"`)
		tab.Axe()
		tab.Shot("new")
		tab.Type("#f-name", "Chidi Okafor")
		tab.Type("#f-email", "chidi@example.com")
		tab.ClickText("Support")
		tab.Click(`input[name="another"]`)
		tab.Click(".bar button.primary")
		tab.See("an invitation is on its way")
		tab.Wait(`document.querySelector("#f-name").value === "" && document.querySelector("#choices :checked")`)
		tab.Click(`input[name="how"][value="password"]`)
		tab.Type("#f-name", "Ann")
		tab.Type("#f-email", "chidi@example.com")
		tab.Type("#f-password", "right horse battery")
		tab.Axe()
		tab.Keys(kb.Enter)
		tab.Wait(`document.activeElement.id === "problems"`)
		tab.Axe()
		tab.Shot("new-problems")
		tab.Fill("#f-email", "ann@example.com")
		tab.Type("#f-password", "right horse battery")
		tab.Click(`input[name="another"]`)
		tab.Click(".bar button.primary")
		tab.See("The user is created.")
		tab.See("ann@example.com")
		tab.Go("/console/users/new")
		tab.Size(320, 700)
		tab.NoOverflow()
		tab.Size(360, 780)
		tab.Shot("new-phone")
	})
}

// TestDeleteAndBack deletes a user; the way back leads to a page that says so.
func TestDeleteAndBack(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		tab := besideMary(t, s)
		tab.Go(maryPath)
		tab.ClickText("Delete")
		tab.See("This cannot be undone.")
		tab.Axe()
		tab.Shot("delete")
		tab.ClickText("Delete for good")
		tab.See("The user is deleted.")
		tab.Back()
		tab.See("There is nothing here")
		tab.Go(maryPath + "/edit")
		tab.See("There is nothing here")
	})
}

// TestDeactivateByClicks shows what a user holds before.
func TestDeactivateByClicks(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		tab := besideMary(t, s)
		tab.Go(maryPath)
		tab.ClickText("Deactivate")
		tab.See("What this user still holds")
		tab.Axe()
		tab.Shot("deactivate")
		tab.Click(".bar button.primary")
		tab.See("The user is inactive")
		tab.See("An inactive user gets no link")
		tab.Axe()
		tab.ClickText("Activate")
		tab.Axe()
		tab.Click(".bar button.primary")
		tab.See("The user is active.")
		tab.ClickText("Send invitation")
		tab.See("An invitation is on its way.")
	})
}

// TestStrangeNames keep the pages in shape.
func TestStrangeNames(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		tab := besideMary(t, s)
		for _, name := range []string{markup, strings.Repeat("W", 255), "مريم الزهراء", "👩 Zoë 株式会社"} {
			tab.Size(1280, 900)
			tab.Go(maryPath + "/edit")
			tab.Fill("#f-name", name)
			tab.Click(".bar button.primary")
			tab.See("Review the changes")
			tab.See(name)
			for _, width := range []int64{1280, 320} {
				tab.Size(width, 700)
				tab.NoOverflow()
			}
			tab.Axe()
			tab.Click(`button[value="save"]`)
			tab.See("The changes are saved.")
			if got := tab.Text("h1"); got != name {
				t.Errorf("%q", got)
			}
			for _, page := range []string{"", "/edit", "/deactivate", "/delete"} {
				tab.Go(maryPath + page)
				tab.NoOverflow()
			}
		}
	})
}

// TestMaskedOperator reads masks, and is told what is missing.
func TestMaskedOperator(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary(t, s)
		group := addGroup(t, s, "Desk", identity.UsersUpdate)
		CreateUser(t, s, identity.User{Name: "Olga", Email: "olga@example.com", Active: true, Groups: []int64{group.ID}})
		tab := NewTab(t, s)
		tab.SignInAs("olga@example.com")
		tab.Go(maryPath)
		tab.See("m***@example.com")
		tab.See("This needs the permission users.delete")
		tab.Axe()
		tab.Shot("profile-masked")
		tab.ClickText("Edit")
		tab.See("Some values are hidden from you.")
		tab.Axe()
		tab.Shot("edit-masked")
		tab.Fill("#f-name", "Mary")
		tab.Click(".bar button.primary")
		tab.See("Review the changes")
		tab.Axe()
		tab.ClickText("Save")
		tab.See("The changes are saved.")
		tab.Size(320, 700)
		tab.NoOverflow()
	})
}
