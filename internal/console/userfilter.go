package console

import (
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// The parameters of the list of users. They are those of the Back Office API, except for
// columns. A time may also be a number of days before today, such as 90d, so that a link
// that somebody keeps stays right; lastSigninBefore may be never.
const (
	paramSearch        = "filter[q]"
	paramName          = "filter[name]"
	paramEmail         = "filter[email]"
	paramStatus        = "filter[status]"
	paramGroup         = "filter[group]"
	paramTFA           = "filter[tfa]"
	paramSigninBefore  = "filter[lastSigninBefore]"
	paramSigninAfter   = "filter[lastSigninAfter]"
	paramCreatedBefore = "filter[createdBefore]"
	paramCreatedAfter  = "filter[createdAfter]"
	paramLocked        = "filter[locked]"
	paramColumns       = "columns"
	paramSort          = "sort_by"
	paramOrder         = "sort_order"
	paramLimit         = "limit"
	paramOffset        = "offset"
	paramTotal         = "total"
)

const never = "never"

// userList is what the address of the list of users asks for.
type userList struct {
	Query   identity.UserQuery
	Columns []string
	// Values are the parameters that are not empty, without total.
	Values url.Values
}

// userListIn reads the parameters of the list at a time. It ignores empty ones, which a
// form sends for what is not chosen.
func userListIn(parameters url.Values, now time.Time) (userList, error) {
	values := url.Values{}
	for name, list := range parameters {
		if list = slices.DeleteFunc(slices.Clone(list), func(v string) bool { return v == "" }); len(list) > 0 {
			values[name] = list
		}
	}
	q := api.QueryOf(values)
	list := userList{
		Query: identity.UserQuery{
			Filter:     userFilterIn(q, now),
			Limit:      int(q.Int(paramLimit, 1, maxRows, defaultRows)),
			Offset:     q.Int(paramOffset, 0, math.MaxInt64, 0),
			Sort:       sortIn(q),
			Descending: q.OneOf(paramOrder, "asc", "desc") == "desc",
			NoTotal:    q.OneOf(paramTotal, "true", "false") == "false",
		},
		Columns: columnsIn(q), Values: values,
	}
	dropUsual(list)
	return list, q.Err()
}

// dropUsual takes from the parameters of a list what is so without them: an address is
// short, and does not depend on whether a form or a link has made it.
func dropUsual(list userList) {
	list.Values.Del(paramTotal)
	for name, usual := range map[string]string{
		paramSort: string(identity.SortByName), paramOrder: "asc", paramStatus: "any", paramLimit: strconv.Itoa(defaultRows),
		paramOffset: "0",
	} {
		if list.Values.Get(name) == usual {
			list.Values.Del(name)
		}
	}
	var columns []string
	for _, c := range userColumns {
		if slices.Contains(list.Columns, c.Param) {
			columns = append(columns, c.Param)
		}
	}
	switch {
	case slices.Equal(columns, usualColumns()):
		list.Values.Del(paramColumns)
	case columns == nil:
		list.Values.Set(paramColumns, "name")
	default:
		list.Values.Set(paramColumns, strings.Join(columns, ","))
	}
}

func usualColumns() []string {
	var usual []string
	for _, c := range userColumns {
		if c.Usual {
			usual = append(usual, c.Param)
		}
	}
	return usual
}

func userFilterIn(q *api.Query, now time.Time) identity.UserFilter {
	filter := identity.UserFilter{
		Name:          q.Text(paramName, identity.MaxNameLength),
		Search:        strings.TrimSpace(q.Text(paramSearch, identity.MaxNameLength)),
		Email:         q.Text(paramEmail, identity.MaxEmailBytes),
		Group:         q.Int(paramGroup, 1, math.MaxInt64, 0),
		TFA:           boolIn(q, paramTFA),
		Locked:        boolIn(q, paramLocked),
		SigninBefore:  dayIn(q, paramSigninBefore, now),
		SigninAfter:   dayIn(q, paramSigninAfter, now),
		CreatedBefore: dayIn(q, paramCreatedBefore, now),
		CreatedAfter:  dayIn(q, paramCreatedAfter, now),
	}
	if status := q.OneOf(paramStatus, "any", "active", "inactive"); status != "any" {
		filter.Active = new(status == "active")
	}
	return filter
}

func boolIn(q *api.Query, name string) *bool {
	if !q.Has(name) {
		return nil
	}
	return new(q.OneOf(name, "true", "false") == "true")
}

// dayIn reads a time; the zero time where it is absent.
func dayIn(q *api.Query, name string, now time.Time) time.Time {
	text, ok := q.Get(name)
	if !ok {
		return time.Time{}
	}
	t, ok := parseDay(text, now)
	if !ok || text == never && name != paramSigninBefore {
		q.Fail(name, "invalid_time", "must be a time such as 2026-03-12T10:00:00Z, or days such as 90d")
	}
	return t
}

// parseDay reads a time, or the first moment of a day such as 90d, which is 90 days before
// today. Who never signed in counts as before any time, so "never" is a time before all
// sign-ins.
func parseDay(text string, now time.Time) (time.Time, bool) {
	const maxDays = 36500
	if text == never {
		return time.Unix(0, 0).UTC(), true
	}
	if digits, isDays := strings.CutSuffix(text, "d"); isDays {
		n, err := strconv.ParseUint(digits, 10, 32)
		return now.UTC().Truncate(day).Add(-time.Duration(n) * day), err == nil && n <= maxDays
	}
	t, err := time.Parse(time.RFC3339, text)
	return t.UTC(), err == nil && t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 && !t.IsZero()
}

// sortIn reads the order. A list without one is ordered by name.
func sortIn(q *api.Query) identity.UserSort {
	if !q.Has(paramSort) {
		return identity.SortByName
	}
	names := make([]string, len(identity.UserSorts))
	for i, sort := range identity.UserSorts {
		names[i] = string(sort)
	}
	return identity.UserSort(q.OneOf(paramSort, names...))
}

// userColumn is a column that can be shown or not. The name and the address always are.
type userColumn struct {
	Param string
	Name  string
	Sort  identity.UserSort // "" if there is no such order
	Usual bool
}

var userColumns = []userColumn{
	{"status", "Status", "", true},
	{"groups", "Groups", "", true},
	{"tfa", "Second factor", "", true},
	{"lastSignin", "Last sign-in", identity.SortByLastSignin, true},
	{"created", "Created", identity.SortByCreation, false},
	{"phone", "Phone", "", false},
	{"id", "Id", identity.SortByID, false},
}

// columnsIn reads the columns, as columns=a,b or as columns=a&columns=b. "name" is always
// shown, and makes a list of no other.
func columnsIn(q *api.Query) []string {
	var chosen []string
	for _, part := range q.All(paramColumns) {
		for name := range strings.SplitSeq(part, ",") {
			known := name == "name" || slices.ContainsFunc(userColumns, func(c userColumn) bool { return c.Param == name })
			if !known {
				q.Fail(paramColumns, "invalid_value", "must name columns of this list")
				return nil
			}
			chosen = append(chosen, name)
		}
	}
	if chosen == nil {
		return usualColumns()
	}
	return chosen
}

// apiQuery returns the parameters with which the Back Office API gives the same list.
func (l userList) apiQuery(now time.Time) url.Values {
	query := url.Values{}
	for name, list := range l.Values {
		switch name {
		case paramColumns:
			continue
		case paramSigninBefore, paramSigninAfter, paramCreatedBefore, paramCreatedAfter:
			if t, ok := parseDay(list[0], now); ok {
				list = []string{t.Format(time.RFC3339)}
			}
		}
		query[name] = list
	}
	if query.Get(paramSort) == "" {
		query.Set(paramSort, string(identity.SortByName))
	}
	return query
}

// filters returns the parameters that select users, for a job or a file.
func (l userList) filters() url.Values {
	filters := url.Values{}
	for name, list := range l.Values {
		if strings.HasPrefix(name, "filter[") {
			filters[name] = list
		}
	}
	return filters
}
