package backoffice

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

type sessionBody struct {
	ID         int64    `json:"id"`
	CreateTime wireTime `json:"createTime"`
	LastUsed   wireTime `json:"lastUsedTime"`
	ExpiresAt  wireTime `json:"expiresAt"`
	FreshUntil wireTime `json:"freshUntil"`
	Address    *string  `json:"address"`
	Client     *string  `json:"client"`
	Current    bool     `json:"current"`
}

func sessionFrom(s identity.Session, actor identity.Actor) sessionBody {
	return sessionBody{
		ID: s.ID, CreateTime: onWire(s.CreatedAt), LastUsed: onWire(s.LastUsedAt), ExpiresAt: onWire(s.ExpiresAt),
		FreshUntil: onWire(s.FreshUntil), Address: orNull(s.Source), Client: orNull(s.Client),
		Current: s.ID == actor.SessionID,
	}
}

func (h *handlers) listSessions(c echo.Context, actor identity.Actor) error {
	id, err := userID(c, actor)
	if err != nil {
		return err
	}
	q := api.NewQuery(c)
	page := pageOf(q)
	if err := q.Err(); err != nil {
		return err
	}
	sessions, total, err := h.service.Sessions(c.Request().Context(), actor, id, page)
	if err != nil {
		return err
	}
	h.setNext(c, page, len(sessions), total)
	data := dataFrom(sessions, func(s identity.Session) sessionBody { return sessionFrom(s, actor) })
	return c.JSON(http.StatusOK, list[sessionBody]{Total: &total, Data: data})
}

func (h *handlers) endSession(c echo.Context, actor identity.Actor) error {
	user, err := userID(c, actor)
	if err != nil {
		return err
	}
	id, err := api.PathID(c, "sessionId")
	if err != nil {
		return err
	}
	if err := h.service.EndSession(c.Request().Context(), actor, user, id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (h *handlers) endSessions(c echo.Context, actor identity.Actor) error {
	user, err := userID(c, actor)
	if err != nil {
		return err
	}
	if err := h.service.EndSessions(c.Request().Context(), actor, user); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// reauthenticateRequest takes any text as a password: one that breaks the rules for
// passwords is answered like a wrong one.
type reauthenticateRequest struct {
	Password *string `json:"password" validate:"required"`
	Code     *string `json:"code"     null:"absent"`
}

type reauthenticationBody struct {
	FreshUntil        wireTime        `json:"freshUntil"` // null where a code is needed
	TwoFactorRequired bool            `json:"2faRequired"`
	TwoFactorDetails  *neededCodeBody `json:"2faDetails,omitempty"`
}

type neededCodeBody struct {
	Provider  identity.Provider `json:"provider"`
	ExpiresAt wireTime          `json:"expiresAt"`
}

func (h *handlers) reauthenticate(c echo.Context, actor identity.Actor) error {
	request, err := api.Bind[reauthenticateRequest](c)
	if err != nil {
		return err
	}
	password := identity.Password(*request.Password)
	result, err := h.service.Reauthenticate(c.Request().Context(), actor, password, orZero(request.Code))
	if err != nil {
		return err
	}
	body := reauthenticationBody{FreshUntil: onWire(result.FreshUntil)}
	if result.Provider != "" {
		body.TwoFactorRequired = true
		body.TwoFactorDetails = &neededCodeBody{Provider: result.Provider, ExpiresAt: onWire(result.ExpiresAt)}
	}
	return c.JSON(http.StatusOK, body)
}
