package console

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// change is one field before and after, in words.
type change struct{ Field, Label, Old, New string }

// changesFrom returns changes in the order of labels. names are those of the groups. The
// changes come from a Diff, or from a stored event, where numbers are float64.
func changesFrom(changes identity.Changes, names map[int64]string) []change {
	var list []change
	for _, label := range labels {
		if c, ok := changes[label.field]; ok {
			list = append(list, change{
				label.field, label.text, valueText(label.field, c.Old, names), valueText(label.field, c.New, names),
			})
		}
	}
	for _, field := range sortedKeys(changes) {
		if labelOf(field) == field { // not in labels
			c := changes[field]
			list = append(list, change{field, field, valueText(field, c.Old, names), valueText(field, c.New, names)})
		}
	}
	return list
}

// labels holds the fields as pages call them, in the order in which they are shown.
var labels = []struct{ field, text string }{
	{identity.FieldName, "Name"},
	{identity.FieldEmail, "E-mail"},
	{identity.FieldPhone, "Phone"},
	{identity.FieldActive, "Active"},
	{identity.FieldBlockedCode, "Reason of the block"},
	{identity.FieldTFA, "Second factor"},
	{identity.FieldGroups, "Groups"},
	{identity.FieldPermissions, "Permissions"},
	{identity.FieldRequireTFA, "Requires a second factor"},
	{identity.FieldAllowList, "Allowed addresses"},
	{identity.FieldClientTags, "Client tags"},
	{identity.FieldCanViewMaskedData, "Sees unmasked data"},
	{identity.FieldPassword, "Password"},
	{identity.FieldExpiresAt, "Ends"},
	{identity.FieldUserID, "Acts for"},
	{identity.FieldURL, "URL"},
	{identity.FieldEvents, "Events"},
	{identity.FieldFormat, "Format"},
	{identity.FieldAuth, "Authentication"},
	{identity.FieldSecret, "Secret"},
	{identity.FieldSession, "Session"},
	{fieldPeople, "People"},
	{identity.FieldToken, "Token"},
	{identity.FieldDelivery, "Delivery"},
	{identity.FieldDeliveries, "Deliveries"},
	{identity.FieldRecord, "Record"},
	{"filter[user]", "About the user"},
	{"filter[actor]", "By"},
	{"filter[type]", "Type"},
	{"filter[reason]", "Reason"},
	{"filter[since]", "From"},
	{"filter[until]", "Before"},
	{"after", "Page"},
	{identity.FieldCurrentPassword, "Present password"},
	{fieldAgain, "Password, once more"},
	{identity.FieldCode, "Code"},
}

// labelOf returns a field as pages call it. A part of a list, such as ipWhitelist[1], is a
// line.
func labelOf(field string) string {
	if name, rest, isPart := strings.Cut(field, "["); isPart {
		if n, err := strconv.Atoi(strings.TrimSuffix(rest, "]")); err == nil {
			return fmt.Sprintf("%s, line %d", labelOf(name), n+1)
		}
	}
	for _, label := range labels {
		if label.field == field {
			return label.text
		}
	}
	return field
}

// noValue is what a field without a value shows.
const noValue = "none"

// valueText returns a value of a field in words; "none" for no value.
func valueText(field string, value any, names map[int64]string) string {
	switch v := value.(type) {
	case nil:
		return noValue
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case time.Time:
		return momentOf(v, v).Exact
	case float64:
		return valueText(field, int64(v), names)
	case int64:
		if field == identity.FieldGroups {
			return groupName(names, v)
		}
		return strconv.FormatInt(v, 10)
	case []any:
		return listText(field, v, names)
	case []int64:
		return listText(field, v, names)
	case []string:
		return listText(field, v, names)
	case identity.AllowList:
		return listText(field, v, names)
	case []identity.EventType:
		return listText(field, v, names)
	case []identity.ClientTag:
		return listText(field, v, names)
	case identity.ClientTag:
		return tagLine(v)
	}
	if text := fmt.Sprint(value); text != "" {
		return text
	}
	return noValue
}

func listText[T any](field string, list []T, names map[int64]string) string {
	if len(list) == 0 {
		return noValue
	}
	texts := make([]string, len(list))
	for i, item := range list {
		texts[i] = valueText(field, item, names)
	}
	return strings.Join(texts, ", ")
}
