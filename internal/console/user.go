package console

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
)

// userHead is what every page of one user begins with.
type userHead struct {
	Row     userRow
	Tab     string // profile, access, network, security or activity
	Version int64
	Created moment
	Changed moment
}

// profileView is the first page of one user.
type profileView struct {
	Head  userHead
	Phone string
	User  identity.User
}

func (h *handlers) showUser(c echo.Context, actor identity.Actor) error {
	id, err := idOf(c, "userId", "user")
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	user, err := h.service.User(ctx, actor, id)
	if err != nil {
		return err
	}
	head := userHeadFrom(actor, user, "profile", h.groupNames(ctx, actor), h.now())
	return h.render(c, actor, http.StatusOK, "user", page{
		Title: userTitle(user), Nav: "users", View: profileView{Head: head, Phone: string(user.Phone), User: user},
		API: h.apiCall(c, http.MethodGet, "/api/v2/users/"+c.Param("userId"), nil, ""),
	})
}

func userHeadFrom(actor identity.Actor, user identity.User, tab string, names map[int64]string, now time.Time,
) userHead {
	return userHead{
		Row: userRowFrom(actor, user, names, now), Tab: tab, Version: user.Version,
		Created: momentOf(user.CreatedAt, now), Changed: momentOf(user.UpdatedAt, now),
	}
}

// userTitle returns the name as the caller sees it.
func userTitle(user identity.User) string { return string(user.Name) }
