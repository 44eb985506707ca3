package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
)

// createGroup creates a group from the command line.
func createGroup(t *testing.T, s *apitest.Server, name string, permissions ...identity.Permission) identity.Group {
	t.Helper()
	group, err := s.Service.CreateGroup(t.Context(), identity.CommandLine(), identity.Group{
		Name: identity.Label(name), Permissions: identity.PermissionSet(permissions...),
	})
	if err != nil {
		t.Fatal(err)
	}
	return group
}

// operator returns a browser in which a user of a new group with these permissions has
// signed in.
func operator(t *testing.T, s *apitest.Server, unmasked bool, permissions ...identity.Permission) *browser {
	t.Helper()
	b, _ := signedInAs(t, s, "olga@example.com", unmasked, permissions...)
	return b
}

func groupAt(t *testing.T, s *apitest.Server, id int64) identity.Group {
	t.Helper()
	group, err := s.Service.Group(t.Context(), identity.CommandLine(), id)
	if err != nil {
		t.Fatal(err)
	}
	return group
}

func groupPath(id int64) string { return fmt.Sprintf("/console/groups/%d", id) }

// TestGroups creates, changes and deletes a group through the pages, with a review before
// each step.
func TestGroups(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		typed := with(b.get("/console/groups/new").want(t, http.StatusOK).fields(), "name", "Support", "step", "review")
		typed["permissions"] = []string{"users.update"}
		review := b.post("/console/groups/new", typed).want(t, http.StatusOK, "Create this group?", "Support",
			"Change users:", "Dangerous", "/api/v2/groups")
		b.post("/console/groups/new", with(review.fields(), "step", "edit")).
			want(t, http.StatusOK, `value="Support"`, `value="users.update" checked`)
		a := b.post("/console/groups/new", with(review.fields(), "step", "save")).
			want(t, http.StatusOK, "The group is created.", "Support", "Nobody is in this group.", "Change users:")
		path := a.url.Path
		b.get(path).without(t, "The group is created.")
		b.get("/console/groups").want(t, http.StatusOK, "Support", `href="`+path+`"`, "Administrators")
		b.get("/console/groups?limit=1").want(t, http.StatusOK, "1–1 of ", "offset=1")

		a = b.get(path+"/edit").want(t, http.StatusOK, `value="Support"`)
		b.post(path+"/edit", with(a.fields(), "step", "review")).want(t, http.StatusBadRequest, "You have changed nothing.")
		review = b.post(path+"/edit", with(a.fields(), "name", "Helpers", "requireTfa", "true", "step", "review")).
			want(t, http.StatusOK, "<del><bdi>Support</bdi></del>", "<ins><bdi>Helpers</bdi></ins>", "0 members")
		b.post(path+"/edit", with(review.fields(), "step", "save")).want(t, http.StatusOK, "The group is changed.", "Helpers")

		a = b.get(path+"/delete").want(t, http.StatusOK, "Nobody is in this group.")
		b.post(path+"/delete", a.fields()).want(t, http.StatusOK, "The group is deleted.").without(t, "Helpers")
		b.get(path).want(t, http.StatusNotFound, "There is nothing here")
		b.post(path+"/delete", a.fields()).want(t, http.StatusNotFound)
		for _, bad := range []string{"0", "-1", "x", "99999999999999999999"} {
			b.get("/console/groups/"+bad).want(t, http.StatusNotFound)
		}
	})
}

// TestGroupForm keeps what was typed and says what is wrong beside the field.
func TestGroupForm(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		createGroup(t, s, "Taken")
		b.post("/console/groups/new", url.Values{"name": {" "}, "permissions": {"users.view", "users.fly"}}).
			want(t, http.StatusBadRequest, `aria-invalid="true"`, "must not be empty", "must be one of",
				`value="users.view" checked`)
		b.post("/console/groups/new", url.Values{"name": {"taken"}, "step": {"save"}}).
			want(t, http.StatusConflict, `value="taken"`)
		for _, name := range []string{hostile, strings.Repeat("界", 100), "مريم"} {
			a := b.post("/console/groups/new", url.Values{"name": {name}, "step": {"save"}}).
				want(t, http.StatusOK, html.EscapeString(name)).without(t, "<img")
			for _, page := range []string{"", "/edit", "/delete", "/add"} {
				b.get(a.url.Path+page).want(t, http.StatusOK, html.EscapeString(name)).without(t, "<img")
			}
		}
		b.get("/console/groups").without(t, "<img")
	})
}

