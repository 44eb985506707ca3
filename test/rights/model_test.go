package rights

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A caller is the sender of a call: a token, a session, or a text that is neither.
type caller struct {
	token   *token
	session *session
	raw     string
}

func (c caller) credential() string {
	switch {
	case c.token != nil:
		return c.token.secret
	case c.session != nil:
		return c.session.access
	}
	return c.raw
}

// user returns the user that the caller is or acts for, 0 for none.
func (c caller) user() int64 {
	switch {
	case c.token != nil:
		return c.token.user
	case c.session != nil:
		return c.session.user
	}
	return 0
}

// An actor holds the present rights of a caller.
type actor struct {
	perms    set
	unmasked bool
	user     int64
	token    int64     // 0 for sessions
	session  *session  // nil for service tokens
	lists    []list    // each must allow the address
	end      time.Time // zero for never and for sessions: "a session may mint tokens that outlast it"
	fresh    bool
	limited  bool
}

// actor also reports whether the credential is valid.
func (m model) actor(w *world, c caller) (actor, bool) {
	u := w.user(c.user())
	perms := w.perms(u)
	switch {
	case c.session != nil:
		s := c.session
		good := !s.ended && !u.gone && u.active && w.now.Before(s.accessEnd)
		return actor{
			perms: perms, unmasked: u.unmasked, user: u.id, session: s, lists: []list{u.list},
			fresh: w.now.Before(s.freshUntil), limited: w.needsFactor(u),
		}, good
	case c.token == nil:
		return actor{}, false
	}
	t := c.token
	a := actor{token: t.id, perms: t.perms.full(), unmasked: t.unmasked, lists: []list{t.list}, end: t.end, fresh: true}
	if m.without == twistIncluded {
		a.perms = t.perms
	}
	good := !t.revoked && (t.end.IsZero() || w.now.Before(t.end))
	if t.user == 0 {
		return a, good
	}
	// "A service token that acts for a user has its listed permissions ∩ the user's, its own canViewMaskedData."
	a.user = u.id
	if m.without != twistIntersection {
		a.perms &= perms
	}
	if m.without != twistOwnMask {
		a.unmasked = a.unmasked && u.unmasked
	}
	if m.without == twistPerson {
		a.session = &session{}
	}
	a.lists = append(a.lists, u.list)
	return a, good && !u.gone && u.active
}

func (a actor) mayComeFrom(address netip.Addr) bool {
	return !slices.ContainsFunc(a.lists, func(l list) bool { return !l.has(address) })
}

// list returns the effective allow-list of an actor. The lists must have common addresses.
func (a actor) list() list {
	var effective list
	for _, l := range a.lists {
		effective = effective.and(l)
	}
	return effective
}

func (a actor) may(s set) bool { return a.perms&s == s }

// covers reports whether the actor holds all rights of the user.
func (a actor) covers(w *world, u *user) bool {
	return a.holds(w.permsOf(u.groups)) && (a.unmasked || !u.unmasked)
}

// holds reports whether the actor holds a set; `*` is more than all names.
func (a actor) holds(s set) bool { return s&^a.perms == 0 }

// sees reports whether the actor sees the user's values unmasked: with canViewMaskedData, or in the user's own session.
func (a actor) sees(u *user) bool {
	return !u.gone && (a.unmasked || a.session != nil && a.user == u.id)
}

// A call is a request with what the model must know about it. Fields that a kind of call does not use are empty.
type call struct {
	kind         string
	as           caller
	from         netip.Addr
	method, path string
	body         any
	key          string // Idempotency-Key
	at           time.Time

	user        int64 // the user it is about
	me          bool  // and whether the path has "me"
	sortByEmail bool
	change      *change       // of a user
	group       int64         // the group it is about
	perms       *set          // new ones of the group
	requireTfa  *bool         // new value of the group
	token       int64         // the token it is about
	mint        *token        // the token that it asks for
	listGiven   bool          // whether the body has an allow-list
	endGiven    bool          // whether the body has an end
	never       bool          // whether the body has null as the end
	hook        int64         // the webhook it is about
	wanted      *hook         // the new webhook
	shown       *caller       // the credential that is introspected
	ip          bool          // and whether with an address
	sid         string        // the session to end
	right       bool          // whether the password or code is right
	known       bool          // whether the record or session exists
	done        func() string // changes the world after a success and returns what is wrong with the answer
	answer      *answer
}

// A change is a change of one field of a user.
type change struct {
	field   string
	value   any
	groups  []int64
	flag    bool
	list    list
	taken   bool // the e-mail is another user's
	same    bool // the e-mail is the mask that was shown, which means "unchanged"
	current *string
	force   bool
}

