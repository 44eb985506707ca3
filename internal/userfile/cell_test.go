package userfile_test

import (
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/userfile"
)

func TestCell(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                         "",
		"Jane Doe":                 "Jane Doe",
		"=HYPERLINK(\"http://x\")": "'=HYPERLINK(\"http://x\")",
		"+41 79":                   "'+41 79",
		"-1+cmd|' /C calc'!A0":     "'-1+cmd|' /C calc'!A0",
		"@SUM(1)":                  "'@SUM(1)",
		"\t=1":                     "'\t=1",
		"\r=1":                     "'\r=1",
		"\n=1":                     "'\n=1",
		"\x00=1":                   "'=1",
		"＝1":                       "'＝1",
		"a=1":                      "a=1",
		"'=1":                      "''=1",
		"''=1":                     "'''=1",
		"'":                        "'",
		"'a":                       "'a",
		"\xff=1":                   "\uFFFD=1",
		"مريم":                     "مريم",
	} {
		if got := userfile.Cell(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// FuzzCell checks that a name is read as it was written.
func FuzzCell(f *testing.F) {
	for _, text := range []string{"=1", "'=1", "''", "'", "+41", "a", "＠x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		plain := strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
		if plain == "" || strings.ContainsAny(plain, "\r\n") || strings.TrimSpace(plain) != plain {
			t.Skip("no name")
		}
		cell := strings.ReplaceAll(userfile.Cell(text), `"`, `""`)
		rows, err := read(userfile.CSV, strings.NewReader("email,name\na@x.io,\""+cell+"\"\n"), nil)
		if err != nil || len(rows) != 1 || rows[0].Fields["name"] != plain {
			t.Errorf("%q: %v, %v", text, rows, err)
		}
	})
}
