package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
)

const usersPath = Prefix + "/users"

// usersView is a page of the list of users, or the people whom a pasted list names.
type usersView struct {
	Search  string
	Rows    []listRow
	Show    shown
	Total   string // how many match; "" if that is not known yet
	Range   string // "1–50 of 1,204"
	Spoken  string // what a screen reader hears after a search
	Columns []column
	Span    int    // how many columns a row has
	Prev    string // the address of the page before; "" for none
	Next    string
	Filters []filterField
	Orders  []filterField
	Choose  []option // the columns
	Many    bool     // there are more groups than the lists have
	Limit   int      // rows of a page, where that is not the usual number
	Chips   []chip
	Reset   string // the address without filters; "" where none is set
	Later   string // the address that has the total; "" if it is known
	Here    string // the address of this list
	CSV     string
	Bulk    bulkBar
	ByID    *listRow // the user whose id is searched for
	Found   *foundView
	Denied  string // why the caller cannot create users
}

// foundView is what a pasted list has found.
type foundView struct {
	Text     string
	Count    int
	NotFound []string
	Problem  string
	Form     bool // nothing is asked for yet
}

// shown says which columns are shown.
type shown struct{ Status, Groups, TFA, Signin, Created, Phone, ID bool }

// listRow is one user in the list, in texts, so that a row costs little to write.
type listRow struct {
	ID, Name, Initials, Email, Phone string
	Masked, Active, TFA              bool
	Groups                           []string
	Signin, Created                  moment
}

// bulkBar is what can be done with the selected users.
type bulkBar struct {
	Action       string // the path of the form, with the filters
	All          bool   // "all that match" can be chosen
	Groups       []option
	DeniedChange string
	DeniedGroup  string
	DeniedDelete string
}

// listUsers shows the list. A search for several addresses or ids finds those people.
func (h *handlers) listUsers(c echo.Context, actor identity.Actor) error {
	now := h.now()
	list, err := userListIn(c.QueryParams(), now)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	names := h.groupNames(ctx, actor)
	if texts := listed(list.Query.Filter.Search); texts != nil {
		return h.showFound(c, actor, list, names, texts, foundView{Text: list.Query.Filter.Search})
	}
	users, err := h.service.Users(ctx, actor, list.Query)
	if err != nil {
		return err
	}
	view := usersViewFrom(actor, users, list, names, now)
	view.ByID = h.rowByID(ctx, actor, list, names, now)
	if list.Query.NoTotal {
		// The search does not wait for the total; the address is that of the list with it.
		c.Response().Header().Set("HX-Replace-Url", view.Here)
	}
	return h.renderUsers(c, actor, view, list)
}

func (h *handlers) renderUsers(c echo.Context, actor identity.Actor, view usersView, list userList) error {
	return h.render(c, actor, http.StatusOK, "users", page{
		Title: "Users", Nav: "users", View: view,
		API: h.apiCall(c, http.MethodGet, "/api/v2/users", list.apiQuery(h.now()), ""),
	})
}

// rowByID returns the user whose id is the text of a search; nil for no such user.
func (h *handlers) rowByID(ctx context.Context, actor identity.Actor, list userList, names map[int64]string,
	now time.Time,
) *listRow {
	id, err := strconv.ParseInt(list.Query.Filter.Search, 10, 64)
	if err != nil || id < 1 {
		return nil
	}
	user, err := h.service.User(ctx, actor, id)
	if err != nil {
		return nil // the list says what else matches
	}
	return new(listRowFrom(actor, user, list.Columns, names, now))
}