func (c *call) isFirefly() bool { return strings.HasPrefix(c.kind, "firefly") }
func (c *call) isPowens() bool  { return strings.HasPrefix(c.kind, "powens") }

// judge returns which answers to a call are right.
func (m model) judge(w *world, c *call) *verdict {
	v := &verdict{model: m, call: c}
	if c.kind == "signin" || c.kind == "refresh" {
		m.signIn(v, w)
		return v
	}
	a, good := m.actor(w, c.as)
	v.need(ruleToken, good)
	v.need(ruleAddress, a.mayComeFrom(c.from) || !good)
	if len(v.unmet) > 0 {
		return v
	}
	enrolling := []string{"totp.enrol", "totp.confirm", "reauthenticate", "signout"}
	v.need(ruleFactor, !a.limited || slices.Contains(enrolling, c.kind))
	v.need(ruleMe, !c.me || a.user != 0)
	switch area, _, _ := strings.Cut(c.kind, "."); area {
	case "users", "powens", "firefly", "records", "explain":
		m.users(v, w, a)
	case "sessions", "totp", "reauthenticate", "signout":
		m.oneself(v, w, a)
	case "groups":
		m.groups(v, w, a)
	case "tokens", "introspect":
		m.tokens(v, w, a)
	case "webhooks", "outbox":
		m.hooks(v, w, a)
	case "events":
		v.need(rulePermission, a.may(auditView))
	}
	return v
}

func (m model) signIn(v *verdict, w *world) {
	u := w.user(v.call.user)
	v.need(ruleCredentials, v.call.right && u.active && !u.gone)
	v.need(ruleAddress, u.list.has(v.call.from) || len(v.unmet) > 0)
	if v.call.as.session != nil { // a refresh
		v.need(ruleCredentials, !v.call.as.session.ended)
	}
}

func (m model) users(v *verdict, w *world, a actor) {
	c, u := v.call, w.user(v.call.user)
	me := a.session != nil && a.user == c.user                // "oneself belongs to sessions"
	own := a.session == nil && a.user == c.user && a.user > 0 // "and nothing by being that user"
	if c.isFirefly() {
		v.need(ruleAdministrator, a.may(named))
	}
	if c.user != 0 {
		v.need(ruleExists, !u.gone)
	}
	switch c.kind {
	case "users.find":
		v.need(rulePermission, a.may(usersView))
	case "users.about":
		v.need(rulePermission, me || a.may(usersView))
	case "users.access":
		v.need(rulePermission, me || a.may(usersView) && a.may(groupsView))
	case "users.list", "powens.list":
		v.need(rulePermission, a.may(usersView))
		v.need(ruleOracle, !c.sortByEmail || a.unmasked) // "sorting by e-mail is refused"
	case "users.get", "powens.get": // "users.self: read the user it acts for"
		v.need(rulePermission, me || a.may(usersView) || own && a.may(usersSelf))
	case "explain": // takes users.view, or is about oneself; the contract leaves open whether users.self is enough
		v.need(rulePermission, me || a.may(usersView) || own && a.may(usersSelf))
		v.either(rulePermission, me || a.may(usersView))
		v.need(ruleOracle, me || a.unmasked)
	case "users.create":
		v.need(rulePermission, a.may(usersCreate))
		v.need(ruleYield, a.holds(w.permsOf(c.change.groups)) && (a.unmasked || !c.change.flag))
		v.need(ruleTaken, !c.change.taken)
	case "users.repeat": // gets the kept answer; the contract leaves open whether the groups are checked again
		v.need(rulePermission, a.may(usersCreate))
		v.either(ruleYield, a.holds(w.permsOf(c.change.groups)) && (a.unmasked || !c.change.flag))
	case "users.invite": // as for the password of another user, and of oneself no more
		v.need(rulePermission, a.may(usersUpdate))
		v.need(ruleCover, a.covers(w, u))
		v.need(ruleWayIn, a.unmasked)
		v.need(ruleOwnWayIn, !own)
		v.either(ruleInvite, false) // the walk does not know who has signed in, nor how many were sent
	case "firefly.create":
		v.need(ruleTaken, !c.change.taken)
	case "users.patch", "firefly.put":
		m.change(v, w, a, me, own)
	case "users.delete", "firefly.delete":
		v.need(rulePermission, me || a.may(usersDelete)) // "leaving belongs to sessions"
		v.need(ruleCover, me || a.covers(w, u))
		v.lastAdministrator(w, a, u)
	case "powens.delete": // "through Powens, delete the user it acts for"
		leaves := me || own && a.may(usersSelf)
		v.need(rulePermission, leaves || a.may(usersDelete))
		v.need(ruleCover, leaves || a.covers(w, u))
		v.lastAdministrator(w, a, u)
	case "powens.synced":
		v.need(rulePermission, a.may(usersUpdate))
	case "records.list", "records.get", "records.put", "records.delete":
		v.need(rulePermission, a.may(recordsManage))
		v.need(ruleExists, c.known || c.kind == "records.list" || c.kind == "records.put")
	}
}

