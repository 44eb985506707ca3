package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
	"github.com/rosterhq/roster/internal/store/storetest"
)

const hostile = `<img src=x onerror=alert(1)>`

func pathOf(user identity.User) string { return fmt.Sprintf("/console/users/%d", user.ID) }

func mary() identity.User {
	text := "vip"
	return identity.User{
		Name: "Mary Ann Evans", Email: "mary@example.com", Phone: "+18043257762", Active: true,
		ClientTags: []identity.ClientTag{{Text: &text}, {ID: new(int64(7))}},
	}
}

// TestProfile shows all fields of a user and the actions.
func TestProfile(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		user := mary()
		user.Active, user.BlockedCode = false, identity.EmailChanged
		user = createUser(t, s, user)
		b.get(pathOf(user)).want(t, http.StatusOK, "Mary Ann Evans", "mary@example.com", "&#43;18043257762", "Inactive",
			"not confirmed yet", "Any address", ">vip<", "{&#34;id&#34;:7}", "Sees unmasked data",
			`href="`+pathOf(user)+`/edit"`, "An inactive user gets no link", `href="`+pathOf(user)+`/activate"`)
	})
}

// TestEditUser goes from the form by the review to the saved user.
func TestEditUser(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		user := createUser(t, s, mary())
		path := pathOf(user) + "/edit"
		a := b.get(path).want(t, http.StatusOK, "data-guard", `value="mary@example.com"`)
		values := with(a.fields(), "step", "review", "name", "Mary <b>", "phone", "", "tfa", "true", "groups", "1",
			"clientTags", "vip\r\n\r\n{\"id\":8,\"name\":\"x\"}\r\n", "sendNotify", "true")
		a = b.post(path, values).want(t, http.StatusOK, "Review the changes", "<del><bdi>Mary Ann Evans</bdi></del>",
			"<ins><bdi>Mary &lt;b&gt;</bdi></ins>", "<ins><bdi>Administrators</bdi></ins>", "needs a code to sign in",
			"-X PATCH", "/api/v2/users/2")
		if got := userAt(t, s, user.ID); got.Version != 1 {
			t.Fatalf("the review has saved: %+v", got)
		}
		again := b.post(path, with(a.fields(), "step", "edit")).want(t, http.StatusOK, `value="Mary &lt;b&gt;"`)
		if got := again.fields(); got.Get("version") != "1" || got.Get("before.name") != "Mary Ann Evans" {
			t.Errorf("%v", got)
		}
		b.post(path, with(a.fields(), "step", "save")).want(t, http.StatusOK, "The changes are saved.", "Mary &lt;b&gt;")
		got := userAt(t, s, user.ID)
		if got.Name != "Mary <b>" || got.Phone != "" || !got.TFA || !slices.Equal(got.Groups, []int64{1}) ||
			len(got.ClientTags) != 2 || *got.ClientTags[1].Name != "x" || got.Version != 2 {
			t.Errorf("%+v", got)
		}
		if mail := s.Mail(); !slices.Equal(mail.Changed, []string{"tfa"}) {
			t.Errorf("%+v", mail)
		}
		// Sent twice, as by a double click, it does no harm.
		b.post(path, with(a.fields(), "step", "save")).want(t, http.StatusOK, "Nothing had to be changed.")
		b.post(path, with(b.get(path).fields(), "step", "review")).want(t, http.StatusOK, "Nothing had to be changed.")
		if got := userAt(t, s, user.ID); got.Version != 2 {
			t.Errorf("%+v", got)
		}
	})
}

