package backoffice_test

import (
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/pkg/client"
)

const exportPath = apitest.UsersPath + "/export"

// rowsOf returns the rows of an answer in CSV, without the names of the columns.
func rowsOf(t *testing.T, a *apitest.Answer) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(string(a.Want(http.StatusOK).Body))).ReadAll()
	if err != nil || len(rows) == 0 || strings.Join(rows[0], ",") !=
		"id,name,email,active,tfa,groups,phone,ipWhitelist,clientTags,canViewMaskedData" {
		t.Fatalf("%v %q", err, rows)
	}
	return rows[1:]
}

// TestExport checks both formats, the filters, and what callers with fewer rights see.
func TestExport(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		group := s.CreateGroup("Support, \"first\"")
		s.CreateUser("mary@example.com", map[string]any{
			"name": "=HYPERLINK(\"x\")", "groups": []int64{1, group}, "phone": "+18043257762", "ipWhitelist": []string{"10.0.0.0/8"},
			"clientTags": []any{"x", map[string]any{"id": 7}}, "canViewMaskedData": true,
		})
		s.CreateUser("bob@example.com", map[string]any{"active": false})
		full := s.Do(http.MethodGet, exportPath+"?format=csv", nil)
		if got := full.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/csv") {
			t.Error(got)
		}
		if got, want := fmt.Sprintf("%q", rowsOf(t, full)[0]), fmt.Sprintf("%q", []string{
			"1", `'=HYPERLINK("x")`, "mary@example.com", "true", "false", `["Administrators","Support, \"first\""]`,
			"'+18043257762", `["10.0.0.0/8"]`, `["x",{"id":7}]`, "true",
		}); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
		lines := strings.Split(string(s.Do(http.MethodGet, exportPath+"?filter[status]=active", nil).Want(http.StatusOK).Body), "\n")
		want := fmt.Sprintf(`{"id":1,"name":"=HYPERLINK(\"x\")","email":"mary@example.com","active":true,"tfa":false,` +
			`"groups":["Administrators","Support, \"first\""],"phone":"+18043257762","ipWhitelist":["10.0.0.0/8"],` +
			`"clientTags":["x",{"id":7}],"canViewMaskedData":true}`)
		if len(lines) != 2 || lines[0] != want {
			t.Errorf("%q\nwant %s", lines, want)
		}
		masked := apitest.As(s.CreateToken(0, []string{"users.view"}, map[string]any{"canViewMaskedData": false}))
		row := strings.Join(rowsOf(t, s.Do(http.MethodGet, exportPath+"?format=csv", nil, masked))[0], "|")
		if row != fmt.Sprintf(`1|'=HYPERLINK("x")|m***@example.com|true|false|[1,%d]|'+1*******62|["***"]|["x",{"id":7}]|true`, group) {
			t.Error(row)
		}
		if rows := rowsOf(t, s.Do(http.MethodGet, exportPath+"?format=csv&filter[q]=8043257", nil, masked)); len(rows) != 0 {
			t.Errorf("found by phone: %q", rows)
		}
		if a := s.Do(http.MethodGet, exportPath+"?filter[name]=nobody", nil).Want(http.StatusOK); len(a.Body) != 0 {
			t.Errorf("%s", a.Body)
		}
		for query, field := range map[string]string{
			"format=xml": "format", "limit=1": "limit", "filter[email]=": "filter[email]", "sort_by=email": "sort_by",
		} {
			s.Do(http.MethodGet, exportPath+"?"+query, nil).WantProblem(http.StatusBadRequest, "validation_failed", field)
		}
		s.Do(http.MethodGet, exportPath, nil, apitest.As(s.CreateToken(0, nil))).
			WantProblem(http.StatusForbidden, "permission_denied")
		if strings.Contains(string(full.Body), "$2a$") {
			t.Error("there are hashes")
		}
	})
}

// TestExportIsCutOff takes the right to see users from a caller in the middle of an export: the
// client notices that the file is not whole.
func TestExportIsCutOff(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		const people = 10_000
		insertPeople(t, engine, url, people)
		s.CreateUser("boss@example.com", map[string]any{"groups": []int64{s.CreateGroup("Viewers", "users.view")}})
		c, err := client.New(s.URL, client.Token(s.SignIn("boss@example.com")))
		if err != nil {
			t.Fatal(err)
		}
		export := func(begun func()) (int, error) {
			file, err := c.Users.Export(t.Context(), client.UserList{}, "ndjson")
			if err != nil {
				return 0, err
			}
			defer func() { _ = file.Close() }()
			if _, err := io.ReadFull(file, make([]byte, 100)); err != nil {
				return 0, err
			}
			begun()
			rest, err := io.ReadAll(file)
			return strings.Count(string(rest), "\n"), err
		}
		if n, err := export(func() {}); n != people+1 || err != nil {
			t.Errorf("%d users, %v", n, err)
		}
		n, err := export(func() {
			s.Do(http.MethodPatch, apitest.UserPath(people+1), map[string]any{"groups": []int{}}).Want(http.StatusOK)
		})
		if err == nil || n == people+1 {
			t.Errorf("%d users without an error", n)
		}
	})
}

// insertPeople inserts users with two kilobytes of tags each, which fill the buffers of a
// connection.
func insertPeople(t *testing.T, engine, url string, n int) {
	t.Helper()
	zero := map[string]string{"sqlite": "0", "postgres": "'2026-01-01Z'::timestamptz"}[engine]
	tags := "[" + strings.Repeat(`"`+strings.Repeat("x", 250)+`",`, 8) + `"y"]`
	apitest.Execute(t, apitest.OpenDatabase(t, engine, url), fmt.Sprintf(
		`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		INSERT INTO users (name, name_folded, email, email_folded, password_hash, phone, active, tfa, allow_list, client_tags,
			can_view_masked_data, created_at)
		SELECT 'n', 'n', 'e' || i || '@example.com', 'e' || i || '@example.com', '', '', true, false, '', '%s',
			false, %s FROM n`, n, tags, zero))
}
