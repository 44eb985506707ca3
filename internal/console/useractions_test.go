package console_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
)

// TestUserActs deactivates, activates and deletes a user after a page has asked.
func TestUserActs(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		user := createUser(t, s, identity.User{
			Name: "Mary " + hostile, Email: "mary@example.com", Active: true, Groups: []int64{1}, CanViewMaskedData: true,
		})
		path := pathOf(user)
		theirs := newBrowser(t, s)
		theirs.signIn("mary@example.com", password)
		actor, err := s.Service.Authenticate(t.Context(), s.SignInWith("mary@example.com", password).AccessToken.Token,
			identity.Origin{})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Service.CreateToken(t.Context(), actor, identity.Token{
			Name: "importer", Permissions: identity.PermissionSet(identity.UsersView),
		}, nil); err != nil {
			t.Fatal(err)
		}
		a := b.get(path+"/deactivate").want(t, http.StatusOK, "signed out everywhere", "2 sessions, which end",
			"1 token that the user has made, which goes on working.", "importer",
			"No token that acts for the user.", "No webhook", "Mary &lt;img", `-d &#39;{&#34;active&#34;:false}&#39;`).without(t, hostile)
		values := a.fields()
		b.post(path+"/deactivate", values).want(t, http.StatusOK, "The user is inactive", "Inactive")
		if got := userAt(t, s, user.ID); got.Active || got.Version != 2 {
			t.Errorf("%+v", got)
		}
		theirs.get("/console/users").want(t, http.StatusUnauthorized)
		// Sent again, it is stale; the page shows things as they are.
		b.post(path+"/deactivate", values).want(t, http.StatusPreconditionFailed, "changed this user meanwhile")
		b.post(path+"/delete", values).want(t, http.StatusPreconditionFailed, "changed this user meanwhile")
		b.post(path+"/activate", b.get(path+"/activate").without(t, "still holds").fields()).
			want(t, http.StatusOK, "The user is active.")
		a = b.get(path+"/delete").want(t, http.StatusOK, "cannot be undone", "No session", "1 token")
		b.post(path+"/delete", a.fields()).want(t, http.StatusOK, "The user is deleted.", `id="total"`)
		for _, gone := range []string{"", "/edit", "/delete", "/deactivate"} {
			b.get(path+gone).want(t, http.StatusNotFound, "There is nothing here")
		}
		b.post(path+"/delete", a.fields()).want(t, http.StatusNotFound)
		b.post(path+"/edit", url.Values{"step": {"save"}}).want(t, http.StatusNotFound)
		b.post(path+"/invite", nil).want(t, http.StatusNotFound)
		b.post(path+"/reset-link", nil).want(t, http.StatusNotFound)
	})
}

// TestUserActsRefused shows the refusal of the service in the page.
func TestUserActsRefused(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s) // the only administrator
		for _, act := range []string{"/deactivate", "/delete"} {
			a := b.get("/console/users/1"+act).want(t, http.StatusOK, "This is you.")
			b.post("/console/users/1"+act, a.fields()).want(t, http.StatusConflict, "the last active administrator", "This is you.")
		}
		jane, err := s.Service.Authenticate(t.Context(), s.SignInWith(email, password).AccessToken.Token, identity.Origin{})
		for _, name := range []identity.Label{"secret name", "secret name 2"} {
			if err == nil {
				_, _, err = s.Service.CreateToken(t.Context(), jane, identity.Token{Name: name}, nil)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		helper, self := signedInAs(t, s, "helper@example.com", false, identity.UsersUpdate, identity.UsersDelete)
		for _, act := range []string{"/deactivate", "/delete"} {
			a := helper.get("/console/users/1"+act).want(t, http.StatusOK, "2 tokens that the user has made", "needs the permission tokens.manage").
				without(t, email, "secret name")
			helper.post("/console/users/1"+act, a.fields()).
				want(t, http.StatusForbidden, "permissions that you do not hold yourself").without(t, email)
		}
		if got := userAt(t, s, 1); !got.Active || got.Version != 1 {
			t.Errorf("%+v", got)
		}
		// Oneself: then one is signed out.
		helper.post(pathOf(self)+"/delete", helper.get(pathOf(self)+"/delete").fields()).want(t, http.StatusUnauthorized)
		helper.get("/console").want(t, http.StatusUnauthorized)
	})
}

// TestMailedLinks sends invitations and reset links from the head of a user.
func TestMailedLinks(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		user := createUser(t, s, mary())
		path := pathOf(user)
		b.get(path).want(t, http.StatusOK, `action="`+path+`/invite"`).without(t, "/reset-link")
		for range 5 {
			b.post(path+"/invite", nil).want(t, http.StatusOK, "An invitation is on its way.")
		}
		b.post(path+"/invite", nil).want(t, http.StatusTooManyRequests, "Too many tries")
		if mail := s.Mail(); mail.Kind != delivery.MailInvitation || mail.To != "mary@example.com" {
			t.Errorf("%+v", mail)
		}
		s.SignInWith("mary@example.com", password)
		b.post(path+"/invite", nil).want(t, http.StatusConflict, "has signed in before")
		b.get(path).want(t, http.StatusOK, `action="`+path+`/reset-link"`).without(t, "/invite\"")
		b.post(path+"/reset-link", nil).want(t, http.StatusOK, "choose another password is on its way")
		if mail := s.Mail(); mail.Kind != delivery.MailPasswordReset || mail.To != "mary@example.com" {
			t.Errorf("%+v", mail)
		}
		masked, _ := signedInAs(t, s, "masked@example.com", false, identity.UsersUpdate)
		masked.get(path).want(t, http.StatusOK, "Send reset link</b> This needs the right to see unmasked data")
		masked.post(path+"/reset-link", nil).want(t, http.StatusConflict, "unmasked data").without(t, "mary@example.com")
		if mails := s.Mails(); len(mails) != 0 {
			t.Errorf("%+v", mails)
		}
		s.Clock.Advance(time.Minute)
	})
}
