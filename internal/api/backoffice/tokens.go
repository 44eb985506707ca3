package backoffice

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// tokenBody is a service token in an answer. Secret is there in the answer to
// its creation only.
type tokenBody struct {
	ID                int64              `json:"id"`
	Name              identity.Label     `json:"name"`
	Secret            string             `json:"token,omitempty"`
	Permissions       []string           `json:"permissions"`
	UserID            *int64             `json:"userId"`
	IPWhitelist       identity.AllowList `json:"ipWhitelist"`
	CanViewMaskedData bool               `json:"canViewMaskedData"`
	CreatedAt         wireTime           `json:"createdAt"`
	ExpiresAt         wireTime           `json:"expiresAt"`
	LastUsedAt        wireTime           `json:"lastUsedAt"`
}

func tokenFrom(t identity.Token) tokenBody {
	body := tokenBody{
		ID: t.ID, Name: t.Name, Permissions: t.Permissions.Names(), IPWhitelist: t.AllowList, CanViewMaskedData: t.CanViewMaskedData,
		CreatedAt: wireTime(t.CreatedAt), ExpiresAt: wireTime(t.ExpiresAt), LastUsedAt: wireTime(t.LastUsedAt),
	}
	if t.UserID != 0 {
		body.UserID = &t.UserID
	}
	if body.IPWhitelist == nil {
		body.IPWhitelist = identity.AllowList{}
	}
	return body
}

type createTokenRequest struct {
	Name              *identity.Label        `json:"name"              validate:"required"`
	Permissions       *[]identity.Permission `json:"permissions"       validate:"required"`
	UserID            *int64                 `json:"userId"            validate:"omitnil,min=1"   null:"absent"`
	IPWhitelist       *identity.AllowList    `json:"ipWhitelist"       validate:"omitnil,max=256" null:"empty"`
	CanViewMaskedData *bool                  `json:"canViewMaskedData"`
	ExpiresAt         *time.Time             `json:"expiresAt"         null:"absent"`
}

func (h *handlers) listTokens(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	page := pageOf(q)
	if err := q.Err(); err != nil {
		return err
	}
	tokens, total, err := h.service.Tokens(c.Request().Context(), actor, page)
	if err != nil {
		return err
	}
	h.setNext(c, page, len(tokens), total)
	body := list[tokenBody]{Total: &total, Data: make([]tokenBody, len(tokens))}
	for i, token := range tokens {
		body.Data[i] = tokenFrom(token)
	}
	return c.JSON(http.StatusOK, body)
}

func (h *handlers) getToken(c echo.Context, actor identity.Actor) error {
	id, err := api.PathID(c, "tokenId")
	if err != nil {
		return err
	}
	token, err := h.service.Token(c.Request().Context(), actor, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, tokenFrom(token))
}

func (h *handlers) createToken(c echo.Context, actor identity.Actor) error {
	request, err := api.Bind[createTokenRequest](c)
	if err != nil {
		return err
	}
	token, secret, err := h.service.CreateToken(c.Request().Context(), actor, identity.Token{
		Name: *request.Name, Permissions: identity.PermissionSet(*request.Permissions...), UserID: orZero(request.UserID),
		AllowList: orZero(request.IPWhitelist), CanViewMaskedData: orZero(request.CanViewMaskedData),
	}, request.ExpiresAt)
	if err != nil {
		return err
	}
	body := tokenFrom(token)
	body.Secret = secret
	return created(c, h.link(Prefix+"/tokens/"+strconv.FormatInt(token.ID, 10)), body)
}

func (h *handlers) revokeToken(c echo.Context, actor identity.Actor) error {
	id, err := api.PathID(c, "tokenId")
	if err != nil {
		return err
	}
	if err := h.service.RevokeToken(c.Request().Context(), actor, id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
