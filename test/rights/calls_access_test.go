package rights

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"
)

const groupsPath = "/api/v2/groups"

// aGroup picks a group. It returns nil when there is none.
func (k *walk) aGroup(c *call) *group {
	onlyEmpty := c.kind == "groups.delete" && k.chance(60) // others cannot be deleted
	g := one(k, sorted(k.w.groups, func(g *group) bool {
		return (!g.gone || k.chance(3)) && (g.id != 1 || k.chance(30)) && !(onlyEmpty && k.w.hasMembers(g))
	}))
	if g != nil {
		c.group = g.id
		c.path = fmt.Sprintf("%s/%d", groupsPath, g.id)
	}
	return g
}

func (k *walk) groupsList(c *call) *call { return c.sends(http.MethodGet, groupsPath, nil) }

func (k *walk) groupsGet(c *call) *call {
	g := k.aGroup(c)
	if g == nil {
		return nil
	}
	c.sends(http.MethodGet, c.path, nil)
	c.done = func() string { return compareGroup(c, g) }
	return c
}

// compareGroup compares the group of an answer with the world. It returns what differs.
func compareGroup(c *call, g *group) string {
	var shown struct {
		Permissions []string
		RequireTfa  bool
	}
	c.answer.decode(&shown)
	switch perms := setOf(shown.Permissions); {
	case perms&named != g.perms.full()&named:
		return fmt.Sprintf("the answer has %s, want %s", perms, g.perms)
	case g.id != 1 && slices.Contains(shown.Permissions, "*") != (g.perms&later != 0):
		return "`*` is stored only where `*` was given"
	case g.id != 1 && shown.RequireTfa != g.requireTfa:
		return fmt.Sprintf("the answer has requireTfa %t", shown.RequireTfa)
	}
	return ""
}

func (k *walk) groupsCreate(c *call) *call {
	if len(sorted(k.w.groups, func(g *group) bool { return !g.gone })) > 12 {
		return nil
	}
	a, _ := model{}.actor(k.w, c.as)
	g := &group{perms: k.within(a.perms), requireTfa: k.chance(10)}
	c.perms = &g.perms
	body := object{"name": fmt.Sprint("Group ", k.next()), "permissions": g.perms.names()}
	if g.requireTfa {
		body["requireTfa"], c.requireTfa = true, &g.requireTfa
	}
	c.sends(http.MethodPost, groupsPath, body)
	c.done = func() string {
		g.id = c.answer.id()
		k.w.groups[g.id] = g
		return compareGroup(c, g)
	}
	return c
}

func (k *walk) groupsPatch(c *call) *call {
	g := k.aGroup(c)
	if g == nil {
		return nil
	}
	a, _ := model{}.actor(k.w, c.as)
	next := *g
	body := object{}
	switch {
	case k.chance(30):
		body["name"] = fmt.Sprint("Group ", k.next())
	case k.chance(25):
		next.requireTfa = !g.requireTfa
		body["requireTfa"], c.requireTfa = next.requireTfa, &next.requireTfa
	default:
		next.perms = k.within(a.perms)
		if next.perms.full() == g.perms.full() {
			return nil // nothing changes
		}
		body["permissions"], c.perms = next.perms.names(), &next.perms
	}
	c.sends(http.MethodPatch, c.path, body)
	c.done = func() string {
		*g = next
		return compareGroup(c, g)
	}
	return c
}

func (k *walk) groupsDelete(c *call) *call {
	g := k.aGroup(c)
	if g == nil {
		return nil
	}
	c.sends(http.MethodDelete, c.path, nil)
	c.done = func() string {
		g.gone = true
		return ""
	}
	return c
}

const tokensPath = "/api/v2/tokens"

func (k *walk) aToken(c *call) *token {
	t := one(k, sorted(k.w.tokens, func(t *token) bool {
		return t.id != 1 && (!t.revoked || k.chance(3)) && (t.end.IsZero() || k.w.now.Before(t.end.Add(-time.Minute)))
	}))
	if t != nil {
		c.token = t.id
		c.path = fmt.Sprintf("%s/%d", tokensPath, t.id)
	}
	return t
}

func (k *walk) tokensList(c *call) *call { return c.sends(http.MethodGet, tokensPath, nil) }

func (k *walk) tokensGet(c *call) *call {
	if k.aToken(c) == nil {
		return nil
	}
	return c.sends(http.MethodGet, c.path, nil)
}

func (k *walk) tokensRevoke(c *call) *call {
	t := k.aToken(c)
	if t == nil {
		return nil
	}
	c.sends(http.MethodDelete, c.path, nil)
	c.done = func() string {
		t.revoked = true
		return ""
	}
	return c
}

func (k *walk) tokensMint(c *call) *call {
	a, _ := model{}.actor(k.w, c.as)
	want := &token{perms: k.within(a.perms), unmasked: k.chance(50) && (a.unmasked || k.chance(20))}
	if k.chance(20) { // all
		want.perms = a.perms
	}
	c.mint = want
	body := object{
		"name": fmt.Sprint("Token ", k.next()), "permissions": want.perms.names(), "canViewMaskedData": want.unmasked,
	}
	if k.chance(50) {
		if k.about(c, usersPath) == nil {
			return nil
		}
		want.user, c.me = c.user, false
		if want.user != 0 {
			body["userId"] = want.user
		}
	}
	if k.chance(35) {
		want.list, c.listGiven = k.listWithin(a.list()), true
		body["ipWhitelist"] = want.list.strings()
	}
	switch {
	case k.chance(10):
		c.never = true
		body["expiresAt"] = nil
	case k.chance(40):
		c.endGiven = true
		hours := one(k, []int{2, 10, 24, 72, 1000, 8000, 9000})
		want.end = k.w.now.Add(time.Duration(hours) * time.Hour).Truncate(time.Second)
		body["expiresAt"] = want.end
	}
	c.sends(http.MethodPost, tokensPath, body)
	c.done = func() string { return k.minted(c, a) }
	return c
}