// TestEditUserErrors shows what is wrong beside the fields and loses nothing that was typed.
func TestEditUserErrors(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		user := createUser(t, s, mary())
		path := pathOf(user) + "/edit"
		fresh := func() url.Values { return with(b.get(path).fields(), "step", "review") }
		b.post(path, with(fresh(), "name", " ", "email", "no address"+hostile, "phone", "12", "clientTags", "ok\n{\"id\":\"x\"}")).
			want(t, http.StatusBadRequest, `href="#f-name"`, `id="problems"`, "autofocus", `aria-invalid="true"`,
				"no address&lt;img", `value="12"`, "Line 2", `data-guard="edited"`).without(t, hostile)
		b.post(path, with(fresh(), "groups", "99")).want(t, http.StatusOK, "Group 99")
		b.post(path, with(fresh(), "groups", "99", "step", "save")).want(t, http.StatusBadRequest, `href="#f-groups`, "Group 99")
		b.post(path, with(fresh(), "groups", "x")).want(t, http.StatusBadRequest, "must be groups of the list")
		b.post(path, with(fresh(), "email", email, "step", "save")).want(t, http.StatusConflict, `value="`+email+`"`)
		for _, missing := range []string{"/console/users/99/edit", "/console/users/x/edit", "/console/users/0/edit"} {
			b.get(missing).want(t, http.StatusNotFound, "There is nothing here")
		}
		b.post("/console/users/99/edit", fresh()).want(t, http.StatusNotFound)
		// A form without anything changes nothing.
		b.post(path, url.Values{"step": {"save"}}).want(t, http.StatusPreconditionFailed)
		if got := userAt(t, s, user.ID); got.Version != 1 {
			t.Errorf("%+v", got)
		}
		other := newBrowser(t, s)
		other.signIn(email, password)
		other.header.Set("Origin", "https://evil.example.com")
		if a := other.post(path, with(fresh(), "step", "save", "name", "Evil")); a.status != http.StatusForbidden {
			t.Errorf("cross-origin: %d", a.status)
		}
	})
}

// TestEditUserMerge lets the second of two people choose.
func TestEditUserMerge(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		user := createUser(t, s, mary())
		path := pathOf(user) + "/edit"
		values := with(b.get(path).fields(), "name", "Mine "+hostile, "groups", "1", "sendNotify", "true")
		name, phone := identity.Name("Theirs "+hostile), identity.Phone("+33612345678")
		if _, err := s.Service.UpdateUser(t.Context(), identity.CommandLine(), user.ID, service.UserUpdate{
			Change: identity.UserChange{Name: &name, Phone: &phone},
		}); err != nil {
			t.Fatal(err)
		}
		for _, step := range []string{"review", "save"} {
			b.post(path, with(values, "step", step)).want(t, http.StatusPreconditionFailed, "Somebody else was faster",
				"Theirs &lt;img", "Mine &lt;img", "Only they have changed", "&#43;33612345678", "Administrators").
				without(t, hostile)
		}
		merge := b.post(path, with(values, "step", "review")).fields()
		a := b.post(path, with(merge, "merge.name", "yours", "step", "review")).
			want(t, http.StatusOK, "Review the changes", "Mine &lt;img")
		b.post(path, with(a.fields(), "step", "save")).want(t, http.StatusOK, "The changes are saved.")
		got := userAt(t, s, user.ID)
		if got.Name != "Mine "+hostile || got.Phone != phone || !slices.Equal(got.Groups, []int64{1}) || got.Version != 3 {
			t.Errorf("%+v", got)
		}
	})
}

// TestEditUserMasked changes nothing by a mask that comes back, and never shows what it hides.
func TestEditUserMasked(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b, _ := signedInAs(t, s, "olga@example.com", false, identity.UsersUpdate, identity.GroupsView)
		user := mary()
		user.AllowList, _ = identity.AllowListFrom("198.51.100.0/24 203.0.113.7")
		user.Name = "m.evans@example.com"
		user = createUser(t, s, user)
		hidden := []string{"mary@example.com", "18043257762", "198.51.100", "m.evans@", "203.0.113.7"}
		path := pathOf(user) + "/edit"
		b.get(pathOf(user)).want(t, http.StatusOK, "m***@example.com", "e-mail address, hidden", "phone number, hidden",
			"Only some addresses").without(t, hidden...)
		a := b.get(path).want(t, http.StatusOK, "m***@example.com", "Some values are hidden").without(t, hidden...)
		b.post(path, with(a.fields(), "step", "save")).want(t, http.StatusOK, "Nothing had to be changed.").without(t, hidden...)
		a = b.post(path, with(a.fields(), "step", "review", "clientTags", "new")).
			want(t, http.StatusOK, "Review the changes").without(t, append(hidden, "m***@example.com</bdi></del>")...)
		b.post(path, with(a.fields(), "step", "save")).want(t, http.StatusOK, "saved").without(t, hidden...)
		got := userAt(t, s, user.ID)
		if got.Email != user.Email || got.Phone != user.Phone || got.Name != user.Name || *got.ClientTags[0].Text != "new" {
			t.Errorf("%+v", got)
		}
		fresh := func(changes ...string) url.Values { return with(b.get(path).fields(), changes...) }
		b.post(path, fresh("step", "review", "phone", "+9*******99")).want(t, http.StatusBadRequest, "is a mask").without(t, hidden...)
		b.post(path, fresh("step", "save", "email", "evil@example.com")).
			want(t, http.StatusForbidden, "unmasked data", "evil@example.com").without(t, hidden...)
		// The merge has masks as well.
		form := fresh("step", "review", "name", "Mine")
		name := identity.Name("other@example.org")
		if _, err := s.Service.UpdateUser(t.Context(), identity.CommandLine(), user.ID, service.UserUpdate{
			Change: identity.UserChange{Name: &name},
		}); err != nil {
			t.Fatal(err)
		}
		b.post(path, form).want(t, http.StatusPreconditionFailed, "o***@example.org").
			without(t, append(hidden, "other@example.org")...)
	})
}

