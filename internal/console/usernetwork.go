package console

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

func (h *handlers) networkRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/users/:userId/network", Handler: h.showNetwork},
		{Method: http.MethodPost, Path: "/users/:userId/network", Handler: h.editNetwork},
	}
}

const (
	fieldForce   = "force"
	parameterIP  = "ip"  // explains an address
	parameterAdd = "add" // puts an address into the form
)

// maxAddressText bounds an address in a query, in characters.
const maxAddressText = 64

// networkView is from where a user may come: the form of the list, the question about an
// address, and where the user has come from.
type networkView struct {
	Head     userHead
	Masked   bool   // the list is hidden from the caller
	Empty    bool   // the stored list is empty
	Denied   string // why the caller cannot change the list
	Text     string // one address or range per line
	Added    bool   // Text has an address that is not stored
	Force    bool
	LocksOut bool // saving Text would shut the caller out
	Before   []field
	Problems problems
	Explain  explainView
	Sources  sourcesView
}

// explainView answers whether the user may come from an address.
type explainView struct {
	IP      string // as it was asked
	Address string // as it was read; "" for no answer
	Allowed bool
	Match   string // the entry that matches; "" if the list is empty or nothing matches
	Problem string
	Denied  string // why there is no answer
}

// sourcesView are the addresses that a user was last seen at.
type sourcesView struct {
	Rows              []sourceRow
	Range, Prev, Next string
}

type sourceRow struct {
	Address     string
	Hidden      bool
	First, Last moment
	ExplainHref string
	AddHref     string // "" if the caller cannot add it, or it is in the list
}

// networkEdit is what the steps of an edit of the list have in common.
type networkEdit struct {
	user   identity.User // as the caller sees it
	values url.Values
}

func networkPath(id int64) string { return userPath(id) + "/network" }

func (h *handlers) showNetwork(c echo.Context, actor identity.Actor) error {
	user, err := h.userOf(c, actor)
	if err != nil {
		return err
	}
	e := networkEdit{user, url.Values{identity.FieldAllowList: {allowListLines(user.AllowList)}}}
	e.values.Set("version", strconv.FormatInt(user.Version, 10))
	for _, f := range beforeFields(networkFields, e.values) {
		e.values.Add(f.Name, f.Value)
	}
	if entry := c.QueryParam(parameterAdd); entry != "" && actor.SeesUnmasked(user.ID) {
		e.values.Set(identity.FieldAllowList, strings.TrimPrefix(allowListLines(user.AllowList)+"\n"+entry, "\n"))
	}
	return h.renderNetwork(c, actor, e, http.StatusOK, problems{})
}

// networkFields are the fields of the form that two people may have changed.
var networkFields = []mergeField{
	{Name: identity.FieldAllowList, Label: labelOf(identity.FieldAllowList), Text: textLines},
}

// textLines shows a text of several lines on one.
func textLines(values []string) string {
	var lines []string
	for _, value := range values {
		lines = append(lines, strings.Fields(value)...)
	}
	if len(lines) == 0 {
		return "any address"
	}
	return strings.Join(lines, ", ")
}

// allowListLines returns a list as the form has it.
func allowListLines(list identity.AllowList) string {
	return strings.ReplaceAll(list.String(), " ", "\n")
}

// editNetwork takes the form: it shows the form again, what it will change, or saves it.
func (h *handlers) editNetwork(c echo.Context, actor identity.Actor) error {
	user, err := h.userOf(c, actor)
	if err == nil {
		err = actor.Require(identity.UsersUpdate)
	}
	if err != nil {
		return err
	}
	e := networkEdit{user: user}
	if e.values, err = form(c); err != nil {
		return err
	}
	takeMerge(e.values)
	if e.values.Get("step") == stepEdit {
		return h.renderNetwork(c, actor, e, http.StatusOK, problems{})
	}
	if e.values.Get("version") != strconv.FormatInt(user.Version, 10) {
		return h.mergeNetwork(c, actor, e)
	}
	list, err := networkListFrom(e.values)
	change := identity.UserChange{AllowList: &list}
	if err == nil {
		change, err = change.Unmasked(user, actor)
	}
	if err != nil {
		return h.networkAgain(c, actor, e, err)
	}
	changes := user.Diff(change.Apply(user))
	switch {
	case len(changes) == 0:
		return h.seeOther(c, networkPath(user.ID), "unchanged")
	case e.values.Get(fieldForce) != ticked && locksOut(actor, user.ID, list):
		return h.renderNetwork(c, actor, e, http.StatusConflict, problems{})
	case e.values.Get("step") == stepSave:
		return h.saveNetwork(c, actor, e, change)
	}
	return h.reviewNetwork(c, actor, e, list, changes)
}

