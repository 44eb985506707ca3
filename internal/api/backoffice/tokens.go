package backoffice

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// tokenBody is a service token in an answer. Only the answer to its creation has
// Secret.
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
	CreatedBy         *creatorBody       `json:"createdBy"`
	IssuerGone        bool               `json:"issuerGone"`
}

// creatorBody is the creator of a token or a webhook: a user, a token, or a token that
// acts for a user.
type creatorBody struct {
	UserID  *int64 `json:"userId"`
	TokenID *int64 `json:"tokenId"`
}

// creatorFrom returns nil for a creator who is not known.
func creatorFrom(c identity.Creator) *creatorBody {
	if c == (identity.Creator{}) {
		return nil
	}
	return &creatorBody{UserID: orNull(c.UserID), TokenID: orNull(c.TokenID)}
}

func tokenFrom(t identity.Token) tokenBody {
	body := tokenBody{
		ID: t.ID, Name: t.Name, Permissions: t.Permissions.Names(), IPWhitelist: t.AllowList, UserID: orNull(t.UserID),
		CanViewMaskedData: t.CanViewMaskedData, CreatedBy: creatorFrom(t.CreatedBy), IssuerGone: t.IssuerGone,
		CreatedAt: onWire(t.CreatedAt), ExpiresAt: onWire(t.ExpiresAt), LastUsedAt: onWire(t.LastUsedAt),
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
	ExpiresAt         *endTime               `json:"expiresAt"         null:"empty"` // null is never
}

// endTime is the time at which a token expires; zero is never.
type endTime time.Time

// UnmarshalText reads a time of RFC 3339; the error is an *identity.ValueError.
func (t *endTime) UnmarshalText(text []byte) error {
	at, err := time.Parse(time.RFC3339, string(text))
	if err != nil || at.IsZero() {
		return &identity.ValueError{Code: codeInvalidTime, Message: mustBeTime}
	}
	*t = endTime(at)
	return nil
}

func (h *handlers) listTokens(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	page, filter := pageOf(q), identity.TokenFilter{
		UserID:        q.Int("filter[userId]", 1, maxInt64, 0),
		ExpiresAfter:  timeOf(q, "filter[expiresAfter]"),
		ExpiresBefore: timeOf(q, "filter[expiresBefore]"),
	}
	filter.CreatedBy.UserID, filter.CreatedBy.TokenID = userOrToken(q, "filter[createdBy]")
	if err := q.Err(); err != nil {
		return err
	}
	tokens, total, err := h.service.Tokens(c.Request().Context(), actor, filter, page)
	if err != nil {
		return err
	}
	return writePage(h, c, page, tokens, total, tokenFrom)
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
	}, (*time.Time)(request.ExpiresAt))
	if err != nil {
		return err
	}
	body := tokenFrom(token)
	body.Secret = secret
	return created(c, h.link(c, Prefix+"/tokens/"+strconv.FormatInt(token.ID, 10)), body)
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
