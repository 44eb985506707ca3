// Package rights walks at random through what callers with random rights may do and see, and holds every answer
// against a model of its own. The model follows the contract and knows nothing of the code.
//
//	world_test.go     the picture that the model has of the service: who there is and what they hold
//	rules_test.go     the sentences of the contract by which a call is refused
//	model_test.go     who may do what
//	scan_test.go      who may see what
//	calls_…_test.go   the calls that are made, and what they change in the picture
//	walk_test.go      the walk: one call after another, each answer compared with the model
//	service_test.go   what is walked through, and a service with a hole, which the walk has to notice
//	parallel_test.go  many calls at once on two instances: what must never happen
//
// A walk that fails prints the seed and how far to go; with -walk.seed and -walk.steps it is the same walk again.
// -walk.trace prints all of it. What the contract leaves open is marked by either in the model and never a failure; -v
// prints how it was answered.
package rights

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A set has permissions as bits.
type set uint16

const (
	usersView set = 1 << iota
	usersCreate
	usersUpdate
	usersDelete
	groupsView
	groupsManage
	tokensManage
	tokensIntrospect
	webhooksManage
	recordsManage
	auditView
	usersSelf
	later // what `*` has beyond the names: the permissions of later releases

	named = later - 1
	star  = named | later
)

var permissionNames = []string{
	"users.view", "users.create", "users.update", "users.delete", "groups.view", "groups.manage", "tokens.manage",
	"tokens.introspect", "webhooks.manage", "records.manage", "audit.view", "users.self",
}

// setOf reads a list of names.
func setOf(names []string) set {
	var s set
	for _, name := range names {
		if name == "*" {
			s |= star
		} else if i := slices.Index(permissionNames, name); i >= 0 {
			s |= 1 << i
		}
	}
	return s.full()
}

// full adds what is included: "users.update, users.create and users.delete include users.view".
func (s set) full() set {
	if s&(usersUpdate|usersCreate|usersDelete) != 0 {
		s |= usersView
	}
	return s
}