// change judges a change of one field of a user.
func (m model) change(v *verdict, w *world, a actor, me, own bool) {
	u, change := w.user(v.call.user), v.call.change
	// "Writing the mask back means unchanged."
	wayIn := change.field == "password" || change.field == "tfa" || change.field == "email" && !change.same
	switch {
	case !me:
		v.need(rulePermission, a.may(usersUpdate))
		v.need(ruleCover, a.covers(w, u))
		v.need(ruleWayIn, !wayIn || a.unmasked)
		v.need(ruleOwnWayIn, !own || change.field != "password" && change.field != "tfa")
		v.need(ruleCurrentOfOther, change.current == nil)
	case change.field == "name" || change.field == "phone" || change.field == "password":
		// "Everyone may change one's own name, phone and password (giving the current one)."
		v.need(ruleCurrent, change.field != "password" || v.call.right)
	case change.field == "tfa": // the contract leaves open whether it is part of "one's own second factor"
		v.either(rulePermission, a.may(usersUpdate))
		v.need(ruleFresh, a.fresh)
	default:
		v.need(rulePermission, a.may(usersUpdate))
		v.need(ruleFresh, change.field != "email" || a.fresh)
	}
	switch change.field {
	case "email":
		v.need(ruleTaken, !change.taken)
	case "groups": // ruleCover covers the groups that are taken away
		v.need(ruleYield, a.holds(w.permsOf(change.groups)))
		isGone := func(id int64) bool { return w.groups[id] == nil || w.groups[id].gone }
		v.need(ruleExists, !slices.ContainsFunc(change.groups, isGone))
		if !slices.Contains(change.groups, 1) {
			v.lastAdministrator(w, a, u)
		}
	case "canViewMaskedData":
		v.need(ruleYield, a.unmasked || change.flag == u.unmasked)
	case "active":
		if !change.flag {
			v.lastAdministrator(w, a, u)
		}
	case "ipWhitelist":
		v.need(ruleLockOut, !me && !own || change.force || change.list.has(v.call.from))
	}
}

// lastAdministrator judges a change after which a user is no active administrator. A service with all rights may do it
// to the last one, because that service can still administer.
func (v *verdict) lastAdministrator(w *world, a actor, u *user) {
	last := u.administers() && w.administrators() == 1
	v.need(ruleLast, !last || a.user == 0)
	v.either(ruleLast, !last || a.may(named) && a.unmasked)
}

// oneself judges calls about the sessions and the second factor of a user.
func (m model) oneself(v *verdict, w *world, a actor) {
	c, u := v.call, w.user(v.call.user)
	me := a.session != nil && a.user == c.user
	own := a.session == nil && a.user == c.user && a.user > 0
	if c.user != 0 {
		v.need(ruleExists, !u.gone)
	}
	switch c.kind {
	case "signout":
		v.need(ruleSession, a.session != nil)
	case "reauthenticate":
		v.need(ruleSession, a.session != nil)
		v.need(ruleProof, c.right)
	case "totp.enrol":
		v.need(ruleOneself, me)
		v.need(ruleFresh, a.fresh)
		v.need(ruleEnrolled, !u.enrolled || !u.tfa) // an unused one is replaced
	case "totp.confirm":
		v.need(ruleOneself, me)
		v.need(ruleFresh, a.fresh)
		v.need(ruleEnrolled, u.totp != "" && !u.enrolled)
		v.need(ruleProof, c.right)
	case "totp.reset": // "administrators, or oneself"
		v.need(ruleFresh, !me || a.fresh)
		v.another(w, a, u, me, own)
		v.need(ruleWayIn, me || a.unmasked)
		v.either(ruleEnrolled, u.enrolled)
	case "sessions.list":
		v.either(rulePermission, me || a.may(usersView) || !own)
		v.need(rulePermission, me || a.may(usersView) || own && a.may(usersSelf))
	case "sessions.end", "sessions.end all": // "own, and by administrators"
		v.another(w, a, u, me, own)
		v.need(ruleExists, c.known || c.kind == "sessions.end all")
	}
}