// TestEditUserRights shows what is missing, and leaves the decision to the service.
func TestEditUserRights(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		user := createUser(t, s, mary())
		viewer, self := signedInAs(t, s, "viewer@example.com", true, identity.UsersView)
		viewer.get(pathOf(user)).want(t, http.StatusOK, "This needs the permission users.update", "<b>Edit, send invitation").
			without(t, pathOf(user)+`/edit"`, pathOf(user)+`/delete"`)
		viewer.get(pathOf(user)+"/edit").want(t, http.StatusForbidden, "users.update", "Administrators can give you")
		viewer.post(pathOf(user)+"/edit", url.Values{"step": {"save"}, "version": {"1"}, "name": {"x"}}).
			want(t, http.StatusForbidden)
		for _, act := range []string{"activate", "deactivate", "delete"} {
			viewer.get(pathOf(user)+"/"+act).want(t, http.StatusForbidden, "This needs the permission")
			viewer.post(pathOf(user)+"/"+act, url.Values{"version": {"1"}}).want(t, http.StatusForbidden)
		}
		viewer.post(pathOf(user)+"/invite", nil).want(t, http.StatusForbidden)

		// Of oneself one may change name and phone.
		own := pathOf(self) + "/edit"
		a := viewer.get(own).want(t, http.StatusOK, "users.update").without(t, `name="email"`, `name="tfa"`)
		viewer.post(own, with(a.fields(), "step", "save", "name", "Olga New")).want(t, http.StatusOK, "saved")
		form := with(viewer.get(own).fields(), "step", "save", "email", "other@example.com", "tfa", "true")
		viewer.post(own, form).want(t, http.StatusForbidden, "users.update", "other@example.com")

		// Groups that give more than one has are locked; the service refuses them all the same.
		editor, _ := signedInAs(t, s, "editor@example.com", true, identity.UsersUpdate, identity.GroupsView)
		a = editor.get(pathOf(user)+"/edit").want(t, http.StatusOK, "permissions that you do not hold yourself", "disabled")
		editor.post(pathOf(user)+"/edit", with(a.fields(), "step", "save", "groups", "1")).
			want(t, http.StatusForbidden, "you do not hold yourself")
		blind, _ := signedInAs(t, s, "blind@example.com", true, identity.UsersUpdate)
		blind.get(pathOf(user)+"/edit").want(t, http.StatusOK, "no group that you may see")

		// Rights that shrink while the form is open: nothing is dropped in silence.
		values := with(editor.get(pathOf(user)+"/edit").fields(), "step", "save", "clientTags", "late")
		if _, err := s.Service.UpdateUser(t.Context(), identity.CommandLine(), idOf(t, s, "editor@example.com"),
			service.UserUpdate{Change: identity.UserChange{Groups: new([]int64{})}}); err != nil {
			t.Fatal(err)
		}
		editor.post(pathOf(user)+"/edit", values).want(t, http.StatusForbidden)
		if got := userAt(t, s, user.ID); got.Version != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func idOf(t *testing.T, s *apitest.Server, address string) int64 {
	t.Helper()
	found, err := s.Service.Users(t.Context(), identity.CommandLine(), identity.UserQuery{
		Filter: identity.UserFilter{Email: address}, Sort: identity.SortByID, Limit: 1,
	})
	if err != nil || len(found.Users) != 1 {
		t.Fatalf("%+v %v", found, err)
	}
	return found.Users[0].ID
}

// TestEditUserHostile keeps hostile and long names as text on each page.
func TestEditUserHostile(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		for i, name := range []string{
			hostile, `"><script>alert(1)</script>`, strings.Repeat("W", 255), "مريم الزهراء", "👩‍👩‍👧 Zoë", "{{.}}",
			"javascript:alert(1)",
		} {
			user := mary()
			user.Name, user.Email = identity.Name(name), identity.Email(fmt.Sprintf("u%d@example.com", i))
			user.ClientTags = []identity.ClientTag{{Text: &name}}
			user = createUser(t, s, user)
			path := pathOf(user)
			bad := []string{hostile, "<script>alert"}
			for _, page := range []string{"", "/edit", "/deactivate", "/delete"} {
				b.get(path+page).want(t, http.StatusOK).without(t, bad...)
			}
			values := with(b.get(path+"/edit").fields(), "step", "review", "name", "Ann", "clientTags", "x")
			a := b.post(path+"/edit", values).want(t, http.StatusOK, "<del>").without(t, bad...)
			b.post(path+"/edit", with(a.fields(), "step", "save")).want(t, http.StatusOK, "saved")
		}
	})
}

