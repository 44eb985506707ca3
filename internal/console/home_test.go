package console_test

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
)

var figurePattern = regexp.MustCompile(`<a href="([^"]*)"><b>([^<]*)</b><span class="name">([^<]*)</span>`)

// figuresOf returns the numbers of the home page by their labels, and where they lead.
func figuresOf(a answer) (numbers, links map[string]string) {
	numbers, links = map[string]string{}, map[string]string{}
	for _, match := range figurePattern.FindAllStringSubmatch(a.body, -1) {
		numbers[match[3]], links[match[3]] = match[2], html.UnescapeString(match[1])
	}
	return numbers, links
}

// TestHome counts, and each number leads to a list of so many.
func TestHome(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		for i := range 3 { // of long ago; the last is inactive
			createUser(t, s, identity.User{
				Name: "Old", Email: identity.Email(fmt.Sprintf("old%d@example.com", i)), Active: i != 2,
			})
		}
		s.Clock.Advance(91 * 24 * time.Hour)
		fresh := createUser(t, s, identity.User{Name: "New", Email: "new@example.com", Active: true, TFA: true})
		setAddresses(t, s, fresh.ID, "203.0.113.7")
		b.signIn(email, password)
		end := s.Clock.Now().Add(5 * 24 * time.Hour)
		token := identity.Token{Name: "importer"}
		if _, _, err := s.Service.CreateToken(t.Context(), identity.CommandLine(), token, &end); err != nil {
			t.Fatal(err)
		}
		for range 6 {
			s.TrySignIn("old0@example.com", "wrong", apitest.From("203.0.113.9"))
		}
		s.TrySignIn("new@example.com", password, apitest.From("198.51.100.1"))
		numbers, links := figuresOf(b.get("/console").want(t, http.StatusOK))
		want := map[string]string{
			"Not seen for 90 days": "2", "No second factor": "3", "Locked": "1", "Joined this week": "1",
			"Tokens that end soon": "1", "Dead letters": "0", "Refused by address today": "1",
		}
		for label, number := range want {
			if numbers[label] != number {
				t.Errorf("%s: %q, want %s", label, numbers[label], number)
			}
		}
		if len(numbers) != len(want) {
			t.Errorf("%v", numbers)
		}
		// The link of each number is a list of the API with that many, by the same parameters.
		for label, path := range map[string]string{
			"Not seen for 90 days": "users", "No second factor": "users", "Locked": "users", "Joined this week": "users",
			"Tokens that end soon": "tokens", "Dead letters": "outbox", "Refused by address today": "events",
		} {
			link := links[label]
			query := link[len("/console/"):]
			if path == "events" {
				query = path + link[len("/console/activity"):]
			}
			var list struct{ Total int }
			s.Do(http.MethodGet, "/api/v2/"+query, nil).Want(http.StatusOK).Decode(&list)
			if fmt.Sprint(list.Total) != want[label] {
				t.Errorf("%s: %s has %d", label, link, list.Total)
			}
		}
		b.get(links["Tokens that end soon"]).want(t, http.StatusOK, "importer", "aria-current=\"true\"")
	})
}

// TestHomeDenied says in the place of a number what is missing to see it.
func TestHomeDenied(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b, _ := signedInAs(t, s, "viewer@example.com", false, identity.UsersView)
		a := b.get("/console").want(t, http.StatusOK, "This needs the permission tokens.manage",
			"This needs the permission webhooks.manage", "This needs the permission audit.view",
			"Administrators can give you").without(t, "filter%5BexpiresAfter", "filter%5Breason", "could not be counted")
		if numbers, _ := figuresOf(a); len(numbers) != 4 {
			t.Errorf("%v", numbers)
		}
		nobody, _ := signedInAs(t, s, "nobody@example.com", false)
		a = nobody.get("/console").want(t, http.StatusOK, "This needs the permission users.view")
		if numbers, _ := figuresOf(a); len(numbers) != 0 {
			t.Errorf("%v", numbers)
		}
	})
}
