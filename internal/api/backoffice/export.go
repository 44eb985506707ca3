package backoffice

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// exportedUser is a user in an export, with the fields that a row of an import has.
type exportedUser struct {
	ID                int64                `json:"id"`
	Name              identity.Name        `json:"name"`
	Email             identity.Email       `json:"email"`
	Active            bool                 `json:"active"`
	TFA               bool                 `json:"tfa"`
	Groups            []any                `json:"groups"` // names, or ids
	Phone             *identity.Phone      `json:"phone"`
	IPWhitelist       identity.AllowList   `json:"ipWhitelist"`
	ClientTags        []identity.ClientTag `json:"clientTags"`
	CanViewMaskedData bool                 `json:"canViewMaskedData"`
}

func exportedFrom(u identity.User, groups map[int64]string) exportedUser {
	body := userFrom(u)
	exported := exportedUser{
		ID: body.ID, Name: body.Name, Email: body.Email, Active: body.Active, TFA: body.TFA,
		Groups: make([]any, len(body.Groups)), Phone: body.Phone, IPWhitelist: body.IPWhitelist,
		ClientTags: body.ClientTags, CanViewMaskedData: body.CanViewMaskedData,
	}
	for i, id := range body.Groups {
		exported.Groups[i] = id
		if name, known := groups[id]; known {
			exported.Groups[i] = name
		}
	}
	return exported
}

var exportColumns = []string{
	"id", "name", "email", "active", "tfa", "groups", "phone", "ipWhitelist", "clientTags", "canViewMaskedData",
}

// cells returns the user as a row of exportColumns. Lists are JSON.
func (u exportedUser) cells() ([]string, error) {
	lists := make([]string, 0, 3)
	for _, list := range []any{u.Groups, u.IPWhitelist, u.ClientTags} {
		text, err := json.Marshal(list)
		if err != nil {
			return nil, err
		}
		lists = append(lists, string(text))
	}
	return []string{
		strconv.FormatInt(u.ID, 10), string(u.Name), string(u.Email), strconv.FormatBool(u.Active), strconv.FormatBool(u.TFA),
		lists[0], string(orZero(u.Phone)), lists[1], lists[2], strconv.FormatBool(u.CanViewMaskedData),
	}, nil
}

// exportUsers answers with all users that match, while it reads them.
func (h *handlers) exportUsers(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	query := identity.UserQuery{
		Filter: userFilter(q), Sort: identity.SortByID, Limit: identity.MaxPageSize, NoTotal: true,
	}
	write := ndjsonWriter(c)
	if q.OneOf("format", "ndjson", "csv") == "csv" {
		write = csvWriter(c)
	}
	if err := q.Err(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	var groups map[int64]string // none for a caller who may not see them
	if actor.Permissions.Has(identity.GroupsView) {
		var err error
		if groups, err = h.service.GroupNames(ctx, actor, math.MaxInt32); err != nil {
			return err
		}
	}
	return h.service.WalkUsers(ctx, actor, query, func(page identity.UserPage) error {
		users := make([]exportedUser, len(page.Users))
		for i, user := range page.Users {
			users[i] = exportedFrom(user, groups)
		}
		return write(users)
	})
}

// ndjsonWriter returns a function that answers with users, one per line. An answer without users
// is empty.
func ndjsonWriter(c echo.Context) func([]exportedUser) error {
	return func(users []exportedUser) error {
		if !c.Response().Committed {
			header := c.Response().Header()
			header.Set(echo.HeaderContentType, "application/x-ndjson")
			header.Set(echo.HeaderCacheControl, "no-store")
			c.Response().WriteHeader(http.StatusOK)
		}
		var lines bytes.Buffer
		encoder := json.NewEncoder(&lines)
		encoder.SetEscapeHTML(false)
		for _, user := range users {
			if err := encoder.Encode(user); err != nil {
				return err
			}
		}
		_, err := c.Response().Write(lines.Bytes())
		return err
	}
}

// csvWriter returns a function that answers with users as a table.
func csvWriter(c echo.Context) func([]exportedUser) error {
	var file api.CSV
	return func(users []exportedUser) (err error) {
		if !c.Response().Committed {
			if file, err = api.StartCSV(c, "users.csv", exportColumns...); err != nil {
				return err
			}
		}
		for _, user := range users {
			cells, err := user.cells()
			if err != nil {
				return err
			}
			if err := file.Write(cells...); err != nil {
				return err
			}
		}
		return file.Flush()
	}
}
