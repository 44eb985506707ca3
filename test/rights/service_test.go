package rights

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// A service answers the calls of a walk.
type service interface {
	do(c *call) *answer
	advance(d time.Duration)
}

// An answer is the answer to a call.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// decode decodes the body. If that fails, into stays as it is, and the comparisons find the difference.
func (a *answer) decode(into any) {
	_ = json.Unmarshal(a.body, into)
}

func (a *answer) object() object {
	o := object{}
	a.decode(&o)
	return o
}

func (a *answer) id() int64 {
	var body struct{ ID int64 }
	a.decode(&body)
	return body.ID
}

// A roster is the service under test.
type roster struct{ s *apitest.Server }

func (r roster) do(c *call) *answer {
	credential := c.as.credential()
	if isPublic(c.kind) {
		credential = ""
	}
	got := r.s.Do(c.method, c.path, c.body,
		apitest.As(credential), apitest.From(c.from.String()), apitest.Header("Idempotency-Key", c.key))
	return &answer{got.Status, got.Header, got.Body}
}

func isPublic(kind string) bool {
	return slices.Contains([]string{"signin", "2fa.confirm", "refresh"}, kind)
}

func (r roster) advance(d time.Duration) { r.s.Clock.Advance(d) }

// administrator returns the administrator token of a new service.
func administrator(s *apitest.Server) *token {
	var shown struct {
		Permissions []string
		ExpiresAt   *time.Time
	}
	s.Do(http.MethodGet, "/api/v2/tokens/1", nil).Want(http.StatusOK).Decode(&shown)
	t := &token{id: 1, secret: apitest.AdminToken, perms: setOf(shown.Permissions), unmasked: true}
	if shown.ExpiresAt != nil {
		t.end = *shown.ExpiresAt
	}
	return t
}

// An obedient service gives the answers that a model requires. Without one of the rules, it is a service with a hole.
type obedient struct {
	model
	k    *walk
	last int64 // id
}

func (o *obedient) advance(time.Duration) {}

func (o *obedient) do(c *call) *answer {
	if c.kind != "2fa.confirm" {
		if v := o.judge(o.k.w, c); !v.accepts(http.StatusOK) {
			return &answer{status: v.statuses()[0]}
		}
	}
	o.last++
	body := object{"id": o.last}
	issued := object{"token": fmt.Sprint("token ", o.last), "expiresAt": o.k.w.now.Add(time.Hour)}
	switch c.kind {
	case "signin":
		body["2faRequired"] = o.k.w.user(c.user).tfa
		body["accessToken"], body["refreshToken"] = issued, issued
	case "2fa.confirm", "refresh":
		body = object{"accessToken": issued, "refreshToken": issued}
	case "totp.enrol":
		body["secret"] = "JBSWY3DPEHPK3PXP"
	case "firefly.create":
		body["data"] = object{"id": fmt.Sprint(o.last)}
	case "sessions.list":
		body["data"] = []object{{"id": o.k.w.number(c.as.session), "current": true}}
	case "tokens.mint":
		a, _ := o.actor(o.k.w, c.as)
		body["token"], body["ipWhitelist"] = issued["token"], []string{"***"}
		if !a.end.IsZero() {
			body["expiresAt"] = a.end
		}
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		return &answer{status: http.StatusInternalServerError}
	}
	return &answer{status: http.StatusOK, body: encoded}
}

// number returns the id of a session in the obedient service.
func (w *world) number(s *session) int { return slices.Index(w.sessions, s) }

// TestTheWalkCanFail checks that walks find each missing rule and each twist, and find nothing in a service without a
// hole. Some holes take several walks.
func TestTheWalkCanFail(t *testing.T) {
	t.Parallel()
	if apitest.RaceDetector {
		t.Skip("a model against a model: the race detector only makes it slow; .ci/run runs this without it")
	}
	const walks = 50
	walkOn := func(seed uint64, without string) *walk {
		o := &obedient{model: model{without: without}, last: 1}
		administrator := &token{id: 1, secret: "administrator", perms: star, unmasked: true}
		k := newWalk(o, administrator, time.Unix(1_800_000_000, 0), seed)
		o.k, k.trying = k, true
		k.run(900)
		return k
	}
	allowed, limited := map[string]int{}, map[string]int{}
	for seed := range uint64(20) {
		k := walkOn(seed, "")
		for _, f := range k.findings {
			t.Errorf("seed %d: a finding in a service without a hole: %s", seed, f.key)
		}
		for kind, n := range k.allowed {
			allowed[kind] += n
		}
		for kind, n := range k.limited {
			limited[kind] += n
		}
	}
	holes := slices.Clone(twists)
	for _, r := range rules {
		if r != rulePermission { // it is removed for one kind of call at a time
			holes = append(holes, r.name)
		}
	}
	for _, d := range kinds {
		if allowed[d.name] == 0 {
			t.Errorf("%s is never allowed, so its refusals prove nothing", d.name)
		}
		if limited[d.name] > 0 && !strings.HasPrefix(d.name, "firefly") { // see ruleAdministrator
			holes = append(holes, rulePermission.name+" "+d.name)
		}
	}
	for _, hole := range holes {
		seed := uint64(0)
		for seed < walks && len(walkOn(seed, hole).findings) == 0 {
			seed++
		}
		if seed == walks {
			t.Errorf("no walk notices a service without: %s", hole)
		}
	}
}
