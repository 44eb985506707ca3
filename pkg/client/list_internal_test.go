package client

import (
	"net/url"
	"testing"
)

func FuzzNextQuery(f *testing.F) {
	for _, link := range []string{
		`</api/v2/users?after=x&limit=2>; rel="next"`, `<https://h/p?a=1,2>; rel=next`, `<>; rel=next`, `<a>;rel=prev, <?b=1> ; x=y; REL="NEXT"`,
		`<a?%zz>; rel="next"`, `<a`, `; rel=next`, `<http://[::1>; rel=next`,
	} {
		f.Add(link)
	}
	f.Fuzz(func(t *testing.T, link string) {
		query, ok := nextQuery([]string{link})
		if !ok {
			return
		}
		again, err := url.ParseQuery(query.Encode())
		if err != nil || again.Encode() != query.Encode() {
			t.Errorf("%q: %v", link, query)
		}
	})
}

func TestNextQuery(t *testing.T) {
	for link, want := range map[string]string{
		`</api/v2/users?after=x&limit=2>; rel="next"`:            "after=x&limit=2",
		`</a?x=1>; rel="prev", <https://other/b?y=2> ; REL=next`: "y=2",
		`</a?filter%5Bname%5D=a%2Cb>; title="x"; rel="next"`:     "filter%5Bname%5D=a%2Cb",
		`</a?x=1>; rel="last"`:                                   "-",
		`</a?x=%zz>; rel="next"`:                                 "-",
		``:                                                       "-",
	} {
		got := "-"
		if query, ok := nextQuery([]string{link}); ok {
			got = query.Encode()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", link, got, want)
		}
	}
}
