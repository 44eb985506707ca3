package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// people is the plain model of the lists: the seeded users and their orders.
type people struct {
	byID   []person
	orders map[string][]int // places in byID, by the value of sort_by
}

func newPeople(users int) *people {
	p := &people{orders: map[string][]int{}}
	for id := 1; id <= users; id++ {
		p.byID = append(p.byID, newPerson(id, users))
	}
	for order, compare := range map[string]func(a, b person) int{
		"id":             func(_, _ person) int { return 0 },
		"name":           func(a, b person) int { return cmp.Compare(strings.ToLower(a.name), strings.ToLower(b.name)) },
		"email":          func(a, b person) int { return cmp.Compare(strings.ToLower(a.email), strings.ToLower(b.email)) },
		"createTime":     func(a, b person) int { return a.created.Compare(b.created) },
		"lastSigninTime": func(a, b person) int { return a.signedIn.Compare(b.signedIn) },
	} {
		places := make([]int, users)
		for i := range places {
			places[i] = i
		}
		slices.SortStableFunc(places, func(a, b int) int { return compare(p.byID[a], p.byID[b]) })
		p.orders[order] = places
	}
	return p
}

// randomList is a list with the answer of the model.
type randomList struct {
	query  url.Values
	want   []int // the ids of all matches, in order
	follow int   // number of next pages to ask for
}

// random returns list number n of a seed.
func (p *people) random(seed, n uint64) randomList {
	r := rand.New(rand.NewPCG(seed, n)) //nolint:gosec // repeatable
	l := randomList{query: url.Values{}}
	var filters []func(person) bool
	for range r.IntN(4) {
		name, value, filter := p.randomFilter(r)
		if l.query.Has(name) {
			continue
		}
		l.query.Set(name, value)
		filters = append(filters, filter)
	}
	orders := []string{"id", "name", "email", "createTime", "lastSigninTime"}
	order := orders[r.IntN(len(orders))]
	l.query.Set("sort_by", order)
	for _, place := range p.orders[order] {
		if !slices.ContainsFunc(filters, func(f func(person) bool) bool { return !f(p.byID[place]) }) {
			l.want = append(l.want, place+1)
		}
	}
	if r.IntN(2) == 0 {
		l.query.Set("sort_order", "desc")
		slices.Reverse(l.want)
	}
	const mostRows, mostPages = 100, 3
	l.query.Set("limit", strconv.Itoa(1+r.IntN(mostRows)))
	if r.IntN(3) == 0 {
		l.query.Set("total", "false")
	}
	deepest := []int{1, 200, len(l.want) + 1, len(l.want) + 100}
	l.query.Set("offset", strconv.Itoa(r.IntN(deepest[r.IntN(len(deepest))])))
	l.follow = r.IntN(mostPages)
	return l
}

// randomFilter returns a filter and its meaning.
func (p *people) randomFilter(r *rand.Rand) (name, value string, matches func(person) bool) {
	someone := p.byID[r.IntN(len(p.byID))]
	flag, group := r.IntN(2) == 0, firstGroup+r.IntN(seededGroups)
	texts := []string{someone.name, someone.email, someone.phone, "nobody's", commonText, "example"}
	text := part(r, texts[r.IntN(len(texts))])
	folded := strings.ToLower(text)
	inName := func(of person) bool { return strings.Contains(strings.ToLower(of.name), folded) }
	switch r.IntN(10) {
	case 0, 1:
		return "filter[name]", text, inName
	case 2, 3:
		return "filter[q]", text, func(of person) bool {
			return inName(of) || strings.Contains(strings.ToLower(of.email), folded) || strings.Contains(of.phone, folded)
		}
	case 4:
		return "filter[email]", strings.ToUpper(someone.email), func(of person) bool { return of.email == someone.email }
	case 5:
		return "filter[status]", map[bool]string{true: "active", false: "inactive"}[flag],
			func(of person) bool { return of.active == flag }
	case 6:
		return "filter[tfa]", strconv.FormatBool(flag), func(of person) bool { return of.tfa == flag }
	case 7:
		return "filter[group]", strconv.Itoa(group), func(of person) bool { return slices.Contains(of.groups, group) }
	case 8:
		return period(r, "created", someone.created, func(of person) time.Time { return of.created })
	default:
		return period(r, "lastSignin", someone.signedIn, func(of person) time.Time { return of.signedIn })
	}
}

