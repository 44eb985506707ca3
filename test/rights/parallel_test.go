package rights

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// A crowd makes calls at the same time on two instances of one database. Some calls change rights, others need them.
// The calls are judged afterwards: each call that succeeded must have been allowed at some moment between its start and
// its end.
type crowd struct {
	instances [2]*apitest.Server
	clock     atomic.Int64 // counts the starts and ends of calls
	mu        sync.Mutex
	calls     []*timed
	owners    map[string]int64

	// All states that existed, in order.
	people map[int64][]state[person]
	groups map[int64][]state[group]
	tokens map[int64]*token
	ends   map[int64]int64 // times of revocation, by token
}

// A timed call has its start and end by the clock of the crowd.
type timed struct {
	*call
	start, end int64
	name       string // the new name, which no other call gives
}

// A person is a user who has signed in once.
type person struct {
	user
	ended bool // whether the session has ended
}

// A state began at some moment of the call that made it and ended at some moment of the call that made the next one.
type state[T any] struct {
	version    int64
	start, end int64
	value      T
	by         *timed
}

// during returns the values that may have existed between two moments.
func during[T any](states []state[T], start, end int64) []T {
	var values []T
	for i, s := range states {
		if s.start <= end && (i == len(states)-1 || states[i+1].end >= start) {
			values = append(values, s.value)
		}
	}
	return values
}

// do makes a call on one of the instances.
func (p *crowd) do(r *rand.Rand, c *timed) {
	c.start = p.clock.Add(1)
	c.answer = roster{p.instances[r.IntN(2)]}.do(c.call)
	c.end = p.clock.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, c)
}

// patchOf returns a change of a user by a caller. It also changes the name, by which the change is recognised.
func patchOf(r *rand.Rand, n int64, as caller, id int64, fields []string, groups []int64) *timed {
	x := &change{field: fields[r.IntN(len(fields))]}
	c := &timed{call: &call{kind: "users.patch", as: as, user: id, change: x}, name: fmt.Sprint("Name ", n)}
	switch x.field {
	case "groups":
		x.groups = []int64{}
		for _, g := range groups {
			if r.IntN(3) == 0 {
				x.groups = append(x.groups, g)
			}
		}
		x.value = x.groups
	case "password":
		x.value = fmt.Sprintf("Zq%dSecret%d", n, n)
	case "active", "canViewMaskedData":
		x.flag = r.IntN(3) > 0
		x.value = x.flag
	}
	body := object{"name": c.name}
	if x.field != "name" {
		body[x.field] = x.value
	}
	c.sends(http.MethodPatch, fmt.Sprintf("%s/%d", usersPath, id), body)
	return c
}

// TestManyAtOnce checks that no call succeeds, and no value is shown, without the right at some moment of the call.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	database, first := storetest.URL(t, "postgres"), seed()
	p := &crowd{
		instances: [2]*apitest.Server{apitest.New(t, database), apitest.New(t, database)},
		owners:    map[string]int64{},
		people:    map[int64][]state[person]{},
		groups:    map[int64][]state[group]{1: {{value: group{id: 1, perms: star}}}},
		tokens:    map[int64]*token{},
		ends:      map[int64]int64{},
	}
	callers := p.setUp()
	var done sync.WaitGroup
	for i := range 6 {
		done.Go(func() {
			r := rand.New(rand.NewPCG(first, uint64(i)))
			for n := range int64(*stepsFlag / 9) {
				if n = n*6 + int64(i); i < 2 {
					p.changeRights(r, n)
				} else {
					p.try(r, n, callers[i-2])
				}
			}
		})
	}
	done.Wait()
	p.order(t)
	counts := map[string]int{}
	for _, c := range p.calls {
		if complaint := p.judge(c); complaint != "" {
			t.Errorf("%s\n%s\nSeed %d (the order of the calls does not depend on it).", complaint, p.describe(c), first)
		}
		if c.as != theAdministrator {
			counts[fmt.Sprint(c.kind, " ", c.answer.status)]++
		}
	}
	t.Logf("%v", counts)
	if counts["users.patch 200"] < 10 || counts["users.patch 403"] < 10 || counts["users.get 200"] < 3 {
		t.Errorf("too few calls of a kind: %v", counts)
	}
	p.compareLast(t)
}

