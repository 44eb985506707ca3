package console

import (
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

// allow sets the allow-list of a user.
func allow(t *testing.T, s *apitest.Server, id int64, texts ...string) {
	t.Helper()
	list := identity.AllowList{}
	for _, text := range texts {
		entry, err := identity.ParseAddressRange(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, entry)
	}
	if _, err := s.Service.UpdateUser(t.Context(), identity.CommandLine(), id, service.UserUpdate{
		Change: identity.UserChange{AllowList: &list}, Force: true,
	}); err != nil {
		t.Fatal(err)
	}
}

// TestHome leads from each number to its list.
func TestHome(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary(t, s)
		for range 6 {
			s.TrySignIn(marysEmail, "wrong", apitest.From("203.0.113.9"))
		}
		tab := NewTab(t, s)
		tab.SignIn()
		tab.See("Not seen for 90 days")
		tab.look("home")
		tab.press("1\nLocked", kb.Enter)
		tab.At("/console/users?filter[locked]=true")
		tab.Go("/console")
		tab.ClickText("Users")
		tab.At("/console/users")
		CreateUser(t, s, identity.User{Name: "Nobody", Email: "nobody@example.com", Active: true})
		tab.ClearCookies()
		tab.SignInAs("nobody@example.com")
		tab.See("This needs the permission users.view")
		tab.look("home-denied")
	})
}

// TestUserAccess puts a user into a group by clicks, and takes it out by keys.
func TestUserAccess(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := addGroup(t, s, hostileName, identity.UsersView, identity.UsersDelete)
		addGroup(t, s, "Auditors", identity.AuditView)
		tab := NewTab(t, s)
		tab.SignIn()
		CreateUser(t, s, identity.User{
			Name: "Mary Ann Evans", Email: marysEmail, Active: true, Groups: []int64{group.ID},
		})
		tab.Go(maryPath)
		tab.ClickText("Access")
		tab.At(maryPath + "/access")
		tab.See("Given by " + hostileName)
		tab.look("user-access")
		tab.Eval(`document.querySelector("#f-groupId").value = [...document.querySelectorAll("option")].find(
			o => o.text === "Auditors").value`)
		tab.ClickText("Review")
		tab.See("1 user gets this:")
		tab.look("user-access-review")
		tab.ClickText("Add to the group")
		tab.At(maryPath + "/access")
		tab.See("The user is in the group.")
		tab.See("Read who has done what")
		tab.press("Take out\nof "+hostileName, kb.Enter)
		tab.See("1 user loses this:")
		tab.press("Take out of the group", kb.Enter)
		tab.See("The user is out of the group.")
		tab.Wait(`!document.body.innerText.includes("users.delete")`)
	})
}

// TestUserNetwork edits and explains the addresses of a user by clicks, and of oneself by keys,
// with the warning before one shuts oneself out.
func TestUserNetwork(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		user := mary(t, s)
		s.TrySignIn(marysEmail, Password, apitest.From("79.24.241.198"))
		tab := NewTab(t, s)
		tab.SignInAs(Email)
		tab.Go(maryPath)
		tab.ClickText("Network")
		tab.At(maryPath + "/network")
		tab.Click(`a[href*="add="]`)
		tab.Wait(`document.querySelector("#f-ipWhitelist")?.value === "79.24.241.198"`)
		tab.Fill("#f-ipWhitelist", "79.24.241.198\n20.65.174.0/24\n10.0.0.1/8")
		tab.ClickText("Review changes")
		tab.See("Line 3 must have no bits set after the prefix length; did you mean 10.0.0.0/8?")
		tab.Wait(`document.activeElement.id === "problems"`)
		tab.look("user-network-problems")
		tab.Fill("#f-ipWhitelist", "79.24.241.198\n20.65.174.0/24\n10.0.0.0/8")
		tab.ClickText("Review changes")
		tab.See("refused at once")
		tab.look("user-network-review")
		tab.ClickText("Save")
		tab.See("The allowed addresses are saved.")
		tab.Type("#f-ip", "20.65.174.9"+kb.Enter)
		tab.At(maryPath + "/network?ip=20.65.174.9")
		tab.See("20.65.174.9 is in 20.65.174.0/24.")
		tab.look("user-network")
		tab.Click(`a[href*="ip=79.24.241.198"]`)
		tab.See("79.24.241.198 is in 79.24.241.198.")

		// Two people at once.
		tab.Go(maryPath + "/network")
		tab.Fill("#f-ipWhitelist", "203.0.113.0/24")
		allow(t, s, user.ID, "192.0.2.1")
		tab.ClickText("Review changes")
		tab.See("Somebody else was faster")
		tab.look("user-network-merge")
		tab.Click(`input[value=yours]`)
		tab.ClickText("Go on")
		tab.See("Review the changes")
		tab.ClickText("Save")
		tab.See("The allowed addresses are saved.")

		const own = "/console/users/1/network"
		tab.Go(own)
		tab.Fill("#f-ipWhitelist", "203.0.113.0/24")
		tab.press("Review changes", kb.Enter)
		tab.See("Saving this would shut you out.")
		tab.Wait(`document.activeElement.id === "lock-out"`)
		tab.look("user-network-lockout")
		tab.Wait(`document.querySelector("#f-ipWhitelist").value === "203.0.113.0/24"`)
		tab.Click(`input[name=force]`)
		tab.press("Review changes", kb.Enter)
		tab.See("This shuts you out")
		tab.Wait(`document.activeElement.value === "save"`)
		tab.Keys(kb.Enter)
		tab.Wait(`document.querySelector("#email") || document.body.innerText.includes("not allowed")`)
	})
}

