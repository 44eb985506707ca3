package console

import (
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
)

// TestTokens creates a token, copies its secret, and revokes it, by clicks. The secret is
// gone after "back" and "reload".
func TestTokens(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		add := func(token identity.Token, end *time.Time) {
			t.Helper()
			if _, _, err := s.Service.CreateToken(t.Context(), identity.CommandLine(), token, end); err != nil {
				t.Fatal(err)
			}
		}
		now := s.Clock.Now()
		add(identity.Token{Name: hostileName, Permissions: identity.AllPermissions, CanViewMaskedData: true}, nil)
		add(identity.Token{
			Name: "importer", Permissions: identity.PermissionSet(identity.UsersUpdate, identity.AuditView),
		}, new(now.Add(5*24*time.Hour)))
		tab := NewTab(t, s)
		tab.SignIn()
		tab.ClickText("Tokens")
		tab.See("importer")
		tab.look("tokens")
		tab.ClickText("Ends within 14 days")
		tab.Wait(`document.querySelectorAll("tbody tr").length === 1`)
		tab.look("tokens-filtered")
		tab.ClickText("New token")
		tab.Wait(`document.readyState === "complete" && document.querySelector("#f-name")`)
		tab.Type("#f-name", "exporter")
		tab.Click(`input[value="users.view"]`)
		tab.Type("#f-ipWhitelist", "10.0.0.1/8")
		tab.ClickText("Review")
		tab.See("Line 1 must have no bits set")
		tab.Wait(`document.activeElement.id === "problems"`)
		tab.look("token-new")
		tab.Fill("#f-ipWhitelist", "127.0.0.0/8")
		tab.ClickText("Review")
		tab.See("Create this token?")
		tab.look("token-review")
		tab.Eval(`window.refused = []; window.note = e => { refused.push(e.defaultPrevented); e.preventDefault() };
			addEventListener("submit", note); const save = document.querySelector("button[value=save]");
			save.click(); save.click(); removeEventListener("submit", note); dispatchEvent(new Event("pageshow"))`)
		tab.Wait(`refused.join() === "false,true"`) // a double click sends the form once
		tab.ClickText("Create the token")
		tab.See("Copy the secret now.")
		secret := tab.Text("#secret")
		tab.look("token-secret")
		tab.Wait(`location.pathname + location.search === "/console/tokens/new"`)
		tab.Click("[data-copy]")
		tab.Wait(`document.querySelector("#live").textContent !== ""`)
		tab.ClickText("I have kept it")
		tab.At("/console/tokens")
		tab.See("exporter")
		tab.Back()
		tab.Wait(`location.pathname !== "/console/tokens"`)
		tab.Wait(`!document.body.innerText.includes(` + quoted(secret) + `)`)
		tab.Go("/console/tokens")
		tab.ClickText("exporter")
		tab.See("What it may do")
		tab.look("token")
		tab.ClickText("Revoke")
		tab.See("1 token stops working at once.")
		tab.look("token-revoke")
		tab.ClickText("Revoke the token")
		tab.See("The token is revoked.")
	})
}
