package console

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// usersView is a page of the list of users.
type usersView struct {
	Query   url.Values
	Search  string
	Rows    []userRow
	Total   int64
	Range   string // "1–50 of 1,204"
	Columns []column
	Prev    string // the address of the page before; "" for none
	Next    string
}

// column is the head of a column.
type column struct {
	Name string
	Href string // orders by the column; "" if there is no such order
	Sort string // ascending or descending where the list is in this order, else ""
}

// userRow is one user in a list.
type userRow struct {
	ID         int64
	Href       string
	Name       string
	Initials   string
	Email      string
	Masked     bool // the address is a mask
	Active     bool
	Groups     []string
	TFA        bool
	LastSignin moment
}

func (h *handlers) listUsers(c echo.Context, actor identity.Actor) error {
	query, err := usersQuery(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	users, err := h.service.Users(ctx, actor, query)
	if err != nil {
		return err
	}
	names := h.groupNames(ctx, actor)
	view := usersViewFrom(actor, users, query, c.QueryParams(), names, h.now())
	return h.render(c, actor, http.StatusOK, "users", page{
		Title: "Users", Nav: "users", View: view,
		API: h.apiCall(c, http.MethodGet, "/api/v2/users", c.QueryParams(), ""),
	})
}

// usersQuery reads the parameters of the list, which are those of the Back Office API.
func usersQuery(c echo.Context) (identity.UserQuery, error) {
	q := api.NewQuery(c)
	query := identity.UserQuery{
		Filter: identity.UserFilter{
			Search: q.Text("filter[q]", identity.MaxNameLength),
			Group:  q.Int("filter[group]", 1, math.MaxInt64, 0),
		},
		Limit:      int(q.Int("limit", 1, maxRows, defaultRows)),
		Offset:     q.Int("offset", 0, math.MaxInt64, 0),
		Sort:       sortOf(q),
		Descending: q.OneOf("sort_order", "asc", "desc") == "desc",
	}
	if q.Has("filter[tfa]") {
		query.Filter.TFA = new(q.OneOf("filter[tfa]", "true", "false") == "true")
	}
	if status := q.OneOf("filter[status]", "any", "active", "inactive"); status != "any" {
		query.Filter.Active = new(status == "active")
	}
	return query, q.Err()
}

// Bounds of a page of a list.
const (
	defaultRows = 50
	maxRows     = 200
)

func sortOf(q *api.Query) identity.UserSort {
	names := make([]string, len(identity.UserSorts))
	for i, sort := range identity.UserSorts {
		names[i] = string(sort)
	}
	return identity.UserSort(q.OneOf("sort_by", names...))
}

// groupNames returns the names of the groups that the caller may see, by id. A page must
// not fail for them: without a name it shows the number.
func (h *handlers) groupNames(ctx context.Context, actor identity.Actor) map[int64]string {
	groups, _, err := h.service.Groups(ctx, actor, identity.Page{Limit: identity.MaxPageSize})
	if err != nil {
		return nil
	}
	names := make(map[int64]string, len(groups))
	for _, group := range groups {
		names[group.ID] = string(group.Name)
	}
	return names
}

func groupName(names map[int64]string, id int64) string {
	if name, ok := names[id]; ok {
		return name
	}
	return fmt.Sprintf("Group %d", id)
}

func usersViewFrom(actor identity.Actor, users identity.UserPage, query identity.UserQuery, values url.Values,
	names map[int64]string, now time.Time,
) usersView {
	view := usersView{Query: values, Search: query.Filter.Search, Total: users.Total, Columns: userColumns(query, values)}
	for _, user := range users.Users {
		view.Rows = append(view.Rows, userRowFrom(actor, user, names, now))
	}
	view.Range, view.Prev, view.Next = pagerOf(values, Prefix+"/users", query.Offset, query.Limit, len(users.Users),
		users.Total)
	return view
}

func userRowFrom(actor identity.Actor, user identity.User, names map[int64]string, now time.Time) userRow {
	row := userRow{
		ID: user.ID, Href: userPath(user.ID), Name: string(user.Name), Initials: initials(string(user.Name)),
		Email: string(user.Email), Masked: !actor.SeesUnmasked(user.ID), Active: user.Active, TFA: user.TFA,
		LastSignin: momentOf(user.LastSigninAt, now),
	}
	for _, id := range user.Groups {
		row.Groups = append(row.Groups, groupName(names, id))
	}
	return row
}

func userPath(id int64) string { return Prefix + "/users/" + strconv.FormatInt(id, 10) }

// userColumns returns the heads of the list. A head leads to the list in the order of its
// column, from the first page on; the head of the present order turns it round.
func userColumns(query identity.UserQuery, values url.Values) []column {
	columns := []column{
		{Name: "Name", Href: string(identity.SortByName)},
		{Name: "Status"},
		{Name: "Groups"},
		{Name: "Second factor"},
		{Name: "Last sign-in", Href: string(identity.SortByLastSignin)},
	}
	for i := range columns {
		c := &columns[i]
		if c.Href == "" {
			continue
		}
		order := "asc"
		if string(query.Sort) == c.Href {
			c.Sort = "ascending"
			if query.Descending {
				c.Sort = "descending"
			} else {
				order = "desc"
			}
		}
		c.Href = addressWith(values, Prefix+"/users", "sort_by", c.Href, "sort_order", order, "offset", "")
	}
	return columns
}

// pagerOf returns what a list says of its page, and the addresses of the pages beside it.
func pagerOf(values url.Values, path string, offset int64, limit, rows int, total int64) (text, prev, next string) {
	if rows == 0 {
		text = "0 of " + number(total)
	} else {
		text = fmt.Sprintf("%s–%s of %s", number(offset+1), number(offset+int64(rows)), number(total))
	}
	if offset > 0 {
		prev = addressWith(values, path, "offset", offsetText(max(offset-int64(limit), 0)))
	}
	if end := offset + int64(rows); rows > 0 && end < total {
		next = addressWith(values, path, "offset", offsetText(end))
	}
	return text, prev, next
}

func offsetText(offset int64) string {
	if offset == 0 {
		return ""
	}
	return strconv.FormatInt(offset, 10)
}

// addressWith returns a path with the parameters of a page and these changes, name and
// value in turn; "" takes a parameter away.
func addressWith(values url.Values, path string, changes ...string) string {
	changed := url.Values{}
	for name, list := range values {
		changed[name] = list
	}
	for i := 0; i+1 < len(changes); i += 2 {
		if changes[i+1] == "" {
			changed.Del(changes[i])
		} else {
			changed.Set(changes[i], changes[i+1])
		}
	}
	if len(changed) == 0 {
		return path
	}
	return path + "?" + changed.Encode()
}

// apiCall returns the call of the Back Office API that does the same as a page.
func (h *handlers) apiCall(c echo.Context, method, path string, query url.Values, body string) *apiCall {
	call := &apiCall{Method: method, Path: path, Body: body, Base: h.base(c)}
	if len(query) > 0 {
		call.Path += "?" + readable(query)
	}
	return call
}

// readable returns a query with the brackets of its names as they are written.
func readable(query url.Values) string {
	text := ""
	for _, name := range sortedKeys(query) {
		for _, value := range query[name] {
			if text != "" {
				text += "&"
			}
			text += name + "=" + url.QueryEscape(value)
		}
	}
	return text
}

// base returns the URL of the service, as the operator's browser reaches it. A host that
// only the request names does not get into a command that somebody runs.
func (h *handlers) base(c echo.Context) string {
	if base := h.site.Base(c.Request()); base != "" {
		return base
	}
	return "https://roster.example.com"
}
