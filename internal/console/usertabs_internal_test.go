package console

import (
	"errors"
	"net/netip"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

func TestFigures(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 23, 59, 0, 0, time.UTC)
	list := figures(now)
	for _, f := range list {
		filters := 0
		for _, set := range []bool{f.users != nil, f.tokens != nil, f.outbox != nil, f.events != nil} {
			if set {
				filters++
			}
		}
		if filters != 1 || f.label == "" || f.hint == "" || ownPath(f.href) != f.href {
			t.Errorf("%+v", f)
		}
	}
	if got := figures(now.Add(-12 * time.Hour)); !reflect.DeepEqual(got, list) {
		t.Error("the lists of a day differ")
	}
}

// TestFigureFrom checks that a number that cannot be counted is one line of a page.
func TestFigureFrom(t *testing.T) {
	t.Parallel()
	f := saved{label: "Locked", hint: "Hint", href: "/console/users"}
	for _, test := range []struct {
		n    int64
		more bool
		err  error
		want figure
	}{
		{0, false, nil, figure{Number: "0", None: true}},
		{10_000, true, nil, figure{Number: "more than 10,000"}},
		{0, false, errors.New("broken"), figure{Failed: true}},
		{0, false, identity.Errorf(identity.Unavailable, "unavailable", "Away."), figure{Failed: true}},
		{0, false, identity.Errorf(identity.Forbidden, "denied", "No."), figure{Denied: "No."}},
	} {
		test.want.Label, test.want.Hint, test.want.Href = f.label, f.hint, f.href
		if got := figureFrom(f, test.n, test.more, test.err); got != test.want {
			t.Errorf("%+v, want %+v", got, test.want)
		}
	}
}

func TestRightsOf(t *testing.T) {
	t.Parallel()
	group := func(id int64, permissions ...identity.Permission) identity.Group {
		return identity.Group{ID: id, Permissions: identity.PermissionSet(permissions...)}
	}
	all, viewers, auditors := group(1, identity.Everything), group(2, identity.UsersView),
		group(3, identity.UsersView, identity.AuditView)
	for _, test := range []struct {
		in   []identity.Group
		one  identity.Group
		want []string
	}{
		{nil, viewers, []string{"users.view"}},
		{[]identity.Group{viewers}, viewers, []string{"users.view"}},
		{[]identity.Group{viewers}, auditors, []string{"audit.view"}},
		{[]identity.Group{viewers, auditors}, viewers, nil},
		{[]identity.Group{viewers, auditors}, auditors, []string{"audit.view"}},
		{[]identity.Group{viewers}, all, []string{"*"}},
		{[]identity.Group{all, viewers}, viewers, nil},
		{[]identity.Group{all, viewers}, all, []string{"*"}},
	} {
		var got []string
		for _, row := range rightsOf(identity.AccessOf(identity.User{}, test.in), test.one) {
			got = append(got, row.Name)
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%v of %v: %v, want %v", test.one, test.in, got, test.want)
		}
	}
	rows := givenRows(identity.AccessOf(identity.User{}, []identity.Group{all, viewers}))
	if len(rows) != 2 || rows[0].Name != "*" || rows[1].Name != "users.view" || len(rows[1].By) != 1 {
		t.Errorf("%+v", rows)
	}
}

func TestLocksOut(t *testing.T) {
	t.Parallel()
	here := netip.MustParseAddr("203.0.113.7")
	list := func(text string) identity.AllowList {
		entry, err := identity.ParseAddressRange(text)
		if err != nil {
			t.Fatal(err)
		}
		return identity.AllowList{entry}
	}
	jane := identity.Actor{UserID: 1, SessionID: 1, Source: here}
	for _, test := range []struct {
		actor identity.Actor
		id    int64
		list  identity.AllowList
		want  bool
	}{
		{jane, 1, nil, false},
		{jane, 1, list("203.0.113.0/24"), false},
		{jane, 1, list("10.0.0.0/8"), true},
		{jane, 2, list("10.0.0.0/8"), false},
		{identity.Actor{UserID: 1, SessionID: 1}, 1, list("10.0.0.0/8"), true},
	} {
		if got := locksOut(test.actor, test.id, test.list); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// FuzzNetworkList checks that a list that is read is the same when it is written and read
// again.
func FuzzNetworkList(f *testing.F) {
	for _, seed := range []string{
		"", "79.24.241.198\r\n20.65.174.0/24\n", "***",
		"::ffff:10.0.0.0/104", "10.0.0.1/8", "\x00\n\n-",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := networkListFrom(url.Values{identity.FieldAllowList: {text}})
		if err != nil {
			if _, ok := problemsOf(err); !ok {
				t.Fatal(err)
			}
			return
		}
		again, err := networkListFrom(url.Values{identity.FieldAllowList: {allowListLines(list)}})
		if err != nil || again.String() != list.String() || len(list) > identity.MaxAllowListEntries {
			t.Errorf("%q: %v, then %v: %v", text, list, again, err)
		}
	})
}
