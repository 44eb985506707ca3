package console

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/identity"
)

// FuzzTagLine checks that a tag that was read is written so that it is read again, on one line.
func FuzzTagLine(f *testing.F) {
	for _, line := range []string{
		"vip", `{"id":7}`, `{"id":7,"name":"x"}`, `"quoted"`, `"{"`, "{", `{"x":1}`, " ", `"a\nb"`, `" "`, "\xff", `"`,
		`{"name":"</textarea><b>"}`, "名前",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		tag, err := tagFrom(line)
		if err != nil {
			return
		}
		written := tagLine(tag)
		again, err := tagFrom(strings.TrimSpace(written))
		if err != nil || !again.Equal(tag) || strings.ContainsAny(written, "\r\n") {
			t.Errorf("%q is written as %q: %v", line, written, err)
		}
	})
}

// TestUserValuesRoundTrip reads a form that nobody has touched as no change.
func TestUserValuesRoundTrip(t *testing.T) {
	t.Parallel()
	text, hard := "vip", "{ two\nlines"
	user := identity.User{
		Name: "Mary", Email: "mary@example.com", Phone: "+18043257762", TFA: true, Groups: []int64{1, 7},
		ClientTags: []identity.ClientTag{{Text: &text}, {Text: &hard}, {ID: new(int64(7)), Name: &text}}, CanViewMaskedData: true,
	}
	for _, all := range []bool{true, false} {
		for _, u := range []identity.User{user, user.Masked(), {Name: "x", Email: "x@example.com"}} {
			change, err := userChangeFrom(userValues(u, all), all)
			if err != nil {
				t.Fatal(err)
			}
			if only, changes := onlyChanged(change, u); len(changes) != 0 || only != (identity.UserChange{}) {
				t.Errorf("%t: %v", all, changes)
			}
		}
	}
}

// TestGroupChoices ticks, locks and filters groups, and drops none that the form has.
func TestGroupChoices(t *testing.T) {
	t.Parallel()
	groups := []identity.Group{
		{ID: 1, Name: "Administrators", Permissions: identity.AllPermissions},
		{ID: 2, Name: "Support", Permissions: identity.PermissionSet(identity.UsersView)},
		{ID: 3, Name: "Refunds"},
	}
	actor := identity.Actor{Permissions: identity.PermissionSet(identity.UsersUpdate, identity.GroupsView)}
	values := url.Values{"groups": {"1", "3", "99", "x"}, "groupFilter": {" SUPP "}}
	choices := groupChoicesFrom(actor, groups, true, values)
	want := []groupChoice{
		{ID: 1, Name: "Administrators", On: true, Locked: "It has permissions that you do not hold yourself.", Away: true},
		{ID: 2, Name: "Support"},
		{ID: 3, Name: "Refunds", On: true, Away: true},
		{ID: 99, Name: "Group 99", On: true},
	}
	if !slices.Equal(choices.List, want) || choices.Filters {
		t.Errorf("%+v", choices)
	}
	blind := identity.Actor{Permissions: identity.PermissionSet(identity.UsersUpdate)}
	choices = groupChoicesFrom(blind, nil, false, values)
	if len(choices.List) != 3 || choices.List[0].Locked == "" || !choices.List[2].On {
		t.Errorf("%+v", choices)
	}
}

// TestHeadOfAUser shows an action or the reason why there is none, each once.
func TestHeadOfAUser(t *testing.T) {
	t.Parallel()
	user := identity.User{ID: 7, Name: "Mary", Active: true}
	for _, test := range []struct {
		actor           identity.Actor
		actions, denied string
	}{
		{identity.CommandLine(), "Edit, Send invitation, Deactivate, Delete", ""},
		{identity.Actor{}, "", "Edit, send invitation, deactivate; Delete"},
		{
			identity.Actor{UserID: 7, SessionID: 1}, "Edit, Delete", "Send invitation, deactivate",
		},
		{identity.Actor{Permissions: identity.PermissionSet(identity.UsersUpdate)}, "Edit, Deactivate", "Send invitation; Delete"},
	} {
		head := userHeadFrom(test.actor, user, "profile", nil, user.CreatedAt)
		var actions, denied []string
		for _, action := range head.Actions {
			actions = append(actions, action.Label)
		}
		for _, d := range head.Denied {
			denied = append(denied, d.Labels)
		}
		if strings.Join(actions, ", ") != test.actions || strings.Join(denied, "; ") != test.denied {
			t.Errorf("%q, %q; want %q, %q", actions, denied, test.actions, test.denied)
		}
	}
}
