package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// csvTimeout bounds the work on a file of users.
const csvTimeout = 5 * time.Minute

// maxCSVRows bounds the users in a file.
const maxCSVRows = 100_000

// downloadUsers answers with the list as a file, with all its pages.
func (h *handlers) downloadUsers(c echo.Context, actor identity.Actor) error {
	list, err := userListIn(c.QueryParams(), h.now())
	if err != nil {
		return err
	}
	return h.exportUsers(c, actor, list.Query)
}

// exportUsers writes all users of a query as a file. The file goes out in pieces: if the
// rights of the caller end meanwhile, it is cut off.
func (h *handlers) exportUsers(c echo.Context, actor identity.Actor, query identity.UserQuery) error {
	ctx := c.Request().Context()
	query.Limit, query.Offset, query.NoTotal = identity.MaxPageSize, 0, false
	names := h.groupNames(ctx, actor)
	var file api.CSV
	rows, isStarted := 0, false
	err := h.service.WalkUsers(ctx, actor, query, func(users identity.UserPage) (err error) {
		if !isStarted {
			if users.Total > maxCSVRows {
				return errTooManyRows(users.Total)
			}
			file, err = api.StartCSV(c, "users-"+h.now().UTC().Format(time.DateOnly)+".csv", csvHead...)
			if err != nil {
				return err
			}
			isStarted = true
		}
		if rows += len(users.Users); rows > maxCSVRows {
			return errTooManyRows(int64(rows))
		}
		for _, user := range users.Users {
			if err := file.Write(csvRow(user, names)...); err != nil {
				return err
			}
		}
		return file.Flush()
	})
	return err
}

func errTooManyRows(n int64) error {
	return identity.Errorf(identity.Invalid, "too_many_rows",
		"This list has %s users. A file takes at most %s: set filters, and export the parts.", number(n), number(maxCSVRows))
}

// csvHead names the columns as the Back Office API names the fields.
var csvHead = []string{
	"id", "name", "email", "phone", "active", "groups", "tfa", "lastSigninTime", "createTime",
}

// csvRow returns a user as the caller sees it.
func csvRow(user identity.User, names map[int64]string) []string {
	groups := make([]string, len(user.Groups))
	for i, id := range user.Groups {
		groups[i] = groupName(names, id)
	}
	return []string{
		fmt.Sprint(user.ID), string(user.Name), string(user.Email), string(user.Phone), fmt.Sprint(user.Active),
		strings.Join(groups, "; "), fmt.Sprint(user.TFA), csvTime(user.LastSigninAt), csvTime(user.CreatedAt),
	}
}

// csvTime returns a time as RFC 3339; "" for the zero time.
func csvTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
