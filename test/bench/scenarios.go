package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// scenario is one kind of request.
type scenario struct {
	name string
	// against is the name of the scenario to compare with, "" for none; atLeast is the
	// bar on the ratio, 0 for none.
	against string
	atLeast float64
	// keeps is the bar on the ratio of the rate in a bigger database to that in the
	// first one, 0 for none.
	keeps float64
	// inTurns is true for a scenario of a bar, which is measured in several rounds.
	inTurns bool
	// connections is the maximum number, 0 for the usual number. It is for requests
	// that read very many rows.
	connections int

	on     func(*subject) *server // the server to ask; nil for the normal one
	method string
	target appender // of path and query
	body   appender // nil for none
	rows   int      // in the list of the answer; 0 if the answer is a user
	total  bool     // whether that list has a total
}

// The names of scenarios that others are compared with.
const (
	getUser        = "GET /users/{id}"
	getOpen        = "GET /users/{id}, no authentication"
	getUncached    = "GET /users/{id}, token looked up each time"
	firstPage      = "first page of 50"
	firstPageQuick = "first page of 50, no total"
	lastPage       = "last page of 50"
)

const (
	pageSize = 50
	pagePath = "/api/v2/users?limit=50"
)

// scenarios returns the scenarios of a subject, those with bars first: they are
// measured in turns.
func (s *subject) scenarios() []scenario {
	list := s.scenariosWithBars()
	for i := range list {
		list[i].inTurns = true
		if list[i].on == nil {
			list[i].keeps = 0.6
		}
	}
	list = append(list, s.otherScenarios()...)
	for i := range list {
		list[i].method = cmp.Or(list[i].method, http.MethodGet)
	}
	return list
}

func (s *subject) scenariosWithBars() []scenario {
	const fireflyPath = "/api/v1/users?limit=50&page="
	afterStart := "&after=" + identity.Cursor{Sort: identity.SortByID}.String()
	lastOffset := "&offset=" + strconv.Itoa(s.users-pageSize)
	return []scenario{
		{name: getOpen, on: func(s *subject) *server { return s.open }, target: s.anyUser},
		{name: getUncached, against: getOpen, on: func(s *subject) *server { return s.uncached }, target: s.anyUser},
		{name: getUser, against: getOpen, atLeast: 0.6, target: s.anyUser},
		{name: firstPageQuick, target: page(afterStart), rows: pageSize},
		{name: firstPage, against: firstPageQuick, atLeast: 0.5, target: page(""), rows: pageSize, total: true},
		{name: "filter[email]", against: firstPage, atLeast: 2, target: s.anyEmail, rows: 1, total: true},
		{
			name: "filter[name], rare", against: firstPage, atLeast: 0.5,
			target: pageOfRare("&filter%5Bname%5D="), rows: usersPerRare, total: true,
		},
		{
			name: "page at offset 90 %", against: firstPage, atLeast: 0.25,
			target: s.deepOffset, rows: pageSize, total: true,
		},
		{name: "next page by cursor", against: firstPage, atLeast: 0.9, target: s.anyLink, rows: pageSize},
		{name: lastPage, target: page(lastOffset), rows: pageSize, total: true},
		{
			name: "Firefly: first page of 50", against: firstPage, atLeast: 0.5,
			target: fixed(fireflyPath + "1"), rows: pageSize,
		},
		{
			name: "Firefly: last page of 50", against: lastPage, atLeast: 0.5,
			target: fixed(fireflyPath + strconv.Itoa(s.users/pageSize)), rows: pageSize,
		},
	}
}

func (s *subject) otherScenarios() []scenario {
	return []scenario{
		{
			name: "filter[active]=1", against: firstPage,
			target: page("&filter%5Bactive%5D=1"), rows: pageSize, total: true,
		},
		{
			name: "filter[name], common, 4 connections", against: firstPage, connections: 4,
			target: page("&filter%5Bname%5D=" + commonText), rows: pageSize, total: true,
		},
		{
			name: "filter[q], rare", against: firstPage,
			target: pageOfRare("&filter%5Bq%5D="), rows: usersPerRare, total: true,
		},
		{name: "sort_by=name", against: firstPage, target: page("&sort_by=name"), rows: pageSize, total: true},
		{name: "PATCH of a name", against: getUser, method: http.MethodPatch, target: s.anyUser, body: s.newName},
	}
}

