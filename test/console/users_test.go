package console

import (
	"fmt"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
)

// addPeople creates users with these names, u0@example.com and so on. The second is inactive.
func addPeople(t *testing.T, s *apitest.Server, names ...string) {
	t.Helper()
	for i, name := range names {
		CreateUser(t, s, identity.User{
			Name: identity.Name(name), Email: identity.Email(fmt.Sprintf("u%d@example.com", i)), Active: i != 1,
		})
	}
}

// TestSearchAsYouType finds users while one types, without a click.
func TestSearchAsYouType(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		addPeople(t, s, "Mary Ann Evans", "Chidi Okafor", markup, "مريم الزهراء")
		tab := NewTab(t, s)
		tab.SignIn()
		tab.Go("/console/users")
		tab.Axe()
		tab.Shot("users")
		tab.Type("#q", "mary")
		tab.Wait(`document.querySelectorAll("tbody tr").length === 1`)
		tab.See("Mary Ann Evans")
		tab.At("/console/users?filter[q]=mary")
		noTotalAtOnce(tab)
		tab.ClickText("Mary Ann Evans")
		tab.See("Profile")
		tab.Axe()
		tab.Shot("user")
		tab.Back()
		tab.At("/console/users?filter[q]=mary")
		tab.Wait(`document.querySelector("#q").value === "mary"`)
	})
}

// TestShowAsCommand copies the command of a list. The command follows a search that a script makes.
func TestShowAsCommand(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		addPeople(t, s, "Mary Ann Evans", "Chidi Okafor")
		tab := NewTab(t, s)
		tab.SignIn()
		tab.Go("/console/users")
		tab.ClickText("Show as API call")
		tab.See("roster users list --sort=name --limit=50")
		tab.look("users-call")
		tab.Type("#q", "mary o'neill")
		tab.See(`roster users list --search='mary o'\''neill' --sort=name --limit=50`)
		tab.Eval(`navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }`)
		tab.Click(`#api-call [aria-describedby="with-roster"]`)
		tab.Wait(`window.copied === "roster users list --search='mary o'\\''neill' --sort=name --limit=50"`)
		tab.See("Copied")
		tab.Go("/console/users?limit=1&offset=1")
		tab.ClickText("Show as API call")
		tab.See("With curl")
		tab.Wait(`!document.getElementById("with-roster")`)
	})
}

// noTotalAtOnce waits for the total of a search, and checks that the page has asked for it only
// after a pause: counting can cost more than finding.
func noTotalAtOnce(tab *Tab) {
	tab.t.Helper()
	const searches = `performance.getEntriesByType("resource").filter(r => r.name.includes("filter%5Bq%5D=mary"))`
	tab.Wait(searches + `.some(r => !r.name.includes("total=false"))`)
	pause := Value[float64](tab, `(() => { const all = `+searches+`;
		const total = all.findIndex(r => !r.name.includes("total=false"));
		return total < 1 ? 0 : all[total].startTime - all[total - 1].responseStart; })()`)
	if pause < 600 {
		tab.t.Errorf("the total is asked for %.0f ms after the search", pause)
	}
	tab.Wait(`document.querySelector("#total").innerText === "1"`)
}
