package console

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
)

// addUsers creates users for lists: "Person 00", "Person 01", and so on.
func addUsers(t *testing.T, s *apitest.Server, n int, groups ...int64) {
	t.Helper()
	for i := range n {
		CreateUser(t, s, identity.User{
			Name: identity.Name(fmt.Sprintf("Person %02d", i)), Email: identity.Email(fmt.Sprintf("p%d@example.com", i)),
			Active: i%3 != 1, Groups: groups,
		})
	}
}

// TestBulk deactivates users, and then adds all that match to a group, by clicks.
func TestBulk(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		addGroup(t, s, "Support", identity.UsersView)
		addUsers(t, s, 6)
		CreateUser(t, s, identity.User{Name: hostileName, Email: "h@example.com", Active: true})
		tab := NewTab(t, s)
		tab.SignIn()
		tab.Go("/console/users?filter[q]=Person")
		tab.Wait(`getComputedStyle(document.querySelector(".selection")).display === "none"`)
		tab.Click(`tbody tr:nth-child(1) [type=checkbox]`)
		tab.Click(`tbody tr:nth-child(2) [type=checkbox]`)
		tab.See("2 selected")
		tab.look("users-selected")
		tab.ClickText("Deactivate")
		tab.See("Deactivate 2 users?")
		tab.See("Nothing to change.") // Person 01 is inactive
		tab.look("job")
		tab.ClickText("Start")
		tab.See("0 of 2")
		s.RunJobs()
		tab.See("Finished") // the page asks for itself
		tab.See("There was nothing to change.")
		tab.Wait(`document.querySelector("#live").textContent.includes("Finished. 1 done")`)
		tab.look("job-done")
		tab.ClickText("Back to the users")
		tab.At("/console/users")
		tab.Wait(`document.readyState === "complete"`)
		tab.Go("/console/users?filter[q]=Person&limit=2")
		tab.Click("[data-page]")
		tab.See("2 selected")
		tab.Click("[name=all]")
		tab.See("All selected")
		tab.ClickText("Group")
		tab.Eval(`document.querySelector("#bulk-group").value = [...document.querySelectorAll("#bulk-group option")].find(
			o => o.text === "Support").value`)
		tab.ClickText("Add to group")
		tab.See("Add 6 users to Support?")
		tab.ClickText("Start")
		tab.See("0 of 6")
		s.RunJobs()
		tab.See("6 of 6")
		tab.ClickText("Your jobs")
		tab.See("Add 6 users to Support")
		tab.look("jobs")
		tab.Go("/console/users")
		tab.Click(`tbody tr:nth-child(3) [type=checkbox]`)
		tab.ClickText("Delete")
		tab.See("cannot be undone")
		tab.look("job-delete")
		tab.ClickText("Cancel the plan")
		tab.See("Cancelled")
	})
}

// TestListByKeys moves, selects, opens and edits by keys, and plans a job.
func TestListByKeys(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		addUsers(t, s, 4)
		tab := NewTab(t, s)
		tab.SignIn()
		tab.Go("/console/users")
		focused := func(name string) {
			t.Helper()
			tab.Wait(`document.activeElement.innerText === ` + quoted(name))
		}
		tab.Keys("j")
		focused("Jane Doe")
		tab.Keys("jj")
		focused("Person 01")
		tab.Keys("k")
		focused("Person 00")
		tab.Keys("xjx")
		tab.See("2 selected")
		tab.Keys("?")
		tab.See("Next row")
		tab.Wait(`document.querySelector("dialog").open`)
		tab.Axe()
		tab.Shot("keys")
		tab.Keys(kb.Escape)
		tab.Wait(`!document.querySelector("dialog")`)
		tab.Keys("/")
		tab.Wait(`document.activeElement.id === "q"`)
		tab.Keys("jk?x/e") // text while one types
		tab.Wait(`document.querySelector("#q").value.endsWith("jk?x/e")`)
		tab.See("No user matches.")
		tab.Go("/console/users")
		tab.Keys("jj" + kb.Enter)
		tab.See("Profile")
		tab.Back()
		tab.At("/console/users")
		tab.Wait(`document.readyState === "complete" && document.querySelector("tbody")`)
		tab.Eval(`document.activeElement.blur()`) // the browser may have kept the whole page
		tab.Keys("jj")
		focused("Person 00")
		tab.Eval(`window.gone = ""; navigation.addEventListener("navigate", e => { gone = e.destination.url; e.preventDefault() })`)
		tab.Eval(`document.documentElement.dataset.keys = "off"`)
		tab.Keys("jex")
		focused("Person 00")
		tab.Wait(`gone === "" && !document.querySelector("tbody :checked")`)
		tab.Eval(`document.documentElement.dataset.keys = ""`)
		tab.Eval(`document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: "j", ctrlKey: true, bubbles: true}))`)
		focused("Person 00")
		tab.Keys("e")
		tab.Wait(`/\/console\/users\/\d+\/edit$/.test(gone)`)
		tab.Go("/console/users")
		tab.Keys("jjx" + kb.Enter) // Enter opens the row and starts nothing
		tab.See("Profile")
		tab.Go("/console/users")
		tab.Keys("jjx")
		tab.press("End sessions", kb.Enter)
		tab.See("End the sessions of 1 user?")
		tab.Wait(`document.activeElement.innerText === "Start"`)
		tab.Keys(kb.Enter)
		tab.See("0 of 1")
		s.RunJobs()
		tab.See("Finished")
	})
}

