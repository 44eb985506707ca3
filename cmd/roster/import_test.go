package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// works runs the jobs of a server until the end of the test.
func works(t *testing.T, s *apitest.Server) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.JobWorker().Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// file writes a file into the folder of the commands.
func (r *remote) file(name, content string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.folder, name), []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// countUsers returns how many users there are.
func countUsers(s *apitest.Server) any {
	return s.Do(http.MethodGet, apitest.UsersPath+"/count", nil).Want(http.StatusOK).Object()["total"]
}

const bcryptOfPassword = "$2a$04$JxI7wXDcN4dQXlbLLkJ3EuJ2zoLO9V1VVX1xNcsNqfXqzyZCNTKPi"

// TestImport checks the plan, the question, what is done, the rows that fail, and that an export is imported as it is.
func TestImport(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		works(t, s)
		s.CreateGroup("Support", "users.view")
		s.CreateUser("mary@example.com")
		r := asAdmin(t, s)
		r.file("people.csv", "\ufeffname;E-Mail;groups;active;note\r\nAnn;ann@example.com;Support;true;x\r\n"+
			"Mary Ann;MARY@example.com;;;\r\nLee;lee;;;\r\nKim;kim@example.com;Nobody;;\r\n")
		command := []string{"users", "import", "people.csv", "--map", "E-Mail=email,note="}

		r.want(7, "4 rows: 1 to create, 1 to update, 0 the same, 2 with errors.", append(command, "--dry-run")...)
		r.want(2, "add --yes", command...)
		r.talk(command...).expect("row 3: ").expect("Import them? [y/N]: ").send("n\n").expect("nothing is imported").end(1)
		if n := countUsers(s); n != 1.0 {
			t.Fatalf("%v users after no import", n)
		}
		for _, job := range s.Do(http.MethodGet, apitest.JobsPath, nil).Want(http.StatusOK).List() {
			if job["state"] != "cancelled" {
				t.Errorf("a job that is not wanted is %v", job["state"])
			}
		}
		r.want(7, "4 rows: 2 done, 0 unchanged, 0 skipped, 2 failed.",
			append(command, "--yes", "--errors", "failed.ndjson")...)
		failed, err := os.ReadFile(filepath.Join(r.folder, "failed.ndjson"))
		if err != nil || strings.Count(string(failed), "\n") != 2 ||
			!strings.Contains(string(failed), `"importError":"kim@example.com: groups`) {
			t.Errorf("%s %v", failed, err)
		}
		// The failed rows can be corrected in that file.
		corrected := strings.NewReplacer(`"lee"`, `"lee@example.com"`, "Nobody", "Support").Replace(string(failed))
		r.file("failed.ndjson", corrected)
		shown := r.talk("users", "import", "failed.ndjson").expect("reading ").expect("[y/N]: ").send("y\n").
			expect("importing ").expect("rows/s").expect("2 rows: 2 done").end(0)
		if !strings.Contains(shown, " left") {
			t.Error(shown)
		}
		r.want(0, "nothing to import", "users", "import", "failed.ndjson", "--yes") // again changes nothing
		if n := countUsers(s); n != 4.0 {
			t.Errorf("%v users", n)
		}

		for _, format := range []string{"csv", "ndjson"} {
			exported := r.want(0, "", "users", "export", "--format", format)
			r.file("users."+format, exported)
			r.want(0, "4 rows: 0 to create, 0 to update, 4 the same", "users", "import", "users."+format)
		}
		if out := r.want(0, "", "users", "export", "--name", "Ann", "--group", "Support"); strings.Count(out, "\n") != 2 {
			t.Error(out)
		}
	})
}

