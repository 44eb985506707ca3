package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
)

// newGroup creates a group.
func newGroup(t *testing.T, s *apitest.Server, name string, requireTFA bool, permissions ...identity.Permission) int64 {
	t.Helper()
	group, err := s.Service.CreateGroup(t.Context(), identity.CommandLine(), identity.Group{
		Name: identity.Label(name), RequireTFA: requireTFA, Permissions: identity.PermissionSet(permissions...),
	})
	if err != nil {
		t.Fatal(err)
	}
	return group.ID
}

// TestAccess shows which group gives what, and adds a user to a group and takes it out again
// after a review.
func TestAccess(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		support := newGroup(t, s, "Support "+hostile, false, identity.UsersView, identity.UsersUpdate)
		auditors := newGroup(t, s, "Auditors", true, identity.AuditView, identity.UsersView)
		in := mary()
		in.Groups = []int64{support}
		user := createUser(t, s, in)
		path := pathOf(user) + "/access"
		b.get(path).want(t, http.StatusOK, "Support &lt;img", "users.update", "Change users: name", "Dangerous",
			"No group requires it", fmt.Sprintf(`<option value="%d">Auditors</option>`, auditors), "/api/v2/users/2/access").
			without(t, hostile, "audit.view")
		a := b.get(fmt.Sprintf("%s/add?groupId=%d", path, auditors)).want(t, http.StatusOK, "1 user gets this", "audit.view",
			"requires a second factor", "<ins><bdi>Support &lt;img", `&#34;groups&#34;:[2,3]`).
			without(t, "<code>users.view</code>")
		if got := userAt(t, s, user.ID); got.Version != 1 {
			t.Fatalf("the review has saved: %+v", got)
		}
		values := a.fields()
		b.post(path+"/add", values).want(t, http.StatusOK, "The user is in the group.", "audit.view", "Required by")
		if got := userAt(t, s, user.ID); !slices.Equal(got.Groups, []int64{support, auditors}) {
			t.Errorf("%+v", got)
		}
		// Sent twice, as by a double click, it does no harm.
		b.post(path+"/add", values).want(t, http.StatusOK)
		if got := userAt(t, s, user.ID); got.Version != 2 {
			t.Errorf("%+v", got)
		}
		b.get(fmt.Sprintf("%s/add?groupId=%d", path, auditors)).want(t, http.StatusOK, "Nothing had to be changed.")
		a = b.get(fmt.Sprintf("%s/remove?groupId=%d", path, support)).want(t, http.StatusOK, "1 user loses this",
			"users.update").without(t, "<code>users.view</code>", "This is you")
		b.post(path+"/remove", a.fields()).want(t, http.StatusOK, "The user is out of the group.").without(t, "users.update")
		if got := userAt(t, s, user.ID); !slices.Equal(got.Groups, []int64{auditors}) {
			t.Errorf("%+v", got)
		}
		b.get(pathOf(user)+"/activity").want(t, http.StatusOK, "changed the groups of",
			"<ins><span class=\"hidden\">after: ")
		b.get("/console/users/1/access").want(t, http.StatusOK, "<code>*</code>", "Sees it").
			without(t, "<code>users.view</code>")
		b.get("/console/users/1/access/remove?groupId=1").want(t, http.StatusOK, "This is you", "<code>*</code>")
		b.post("/console/users/1/access/remove", url.Values{"groupId": {"1"}}).want(t, http.StatusConflict, "last")
	})
}

// TestAccessDenied shows what is missing in the place of what one may not do, and refuses what
// is sent all the same.
func TestAccessDenied(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		admin := signedIn(t, s)
		strong := newGroup(t, s, "Strong", false, identity.TokensManage)
		weak := newGroup(t, s, "Weak", false)
		in := mary()
		in.Groups = []int64{strong}
		user := createUser(t, s, in)
		path := pathOf(user) + "/access"
		add := url.Values{"groupId": {fmt.Sprint(weak)}}

		viewer, self := signedInAs(t, s, "viewer@example.com", false, identity.UsersView)
		viewer.get(path).want(t, http.StatusOK, "Group "+fmt.Sprint(strong), "This needs the permission users.update",
			"This needs the permission groups.view").without(t, "tokens.manage", "mary@example.com", "Take out")
		viewer.post(path+"/add", add).want(t, http.StatusForbidden, "groups.view")
		viewer.get(pathOf(self)+"/access").want(t, http.StatusOK, "users.view", "This needs the permission users.update")

		reader, _ := signedInAs(t, s, "reader@example.com", false, identity.UsersView, identity.GroupsView)
		reader.get(path).want(t, http.StatusOK, "tokens.manage", "Given by", "This needs the permission users.update").
			without(t, "mary@example.com", "Take out")
		reader.get(path+"/add?groupId="+add.Get("groupId")).want(t, http.StatusOK, "This needs the permission users.update").
			without(t, "Add to the group")
		reader.post(path+"/add", add).want(t, http.StatusForbidden, "users.update")

		editor, _ := signedInAs(t, s, "editor@example.com", false, identity.UsersUpdate, identity.GroupsView)
		editor.get(path).want(t, http.StatusOK, "permissions that you do not hold yourself: tokens.manage",
			"Administrators (gives more than you hold)").without(t, "mary@example.com")
		editor.post(path+"/add", url.Values{"groupId": {"1"}}).want(t, http.StatusForbidden, "do not hold")
		editor.post(path+"/remove", url.Values{"groupId": {fmt.Sprint(strong)}}).want(t, http.StatusForbidden, "do not hold")
		if got := userAt(t, s, user.ID); got.Version != 1 {
			t.Errorf("%+v", got)
		}

		for _, bad := range []string{"", "?groupId=0", "?groupId=x", "?groupId=-1", "?other=1"} {
			admin.get(path+"/add"+bad).want(t, http.StatusBadRequest)
		}
		admin.get(path+"/remove?groupId=99").want(t, http.StatusNotFound)
		admin.post(path+"/add", url.Values{"groupId": {"99"}}).want(t, http.StatusNotFound)
		admin.post(path+"/add", nil).want(t, http.StatusNotFound)
		for _, tab := range []string{"access", "network", "security", "activity"} {
			for _, id := range []string{"99", "0", "x", "9223372036854775808"} {
				admin.get("/console/users/"+id+"/"+tab).want(t, http.StatusNotFound, "There is nothing here")
			}
		}
		for _, to := range []string{"/access/add", "/access/remove", "/network", "/security/factor", "/security/end"} {
			admin.post("/console/users/99"+to, add).want(t, http.StatusNotFound)
			crossSite(t, admin, pathOf(user)+to, add)
		}
	})
}

// crossSite sends a form as a page of another site does.
func crossSite(t *testing.T, b *browser, path string, values url.Values) {
	t.Helper()
	b.header["Origin"], b.header["Sec-Fetch-Site"] = []string{"https://evil.example"}, []string{"cross-site"}
	b.post(path, values).want(t, http.StatusForbidden)
	delete(b.header, "Origin")
	delete(b.header, "Sec-Fetch-Site")
}
