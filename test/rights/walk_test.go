package rights

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
)

var (
	seedFlag  = flag.Uint64("walk.seed", 0, "seed of the walk; 0 is a new one each time")
	stepsFlag = flag.Int("walk.steps", 900, "number of calls of the walk")
	traceFlag = flag.Bool("walk.trace", false, "print every call of the walk")
)

// seed returns the seed of the flag, or a new one.
func seed() uint64 {
	if *seedFlag != 0 {
		return *seedFlag
	}
	return uint64(time.Now().UnixNano()) % 1e9
}

// A walk is a sequence of random calls. It depends on its seed only.
type walk struct {
	service service
	w       *world
	r       *rand.Rand
	n       int // part of every name and value, to make them unique

	created  []*call // with a key, for usersRepeat
	steps    []step
	findings []finding
	allowed  map[string]int // number of successes, by kind
	limited  map[string]int // number of calls without the permission, by kind
	open     map[string]int // number of answers to calls that the contract leaves open
	trying   bool           // stop at the first finding, and ignore the contents of answers
}

// A step is a call that was made.
type step struct {
	text    string
	changes []string // what it changed, as from subjects
}

// A finding is a disagreement. Findings with the same key are kept once.
type finding struct {
	step     int
	key      string
	subjects []string // users, groups, … that it is related to
}

// newWalk returns a walk of which only the administrator's token exists.
func newWalk(s service, administrator *token, now time.Time, seed uint64) *walk {
	k := &walk{
		service: s, w: newWorld(), r: rand.New(rand.NewPCG(seed, 0)), n: 1,
		allowed: map[string]int{}, limited: map[string]int{}, open: map[string]int{},
	}
	k.w.tokens[1], k.w.now = administrator, now
	return k
}

// run creates some groups, users, tokens and sessions and then makes random calls.
func (k *walk) run(steps int) {
	for _, first := range []struct {
		kind  string
		times int
	}{{"groups.create", 6}, {"users.create", 9}, {"tokens.mint", 8}, {"signin", 6}} {
		for range first.times {
			k.step(kindOf(first.kind), &caller{token: k.w.tokens[1]})
		}
	}
	for len(k.steps) < steps && !(k.trying && len(k.findings) > 0) {
		k.tick()
		k.step(k.pick())
	}
}

func kindOf(name string) kind {
	return kinds[slices.IndexFunc(kinds, func(d kind) bool { return d.name == name })]
}

// pick picks the next kind of call. When there are few users or tokens, it is a creation by the administrator.
func (k *walk) pick() (kind, *caller) {
	sessions, people := 0, 0
	for _, s := range k.w.sessions {
		if _, good := (model{}).actor(k.w, caller{session: s}); good && !s.unknown {
			sessions++
		}
	}
	for _, u := range k.w.users {
		if !u.gone && u.active {
			people++
		}
	}
	tokens := sorted(k.w.tokens, func(t *token) bool {
		_, good := model{}.actor(k.w, caller{token: t})
		return good
	})
	administrator := &caller{token: k.w.tokens[1]}
	switch {
	case people < 5:
		return kindOf("users.create"), administrator
	case sessions < 4 && k.chance(50):
		return kindOf(one(k, []string{"signin", "refresh"})), nil
	case len(tokens) < 6 && k.chance(50):
		return kindOf("tokens.mint"), administrator
	}
	total := 0
	for _, d := range kinds {
		total += d.weight
	}
	n := k.r.IntN(total)
	for _, d := range kinds {
		if n -= d.weight; n < 0 {
			return d, nil
		}
	}
	return kinds[0], nil
}

// tick sometimes advances the clock, so that sessions and tokens become stale and end.
func (k *walk) tick() {
	var d time.Duration
	switch n := k.r.IntN(1000); {
	case n < 60:
		d = time.Duration(k.r.IntN(300)+31) * time.Second
	case n < 75:
		d = time.Duration(k.r.IntN(40)+1) * time.Minute
	case n < 77:
		d = time.Duration(k.r.IntN(20)+1) * time.Hour
	}
	k.service.advance(d)
	k.w.now = k.w.now.Add(d)
}