// names is the set as it is sent.
func (s set) names() []string {
	if s&later != 0 {
		return []string{"*"}
	}
	names := []string{}
	for i, name := range permissionNames {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

func (s set) String() string {
	switch {
	case s == 0:
		return "no permissions"
	case s&named == named && s&later == 0:
		return "every permission"
	}
	return strings.Join(s.names(), " ")
}

// A list is an allow-list; an empty one has every address.
type list []netip.Prefix

func (l list) has(address netip.Addr) bool {
	return len(l) == 0 || slices.ContainsFunc(l, func(p netip.Prefix) bool { return p.Contains(address) })
}

// within tells whether l allows no address that outer does not.
func (l list) within(outer list) bool {
	if len(outer) == 0 {
		return true
	}
	return len(l) > 0 && !slices.ContainsFunc(l, func(inner netip.Prefix) bool {
		return !slices.ContainsFunc(outer, func(p netip.Prefix) bool {
			return p.Bits() <= inner.Bits() && p.Contains(inner.Addr())
		})
	})
}

// and has the addresses that both have, of which there must be one.
func (l list) and(other list) list {
	if len(l) == 0 {
		return other
	}
	if len(other) == 0 {
		return l
	}
	both := list{}
	for _, p := range l {
		for _, q := range other {
			switch {
			case !p.Overlaps(q):
			case p.Bits() > q.Bits():
				both = append(both, p)
			default:
				both = append(both, q)
			}
		}
	}
	return both
}

func (l list) strings() []string {
	texts := []string{}
	for _, p := range l {
		texts = append(texts, p.String())
	}
	return texts
}

func (l list) String() string {
	if len(l) == 0 {
		return "any address"
	}
	return strings.Join(l.strings(), ", ")
}

// inside returns a random address of a prefix of IPv6, in a random /64 of it.
func inside(r *rand.Rand, p netip.Prefix) netip.Addr {
	bytes := p.Addr().As16()
	for bit := p.Bits(); bit < 128; bit++ {
		if bit < 64 || bit >= 112 {
			bytes[bit/8] |= byte(r.IntN(2)) << (7 - bit%8)
		}
	}
	bytes[14] |= 0x10 // no address is part of the text of another one
	return netip.AddrFrom16(bytes)
}

type group struct {
	id         int64
	perms      set
	requireTfa bool
	gone       bool
}

type user struct {
	id                           int64
	block                        int // the number that is in all values and addresses of the user
	name, email, phone, password string
	active, tfa, unmasked, gone  bool
	groups                       []int64
	list                         list
	totp                         string // the secret of the authenticator
	enrolled                     bool   // and whether it was confirmed
	lastStep                     int64  // of the authenticator's codes: each works once
}

type token struct {
	id       int64
	secret   string
	perms    set
	user     int64 // whom it acts for, 0 for nobody
	list     list
	unmasked bool
	end      time.Time // zero for never
	revoked  bool
}

type session struct {
	number          int
	sid             string // as the list of sessions calls it, where that is known
	user            int64
	access, refresh string
	accessEnd       time.Time
	freshUntil      time.Time
	over            bool
	unknown         bool // the contract does not say whether it has ended: it is left alone
}

type hook struct {
	id     int64
	v2     bool
	synced bool
	gone   bool
}

// world is what there is, as far as the answers tell.
type world struct {
	now      time.Time
	groups   map[int64]*group
	users    map[int64]*user
	tokens   map[int64]*token
	sessions []*session
	hooks    map[int64]*hook
	records  map[int64]map[string]bool // by user
	owners   map[string]int64          // of each value that a user has or had, and of each address they came from
}

func newWorld() *world {
	return &world{
		groups: map[int64]*group{1: {id: 1, perms: star}}, // Administrators
		users:  map[int64]*user{}, tokens: map[int64]*token{}, hooks: map[int64]*hook{},
		records: map[int64]map[string]bool{}, owners: map[string]int64{},
	}
}

// user returns a user, an empty one that is gone where there never was one.
func (w *world) user(id int64) *user {
	if u := w.users[id]; u != nil {
		return u
	}
	return &user{gone: true}
}

// perms are those of the user: "the union of the groups' ones", and what everyone may with oneself.
func (w *world) perms(u *user) set {
	return w.permsOf(u.groups) | usersSelf
}

func (w *world) permsOf(groups []int64) set {
	var s set
	for _, id := range groups {
		if g := w.groups[id]; g != nil {
			s |= g.perms
		}
	}
	return s.full()
}

// needsFactor tells whether the user has to have a second factor and has none.
func (w *world) needsFactor(u *user) bool {
	return !u.tfa && slices.ContainsFunc(u.groups, func(id int64) bool {
		return w.groups[id] != nil && w.groups[id].requireTfa
	})
}

// administrators are the active members of Administrators.
func (w *world) administrators() int {
	n := 0
	for _, u := range w.users {
		if u.administers() {
			n++
		}
	}
	return n
}

func (u *user) administers() bool { return u.active && !u.gone && slices.Contains(u.groups, 1) }

// endSessions ends the sessions of a user but one.
func (w *world) endSessions(user int64, but *session) {
	for _, s := range w.sessions {
		if s.user == user && s != but {
			s.over = true
		}
	}
}

// forgetSessions leaves the sessions of a user alone from now on, but one.
func (w *world) forgetSessions(user int64, but *session) {
	for _, s := range w.sessions {
		if s.user == user && s != but {
			s.unknown = true
		}
	}
}

// remove takes a user away: "gone completely with all that belongs to it".
func (w *world) remove(u *user) {
	u.gone = true
	w.endSessions(u.id, nil)
	delete(w.records, u.id)
	for _, t := range w.tokens {
		if t.user == u.id {
			t.revoked = true
		}
	}
}

// sorted returns the values that hold in the order of their ids, so that a seed always leads to the same walk.
func sorted[T any](m map[int64]*T, holds func(*T) bool) []*T {
	var values []*T
	for _, id := range slices.Sorted(maps.Keys(m)) {
		if holds(m[id]) {
			values = append(values, m[id])
		}
	}
	return values
}
