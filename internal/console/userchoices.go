package console

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"

	"github.com/rosterhq/roster/internal/identity"
)

// filterField is a filter of the list of users, or its order, as a list to choose from.
type filterField struct {
	Name    string // of the parameter
	Label   string
	Options []option
	Hint    string
}

// option is a choice of a list. The first one of a filter selects nothing.
type option struct {
	Value  string
	Text   string
	On     bool
	Denied bool
}

// chip is a filter that is set. Href is the list without it.
type chip struct{ Label, Text, Href string }

var signinOptions = []option{
	{Value: "7d", Text: "7 days ago"}, {Value: "30d", Text: "30 days ago"}, {Value: "90d", Text: "90 days ago"},
}

// userFilters are the filters in the order of the page. The group's choices come with each
// page. "Also" are those that only links from elsewhere set.
var userFilters = []struct {
	param, label, anything string
	options                []option
	also                   bool
}{
	{param: paramName, label: "Name", also: true},
	{param: paramEmail, label: "E-mail", also: true},
	{
		paramStatus, "Status", "any",
		[]option{{Value: "active", Text: "active"}, {Value: "inactive", Text: "inactive"}},
		false,
	},
	{paramGroup, "Group", "any", nil, false},
	{paramTFA, "Second factor", "any", []option{{Value: "true", Text: "on"}, {Value: "false", Text: "off"}}, false},
	{
		paramSigninBefore, "Last sign-in before", "any time",
		append([]option{{Value: never, Text: "never signed in"}}, signinOptions...), false,
	},
	{paramSigninAfter, "Last sign-in since", "any time", signinOptions, false},
	{paramCreatedAfter, "Created since", "any time", signinOptions[:2], false},
	{param: paramCreatedBefore, label: "Created before", also: true},
	{
		paramLocked, "Sign-in locked", "any",
		[]option{{Value: "true", Text: "yes, by wrong passwords"}, {Value: "false", Text: "no"}},
		false,
	},
}

// choicesFrom returns the filters of a list to choose from, and those that are set.
func choicesFrom(values url.Values, names map[int64]string) (fields []filterField, chips []chip) {
	for _, f := range userFilters {
		value := values.Get(f.param)
		options := f.options
		if f.param == paramGroup {
			chosen, _ := strconv.ParseInt(value, 10, 64)
			options = groupOptions(names, chosen)
		}
		field := filterField{Name: f.param, Label: f.label, Options: []option{{Text: f.anything}}}
		text := value
		for _, o := range options {
			if o.On = o.Value == value; o.On {
				text = o.Text
			}
			field.Options = append(field.Options, o)
		}
		isSet := value != "" && (f.param != paramStatus || value != "any")
		if isSet && !slices.ContainsFunc(field.Options, func(o option) bool { return o.On }) {
			field.Options = append(field.Options, option{Value: value, Text: value, On: true}) // of a link from elsewhere
		}
		if isSet {
			chips = append(chips, chip{f.label, text, addressWith(values, usersPath, f.param, "", paramOffset, "")})
		}
		if isSet || !f.also {
			fields = append(fields, field)
		}
	}
	return fields, chips
}

// groupOptions returns groups by name.
func groupOptions(names map[int64]string, chosen int64) []option {
	options := make([]option, 0, len(names)+1)
	for id, name := range names {
		options = append(options, option{Value: strconv.FormatInt(id, 10), Text: name})
	}
	if _, known := names[chosen]; chosen > 0 && !known {
		options = append(options, option{Value: strconv.FormatInt(chosen, 10), Text: groupName(names, chosen)})
	}
	slices.SortFunc(options, func(a, b option) int {
		return cmp.Or(cmp.Compare(identity.Fold(a.Text), identity.Fold(b.Text)), cmp.Compare(a.Value, b.Value))
	})
	return options
}

// ordersFrom returns the order of a list to choose from, also for where the heads of columns
// are not shown.
func ordersFrom(actor identity.Actor, query identity.UserQuery) []filterField {
	by := filterField{Name: paramSort, Label: "Order by", Options: []option{
		{Value: string(identity.SortByName), Text: "name"},
		{Value: string(identity.SortByEmail), Text: "e-mail"},
		{Value: string(identity.SortByCreation), Text: "creation"},
		{Value: string(identity.SortByLastSignin), Text: "last sign-in"},
		{Value: string(identity.SortByID), Text: "id"},
	}}
	for i := range by.Options {
		o := &by.Options[i]
		o.On = o.Value == string(query.Sort)
		if o.Value == string(identity.SortByEmail) && !actor.CanViewMaskedData {
			o.Denied = true
			by.Hint = "Not by e-mail: the order would tell of addresses that are hidden from you."
		}
	}
	return []filterField{by, {Name: paramOrder, Label: "Direction", Options: []option{
		{Value: orderWord(false), Text: "up: A to Z, oldest first", On: !query.Descending},
		{Value: orderWord(true), Text: "down: Z to A, latest first", On: query.Descending},
	}}}
}

func orderWord(descending bool) string {
	if descending {
		return "desc"
	}
	return "asc"
}

// columnOptions returns the columns to choose from.
func columnOptions(list userList) []option {
	options := make([]option, len(userColumns))
	for i, c := range userColumns {
		options[i] = option{Value: c.Param, Text: c.Name, On: slices.Contains(list.Columns, c.Param)}
	}
	return options
}

// headsFrom returns the heads of the columns that are shown. A head leads to the list in the
// order of its column, from the first page on; the head of the present order turns it round.
func headsFrom(list userList) []column {
	heads := []column{headOf(list, "Name", identity.SortByName)}
	for _, c := range userColumns {
		if slices.Contains(list.Columns, c.Param) {
			heads = append(heads, headOf(list, c.Name, c.Sort))
		}
	}
	return heads
}

func headOf(list userList, name string, sort identity.UserSort) column {
	head := column{Name: name}
	if sort == "" {
		return head
	}
	isThis := list.Query.Sort == sort
	if isThis {
		head.Sort = "ascending"
		if list.Query.Descending {
			head.Sort = "descending"
		}
	}
	head.Href = addressWith(list.Values, usersPath, paramSort, string(sort), paramOrder,
		orderWord(isThis && !list.Query.Descending), paramOffset, "")
	return head
}