// setUp makes groups, users and tokens. It returns four lists of callers, one for each goroutine that calls try.
func (p *crowd) setUp() [4][]caller {
	s := p.instances[0]
	given := []set{usersUpdate, usersView | auditView, groupsView, usersUpdate | usersDelete | groupsView | auditView}
	for i, perms := range given {
		id := s.CreateGroup(fmt.Sprint("Group ", i), perms.names()...)
		p.groups[id] = []state[group]{{version: 1, value: group{id: id, perms: perms.full()}}}
	}
	var callers [4][]caller
	for i := range 10 {
		u := user{block: i + 1, active: true, unmasked: i%2 == 0, groups: []int64{int64(2 + i%4)}}
		u.email, u.phone = fmt.Sprintf("u%dx1@walk.example", i), fmt.Sprintf("+1555%07d", i)
		u.id = s.CreateUser(u.email, object{"phone": u.phone, "canViewMaskedData": u.unmasked, "groups": u.groups})
		p.people[u.id] = []state[person]{{version: 1, value: person{user: u}}}
		p.owners[u.email], p.owners[u.phone] = u.id, u.id
		if i < 4 { // the calls are about the others
			answer := s.Do(http.MethodPost, "/api/v2/signin", object{"email": u.email, "password": "MySecret123"},
				apitest.As(""), apitest.From("2001:db9::1")).Want(http.StatusOK)
			var signedIn pair
			answer.Decode(&signedIn)
			access := signedIn.AccessToken
			callers[i] = append(callers[i], caller{session: &session{
				user: u.id, access: access.Token, accessEnd: access.ExpiresAt, freshUntil: access.ExpiresAt,
			}})
			for _, acts := range []int64{u.id, 0, 0, 0} {
				perms := named
				if acts == 0 {
					perms = usersUpdate | auditView | groupsView
				}
				created := s.Do(http.MethodPost, tokensPath, object{
					"name": "T", "permissions": perms.names(), "canViewMaskedData": true, "userId": nullable(acts),
				}).Want(http.StatusCreated)
				token := &token{user: acts, perms: perms.full(), unmasked: true, id: created.ID()}
				token.secret, _ = created.Object()["token"].(string)
				p.tokens[token.id] = token
				callers[i] = append(callers[i], caller{token: token})
			}
		}
	}
	return callers
}

// nullable returns an id, or nil for 0.
func nullable(id int64) any {
	if id == 0 {
		return nil
	}
	return id
}

var theAdministrator = caller{token: &token{id: 1, secret: apitest.AdminToken, perms: star, unmasked: true}}

// changeRights makes a call that changes rights.
func (p *crowd) changeRights(r *rand.Rand, n int64) {
	from := netip.MustParseAddr("2001:db9::1")
	switch k := r.IntN(20); {
	case k < 2: // the permissions of a group
		id := int64(2 + r.IntN(4))
		perms := set(r.IntN(int(later)))
		if r.IntN(2) == 0 {
			perms |= usersUpdate
		}
		c := &timed{name: fmt.Sprint("Group ", n)}
		c.call = &call{kind: "groups.patch", as: theAdministrator, from: from, group: id, perms: &perms}
		body := object{"name": c.name, "permissions": perms.names()}
		c.sends(http.MethodPatch, fmt.Sprintf("%s/%d", groupsPath, id), body)
		p.do(r, c)
	case k == 2 && n > 100: // revoke a token, not too early
		id := 2 + int64(r.IntN(len(p.tokens)))
		c := &timed{call: &call{kind: "tokens.revoke", as: theAdministrator, from: from, token: id}}
		c.sends(http.MethodDelete, fmt.Sprintf("%s/%d", tokensPath, id), nil)
		p.do(r, c)
	default:
		id := int64(1 + r.IntN(len(p.people)))
		fields := []string{"groups", "groups", "groups", "canViewMaskedData", "active", "password"}
		if id <= 4 && r.IntN(20) > 0 {
			fields = fields[:5] // else soon no session would be left
		}
		c := patchOf(r, n, theAdministrator, id, fields, []int64{1, 2, 3, 4, 5})
		c.from = from
		p.do(r, c)
	}
}

