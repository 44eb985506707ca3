package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
)

// sessionLinks returns the links that end one session of a page.
func sessionLinks(a answer) []string {
	var links []string
	for _, part := range strings.Split(a.body, `href="`)[1:] {
		if href, _, _ := strings.Cut(part, `"`); strings.Contains(href, "/security/end?session=") {
			links = append(links, href)
		}
	}
	return links
}

// TestSecuritySessions shows the sessions of a user, and ends one and then all.
func TestSecuritySessions(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		user := createUser(t, s, mary())
		path := pathOf(user) + "/security"
		b.get(path).want(t, http.StatusOK, "signed in nowhere").without(t, "End all", "security/end")
		var theirs []*browser
		for i := range 3 {
			client := newBrowser(t, s)
			client.header["User-Agent"] = []string{fmt.Sprintf("Client %d %s", i, hostile)}
			client.header["X-Forwarded-For"] = []string{fmt.Sprintf("203.0.113.%d", i)}
			client.signIn("mary@example.com", password)
			theirs = append(theirs, client)
		}
		a := b.get(path).want(t, http.StatusOK, "Client 2 &lt;img", "<code>203.0.113.2</code>", "End all 3 sessions",
			"/api/v2/users/2/sessions").without(t, hostile, "this session")
		links := sessionLinks(a)
		if len(links) != 3 {
			t.Fatalf("%v", links)
		}
		a = b.get(links[0]).want(t, http.StatusOK, "1 session ends at once", "-X DELETE")
		theirs[2].get("/console").want(t, http.StatusOK)
		b.post(path+"/end", a.fields()).want(t, http.StatusOK, "The session is ended.", "End all 2 sessions")
		theirs[2].get("/console").want(t, http.StatusUnauthorized)
		theirs[1].get("/console").want(t, http.StatusOK)
		b.post(path+"/end", a.fields()).want(t, http.StatusNotFound) // it is gone
		for _, bad := range []string{"0", "x", "-1"} {
			b.get(path+"/end?session="+bad).want(t, http.StatusBadRequest)
			b.post(path+"/end", url.Values{"session": {bad}}).want(t, http.StatusNotFound)
		}
		// The number of a session of somebody else ends nothing.
		b.post("/console/users/1/security/end", url.Values{"session": {"2"}}).want(t, http.StatusNotFound)
		theirs[0].get("/console").want(t, http.StatusOK)
		a = b.get(path+"/end").want(t, http.StatusOK, "2 sessions of this user", "End 2 sessions").without(t, "This is you")
		b.post(path+"/end", a.fields()).want(t, http.StatusOK, "The sessions are ended.", "signed in nowhere")
		for _, client := range theirs {
			client.get("/console").want(t, http.StatusUnauthorized)
		}
		s.WantEvents("filter[user]=2&filter[type]=USER_SESSION_REVOKED", "USER_SESSION_REVOKED", "USER_SESSION_REVOKED")
		// One's own other sessions end, and the present one stays.
		newBrowser(t, s).signIn(email, password)
		const own = "/console/users/1/security"
		if links := sessionLinks(b.get(own).want(t, http.StatusOK, "this session", "End 1 session")); len(links) != 1 {
			t.Errorf("%v", links)
		}
		a = b.get(own+"/end").want(t, http.StatusOK, "The session that you use now stays.", "This is you")
		b.post(own+"/end", a.fields()).want(t, http.StatusOK, "The sessions are ended.", "this session").
			without(t, "/security/end")
	})
}

// TestSecurityFactor resets a second factor after a page has asked.
func TestSecurityFactor(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		in := mary()
		in.Groups = []int64{newGroup(t, s, "Auditors", true, identity.AuditView)}
		user := createUser(t, s, in)
		s.Enrol(s.SignInWith("mary@example.com", password).AccessToken.Token)
		path := pathOf(user) + "/security"
		b.get(path).want(t, http.StatusOK, "By <a", "Auditors", "Reset the second factor", "Authenticator</span>", "10 ")
		a := b.get(path+"/factor").want(t, http.StatusOK, "recovery codes of 1 user", "/api/v2/users/2/totp")
		s.WantEvents("filter[user]=2&filter[type]=USER_TOTP_RESET")
		b.post(path+"/factor", a.fields()).want(t, http.StatusOK, "The authenticator is gone", "signed in nowhere",
			"Codes by mail", "There is no authenticator to reset.")
		s.WantEvents("filter[user]=2&filter[type]=USER_TOTP_RESET", "USER_TOTP_RESET")
		// One's own takes the password again; the form goes on after that.
		s.Clock.Advance(identity.FreshPeriod + time.Second)
		b.post("/console/users/1/security/factor", nil).want(t, http.StatusForbidden, "password")
	})
}

