package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// editor returns commands that edit with a script, which gets the file as $1. It can call the server by curl-like means
// through what before does: the script runs each line of rounds in turn, one for each time the editor opens.
func (r *remote) editor(rounds ...string) *remote {
	r.t.Helper()
	folder := r.t.TempDir()
	script := "#!/bin/sh\nn=$(cat " + folder + "/n 2>/dev/null || echo 0)\necho $((n+1)) > " + folder + "/n\n" +
		"cp \"$1\" " + folder + "/shown$n\ncase $n in\n"
	for i, round := range rounds {
		script += fmt.Sprintf("%d) %s ;;\n", i, round)
	}
	path := filepath.Join(folder, "editor")
	if err := os.WriteFile(path, []byte(script+"esac\n"), 0o700); err != nil {
		r.t.Fatal(err)
	}
	edits := r.with("VISUAL=" + path)
	edits.shown = folder
	return edits
}

// round returns what the editor showed when it opened for the i-th time, from 0.
func (r *remote) round(i int) string {
	r.t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("%s/shown%d", r.shown, i))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(content)
}

// TestEdit checks that an edit sends what was changed and no more, and that nothing which was typed is lost.
func TestEdit(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := s.CreateGroup("Support", "users.view")
		path := apitest.UserPath(s.CreateUser("mary@example.com", map[string]any{
			"name": "Mary: \"M\" # é", "groups": []int64{group}, "phone": "+33612345678",
			"clientTags": []any{"vip", map[string]any{"id": 7}},
		}))
		user := func() map[string]any { return s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Object() }
		changes := func() string {
			path := apitest.EventsPath + "?filter[type]=USER_UPDATED"
			return fmt.Sprint(s.Do(http.MethodGet, path, nil).Want(http.StatusOK).List())
		}
		admin := asAdmin(t, s)

		r := admin.editor("true")
		r.want(1, "nothing is changed", "users", "edit", "1")
		for _, line := range []string{
			`name: "Mary: \"M\" # é"`, `phone: "+33612345678"`, "active: true", "groups: [2]", `clientTags: ["vip",{"id":7}]`,
		} {
			if !strings.Contains(r.round(0), "\n"+line+"\n") {
				t.Errorf("no %s in\n%s", line, r.round(0))
			}
		}
		if user()["version"] != 1.0 {
			t.Error("to open an editor changes the user")
		}

		r = admin.editor(`sed -i -e 's/^name: .*/name: Ann/' -e 's/^phone: .*/phone: null/' -e '/^groups/d' "$1"`)
		r.want(0, "  name: Mary: \"M\" # é → Ann\n", "users", "edit", "1")
		if u := user(); u["name"] != "Ann" || u["phone"] != nil || u["version"] != 2.0 || len(u["groups"].([]any)) != 1 {
			t.Error(u)
		}
		got := changes()
		if strings.Contains(got, "clientTags") || strings.Contains(got, "active") || !strings.Contains(got, "phone") {
			t.Error(got)
		}
	})
}

// TestEditOfWrongValues checks that the editor opens again with the reason and with what was typed.
func TestEditOfWrongValues(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		path := apitest.UserPath(s.CreateUser("mary@example.com"))
		user := func() map[string]any { return s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Object() }
		admin := asAdmin(t, s)
		r := admin.editor(
			`sed -i -e 's/^name: .*/name: Lee/' -e 's/^email: .*/email: lee/' "$1"`, `sed -i 's/^email: .*/emial: x/' "$1"`,
			`sed -i -e '/^emial/d' -e 's/^active: .*/active: perhaps/' "$1"`, `echo '}' >> "$1"`,
			`sed -i -e '/^}/d' -e 's/^active: .*/active: true/' "$1"`)
		r.want(0, "", "users", "edit", "1")
		for i, text := range []string{
			"#: Change user 1", "email: must be", "emial is no field", "active must be true or false", "no YAML",
		} {
			if !strings.Contains(r.round(i), text) || i > 0 && !strings.Contains(r.round(i), "name: Lee\n") ||
				strings.Contains(r.round(i), "#: Change") != (i == 0) {
				t.Errorf("round %d has no %q:\n%s", i, text, r.round(i))
			}
		}
		if user()["name"] != "Lee" {
			t.Error(user())
		}
	})
}

