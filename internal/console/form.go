package console

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// formKey is where the Echo context has the values of a form: a body can be read once.
const formKey = "form"

// form returns the values of a form that was sent. A second call returns them again.
func form(c echo.Context) (url.Values, error) {
	if values, ok := c.Get(formKey).(url.Values); ok {
		return values, nil
	}
	_, body, err := api.ReadBody(c, echo.MIMEApplicationForm)
	if err != nil {
		return nil, err
	}
	const maxFields = 10_000 // of url.ParseQuery
	if bytes.Count(body, []byte("&")) >= maxFields {
		return nil, identity.Errorf(identity.Invalid, "too_many_fields",
			"The form has more than %s fields. Tick fewer rows, or choose \"All that match\".", number(maxFields))
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, identity.Errorf(identity.Invalid, "malformed_form", "The form could not be read.").WithCause(err)
	}
	c.Set(formKey, values)
	return values, nil
}

func sortedKeys[K cmp.Ordered, V any](values map[K]V) []K { return slices.Sorted(maps.Keys(values)) }

// idOf reads the number of a thing from the path.
func idOf(c echo.Context, name, what string) (int64, error) {
	id, err := strconv.ParseInt(c.Param(name), 10, 64)
	if err != nil || id < 1 {
		return 0, errNoPage("There is no %s with this number.", what)
	}
	return id, nil
}

// problems is what is wrong with a form. The page shows the message in a summary with a
// link to each field, and each field's own message beside it.
type problems struct {
	Message string
	Fields  []identity.FieldError
}

// problemsOf returns what the user of a form can put right, and false for an error that
// another page has to show.
func problemsOf(err error) (problems, bool) {
	f := api.FailureFrom(err)
	if f.Code == "validation_failed" {
		f.Message = "Some values have to be put right."
	}
	switch f.Kind {
	case identity.Invalid, identity.Conflict:
		return problems{Message: f.Message, Fields: f.Fields}, true
	case identity.Forbidden:
		return problems{Message: f.Message + " " + missing(f)}, f.Code != codeReauthenticate
	}
	return problems{}, false
}

// Of returns what is wrong with a field, also with a part of it such as ipWhitelist[1];
// "" for nothing.
func (p problems) Of(name string) string {
	var messages []string
	for _, field := range p.Fields {
		if position, isPart := strings.CutPrefix(field.Field, name+"["); isPart {
			index, _, _ := strings.Cut(position, "]")
			if n, err := strconv.Atoi(index); err == nil {
				messages = append(messages, fmt.Sprintf("Line %d %s.", n+1, field.Message))
				continue
			}
		}
		switch {
		case field.Field != name:
		case strings.HasSuffix(field.Message, "."): // a sentence of its own
			messages = append(messages, field.Message)
		default:
			messages = append(messages, "This "+field.Message+".")
		}
	}
	return strings.Join(messages, " ")
}

// lacks returns why the caller may not do something that takes permissions, and who can
// change that; "" if nothing is missing.
func lacks(actor identity.Actor, needed ...identity.Permission) string {
	for _, permission := range needed {
		if actor.Require(permission) != nil {
			return fmt.Sprintf("This needs the permission %s. A member of the group Administrators can give it to you.",
				permission)
		}
	}
	return ""
}

// addAgain records that a password was not typed the same way twice.
func addAgain(wrong *identity.Problems, values url.Values) {
	if values.Get(identity.FieldPassword) != values.Get(fieldAgain) {
		wrong.Add(fieldAgain, "different", "differs from the password")
	}
}

// addProblem records that a field has a bad value; err is nil for a good one.
func addProblem(list *identity.Problems, name string, err error) {
	var bad *identity.ValueError
	switch {
	case err == nil:
	case errors.As(err, &bad):
		list.Add(name, bad.Code, bad.Message)
	default:
		list.Add(name, "invalid_value", "cannot be read")
	}
}

// The steps of a form, as its buttons have them.
const (
	stepEdit   = "edit"   // back to the form
	stepFilter = "filter" // filters the groups of a form, without a script
	stepReview = "review"
	stepSave   = "save"
)

const reviewHeading = "Review the changes"

// keptFields returns the fields of a form that its next page has to send again.
func keptFields(values url.Values) []field {
	kept := maps.Clone(values)
	delete(kept, "step")
	delete(kept, fieldGroupFilter)
	return fieldsOf(kept)
}

// reviewView is the page that shows a change before it is saved.
type reviewView struct {
	Heading  string
	Up       link // the page of what is changed; the zero link for none
	Changes  []change
	Warnings []string
	Danger   bool // of the warnings
	Message  string
	Rights   []permissionRow // what is given, in sentences
	Action   string          // the path of the form
	Fields   []field
	Save     string // the text of the button that saves
	Cancel   string // the page that drops the change
}

// confirmView is the page that asks before something ends, or is replaced.
type confirmView struct {
	Heading  string
	Up       link     // the page to go back to
	Person   *userRow // of whom it is; nil for no other user
	Self     bool     // that is the caller
	Texts    []string // what it does
	Token    *tokenRow
	Action   string // the path of the form
	Fields   []field
	Button   string
	Denied   string // why there is no button
	Problems problems
}

// secretView is the one page that shows a new secret.
type secretView struct {
	Heading string
	Text    string
	Name    string // of what has the secret
	Secret  string
	Token   *tokenRow // nil for the secret of a webhook
	Next    string    // the page that comes after it
}

// statusOf returns the status of a page that shows the problems of an error.
func statusOf(err error) int { return api.FailureFrom(err).Status }

// formTime is a time as fields of a form have it, in UTC.
const formTime = "2006-01-02T15:04:05"

// timeIn reads a time. It returns the zero time where it is absent or empty.
func timeIn(q *api.Query, name string) time.Time {
	text, _ := q.Get(name)
	if text == "" {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339, formTime, "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil && t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 {
			return t.UTC()
		}
	}
	q.Fail(name, "invalid_time", "must be a time such as 2030-01-31T12:00:00Z")
	return time.Time{}
}

// versionIn reads the version that a form was made for. Without one it matches nothing.
func versionIn(values url.Values) identity.VersionMatch {
	match := identity.VersionMatch{Conditional: true}
	if version, err := strconv.ParseInt(values.Get("version"), 10, 64); err == nil {
		match.Versions = []int64{version}
	}
	return match
}
