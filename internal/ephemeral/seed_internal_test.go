package ephemeral

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
)

// FuzzSeed checks that reading a seed ends, that each error is a mistake at a line of the seed,
// and that each entry has the line of its keys.
func FuzzSeed(f *testing.F) {
	f.Add([]byte("users:\n  - name: &a Mary\n    email: *a\n    groups: [1, x]\n    factor: [1]\n"))
	f.Add([]byte("groups: {name: [a, b]}\ntokens:\n- user: {a: b}\n"))
	f.Add([]byte("webhooks:\n- <<: *x\n- ? {a: b}\n  : c\n"))
	f.Add([]byte("users:\n- {name: .nan, email: 2026-01-01, phone: !!binary aGk=}\n"))
	f.Fuzz(func(t *testing.T, seed []byte) {
		lists, err := readSeed(seed)
		lines := bytes.Count(bytes.ReplaceAll(seed, []byte("\r"), []byte("\n")), []byte("\n")) + 1
		var mistake wrong
		if err != nil && (!errors.As(err, &mistake) || mistake.line < 1 || mistake.line > lines || mistake.text == "") {
			t.Errorf("%q: %v", seed, err)
		}
		for _, list := range lists {
			for _, e := range list {
				if e.line < 1 || e.line > lines {
					t.Errorf("%q: %s at line %d", seed, e.path, e.line)
				}
				_, _ = json.Marshal(e.body)
			}
		}
	})
}