// TestImportOfBadFiles checks that each is told in a sentence, by exit codes of its own, and that nothing is imported.
func TestImportOfBadFiles(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		r := asAdmin(t, s)
		for name, content := range map[string]string{
			"empty.csv": "", "no-email.csv": "name\nAnn\n", "twice.csv": "email,email\na,b\n",
			"cut.csv":   "email,name\na@example.com,\"An",
			"utf16.csv": "\xff\xfee\x00m\x00", "latin1.csv": "email,name\na@example.com,Ren\xe9\n", "bad.ndjson": "{\"email\":",
			"columns.csv": "email,name\na@example.com,Ann,x\n", "unknown.csv": "email,shoe\na@example.com,44\n",
		} {
			r.file(name, content)
			r.want(7, name+": ", "users", "import", name, "--yes")
		}
		r.file("people.txt", "email\n")
		r.want(2, "add --format or --from", "users", "import", "people.txt")
		r.want(2, "no such file", "users", "import", "absent.csv")
		r.want(2, "is no file", "users", "import", "--format", "csv", "/dev/stdin")
		r.want(7, `"shoe": the fields are`, "users", "import", "unknown.csv", "--map", "shoe=shoe")
		r.want(5, "no job", "users", "import", "unknown.csv", "--map", "shoe=", "--resume", "77")
		if n := countUsers(s); n != 0.0 {
			t.Errorf("%v users", n)
		}
	})
}

// flaky is a proxy that refuses requests, or loses the connection after they are done.
func flaky(t *testing.T, s *apitest.Server, refuses, loses func(q *http.Request) bool) *remote {
	t.Helper()
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	proxy.ModifyResponse = func(answer *http.Response) error {
		if loses(answer.Request) {
			return http.ErrAbortHandler
		}
		return nil
	}
	return fake(t, func(w http.ResponseWriter, q *http.Request) {
		if refuses(q) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(w, q)
	})
}

func never(*http.Request) bool { return false }

// TestImportOverABadLine checks that a batch whose answer is lost is sent once more and imported once, and that an
// import whose command dies goes on with --resume.
func TestImportOverABadLine(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		works(t, s)
		const rows = 2500
		var file strings.Builder
		file.WriteString("email,name,passwordHash\n")
		for i := range rows {
			fmt.Fprintf(&file, "user%d@example.com,User %d,%s\n", i, i, bcryptOfPassword)
		}
		var batches atomic.Int64
		r := flaky(t, s, never, func(q *http.Request) bool {
			return strings.HasSuffix(q.URL.Path, "/rows") && batches.Add(1)%2 == 1
		})
		r.file("people.csv", file.String())

		// The first command ends at its question, by Ctrl-C.
		d := r.talk("users", "import", "people.csv").expect("Import them? [y/N]: ").send("\x03").expect("interrupted")
		resume := regexp.MustCompile(`roster users import people\.csv --resume (\d+)`).FindStringSubmatch(d.end(130))
		if resume == nil {
			t.Fatal(d.shown)
		}
		if batches.Load() < 5 {
			t.Errorf("only %d calls: nothing was lost", batches.Load())
		}
		before := batches.Load()
		r.want(0, "2500 rows: 2500 done", "users", "import", "people.csv", "--yes", "--resume", resume[1])
		if n := batches.Load() - before; n > 2 {
			t.Errorf("%d batches were sent again", n)
		}
		if n := countUsers(s); n != float64(rows) {
			t.Errorf("%v users", n)
		}
		r.want(0, "2500 rows: 2500 done", "users", "import", "people.csv", "--yes", "--resume", resume[1]) // it is over
		if n := countUsers(s); n != float64(rows) {
			t.Errorf("%v users", n)
		}
	})
}

// TestImportCutOff checks that a command that cannot reach the server any more says how to go on, and that this
// completes the import.
func TestImportCutOff(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		works(t, s)
		var batches atomic.Int64
		r := flaky(t, s, func(q *http.Request) bool {
			return strings.HasSuffix(q.URL.Path, "/rows") && batches.Add(1) == 3
		}, never)
		var file strings.Builder
		for i := range 2500 {
			text, _ := json.Marshal(map[string]any{"email": fmt.Sprintf("user%d@example.com", i), "name": "User"})
			file.Write(append(text, '\n'))
		}
		r.file("people.ndjson", file.String())
		_, stderr, code := r.run("", "users", "import", "people.ndjson", "--yes")
		resume := regexp.MustCompile(`roster users import people\.ndjson --resume (\d+)`).FindStringSubmatch(stderr)
		if code != 4 || resume == nil {
			t.Fatal(code, stderr)
		}
		if n := countUsers(s); n != 0.0 {
			t.Errorf("%v users after half a plan", n)
		}
		r.want(0, "2500 rows: 2500 done", "users", "import", "people.ndjson", "--yes", "--resume", resume[1])
	})
}
