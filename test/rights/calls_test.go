package rights

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

type object = map[string]any

// A kind is a kind of call. make completes a call, or returns nil when it cannot be made now.
type kind struct {
	name   string
	weight int
	make   func(*walk, *call) *call
}

var kinds = []kind{
	{"users.list", 6, (*walk).usersList},
	{"users.get", 8, (*walk).usersGet},
	{"users.find", 2, (*walk).usersFind},
	{"users.about", 4, (*walk).usersAbout},
	{"users.access", 3, (*walk).usersAccess},
	{"users.create", 8, (*walk).usersCreate},
	{"users.repeat", 3, (*walk).usersRepeat},
	{"users.patch", 34, (*walk).usersPatch},
	{"users.delete", 5, (*walk).usersDelete},
	{"users.invite", 4, (*walk).usersInvite},
	{"explain", 5, (*walk).explain},
	{"records.list", 2, (*walk).recordsCall},
	{"records.get", 2, (*walk).recordsCall},
	{"records.put", 3, (*walk).recordsCall},
	{"records.delete", 2, (*walk).recordsCall},
	{"groups.list", 2, (*walk).groupsList},
	{"groups.get", 2, (*walk).groupsGet},
	{"groups.create", 5, (*walk).groupsCreate},
	{"groups.patch", 7, (*walk).groupsPatch},
	{"groups.delete", 6, (*walk).groupsDelete},
	{"tokens.list", 3, (*walk).tokensList},
	{"tokens.get", 3, (*walk).tokensGet},
	{"tokens.mint", 20, (*walk).tokensMint},
	{"tokens.revoke", 4, (*walk).tokensRevoke},
	{"introspect", 6, (*walk).introspect},
	{"webhooks.list", 1, (*walk).webhooksRead},
	{"webhooks.get", 1, (*walk).webhooksRead},
	{"webhooks.create", 4, (*walk).webhooksWrite},
	{"webhooks.patch", 4, (*walk).webhooksWrite},
	{"webhooks.rotate", 2, (*walk).webhooksRead},
	{"webhooks.test", 1, (*walk).webhooksRead},
	{"webhooks.deliveries", 1, (*walk).webhooksRead},
	{"webhooks.delete", 2, (*walk).webhooksRead},
	{"outbox.list", 1, (*walk).outboxList},
	{"events.list", 5, (*walk).eventsList},
	{"sessions.list", 6, (*walk).sessionsList},
	{"sessions.end", 6, (*walk).sessionsEnd},
	{"sessions.end all", 2, (*walk).sessionsEndAll},
	{"totp.enrol", 5, (*walk).totpEnrol},
	{"totp.confirm", 6, (*walk).totpConfirm},
	{"totp.reset", 4, (*walk).totpReset},
	{"reauthenticate", 5, (*walk).reauthenticate},
	{"signin", 8, (*walk).signIn},
	{"refresh", 4, (*walk).refresh},
	{"signout", 1, (*walk).signOut},
	{"firefly.list", 2, (*walk).fireflyList},
	{"firefly.get", 2, (*walk).fireflyGet},
	{"firefly.create", 2, (*walk).fireflyCreate},
	{"firefly.put", 4, (*walk).fireflyPut},
	{"firefly.delete", 1, (*walk).fireflyDelete},
	{"powens.list", 1, (*walk).powensCall},
	{"powens.get", 3, (*walk).powensCall},
	{"powens.synced", 2, (*walk).powensCall},
	{"powens.delete", 3, (*walk).powensCall},
}

// chance returns true with the given probability.
func (k *walk) chance(percent int) bool { return k.r.IntN(100) < percent }

// one picks a value. It returns the zero value when there is none.
func one[T any](k *walk, values []T) T {
	var none T
	if len(values) == 0 {
		return none
	}
	return values[k.r.IntN(len(values))]
}

// set returns random permissions: often few, sometimes all.
func (k *walk) set() set {
	s := set(k.r.IntN(int(later)))
	switch n := k.r.IntN(100); {
	case n < 50:
		s &= set(k.r.IntN(int(later)))
	case n < 55:
		s = named
	case n < 60:
		s = star
	}
	return s
}

// within returns some of the permissions, sometimes also others.
func (k *walk) within(s set) set {
	if k.chance(15) {
		return k.set()
	}
	if s&later != 0 && k.chance(80) {
		s = named
	}
	some := k.set()
	some |= k.set()
	return s & some
}

func (k *walk) next() int { k.n++; return k.n }

// password returns a password that no other user has. The scans search for "Secret".
func (k *walk) password() string { return fmt.Sprintf("Zq%xSecret%d", k.r.IntN(1<<20), k.next()) }

func (k *walk) email(block int) string { return fmt.Sprintf("u%dx%d@walk.example", block, k.next()) }

