package secret

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/identity"
)

func hashOf(password string) string {
	sum := sha1.Sum([]byte(password))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// hashLines returns the lines of a list of hashes, in order.
func hashLines(passwords ...string) []string {
	lines := make([]string, len(passwords))
	for i, password := range passwords {
		lines[i] = fmt.Sprintf("%s:%d", hashOf(password), 1<<(i%40))
	}
	slices.Sort(lines)
	return lines
}

func listFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func openList(t *testing.T, content string) *PasswordList {
	t.Helper()
	list, err := OpenPasswordList(listFile(t, content))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = list.Close() })
	return list
}

// wantOnList checks which passwords are on a list.
func wantOnList(t *testing.T, list *PasswordList, want bool, passwords ...string) {
	t.Helper()
	for _, password := range passwords {
		if got, err := list.Contains(identity.Password(password)); got != want || err != nil {
			t.Errorf("%q: %v, %v", password, got, err)
		}
	}
}

func TestPlainPasswordList(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"LF":                       "zebra crossing\nCorrect Horse\n\nпАРОЛЬ пароль\n",
		"CRLF":                     "zebra crossing\r\nCorrect Horse\r\n\r\nпароль ПАРОЛЬ\r\n",
		"no line break at the end": "Correct Horse\nпароль пароль\nzebra crossing",
		"BOM":                      "\ufeffzebra crossing\nпароль пароль\ncorrect horse",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list := openList(t, content)
			wantOnList(t, list, true, "correct horse", "CORRECT HORSE", "zebra crossing", "Пароль Пароль")
			wantOnList(t, list, false, "", "\r", "correct", "correct horse ", "correct horse\r", "zebra crossing\n",
				"a", "zzzzzzzz")
		})
	}
	wantOnList(t, openList(t, "a line that is alone"), true, "A line that is alone")
	// Bytes that are not UTF-8 are kept.
	wantOnList(t, openList(t, "caf\xe9 caf\xe9\ncorrect horse\n"), true, "correct horse")
}

func TestHashedPasswordList(t *testing.T) {
	t.Parallel()
	passwords := make([]string, 5000) // more than checkedHead
	for i := range passwords {
		passwords[i] = fmt.Sprintf("password number %d", i)
	}
	lines := hashLines(passwords...)
	for name, content := range map[string]string{
		"LF": strings.Join(lines, "\n") + "\n", "CRLF": strings.Join(lines, "\r\n") + "\r\n",
		"no line break at the end": strings.Join(lines, "\r\n"),
		"lower case":               strings.ToLower(strings.Join(lines, "\n")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list := openList(t, content)
			if list.plain != nil {
				t.Fatal("the list is loaded")
			}
			wantOnList(t, list, true, passwords...) // the first and the last line among them
			wantOnList(t, list, false, "", "PASSWORD NUMBER 1", "password number 5000", hashOf(passwords[0]))
			// Before the first, after the last.
			for _, hash := range []string{strings.Repeat("0", 40), strings.Repeat("F", 40)} {
				if found, err := list.containsHash(hash); found || err != nil {
					t.Errorf("%s: %v, %v", hash, found, err)
				}
			}
		})
	}
	for _, end := range []string{"", "\n", "\r\n"} {
		list := openList(t, hashLines("correct horse")[0]+end)
		wantOnList(t, list, true, "correct horse")
		wantOnList(t, list, false, "zebra crossing", "a", "b", "c", "d")
	}
}

