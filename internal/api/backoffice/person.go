package backoffice

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

type sourceBody struct {
	Address   string   `json:"address"`
	FirstSeen wireTime `json:"firstSeenTime"`
	LastSeen  wireTime `json:"lastSeenTime"`
}

func sourceFrom(s identity.Source) sourceBody {
	return sourceBody{Address: s.Address, FirstSeen: onWire(s.FirstSeenAt), LastSeen: onWire(s.LastSeenAt)}
}

func (h *handlers) listSources(c echo.Context, actor identity.Actor) error {
	id, err := userID(c, actor)
	if err != nil {
		return err
	}
	q := api.NewQuery(c)
	page := pageOf(q)
	if err := q.Err(); err != nil {
		return err
	}
	sources, total, err := h.service.Sources(c.Request().Context(), actor, id, page)
	if err != nil {
		return err
	}
	return writePage(h, c, page, sources, total, sourceFrom)
}

type signinStateBody struct {
	WrongPasswords        int      `json:"wrongPasswords"`
	WrongCodes            int      `json:"wrongCodes"`
	LockedUntil           wireTime `json:"lockedUntil"`
	LockedEverywhereUntil wireTime `json:"lockedEverywhereUntil"`
}

func (h *handlers) getSigninState(c echo.Context, actor identity.Actor) error {
	id, err := userID(c, actor)
	if err != nil {
		return err
	}
	state, err := h.service.SigninState(c.Request().Context(), actor, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, signinStateBody{
		WrongPasswords: state.WrongPasswords, WrongCodes: state.WrongCodes,
		LockedUntil: onWire(state.LockedUntil), LockedEverywhereUntil: onWire(state.LockedEverywhereUntil),
	})
}

type accessBody struct {
	Permissions       []givenPermissionBody `json:"permissions"`
	CanViewMaskedData bool                  `json:"canViewMaskedData"`
	TFARequiredBy     []groupNameBody       `json:"tfaRequiredBy"`
}

type givenPermissionBody struct {
	Permission string          `json:"permission"`
	Groups     []groupNameBody `json:"groups"`
}

type groupNameBody struct {
	ID   int64          `json:"id"`
	Name identity.Label `json:"name"`
}

func groupNameFrom(g identity.Group) groupNameBody { return groupNameBody{ID: g.ID, Name: g.Name} }

func givenPermissionFrom(p identity.GivenPermission) givenPermissionBody {
	return givenPermissionBody{Permission: p.Permission.String(), Groups: dataFrom(p.Groups, groupNameFrom)}
}

func (h *handlers) getAccess(c echo.Context, actor identity.Actor) error {
	id, err := userID(c, actor)
	if err != nil {
		return err
	}
	access, err := h.service.Access(c.Request().Context(), actor, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, accessBody{
		Permissions:       dataFrom(access.Permissions, givenPermissionFrom),
		CanViewMaskedData: access.CanViewMaskedData,
		TFARequiredBy:     dataFrom(access.TFARequiredBy, groupNameFrom),
	})
}

type holdingsBody struct {
	Sessions        int64                     `json:"sessions"`
	TokensActingFor heldBody[tokenNameBody]   `json:"tokensActingFor"`
	TokensCreated   heldBody[tokenNameBody]   `json:"tokensCreated"`
	WebhooksCreated heldBody[webhookNameBody] `json:"webhooksCreated"`
}

// heldBody has the first of what is held, null where the caller may know the number only.
type heldBody[Body any] struct {
	Total int64  `json:"total"`
	First []Body `json:"first"`
}

type tokenNameBody struct {
	ID   int64          `json:"id"`
	Name identity.Label `json:"name"`
}

type webhookNameBody struct {
	ID  int64               `json:"id"`
	URL identity.WebhookURL `json:"url"`
}

func heldFrom[Row, Body any](held identity.Held[Row], from func(Row) Body) heldBody[Body] {
	body := heldBody[Body]{Total: held.Total}
	if held.Shown {
		body.First = dataFrom(held.First, from)
	}
	return body
}

func tokenNameFrom(t identity.Token) tokenNameBody { return tokenNameBody{ID: t.ID, Name: t.Name} }

func webhookNameFrom(w identity.Webhook) webhookNameBody {
	return webhookNameBody{ID: w.ID, URL: w.URL}
}

func (h *handlers) getHoldings(c echo.Context, actor identity.Actor) error {
	id, err := userID(c, actor)
	if err != nil {
		return err
	}
	held, err := h.service.Holdings(c.Request().Context(), actor, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, holdingsBody{
		Sessions:        held.Sessions,
		TokensActingFor: heldFrom(held.TokensActingFor, tokenNameFrom),
		TokensCreated:   heldFrom(held.TokensCreated, tokenNameFrom),
		WebhooksCreated: heldFrom(held.WebhooksCreated, webhookNameFrom),
	})
}
