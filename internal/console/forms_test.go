package console_test

import (
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
)

// want fails the test unless an answer has a status and contains texts, as HTML or as shown.
func (a answer) want(t *testing.T, status int, texts ...string) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("%s: %d, want %d\n%s", a.url, a.status, status, a.body)
	}
	shown := html.UnescapeString(a.body)
	for _, text := range texts {
		if !strings.Contains(a.body, text) && !strings.Contains(shown, text) {
			t.Errorf("%s: no %q in\n%s", a.url, text, a.body)
		}
	}
	return a
}

// without fails the test for each text that an answer contains.
func (a answer) without(t *testing.T, texts ...string) answer {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(a.body, text) {
			t.Errorf("%s: %q in\n%s", a.url, text, a.body)
		}
	}
	return a
}

// fields returns what the forms of a page send if nothing is typed, without their buttons.
func (a answer) fields() url.Values {
	return a.inputs(func(attributes map[string]string) bool {
		_, checked := attributes["checked"]
		return checked || attributes["type"] != "checkbox" && attributes["type"] != "radio"
	})
}

// hidden returns the hidden fields of a page.
func (a answer) hidden() url.Values {
	return a.inputs(func(attributes map[string]string) bool { return attributes["type"] == "hidden" })
}

// inputs returns the values of the inputs of a page that are meant, by their attributes.
func (a answer) inputs(meant func(attributes map[string]string) bool) url.Values {
	document, err := html.Parse(strings.NewReader(a.body))
	if err != nil {
		panic(err) // a string can be read
	}
	values := url.Values{}
	for node := range document.Descendants() {
		attributes := map[string]string{}
		for _, attribute := range node.Attr {
			attributes[attribute.Key] = attribute.Val
		}
		_, disabled := attributes["disabled"]
		if isField := node.Data == "input" || node.Data == "textarea"; !isField || disabled || attributes["name"] == "" ||
			!meant(attributes) {
			continue
		}
		value := attributes["value"]
		if node.Data == "textarea" && node.FirstChild != nil {
			value = strings.TrimPrefix(node.FirstChild.Data, "\n")
		}
		values.Add(attributes["name"], value)
	}
	return values
}

// with returns a form with other values, name and value in turn.
func with(values url.Values, changes ...string) url.Values {
	for i := 0; i+1 < len(changes); i += 2 {
		values.Set(changes[i], changes[i+1])
	}
	return values
}

// signedInAs returns a browser in which a new user has signed in, whose group has permissions.
func signedInAs(t *testing.T, s *apitest.Server, address string, unmasked bool, permissions ...identity.Permission,
) (*browser, identity.User) {
	t.Helper()
	group := createGroup(t, s, "Group of "+address, permissions...)
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
