package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
)

// Two people may change one record at once. A form of a record carries the values that it
// began with (beforeFields) and the version. Where the version is no longer the present one,
// the page of a merge shows what both have changed. Its form goes to the same path: takeMerge
// puts the chosen values where the form has them, and the handler goes on as with any form.

// The names of a merge in a form. The values that a form began with stand in
// before.FIELD. After a merge, "merge" has the names of the fields with a choice,
// merge.FIELD the choice and yours.FIELD the values that were typed.
const (
	beforePrefix = "before."
	mergeName    = "merge"
	choicePrefix = "merge."
	yoursPrefix  = "yours."
	choiceYours  = "yours"
)

// mergeField is a field of a form that takes part in a merge.
type mergeField struct {
	Name  string                // in the form
	Label string                // as people know it
	Text  func([]string) string // the values in words; nil for the values themselves
}

// mergeRow is a field that differs between what a form began with, what is stored by now
// and what was typed.
type mergeRow struct{ Name, Label, Before, Theirs, Yours string }

// mergeView is the page of a merge.
type mergeView struct {
	Action string // the path of the form
	Cancel string // the path of the record
	Both   []mergeRow
	Theirs []mergeRow // only the other has changed these
	Yours  []mergeRow // only the caller has changed these
	Fields []field    // what the form sends without a choice
}

// mergeFrom compares three states of a form's fields: as the form began, as they are stored
// now with a version, and as they were typed. The order of a field's values does not
// matter.
func mergeFrom(fields []mergeField, before, theirs, yours url.Values, version int64) mergeView {
	view := mergeView{Fields: []field{{"version", strconv.FormatInt(version, 10)}}}
	view.Fields = append(view.Fields, beforeFields(fields, theirs)...)
	for _, f := range fields {
		b, t, y := before[f.Name], theirs[f.Name], yours[f.Name]
		row := mergeRow{f.Name, f.Label, f.text(b), f.text(t), f.text(y)}
		switch {
		case sameValues(t, y), sameValues(b, y): // agreed, or left alone
			view.keep(f.Name, t)
			if !sameValues(b, t) && !sameValues(t, y) {
				view.Theirs = append(view.Theirs, row)
			}
		case sameValues(b, t):
			view.keep(f.Name, y)
			view.Yours = append(view.Yours, row)
		default:
			view.keep(yoursPrefix+f.Name, y)
			view.keep(mergeName, []string{f.Name})
			view.Both = append(view.Both, row)
		}
	}
	return view
}

func (v *mergeView) keep(name string, values []string) {
	for _, value := range values {
		v.Fields = append(v.Fields, field{name, value})
	}
}

func (f mergeField) text(values []string) string {
	if f.Text != nil {
		return f.Text(values)
	}
	if text := strings.Join(values, ", "); text != "" {
		return text
	}
	return "none"
}

// textYesNo is the Text of a box to tick.
func textYesNo(values []string) string {
	if len(values) > 0 {
		return "yes"
	}
	return "no"
}

// sameValues compares the values of a field without regard to their order, to line ends
// (forms send CRLF) and to empty values.
func sameValues(a, b []string) bool { return slices.Equal(canonical(a), canonical(b)) }

func canonical(values []string) []string {
	var list []string
	for _, value := range values {
		if value = strings.TrimSpace(strings.ReplaceAll(value, "\r\n", "\n")); value != "" {
			list = append(list, value)
		}
	}
	slices.Sort(list)
	return list
}

// beforeFields returns the hidden fields by which a form says what it began with.
func beforeFields(fields []mergeField, values url.Values) []field {
	var list []field
	for _, f := range fields {
		for _, value := range values[f.Name] {
			list = append(list, field{beforePrefix + f.Name, value})
		}
	}
	return list
}

// beforeIn returns what a form began with.
func beforeIn(values url.Values) url.Values {
	before := url.Values{}
	for name, list := range values {
		if name, ok := strings.CutPrefix(name, beforePrefix); ok {
			before[name] = list
		}
	}
	return before
}

// takeMerge puts the choices of a merge where a form has its values. A field without a
// choice stays as the other has left it. It changes nothing in a form without a merge.
func takeMerge(values url.Values) {
	for _, name := range values[mergeName] {
		source := beforePrefix // which holds theirs
		if values.Get(choicePrefix+name) == choiceYours {
			source = yoursPrefix
		}
		values[name] = slices.Clone(values[source+name])
		delete(values, choicePrefix+name)
		delete(values, yoursPrefix+name)
	}
	delete(values, mergeName)
}

// renderMerge shows the page of a merge. action is the path of the form, cancel that of
// the record.
func (h *handlers) renderMerge(c echo.Context, actor identity.Actor, nav, action, cancel string, view mergeView) error {
	view.Action, view.Cancel = action, cancel
	return h.render(c, actor, http.StatusPreconditionFailed, "merge",
		page{Title: headings[identity.Precondition], Nav: nav, View: view})
}
