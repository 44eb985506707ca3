// Package rights makes random calls of callers with random rights and compares every answer with a model. The model
// follows the contract and does not depend on the code.
//
//	world_test.go     the world of the model: users, groups, tokens and their rights
//	rules_test.go     the rules of the contract by which a call is refused
//	model_test.go     which calls are allowed
//	scan_test.go      which values are shown
//	calls_…_test.go   the calls and their effects on the world
//	walk_test.go      the walk: one call after another, each answer compared with the model
//	service_test.go   the service under test, and services with a hole, which the walk must find
//	parallel_test.go  many calls at once on two instances
//
// A walk that fails prints its seed and the number of steps. With -walk.seed and -walk.steps it is repeated, and
// -walk.trace prints all of its calls. What the contract leaves open is marked by either in the model and is never a
// failure; -v prints how it was answered.
package rights

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A set is a set of permissions.
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
	later // the permissions of later releases, which only `*` has

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

// full adds the included permissions: "users.update, users.create and users.delete include users.view".
func (s set) full() set {
	if s&(usersUpdate|usersCreate|usersDelete) != 0 {
		s |= usersView
	}
	return s
}

// names returns the set as it is sent.
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

// A list is an allow-list. An empty one allows every address.
type list []netip.Prefix

func (l list) has(address netip.Addr) bool {
	return len(l) == 0 || slices.ContainsFunc(l, func(p netip.Prefix) bool { return p.Contains(address) })
}

// within reports whether outer allows all addresses that l allows.
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

// and returns the list of the addresses that both allow. There must be such addresses.
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

// inside returns a random address of an IPv6 prefix.
func inside(r *rand.Rand, p netip.Prefix) netip.Addr {
	bytes := p.Addr().As16()
	for bit := p.Bits(); bit < 128; bit++ {
		if bit < 64 || bit >= 112 {
			bytes[bit/8] |= byte(r.IntN(2)) << (7 - bit%8)
		}
	}
	bytes[14] |= 0x10 // so that the text of no address is part of that of another
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
	block                        int // part of all values and addresses of the user
	name, email, phone, password string
	active, tfa, unmasked, gone  bool
	groups                       []int64
	list                         list
	totp                         string // the secret of the authenticator
	enrolled                     bool   // whether it was confirmed
	lastStep                     int64  // of the last code; each code works once
}

type token struct {
	id       int64
	secret   string
	perms    set
	user     int64 // the user it acts for, 0 for none
	list     list
	unmasked bool
	end      time.Time // zero for never
	revoked  bool
}

type session struct {
	number          int
	sid             string // id in the list of sessions, "" if unknown
	user            int64
	access, refresh string
	accessEnd       time.Time
	freshUntil      time.Time
	ended           bool
	unknown         bool // the contract does not say whether it has ended: it is not used
}

type hook struct {
	id     int64
	v2     bool
	synced bool
	gone   bool
}

// world holds all that exists, as far as the answers show.
type world struct {
	now      time.Time
	groups   map[int64]*group
	users    map[int64]*user
	tokens   map[int64]*token
	sessions []*session
	hooks    map[int64]*hook
	records  map[int64]map[string]bool // by user
	owners   map[string]int64          // user by value: present and former ones, and sources of requests
}

func newWorld() *world {
	return &world{
		groups: map[int64]*group{1: {id: 1, perms: star}}, // Administrators
		users:  map[int64]*user{}, tokens: map[int64]*token{}, hooks: map[int64]*hook{},
		records: map[int64]map[string]bool{}, owners: map[string]int64{},
	}
}

// user returns a user. For an unknown id it returns an empty one that is gone.
func (w *world) user(id int64) *user {
	if u := w.users[id]; u != nil {
		return u
	}
	return &user{gone: true}
}

// perms returns the permissions of a user: "the union of the groups' ones" and users.self.
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

// needsFactor reports whether a group of the user requires a second factor and the user has none.
func (w *world) needsFactor(u *user) bool {
	return !u.tfa && slices.ContainsFunc(u.groups, func(id int64) bool {
		return w.groups[id] != nil && w.groups[id].requireTfa
	})
}

// administrators returns the number of active members of Administrators.
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

// endSessions ends the sessions of a user except one.
func (w *world) endSessions(user int64, but *session) {
	for _, s := range w.sessions {
		if s.user == user && s != but {
			s.ended = true
		}
	}
}

// forgetSessions marks the sessions of a user except one as unknown.
func (w *world) forgetSessions(user int64, but *session) {
	for _, s := range w.sessions {
		if s.user == user && s != but {
			s.unknown = true
		}
	}
}

// remove deletes a user: "gone completely with all that belongs to it".
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

// sorted returns the values for which holds is true, ordered by id, so that a walk depends on its seed only.
func sorted[T any](m map[int64]*T, holds func(*T) bool) []*T {
	var values []*T
	for _, id := range slices.Sorted(maps.Keys(m)) {
		if holds(m[id]) {
			values = append(values, m[id])
		}
	}
	return values
}