// listWithin returns an allow-list, mostly one that is within another one.
func (k *walk) listWithin(outer list) list {
	if len(outer) == 0 || k.chance(20) {
		return list{netip.PrefixFrom(inside(k.r, netip.MustParsePrefix("2001:db9::/48")), 56).Masked()}
	}
	p := one(k, outer)
	return list{netip.PrefixFrom(inside(k.r, p), min(p.Bits()+2, 64)).Masked()}
}

// minted adds a token to the world. It returns what is wrong with the answer, such as a right that the creator lacks.
func (k *walk) minted(c *call, a actor) string {
	var shown struct {
		ID                int64
		Token             string
		Permissions       []string
		UserID            *int64
		IPWhitelist       []string
		CanViewMaskedData bool
		ExpiresAt         *time.Time
		CreatedBy         *struct{ UserID, TokenID *int64 }
	}
	c.answer.decode(&shown)
	t := c.mint
	t.id, t.secret = shown.ID, shown.Token
	asked := t.list
	if !c.listGiven {
		asked = a.list()
	}
	t.list = asked
	if !slices.Contains(shown.IPWhitelist, "***") { // else it is masked, as a user's is
		t.list = nil
		for _, text := range shown.IPWhitelist {
			if p, err := netip.ParsePrefix(text); err == nil {
				t.list = append(t.list, p)
			}
		}
	}
	if !c.endGiven && shown.ExpiresAt != nil {
		t.end = *shown.ExpiresAt
	}
	k.w.tokens[t.id] = t
	longest := k.w.now.Add(366 * 24 * time.Hour)
	if !a.end.IsZero() && a.end.Before(longest) {
		longest = a.end
	}
	var creator, creatingToken int64
	if shown.CreatedBy != nil && shown.CreatedBy.UserID != nil {
		creator = *shown.CreatedBy.UserID
	}
	if shown.CreatedBy != nil && shown.CreatedBy.TokenID != nil {
		creatingToken = *shown.CreatedBy.TokenID
	}
	switch perms := setOf(shown.Permissions); {
	case perms&named != t.perms.full()&named || shown.CanViewMaskedData != t.unmasked:
		return fmt.Sprintf("the token has %s and canViewMaskedData %t", perms, shown.CanViewMaskedData)
	case (shown.UserID == nil) != (t.user == 0) || shown.UserID != nil && *shown.UserID != t.user:
		return "the token acts for another user"
	case !sameList(t.list, asked): // without a list it is that of the creator
		return fmt.Sprintf("the token may be used from %s, want %s; its creator may from %s", t.list, asked, a.list())
	case (c.never || !c.endGiven && a.may(named) && a.end.IsZero()) != (shown.ExpiresAt == nil):
		return fmt.Sprintf("the token ends %v: never is for holders of every permission", shown.ExpiresAt)
	case c.endGiven && (shown.ExpiresAt == nil || !shown.ExpiresAt.Equal(t.end)):
		return fmt.Sprintf("the token ends %v, %v was asked for", shown.ExpiresAt, t.end)
	case !c.endGiven && shown.ExpiresAt != nil && !isNear(*shown.ExpiresAt, longest):
		return fmt.Sprintf("the token ends %v, the longest that its creator may give is %v", shown.ExpiresAt, longest)
	case creator != a.user || c.as.token != nil && creatingToken != c.as.token.id:
		return "createdBy is not the creator"
	}
	return ""
}

func sameList(l, other list) bool {
	set := map[string]bool{}
	for _, text := range l.strings() {
		set[text] = true
	}
	for _, text := range other.strings() {
		if !set[text] {
			return false
		}
	}
	return len(l) == len(other)
}

func (k *walk) introspect(c *call) *call {
	shown := k.callerFor(c.kind)
	if shown.credential() == "" {
		return nil
	}
	form := url.Values{"token": {shown.credential()}}
	if shown.raw == "" {
		c.shown = &shown
	}
	if k.chance(50) {
		c.ip = true
		form.Set("ip", k.source(shown).String())
	}
	c.sends(http.MethodPost, "/api/v2/introspect", form)
	c.done = func() string { return k.introspected(c) }
	return c
}

// introspected compares the answer about a token with the world. It returns what differs.
func (k *walk) introspected(c *call) string {
	if c.shown == nil {
		return ""
	}
	a, good := model{}.actor(k.w, *c.shown)
	if a.limited {
		return "" // the contract does not say what the answer is for a user without a required factor
	}
	var shown struct {
		Active            bool
		UserID            *int64
		Permissions       []string
		CanViewMaskedData bool
	}
	c.answer.decode(&shown)
	perms := setOf(shown.Permissions)
	switch {
	case shown.Active != good:
		return fmt.Sprintf("active is %t", shown.Active)
	case good && perms&named != a.perms&named:
		return fmt.Sprintf("the answer has %s, want %s", perms, a.perms)
	case good && shown.CanViewMaskedData != a.unmasked:
		return fmt.Sprintf("canViewMaskedData is %t", shown.CanViewMaskedData)
	case good && (shown.UserID == nil) != (a.user == 0):
		return "the answer has another user"
	}
	return ""
}
