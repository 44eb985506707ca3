package console

import (
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestMerge compares three states of a form and takes the choices from the form that
// comes back.
func TestMerge(t *testing.T) {
	t.Parallel()
	fields := []mergeField{
		{Name: "name", Label: "Name"},
		{Name: "phone", Label: "Phone"},
		{Name: "list", Label: "List"},
		{Name: "on", Label: "On", Text: textYesNo},
		{Name: "same", Label: "Same"},
		{Name: "agreed", Label: "Agreed"},
	}
	before := url.Values{"name": {"a"}, "phone": {"1"}, "list": {"x", "y"}, "same": {"two\nlines"}, "agreed": {"1"}}
	theirs := url.Values{
		"name": {"b"}, "phone": {"2"}, "list": {"y", "x"}, "on": {"true"}, "same": {"two\nlines"}, "agreed": {"2"},
	}
	yours := url.Values{"name": {"c"}, "phone": {"1"}, "list": nil, "same": {"two\r\nlines"}, "agreed": {"2"}}
	view := mergeFrom(fields, before, theirs, yours, 7)
	want := mergeView{
		Both:   []mergeRow{{"name", "Name", "a", "b", "c"}},
		Theirs: []mergeRow{{"phone", "Phone", "1", "2", "1"}, {"on", "On", "no", "yes", "no"}},
		Yours:  []mergeRow{{"list", "List", "x, y", "y, x", "none"}},
	}
	want.Fields = view.Fields
	if !reflect.DeepEqual(view, want) {
		t.Errorf("%+v\nwant %+v", view, want)
	}
	for choice, name := range map[string]string{"yours": "c", "theirs": "b", "": "b", "other": "b"} {
		sent := url.Values{"merge.name": {choice}}
		for _, f := range view.Fields {
			sent.Add(f.Name, f.Value)
		}
		takeMerge(sent)
		merged := url.Values{
			"version": {"7"}, "name": {name}, "phone": {"2"}, "on": {"true"}, "same": {"two\nlines"}, "agreed": {"2"},
		}
		for name, list := range theirs { // it begins with what is stored now
			merged["before."+name] = list
		}
		if !reflect.DeepEqual(sent, merged) {
			t.Errorf("%q: %v\nwant %v", choice, sent, merged)
		}
		if !reflect.DeepEqual(beforeIn(sent), theirs) {
			t.Errorf("%q: begins with %v", choice, beforeIn(sent))
		}
	}
}

// TestMergeIsText shows hostile values of both sides as text.
func TestMergeIsText(t *testing.T) {
	t.Parallel()
	const hostile = `"><img src=x onerror=alert(1)>`
	fields := []mergeField{{Name: "name", Label: "Name"}}
	view := mergeFrom(fields, url.Values{"name": {"a" + hostile}}, url.Values{"name": {"b" + hostile}},
		url.Values{"name": {"c" + hostile}}, 1)
	set, err := templateNamed("merge")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := set.ExecuteTemplate(&b, "main", page{View: view}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "<img") || strings.Count(b.String(), "&lt;img") < 3 {
		t.Error(b.String())
	}
	if !slices.ContainsFunc(view.Fields, func(f field) bool { return f == field{"yours.name", "c" + hostile} }) {
		t.Errorf("%v", view.Fields)
	}
}