// appender appends a part of a request, which can be random.
type appender func(b []byte, r *rand.Rand) []byte

func fixed(target string) appender {
	return func(b []byte, _ *rand.Rand) []byte { return append(b, target...) }
}

// page appends the path of a page of users with further parameters.
func page(parameters string) appender { return fixed(pagePath + parameters) }

// pageOfRare is page with a rare name as the value of the last parameter.
func pageOfRare(parameters string) appender {
	return func(b []byte, r *rand.Rand) []byte {
		return append(append(b, pagePath+parameters...), rareName(r.IntN(rareNames))...)
	}
}

func (s *subject) anyID(r *rand.Rand) int { return 1 + r.IntN(s.users) }

func (s *subject) anyUser(b []byte, r *rand.Rand) []byte {
	return strconv.AppendInt(append(b, "/api/v2/users/"...), int64(s.anyID(r)), 10)
}

func (s *subject) anyEmail(b []byte, r *rand.Rand) []byte {
	email := newPerson(s.anyID(r), s.users).email
	return append(append(b, pagePath+"&filter%5Bemail%5D="...), strings.Replace(email, "@", "%40", 1)...)
}

// deepOffset varies within one per cent: the cost depends on the position of the
// offset in a block of ids.
func (s *subject) deepOffset(b []byte, r *rand.Rand) []byte {
	users := int64(s.users)
	return strconv.AppendInt(append(b, pagePath+"&offset="...), users*9/10+r.Int64N(users/100), 10)
}

func (s *subject) anyLink(b []byte, r *rand.Rand) []byte {
	return append(b, s.links[r.IntN(len(s.links))]...)
}

// newName always differs from the old name: the service does not write equal values.
func (s *subject) newName(b []byte, r *rand.Rand) []byte {
	b = append(append(b, `{"name":"`...), newPerson(s.anyID(r), s.users).name...)
	b = append(b, ' ')
	b = strconv.AppendUint(b, r.Uint64(), 36)
	return append(b, `"}`...)
}

func (s *subject) newUser(b []byte, r *rand.Rand) []byte {
	const format = `{"name":"%s","email":"new.%d@example.com","password":"correct horse",` +
		`"active":true,"tfa":false,"groups":[2]}`
	return fmt.Appendf(b, format, newPerson(s.anyID(r), s.users).name, r.Uint64())
}

// request returns an appender of whole requests of a scenario.
func (s *subject) request(c scenario) appender {
	header := " HTTP/1.1\r\nHost: roster.example.com\r\nAuthorization: Bearer " + s.token + "\r\n"
	return func(b []byte, r *rand.Rand) []byte {
		b = append(append(b, c.method...), ' ')
		b = append(c.target(b, r), header...)
		if c.body == nil {
			return append(b, "\r\n"...)
		}
		body := c.body(nil, r)
		b = append(b, "Content-Type: application/json\r\nContent-Length: "...)
		b = strconv.AppendInt(b, int64(len(body)), 10)
		return append(append(b, "\r\n\r\n"...), body...)
	}
}

// load returns a run of a scenario.
func (s *subject) load(o options, c scenario) load {
	s.seeds++
	server := s.normal
	if c.on != nil {
		server = c.on(s)
	}
	connections := o.connections
	if c.connections > 0 {
		connections = min(connections, c.connections)
	}
	return load{
		addr: server.addr, connections: connections, duration: o.duration, seed: s.seeds,
		request: s.request(c), accepts: []int{http.StatusOK}, cpu: server.cpu,
	}
}

// measureRequests runs the scenarios on all subjects in turns: those of a bar in
// several rounds, the others, and all of an engine without bars, in one round.
func measureRequests(ctx context.Context, o options, subjects []*subject) error {
	for round := range o.rounds {
		for i, c := range subjects[0].scenarios() {
			if round > 0 && !(c.inTurns && subjects[0].engine == postgres) {
				continue
			}
			for _, s := range subjects {
				if err := s.measure(ctx, o, s.scenarios()[i], round); err != nil {
					return fmt.Errorf("%s: %s: %w", s, c.name, err)
				}
			}
		}
	}
	return nil
}

