package firefly

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/identity"
)

// FuzzUserChange checks that any body is either Invalid or makes a change that follows the
// rules.
func FuzzUserChange(f *testing.F) {
	for _, body := range []string{
		`{"email":"a@example.com","blocked":false,"blocked_code":null}`,
		`{"email":5,"blocked":"yes","blocked_code":"email_changed"}`,
		`{"blocked":1e999}`, `{"email":{"a":[1,{}]}}`, `{"blocked":-0.0,"x":"\ud800"}`, `[]`, ``, `null`,
		"email=a%40example.com&blocked=0", "blocked=on&blocked_code=", "email=%zz", "email=a;b",
		"email=%00&blocked=%ff", "&=&&=",
	} {
		f.Add(body, true)
		f.Add(body, false)
	}
	f.Fuzz(func(t *testing.T, body string, creating bool) {
		for _, parse := range []func([]byte) (map[string]any, error){parseJSON, parseForm} {
			fields, err := parse([]byte(body))
			if err != nil {
				if identity.KindOf(err) != identity.Invalid {
					t.Fatalf("%v", err)
				}
				continue
			}
			change, err := userChange(fields, creating)
			if err != nil {
				if identity.KindOf(err) != identity.Invalid {
					t.Fatalf("%v", err)
				}
				continue
			}
			if creating && (change.Email == nil || change.Active == nil) {
				t.Fatalf("incomplete: %v", fields)
			}
			if change.Email != nil {
				if _, err := identity.ParseEmail(string(*change.Email)); err != nil {
					t.Fatalf("%q: %v", *change.Email, err)
				}
				if _, err := identity.ParseName(string(*change.Email)); err != nil {
					t.Fatalf("no name: %q: %v", *change.Email, err)
				}
			}
			known := []identity.BlockedCode{identity.NoBlockedCode, identity.EmailChanged}
			if change.BlockedCode != nil && !slices.Contains(known, *change.BlockedCode) {
				t.Fatalf("%q", *change.BlockedCode)
			}
		}
	})
}

// FuzzQuery checks that any query requests a possible page, and each type of records
// once.
func FuzzQuery(f *testing.F) {
	for _, query := range []string{
		"page=2&limit=10", "page=-1&limit=99999999999999999999", "include=accounts,,x,accounts",
		"page=%zz;&limit[]=1", "limit=+7",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, _ := url.ParseQuery(query)
		p := pageFrom(values)
		q := p.query()
		if p.number < 1 || p.number > maxNumber || q.Limit < 1 || q.Limit > maxNumber ||
			q.Offset != int64(p.number-1)*int64(p.size) {
			t.Fatalf("%q: %+v", query, p)
		}
		for _, total := range []int64{0, 1, int64(p.size), 1 << 40} {
			links := listFrom(Prefix, p, identity.UserPage{Total: total}).Links
			for _, link := range []string{links.Self, links.First, links.Last} {
				if !strings.HasPrefix(link, Prefix+"/users?") {
					t.Fatalf("%q: %s", query, link)
				}
			}
			if links.Next == links.Self || links.Prev == links.Self {
				t.Fatalf("%q leads in a circle: %+v", query, links)
			}
		}
		types := includes(values)
		if seen := slices.Compact(slices.Clone(types)); len(seen) != len(types) || len(types) > len(identity.RecordTypes) {
			t.Fatalf("%q: %v", query, types)
		}
	})
}