// TestEditOfAStaleVersion checks what the editor shows when somebody else was faster, and that nothing of theirs is undone.
func TestEditOfAStaleVersion(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		path := apitest.UserPath(s.CreateUser("mary@example.com"))
		user := func() map[string]any { return s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Object() }
		admin := asAdmin(t, s)
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		other := self + ` users edit 1 --name Theirs --phone +33612345679 >/dev/null 2>&1; `
		r := admin.editor(other+`sed -i 's/^name: .*/name: Yours/' "$1"`, "true")
		r.want(0, "", "users", "edit", "1")
		for _, text := range []string{
			"name: Mary → Theirs", "your value in the place of theirs", "\nname: \"Yours\"\n", "\nphone: \"+33612345679\"\n",
		} {
			if !strings.Contains(r.round(1), text) {
				t.Errorf("no %q in\n%s", text, r.round(1))
			}
		}
		if u := user(); u["name"] != "Yours" || u["phone"] != "+33612345679" {
			t.Error(u)
		}
	})
}

// TestEditKeepsWhatWasTyped checks that what was typed survives an error that is not repaired, and a user who gives up.
func TestEditKeepsWhatWasTyped(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		path := apitest.UserPath(s.CreateUser("mary@example.com"))
		user := func() map[string]any { return s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Object() }
		admin := asAdmin(t, s)
		r := admin.editor(`sed -i 's/^email: .*/email: lee/' "$1"`, "true")
		_, stderr, code := r.run("", "users", "edit", "1")
		kept := regexp.MustCompile(`What you typed is in (\S+)`).FindStringSubmatch(stderr)
		if code != 7 || kept == nil {
			t.Fatal(code, stderr)
		}
		content, err := os.ReadFile(kept[1])
		if err != nil || !strings.Contains(string(content), "\nemail: lee\n") {
			t.Errorf("%v\n%s", err, content)
		}
		if info, err := os.Stat(kept[1]); err != nil || info.Mode().Perm() != 0o600 {
			t.Error(info.Mode(), err)
		}
		admin.editor("exit 3").want(1, "exit status 3", "users", "edit", "1")
		admin.want(2, "EDITOR", "users", "edit", "1")
		r = admin.editor(`sed -i 's/^active: .*/active: false/' "$1"`)
		r.want(2, "add --yes", "users", "edit", "1")
		r = admin.editor(`sed -i 's/^active: .*/active: false/' "$1"`)
		r.want(0, "dry run", "users", "edit", "1", "--dry-run")
		if user()["active"] != true {
			t.Error("a dry run or an edit without a yes changes the user")
		}
	})
}

// TestEditByFlags checks flags that change lists, and a version that is stale.
func TestEditByFlags(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, name := range []string{"Support", "Sales", "Audit"} {
			s.CreateGroup(name)
		}
		path := apitest.UserPath(s.CreateUser("mary@example.com", map[string]any{"groups": []int{2, 3}}))
		r := asAdmin(t, s)
		groups := func() string {
			return fmt.Sprint(s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Object()["groups"])
		}
		r.want(0, "groups: [2,3] → [3,4]",
			"users", "edit", "mary@example.com", "--add-group", "Audit,Sales", "--remove-group", "2")
		if got := groups(); got != "[3 4]" {
			t.Error(got)
		}
		r.want(0, "like that already", "users", "edit", "1", "--group", "Sales,Audit")
		r.want(0, "", "users", "edit", "1", "--group", "", "--ip-whitelist", "10.0.0.0/8,192.0.2.1", "--tag", "vip,new")
		u := s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Object()
		if groups() != "[]" || fmt.Sprint(u["ipWhitelist"], u["clientTags"]) != "[10.0.0.0/8 192.0.2.1] [vip new]" {
			t.Error(u)
		}
		r.want(5, `no group "Nobody"`, "users", "edit", "1", "--add-group", "Nobody")
		r.want(7, "ipWhitelist", "users", "edit", "1", "--ip-whitelist", "10.0.0.1/8")
		r.want(0, "", "groups", "edit", "Support", "--permission", "users.view,audit.view", "--require-tfa")
		r.want(7, "permissions", "groups", "edit", "Support", "--permission", "users.fly")
	})
}

// TestBulk checks that a command for several users goes on after an error, and that its exit code tells of it.
func TestBulk(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		mary, ann := apitest.UserPath(s.CreateUser("mary@example.com")), apitest.UserPath(s.CreateUser("ann@example.com"))
		r := asAdmin(t, s)
		r.want(5, "1 of 3 have failed", "users", "deactivate", "mary@example.com", "77", "ann@example.com", "--yes")
		for _, path := range []string{mary, ann} {
			if s.Do(http.MethodGet, path, nil).Want(http.StatusOK).Object()["active"] != false {
				t.Errorf("%s is active", path)
			}
		}
		r.want(1, "2 of 3 have failed", "users", "activate", "77", "nobody", "1")
		r.want(5, "2 of 2 have failed", "users", "delete", "77", "78", "--yes")
		r.want(0, "", "users", "delete", "1", "2", "--yes")
		s.Do(http.MethodGet, ann, nil).Want(http.StatusNotFound)
	})
}