// step makes one call, if it can be made now.
func (k *walk) step(d kind, by *caller) {
	c := &call{kind: d.name, at: k.w.now}
	if by != nil {
		c.as = *by
	} else {
		c.as = k.callerFor(d.name)
	}
	c.from = k.source(c.as)
	if c = d.make(k, c); c == nil {
		return
	}
	a, _ := model{}.actor(k.w, c.as)
	v := model{}.judge(k.w, c)
	text := ""
	if !k.trying {
		text = k.describe(c, a, v)
	}
	c.answer = k.service.do(c)
	succeeded := c.answer.status >= 200 && c.answer.status < 300
	if succeeded {
		k.allowed[c.kind]++
	}
	if slices.Contains(v.unmet, rulePermission) {
		k.limited[c.kind]++
	}
	complaint, key := "", ""
	if !v.accepts(c.answer.status) {
		key = fmt.Sprint("the model disagrees with ", c.answer.status, ": ", ruleNames(v))
		complaint = "the model disagrees with the answer"
	}
	if succeeded && c.done != nil {
		if wrong := c.done(); complaint == "" && !k.trying {
			complaint = wrong
		}
	}
	if found := a.scan(k.w, c, c.answer); complaint == "" {
		complaint = found
	}
	if complaint != "" && key == "" {
		key = regexp.MustCompile(`map.*|[0-9a-f:/]*\d[0-9a-fx:/]*`).ReplaceAllString(complaint, "#")
	}
	text += fmt.Sprintf("\n    answer: %d %.600s", c.answer.status, strings.TrimSpace(string(c.answer.body)))
	if len(v.unmet) == 0 {
		for _, r := range v.open {
			k.open[fmt.Sprint(c.kind, ", ", r.name, ": ", c.answer.status)]++
		}
	}
	if complaint != "" {
		text += "\n    WRONG: " + complaint
	}
	k.steps = append(k.steps, step{text, nil})
	if succeeded && c.method != http.MethodGet && !isPublic(c.kind) && c.kind != "introspect" && c.kind != "explain" {
		k.steps[len(k.steps)-1].changes = k.subjects(c)
	}
	key = c.kind + ": " + key
	if complaint != "" && !slices.ContainsFunc(k.findings, func(f finding) bool { return f.key == key }) {
		subjects := slices.Concat(k.subjects(c), k.involved(c, a))
		k.findings = append(k.findings, finding{len(k.steps) - 1, key, subjects})
	}
}

func ruleNames(v *verdict) string {
	names := []string{}
	for _, r := range v.unmet {
		names = append(names, r.name)
	}
	return "unmet are [" + strings.Join(names, ", ") + "]"
}

// subjects returns what a call is about, for report.
func (k *walk) subjects(c *call) []string {
	var subjects []string
	for _, subject := range []struct {
		what string
		id   int64
	}{{"user", c.user}, {"group", c.group}, {"token", c.token}, {"webhook", c.hook}} {
		if subject.id != 0 {
			subjects = append(subjects, fmt.Sprint(subject.what, " ", subject.id))
		}
	}
	if c.mint != nil {
		subjects = append(subjects, fmt.Sprint("token ", c.mint.id))
	}
	return subjects
}

// involved returns the caller, and what gives rights to the caller and to the user that the call is about.
func (k *walk) involved(c *call, a actor) []string {
	involved := []string{k.nameOf(c.as), fmt.Sprint("user ", a.user)}
	for _, g := range slices.Concat(k.w.user(c.user).groups, k.w.user(a.user).groups) {
		involved = append(involved, fmt.Sprint("group ", g))
	}
	return involved
}

func (k *walk) nameOf(c caller) string {
	switch {
	case c.token != nil:
		return fmt.Sprint("token ", c.token.id)
	case c.session != nil:
		return fmt.Sprint("session ", c.session.number)
	}
	return "an unknown caller"
}