// TestGroupRights refuses what the caller may not do, and says what is missing.
func TestGroupRights(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mighty := createGroup(t, s, "Mighty", identity.UsersDelete)
		b := operator(t, s, true, identity.GroupsView, identity.GroupsManage)
		b.get("/console/groups/new").want(t, http.StatusOK, `value="users.delete" disabled`, "You do not hold this yourself")
		b.post("/console/groups/new", url.Values{"name": {"More"}, "permissions": {"users.delete"}, "step": {"save"}}).
			want(t, http.StatusForbidden, "permissions that you do not hold yourself", `value="More"`)
		b.get(groupPath(mighty.ID)).want(t, http.StatusOK, "do not hold yourself: users.view, users.delete",
			"This needs the permission users.view").without(t, "/edit", "Take out")
		for _, page := range []string{"/edit", "/delete", "/add"} {
			b.get(groupPath(mighty.ID)+page).want(t, http.StatusForbidden, "You may not do this")
		}
		b.post(groupPath(mighty.ID)+"/edit", url.Values{"name": {"x"}, "version": {"1"}, "step": {"save"}}).
			want(t, http.StatusForbidden)
		b.post(groupPath(mighty.ID)+"/delete", url.Values{"version": {"1"}, "members": {"0"}}).want(t, http.StatusForbidden)
		if group := groupAt(t, s, mighty.ID); group.Name != "Mighty" {
			t.Errorf("%+v", group)
		}
		b.get(groupPath(identity.AdministratorsID)).want(t, http.StatusOK, "neither changed nor deleted").without(t, "/edit")
	})
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := operator(t, s, true, identity.UsersView)
		for _, path := range []string{"/console/groups", groupPath(1), groupPath(1) + "/edit"} {
			b.get(path).
				want(t, http.StatusForbidden, "This needs the permission groups.view", "A member of the group Administrators")
		}
		b.get("/console/groups/new").want(t, http.StatusForbidden, "This needs the permission groups.manage")
		b.get("/console/tokens").want(t, http.StatusForbidden, "This needs the permission tokens.manage")
	})
}

// TestGroupNeedsProof asks for the password before a change of rights in a session that is
// not fresh, and then goes on with the form.
func TestGroupNeedsProof(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := createGroup(t, s, "Support", identity.UsersView)
		b := signedIn(t, s)
		a := b.get(groupPath(group.ID) + "/edit")
		s.Clock.Advance(16 * time.Minute)
		typed := with(a.fields(), "step", "save")
		typed["permissions"] = []string{"users.view", "audit.view"}
		a = b.post(groupPath(group.ID)+"/edit", typed).want(t, http.StatusForbidden, "Prove that it is you")
		if got := groupAt(t, s, group.ID); got.Version != 1 {
			t.Fatalf("%+v", got)
		}
		b.post("/console/prove", with(a.fields(), "password", "wrong horse")).
			want(t, http.StatusBadRequest, "Prove that it is you")
		a = b.post("/console/prove", with(a.fields(), "password", password)).want(t, http.StatusOK, "Go on with the form")
		b.post(groupPath(group.ID)+"/edit", a.fields()).want(t, http.StatusOK, "The group is changed.", "audit.view")
	})
}