// try makes a call that needs rights.
func (p *crowd) try(r *rand.Rand, n int64, as []caller) {
	c := as[r.IntN(len(as))]
	id := int64(5 + r.IntN(len(p.people)-4)) // never oneself
	tried := &timed{call: &call{as: c}}
	switch k := r.IntN(10); {
	case k < 2:
		tried.kind, tried.user = "users.get", id
		tried.sends(http.MethodGet, fmt.Sprintf("%s/%d", usersPath, id), nil)
	case k == 2:
		tried.kind = "users.list"
		tried.sends(http.MethodGet, usersPath, nil)
	case k == 3:
		tried.kind = "groups.list"
		tried.sends(http.MethodGet, groupsPath, nil)
	case k == 4:
		tried.kind = "events.list"
		tried.sends(http.MethodGet, "/api/v2/events", nil)
	default:
		fields := []string{"name", "password", "password", "groups", "canViewMaskedData"}
		tried = patchOf(r, n, c, id, fields, []int64{2, 3, 4, 5})
	}
	tried.from = netip.MustParseAddr("2001:db9::2")
	p.do(r, tried)
}

// order sorts the changes by version. The versions must be consecutive.
func (p *crowd) order(t *testing.T) {
	for _, c := range p.calls {
		if c.answer.status < 200 || c.answer.status > 299 {
			continue
		}
		var shown struct {
			Version           int64
			Name              string
			Active            bool
			CanViewMaskedData bool
			Groups            []int64
			Permissions       []string
		}
		c.answer.decode(&shown)
		switch c.kind {
		case "users.patch":
			next := p.people[c.user][0].value
			next.name, next.active, next.groups = shown.Name, shown.Active, shown.Groups
			next.unmasked = shown.CanViewMaskedData
			p.people[c.user] = append(p.people[c.user], state[person]{shown.Version, c.start, c.end, next, c})
			if shown.Name != c.name || c.change.field == "groups" && !slices.Equal(shown.Groups, c.change.groups) {
				t.Errorf("the answer does not have the sent values\n%s", p.describe(c))
			}
		case "groups.patch":
			next := group{id: c.group, perms: setOf(shown.Permissions)}
			p.groups[c.group] = append(p.groups[c.group], state[group]{shown.Version, c.start, c.end, next, c})
		case "tokens.revoke":
			p.ends[c.token] = c.end
		}
	}
	for _, states := range p.people {
		inOrder(t, states)
		ended := false
		for i := range states { // a new password ends the sessions, for good
			ended = ended || states[i].by != nil && states[i].by.change.field == "password"
			states[i].value.ended = ended
		}
	}
	for _, states := range p.groups {
		inOrder(t, states)
	}
}

func inOrder[T any](t *testing.T, states []state[T]) {
	slices.SortFunc(states, func(a, b state[T]) int { return int(a.version - b.version) })
	for i := range states {
		if states[i].version != states[0].version+int64(i) {
			t.Errorf("the versions are not one after another: %d after %d changes", states[i].version, i)
		}
	}
}

