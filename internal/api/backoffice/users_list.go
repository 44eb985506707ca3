package backoffice

import (
	"math"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

const maxInt64 = math.MaxInt64

func (h *handlers) listUsers(c echo.Context, actor identity.Actor) error {
	query, err := userQuery(c)
	if err != nil {
		return err
	}
	page, err := h.service.Users(c.Request().Context(), actor, query)
	if err != nil {
		return err
	}
	h.setAfter(c, page.Next)
	body := list[userBody]{Data: dataFrom(page.Users, userFrom)}
	if query.After == nil {
		body.Total = &page.Total
	}
	return c.JSON(http.StatusOK, body)
}

// userQuery reads the parameters of the list.
func userQuery(c echo.Context) (identity.UserQuery, error) {
	q := api.NewQuery(c)
	query := identity.UserQuery{
		Filter:     userFilterOf(q),
		Limit:      limitOf(q),
		Offset:     q.Int("offset", 0, maxInt64, 0),
		Sort:       oneOf(q, "sort_by", identity.UserSorts...),
		Descending: q.OneOf("sort_order", "asc", "desc") == "desc",
	}
	query.After = cursorOf(q, query.Sort, query.Descending)
	return query, q.Err()
}

// userFilterOf reads the filters of the list.
func userFilterOf(q *api.Query) identity.UserFilter {
	filter := identity.UserFilter{
		Name:   q.Text("filter[name]", identity.MaxNameLength),
		Search: q.Text("filter[q]", identity.MaxNameLength),
		Email:  q.Text("filter[email]", identity.MaxEmailBytes),
		Group:  q.Int("filter[group]", 1, maxInt64, 0),
	}
	if q.Has("filter[email]") && filter.Email == "" {
		// Taken as "any address" it would return a wrong user to a service that lost the value.
		q.Fail("filter[email]", "required", "must not be empty")
	}
	if q.Has("filter[tfa]") {
		tfa := q.OneOf("filter[tfa]", "true", "false") == "true"
		filter.TFA = &tfa
	}
	active, status := q.OneOf("filter[active]", "0", "1") == "1", q.OneOf("filter[status]", "any", "active", "inactive")
	switch {
	case active && status == "inactive":
		filter.None = true
	case active || status != "any":
		filter.Active = new(status != "inactive")
	}
	return filter
}

// cursorOf reads the parameter after, nil where it is absent. The cursor must be
// one of a list in the same order.
func cursorOf(q *api.Query, sort identity.UserSort, descending bool) *identity.Cursor {
	if !q.Has("after") {
		return nil
	}
	const maxLength = 4096
	cursor, err := identity.ParseCursor(q.Text("after", maxLength))
	switch {
	case err != nil:
		q.Fail("after", "invalid_cursor", "must be taken from the Link header of a previous page")
	case cursor.Sort != sort || cursor.Descending != descending:
		q.Fail("after", "invalid_cursor", "belongs to a list in another order")
	case q.Has("offset"):
		q.Fail("offset", "invalid_value", "must not be given together with after")
	}
	return &cursor
}
