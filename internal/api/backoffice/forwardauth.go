package backoffice

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// forwardAuth answers the question of a proxy whether to let a request through, by
// the credential and the address of that request.
func (h *handlers) forwardAuth(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	var needed []identity.Permission
	for _, name := range q.All("permission") {
		var p identity.Permission
		if err := p.UnmarshalText([]byte(name)); err != nil {
			q.Fail("permission", "unknown_permission", err.Error())
		}
		needed = append(needed, p)
	}
	if err := q.Err(); err != nil {
		return err
	}
	user, err := h.service.Vouch(c.Request().Context(), actor, needed...)
	if err != nil {
		return err
	}
	subject, name := tokenSubject(actor.TokenID), actor.Name
	if user.ID != 0 {
		subject, name = strconv.FormatInt(user.ID, 10), string(user.Name)
	}
	groups := make([]string, len(user.Groups))
	for i, id := range user.Groups {
		groups[i] = strconv.FormatInt(id, 10)
	}
	header := c.Response().Header()
	header.Set("X-Roster-User", subject)
	header.Set("X-Roster-Name", url.PathEscape(name))
	header.Set("X-Roster-Groups", strings.Join(groups, ","))
	return c.NoContent(http.StatusNoContent)
}