func usersViewFrom(actor identity.Actor, users identity.UserPage, list userList, names map[int64]string, now time.Time,
) usersView {
	query := list.Query
	view := listViewFrom(actor, users.Users, list, names, now)
	if query.NoTotal {
		view.Later, view.Spoken = view.Here, ""
		view.Range, view.Prev, view.Next = pagerOf(list.Values, usersPath, query.Offset, query.Limit, len(users.Users),
			query.Offset+int64(len(users.Users)))
		view.Range = rangeText(query.Offset, len(users.Users))
		if users.Next != nil {
			view.Next = addressWith(list.Values, usersPath, paramOffset, offsetText(query.Offset+int64(len(users.Users))))
		}
		return view
	}
	view.Total, view.Spoken = number(users.Total), count(users.Total, "user")+"."
	view.Range, view.Prev, view.Next = pagerOf(list.Values, usersPath, query.Offset, query.Limit, len(users.Users),
		users.Total)
	return view
}

func rangeText(offset int64, rows int) string {
	if rows == 0 {
		return "None"
	}
	return number(offset+1) + "–" + number(offset+int64(rows))
}

// listViewFrom returns what the list and the people of a pasted list have in common.
func listViewFrom(actor identity.Actor, users []identity.User, list userList, names map[int64]string, now time.Time,
) usersView {
	view := usersView{
		Search: list.Values.Get(paramSearch), Show: shownFrom(list.Columns), Columns: headsFrom(list),
		Orders: ordersFrom(actor, list.Query), Choose: columnOptions(list), Many: len(names) >= identity.MaxPageSize,
		Here: addressWith(list.Values, usersPath), CSV: addressWith(list.filters(), usersPath+".csv"),
		Denied: lacks(actor, identity.UsersCreate), Bulk: bulkBarFrom(actor, list, names), Rows: make([]listRow, len(users)),
	}
	if list.Values.Has(paramLimit) {
		view.Limit = list.Query.Limit
	}
	view.Filters, view.Chips = choicesFrom(list.Values, names)
	view.Span = len(view.Columns) + 1
	for i, user := range users {
		view.Rows[i] = listRowFrom(actor, user, list.Columns, names, now)
	}
	if len(list.filters()) > 0 {
		view.Reset = addressWith(withoutFilters(list.Values), usersPath)
	}
	return view
}

// withoutFilters returns the parameters that select nobody: the columns and the order.
func withoutFilters(values url.Values) url.Values {
	kept := url.Values{}
	for _, name := range []string{paramColumns, paramSort, paramOrder, paramLimit} {
		if list := values[name]; list != nil {
			kept[name] = list
		}
	}
	return kept
}

func shownFrom(columns []string) shown {
	has := func(name string) bool { return slices.Contains(columns, name) }
	return shown{
		has("status"), has("groups"), has("tfa"), has("lastSignin"), has("created"), has("phone"), has("id"),
	}
}

func listRowFrom(actor identity.Actor, user identity.User, columns []string, names map[int64]string, now time.Time,
) listRow {
	row := listRow{
		ID: strconv.FormatInt(user.ID, 10), Name: string(user.Name), Initials: initials(string(user.Name)),
		Email: string(user.Email), Phone: string(user.Phone), Masked: !actor.SeesUnmasked(user.ID),
		Active: user.Active, TFA: user.TFA,
	}
	for _, column := range columns {
		switch column {
		case "groups":
			for _, id := range user.Groups {
				row.Groups = append(row.Groups, groupName(names, id))
			}
		case "lastSignin":
			row.Signin = momentOf(user.LastSigninAt, now)
		case "created":
			row.Created = momentOf(user.CreatedAt, now)
		}
	}
	return row
}

func bulkBarFrom(actor identity.Actor, list userList, names map[int64]string) bulkBar {
	bar := bulkBar{
		Action: addressWith(list.filters(), usersPath+"/bulk"), All: true, Groups: groupOptions(names, 0),
		DeniedChange: lacks(actor, identity.UsersUpdate), DeniedDelete: lacks(actor, identity.UsersDelete),
	}
	if bar.DeniedGroup = bar.DeniedChange; bar.DeniedGroup == "" {
		bar.DeniedGroup = lacks(actor, identity.GroupsView)
	}
	return bar
}