func (k *walk) phone() string { return fmt.Sprintf("+1555%07d", k.next()) }

// list returns an allow-list in a block of addresses, or an empty one.
func (k *walk) list(block string) list {
	if k.chance(50) {
		return nil
	}
	var l list
	for range 1 + k.r.IntN(2) {
		l = append(l, netip.MustParsePrefix(fmt.Sprintf("2001:%s:%x00::/56", block, 0x10+k.r.IntN(0xe0))))
	}
	slices.SortFunc(l, func(p, q netip.Prefix) int { return p.Addr().Compare(q.Addr()) })
	return slices.Compact(l)
}

func userBlock(u *user) string { return fmt.Sprintf("db8:%x", u.block) }

// groupsFor returns some groups, mostly such that give no other permissions.
func (k *walk) groupsFor(s set) []int64 {
	groups := []int64{}
	if k.chance(25) {
		return groups
	}
	for _, g := range sorted(k.w.groups, func(g *group) bool { return !g.gone }) {
		if g.perms&^s == 0 && k.chance(20) || k.chance(4) {
			groups = append(groups, g.id)
		}
	}
	return groups
}

// callerFor picks the caller of a call: mostly one whose credential is valid, and for calls of persons mostly a person.
func (k *walk) callerFor(kind string) caller {
	if k.chance(2) {
		return caller{raw: one(k, []string{"", "nonsense", k.refreshToken()})}
	}
	var persons, services, dead []caller
	sort := func(c caller, to *[]caller) {
		if a, good := (model{}).actor(k.w, c); !good || a.limited && k.chance(60) {
			to = &dead
		}
		*to = append(*to, c)
	}
	for _, t := range sorted(k.w.tokens, func(t *token) bool { return !t.isNear(k.w.now) }) {
		sort(caller{token: t}, &services)
	}
	for _, s := range k.w.sessions {
		if !s.unknown && !s.isNear(k.w.now) {
			sort(caller{session: s}, &persons)
		}
	}
	if kind == "totp.confirm" && k.chance(70) { // a user who has begun to enrol
		persons = slices.DeleteFunc(persons, func(c caller) bool { return k.w.user(c.user()).totp == "" })
	}
	area, _, _ := strings.Cut(kind, ".")
	isPersonal := slices.Contains([]string{"sessions", "totp", "reauthenticate", "signout"}, area)
	switch {
	case len(dead) > 0 && k.chance(6):
		return one(k, dead)
	case len(persons) > 0 && (isPersonal && k.chance(70) || k.chance(45)):
		return one(k, persons)
	}
	return one(k, services)
}

// isNear reports whether a time is so near to now that the service may or may not have reached it.
func isNear(t, now time.Time) bool { return t.Sub(now).Abs() < 2*time.Second }

func (t *token) isNear(now time.Time) bool { return isNear(t.end, now) }

func (s *session) isNear(now time.Time) bool {
	return isNear(s.accessEnd, now) || isNear(s.freshUntil, now)
}

func (k *walk) refreshToken() string {
	if len(k.w.sessions) == 0 {
		return "nonsense"
	}
	return one(k, k.w.sessions).refresh
}

func (k *walk) source(c caller) netip.Addr {
	if k.chance(4) {
		return inside(k.r, netip.MustParsePrefix("2001:dba::/48")) // of no user
	}
	a, _ := model{}.actor(k.w, c)
	home := "2001:db9::/48"
	if u := k.w.user(a.user); u.block > 0 {
		home = "2001:" + userBlock(u) + "::/48"
	}
	address := inside(k.r, netip.MustParsePrefix(home))
	if list := a.list(); len(list) > 0 {
		address = inside(k.r, one(k, list))
	}
	if a.user != 0 {
		k.w.owners[address.String()] = a.user
	}
	return address
}

// about picks a user, often the caller's own, and sets the path.
func (k *walk) about(c *call, prefix string) *user {
	own := c.as.user()
	ownToken := c.as.token != nil && own != 0
	switch {
	case k.chance(25) && (own != 0 || k.chance(10)):
		c.user, c.me = own, true
		c.path = prefix + "/me"
		return k.w.user(own)
	case own != 0 && (k.chance(20) || ownToken && k.chance(20)):
		c.user = own
	case k.chance(3):
		c.user = 100000 // an unknown id
	default:
		users := sorted(k.w.users, func(u *user) bool { return !u.gone || k.chance(2) })
		if len(users) == 0 {
			return nil
		}
		c.user = one(k, users).id
	}
	c.path = fmt.Sprintf("%s/%d", prefix, c.user)
	return k.w.user(c.user)
}

// sends sets the request of a call.
func (c *call) sends(method, path string, body any) *call {
	c.method, c.path, c.body = method, path, body
	return c
}
