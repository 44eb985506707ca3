package console

import (
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// TestFirstAdministrator opens the link that serve prints, and ends in the console. A
// password that is too easy keeps the form.
func TestFirstAdministrator(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		code, err := s.Service.SetupCode(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		tab := NewTab(t, s)
		tab.Go("/console/setup?code=" + code)
		tab.See("Create the first administrator")
		tab.look("setup")
		tab.focused("#f-name")
		tab.Keys("Jane Doe" + kb.Tab + Email + kb.Tab + "password" + kb.Tab + "password" + kb.Enter)
		tab.focused("#problems")
		tab.Wait(`document.querySelector("#f-name").value === "Jane Doe" && document.querySelector("#f-email").value === "` +
			Email + `"`)
		tab.Fill("#f-password", Password)
		tab.Fill("#f-again", Password)
		tab.ClickText("Create and sign in")
		tab.At("/console")
		tab.See("Not seen for 90 days")
		tab.Go("/console/setup?code=" + code)
		tab.See("Roster is set up already")
	})
}
