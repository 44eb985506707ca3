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
	// against is the scenario that it is compared with, "" for none; atLeast is
	// the bar on the ratio, 0 for none.
	against string
	atLeast float64
	// keeps is the bar on the rate in a bigger database, as a part of the rate in
	// the first one; 0 for none.
	keeps float64
	// inTurns: it takes part in a bar, and is measured in several rounds.
	inTurns bool
	// connections is how many there are at the most, 0 for as many as usual: a
	// request that reads a third of a million rows is nothing to ask 32 times at once.
	connections int

	on     func(*subject) *server // which server to ask; nil for the released program as it is
	method string
	target func(b []byte, r *rand.Rand) []byte // appends path and query
	body   func(b []byte, r *rand.Rand) []byte // nil for none
	rows   int                                 // in the list that it answers with; 0 for an answer that is a user
	total  bool                                // whether that list has a total
}

// The names of the scenarios that others are compared with.
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

	fireflyPath = "/api/v1/users?limit=50&page="
)

// scenarios returns what to ask of a subject, those with bars first: they are
// measured in turns.
func (s *subject) scenarios() []scenario {
	fixed := func(target string) func([]byte, *rand.Rand) []byte {
		return func(b []byte, _ *rand.Rand) []byte { return append(b, target...) }
	}
	rare := func(prefix string) func([]byte, *rand.Rand) []byte {
		return func(b []byte, r *rand.Rand) []byte {
			return append(append(b, prefix...), rareName(r.IntN(rareNames))...)
		}
	}
	start := identity.Cursor{Sort: identity.SortByID}.String()
	list := []scenario{
		{name: getOpen, on: func(s *subject) *server { return s.open }, target: s.anyUser},
		{name: getUncached, against: getOpen, on: func(s *subject) *server { return s.uncached }, target: s.anyUser},
		{name: getUser, against: getOpen, atLeast: 0.6, target: s.anyUser},
		{name: firstPageQuick, target: fixed(pagePath + "&after=" + start), rows: pageSize},
		{name: firstPage, against: firstPageQuick, atLeast: 0.5, target: fixed(pagePath), rows: pageSize, total: true},
		{name: "filter[email]", against: firstPage, atLeast: 2, target: s.anyEmail, rows: 1, total: true},
		{
			name: "filter[name], rare", against: firstPage, atLeast: 0.5,
			target: rare(pagePath + "&filter%5Bname%5D="), rows: usersPerRare, total: true,
		},
		{name: "page at offset 90 %", against: firstPage, atLeast: 0.25, target: s.deepOffset, rows: pageSize, total: true},
		{name: "next page by cursor", against: firstPage, atLeast: 0.9, target: s.anyLink, rows: pageSize},
		{name: lastPage, target: fixed(pagePath + "&offset=" + strconv.Itoa(s.users-pageSize)), rows: pageSize, total: true},
		{name: "Firefly: first page of 50", against: firstPage, atLeast: 0.5, target: fixed(fireflyPath + "1"), rows: pageSize},
		{
			name: "Firefly: last page of 50", against: lastPage, atLeast: 0.5,
			target: fixed(fireflyPath + strconv.Itoa(s.users/pageSize)), rows: pageSize,
		},
	}
	for i := range list {
		list[i].inTurns = true
		if list[i].on == nil {
			list[i].keeps = 0.6
		}
	}
	list = append(list, []scenario{
		{name: "filter[active]=1", against: firstPage, target: fixed(pagePath + "&filter%5Bactive%5D=1"), rows: pageSize, total: true},
		{
			name: "filter[name], common, 4 connections", against: firstPage, connections: 4,
			target: fixed(pagePath + "&filter%5Bname%5D=" + commonText), rows: pageSize, total: true,
		},
		{name: "filter[q], rare", against: firstPage, target: rare(pagePath + "&filter%5Bq%5D="), rows: usersPerRare, total: true},
		{name: "sort_by=name", against: firstPage, target: fixed(pagePath + "&sort_by=name"), rows: pageSize, total: true},
		{name: "PATCH of a name", against: getUser, method: http.MethodPatch, target: s.anyUser, body: s.newName},
	}...)
	for i := range list {
		list[i].method = cmp.Or(list[i].method, http.MethodGet)
	}
	return list
}

