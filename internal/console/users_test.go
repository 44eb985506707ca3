package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
)

const csvType = "text/csv; charset=utf-8; header=present"

// maskedOperator signs in a user who may change users and does not see unmasked data.
func maskedOperator(t *testing.T, s *apitest.Server) *browser {
	t.Helper()
	return operator(t, s, false, identity.UsersView, identity.UsersUpdate, identity.GroupsView)
}

// people creates a user with a phone and two without.
func people(t *testing.T, s *apitest.Server) []identity.User {
	t.Helper()
	return []identity.User{
		createUser(t, s, identity.User{Name: "Mary Evans", Email: "mary@example.com", Phone: "+37060000001", Active: true}),
		createUser(t, s, identity.User{Name: hostile, Email: "evil@example.com", Active: true}),
		createUser(t, s, identity.User{Name: "=HYPERLINK(1)", Email: "calc@example.com"}),
	}
}

func TestUserFilters(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		mary := people(t, s)[0]
		for query, names := range map[string]string{
			"filter[status]=inactive":                                    "=HYPERLINK(1)",
			"filter[status]=active&filter[q]=mary":                       "Mary Evans",
			"filter[group]=1":                                            "Jane Doe",
			"filter[tfa]=true":                                           "",
			"filter[lastSigninBefore]=never&filter[status]=inactive":     "=HYPERLINK(1)",
			"filter[lastSigninAfter]=7d":                                 "Jane Doe",
			"filter[createdAfter]=7d&filter[q]=evans":                    "Mary Evans",
			"filter[createdBefore]=7d":                                   "",
			"filter[locked]=true":                                        "",
			"filter[email]=MARY@example.com":                             "Mary Evans",
			"filter[q]=mary&filter[status]=&filter[group]=&sort_by=name": "Mary Evans",
		} {
			a := b.get("/console/users?"+query).want(t, http.StatusOK)
			if found := strings.Join(rowNames(a), ", "); found != names {
				t.Errorf("%s: %q, want %q", query, found, names)
			}
			if chips := strings.Count(a.body, "take this filter away"); chips != strings.Count(query, "filter[")-
				strings.Count(query, "filter[q]")-strings.Count(query, "]=&") {
				t.Errorf("%s: %d chips", query, chips)
			}
		}
		for _, query := range []string{
			"filter[status]=x", "filter[lastSigninBefore]=90", "filter[createdAfter]=never", "columns=x", "sort_by=phone",
			"filter[createdAfter]=99999999999d", "filter[tfa]=1", "x=1", "filter[group]=0", "filter[q]=a&filter[q]=b",
		} {
			b.get("/console/users?"+query).want(t, http.StatusBadRequest)
		}
		b.get(fmt.Sprintf("/console/users?filter[q]=%d", mary.ID)).want(t, http.StatusOK,
			fmt.Sprintf("The user with the id %d", mary.ID), "Mary Evans")
		a := b.get("/console/users?filter[q]=mary&total=false&offset=0").want(t, http.StatusOK, `id="total"></span>`,
			`hx-get="/console/users?filter%5Bq%5D=mary"`)
		if to := a.header.Get("HX-Replace-Url"); to != "/console/users?filter%5Bq%5D=mary" {
			t.Errorf("the address is %q", to)
		}
		b.get("/console/users?columns=name").want(t, http.StatusOK).without(t, "<time", `class="tag"`, `class="state`)
		b.get("/console/users?columns=phone&columns=id").want(t, http.StatusOK, "37060000001", "columns=phone%2Cid")
		b.get("/console/users?filter[lastSigninBefore]=90d").want(t, http.StatusOK,
			"filter[lastSigninBefore]="+url.QueryEscape(s.Clock.Now().UTC().Truncate(24*3600e9).AddDate(0, 0, -90).
				Format("2006-01-02T15:04:05Z07:00")))
	})
}

var rowPattern = regexp.MustCompile(`aria-label="Select ([^"]*)"></td>`)

// rowNames returns the names of the rows of a list.
func rowNames(a answer) []string {
	var names []string
	for _, row := range rowPattern.FindAllStringSubmatch(a.body, -1) {
		names = append(names, row[1])
	}
	return names
}