// period returns the filter of a time before or after a moment.
func period(r *rand.Rand, what string, at time.Time, of func(person) time.Time) (string, string, func(person) bool) {
	if at.IsZero() {
		at = firstCreation
	}
	value := at.Format(time.RFC3339)
	if r.IntN(2) == 0 {
		return "filter[" + what + "Before]", value, func(p person) bool { return of(p).Before(at) }
	}
	return "filter[" + what + "After]", value, func(p person) bool { return !of(p).Before(at) }
}

// part returns a part of a text, or all of it, in some case.
func part(r *rand.Rand, text string) string {
	if text == "" {
		return "+1"
	}
	if r.IntN(4) > 0 {
		from := r.IntN(len(text))
		const longest = 14
		text = text[from:min(len(text), from+1+r.IntN(longest))]
	}
	if r.IntN(2) == 0 {
		text = strings.ToUpper(text)
	}
	return text
}

// slow is a list that has been measured.
type slow struct {
	path string
	took time.Duration
}

// compareLists compares random lists with the model and prints the slowest. It fails with the first wrong answer.
func compareLists(ctx context.Context, o options, dir string) error {
	users := o.users[0]
	model := newPeople(users)
	for _, engine := range o.engines {
		s, err := newListed(ctx, o, engine, users, dir)
		if err != nil {
			return err
		}
		var slowest []slow
		number := uint64(0)
		for begin := time.Now(); err == nil && time.Since(begin) < o.random; number++ {
			var asked []slow
			asked, err = s.compare(ctx, model.random(o.seed, number))
			slowest = append(slowest, asked...)
			slices.SortFunc(slowest, func(a, b slow) int { return cmp.Compare(b.took, a.took) })
			slowest = slowest[:min(len(slowest), 10)]
		}
		if err = errors.Join(err, s.close()); err != nil {
			return fmt.Errorf("%s: %w\nAgain: -random %v -seed %d -engines %s -users %d; this is list %d", s, err,
				o.random, o.seed, engine, users, number-1)
		}
		fmt.Printf("\n## Random lists, %s\n\n%d lists of seed %d, all as in the model. The slowest:\n\n", s, number, o.seed)
		fmt.Printf("| ms | list |\n| ---: | --- |\n")
		for _, l := range slowest {
			fmt.Printf("| %s | `%s` |\n", milliseconds(l.took), l.path)
		}
	}
	return nil
}

// compare asks for a list and its next pages.
func (s *subject) compare(ctx context.Context, l randomList) (asked []slow, err error) {
	path := "/api/v2/users?" + l.query.Encode()
	from, err := strconv.Atoi(l.query.Get("offset"))
	if err != nil {
		return nil, err
	}
	limit, err := strconv.Atoi(l.query.Get("limit"))
	if err != nil {
		return nil, err
	}
	for page := 0; page <= l.follow; page++ {
		begin := time.Now()
		r, err := s.normal.call(ctx, http.MethodGet, path, s.token, nil)
		asked = append(asked, slow{path, time.Since(begin)})
		if err != nil {
			return asked, err
		}
		var body struct {
			Total *int
			Data  []struct{ ID int }
		}
		if err := json.Unmarshal(r.body, &body); err != nil || r.status != http.StatusOK {
			return asked, fmt.Errorf("%s: status %d: %s", path, r.status, r.body)
		}
		begins := min(from, len(l.want))
		ends := min(begins+limit, len(l.want))
		got := make([]int, len(body.Data))
		for i := range body.Data {
			got[i] = body.Data[i].ID
		}
		hasTotal := page == 0 && l.query.Get("total") == ""
		next := nextLink.FindStringSubmatch(r.header.Get("Link"))
		switch {
		case !slices.Equal(got, l.want[begins:ends]):
			return asked, fmt.Errorf("%s: the users are %v, want %v", path, got, l.want[begins:ends])
		case hasTotal != (body.Total != nil) || hasTotal && *body.Total != len(l.want):
			return asked, fmt.Errorf("%s: the total is %s, want %d", path, r.body[:min(len(r.body), 100)], len(l.want))
		case (next != nil) != (ends < len(l.want)):
			return asked, fmt.Errorf("%s: a link to a next page: %v", path, next)
		case next == nil:
			return asked, nil
		}
		path, from = next[1], ends
	}
	return asked, nil
}
