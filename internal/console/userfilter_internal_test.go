package console

import (
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

var someTime = time.Date(2026, 3, 12, 10, 2, 7, 0, time.UTC)

func TestParseDay(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0d": "2026-03-12T00:00:00Z", "7d": "2026-03-05T00:00:00Z", "90d": "2025-12-12T00:00:00Z",
		"never": "1970-01-01T00:00:00Z", "2026-03-12T01:00:00+02:00": "2026-03-11T23:00:00Z",
		"": "", "d": "", "-1d": "", "+7d": "", "7": "", "7 d": "", "36501d": "", "1e3d": "", "2026-03-12": "",
		"0001-01-01T00:00:00Z": "",
	} {
		got, ok := parseDay(text, someTime)
		if ok != (want != "") || ok && got.Format(time.RFC3339) != want {
			t.Errorf("%q is %s, %t; want %q", text, got, ok, want)
		}
	}
}

func FuzzParseDay(f *testing.F) {
	for _, text := range []string{"90d", "never", "2026-03-12T01:00:00+02:00", "4294967296d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		day, ok := parseDay(text, someTime)
		if !ok {
			return
		}
		again, ok := parseDay(day.Format(time.RFC3339Nano), someTime)
		if !ok || !again.Equal(day) || day.IsZero() {
			t.Errorf("%q is %s, and that is %s, %t", text, day, again, ok)
		}
	})
}

func TestListed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a@example.com, b@example.com": "a@example.com b@example.com", "7,8": "7 8", "+37060000001;7": "+37060000001 7",
		"Jane <a@example.com>, 7": "a@example.com 7", "a@example.com b@example.com": "a@example.com b@example.com",
		"": "", "7": "", "a@example.com": "", "Doe, Jane": "", "7, Jane": "", "@,@": "", "jane doe": "", "12 13": "",
	} {
		if got := strings.Join(listed(text), " "); got != want {
			t.Errorf("%q names %q, want %q", text, got, want)
		}
	}
}

func FuzzListed(f *testing.F) {
	f.Add("a@example.com, 7")
	f.Add("\"a, b\" <x@y>;1")
	f.Fuzz(func(t *testing.T, text string) {
		texts := listed(text)
		if len(texts) == 1 {
			t.Errorf("%q is a list of one", text)
		}
		for _, one := range texts {
			if strings.ContainsAny(one, " ,;\n") {
				t.Errorf("%q names %q", text, one)
			}
		}
	})
}

func TestUserListAddress(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"":                                  "/console/users",
		"sort_by=name&sort_order=asc":       "/console/users",
		"filter[status]=any&filter[group]=": "/console/users",
		"limit=50&offset=0&total=false":     "/console/users",
		"columns=name&columns=status&columns=groups&columns=tfa&columns=lastSignin": "/console/users",
		"columns=name":            "/console/users?columns=name",
		"columns=id,phone":        "/console/users?columns=phone%2Cid",
		"filter[q]=%20a+":         "/console/users?filter%5Bq%5D=+a+",
		"filter[createdAfter]=7d": "/console/users?filter%5BcreatedAfter%5D=7d",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		list, err := userListIn(values, someTime)
		if err != nil {
			t.Fatal(query, err)
		}
		if got := addressWith(list.Values, usersPath); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
}

// TestChips shows every filter that is set, also one that only a link from elsewhere sets.
func TestChips(t *testing.T) {
	t.Parallel()
	values := url.Values{
		paramStatus: {"active"}, paramGroup: {"7"}, paramSigninBefore: {"2026-01-01T00:00:00Z"}, paramEmail: {"a@example.com"},
		paramOffset: {"50"}, paramSort: {"id"},
	}
	_, chips := choicesFrom(values, map[int64]string{7: "<b>"})
	want := map[string]string{
		"E-mail": "a@example.com", "Status": "active", "Group": "<b>", "Last sign-in before": "2026-01-01T00:00:00Z",
	}
	got := map[string]string{}
	for _, c := range chips {
		got[c.Label] = c.Text
		if strings.Contains(c.Href, "offset") || !strings.Contains(c.Href, "sort_by=id") || strings.Count(c.Href, "filter") != 3 {
			t.Errorf("%s is taken away by %s", c.Label, c.Href)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestForecast(t *testing.T) {
	t.Parallel()
	actor := identity.Actor{UserID: 7, SessionID: 1}
	for _, c := range []struct {
		action identity.JobAction
		user   identity.User
		known  bool
		want   string
	}{
		{identity.JobActivate, identity.User{ID: 8, Active: true}, true, "Nothing to change."},
		{identity.JobActivate, identity.User{ID: 8}, true, ""},
		{identity.JobDeactivate, identity.User{ID: 8}, true, "Nothing to change."},
		{identity.JobAddToGroup, identity.User{ID: 8, Groups: []int64{3}}, true, "Nothing to change."},
		{identity.JobAddToGroup, identity.User{ID: 8, Groups: []int64{4}}, true, ""},
		{identity.JobRemoveFromGroup, identity.User{ID: 8, Groups: []int64{4}}, true, "Nothing to change."},
		{identity.JobDelete, identity.User{ID: 7}, true, "This is you. You are signed out, and the job ends with you."},
		{identity.JobDelete, identity.User{}, false, "There is no such user: skipped."},
		{identity.JobDelete, identity.User{}, true, ""},
	} {
		if got := forecast(actor, identity.Job{Action: c.action, GroupID: 3}, c.user, c.known); got != c.want {
			t.Errorf("%s of %+v: %q, want %q", c.action, c.user, got, c.want)
		}
	}
}