func TestFindUsers(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		mary := people(t, s)[0]
		find := func(text string) answer { return b.post("/console/users/find", url.Values{"find": {text}}) }
		a := find(fmt.Sprintf("calc@example.com\r\n%d\r\n<i>x@example.com</i>\nMary <MARY@example.com>", mary.ID))
		a.want(t, http.StatusOK, "2 found, 1 not found.").without(t, "<i>")
		if names := strings.Join(rowNames(a), ", "); names != "=HYPERLINK(1), Mary Evans" {
			t.Errorf("found %s", names)
		}
		find("+37060000001").want(t, http.StatusOK, "1 found, 0 not found.")
		find(" , ;").want(t, http.StatusBadRequest, "Type at least one address or id.")
		find(strings.Repeat("1\n", 3)).want(t, http.StatusOK, "1 found")
		var many strings.Builder
		for i := range 1001 {
			fmt.Fprintf(&many, "%d\n", i+1)
		}
		find(many.String()).want(t, http.StatusBadRequest, "must have at most 1000 items", "1001\n")
		b.get("/console/users/find").want(t, http.StatusOK, "Find them")
		b.get("/console/users?filter[q]=mary@example.com,+nobody@example.com").want(t, http.StatusOK, "1 found, 1 not found.")
		b.get("/console/users?filter[q]=Evans,+Mary").want(t, http.StatusOK, "No user matches.")
	})
}

// TestMaskedList shows a masked operator masks alone, wherever a list can lead.
func TestMaskedList(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		signedIn(t, s)
		mary := people(t, s)[0]
		b := maskedOperator(t, s)
		secrets := []string{"mary@example.com", "37060000001"}
		b.get("/console/users?columns=phone").want(t, http.StatusOK, "e-mail address, hidden", "phone number, hidden",
			"the order would tell of addresses").without(t, secrets...)
		b.get("/console/users?sort_by=email").want(t, http.StatusForbidden, "masked")
		b.get("/console/users.csv").want(t, http.StatusOK, "Mary Evans,m").without(t, secrets...)
		b.post("/console/users/find", url.Values{"find": {"+37060000001"}}).want(t, http.StatusOK, "0 found, 1 not found.")
		if names := rowNames(b.get("/console/users?filter[q]=mary@")); names != nil {
			t.Errorf("a search finds addresses that are hidden: %s", names)
		}
		a := b.post("/console/users/bulk", url.Values{"action": {"deactivate"}, "userId": {fmt.Sprint(mary.ID)}})
		a.want(t, http.StatusOK, "Deactivate 1 user?", "e-mail address, hidden").without(t, secrets...)
		a = b.post(a.url.Path+"/start", nil)
		s.RunJobs()
		b.get(a.url.Path).want(t, http.StatusOK, "Finished", "Mary Evans").without(t, secrets...)
		b.get("/console/jobs").without(t, secrets...)
		a = b.post("/console/users/bulk", url.Values{"action": {"export"}, "all": {"true"}})
		a.want(t, http.StatusOK, "Mary Evans,m").without(t, secrets...)
	})
}

func TestUsersCSV(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		users := people(t, s)
		a := b.get("/console/users.csv?filter[status]=inactive&limit=1&offset=7&sort_by=id").want(t, http.StatusOK)
		want := fmt.Sprintf("id,name,email,phone,active,groups,tfa,lastSigninTime,createTime\r\n"+
			"%d,'=HYPERLINK(1),calc@example.com,,false,,false,,%s\r\n", users[2].ID,
			users[2].CreatedAt.UTC().Format("2006-01-02T15:04:05Z07:00"))
		if a.body != want || a.header.Get("Content-Type") != csvType {
			t.Errorf("%s: %q, want %q", a.header.Get("Content-Type"), a.body, want)
		}
		b.get("/console/users.csv?filter[status]=x").want(t, http.StatusBadRequest)
		a = b.post("/console/users/bulk", url.Values{"action": {"export"}, "userId": {fmt.Sprint(users[0].ID), "999"}})
		if lines := strings.Count(a.body, "\r\n"); lines != 2 || !strings.Contains(a.body, "'+37060000001") {
			t.Errorf("%d lines: %s", lines, a.body)
		}
	})
}
