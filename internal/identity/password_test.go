package identity

import (
	"errors"
	"testing"
)

func TestCheckPersonal(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		password Password
		name     Name
		email    Email
		fine     bool
	}{
		{"MySecret123", "Mary", "mary@example.com", true},
		{"xx-MARY-xx-2026", "Mary", "m@example.com", false},
		{"mary ann smith 7", "Mary Ann Smith", "m@example.com", false},
		{"7MaryAnnSmith", "Mary  Ann Smith", "m@example.com", false},
		{"Mary has a lamb", "Mary Ann Smith", "m@example.com", true}, // the whole name counts
		{"m.smith-2026", "Mary", "M.Smith@example.com", false},
		{"example.com!", "Mary", "smith@example.com", true}, // the domain does not
		{"my roSTer pass", "Mary", "m@example.com", false},
		{"bob bob bob", "Bob", "bob@example.com", true}, // three characters are in many passwords
		{"анна-анна-1", "АННА", "a@example.com", false},
		{"STRASSE-9-k", "Stra\u212Ae", "a@example.com", true},
		{"kelvin-9-99", "\u212Aelvin", "a@example.com", false},
		{"anything at all", "", "", true},
	} {
		err := test.password.CheckPersonal(test.name, test.email)
		var wrong *ValueError
		if errors.As(err, &wrong) != !test.fine || !test.fine && wrong.Code != "contains_personal" {
			t.Errorf("%q of %s <%s>: %v", string(test.password), test.name, test.email, err)
		}
	}
}
