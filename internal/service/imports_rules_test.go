package service_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// numbered returns n rows of new users.
func numbered(n int, more ...changes) []changes {
	rows := make([]changes, n)
	for i := range rows {
		rows[i] = changes{"name": "Mary", "email": fmt.Sprintf("row%d@example.com", i+1)}
		for _, change := range more {
			for field, value := range change {
				rows[i][field] = value
			}
		}
	}
	return rows
}

// TestImportCalls checks which rows an import takes, from whom and when.
func TestImportCalls(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		for _, field := range []string{"userIds", "filter", "groupId"} {
			body := changes{"action": "import", field: map[string]any{"userIds": []int{1}, "filter": changes{}, "groupId": 1}[field]}
			s.Do(http.MethodPost, apitest.JobsPath, body).WantProblem(http.StatusBadRequest, "validation_failed", field)
		}
		path := planJob(s, changes{"action": "import"})
		rows := numbered(5)
		refused := func(status int, code string, body any, fields ...string) {
			t.Helper()
			s.Do(http.MethodPost, path+"/rows", body).WantProblem(status, code, fields...)
		}
		refused(http.StatusConflict, "rows_missing", changes{"first": 2, "rows": rows[1:]})
		if got := addRows(s, path, 1, rows[:2]); got != "received=2 create=2" {
			t.Error(got)
		}
		for range 2 { // the answer was lost
			if got := addRows(s, path, 1, rows[:3]); got != "received=3 create=3" {
				t.Error(got)
			}
		}
		for first := 1; first <= 4; first++ {
			if got := addRows(s, path, first, []changes{}); got != "received=3 create=3" {
				t.Errorf("%d: %s", first, got)
			}
		}
		missing := s.Do(http.MethodPost, path+"/rows", changes{"first": 5, "rows": rows[4:]}).
			WantProblem(http.StatusConflict, "rows_missing").Object()
		if missing["detail"] != "The next row is 4: there are 3 rows." {
			t.Error(missing["detail"])
		}
		refused(http.StatusConflict, "rows_missing", changes{"first": 1 << 60, "rows": rows})
		refused(http.StatusBadRequest, "validation_failed", changes{"first": 4, "rows": numbered(1001)}, "rows")
		refused(http.StatusBadRequest, "validation_failed", changes{"first": 0, "rows": rows}, "first")
		refused(http.StatusBadRequest, "validation_failed", changes{"rows": 7, "more": 1}, "rows", "first", "more")
		refused(http.StatusBadRequest, "malformed_json", `{"first":4,"rows":[{"name":"x"}`)
		refused(http.StatusBadRequest, "malformed_json", `{"first":4,"rows":[`+strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000)+`]}`)
		refused(http.StatusBadRequest, "validation_failed", `{"first":4,"rows":[{"name":"x","name":"y"}]}`, "name")
		refused(http.StatusRequestEntityTooLarge, "request_entity_too_large", `{"first":4,"rows":[{"name":"`+strings.Repeat("x", 1<<20)+`"}]}`)
		apitest.Execute(t, apitest.OpenDatabase(t, engine, url), "UPDATE jobs SET total = 999999")
		refused(http.StatusConflict, "too_many_rows", changes{"first": 1_000_000, "rows": rows[:2]})
		apitest.Execute(t, apitest.OpenDatabase(t, engine, url), "UPDATE jobs SET total = 3")

		other := apitest.As(s.CreateToken(0, apitest.AllPermissions()))
		for _, call := range []string{"GET ", "GET /items", "POST /rows", "POST /start", "POST /cancel"} {
			method, below, _ := strings.Cut(call, " ")
			var body any
			if below == "/rows" {
				body = changes{"first": 4, "rows": rows}
			}
			s.Do(method, path+below, body, other).WantProblem(http.StatusNotFound, "not_found")
		}
		none := apitest.As(s.CreateToken(0, []string{"users.update"}))
		s.Do(http.MethodPost, apitest.JobsPath, changes{"action": "import"}, none).
			WantProblem(http.StatusForbidden, "permission_denied")

		s.Do(http.MethodPost, path+"/start", nil).Want(http.StatusAccepted)
		refused(http.StatusConflict, "job_started", changes{"first": 4, "rows": rows[3:]})
		s.RunJobs()
		wantState(t, s, path, "finished total=3 done=3")
		refused(http.StatusConflict, "job_ended", changes{"first": 4, "rows": rows[3:]})
		path = planJob(s, changes{"action": "activate", "userIds": []int{1}})
		refused(http.StatusConflict, "no_import", changes{"first": 1, "rows": rows})
	})
}