// TestUserSecurity ends a session by clicks and all by keys, and resets the second factor.
func TestUserSecurity(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary(t, s)
		for _, client := range []string{"Firefox/140.0 " + markup, "curl/8.14", ""} {
			s.TrySignIn(marysEmail, Password, apitest.From("79.24.241.198"), apitest.Header("User-Agent", client))
		}
		for range 6 {
			s.TrySignIn(marysEmail, "wrong", apitest.From("203.0.113.9"))
		}
		tab := NewTab(t, s)
		tab.SignInAs(Email)
		tab.Go(maryPath)
		tab.ClickText("Security")
		tab.At(maryPath + "/security")
		tab.See("Sign-in is locked from one address at least.")
		tab.See(markup)
		tab.look("user-security")
		tab.ClickText("End\nthe session of curl/8.14")
		tab.See("1 session ends at once.")
		tab.look("user-security-end")
		tab.ClickText("End 1 session")
		tab.See("The session is ended.")
		tab.press("End all 2 sessions", kb.Enter)
		tab.See("2 sessions of this user")
		tab.press("End 2 sessions", kb.Enter)
		tab.See("The sessions are ended.")
		tab.See("The user is signed in nowhere.")
		tab.See("There is no authenticator to reset.")
		s.Enrol(s.SignInWith(marysEmail, Password).AccessToken.Token)
		tab.Go(maryPath + "/security")
		tab.See("10 recovery codes are left.")
		tab.ClickText("Reset the second factor")
		tab.See("ask the user in person first")
		tab.look("user-security-factor")
		tab.press("Reset the second factor", kb.Enter)
		tab.See("The authenticator is gone")
		tab.See("Codes by mail")
	})
}

// TestUserActivity reads what happened to a user, page by page.
func TestUserActivity(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		user := mary(t, s)
		allow(t, s, user.ID, "79.24.241.198")
		allow(t, s, user.ID, "79.24.241.0/24", "2001:db8::/32")
		s.TrySignIn(marysEmail, Password, apitest.From("79.24.241.198"))
		tab := NewTab(t, s)
		tab.SignInAs(Email)
		tab.Go(maryPath)
		tab.press("Activity", "") // of the navigation
		tab.press("Activity", kb.Enter)
		tab.At(maryPath + "/activity")
		tab.See("changed the allowed addresses of Mary Ann Evans")
		tab.look("user-activity")
		tab.Go(maryPath + "/activity?limit=2")
		tab.ClickText("Older")
		tab.See("created the user Mary Ann Evans")
		tab.ClickText("Newest")
		tab.At(maryPath + "/activity?limit=2")
	})
}

// TestUserTabsMasked shows the tabs to somebody who sees masks and may change nothing.
func TestUserTabsMasked(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		user := mary(t, s)
		allow(t, s, user.ID, "79.24.241.0/24")
		s.TrySignIn(marysEmail, Password, apitest.From("79.24.241.198"))
		group := addGroup(t, s, "Support", identity.UsersView)
		CreateUser(t, s, identity.User{Name: "Sam", Email: "sam@example.com", Active: true, Groups: []int64{group.ID}})
		tab := NewTab(t, s)
		tab.SignInAs("sam@example.com")
		for _, page := range []string{"access", "network", "security", "activity"} {
			tab.Go(maryPath + "/" + page)
			tab.See("This needs the permission")
			tab.Wait(`!document.documentElement.outerHTML.includes("79.24.241") && !document.title.includes("Mary")`)
			tab.look("masked-" + page)
		}
	})
}
