package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
)

// tokenForm is the form of a new token.
type tokenForm struct {
	Problems     problems
	Name         string
	Permissions  []permissionRow
	UserID       string
	Unmasked     bool
	DeniedMasked string // why the caller cannot let it see unmasked data
	Addresses    string
	Ends         string // a date, such as 2026-11-22
	First, Last  string // the dates that may be chosen
	Never        bool
	DeniedNever  string // why the caller cannot make a token that never ends
}

// The fields of the form that are not those of the API.
const (
	fieldNever  = "never"
	fieldLatest = "latest" // the caller's latest token when the form was reviewed
)

const dateLayout = "2006-01-02"

func tokenFormFrom(actor identity.Actor, values url.Values, list problems, now time.Time) tokenForm {
	view := tokenForm{
		Problems: list, Name: values.Get(identity.FieldName), UserID: values.Get(identity.FieldUserID),
		Permissions: permissionBoxes(actor, values[identity.FieldPermissions]),
		Unmasked:    values.Get(identity.FieldCanViewMaskedData) == ticked,
		Addresses:   values.Get(identity.FieldAllowList),
		Ends:        values.Get(identity.FieldExpiresAt), Never: values.Get(fieldNever) == ticked,
		First: now.UTC().Format(dateLayout), Last: now.UTC().Add(identity.MaxTokenPeriod - day).Format(dateLayout),
	}
	if !actor.CanViewMaskedData {
		view.DeniedMasked = "You do not see unmasked data yourself, so you cannot give it."
	}
	if !actor.Permissions.HasAllNamed() {
		view.DeniedNever = "Only those who hold every permission can make a token that never ends."
	}
	return view
}

// tokenIn reads the form of a token. The end is nil for "as late as may be", and the zero
// time for never. The error is Invalid.
func tokenIn(values url.Values) (token identity.Token, end *time.Time, err error) {
	var list identity.Problems
	token.Name, err = identity.ParseLabel(values.Get(identity.FieldName))
	addProblem(&list, identity.FieldName, err)
	token.Permissions = permissionsIn(values[identity.FieldPermissions], &list)
	token.CanViewMaskedData = values.Get(identity.FieldCanViewMaskedData) == ticked
	if text := strings.TrimSpace(values.Get(identity.FieldUserID)); text != "" {
		if token.UserID, err = strconv.ParseInt(text, 10, 64); err != nil || token.UserID < 1 {
			list.Add(identity.FieldUserID, "invalid_id", "must be the id of a user, a number")
		}
	}
	token.AllowList = parsedLines(&list, identity.FieldAllowList, values, identity.MaxAllowListEntries,
		identity.ParseAddressRange)
	text := values.Get(identity.FieldExpiresAt)
	switch {
	case values.Get(fieldNever) == ticked:
		end = &time.Time{}
	case text != "":
		date, err := time.Parse(dateLayout, text)
		if err != nil {
			list.Add(identity.FieldExpiresAt, "invalid_time", "must be a date such as 2030-01-31")
		}
		end = new(date.Add(day - time.Second)) // the end of that day
	}
	return token, end, list.Err()
}

func (h *handlers) newToken(c echo.Context, actor identity.Actor) error {
	if err := actor.Require(identity.TokensManage); err != nil {
		return err
	}
	const usual = 90 * day
	values := url.Values{identity.FieldExpiresAt: {h.now().UTC().Add(usual).Format(dateLayout)}}
	return h.renderNewToken(c, actor, http.StatusOK, values, problems{})
}

func (h *handlers) renderNewToken(c echo.Context, actor identity.Actor, status int, values url.Values, list problems,
) error {
	return h.render(c, actor, status, "tokenform",
		tokensPage("New token", tokenFormFrom(actor, values, list, h.now()), nil))
}

// createToken reviews a new token, then creates it and shows its secret.
func (h *handlers) createToken(c echo.Context, actor identity.Actor) error {
	values, err := form(c)
	if err != nil {
		return err
	}
	if values.Get("step") == stepEdit {
		return h.renderNewToken(c, actor, http.StatusOK, values, problems{})
	}
	token, end, err := tokenIn(values)
	if err == nil {
		err = actor.RequireCover(token.Permissions, token.CanViewMaskedData)
	}
	if err == nil && values.Get("step") == stepSave {
		if err = h.refuseTwin(c, actor, token, values); err == nil {
			return h.saveToken(c, actor, token, end, values)
		}
	}
	if err != nil {
		return h.tokenFailed(c, actor, values, err)
	}
	return h.reviewToken(c, actor, token, end, values)
}

func (h *handlers) tokenFailed(c echo.Context, actor identity.Actor, values url.Values, err error) error {
	list, ok := problemsOf(err)
	if !ok {
		return err
	}
	return h.renderNewToken(c, actor, statusOf(err), values, list)
}