// another judges calls that take users.update and the cover rule, unless a session makes them for its own user. A token
// that acts for the user may not make them.
func (v *verdict) another(w *world, a actor, u *user, me, own bool) {
	v.need(rulePermission, me || a.may(usersUpdate))
	v.need(ruleCover, me || a.covers(w, u))
	v.need(ruleOwnWayIn, !own)
}

func (m model) groups(v *verdict, w *world, a actor) {
	c := v.call
	g, exists := w.groups[c.group]
	exists = exists && !g.gone
	if c.kind != "groups.list" && c.kind != "groups.create" {
		v.need(ruleExists, exists)
	}
	if c.kind == "groups.list" || c.kind == "groups.get" {
		v.need(rulePermission, a.may(groupsView))
		return
	}
	v.need(rulePermission, a.may(groupsManage))
	v.need(ruleFresh, a.fresh || c.perms == nil && c.requireTfa == nil)
	if c.perms != nil {
		v.need(ruleYield, a.holds(*c.perms))
	}
	if exists {
		v.need(ruleCover, a.holds(g.perms))
		v.need(ruleAdministrators, g.id != 1)
		v.need(ruleMembers, c.kind != "groups.delete" || !w.hasMembers(g))
	}
}

func (w *world) hasMembers(g *group) bool {
	for _, u := range w.users {
		if !u.gone && slices.Contains(u.groups, g.id) {
			return true
		}
	}
	return false
}

func (m model) tokens(v *verdict, w *world, a actor) {
	c := v.call
	if c.kind == "introspect" {
		v.need(rulePermission, a.may(tokensIntrospect))
		if c.ip && c.shown != nil && c.shown.user() != 0 { // the answer shows the user's allow-list
			_, good := m.actor(w, *c.shown)
			v.need(ruleOracle, a.unmasked || !good)
			v.either(ruleOracle, a.unmasked || good) // the answer for an invalid token shows nothing
		}
		return
	}
	v.need(rulePermission, a.may(tokensManage))
	t, exists := w.tokens[c.token]
	switch c.kind {
	case "tokens.get":
		v.need(ruleExists, exists && !t.revoked)
	case "tokens.revoke":
		v.need(ruleExists, exists && !t.revoked)
		if !exists {
			return
		}
		acts := w.user(t.user)
		perms := t.perms
		if t.user != 0 {
			perms &= w.perms(acts)
		}
		v.need(ruleCover, a.holds(perms) && (a.unmasked || !t.unmasked || t.user != 0 && !acts.unmasked))
		// The contract leaves open whether this touches the user's way in.
		v.either(ruleCover, a.holds(t.perms) && (a.unmasked || !t.unmasked))
		v.either(ruleWayIn, t.user == 0 || a.unmasked && a.covers(w, acts))
	case "tokens.mint":
		m.mint(v, w, a)
	}
}

func (m model) mint(v *verdict, w *world, a actor) {
	c, want := v.call, v.call.mint
	v.need(ruleFresh, a.fresh)
	v.need(ruleMintPermissions, a.holds(want.perms.full()))
	v.need(ruleMintUnmasked, a.unmasked || !want.unmasked)
	v.need(ruleMintList, !c.listGiven || want.list.within(a.list()))
	v.need(ruleMintNever, !c.never || a.may(named) && a.end.IsZero())
	if c.endGiven {
		v.need(ruleMintFar, want.end.Before(w.now.Add(366*24*time.Hour)))
		v.need(ruleMintEnd, a.end.IsZero() || !want.end.After(a.end))
	}
	if want.user != 0 {
		u := w.user(want.user)
		me := a.session != nil && a.user == u.id
		v.need(ruleExists, !u.gone)
		v.need(ruleCover, me || a.covers(w, u))
		v.need(ruleWayIn, me || a.unmasked)
	}
}

func (m model) hooks(v *verdict, w *world, a actor) {
	c := v.call
	h, exists := w.hooks[c.hook]
	exists = exists && !h.gone
	if c.hook != 0 {
		v.need(ruleExists, exists)
	}
	v.need(rulePermission, a.may(webhooksManage))
	need := v.need
	switch c.kind {
	case "webhooks.create", "webhooks.patch", "webhooks.rotate":
		v.need(ruleFresh, a.fresh)
	case "webhooks.delete": // the contract leaves open whether it takes the rights to read
		v.need(ruleFresh, a.fresh)
		need = v.either
	default: // reading a webhook does not show what it sends
		need = v.either
	}
	need(ruleHookView, a.may(usersView))
	for _, h := range []*hook{h, c.wanted} { // before and after
		if h != nil {
			need(ruleHookUnmasked, a.unmasked || !h.v2)
			need(ruleHookRecords, a.may(recordsManage) || !h.synced)
		}
	}
}
