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
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// list is one list of users: the parameters of GET /users, of which some can be random.
type list struct {
	name  string
	query func(r *rand.Rand) string
	// bar is the least ratio of its rate to that of another list, 0 for none.
	bar     float64
	against string
}

// times has how long lists take, by name: the median of requests one after the other. A list that the server
// gives up is there with the time of that.
type times map[string]time.Duration

// errRefused is the answer 503: the server gives up after its time limit.
var errRefused = errors.New("status 503")

// measureLists measures lists of users: former cliffs one request at a time, in databases of all sizes, and
// all combinations of the simple filters with the orders against the first page, in the biggest one.
func measureLists(ctx context.Context, o options, dir string) error {
	for _, engine := range o.engines {
		grown := make([]times, len(o.users))
		for i, users := range o.users {
			s, err := newListed(ctx, o, engine, users, dir)
			if err != nil {
				return err
			}
			grown[i], err = s.measureCliffs(ctx)
			if err == nil && i == len(o.users)-1 {
				err = s.measureMatrix(ctx, o)
			}
			if err = cmp.Or(err, s.close()); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		printCliffs(engine, o.users, grown)
		if o.svg != "" && engine == postgres {
			if err := os.WriteFile(o.svg, growth(o.users, grown), 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// newListed returns a subject with the normal server alone. Its token is that of the administrator, so that it has
// no users but the seeded ones.
func newListed(ctx context.Context, o options, engine string, users int, dir string) (s *subject, err error) {
	if o.database != "" {
		s = &subject{engine: engine, users: users, databaseURL: o.database, drop: func() {}}
	} else if s, err = newSubject(ctx, engine, users, dir); err != nil {
		return nil, err
	}
	s.token = adminToken
	s.normal, err = startServer(ctx, s.databaseURL, o.serverLog, o.roster, "serve")
	return s, err
}

// Parameters of lists.
const (
	byName, bySignin = "&sort_by=name", "&sort_by=lastSigninTime"
	inGroup          = "&filter[group]=3"
)

// fixedQuery returns the query of a list that is always the same.
func fixedQuery(query string) func(*rand.Rand) string {
	return func(*rand.Rand) string { return query }
}

// cliffs are lists that once took up to seconds. plain is what the others are compared with.
const plain = "first page"

func (s *subject) cliffs() []list {
	at := func(part float64) string { return "&offset=" + strconv.Itoa(int(part*float64(s.users))) }
	fixed := func(name, query string) list { return list{name: name, query: fixedQuery(query)} }
	const common, everybody = "&filter[name]=" + commonText, "&filter[q]=example"
	return []list{
		fixed(plain, ""),
		fixed("by id, offset 90 %", at(0.9)),
		fixed("by name, offset 50 %", byName+at(0.5)),
		fixed("by name, offset 90 %", byName+at(0.9)),
		fixed("by email, offset 90 %", "&sort_by=email"+at(0.9)),
		fixed("by createTime, offset 90 %", "&sort_by=createTime"+at(0.9)),
		fixed("by lastSigninTime, offset 90 %", bySignin+at(0.9)),
		fixed("filter[tfa]", "&filter[tfa]=true"),
		fixed("filter[tfa], offset 18 %", "&filter[tfa]=true"+at(0.18)),
		fixed("filter[group]", inGroup),
		fixed("filter[group], offset 9 %", inGroup+at(0.09)),
		fixed("group, by name", inGroup+byName),
		fixed("group, by name, active", inGroup+byName+"&filter[active]=1"),
		fixed("group, by name, offset 9 %", inGroup+byName+at(0.09)),
		fixed("filter[name]="+commonText, common),
		fixed("filter[name]="+commonText+", offset 20 %", common+at(0.2)),
		fixed("filter[name]="+commonText+", no total", common+"&total=false"),
		fixed("filter[name]=so", "&filter[name]=so"),
		fixed("filter[q]=example", everybody),
		fixed("filter[q]=example, no total", everybody+"&total=false"),
		{name: "filter[q], a whole address", query: s.address("&filter[q]=")},
		{name: "filter[email]", query: s.address("&filter[email]=")},
	}
}

// address returns queries for the addresses of seeded users.
func (s *subject) address(parameter string) func(*rand.Rand) string {
	return func(r *rand.Rand) string {
		return parameter + url.QueryEscape(newPerson(s.anyID(r), s.users).email)
	}
}

// measureCliffs measures the cliffs one request at a time.
func (s *subject) measureCliffs(ctx context.Context) (times, error) {
	progress("%s: lists one by one", s)
	found := times{}
	for _, l := range s.cliffs() {
		var took []time.Duration
		for begin := time.Now(); len(took) < 7 || len(took) < 50 && time.Since(begin) < 500*time.Millisecond; {
			begun := time.Now()
			m, err := s.lists(ctx, l, 1, 0)
			if errors.Is(err, errRefused) {
				progress("%s: %s: %v", s, l.name, err)
				took = []time.Duration{time.Since(begun)}
				break
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", l.name, err)
			}
			took = append(took, m)
		}
		slices.Sort(took)
		found[l.name] = took[len(took)/2]
	}
	return found, nil
}

// lists asks for a list over a number of connections, until the duration is over, and returns the time that an
// answer took, of all connections together.
func (s *subject) lists(ctx context.Context, l list, connections int, duration time.Duration) (time.Duration, error) {
	var asking sync.WaitGroup
	answers, failures := make([]int, connections), make([]error, connections)
	begin := time.Now()
	for i := range connections {
		s.seeds++
		random := rand.New(rand.NewPCG(s.seeds, 0)) //nolint:gosec // the same requests on every run
		asking.Go(func() {
			c, err := dial(ctx, s.normal.addr)
			if err != nil {
				failures[i] = err
				return
			}
			defer func() { _ = c.conn.Close() }()
			for ; failures[i] == nil && (answers[i] == 0 || time.Since(begin) < duration); answers[i]++ {
				_, failures[i] = s.ask(c, l.query(random))
			}
		})
	}
	asking.Wait()
	sum := 0
	for i := range answers {
		if failures[i] != nil {
			return 0, failures[i]
		}
		sum += answers[i]
	}
	return time.Since(begin) / time.Duration(sum), nil
}

// ask asks for a list over a connection. Any answer but 200 is an error.
func (s *subject) ask(c *client, query string) (answer, error) {
	query = strings.NewReplacer("[", "%5B", "]", "%5D").Replace(query)
	c.out = append(c.out[:0], "GET "+pagePath+query+" HTTP/1.1\r\nHost: roster.example.com\r\n"+
		"Authorization: Bearer "+s.token+"\r\n\r\n"...)
	a, err := c.do()
	switch {
	case err == nil && a.status == http.StatusServiceUnavailable:
		err = errRefused
	case err == nil && a.status != http.StatusOK:
		err = fmt.Errorf("status %d: %s", a.status, a.body)
	}
	return a, err
}

// total returns the total of a list.
func (s *subject) total(ctx context.Context, query string) (int, error) {
	r, err := s.normal.call(ctx, http.MethodGet, pagePath+query, s.token, nil)
	var body struct{ Total *int }
	if err == nil {
		err = json.Unmarshal(r.body, &body)
	}
	if err == nil && body.Total == nil {
		err = fmt.Errorf("no total: %s", r.body)
	}
	if err != nil {
		return 0, err
	}
	return *body.Total, nil
}

// matrix returns every combination of status, second factor, one group and none with every order and three offsets.
func (s *subject) matrix(ctx context.Context) (lists []list, err error) {
	const atStart, deep = 0.2, 0.05
	for _, status := range []string{"", "&filter[status]=active", "&filter[status]=inactive"} {
		for _, tfa := range []string{"", "&filter[tfa]=true", "&filter[tfa]=false"} {
			for _, group := range []string{"", inGroup} {
				filter := status + tfa + group
				total, err := s.total(ctx, filter)
				if err != nil {
					return nil, err
				}
				for _, order := range []string{"id", "name", "email", "createTime", "lastSigninTime"} {
					for _, percent := range []int{0, 50, 90} {
						query := fmt.Sprintf("%s&sort_by=%s&offset=%d", filter, order, total*percent/100)
						name := fmt.Sprintf("%s by %s at %d %%", cmp.Or(strings.TrimPrefix(filter, "&"), "all"), order, percent)
						bar := atStart
						if percent > 0 {
							bar = deep
						}
						lists = append(lists, list{name: name, query: fixedQuery(query), bar: bar})
					}
				}
			}
		}
	}
	return lists, nil
}

// texts returns lists of texts that few, some and many users have, with other filters.
func (s *subject) texts() []list {
	const rare, withAny, ofEmail, quick = 0.2, 0.2, 0.5, 0.3
	var lists []list
	for _, filter := range []string{
		"", "&filter[status]=active", "&filter[tfa]=false", inGroup, byName, bySignin, inGroup + "&filter[tfa]=true" + byName,
	} {
		lists = append(lists,
			list{name: "a rare name" + filter, bar: rare, query: func(r *rand.Rand) string {
				return "&filter[q]=" + rareName(r.IntN(rareNames)) + filter
			}},
			// One in 500 has the last name without its end, 2,000 of a million.
			list{name: "a middling name" + filter, bar: withAny, query: func(r *rand.Rand) string {
				return "&filter[name]=" + lastStarts[r.IntN(len(lastStarts))] + lastMiddles[r.IntN(len(lastMiddles))] + filter
			}})
	}
	return append(lists,
		list{name: "filter[email]", query: s.address("&filter[email]=")},
		list{name: "a whole address", query: s.address("&filter[q]="), bar: ofEmail, against: "filter[email]"},
		list{name: commonText + ", no total", query: fixedQuery("&total=false&filter[name]=" + commonText), bar: quick},
		list{name: "example, no total", query: fixedQuery("&total=false&filter[q]=example"), bar: quick},
		list{name: "example, no total, by name", query: fixedQuery("&total=false&filter[q]=example" + byName), bar: quick},
	)
}

// compared is a list with its rate as a part of that of the list to compare with.
type compared struct {
	list
	took  time.Duration
	ratio float64
}

// measureMatrix measures the matrix and the texts, with the plain first page in turns, and prints the slowest.
func (s *subject) measureMatrix(ctx context.Context, o options) error {
	const connections = 4
	matrix, err := s.matrix(ctx)
	if err != nil {
		return err
	}
	progress("%s: %d combinations", s, len(matrix))
	all := append(matrix, s.texts()...)
	found, latest := make([]compared, 0, len(all)), map[string]time.Duration{}
	for i, l := range all {
		if i%10 == 0 {
			if latest[""], err = s.lists(ctx, list{query: fixedQuery("")}, connections, o.duration); err != nil {
				return err
			}
		}
		begun := time.Now()
		took, err := s.lists(ctx, l, connections, o.duration)
		if errors.Is(err, errRefused) {
			progress("%s: %s: %v", s, l.name, err)
			took = time.Since(begun)
		} else if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		latest[l.name] = took
		found = append(found, compared{l, took, float64(latest[l.against]) / float64(took)})
	}
	fmt.Printf("\n## Lists, %s\n\n%d connections, against the first page in turns.\n", s, connections)
	printOrders(found[:len(matrix)])
	short := slices.DeleteFunc(slices.Clone(found), func(c compared) bool { return c.ratio >= c.bar })
	fmt.Printf("\n%d of %d lists are below their bars. The slowest, and the texts:\n\n", len(short), len(found))
	fmt.Printf("| List | ms | ratio | bar |\n| --- | ---: | ---: | ---: |\n")
	slowest := slices.SortedFunc(slices.Values(found[:len(matrix)]), func(a, b compared) int { return cmp.Compare(b.took, a.took) })
	for _, c := range append(slowest[:10], found[len(matrix):]...) {
		fmt.Printf("| %s | %s | %.3f | %g |\n", c.name, milliseconds(c.took), c.ratio, c.bar)
	}
	return nil
}

// printOrders prints the worst and the middle ratio of each order and offset, without and with a group.
func printOrders(found []compared) {
	fmt.Printf("\n| Order and offset | lists | below the bar | least ratio | median |\n| --- | ---: | ---: | ---: | ---: |\n")
	rows := map[string][]float64{}
	short := map[string]int{}
	for _, c := range found {
		_, row, _ := strings.Cut(c.name, " by ")
		if strings.Contains(c.name, "group") {
			row += ", in a group"
		}
		rows[row] = append(rows[row], c.ratio)
		if c.ratio < c.bar {
			short[row]++
		}
	}
	for _, row := range slices.Sorted(func(yield func(string) bool) {
		for row := range rows {
			if !yield(row) {
				return
			}
		}
	}) {
		fmt.Printf("| %s | %d | %d | %.3f | %.3f |\n", row, len(rows[row]), short[row], slices.Min(rows[row]), median(rows[row]))
	}
}

func printCliffs(engine string, users []int, grown []times) {
	fmt.Printf("\n## %s: one request at a time, ms\n\n| List |", engineNames[engine])
	for _, n := range users {
		fmt.Printf(" %s users |", thousands(int64(n)))
	}
	fmt.Printf("\n| --- |%s\n", strings.Repeat(" ---: |", len(users)))
	for _, l := range (&subject{}).cliffs() {
		fmt.Printf("| %s |", l.name)
		for _, t := range grown {
			fmt.Printf(" %s |", milliseconds(t[l.name]))
		}
		fmt.Println()
	}
}