// networkListFrom reads the form. The error is Invalid and names the lines that are wrong.
func networkListFrom(values url.Values) (identity.AllowList, error) {
	var wrong identity.Problems
	entries := parsedLines(&wrong, identity.FieldAllowList, values, identity.MaxAllowListEntries,
		identity.ParseAddressRangeOrMask)
	return entries, wrong.Err()
}

// locksOut reports whether the list would keep the caller from coming back from where the
// request comes from. The service refuses to save it without force.
func locksOut(actor identity.Actor, id int64, list identity.AllowList) bool {
	return actor.UserID == id && !list.Allows(actor.Source)
}

func (h *handlers) saveNetwork(c echo.Context, actor identity.Actor, e networkEdit, change identity.UserChange) error {
	_, err := h.service.UpdateUser(c.Request().Context(), actor, e.user.ID, service.UserUpdate{
		Change: change, Force: e.values.Get(fieldForce) == ticked,
		Match: identity.VersionMatch{Conditional: true, Versions: []int64{e.user.Version}},
	})
	switch {
	case identity.KindOf(err) == identity.Precondition: // since the page has read it
		if e.user, err = h.userOf(c, actor); err != nil {
			return err
		}
		return h.mergeNetwork(c, actor, e)
	case err != nil:
		return h.networkAgain(c, actor, e, err)
	}
	return h.seeOther(c, networkPath(e.user.ID), "network_saved")
}

// networkAgain shows the form with what is wrong, or returns an error that another page
// shows.
func (h *handlers) networkAgain(c echo.Context, actor identity.Actor, e networkEdit, err error) error {
	p, ok := problemsOf(err)
	if !ok {
		return err
	}
	return h.renderNetwork(c, actor, e, statusOf(err), p)
}

// reviewNetwork shows what the form will change.
func (h *handlers) reviewNetwork(c echo.Context, actor identity.Actor, e networkEdit, list identity.AllowList,
	changes identity.Changes,
) error {
	path := networkPath(e.user.ID)
	view := reviewView{
		Heading: reviewHeading, Up: link{path, string(e.user.Name)}, Changes: changesFrom(changes, nil),
		Message: "Requests from other addresses are refused at once, also in sessions that are open.",
		Action:  path, Fields: keptFields(e.values), Save: "Save", Cancel: path,
	}
	if len(list) == 0 {
		view.Message = "From then on this user may come from any address."
	}
	if locksOut(actor, e.user.ID, list) {
		own := "We do not see your own address."
		if actor.Source.IsValid() {
			own = "Your own address, " + actor.Source.String() + ", is in none of the ranges."
		}
		view.Danger = true
		view.Warnings = []string{"This shuts you out. " + own + " The change is recorded with your name."}
	}
	for i := range view.Changes {
		view.Changes[i].Old, view.Changes[i].New = anyAddress(view.Changes[i].Old), anyAddress(view.Changes[i].New)
	}
	body := jsonText(map[string]any{identity.FieldAllowList: list})
	query := url.Values{}
	if e.values.Get(fieldForce) == ticked {
		query.Set(fieldForce, ticked)
	}
	return h.render(c, actor, http.StatusOK, "review", page{
		Title: reviewHeading, Nav: "users", View: view,
		API: h.apiCall(c, http.MethodPatch, apiUserPath(e.user.ID), query, body),
	})
}

// anyAddress says in words that an allow-list is empty.
func anyAddress(text string) string {
	if text == noValue {
		return "any address"
	}
	return text
}

// mergeNetwork shows what somebody else has changed meanwhile.
func (h *handlers) mergeNetwork(c echo.Context, actor identity.Actor, e networkEdit) error {
	yours := e.values
	if list, err := networkListFrom(e.values); err == nil { // spelled like what is stored
		yours = url.Values{identity.FieldAllowList: {allowListLines(list)}}
	}
	theirs := url.Values{identity.FieldAllowList: {allowListLines(e.user.AllowList)}}
	view := mergeFrom(networkFields, beforeIn(e.values), theirs, yours, e.user.Version)
	path := networkPath(e.user.ID)
	if len(view.Both)+len(view.Theirs)+len(view.Yours) == 0 {
		return h.seeOther(c, path, "unchanged")
	}
	return h.renderMerge(c, actor, "users", path, path, view)
}