// TestImportWrongRows checks what is wrong with rows. None of them stops the others.
func TestImportWrongRows(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		taken := s.CreateUser("taken@example.com")
		other := s.CreateUser("other@bücher.example")
		s.CreateUser("third@example.com")
		n := 0
		row := func(more changes) changes {
			n++
			return numbered(n, more)[n-1]
		}
		wrong := []struct {
			row  any
			want string
		}{
			{"x", "<nil> invalid_type"},
			{nil, "<nil> invalid_type"},
			{[]int{1}, "<nil> invalid_type"},
			{changes{}, "email required"},
			{changes{"name": "x"}, "email required"},
			{changes{"email": "new@example.com"}, "name required"},
			{row(changes{"password": "NewSecret123"}), "password unknown_field"},
			{row(changes{"sendNotify": true}), "sendNotify unknown_field"},
			{row(changes{"<script>": true}), "<script> unknown_field"},
			{row(changes{"name": nil}), "name null_not_allowed"},
			{row(changes{"name": "a\u202eb"}), "name invalid_text"},
			{row(changes{"name": "a\x00b"}), "name invalid_text"},
			{row(changes{"name": strings.Repeat("x", 256)}), "name too_long"},
			{row(changes{"email": "no address"}), "email invalid_email"},
			{row(changes{"email": strings.Repeat("x", 1000) + "@example.com"}), "email too_long"},
			{row(changes{"active": "yes"}), "active invalid_type"},
			{row(changes{"groups": []any{99}}), "groups[0] unknown_group"},
			{row(changes{"groups": []any{1, "Nobody"}}), "groups[1] unknown_group"},
			{row(changes{"groups": []any{1.5}}), "groups[0] invalid_id"},
			{row(changes{"groups": []any{nil}}), "groups[0] invalid_type"},
			{row(changes{"groups": "Support"}), "groups invalid_type"},
			{row(changes{"groups": make([]int, 257)}), "groups too_many"},
			{row(changes{"phone": "0800"}), "phone invalid_phone"},
			{row(changes{"ipWhitelist": []string{"10.0.0.1/8"}}), "ipWhitelist[0] host_bits_set"},
			{row(changes{"clientTags": []any{changes{}}}), "clientTags[0] required"},
			{row(changes{"passwordHash": ""}), "passwordHash required"},
			{row(changes{"passwordHash": "plain"}), "passwordHash unknown_hash"},
			{
				row(changes{"passwordHash": "$argon2id$v=19$m=67108864,t=1,p=1$c2FsdHNhbHQ$" + strings.Repeat("A", 43)}),
				"passwordHash costly_hash",
			},
			{changes{"id": 99, "name": "x"}, "id unknown_user"},
			{changes{"id": 0, "name": "x"}, "id out_of_range"},
			{changes{"id": taken, "email": "THIRD@example.com"}, "email email_taken"},
		}
		want, rows := []string{}, []any{}
		for _, w := range wrong {
			rows = append(rows, w.row)
			want = append(want, "error failed "+strings.TrimPrefix(w.want, "<nil> "))
		}
		rows = append(rows,
			row(changes{"email": "row1@example.com"}), // after a wrong row with the same address
			changes{"name": "Ann", "email": "ann@example.com"},
			changes{"name": "Ann", "email": "ANN@Example.COM"},
			changes{"email": "other@xn--bcher-kva.example", "name": "Other"},
			changes{"id": other, "name": "Another"},
			changes{"id": other, "email": "ann@example.com"},
		)
		want = append(want, "error failed email duplicate_row", "create pending", "error failed email duplicate_row",
			"update pending", "error failed id duplicate_row", "error failed email duplicate_row")
		path := planJob(s, changes{"action": "import"})
		// In two calls: what is there already counts as well.
		s.Do(http.MethodPost, path+"/rows", changes{"first": 1, "rows": rows[:len(rows)-3]}).Want(http.StatusOK)
		s.Do(http.MethodPost, path+"/rows", changes{"first": len(rows) - 2, "rows": rows[len(rows)-3:]}).Want(http.StatusOK)
		wantImport(t, s, path, want)
		s.Do(http.MethodPost, path+"/start", nil).Want(http.StatusAccepted)
		s.RunJobs()
		wantState(t, s, path, fmt.Sprintf("finished total=%d done=2 failed=%d", len(rows), len(rows)-2))
		if n := len(s.Do(http.MethodGet, apitest.UsersPath, nil).List()); n != 4 {
			t.Errorf("%d users", n)
		}
	})
}

