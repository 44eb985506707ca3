package console

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

func (h *handlers) tokenRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/tokens", Handler: h.listTokens},
		{Method: http.MethodGet, Path: "/tokens/new", Handler: h.newToken},
		{Method: http.MethodPost, Path: "/tokens/new", Handler: h.createToken},
		{Method: http.MethodGet, Path: "/tokens/:tokenId", Handler: h.showToken},
		{Method: http.MethodGet, Path: "/tokens/:tokenId/revoke", Handler: h.askRevokeToken},
		{Method: http.MethodPost, Path: "/tokens/:tokenId/revoke", Handler: h.revokeToken},
	}
}

const tokensPath = Prefix + "/tokens"

func tokenPath(id int64) string { return tokensPath + "/" + strconv.FormatInt(id, 10) }

func tokensPage(title string, view any, call *apiCall) page {
	return page{Title: title, Nav: "tokens", View: view, API: call}
}

// tokensView is a page of the list of tokens.
type tokensView struct {
	Rows      []tokenRow
	Total     int64
	Filtered  bool
	CreatedBy string
	UserID    string
	Fields    []field // the filters that the form of filters keeps
	Periods   []period
	Range     string
	Prev      string
	Next      string
}

// period is a filter by the end of tokens.
type period struct {
	Text string
	Href string // sets the filter, or takes it away
	On   bool
}

// tokenRow is a token in a list.
type tokenRow struct {
	ID          int64
	Href        string
	Name        string
	Permissions []permissionRow
	Unmasked    bool
	ActsFor     person
	Addresses   string // "any", the entries, or "hidden"
	Expires     moment
	Expired     bool
	Soon        bool // it ends within 14 days
	LastUse     moment
	Created     moment
	CreatedBy   []person // the user, the token
	IssuerGone  bool
}

// person is a link to a user, or to a token.
type person struct{ Name, Href string }