func (h *handlers) reviewToken(c echo.Context, actor identity.Actor, token identity.Token, end *time.Time,
	values url.Values,
) error {
	shown := token
	if end != nil {
		shown.ExpiresAt = *end
	}
	latest, err := h.latestTokens(c, actor)
	if err != nil {
		return err
	}
	values.Set(fieldLatest, "0")
	if n := len(latest); n > 0 {
		values.Set(fieldLatest, strconv.FormatInt(latest[n-1].ID, 10))
	}
	view := reviewView{
		Heading: "Create this token?", Action: tokensPath + "/new", Save: "Create the token", Cancel: tokensPath,
		Rights:  permissionRows(token.Permissions),
		Message: "Who has the secret will be able to do this:", Fields: keptFields(values),
	}
	view.Changes = tokenChanges(shown, h.tokenRow(c, actor, shown), end)
	return h.render(c, actor, http.StatusOK, "review", tokensPage("New token", view,
		h.apiCall(c, http.MethodPost, "/api/v2/tokens", nil, tokenBody(token, end))))
}

// tokenChanges returns the fields of a new token, also those that the service chooses.
func tokenChanges(token identity.Token, row tokenRow, end *time.Time) []change {
	const none = "none"
	changes := changesFrom(identity.Token{}.Diff(token), nil)
	for i, c := range changes {
		switch c.Field {
		case identity.FieldUserID:
			changes[i].New = row.ActsFor.Name
		case identity.FieldExpiresAt:
			changes[i].New = row.Expires.Exact
		}
	}
	add := func(field, text string) {
		changes = append(changes, change{field, labelOf(field), none, text})
	}
	if len(token.AllowList) == 0 {
		add(identity.FieldAllowList, "those from which you may come yourself")
	}
	switch {
	case end == nil:
		add(identity.FieldExpiresAt, "as late as you may choose")
	case end.IsZero():
		add(identity.FieldExpiresAt, "never")
	}
	return changes
}

// tokenBody returns the body of the call that creates a token.
func tokenBody(token identity.Token, end *time.Time) string {
	body := map[string]any{
		identity.FieldName: token.Name, identity.FieldPermissions: permissionNames(token.Permissions),
	}
	if token.UserID != 0 {
		body[identity.FieldUserID] = token.UserID
	}
	if token.CanViewMaskedData {
		body[identity.FieldCanViewMaskedData] = true
	}
	if len(token.AllowList) > 0 {
		body[identity.FieldAllowList] = token.AllowList
	}
	switch {
	case end == nil:
	case end.IsZero():
		body[identity.FieldExpiresAt] = nil
	default:
		body[identity.FieldExpiresAt] = end.Format(time.RFC3339)
	}
	return jsonText(body)
}

func (h *handlers) saveToken(c echo.Context, actor identity.Actor, token identity.Token, end *time.Time,
	values url.Values,
) error {
	created, secret, err := h.service.CreateToken(c.Request().Context(), actor, token, end)
	if err != nil {
		return h.tokenFailed(c, actor, values, err)
	}
	row := h.tokenRow(c, actor, created)
	return h.render(c, actor, http.StatusCreated, "secret", tokensPage("The secret of a token", secretView{
		Heading: "The token is created", Name: row.Name, Secret: secret, Token: &row, Next: tokensPath,
	}, nil))
}

// refuseTwin returns a Conflict if the caller has made a token with this name since the
// form was reviewed: the form is sent twice, as by "reload".
func (h *handlers) refuseTwin(c echo.Context, actor identity.Actor, token identity.Token, values url.Values) error {
	latest, err := h.latestTokens(c, actor)
	if err != nil {
		return err
	}
	reviewed, _ := strconv.ParseInt(values.Get(fieldLatest), 10, 64)
	for _, other := range latest {
		if other.ID > reviewed && other.Name == token.Name {
			return identity.Errorf(identity.Conflict, "sent_twice",
				"This token is created already. Its secret was shown once and cannot be shown again. "+
					"If you do not have it, revoke the token and make another one.")
		}
	}
	return nil
}

// latestTokens returns the last tokens that the caller has made, by id.
func (h *handlers) latestTokens(c echo.Context, actor identity.Actor) ([]identity.Token, error) {
	ctx := c.Request().Context()
	filter := identity.TokenFilter{CreatedBy: identity.Creator{UserID: actor.UserID}}
	_, total, err := h.service.Tokens(ctx, actor, filter, identity.Page{Limit: 1})
	if err != nil {
		return nil, err
	}
	const last = 10
	list, _, err := h.service.Tokens(ctx, actor, filter, identity.Page{Limit: 2 * last, Offset: max(total-last, 0)})
	return list, err
}