// measure runs a scenario. If it fails under load, its rate is 0, its error is kept in
// s.failed, and the other scenarios are still measured.
func (s *subject) measure(ctx context.Context, o options, c scenario, round int) error {
	l := s.load(o, c)
	l.warmUp = 200 * time.Millisecond
	if round == 0 {
		if err := s.check(ctx, c, l); err != nil {
			return err
		}
		l.warmUp = min(2*time.Second, o.duration)
	}
	r, err := l.run(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		err = fmt.Errorf("%s: %s: %w", s, c.name, err)
		s.failed = append(s.failed, err)
		progress("%v", err)
		time.Sleep(timeout) // requests in progress must not slow down the next scenarios
	default:
		progress("%s: %s: %s/s, %d µs of the server", s, c.name, thousands(int64(r.rate)), r.cpu.Microseconds())
	}
	s.runs[c.name] = append(s.runs[c.name], r)
	return nil
}

// check checks the content of some answers. The load generator has no time to do it.
func (s *subject) check(ctx context.Context, c scenario, l load) error {
	connection, err := dial(ctx, l.addr)
	if err != nil {
		return err
	}
	defer func() { _ = connection.conn.Close() }()
	connection.keepBody = true
	random := rand.New(rand.NewPCG(l.seed, uint64(l.connections))) //nolint:gosec // the same requests on every run
	for range 20 {
		connection.out = l.request(connection.out[:0], random)
		a, err := connection.do()
		if err != nil {
			return err
		}
		var body struct {
			ID    int64
			Total *int64
			Data  []struct{ ID any } // a text in the Firefly dialect
		}
		if err := json.Unmarshal(a.body, &body); err != nil {
			return fmt.Errorf("status %d: %w: %s", a.status, err, a.body)
		}
		isUser := c.rows == 0 && body.ID > 0
		isPage := c.rows > 0 && len(body.Data) == c.rows && c.total == (body.Total != nil)
		if a.status != http.StatusOK || !isUser && !isPage {
			return fmt.Errorf("an unexpected answer, status %d, to\n%s\n%s", a.status, connection.out, a.body)
		}
	}
	return nil
}

// decoded calls the server, decodes the answer and returns its header. It fails for
// another status.
func (s *subject) decoded(
	ctx context.Context, method, path, token string, in any, status int, out any,
) (http.Header, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	r, err := s.normal.call(ctx, method, path, token, body)
	switch {
	case err != nil:
		return nil, err
	case r.status != status:
		return nil, fmt.Errorf("%s %s: status %d: %s", method, path, r.status, r.body)
	}
	return r.header, json.Unmarshal(r.body, out)
}

// makeToken makes a token that is as expensive to check as possible: it acts for a user
// with groups, and both have an allow-list.
func (s *subject) makeToken(ctx context.Context) (string, error) {
	type object = map[string]any
	allowList := []string{"10.0.0.0/8", "2001:db8::/32", "127.0.0.1"}
	var user struct{ ID int64 }
	_, err := s.decoded(ctx, http.MethodPost, "/api/v2/users", adminToken, object{
		"name": "Load Generator", "email": "load@example.com", "password": "correct horse",
		"active": true, "tfa": false,
		"groups": []int64{identity.AdministratorsID}, "ipWhitelist": allowList, "canViewMaskedData": true,
	}, http.StatusCreated, &user)
	if err != nil {
		return "", err
	}
	var token struct{ Token string }
	_, err = s.decoded(ctx, http.MethodPost, "/api/v2/tokens", adminToken, object{
		"name": "load", "permissions": identity.AllPermissions.Names(), "userId": user.ID,
		"ipWhitelist": allowList, "canViewMaskedData": true,
	}, http.StatusCreated, &token)
	return token.Token, err
}

var nextLink = regexp.MustCompile(`<(?:https?://[^/]+)?([^>]+)>; rel="next"`)

// nextLinks returns the paths of links to next pages from the middle half of the list.
func (s *subject) nextLinks(ctx context.Context) ([]string, error) {
	const count = 64
	links := make([]string, count)
	for i := range links {
		offset := s.users/4 + i*s.users/2/count
		path := pagePath + "&offset=" + strconv.Itoa(offset)
		header, err := s.decoded(ctx, http.MethodGet, path, s.token, nil, http.StatusOK, &struct{}{})
		if err != nil {
			return nil, err
		}
		found := nextLink.FindStringSubmatch(header.Get("Link"))
		if found == nil {
			return nil, fmt.Errorf("no next page in the Link header %q", header.Get("Link"))
		}
		links[i] = found[1]
	}
	return links, nil
}