// describe returns a call as text: the caller with their rights, what it is about, and the verdict.
func (k *walk) describe(c *call, a actor, v *verdict) string {
	var body string
	switch sent := c.body.(type) {
	case nil:
	case url.Values:
		body = sent.Encode()
	case string:
		body = sent
	default:
		encoded, err := json.Marshal(sent)
		if err != nil {
			encoded = []byte(err.Error())
		}
		body = string(encoded)
	}
	lines := []string{
		fmt.Sprintf("#%d at %s from %s:", len(k.steps), k.w.now.Format(time.RFC3339), c.from),
		c.method + " " + c.path + " " + body,
		"by " + k.nameOf(c.as),
	}
	if c.as.token != nil || c.as.session != nil {
		lines[2] += " with " + a.perms.String() + masking(a.unmasked)
		for _, l := range a.lists {
			if len(l) > 0 {
				lines[2] += ", from " + l.String()
			}
		}
		if !a.end.IsZero() {
			lines[2] += ", until " + a.end.Format(time.RFC3339)
		}
		if a.session != nil {
			lines[2] += fmt.Sprintf(", fresh: %t, has to enrol a factor: %t", a.fresh, a.limited)
		}
		if a.user != 0 {
			lines = append(lines, "of "+k.who(a.user))
		}
	}
	if c.user != 0 && c.user != a.user {
		lines = append(lines, "about "+k.who(c.user))
	}
	if g := k.w.groups[c.group]; g != nil {
		text := fmt.Sprintf("about group %d: %s, requireTfa: %t, gone: %t", g.id, g.perms, g.requireTfa, g.gone)
		lines = append(lines, text)
	}
	if t := k.w.tokens[c.token]; t != nil {
		lines = append(lines, fmt.Sprintf("about token %d of user %d: %s%s, revoked: %t",
			t.id, t.user, t.perms, masking(t.unmasked), t.revoked))
	}
	if c.shown != nil {
		lines = append(lines, fmt.Sprintf("about %s of user %d", k.nameOf(*c.shown), c.shown.user()))
	}
	return strings.Join(append(lines, "model: "+v.String()), "\n    ")
}

func masking(unmasked bool) string {
	if unmasked {
		return ", unmasked"
	}
	return ", masked"
}

func (k *walk) who(id int64) string {
	u := k.w.users[id]
	if u == nil {
		return fmt.Sprintf("user %d, who does not exist", id)
	}
	return fmt.Sprintf("user %d %s, groups %v: %s%s, active: %t, tfa: %t, gone: %t",
		id, u.email, u.groups, k.w.perms(u), masking(u.unmasked), u.active, u.tfa, u.gone)
}

// report prints the findings, each with the changes that are related to it.
func (k *walk) report(t *testing.T, seed uint64) {
	t.Helper()
	if *traceFlag {
		for _, s := range k.steps {
			t.Log(s.text)
		}
	}
	t.Logf("seed %d, %d calls. Answers to what the contract leaves open: %v", seed, len(k.steps), k.open)
	for _, f := range k.findings {
		var before []string
		for i := f.step - 1; i >= 0 && len(before) < 8; i-- {
			isSubject := func(changed string) bool { return slices.Contains(f.subjects, changed) }
			if s := k.steps[i]; slices.ContainsFunc(s.changes, isSubject) {
				before = append(before, s.text)
			}
		}
		slices.Reverse(before)
		t.Errorf("%s\nThe call:\n%s\nThe related changes before it:\n%s\n"+
			"Again: go test ./test/rights -run '%s' -walk.seed=%d -walk.steps=%d",
			f.key, k.steps[f.step].text, strings.Join(before, "\n"), t.Name(), seed, f.step+1)
	}
}

// TestWalk compares every answer of a random walk with the model.
func TestWalk(t *testing.T) {
	t.Parallel()
	seed := seed()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		k := newWalk(roster{s}, administrator(s), s.Clock.Now(), seed)
		k.run(*stepsFlag)
		k.report(t, seed)
	})
}