func (s *subject) anyID(r *rand.Rand) int { return 1 + r.IntN(s.users) }

func (s *subject) anyUser(b []byte, r *rand.Rand) []byte {
	return strconv.AppendInt(append(b, "/api/v2/users/"...), int64(s.anyID(r)), 10)
}

func (s *subject) anyEmail(b []byte, r *rand.Rand) []byte {
	email := newPerson(s.anyID(r), s.users).email
	return append(append(b, pagePath+"&filter%5Bemail%5D="...), strings.Replace(email, "@", "%40", 1)...)
}

// deepOffset varies within one per cent, for how deep an offset lies in a block
// of ids matters.
func (s *subject) deepOffset(b []byte, r *rand.Rand) []byte {
	users := int64(s.users)
	return strconv.AppendInt(append(b, pagePath+"&offset="...), users*9/10+r.Int64N(users/100), 10)
}

func (s *subject) anyLink(b []byte, r *rand.Rand) []byte {
	return append(b, s.links[r.IntN(len(s.links))]...)
}

// newName always differs from the old one: what is the same already is not written.
func (s *subject) newName(b []byte, r *rand.Rand) []byte {
	b = append(append(b, `{"name":"`...), newPerson(s.anyID(r), s.users).name...)
	b = append(b, ' ')
	b = strconv.AppendUint(b, r.Uint64(), 36)
	return append(b, `"}`...)
}

func (s *subject) newUser(b []byte, r *rand.Rand) []byte {
	return fmt.Appendf(b, `{"name":"%s","email":"new.%d@example.com","password":"correct horse","active":true,"tfa":false,"groups":[2]}`,
		newPerson(s.anyID(r), s.users).name, r.Uint64())
}

// request returns what appends a whole request of a scenario.
func (s *subject) request(c scenario) func(b []byte, r *rand.Rand) []byte {
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

// load is a run of a scenario.
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
		request: s.request(c), accepts: []int{http.StatusOK},
	}
}

// measureRequests runs the scenarios on all subjects in turns: those with a bar
// in several rounds, the others, and an engine without bars, in one.
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

// measure runs a scenario. One that fails under load has a rate of 0, is told
// at the end and does not keep the others from being measured.
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
		time.Sleep(patience) // what is still being worked on should not slow the next ones
	default:
		progress("%s: %s: %s/s", s, c.name, thousands(int64(r.rate)))
	}
	s.runs[c.name] = append(s.runs[c.name], r)
	return nil
}

// check makes sure that the answers are the right ones, which the load itself
// has no time for.
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

// decoded calls the server and decodes the answer, which must have the status.
func (s *subject) decoded(ctx context.Context, method, path, token string, in any, status int, out any) (http.Header, error) {
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

// makeToken makes the token that is the most expensive to check: it acts for a
// user, whose groups decide, and both have an allow-list.
func (s *subject) makeToken(ctx context.Context) (string, error) {
	type object = map[string]any
	allowList := []string{"10.0.0.0/8", "2001:db8::/32", "127.0.0.1"}
	var user struct{ ID int64 }
	_, err := s.decoded(ctx, http.MethodPost, "/api/v2/users", adminToken, object{
		"name": "Load Generator", "email": "load@example.com", "password": "correct horse", "active": true, "tfa": false,
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

var nextLink = regexp.MustCompile(`<([^>]+)>; rel="next"`)

// nextLinks collects links to next pages from all over the middle of the list.
func (s *subject) nextLinks(ctx context.Context) ([]string, error) {
	const count = 64
	links := make([]string, count)
	for i := range links {
		offset := s.users/4 + i*s.users/2/count
		header, err := s.decoded(ctx, http.MethodGet, pagePath+"&offset="+strconv.Itoa(offset), s.token, nil, http.StatusOK, &struct{}{})
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