// TestGroupMerge lets the second of two people choose, field by field.
func TestGroupMerge(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := createGroup(t, s, "Support", identity.UsersView)
		b := signedIn(t, s)
		path := groupPath(group.ID) + "/edit"
		first, second := b.get(path), b.get(path)
		b.post(path, with(first.fields(), "name", "Theirs"+hostile, "requireTfa", "true", "step", "save")).
			want(t, http.StatusOK)
		for _, step := range []string{"review", "save"} {
			typed := with(second.fields(), "name", "Yours", "step", step)
			typed["permissions"] = []string{"users.view", "audit.view"}
			merge := b.post(path, typed).want(t, http.StatusPreconditionFailed, "Somebody else was faster",
				html.EscapeString("Theirs"+hostile), "Yours", "was <bdi>Support</bdi>",
				"Requires a second factor").without(t, "<img")
			choice := merge.fields()
			if got := groupAt(t, s, group.ID); got.Version != 2 || choice.Get("version") != "2" {
				t.Fatalf("%+v, %v", got, choice)
			}
			// Without a choice theirs stays; what only one has changed is taken.
			b.post(path, with(choice, "step", "review")).want(t, http.StatusOK, "audit.view", "Save these changes?").
				without(t, "<ins><bdi>Yours", "Requires a second factor</th>")
			review := b.post(path, with(merge.fields(), "merge.name", "yours", "step", "review")).
				want(t, http.StatusOK, "<ins><bdi>Yours</bdi></ins>")
			if step == "review" {
				continue
			}
			// Somebody is faster again while the choice is made.
			again := b.get(path)
			b.post(path, with(again.fields(), "name", "Third", "step", "save")).want(t, http.StatusOK)
			merge = b.post(path, with(review.fields(), "step", "save")).want(t, http.StatusPreconditionFailed, "Third")
			review = b.post(path, with(merge.fields(), "merge.name", "yours", "step", "review")).want(t, http.StatusOK)
			b.post(path, with(review.fields(), "step", "save")).want(t, http.StatusOK, "The group is changed.")
		}
		got := groupAt(t, s, group.ID)
		if got.Name != "Yours" || !got.RequireTFA || !got.Permissions.Has(identity.AuditView) || got.Version != 4 {
			t.Errorf("%+v", got)
		}
	})
}

// TestMembers adds users by what somebody has pasted, and takes one out again.
func TestMembers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := createGroup(t, s, "Support", identity.UsersView)
		ann := createUser(t, s, identity.User{Name: "Ann", Email: "ann@example.com", Active: true})
		bob := createUser(t, s, identity.User{Name: hostile, Email: "bob@example.com", Active: true})
		in := createUser(t, s, identity.User{Name: "Ina", Email: "ina@example.com", Active: true, Groups: []int64{group.ID}})
		b := signedIn(t, s)
		path := groupPath(group.ID)
		b.get(path+"/add").want(t, http.StatusOK, "E-mail addresses or ids")
		b.post(path+"/add", url.Values{"people": {" , "}}).want(t, http.StatusBadRequest, "names nobody")
		b.post(path+"/add", url.Values{"people": {strings.Repeat("1\n2\n", 1) + numbers(201)}}).
			want(t, http.StatusBadRequest, "200 at most")
		pasted := fmt.Sprintf("ANN@example.com, %d\nina@example.com; nobody@example.com\n%s %d", bob.ID, "<script>", ann.ID)
		review := b.post(path+"/add", url.Values{"people": {pasted}, "step": {"review"}}).
			want(t, http.StatusOK, "To be added: 2", "Not found: 2", "nobody@example.com", "script",
				"In the group already: 1", "Add 2",
				"See users and search").without(t, "<img", "<script>")
		if ids := review.fields()["userId"]; !slices.Equal(ids, []string{fmt.Sprint(ann.ID), fmt.Sprint(bob.ID)}) {
			t.Fatal(ids)
		}
		b.post(path+"/add", with(review.fields(), "step", "save")).
			want(t, http.StatusOK, "The members are added.", "1–3 of 3")
		b.post(path+"/add", with(review.fields(), "step", "save")).want(t, http.StatusOK, "1–3 of 3") // sent twice
		b.get(path+"?limit=2").want(t, http.StatusOK, "1–2 of 3", "offset=2")
		b.post(path+"/add", url.Values{"step": {"save"}, "userId": {fmt.Sprint(ann.ID), "9999"}}).
			want(t, http.StatusConflict, "Not everybody could be added", "User 9999", "Added: 1")
		b.post(path+"/add", url.Values{"step": {"save"}, "userId": {"x"}}).want(t, http.StatusBadRequest)

		remove := fmt.Sprintf("%s/remove?userId=%d", path, in.ID)
		a := b.get(remove).want(t, http.StatusOK, "Ina", "1 user loses this")
		b.post(path+"/remove", a.fields()).want(t, http.StatusOK, "The member is taken out.", "1–2 of 2")
		b.post(path+"/remove", a.fields()).want(t, http.StatusNotFound, "not in the group any more")
		b.get(remove).want(t, http.StatusNotFound)

		a = b.get(path+"/delete").want(t, http.StatusOK, "2 members are taken out first", "Take 2 out and delete the group")
		b.post(path+"/add", url.Values{"step": {"save"}, "userId": {fmt.Sprint(in.ID)}}).want(t, http.StatusOK)
		a = b.post(path+"/delete", a.fields()).
			want(t, http.StatusPreconditionFailed, "This was changed while you looked at it", "3 members")
		b.post(path+"/delete", with(a.fields(), "members", "0")).want(t, http.StatusConflict, "The group has members")
		b.post(path+"/delete", a.fields()).want(t, http.StatusOK, "The group is deleted.")
		if user, err := s.Service.User(t.Context(), identity.CommandLine(), ann.ID); err != nil || len(user.Groups) != 0 {
			t.Errorf("%+v, %v", user, err)
		}
	})
}

