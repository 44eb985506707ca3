package console_test

import (
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
)

// shows fails the test unless an answer has a status and texts, as they are in the page.
func (a answer) shows(t *testing.T, status int, texts ...string) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("%s: %d, want %d\n%s", a.url, a.status, status, a.body)
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			t.Errorf("%s: no %q in\n%s", a.url, text, a.body)
		}
	}
	return a
}

// hides fails the test for each text that an answer has.
func (a answer) hides(t *testing.T, texts ...string) answer {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(a.body, text) {
			t.Errorf("%s: %q in\n%s", a.url, text, a.body)
		}
	}
	return a
}

// formIn returns what the form in the main part of a page sends, without its buttons.
func formIn(t *testing.T, a answer) url.Values {
	t.Helper()
	document, err := html.Parse(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	values := url.Values{}
	for node := range document.Descendants() {
		attributes := map[string]string{}
		for _, attribute := range node.Attr {
			attributes[attribute.Key] = attribute.Val
		}
		name, value := attributes["name"], attributes["value"]
		_, checked := attributes["checked"]
		_, disabled := attributes["disabled"]
		kind := attributes["type"]
		switch {
		case name == "" || disabled:
		case node.Data == "textarea":
			if node.FirstChild != nil {
				value = node.FirstChild.Data
			}
			values.Add(name, strings.TrimPrefix(value, "\n"))
		case node.Data == "input" && (checked || kind != "checkbox" && kind != "radio"):
			values.Add(name, value)
		}
	}
	return values
}

// typed returns a form with other values, name and value in turn; "" unticks a box.
func typed(values url.Values, changes ...string) url.Values {
	for i := 0; i+1 < len(changes); i += 2 {
		values.Set(changes[i], changes[i+1])
	}
	return values
}

// signedInAs returns a browser in which a new user has signed in, whose group has permissions.
func signedInAs(t *testing.T, s *apitest.Server, address string, unmasked bool, permissions ...identity.Permission,
) (*browser, identity.User) {
	t.Helper()
	group, err := s.Service.CreateGroup(t.Context(), identity.CommandLine(), identity.Group{
		Name: identity.Label("Group of " + address), Permissions: identity.PermissionSet(permissions...),
	})
	if err != nil {
		t.Fatal(err)
	}
	user := createUser(t, s, identity.User{
		Name: "Olga", Email: identity.Email(address), Active: true, Groups: []int64{group.ID}, CanViewMaskedData: unmasked,
	})
	b := newBrowser(t, s)
	b.signIn(address, password)
	return b, user
}

// userAt returns a user as it is stored.
func userAt(t *testing.T, s *apitest.Server, id int64) identity.User {
	t.Helper()
	user, err := s.Service.User(t.Context(), identity.CommandLine(), id)
	if err != nil {
		t.Fatal(err)
	}
	return user
}