// judge returns what is wrong with a call that succeeded. It must be allowed in one of the worlds that may have existed
// during the call. A change of a user must be allowed in the state that it changed.
func (p *crowd) judge(c *timed) string {
	if c.answer.status >= 500 {
		return "nothing that a client does ends in a 5xx"
	}
	if c.answer.status >= 300 || c.as.token != nil && c.as.token.id == 1 {
		return ""
	}
	if t := c.as.token; t != nil && p.ends[t.id] > 0 && p.ends[t.id] < c.start {
		return "the token was revoked before"
	}
	actors := during(p.people[c.as.user()], c.start, c.end)
	if len(actors) == 0 {
		actors = []person{{}} // a service
	}
	targets := during(p.people[c.user], c.start, c.end)
	if c.kind == "users.patch" {
		states := p.people[c.user]
		i := slices.IndexFunc(states, func(s state[person]) bool { return s.by == c })
		targets = []person{states[i-1].value}
	}
	if len(targets) == 0 {
		targets = []person{{}}
	}
	reasons := []string{}
	for _, actor := range actors {
		for _, target := range targets {
			w := newWorld()
			w.owners, w.now = p.owners, p.instances[0].Clock.Now()
			for id, states := range p.people { // for the masks; no user is deleted
				w.users[id] = &states[0].value.user
			}
			w.users[actor.id], w.users[target.id] = &actor.user, &target.user
			w.users[-1] = &user{id: -1, active: true, groups: []int64{1}} // so that no one is the last administrator
			ids := slices.Concat(actor.groups, target.groups, c.newGroups())
			slices.Sort(ids)
			ids = slices.Compact(ids)
			reason := p.worlds(w, c, actor, ids)
			if reason == "" {
				return ""
			}
			reasons = append(reasons, reason)
		}
	}
	slices.Sort(reasons)
	return strings.Join(slices.Compact(reasons), "\nor\n")
}

func (c *timed) newGroups() []int64 {
	if c.change == nil {
		return nil
	}
	return c.change.groups
}

// worlds judges a call with all states that the groups may have had. It returns "" if the call is right with one.
func (p *crowd) worlds(w *world, c *timed, actor person, groups []int64) string {
	if len(groups) > 0 {
		reason := ""
		for _, g := range during(p.groups[groups[0]], c.start, c.end) {
			w.groups[g.id] = &g
			if reason = p.worlds(w, c, actor, groups[1:]); reason == "" {
				return ""
			}
		}
		return reason
	}
	as := c.as
	if as.session != nil {
		s := *as.session
		s.ended = actor.ended
		as.session = &s
	}
	judged := *c.call
	judged.as = as
	if v := (model{}).judge(w, &judged); len(v.unmet) > 0 {
		return "the model never allows it:\n      " + v.String()
	}
	a, _ := model{}.actor(w, as)
	if c.kind == "events.list" {
		return "" // events show many states
	}
	return a.scan(w, &judged, c.answer)
}

func (p *crowd) describe(c *timed) string {
	who := "a service"
	if c.as.session != nil {
		who = "the session"
	}
	text := fmt.Sprintf("%d to %d: %s of user %d: %s %s %v: %d %.400s", c.start, c.end, who, c.as.user(),
		c.method, c.path, c.body, c.answer.status, strings.TrimSpace(string(c.answer.body)))
	if c.as.token != nil {
		text += fmt.Sprintf("\n  the token: %s%s", c.as.token.perms, masking(c.as.token.unmasked))
	}
	show := func(what string, id int64) {
		for _, s := range p.people[id] {
			if s.end >= c.start-40 && s.start <= c.end {
				u := s.value
				text += fmt.Sprintf("\n  %s %d, version %d, from %d or %d: groups %v%s, active: %t, session ended: %t",
					what, id, s.version, s.start, s.end, u.groups, masking(u.unmasked), u.active, u.ended)
			}
		}
	}
	show("the caller", c.as.user())
	show("the other", c.user)
	for _, id := range []int64{1, 2, 3, 4, 5} {
		for _, g := range during(p.groups[id], c.start, c.end) {
			text += fmt.Sprintf("\n  group %d: %s", id, g.perms)
		}
	}
	return text
}

// compareLast compares each user in the end with the last change: no acknowledged change is lost.
func (p *crowd) compareLast(t *testing.T) {
	w := newWorld()
	for id, states := range p.people {
		last := states[len(states)-1].value
		last.groups = slices.Sorted(slices.Values(last.groups))
		w.users[id] = &last.user
	}
	k := &walk{w: w}
	for _, id := range slices.Sorted(maps.Keys(p.people)) {
		shown := p.instances[1].Do(http.MethodGet, apitest.UserPath(id), nil).Want(http.StatusOK)
		if complaint := k.compare(actor{unmasked: true}, shown.Object()); complaint != "" {
			t.Errorf("in the end %s", complaint)
		}
	}
}
