package console

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
)

const hostileName = `<img src=x onerror=alert(1)> ` + "مريم الزهراء 👩‍🚀"

func addGroup(t *testing.T, s *apitest.Server, name string, permissions ...identity.Permission) identity.Group {
	t.Helper()
	group, err := s.Service.CreateGroup(t.Context(), identity.CommandLine(), identity.Group{
		Name: identity.Label(name), Permissions: identity.PermissionSet(permissions...),
	})
	if err != nil {
		t.Fatal(err)
	}
	return group
}

// TestGroups creates a group, fills and changes it, and deletes it, by clicks.
func TestGroups(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		addGroup(t, s, hostileName, identity.UsersDelete, identity.AuditView)
		addGroup(t, s, strings.Repeat("W", identity.MaxLabelLength), identity.Everything)
		addPeople(t, s, "Mary Ann Evans", "Chidi Okafor", hostileName)
		tab := NewTab(t, s)
		tab.SignIn()
		tab.ClickText("Groups")
		tab.At("/console/groups")
		tab.See("Administrators")
		tab.look("groups")
		tab.ClickText("New group")
		tab.At("/console/groups/new")
		tab.Wait(`document.readyState === "complete" && document.querySelector("#f-name")`)
		tab.Type("#f-name", "Support")
		tab.Click(`input[value="users.update"]`)
		tab.look("group-new")
		tab.ClickText("Review")
		tab.See("Create this group?")
		tab.look("group-review")
		tab.ClickText("Create the group")
		tab.See("The group is created.")
		tab.ClickText("Add members")
		tab.Wait(`document.readyState === "complete" && document.querySelector("#f-people")`)
		tab.Type("#f-people", "u0@example.com, u1@example.com\nnobody@example.com\nu2@example.com")
		tab.look("members-add")
		tab.ClickText("Find them")
		tab.See("Not found: 1")
		tab.look("members-review")
		tab.ClickText("Add 3")
		tab.See("1–3 of 3")
		tab.look("group")
		tab.Click(`tbody tr:nth-child(2) td.act a`)
		tab.See("1 user loses this")
		tab.look("member-remove")
		tab.ClickText("Take out of the group")
		tab.See("1–2 of 2")
		tab.ClickText("Edit")
		tab.Wait(`document.readyState === "complete" && document.querySelector("#f-name")`)
		tab.Fill("#f-name", "Helpers")
		tab.Click(`input[name="requireTfa"]`)
		tab.ClickText("Review")
		tab.See("This is about 2 members.")
		tab.look("group-changes")
		tab.ClickText("Save the changes")
		tab.See("The group is changed.")
		tab.ClickText("Delete")
		tab.See("2 members are taken out first")
		tab.look("group-delete")
		tab.ClickText("Take 2 out and delete the group")
		tab.See("The group is deleted.")
		tab.At("/console/groups")
	})
}

// TestGroupsByKeys creates a group by keys alone.
func TestGroupsByKeys(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		tab := NewTab(t, s)
		tab.SignIn()
		tab.Go("/console/groups")
		tab.press("New group", kb.Enter)
		tab.At("/console/groups/new")
		tab.Wait(`document.activeElement.id === "f-name"`)
		tab.Keys("Readers" + kb.Tab + kb.Tab + " ") // "*" comes first
		tab.press("Review", kb.Enter)
		tab.See("Create this group?")
		tab.See("users.view")
		tab.Wait(`document.activeElement.innerText === "Create the group"`)
		tab.Keys(kb.Enter)
		tab.See("The group is created.")
		tab.press("Edit", kb.Enter)
		tab.Wait(`document.activeElement.id === "f-name"`)
		tab.Keys(kb.Enter) // nothing is changed
		tab.Wait(`document.activeElement.id === "problems"`)
		tab.See("You have changed nothing.")
	})
}

// TestTwoTabs lets the second of two windows choose between what both have typed.
func TestTwoTabs(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := addGroup(t, s, "Support", identity.UsersView)
		path := fmt.Sprintf("/console/groups/%d", group.ID)
		first, second := NewTab(t, s), NewTab(t, s)
		first.SignIn()
		second.SignIn()
		second.Go(path + "/edit")
		first.Go(path + "/edit")
		first.Fill("#f-name", hostileName)
		first.Click(`input[name="requireTfa"]`)
		first.ClickText("Review")
		first.ClickText("Save the changes")
		first.See("The group is changed.")
		second.Fill("#f-name", "Helpers")
		second.Click(`input[value="audit.view"]`)
		second.ClickText("Review")
		second.See("Somebody else was faster")
		second.look("merge")
		second.ClickText("Go on") // without a choice the browser asks for one
		second.Wait(`document.querySelector("input:invalid")`)
		second.Click(`input[value="yours"]`)
		second.ClickText("Go on")
		second.See("Save these changes?")
		second.ClickText("Save the changes")
		second.See("The group is changed.")
		second.See("Helpers")
		second.See("Required")
		second.See("audit.view")
	})
}
