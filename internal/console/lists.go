package console

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
)

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

// Bounds of a page of a list.
const (
	defaultRows = 50
	maxRows     = 200
)

// groupNames returns the names of the groups that the caller may see, by id. A page must
// not fail for them: without a name it shows the number.
func (h *handlers) groupNames(ctx context.Context, actor identity.Actor) map[int64]string {
	names, err := h.service.GroupNames(ctx, actor, identity.MaxPageSize)
	if err != nil {
		return nil
	}
	return names
}

func groupName(names map[int64]string, id int64) string {
	if name, ok := names[id]; ok {
		return name
	}
	return fmt.Sprintf("Group %d", id)
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
