package identity

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"
)

// assigned are the fields of a user that nobody can change by a UserChange.
var assigned = []string{"ID", "CreatedAt", "UpdatedAt", "LastSigninAt", "Version"}

// TestEveryFieldIsDeclared: a field that is missing from userFields would be left
// out of changes, events and masks without a word.
func TestEveryFieldIsDeclared(t *testing.T) {
	t.Parallel()
	kind := reflect.TypeFor[User]()
	declared := 0
	for i := range kind.NumField() {
		name := kind.Field(i).Name
		var user User
		fill(t, reflect.ValueOf(&user).Elem().Field(i))
		got := len(User{}.Diff(user))
		if slices.Contains(assigned, name) {
			if got != 0 {
				t.Errorf("%s is assigned, but its difference is told of", name)
			}
			continue
		}
		declared++
		if got != 1 {
			t.Errorf("a difference in %s is not told of: is it in userFields?", name)
		}
		var change UserChange
		wanted := reflect.New(kind.Field(i).Type)
		fill(t, wanted.Elem())
		field := reflect.ValueOf(&change).Elem().FieldByName(name)
		if !field.IsValid() {
			t.Errorf("UserChange has no %s", name)
			continue
		}
		field.Set(wanted)
		if after := change.Apply(User{}); !reflect.DeepEqual(after, user) {
			t.Errorf("applying %s gives %+v", name, after)
		}
	}
	if declared != len(userFields) {
		t.Errorf("%d fields, but %d are in userFields", declared, len(userFields))
	}
	for i := range reflect.TypeFor[UserChange]().NumField() {
		name := reflect.TypeFor[UserChange]().Field(i).Name
		if _, found := kind.FieldByName(name); !found && name != "Password" {
			t.Errorf("UserChange has %s, User does not", name)
		}
	}
}

// fill gives a field a value that is not its zero value.
func fill(t *testing.T, field reflect.Value) {
	t.Helper()
	text := "v11"
	switch value := field.Addr().Interface().(type) {
	case *time.Time:
		*value = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	case *AllowList:
		*value = AllowList{{netip.MustParsePrefix("10.0.0.0/8")}}
	case *[]ClientTag:
		*value = []ClientTag{{Text: &text}}
	case *[]int64:
		*value = []int64{1}
	default:
		switch field.Kind() { //nolint:exhaustive // the kinds that a user has
		case reflect.String:
			field.SetString(text)
		case reflect.Bool:
			field.SetBool(true)
		case reflect.Int64:
			field.SetInt(1)
		default:
			t.Fatalf("this test knows no value of %s", field.Type())
		}
	}
}
