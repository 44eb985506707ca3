package console

import (
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// people are the users of the pictures.
var people = []struct {
	name   string
	groups []string
	tfa    bool
	active bool
	seen   time.Duration // since the last sign-in; 0 for never
}{
	{"Mary Ann Evans", []string{"Administrators"}, true, true, 4 * time.Minute},
	{"Aleksander Nowak", []string{"Support", "Refunds"}, true, true, 3 * time.Hour},
	{"Βασιλεία Παπαδοπούλου", []string{"Support"}, true, true, 26 * time.Hour},
	{"Chidi Okafor", []string{"Risk"}, false, false, 110 * 24 * time.Hour},
	{"Mary O’Connor-Whitfield", []string{"Finance", "Support"}, true, true, 3 * 24 * time.Hour},
	{"Søren Kierkegaard", []string{"Finance"}, false, true, 0},
	{"مريم الزهراء", []string{"Support"}, true, true, 14 * 24 * time.Hour},
	{"Yuki Tanaka", []string{"Risk", "Support"}, true, true, 50 * time.Minute},
	{"Ingrid Bergström", []string{"Finance"}, true, true, 5 * time.Hour},
	{"Rafael Souza", []string{"Support"}, false, true, 8 * 24 * time.Hour},
	{"Nguyễn Thị Lan", []string{"Refunds"}, true, true, 2 * 24 * time.Hour},
	{"Olu Adeyemi", []string{"Support"}, false, false, 200 * 24 * time.Hour},
	{"Katarzyna Wiśniewska", []string{"Risk"}, true, true, 20 * time.Minute},
	{"Tom Baker", []string{"Support"}, false, true, 95 * 24 * time.Hour},
}

// demonstrate fills a server with the data of the pictures.
func demonstrate(t *testing.T, s *apitest.Server) {
	t.Helper()
	groups := map[string]int64{"Administrators": identity.AdministratorsID}
	for _, g := range []struct {
		name        string
		permissions []identity.Permission
	}{
		{"Support", []identity.Permission{identity.UsersUpdate, identity.GroupsView}},
		{"Refunds", []identity.Permission{identity.UsersView}},
		{"Risk", []identity.Permission{identity.UsersUpdate, identity.AuditView}},
		{"Finance", []identity.Permission{identity.UsersView, identity.RecordsManage}},
	} {
		groups[g.name] = addGroup(t, s, g.name, g.permissions...).ID
	}
	start := s.Clock.Now()
	s.Clock.Advance(-220 * day)
	for i, person := range people {
		user := identity.User{
			Name: identity.Name(person.name), Email: identity.Email(fmt.Sprintf("person%d@example.com", i+1)),
			Phone: identity.Phone(fmt.Sprintf("+336123456%02d", i)), Active: true, CanViewMaskedData: i%3 == 0,
		}
		for _, name := range person.groups {
			user.Groups = append(user.Groups, groups[name])
		}
		created := CreateUser(t, s, user)
		if person.seen > 0 {
			s.Clock.Advance(start.Add(-person.seen).Sub(s.Clock.Now()))
			s.TrySignIn(string(user.Email), Password).Want(http.StatusOK)
		}
		s.Clock.Advance(start.Add(-person.seen / 2).Sub(s.Clock.Now()))
		path := apitest.UserPath(created.ID)
		change := map[string]any{"active": person.active, "tfa": person.tfa}
		if i == 1 {
			change["ipWhitelist"] = []string{"79.24.241.198", "20.65.174.0/24"}
		}
		s.Do(http.MethodPatch, path, change).Want(http.StatusOK)
		s.Clock.Advance(start.Add(-220 * day).Sub(s.Clock.Now()))
	}
	s.Clock.Advance(start.Sub(s.Clock.Now()))
	s.CreateWebhook("https://hooks.example.com/roster")
	s.CreateToken(0, []string{"users.view", "tokens.introspect"}, map[string]any{"name": "billing"})
	s.Do(http.MethodPatch, apitest.UserPath(2), map[string]any{"groups": []int64{groups["Support"], groups["Risk"]}}).
		Want(http.StatusOK)
}

const day = 24 * time.Hour

// TestScreenshots takes the pictures of the documentation; see the target screenshots of the
// Makefile.
func TestScreenshots(t *testing.T) {
	if os.Getenv("ROSTER_SCREENSHOTS") == "" {
		t.Skip("ROSTER_SCREENSHOTS is not set")
	}
	t.Run(storetest.Engines[0], func(t *testing.T) {
		s := apitest.New(t, storetest.URL(t, storetest.Engines[0]))
		demonstrate(t, s)
		tab := NewTab(t, s)
		tab.Go("/console")
		tab.pictures("signin")
		tab.SignIn()
		for _, p := range []struct{ name, path string }{
			{"home", "/console"},
			{"user", "/console/users/2"},
			{"access", "/console/users/2/access"},
			{"security", "/console/users/2/security"},
			{"user-activity", "/console/users/2/activity"},
			{"edit", "/console/users/2/edit"},
			{"group", "/console/groups/2"},
			{"token", "/console/tokens/new"},
			{"webhook", "/console/webhooks/1"},
			{"activity", "/console/activity"},
			{"me", "/console/me"},
		} {
			tab.Go(p.path)
			tab.pictures(p.name)
		}
		tab.Go("/console/users?filter[status]=active&sort_by=name")
		tab.Click(`[aria-label="Select Aleksander Nowak"]`)
		tab.Click(`[aria-label="Select Ingrid Bergström"]`)
		tab.pictures("users")
		tab.Go(fmt.Sprintf("/console/users/%d/network", len(people)+1)) // one's own
		tab.Fill("textarea", "79.24.241.198\n20.65.174.0/24")
		tab.ClickText("Review changes")
		tab.See("Save all the same")
		tab.pictures("network")
	})
}

// pictures takes a page wide and as on a phone, light and dark.
func (tab *Tab) pictures(name string) {
	tab.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		tab.Scheme(scheme)
		tab.Size(1280, 800)
		tab.Shot(name + "-" + scheme)
		tab.Size(390, 800)
		tab.Shot(name + "-phone-" + scheme)
	}
	tab.Scheme("light")
	tab.Size(1280, 800)
}
