package backoffice

import (
	"net/http"
	"net/netip"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

// introspectionBody is the answer of RFC 7662 §2.2, with our extensions in the
// spelling of the rest of this API.
type introspectionBody struct {
	Active            bool                 `json:"active"`
	TokenType         string               `json:"token_type"`
	Subject           string               `json:"sub"`
	Username          identity.Email       `json:"username,omitempty"`
	ClientID          string               `json:"client_id,omitempty"` // the service token's id
	TokenID           string               `json:"jti"`
	Scope             string               `json:"scope"`
	IssuedAt          int64                `json:"iat"`
	ExpiresAt         int64                `json:"exp,omitempty"`
	UserID            *int64               `json:"userId"`
	Permissions       []string             `json:"permissions"`
	CanViewMaskedData bool                 `json:"canViewMaskedData"`
	ClientTags        []identity.ClientTag `json:"clientTags"`
	IPAllowed         *bool                `json:"ipAllowed,omitempty"` // absent where the request has no address
}

// inactiveBody says only that the token is not valid (RFC 7662 §2.2).
type inactiveBody struct {
	Active bool `json:"active"`
}

func (h *handlers) introspect(c echo.Context, actor identity.Actor) error {
	form, err := api.ReadForm(c)
	if err != nil {
		return err
	}
	const maxLength = 4096
	token, ip := form.Text("token", maxLength), parseIP(form, "ip")
	form.Text("token_type_hint", maxLength) // ignored: there is only one kind of token
	if token == "" {
		form.Fail("token", "required", "is required")
	}
	if err := form.Err(); err != nil {
		return err
	}
	result, err := h.service.Introspect(c.Request().Context(), actor, token, ip)
	if err != nil {
		return err
	}
	if !result.Active {
		return c.JSON(http.StatusOK, inactiveBody{})
	}
	return c.JSON(http.StatusOK, introspectionFrom(result, ip))
}

func introspectionFrom(i service.Introspection, ip netip.Addr) introspectionBody {
	body := introspectionBody{
		Active: true, TokenType: "Bearer", Subject: subjectOf(i.Actor), Username: i.Username,
		TokenID: strconv.FormatInt(i.Token.ID, 10), Scope: i.Actor.Permissions.Scope(), IssuedAt: i.Token.CreatedAt.Unix(),
		Permissions: i.Actor.Permissions.Names(), CanViewMaskedData: i.Actor.CanViewMaskedData, ClientTags: i.ClientTags,
	}
	if !i.Token.ExpiresAt.IsZero() {
		body.ExpiresAt = i.Token.ExpiresAt.Unix()
	}
	if id := i.Actor.UserID; id != 0 {
		body.UserID = &id
	}
	if id := i.Actor.TokenID; id != 0 {
		body.ClientID = strconv.FormatInt(id, 10)
	}
	if body.ClientTags == nil {
		body.ClientTags = []identity.ClientTag{}
	}
	if ip.IsValid() {
		body.IPAllowed = &i.AddressAllowed
	}
	return body
}

// subjectOf is who a token stands for: the id of the user that it acts for, or
// token:ID for a service, as in filter[actor].
func subjectOf(actor identity.Actor) string {
	if actor.UserID != 0 {
		return strconv.FormatInt(actor.UserID, 10)
	}
	return tokenSubject(actor.TokenID)
}

func tokenSubject(id int64) string { return "token:" + strconv.FormatInt(id, 10) }

// parseIP reads an address. It returns the zero Addr where it is absent.
func parseIP(q *api.Query, name string) netip.Addr {
	if !q.Has(name) {
		return netip.Addr{}
	}
	text, _ := q.Get(name)
	ip, err := identity.ParseAddress(text)
	if err != nil {
		q.Fail(name, "invalid_address", err.Error())
	}
	return ip
}

// address is a netip.Addr whose parser returns an *identity.ValueError.
type address netip.Addr

func (a *address) UnmarshalText(text []byte) error {
	ip, err := identity.ParseAddress(string(text))
	*a = address(ip)
	return err
}

type explainNetworkRequest struct {
	IP     *address `json:"ip"     validate:"required"`
	UserID *int64   `json:"userId" validate:"required,min=1"`
}

type explanationBody struct {
	Allowed bool                   `json:"allowed"`
	Match   *identity.AddressRange `json:"match"`
}

func (h *handlers) explainNetwork(c echo.Context, actor identity.Actor) error {
	request, err := api.Bind[explainNetworkRequest](c)
	if err != nil {
		return err
	}
	allowed, match, err := h.service.ExplainNetwork(c.Request().Context(), actor, *request.UserID, netip.Addr(*request.IP))
	if err != nil {
		return err
	}
	body := explanationBody{Allowed: allowed}
	if match != (identity.AddressRange{}) {
		body.Match = &match
	}
	return c.JSON(http.StatusOK, body)
}