func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintln(&b, i+1)
	}
	return b.String()
}

// TestMembersAreMasked shows masks to an operator who reads masks, and takes no member that
// has more rights than the operator.
func TestMembersAreMasked(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := createGroup(t, s, "Support", identity.UsersView)
		ann := createUser(t, s, identity.User{
			Name: "ann.secret@example.com", Email: "ann.secret@example.com",
			Active: true, Groups: []int64{group.ID},
		})
		boss := createUser(t, s, identity.User{
			Name: "Boss", Email: "boss@example.com",
			Active: true, Groups: []int64{identity.AdministratorsID},
		})
		b := operator(t, s, false, identity.GroupsView, identity.UsersUpdate, identity.GroupsManage)
		path := groupPath(group.ID)
		for _, page := range []string{"", fmt.Sprintf("/remove?userId=%d", ann.ID)} {
			b.get(path+page).want(t, http.StatusOK, "a***@example.com", "hidden").without(t, "ann.secret")
		}
		review := b.post(path+"/add", url.Values{"people": {fmt.Sprintf("%d", boss.ID)}}).
			want(t, http.StatusOK, "To be added: 1").without(t, "boss@")
		b.post(path+"/add", with(review.fields(), "step", "save")).
			want(t, http.StatusConflict, "Boss", "permissions that you do not hold yourself").without(t, "boss@")
		if user, err := s.Service.User(t.Context(), identity.CommandLine(), boss.ID); err != nil || len(user.Groups) != 1 {
			t.Errorf("%+v, %v", user, err)
		}
	})
}

// TestDeleteBigGroup does not take out more members than one form may, and names how many
// there are.
func TestDeleteBigGroup(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := createGroup(t, s, "Support", identity.UsersView)
		const members = 201
		for i := range members {
			createUser(t, s, identity.User{
				Name: "Member", Email: identity.Email(fmt.Sprintf("m%d@example.com", i)), Groups: []int64{group.ID},
			})
		}
		b := signedIn(t, s)
		path := groupPath(group.ID)
		b.get("/console/groups").want(t, http.StatusOK, ">201<")
		b.get(path).want(t, http.StatusOK, "1–50 of 201", "offset=50")
		a := b.get(path+"/delete").want(t, http.StatusOK, "201 members are taken out first", "200 at most")
		b.post(path+"/delete", a.fields()).want(t, http.StatusPreconditionFailed)
		if n := strings.Count(b.get(path+"?offset=200").body, "/remove?userId="); n != 1 {
			t.Errorf("%d on the last page", n)
		}
	})
}