// TestListComplaints is what users of other consoles complain of: see CONSOLE.md.
func TestListComplaints(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := addGroup(t, s, "Support "+hostileName, identity.UsersView)
		addUsers(t, s, 8, group.ID)
		CreateUser(t, s, identity.User{Name: identity.Name(strings.Repeat("W", 255)), Email: "wide@example.com", Active: true})
		CreateUser(t, s, identity.User{Name: hostileName, Email: "h@example.com", Active: true, Groups: []int64{group.ID}})
		tab := NewTab(t, s)
		tab.SignIn()
		tab.Go("/console/users?limit=3&sort_by=createTime&sort_order=desc&columns=status,groups,created,phone,id")
		tab.See("1–3 of 11")
		tab.look("users-odd") // an odd record breaks no page
		tab.ClickText("Next")
		tab.See("4–6 of 11")
		tab.Eval(`window.old = true`)
		tab.ClickText("Refresh")
		tab.Wait(`!window.old && document.readyState === "complete"`)
		tab.See("4–6 of 11")
		tab.Type("#q", "person") // a new search starts with the first page
		tab.See("1–3 of 8")
		tab.Wait(`!location.search.includes("offset") && location.search.includes("limit=3") && !location.search.includes("total")`)
		tab.Wait(`document.querySelector("#total").textContent === "8"`)
		tab.ClickText("Next")
		tab.See("4–6 of 8")
		tab.Click("tbody a")
		tab.See("Profile")
		tab.Back() // the search and the page are there after "back"
		tab.See("4–6 of 8")
		tab.Wait(`document.querySelector("#q").value === "person"`)
		tab.Go("/console/users?filter[q]=person&limit=3")
		tab.ClickText("Filters")
		tab.Eval(`const e = document.querySelector("[name='filter[status]']"); e.value = "inactive";
			e.dispatchEvent(new Event("change", {bubbles: true}))`)
		tab.See("Status: inactive")
		tab.See("1–3 of 3")
		tab.Axe()
		tab.Shot("users-filters")
		tab.Keys(kb.Escape)
		tab.Wait(`document.querySelectorAll(".chip.set").length === 1`) // a filter that is set is seen
		tab.Click(".chip.set")
		tab.See("1–3 of 8")
		tab.Wait(`!document.querySelector(".chip.set")`)
		tab.Go("/console/users?sort_by=lastSigninTime&sort_order=desc&filter[createdAfter]=7d")
		tab.See("Created since: 7 days ago")
		tab.Wait(`document.querySelector("[aria-sort=descending]").innerText.startsWith("Last sign-in")`)
		tab.Wait(`document.querySelector("tbody tr a").innerText === "Jane Doe"`)
	})
}

// TestOldAnswers holds back the answer to the first search until the second has come.
func TestOldAnswers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		addUsers(t, s, 3)
		tab := NewTab(t, s)
		tab.SignIn()
		tab.Go("/console/users")
		tab.Eval(`const real = window.fetch; window.asked = []; window.release = null;
			window.fetch = (...args) => { const url = String(args[0]?.url ?? args[0]); asked.push(url);
				const first = url.includes("=person&") || url.endsWith("=person");
				return first ? new Promise(done => { release = done }).then(() => real(...args)) : real(...args) }`)
		tab.Type("#q", "person")
		tab.Wait(`release`)
		tab.Type("#q", " 02")
		tab.Wait(`document.querySelectorAll("tbody tr").length === 1`)
		tab.Eval(`release()`)
		tab.Wait(`document.querySelector("#total").textContent === "1"`) // the total comes after a pause
		tab.See("Person 02")
		tab.Wait(`document.querySelectorAll("tbody tr").length === 1`)
		tab.Wait(`asked.filter(u => u.includes("total=false")).length === 2 && !asked.at(-1).includes("total=false")`)
		tab.At("/console/users?filter[q]=person+02")
		tab.ClearCookies()
		tab.Type("#q", "1") // the session is over: the form to sign in, and then the list
		tab.Wait(`document.querySelector("#password")`)
	})
}

// TestPastedList finds the people of a list that is pasted into the search.
func TestPastedList(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		addUsers(t, s, 3)
		tab := NewTab(t, s)
		tab.SignIn()
		tab.Go("/console/users")
		tab.Wait(`document.readyState === "complete"`)
		tab.Eval(`const q = document.querySelector("#q"); q.focus(); const data = new DataTransfer();
			data.setData("text", "p0@example.com\nnobody@example.com\n3");
			q.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}))`)
		tab.Wait(`document.activeElement.id === "f-find"`)
		tab.Axe()
		tab.ClickText("Find them")
		tab.See("2 found, 1 not found.")
		tab.See("nobody@example.com")
		tab.look("users-found")
		tab.Click("[data-page]")
		tab.ClickText("Activate")
		tab.See("Activate 2 users?")
		tab.Go("/console/users")
		tab.Type("#q", "p0@example.com, p2@example.com, x@example.com")
		tab.See("2 found, 1 not found.")
		tab.Fill("#q", "3") // an id from a log
		tab.See("The user with the id 3: Person 02")
	})
}