// TestSecurityState shows failed tries and locks.
func TestSecurityState(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		user := createUser(t, s, mary())
		path := pathOf(user) + "/security"
		b.get(path).want(t, http.StatusOK, "<dd>none", "Off</span>").without(t, "Sign-in is locked")
		for range 6 {
			s.TrySignIn("mary@example.com", "wrong", apitest.From("203.0.113.9"))
		}
		b.get(path).want(t, http.StatusOK, "Sign-in is locked from one address at least.", "<dd>5<small>",
			"It is over <time")
		b.get("/console").want(t, http.StatusOK, "filter%5Blocked%5D=true")
		s.Clock.Advance(25 * time.Hour)
		b.signIn(email, password)
		b.get(path).want(t, http.StatusOK).without(t, "Sign-in is locked")
	})
}

// TestSecurityDenied keeps sessions and second factors of those who hold more, and addresses
// from operators who see masks.
func TestSecurityDenied(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		signedIn(t, s)
		user := createUser(t, s, mary())
		theirs := signInFrom(t, s, "mary@example.com", "203.0.113.77")
		const admin = "/console/users/1/security"
		path := pathOf(user) + "/security"
		secrets := []string{"203.0.113.77", "mary@example.com"}

		viewer, self := signedInAs(t, s, "viewer@example.com", false, identity.UsersView)
		viewer.get(path).want(t, http.StatusOK, `***</span> <span class="quiet">hidden`,
			"You cannot end sessions of this user. This needs the permission users.update",
			"You cannot reset the second factor. This needs", "This needs the permission groups.view").
			without(t, secrets...)
		viewer.get(path+"/end").want(t, http.StatusOK, "This needs the permission users.update").without(t, "End 1 session</b")
		viewer.post(path+"/end", nil).want(t, http.StatusForbidden, "users.update").without(t, secrets...)
		viewer.post(path+"/factor", nil).want(t, http.StatusForbidden, "users.update")
		viewer.get(pathOf(self)+"/security").want(t, http.StatusOK, "this session", "There is no authenticator to reset.")

		editor, _ := signedInAs(t, s, "editor@example.com", false, identity.UsersUpdate, identity.GroupsView)
		editor.get(path).want(t, http.StatusOK, "End 1 session", "This needs the right to see unmasked data").
			without(t, append(secrets, `/security/factor"`)...)
		editor.post(path+"/factor", nil).want(t, http.StatusForbidden, "unmasked data")
		editor.get(admin).want(t, http.StatusOK, "This user holds what you do not hold yourself: ", "audit.view").
			without(t, "/security/end", "jane@example.com")
		for _, form := range []url.Values{nil, {"session": {"1"}}} {
			editor.post(admin+"/end", form).want(t, http.StatusForbidden, "do not hold")
		}
		editor.post(admin+"/factor", nil).want(t, http.StatusForbidden)
		s.WantEvents("filter[type]=USER_SESSION_REVOKED")
		theirs.get("/console").want(t, http.StatusOK)
		editor.post(path+"/end", nil).want(t, http.StatusOK, "The sessions are ended.").without(t, secrets...)
		theirs.get("/console").want(t, http.StatusUnauthorized)
	})
}

// TestUserActivity lists what happened to one user, page by page, and masks it.
func TestUserActivity(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		in := mary()
		in.Name = "Mary " + hostile
		user := createUser(t, s, in)
		setAddresses(t, s, user.ID, "198.51.100.1")
		setAddresses(t, s, user.ID, "192.0.2.0/24")
		path := pathOf(user) + "/activity"
		a := b.get(path).want(t, http.StatusOK, "changed the allowed addresses of", "192.0.2.0/24", "Mary &lt;img",
			"The latest 3 of 3", "filter%5Buser%5D=2", "filter[user]=2").without(t, hostile)
		if strings.Contains(a.body, `rel="next"`) {
			t.Error("there is no older page")
		}
		a = b.get(path+"?limit=2").want(t, http.StatusOK, "The latest 2 of 3").without(t, "created the user")
		_, rest, _ := strings.Cut(a.body, `rel="next" href="`)
		next, _, _ := strings.Cut(rest, `"`)
		b.get(strings.ReplaceAll(next, "&amp;", "&")).want(t, http.StatusOK, "created the user", "1 older event").
			without(t, `rel="next"`, "changed the allowed addresses")
		for _, bad := range []string{"after=x", "limit=0", "other=1", "after="} {
			b.get(path+"?"+bad).want(t, http.StatusBadRequest)
		}
		auditor, _ := signedInAs(t, s, "auditor@example.com", false, identity.UsersView, identity.AuditView)
		auditor.get(path).want(t, http.StatusOK, "changed the allowed addresses of", "changed, hidden").
			without(t, "192.0.2.", "mary@example.com")
		viewer, _ := signedInAs(t, s, "viewer@example.com", false, identity.UsersView)
		viewer.get(path).want(t, http.StatusOK, "This needs the permission audit.view").without(t, "The latest", "192.0.2.")
	})
}