func (h *handlers) listTokens(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	page, filter := pageIn(q), tokenFilterIn(q)
	if err := q.Err(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	tokens, total, err := h.service.Tokens(ctx, actor, filter, page)
	if err != nil {
		return err
	}
	values, now := c.QueryParams(), h.now()
	view := tokensView{
		Total: total, Filtered: filter != identity.TokenFilter{}, CreatedBy: values.Get("filter[createdBy]"),
		UserID: values.Get("filter[userId]"), Periods: periodsFrom(values, now),
	}
	for _, name := range []string{"filter[expiresAfter]", "filter[expiresBefore]", "limit"} {
		if value := values.Get(name); value != "" {
			view.Fields = append(view.Fields, field{name, value})
		}
	}
	names := h.namesOf(ctx, actor, tokens)
	for _, token := range tokens {
		view.Rows = append(view.Rows, tokenRowFrom(token, names, now))
	}
	view.Range, view.Prev, view.Next = pagerOf(values, tokensPath, page.Offset, page.Limit, len(tokens), total)
	return h.render(c, actor, http.StatusOK, "tokens", tokensPage("Tokens", view,
		h.apiCall(c, http.MethodGet, "/api/v2/tokens", values, "")))
}

// tokenFilterIn reads the filters of the list, which are those of the Back Office API. A
// field of a form that is left empty is no filter.
func tokenFilterIn(q *api.Query) identity.TokenFilter {
	var filter identity.TokenFilter
	const createdBy, userID = "filter[createdBy]", "filter[userId]"
	if text, _ := q.Get(createdBy); text != "" {
		if id, isToken := strings.CutPrefix(text, "token:"); isToken {
			filter.CreatedBy.TokenID = q.IntOf(createdBy, id, 1, math.MaxInt64, 0)
		} else {
			filter.CreatedBy.UserID = q.IntOf(createdBy, text, 1, math.MaxInt64, 0)
		}
	}
	if text, _ := q.Get(userID); text != "" {
		filter.UserID = q.IntOf(userID, text, 1, math.MaxInt64, 0)
	}
	filter.ExpiresAfter, filter.ExpiresBefore = timeIn(q, "filter[expiresAfter]"), timeIn(q, "filter[expiresBefore]")
	return filter
}

// soon is how long before its end a token is marked.
const soon = 14 * day

// periodsFrom returns the filters by the end. Their times are those of a day, so that the
// address of a list is the same all day.
func periodsFrom(values url.Values, now time.Time) []period {
	const after, before = "filter[expiresAfter]", "filter[expiresBefore]"
	today := now.UTC().Truncate(day)
	text := func(t time.Time) string { return t.Format(time.RFC3339) }
	periods := []struct{ text, after, before string }{
		{"Ended", "", text(today)},
		{"Ends within 14 days", text(today), text(today.Add(soon))},
		{"Ends within 90 days", text(today), text(today.Add(90 * day))},
	}
	var list []period
	for _, p := range periods {
		on := values.Get(after) == p.after && values.Get(before) == p.before
		if on {
			p.after, p.before = "", ""
		}
		href := addressWith(values, tokensPath, after, p.after, before, p.before, "offset", "")
		list = append(list, period{p.text, href, on})
	}
	return list
}

// namesOf returns the names of the users of tokens, by id.
func (h *handlers) namesOf(ctx context.Context, actor identity.Actor, tokens []identity.Token) map[int64]string {
	ids := map[int64]bool{}
	for _, token := range tokens {
		ids[token.UserID], ids[token.CreatedBy.UserID] = true, true
	}
	return h.userNames(ctx, actor, ids)
}

func tokenRowFrom(token identity.Token, names map[int64]string, now time.Time) tokenRow {
	row := tokenRow{
		ID: token.ID, Href: tokenPath(token.ID), Name: string(token.Name),
		Permissions: permissionRows(token.Permissions), Unmasked: token.CanViewMaskedData,
		Addresses: addressesText(token.AllowList), Expires: momentOf(token.ExpiresAt, now), Expired: token.ExpiredAt(now),
		LastUse: momentOf(token.LastUsedAt, now), Created: momentOf(token.CreatedAt, now), IssuerGone: token.IssuerGone,
	}
	row.Soon = !row.Expired && token.ExpiredAt(now.Add(soon))
	if token.UserID != 0 {
		row.ActsFor = personOf(token.UserID, names)
	}
	if id := token.CreatedBy.UserID; id != 0 {
		row.CreatedBy = append(row.CreatedBy, personOf(id, names))
	}
	if id := token.CreatedBy.TokenID; id != 0 {
		row.CreatedBy = append(row.CreatedBy, person{"token " + strconv.FormatInt(id, 10), tokenPath(id)})
	}
	return row
}

func personOf(id int64, names map[int64]string) person {
	name, ok := names[id]
	if !ok {
		name = "User " + strconv.FormatInt(id, 10)
	}
	return person{name, userPath(id)}
}

// addressesText returns an allow-list in words.
func addressesText(list identity.AllowList) string {
	switch {
	case len(list) == 0:
		return "any"
	case list[0] == identity.AddressRange{}:
		return "hidden"
	}
	return strings.ReplaceAll(list.String(), " ", ", ")
}

// tokenOf returns the token that the path names.
func (h *handlers) tokenOf(c echo.Context, actor identity.Actor) (identity.Token, error) {
	id, err := idOf(c, "tokenId", "token")
	if err != nil {
		return identity.Token{}, err
	}
	return h.service.Token(c.Request().Context(), actor, id)
}

// tokenView is the page of one token.
type tokenView struct {
	Row    tokenRow
	Denied string // why the caller cannot revoke it
}

// tokenRow returns a token as pages show it.
func (h *handlers) tokenRow(c echo.Context, actor identity.Actor, token identity.Token) tokenRow {
	return tokenRowFrom(token, h.namesOf(c.Request().Context(), actor, []identity.Token{token}), h.now())
}

func (h *handlers) showToken(c echo.Context, actor identity.Actor) error {
	token, err := h.tokenOf(c, actor)
	if err != nil {
		return err
	}
	view := tokenView{Row: h.tokenRow(c, actor, token), Denied: deniedRevoke(actor, token)}
	return h.render(c, actor, http.StatusOK, "token", tokensPage(string(token.Name), view,
		h.apiCall(c, http.MethodGet, apiTokenPath(token.ID), nil, "")))
}

func apiTokenPath(id int64) string { return "/api/v2/tokens/" + strconv.FormatInt(id, 10) }

// deniedRevoke returns why the caller cannot revoke a token; "" if the caller can.
func deniedRevoke(actor identity.Actor, token identity.Token) string {
	if actor.RequireCover(token.Permissions, token.CanViewMaskedData) == nil {
		return ""
	}
	missing := notHeld(actor, token.Permissions)
	if missing == "" {
		missing = "to see unmasked data"
	}
	return "This token may do what you may not: " + missing + ". A member of the group Administrators can revoke it."
}

func (h *handlers) askRevokeToken(c echo.Context, actor identity.Actor) error {
	token, err := h.tokenOf(c, actor)
	if err != nil {
		return err
	}
	if err := errDenied(deniedRevoke(actor, token)); err != nil {
		return err
	}
	row := h.tokenRow(c, actor, token)
	return h.render(c, actor, http.StatusOK, "confirm", tokensPage("Revoke "+row.Name, confirmView{
		Heading: "Revoke this token?", Up: link{row.Href, row.Name}, Token: &row, Action: row.Href + "/revoke",
		Texts:  []string{"1 token stops working at once. Programs that use it are refused. This cannot be undone."},
		Button: "Revoke the token",
	}, h.apiCall(c, http.MethodDelete, apiTokenPath(token.ID), nil, "")))
}

// revokeToken revokes a token. One that is revoked already is no error: that is what the
// caller wants.
func (h *handlers) revokeToken(c echo.Context, actor identity.Actor) error {
	id, err := idOf(c, "tokenId", "token")
	if err != nil {
		return err
	}
	err = h.service.RevokeToken(c.Request().Context(), actor, id)
	if err != nil && identity.KindOf(err) != identity.NotFound {
		return err
	}
	return h.seeOther(c, tokensPath, "token_revoked")
}
