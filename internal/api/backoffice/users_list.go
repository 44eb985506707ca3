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
	if query.After == nil && !query.NoTotal {
		body.Total = &page.Total
	}
	return c.JSON(http.StatusOK, body)
}

type countBody struct {
	Total             int64 `json:"total"`
	TotalIsLowerBound bool  `json:"totalIsLowerBound"`
}

func (h *handlers) countUsers(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	filter := userFilter(q)
	if err := q.Err(); err != nil {
		return err
	}
	count, err := h.service.CountUsers(c.Request().Context(), actor, filter)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, countBody{Total: count.Total, TotalIsLowerBound: count.IsLowerBound})
}

type findUsersRequest struct {
	Texts *[]string `json:"texts" validate:"required,max=1000"`
}

type foundUsersBody struct {
	Data     []userBody `json:"data"`
	NotFound []string   `json:"notFound"`
}

func (h *handlers) findUsers(c echo.Context, actor identity.Actor) error {
	request, err := api.Bind[findUsersRequest](c)
	if err != nil {
		return err
	}
	matches, err := h.service.FindUsers(c.Request().Context(), actor, *request.Texts)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, foundUsersBody{Data: dataFrom(matches.Users, userFrom), NotFound: matches.NotFound})
}

// userQuery reads the parameters of the list.
func userQuery(c echo.Context) (identity.UserQuery, error) {
	q := api.NewQuery(c)
	query := identity.UserQuery{
		Filter:     userFilter(q),
		Limit:      limitOf(q),
		Offset:     q.Int("offset", 0, maxInt64, 0),
		Sort:       oneOf(q, "sort_by", identity.UserSorts...),
		Descending: q.OneOf("sort_order", "asc", "desc") == "desc",
		NoTotal:    q.OneOf("total", "true", "false") == "false",
	}
	query.After = cursorOf(q, query.Sort, query.Descending)
	return query, q.Err()
}

// userFilter reads the filters of users.
func userFilter(q *api.Query) identity.UserFilter {
	filter := identity.UserFilter{
		Name:          q.Text("filter[name]", identity.MaxNameLength),
		Search:        q.Text("filter[q]", identity.MaxNameLength),
		Email:         q.Text("filter[email]", identity.MaxEmailBytes),
		Group:         q.Int("filter[group]", 1, maxInt64, 0),
		SigninAfter:   timeOf(q, "filter[lastSigninAfter]"),
		SigninBefore:  timeOf(q, "filter[lastSigninBefore]"),
		CreatedAfter:  timeOf(q, "filter[createdAfter]"),
		CreatedBefore: timeOf(q, "filter[createdBefore]"),
	}
	if q.Has("filter[email]") && filter.Email == "" {
		// Taken as "any address" it would return a wrong user to a service that lost the value.
		q.Fail("filter[email]", "required", "must not be empty")
	}
	filter.TFA, filter.Locked = boolOf(q, "filter[tfa]"), boolOf(q, "filter[locked]")
	active, status := q.OneOf("filter[active]", "0", "1") == "1", q.OneOf("filter[status]", "any", "active", "inactive")
	switch {
	case active && status == "inactive":
		filter.None = true
	case active || status != "any":
		filter.Active = new(status != "inactive")
	}
	return filter
}

// boolOf reads true or false; nil where it is absent.
func boolOf(q *api.Query, name string) *bool {
	if !q.Has(name) {
		return nil
	}
	return new(q.OneOf(name, "true", "false") == "true")
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