// TestEditUserWhileTheSessionEnds goes on with the form after another sign-in.
func TestEditUserWhileTheSessionEnds(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		user := createUser(t, s, mary())
		path := pathOf(user) + "/edit"
		values := with(b.get(path).fields(), "step", "review", "name", "Typed", "groups", "1")
		if err := s.Service.EndSessions(t.Context(), identity.CommandLine(), 1); err != nil {
			t.Fatal(err)
		}
		a := b.post(path, values).want(t, http.StatusUnauthorized, "What you typed is kept")
		a = b.post("/console/signin", with(a.fields(), "email", email, "password", password)).
			want(t, http.StatusOK, "Nothing that you typed is lost")
		b.post(path, a.fields()).want(t, http.StatusOK, "Review the changes", "<ins><bdi>Typed</bdi></ins>")
	})
}

// TestEditUserWithoutDatabase says so, keeps the form, and saves it once the database is back.
func TestEditUserWithoutDatabase(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, databaseURL string) {
		b := signedIn(t, s)
		user := createUser(t, s, mary())
		path := pathOf(user) + "/edit"
		values := with(b.get(path).fields(), "step", "save", "name", "Typed "+hostile)
		status, heading, up := http.StatusServiceUnavailable, "The database does not answer", func() {}
		if engine == "postgres" {
			up = disconnect(t, databaseURL)
		} else {
			other := storetest.Open(t, databaseURL)
			down := s.Another(func(o *app.Options) { o.Store = other })
			if err := other.Close(); err != nil {
				t.Fatal(err)
			}
			b.server, status, heading = down, http.StatusInternalServerError, "Something went wrong"
		}
		a := b.post(path, values).want(t, status, heading, "What you typed is kept in this page", "Typed &lt;img",
			`action="`+path+`"`).without(t, hostile)
		up()
		b.server = s
		b.post(path, a.fields()).want(t, http.StatusOK, "The changes are saved.", "Typed &lt;img")
	})
}

// disconnect ends all connections to a PostgreSQL database and allows none, until the function
// that it returns is called.
func disconnect(t *testing.T, databaseURL string) (up func()) {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	db := apitest.OpenDatabase(t, "postgres", u.String())
	allow := func(allowed bool) {
		apitest.Execute(t, db, fmt.Sprintf(`ALTER DATABASE "%s" ALLOW_CONNECTIONS %t`, name, allowed))
	}
	allow(false)
	apitest.Execute(t, db, fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'", name))
	return func() { allow(true) }
}

// TestGroupFilterWithoutScript shows the groups that match, as a step of the form, and loses
// nothing that was ticked or typed.
func TestGroupFilterWithoutScript(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		user := createUser(t, s, mary())
		for i := range 10 {
			if _, err := s.Service.CreateGroup(t.Context(), identity.CommandLine(), identity.Group{
				Name: identity.Label(fmt.Sprintf("Team %d", i)),
			}); err != nil {
				t.Fatal(err)
			}
		}
		for _, path := range []string{pathOf(user) + "/edit", newPath} {
			values := with(b.get(path).fields(), "step", "filter", "groupFilter", "team 7", "groups", "1", "name", "Typed")
			a := b.post(path, values).want(t, http.StatusOK, `value="Typed"`,
				`<label class="switch"><input type="checkbox" name="groups" value="9">`,
				`<label class="switch" hidden><input type="checkbox" name="groups" value="1" checked>`)
			if again := a.fields(); again.Get("groups") != "1" || again.Get("groupFilter") != "team 7" {
				t.Errorf("%v", again)
			}
		}
	})
}
