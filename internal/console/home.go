package console

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
)

// homeView is the first page: numbers that lead to lists.
type homeView struct{ Figures []figure }

// figure is a number with the list that it counts.
type figure struct {
	Label  string
	Hint   string
	Number string // "" for none: then Denied or Failed says why
	None   bool   // the number is 0
	Href   string // the list, as a saved filter
	Denied string // why the caller does not see it
	Failed bool   // it could not be counted
}

// home shows the home page; the form to sign in comes from writeError.
func (h *handlers) home(c echo.Context, actor identity.Actor) error {
	var view homeView
	ctx := c.Request().Context()
	for _, f := range figures(h.now()) {
		n, more, err := h.countOf(ctx, actor, f)
		shown := figureFrom(f, n, more, err)
		if shown.Failed {
			slog.WarnContext(ctx, "counting for the home page", "figure", f.label, "error", err)
		}
		view.Figures = append(view.Figures, shown)
	}
	return h.render(c, actor, http.StatusOK, "home", page{Title: "Home", Nav: "home", View: view})
}

// saved is a filter that Home counts. Exactly one of the filters is set.
type saved struct {
	label, hint, href string

	users  *identity.UserFilter
	tokens *identity.TokenFilter
	outbox *delivery.Filter
	events *identity.EventFilter
}

// figures returns what Home counts at a time. Its times are those of a day (UTC), so that
// the address of a list is the same all day.
func figures(now time.Time) []saved {
	const inactive, week = 90 * day, 7 * day
	today := now.UTC().Truncate(day)
	text := func(t time.Time) string { return t.Format(time.RFC3339) }
	users := func(parameters ...string) string { return addressWith(nil, Prefix+"/users", parameters...) }
	yes, no := true, false
	seen, joined, soonest, latest := today.Add(-inactive), today.Add(-week), today, today.Add(soon)
	return []saved{
		{
			label: "Not seen for 90 days", hint: "Active users who joined before that",
			users: &identity.UserFilter{Active: &yes, SigninBefore: seen, CreatedBefore: seen},
			href: users("filter[status]", "active", "filter[lastSigninBefore]", text(seen),
				"filter[createdBefore]", text(seen), "sort_by", string(identity.SortByLastSignin)),
		},
		{
			label: "No second factor", hint: "Active users who sign in with a password only",
			users: &identity.UserFilter{Active: &yes, TFA: &no},
			href:  users("filter[status]", "active", "filter[tfa]", "false"),
		},
		{
			label: "Locked", hint: "Too many wrong passwords or codes",
			users: &identity.UserFilter{Locked: &yes}, href: users("filter[locked]", "true"),
		},
		{
			label: "Joined this week", hint: "Created in the last 7 days",
			users: &identity.UserFilter{CreatedAfter: joined},
			href: users("filter[createdAfter]", text(joined), "sort_by", string(identity.SortByCreation),
				"sort_order", "desc"),
		},
		{
			label: "Tokens that end soon", hint: "Within 14 days",
			tokens: &identity.TokenFilter{ExpiresAfter: soonest, ExpiresBefore: latest},
			href: addressWith(nil, tokensPath, "filter[expiresAfter]", text(soonest),
				"filter[expiresBefore]", text(latest)),
		},
		{
			label: "Dead letters", hint: "Mails and webhooks that were given up",
			outbox: &delivery.Filter{States: []delivery.State{delivery.Dead}},
			href:   addressWith(nil, Prefix+"/outbox", "filter[state]", string(delivery.Dead)),
		},
		{
			label: "Refused by address today", hint: "Requests from outside an allow-list, since midnight UTC",
			events: &identity.EventFilter{Reason: reasonAddress, Since: today},
			href:   addressWith(nil, Prefix+"/activity", "filter[reason]", reasonAddress, "filter[since]", text(today)),
		},
	}
}

// reasonAddress is the reason of an event where a request came from an address that is not
// allowed.
const reasonAddress = "ip_not_allowed"

// figureFrom returns a number that was counted, or says why there is none.
func figureFrom(f saved, n int64, more bool, err error) figure {
	shown := figure{Label: f.label, Hint: f.hint, Href: f.href}
	denied, err := deniedBy(err)
	switch {
	case err != nil:
		shown.Failed = true
	case denied != "":
		shown.Denied = denied
	default:
		shown.Number, shown.None = number(n), n == 0
		if more {
			shown.Number = "more than " + shown.Number
		}
	}
	return shown
}

// countOf returns how many things match a saved filter, and whether there are more.
func (h *handlers) countOf(ctx context.Context, actor identity.Actor, f saved) (n int64, more bool, err error) {
	one := identity.Page{Limit: 1}
	switch {
	case f.users != nil:
		users, err := h.service.CountUsers(ctx, actor, *f.users)
		return users.Total, users.IsLowerBound, err
	case f.tokens != nil:
		_, n, err = h.service.Tokens(ctx, actor, *f.tokens, one)
	case f.outbox != nil:
		_, n, err = h.service.Messages(ctx, actor, *f.outbox, one)
	default:
		events, err := h.service.Events(ctx, actor, identity.EventQuery{Filter: *f.events, Limit: 1})
		return events.Total, events.TotalIsLowerBound, err
	}
	return n, false, err
}
