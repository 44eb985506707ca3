package console

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rosterhq/roster/internal/identity"
)

// The fields of the forms of a user have the names of the API. Lists are lines of a text,
// groups boxes to tick.
const (
	fieldNotify      = "sendNotify"
	fieldGroupFilter = "groupFilter"
	ticked           = "true"
)

// userValues returns the values with which the form of a user begins.
func userValues(user identity.User, all bool) url.Values {
	values := url.Values{
		identity.FieldName: {string(user.Name)}, identity.FieldEmail: {string(user.Email)},
		identity.FieldPhone: {string(user.Phone)},
	}
	if !all {
		delete(values, identity.FieldEmail)
		return values
	}
	if user.TFA {
		values.Set(identity.FieldTFA, ticked)
	}
	if user.CanViewMaskedData {
		values.Set(identity.FieldCanViewMaskedData, ticked)
	}
	for _, id := range user.Groups {
		values.Add(identity.FieldGroups, strconv.FormatInt(id, 10))
	}
	lines := make([]string, len(user.ClientTags))
	for i, tag := range user.ClientTags {
		lines[i] = tagLine(tag)
	}
	values.Set(identity.FieldClientTags, strings.Join(lines, "\n"))
	return values
}

// userChangeFrom reads the form of a user, or only what users may change of themselves. The
// error is Invalid and names the fields that are wrong.
func userChangeFrom(values url.Values, all bool) (identity.UserChange, error) {
	var change identity.UserChange
	var problems identity.Problems
	change.Name = parsed(&problems, identity.FieldName, values.Get(identity.FieldName), identity.ParseName)
	change.Phone = new(identity.Phone)
	if phone := strings.TrimSpace(values.Get(identity.FieldPhone)); phone != "" {
		change.Phone = parsed(&problems, identity.FieldPhone, phone, identity.ParsePhoneOrMask)
	}
	if !all {
		return change, problems.Err()
	}
	change.Email = parsed(&problems, identity.FieldEmail, values.Get(identity.FieldEmail), identity.ParseEmail)
	change.TFA = new(values.Get(identity.FieldTFA) == ticked)
	change.CanViewMaskedData = new(values.Get(identity.FieldCanViewMaskedData) == ticked)
	change.Groups = groupsFrom(&problems, values[identity.FieldGroups])
	tags := parsedLines(&problems, identity.FieldClientTags, values, identity.MaxClientTags, tagFrom)
	change.ClientTags = &tags
	addProblem(&problems, identity.FieldClientTags, identity.ClientTags(tags).Check())
	return change, problems.Err()
}

// groupsFrom returns the ids of the ticked groups in order, each once.
func groupsFrom(problems *identity.Problems, texts []string) *[]int64 {
	groups := []int64{}
	for _, text := range texts {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id < 1 {
			problems.Add(identity.FieldGroups, "invalid_id", "must be groups of the list")
			return &groups
		}
		groups = append(groups, id)
	}
	slices.Sort(groups)
	groups = slices.Compact(groups)
	if len(groups) > identity.MaxGroupsPerUser {
		problems.Add(identity.FieldGroups, "too_many", "must be at most "+strconv.Itoa(identity.MaxGroupsPerUser)+" groups")
	}
	return &groups
}

// parsed reads a field and adds what is wrong with it to the problems.
func parsed[T any](problems *identity.Problems, field, text string, parse func(string) (T, error)) *T {
	value, err := parse(text)
	addProblem(problems, field, err)
	return &value
}

// parsedLines reads a field with a value on each line. Empty lines count for nothing.
func parsedLines[T any](problems *identity.Problems, field string, values url.Values, most int,
	parse func(string) (T, error),
) []T {
	list := []T{}
	for i, line := range strings.Split(values.Get(field), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if len(list) == most {
			problems.Add(field, "too_many", "must have at most "+strconv.Itoa(most)+" lines")
			break
		}
		list = append(list, *parsed(problems, field+"["+strconv.Itoa(i)+"]", line, parse))
	}
	return list
}

// onlyChanged returns a change without the fields that stay as they are, and what it changes.
func onlyChanged(change identity.UserChange, before identity.User) (identity.UserChange, identity.Changes) {
	changes := before.Diff(change.Apply(before))
	var only identity.UserChange
	for field := range changes {
		switch field {
		case identity.FieldName:
			only.Name = change.Name
		case identity.FieldEmail:
			only.Email = change.Email
		case identity.FieldPhone:
			only.Phone = change.Phone
		case identity.FieldTFA:
			only.TFA = change.TFA
		case identity.FieldGroups:
			only.Groups = change.Groups
		case identity.FieldClientTags:
			only.ClientTags = change.ClientTags
		case identity.FieldCanViewMaskedData:
			only.CanViewMaskedData = change.CanViewMaskedData
		}
	}
	return only, changes
}

// jsonOf returns what changes of a user are in a request of the API.
func jsonOf(changes identity.Changes, notify bool) string {
	body := map[string]any{}
	for field, change := range changes {
		body[field] = change.New
	}
	if notify {
		body[fieldNotify] = true
	}
	return jsonText(body)
}

// groupChoice is a group as a box to tick.
type groupChoice struct {
	ID     int64
	Name   string
	On     bool
	Locked string // why the caller cannot tick or untick it; "" if it can
	Away   bool   // the filter does not show it
}

// minFiltered is from how many groups on they have a filter.
const minFiltered = 9

// groupChoices are the groups of a form.
type groupChoices struct {
	List    []groupChoice
	Filter  string
	Filters bool // there are so many groups that they have a filter
	Problem string
}

// groupChoicesFrom returns all groups with those of a form ticked. A group that gives more than
// the caller has can neither be given nor taken. visible says that the caller may see groups.
func groupChoicesFrom(actor identity.Actor, groups []identity.Group, visible bool, values url.Values) groupChoices {
	choices := groupChoices{Filter: strings.TrimSpace(values.Get(fieldGroupFilter)), Filters: len(groups) >= minFiltered}
	chosen := map[int64]bool{}
	for _, text := range values[identity.FieldGroups] {
		if id, err := strconv.ParseInt(text, 10, 64); err == nil {
			chosen[id] = true
		}
	}
	wanted := identity.Fold(choices.Filter)
	for _, group := range groups {
		choice := groupChoice{ID: group.ID, Name: string(group.Name), On: chosen[group.ID]}
		if !actor.Permissions.Contains(group.Permissions) {
			choice.Locked = "It has permissions that you do not hold yourself."
		}
		choice.Away = !strings.Contains(identity.Fold(choice.Name), wanted)
		choices.List = append(choices.List, choice)
		delete(chosen, group.ID)
	}
	for _, id := range sortedKeys(chosen) { // the caller does not see them, or they are gone
		choice := groupChoice{ID: id, Name: groupName(nil, id), On: true}
		if !visible {
			choice.Locked = lacks(actor, identity.GroupsView)
		}
		choices.List = append(choices.List, choice)
	}
	return choices
}

// groupNamesOf returns the names of groups by id.
func groupNamesOf(groups []identity.Group) map[int64]string {
	names := make(map[int64]string, len(groups))
	for _, group := range groups {
		names[group.ID] = string(group.Name)
	}
	return names
}