func TestWrongPasswordLists(t *testing.T) {
	t.Parallel()
	lines := hashLines("a", "b", "c", "d")
	swapped := []string{lines[0], lines[2], lines[1], lines[3]}
	many := make([]string, 2000)
	for i := range many {
		many[i] = fmt.Sprint("password ", i)
	}
	many = hashLines(many...)
	for content, want := range map[string]string{
		"\ufeff" + lines[0] + "\n" + lines[1]: "a SHA-1 hash",
		"":                                    "is empty", "\r\n\n": "is empty",
		strings.Join(swapped, "\n"):                "not ordered by hash: see line 3",
		lines[0] + "\n" + lines[0] + "\n":          "not ordered by hash: see line 2",
		lines[0] + "\ncorrect horse\n":             "in line 2, something else",
		lines[0] + "\n\n" + lines[1]:               "in line 2, something else",
		lines[0] + "\n" + lines[1][:30]:            "in line 2, something else",
		"correct horse\r\n" + lines[0] + "\r\n":    "in line 2, a SHA-1 hash",
		strings.Join(append(many, lines[0]), "\n"): "not ordered by hash: see the last line",
		strings.Join(append(many, "x"), "\n"):      "has no hash at",
	} {
		list, err := OpenPasswordList(listFile(t, content))
		if err == nil || !strings.Contains(err.Error(), want) || list != nil {
			t.Errorf("%.80q: %v, want %s", content, err, want)
		}
	}
	large := listFile(t, "correct horse\n")
	if err := os.Truncate(large, maxPlainList+1); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for path, want := range map[string]string{
		large: "more than 64 MiB", folder: "is not a file", filepath.Join(folder, "none"): "no such file",
	} {
		if _, err := OpenPasswordList(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}

// TestPasswordListThatChanges checks that Contains fails after the list was overwritten.
func TestPasswordListThatChanges(t *testing.T) {
	t.Parallel()
	path := listFile(t, strings.Join(hashLines("a", "b", "c", "d"), "\n"))
	list, err := OpenPasswordList(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = list.Close() }()
	for _, content := range []string{"", strings.Repeat("x", 1000)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if found, err := list.Contains("a"); found || err == nil {
			t.Errorf("%v, %v", found, err)
		}
	}
}

// FuzzPasswordList compares the search with a map.
func FuzzPasswordList(f *testing.F) {
	f.Add("a b c d e", "c", true, true)
	f.Add("only", "other", false, false)
	f.Add("x y", "y", true, false)
	f.Fuzz(func(t *testing.T, words, asked string, crlf, atEnd bool) {
		passwords := strings.Fields(words)
		slices.Sort(passwords)
		passwords = slices.Compact(passwords)
		if len(passwords) == 0 || len(passwords) > 300 {
			t.Skip("no list")
		}
		known := map[string]bool{}
		for _, password := range passwords {
			known[password] = true
		}
		end := "\n"
		if crlf {
			end = "\r\n"
		}
		content := strings.Join(hashLines(passwords...), end)
		if atEnd {
			content += end
		}
		list, err := newPasswordList(strings.NewReader(content), int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		for _, password := range append(passwords, asked, "", "a", "b", "c") {
			if found, err := list.Contains(identity.Password(password)); found != known[password] || err != nil {
				t.Errorf("%q: %v, %v", password, found, err)
			}
		}
		for _, line := range hashLines(passwords...) { // hashes between those of the list
			for _, digit := range []string{"0", "F"} {
				hash := line[:hashDigits-1] + digit
				_, want := slices.BinarySearchFunc(hashLines(passwords...), hash, func(line, hash string) int {
					return strings.Compare(line[:hashDigits], hash)
				})
				if found, err := list.containsHash(hash); found != want || err != nil {
					t.Errorf("%s: %v, %v", hash, found, err)
				}
			}
		}
	})
}

// FuzzPasswordListContent checks that no content of the file makes a panic.
func FuzzPasswordListContent(f *testing.F) {
	f.Add("correct horse\n", "correct horse")
	f.Add(strings.Join(hashLines("a", "b", "c"), "\r\n"), "b")
	f.Add(hashLines("a")[0]+"\nx", "a")
	f.Fuzz(func(t *testing.T, content, asked string) {
		list, err := newPasswordList(strings.NewReader(content), int64(len(content)))
		if err != nil {
			return
		}
		if _, err := list.Contains(identity.Password(asked)); err != nil && list.plain != nil {
			t.Error(err)
		}
	})
}