// TestImportGivesNoMoreThanItsCallerHas imports as callers who may less than what the rows say.
func TestImportGivesNoMoreThanItsCallerHas(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		support, sales := s.CreateGroup("Support", "audit.view"), s.CreateGroup("Sales")
		chief := s.CreateUser("chief@example.com", changes{"groups": []int{1}, "canViewMaskedData": true})
		s.CreateUser("mary@example.com")
		rows := []changes{
			{"name": "A", "email": "a@example.com", "groups": []any{1}},
			{"name": "B", "email": "b@example.com", "groups": []any{support}},
			{"name": "C", "email": "c@example.com", "groups": []any{sales}},
			{"name": "D", "email": "d@example.com", "groups": []any{"Sales"}},
			{"name": "E", "email": "e@example.com", "canViewMaskedData": true},
			{"id": chief, "name": "Slave"},
			{"email": "mary@example.com", "groups": []any{1}},
		}
		token := func(more changes, permissions ...string) apitest.Option {
			return apitest.As(s.CreateToken(0, permissions, more))
		}
		masked := changes{"canViewMaskedData": false}
		for _, c := range []struct {
			name string
			as   apitest.Option
			want []string
		}{
			{"masked, creates only", token(masked, "users.create"), []string{
				"error failed escalation_denied", "error failed escalation_denied", "create pending",
				"error failed groups[0] unknown_group", "error failed escalation_denied", "error failed permission_denied",
				"error failed permission_denied",
			}},
			{"sees all, updates", token(nil, "users.create", "users.update", "groups.view"), []string{
				"error failed escalation_denied", "error failed escalation_denied", "create pending", "create pending",
				"create pending", "error failed escalation_denied", "error failed escalation_denied",
			}},
			{"everything", token(nil, "*"), []string{
				"create pending", "create pending", "create pending", "create pending", "create pending", "update pending",
				"update pending",
			}},
		} {
			path := planImport(s, rows, c.as)
			if got := importItems(s, path, c.as); got != strings.Join(c.want, "\n") {
				t.Errorf("%s: %s", c.name, got)
			}
		}
	})
}

// TestImportIsNoOracle checks that the plan of a caller who sees masks does not tell what they
// hide, and that masks that are written back change nothing.
func TestImportIsNoOracle(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		hidden := changes{"phone": "+18043257762", "ipWhitelist": []string{"192.0.2.0/24"}}
		mary := s.CreateUser("mary@example.com", hidden)
		mark := s.CreateUser("mark@example.com", hidden)
		startImport(s, []changes{{"name": "Open", "email": "open@example.com"}})
		s.RunJobs()
		open := userByEmail(s, "open@example.com")["id"]
		desk := apitest.As(s.CreateToken(0, []string{"users.create", "users.update"}, changes{"canViewMaskedData": false}))
		path := planImport(s, []changes{
			{"id": mary, "phone": "+18043257762"},
			{"id": mark, "phone": "+18043257763"},
		}, desk)
		wantImport(t, s, path, []string{"update pending", "update pending"}, desk)
		path = planImport(s, []changes{
			{"id": mary, "ipWhitelist": []string{"192.0.2.0/24"}},
			{"id": mark, "ipWhitelist": []string{"192.0.2.0/25"}},
		}, desk)
		wantImport(t, s, path, []string{"update pending", "update pending"}, desk)
		path = planImport(s, []changes{
			{"id": mary, "email": "m***@example.com", "phone": "+1*******62", "ipWhitelist": []string{"***"}},
			{"id": mark, "email": "m***@example.com", "phone": "+1*******63"},
			{"id": open, "email": "mine@example.com"},
			{"name": "x", "email": "x***@example.com"},
		}, desk)
		wantImport(t, s, path, []string{
			"same unchanged", "error failed phone masked_value", "error failed masked_data", "error failed email masked_value",
		}, desk)
		// Whether a user has a password decides whether the hash counts: it takes the right to set one.
		path = planImport(s, []changes{
			{"id": mary, "passwordHash": foreignHashes["bcrypt"]},
			{"id": open, "passwordHash": foreignHashes["bcrypt"]},
		}, desk)
		wantImport(t, s, path, []string{"same unchanged", "error failed masked_data"}, desk)
	})
}
