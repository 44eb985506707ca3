package console

import (
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// TestPermissionsHaveSentences finds a sentence for each permission and none for anything
// else.
func TestPermissionsHaveSentences(t *testing.T) {
	t.Parallel()
	all := allPermissions()
	if len(all) < 13 || all[0] != identity.Everything || len(permissionTexts) != len(all) {
		t.Errorf("%d permissions, %d sentences", len(all), len(permissionTexts))
	}
	for _, p := range all {
		text := permissionTexts[p].sentence
		if !strings.HasSuffix(text, ".") || len(text) < 20 {
			t.Errorf("%s: %q", p, text)
		}
	}
	for _, p := range []identity.Permission{
		identity.Everything, identity.UsersUpdate, identity.GroupsManage, identity.TokensManage,
	} {
		if !permissionTexts[p].dangerous {
			t.Errorf("%s is not marked as dangerous", p)
		}
	}
}

func TestPermissionBoxes(t *testing.T) {
	t.Parallel()
	actor := identity.Actor{Permissions: identity.PermissionSet(identity.UsersCreate)}
	for _, row := range permissionBoxes(actor, []string{"users.view", "*"}) {
		held := row.Name == "users.view" || row.Name == "users.create"
		if (row.Denied == "") != held || row.On != (row.Name == "users.view" || row.Name == "*") {
			t.Errorf("%+v", row)
		}
	}
	if rows := permissionRows(identity.AllPermissions); len(rows) != 1 || rows[0].Name != "*" {
		t.Errorf("%+v", rows)
	}
	if missing := notHeld(actor, identity.PermissionSet(identity.UsersUpdate)); missing != "users.update" {
		t.Error(missing)
	}
}

func TestGroupIn(t *testing.T) {
	t.Parallel()
	group := identity.Group{Name: "Support", Permissions: identity.PermissionSet(identity.UsersUpdate), RequireTFA: true}
	if got, err := groupIn(groupValues(group)); err != nil || got != group {
		t.Errorf("%+v, %v", got, err)
	}
	_, err := groupIn(url.Values{"name": {" "}, "permissions": {"users.fly"}})
	list, ok := problemsOf(err)
	if !ok || list.Of("name") == "" || list.Of("permissions") == "" {
		t.Errorf("%+v", list)
	}
	change := groupChange(group, identity.Group{Name: "Support", RequireTFA: true})
	if got := groupBody(change); got != `{"permissions":[]}` {
		t.Error(got)
	}
}

func TestPasted(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"": nil, " \r\n,;": nil,
		"7": {"7"}, "a@b.c, d@e.f;7\r\n9": {"a@b.c", "d@e.f", "7", "9"},
		"A@b.c\na@B.c": {"A@b.c"}, "a@b.c d@e.f": {"a@b.c", "d@e.f"},
		`"Doe, Jane" <jane@b.c>`: {"Doe", "jane@b.c"}, "Jane Doe <jane@b.c>": {"jane@b.c"}, "<a@b.c": {"a@b.c"},
		"<>": nil,
	} {
		if got := pasted(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzPasted(f *testing.F) {
	f.Add("Jane <a@b.c>, 7\n\"x")
	f.Fuzz(func(t *testing.T, text string) {
		seen := map[string]bool{}
		for _, name := range pasted(text) {
			if name == "" || name != strings.TrimSpace(name) || seen[name] || !strings.Contains(text, name) {
				t.Errorf("%q: %q", text, name)
			}
			seen[name] = true
		}
	})
}

func TestTokenIn(t *testing.T) {
	t.Parallel()
	token, end, err := tokenIn(url.Values{
		"name": {"importer"}, "permissions": {"users.view"}, "userId": {"7"}, "canViewMaskedData": {"true"},
		"ipWhitelist": {"10.0.0.0/8\r\n\r\n192.0.2.1"}, "expiresAt": {"2026-12-31"},
	})
	if err != nil || token.UserID != 7 || token.AllowList.String() != "10.0.0.0/8 192.0.2.1" ||
		!end.Equal(time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC)) {
		t.Errorf("%+v, %v, %v", token, end, err)
	}
	want := `{"canViewMaskedData":true,"expiresAt":"2026-12-31T23:59:59Z","ipWhitelist":["10.0.0.0/8","192.0.2.1"],` +
		`"name":"importer","permissions":["users.view"],"userId":7}`
	if got := tokenBody(token, end); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	never := url.Values{"name": {"x"}, "never": {"true"}, "expiresAt": {"2026-12-31"}}
	if _, end, err := tokenIn(never); err != nil || !end.IsZero() {
		t.Errorf("%v, %v", end, err)
	}
	if _, end, err := tokenIn(url.Values{"name": {"x"}}); err != nil || end != nil {
		t.Errorf("%v, %v", end, err)
	}
	_, _, err = tokenIn(url.Values{
		"userId": {"-1"}, "expiresAt": {"tomorrow"}, "ipWhitelist": {"192.0.2.1\n10.0.0.1/8\n***"},
	})
	list, ok := problemsOf(err)
	for _, field := range []string{"name", "userId", "expiresAt", "ipWhitelist"} {
		if !ok || list.Of(field) == "" {
			t.Errorf("%s: %+v", field, list)
		}
	}
	if text := list.Of("ipWhitelist"); !strings.Contains(text, "Line 2 ") || !strings.Contains(text, "Line 3 ") {
		t.Error(text)
	}
}

func TestPeriods(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	values := url.Values{"filter[userId]": {"7"}, "offset": {"50"}}
	list := periodsFrom(values, now)
	const want = "/console/tokens?filter%5BexpiresAfter%5D=2026-11-22T00%3A00%3A00Z&" +
		"filter%5BexpiresBefore%5D=2026-12-06T00%3A00%3A00Z&filter%5BuserId%5D=7"
	if list[1].Href != want || list[1].On {
		t.Errorf("%+v\nwant %s", list[1], want)
	}
	set, _ := url.Parse(list[1].Href)
	if again := periodsFrom(set.Query(), now)[1]; !again.On || again.Href != "/console/tokens?filter%5BuserId%5D=7" {
		t.Errorf("%+v", again)
	}
}
