package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"github.com/rosterhq/roster/pkg/client"
)

func TestFit(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 50)
	for _, test := range []struct {
		rows  [][]string
		width int
		want  []int
	}{
		{[][]string{{"id", "name"}, {"1", "Mary"}}, 0, []int{2, 4}},
		{[][]string{{"id", "name"}, {"1", "你好"}}, 80, []int{2, 4}},
		{[][]string{{"id", "name", "email"}, {"1", long, long}}, 80, []int{2, 37, 37}},
		{[][]string{{"id", "name", "email"}, {"1", long, "m@x"}}, 40, []int{2, 29, 5}},
		{[][]string{{"a", "b"}}, 1, []int{1, 1}}, // no terminal is that narrow
		{[][]string{{long, long}}, 0, []int{50, 50}},
	} {
		if got := fit(test.rows, test.width); !slices.Equal(got, test.want) {
			t.Errorf("%v in %d: %v, want %v", test.rows, test.width, got, test.want)
		}
	}
}

func TestMoment(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"2026-01-31": "2026-01-31T00:00:00Z", "2026-01-31T12:00:00+02:00": "2026-01-31T10:00:00Z",
		"90d": "2026-08-24T12:00:00Z", "0d": "2026-11-22T12:00:00Z", "36h": "2026-11-21T00:00:00Z",
		"yesterday": "", "-1d": "", "-1h": "", "99999999d": "", "": "", "2026-13-01": "", "d": "",
	} {
		var m moment
		err := m.parse(text, now)
		if want == "" {
			if err == nil {
				t.Errorf("%q: %v", text, m)
			}
		} else if err != nil || m.UTC().Format(time.RFC3339) != want {
			t.Errorf("%q: %v %v, want %s", text, m, err, want)
		}
	}
}

// TestFollower checks that each event is shown once, in order, also one that appears after another of a higher id.
func TestFollower(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	event := func(id int64, second int) client.Event {
		return client.Event{ID: id, Time: start.Add(time.Duration(second) * time.Second)}
	}
	var stored []client.Event // the latest first
	read := 0
	list := func(yield func(client.Event, error) bool) {
		for _, e := range stored {
			if read++; !yield(e, nil) {
				return
			}
		}
	}
	f := follower{seen: map[int64]time.Time{}}
	next := func() string {
		t.Helper()
		read = 0
		events, err := f.next(2, list)
		var ids []int64
		for _, e := range events {
			ids = append(ids, e.ID)
		}
		return fmt.Sprint(ids, err)
	}
	if got := next(); got != "[] <nil>" {
		t.Error(got)
	}
	f = follower{seen: map[int64]time.Time{}}
	for id := range int64(100) {
		stored = slices.Insert(stored, 0, event(id+1, int(id)))
	}
	if got := next(); !strings.HasSuffix(got, "99 100] <nil>") || read > 13 {
		t.Error(got, read)
	}
	if got := next(); got != "[] <nil>" {
		t.Error(got)
	}
	stored = slices.Insert(stored, 0, event(104, 103), event(102, 101))
	if got := next(); got != "[102 104] <nil>" {
		t.Error(got)
	}
	stored = slices.Insert(stored, 1, event(103, 102))
	if got := next(); got != "[103] <nil>" {
		t.Error(got)
	}
	if len(f.seen) > 40 {
		t.Errorf("%d ids are kept", len(f.seen))
	}
}

// TestSecretText checks that no way of printing a context shows its tokens.
func TestSecretText(t *testing.T) {
	t.Parallel()
	saved := savedContext{Name: "work", AccessToken: "rst_access", RefreshToken: "rst_refresh"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		server := ServerFrom("https://x", "rst_access")
		for _, value := range []any{saved, &saved, saved.AccessToken, server, []savedContext{saved}} {
			text := fmt.Sprintf(verb, value)
			if strings.Contains(text, "rst_") || strings.Contains(text, "7273745f") {
				t.Errorf("%s of %T: %s", verb, value, text)
			}
		}
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("Mary\x1b[2J\u202e\u200d\U000E0041\xff")
	f.Fuzz(func(t *testing.T, text string) {
		shown := printable(text)
		if strings.ContainsFunc(shown, isDeceptive) || !utf8.ValidString(shown) {
			t.Errorf("%q: %q", text, shown)
		}
		valid := strings.ToValidUTF8(text, "?")
		raw, err := json.Marshal(valid)
		if err != nil {
			t.Fatal(err)
		}
		var back string
		if err := json.Unmarshal(escapeJSON(raw), &back); err != nil || back != valid {
			t.Errorf("%q: %q %v", valid, back, err)
		}
	})
}

func FuzzTable(f *testing.F) {
	f.Add("Mary", "m@x", uint8(20))
	f.Add("你好\u0301", "\U0001F468\u200d\U0001F469", uint8(9))
	f.Fuzz(func(t *testing.T, a, b string, width uint8) {
		if width < 8 {
			t.Skip()
		}
		var out bytes.Buffer
		p := newPrinter[client.GroupName](&Shell{Terminal: &Terminal{Out: &Output{w: &out}, width: int(width)}}, "table")
		for range 3 {
			if err := p.add(client.GroupName{ID: 1, Name: a + b}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(out.String(), "\n") {
			if runewidth.StringWidth(line) > int(width) {
				t.Errorf("%q is wider than %d", line, width)
			}
		}
		if strings.Count(out.String(), "\n") != 4 {
			t.Errorf("%q", out.String())
		}
	})
}

func FuzzReadYAML(f *testing.F) {
	f.Add([]byte("name: Mary\nphone: \"+33\"\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("- x"))
	f.Fuzz(func(t *testing.T, document []byte) {
		all, err := readYAML([]string{"name", "phone"}, document)
		if err != nil && ExitCode(err) != ExitInvalid {
			t.Error(err)
		}
		for name := range all {
			if name != "name" && name != "phone" {
				t.Errorf("%q passes", name)
			}
		}
	})
}