func (h *handlers) renderNetwork(c echo.Context, actor identity.Actor, e networkEdit, status int, p problems) error {
	q := api.NewQuery(c)
	at, asked := pageIn(q), q.Text(parameterIP, maxAddressText)
	_ = q.Text(parameterAdd, maxAddressText)
	if err := q.Err(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	view := networkViewFrom(actor, e, p)
	view.Head = userHeadFrom(actor, e.user, "network", h.groupNames(ctx, actor), h.now())
	var err error
	if view.Explain, err = h.explain(ctx, actor, e.user.ID, asked); err != nil {
		return err
	}
	switch {
	case status != http.StatusOK:
	case view.Explain.Problem != "":
		status = http.StatusBadRequest
	case view.Explain.Denied != "" && view.Explain.IP != "":
		status = http.StatusForbidden
	}
	sources, total, err := h.service.Sources(ctx, actor, e.user.ID, at)
	if err != nil {
		return err
	}
	view.Sources.Rows = sourceRows(actor, e.user, sources, view.Denied == "", h.now())
	view.Sources.Range, view.Sources.Prev, view.Sources.Next = pagerOf(c.QueryParams(), networkPath(e.user.ID), at.Offset,
		at.Limit, len(sources), total)
	return h.render(c, actor, status, "usernetwork", page{
		Title: "Network of a user", Nav: "users", View: view, API: h.networkCall(c, e.user.ID, view.Explain.Address),
	})
}

// networkCall returns the call that does what the page shows: it explains an address, or
// lists the sources.
func (h *handlers) networkCall(c echo.Context, id int64, address string) *apiCall {
	if address != "" {
		return h.apiCall(c, http.MethodPost, "/api/v2/network/explain", nil,
			jsonText(map[string]any{identity.FieldUserID: id, parameterIP: address}))
	}
	return h.apiCall(c, http.MethodGet, apiUserPath(id)+"/sources", nil, "")
}

func networkViewFrom(actor identity.Actor, e networkEdit, p problems) networkView {
	text := e.values.Get(identity.FieldAllowList)
	view := networkView{
		Masked: !actor.SeesUnmasked(e.user.ID), Empty: len(e.user.AllowList) == 0,
		Denied: lacks(actor, identity.UsersUpdate), Text: text, Force: e.values.Get(fieldForce) == ticked, Problems: p,
		Added: textLines([]string{text}) != textLines([]string{allowListLines(e.user.AllowList)}),
	}
	list, err := networkListFrom(e.values)
	view.LocksOut = err == nil && locksOut(actor, e.user.ID, list)
	for _, f := range fieldsOf(e.values) {
		if f.Name == "version" || strings.HasPrefix(f.Name, beforePrefix) {
			view.Before = append(view.Before, f)
		}
	}
	return view
}

// explain answers whether a user may come from an address; "" asks nothing.
func (h *handlers) explain(ctx context.Context, actor identity.Actor, id int64, text string) (explainView, error) {
	view := explainView{IP: strings.TrimSpace(text)}
	if view.IP == "" && actor.SeesUnmasked(id) {
		return view, nil
	}
	addr, err := identity.ParseAddress(view.IP)
	if err != nil && actor.SeesUnmasked(id) {
		view.Problem = "This must be an IPv4 or IPv6 address."
		return view, nil
	}
	// Of a masked list the service says why it explains nothing, whatever the address.
	allowed, match, err := h.service.ExplainNetwork(ctx, actor, id, addr)
	if view.Denied, err = deniedBy(err); err != nil || view.Denied != "" {
		return view, err
	}
	view.Address, view.Allowed = addr.String(), allowed
	if match != (identity.AddressRange{}) {
		view.Match = match.String()
	}
	return view, nil
}

func sourceRows(actor identity.Actor, user identity.User, sources []identity.Source, mayEdit bool, now time.Time,
) []sourceRow {
	var rows []sourceRow
	for _, source := range sources {
		row := sourceRow{
			Address: source.Address, Hidden: !actor.SeesUnmasked(user.ID),
			First: momentOf(source.FirstSeenAt, now), Last: momentOf(source.LastSeenAt, now),
		}
		if entry, err := identity.ParseAddressRange(source.Address); err == nil && !row.Hidden {
			row.ExplainHref = addressWith(nil, networkPath(user.ID), parameterIP, firstOf(entry).String()) + "#explain"
			if mayEdit && !slices.Contains(user.AllowList, entry) {
				row.AddHref = addressWith(nil, networkPath(user.ID), parameterAdd, source.Address) + "#f-" + identity.FieldAllowList
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// firstOf returns the first address of a range.
func firstOf(r identity.AddressRange) netip.Addr { return r.Prefix().Addr() }
