package backoffice_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

type countedEvent struct {
	ID              int64
	Reason, Source  *string
	Time            string
	RequestID       string
	ClientRequestID *string
	Count           int64
	Actor           struct{ UserID, TokenID *int64 }
}

func refusals(s *apitest.Server, query string) []countedEvent {
	var list struct{ Data []countedEvent }
	s.Do(http.MethodGet, events+"?filter[type]=USER_ACCESS_REFUSED"+query, nil).Want(http.StatusOK).Decode(&list)
	return list.Data
}

// TestEqualRefusalsAreOneEvent: four hundred refused reads, at two instances at
// once, are one event that counts them all.
func TestEqualRefusalsAreOneEvent(t *testing.T) {
	t.Parallel()
	twoInstances(t, func(t *testing.T, s [2]*apitest.Server) {
		as := apitest.As(s[0].CreateToken(0, nil))
		refused := func(i int, source string) *apitest.Answer {
			return s[i%2].Do(http.MethodGet, users, nil, as, apitest.From(source)).Want(http.StatusForbidden)
		}
		const callers, each = 8, 50
		together(callers, func(i int) *apitest.Answer {
			for range each - 1 {
				refused(i, "192.0.2.1")
			}
			return refused(i, "192.0.2.1")
		})
		if list := refusals(s[0], ""); len(list) != 1 || list[0].Count != callers*each {
			t.Errorf("%+v", list)
		}
		// The moment at which there is no event yet, again and again.
		for round := range each {
			together(callers, func(i int) *apitest.Answer { return refused(i, fmt.Sprintf("198.51.100.%d", round)) })
		}
		list := refusals(s[0], "&limit=1000")
		for _, e := range list[:len(list)-1] {
			if e.Count != callers {
				t.Errorf("%s: %d", *e.Source, e.Count)
			}
		}
		if len(list) != 1+each {
			t.Errorf("%d events", len(list))
		}
	})
}

// TestRefusalsOfOthersAreOtherEvents: a caller, a source, a reason or a minute
// more makes another event; at the gate as behind it.
func TestRefusalsOfOthersAreOtherEvents(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		home := changes{"ipWhitelist": []string{"192.0.2.1"}}
		mary := s.CreateUser("mary@example.com", home)
		s.CreateUser("john@example.com", home)
		session := signIn(t, s, "mary@example.com", password)
		one, another := s.CreateToken(0, nil), s.CreateToken(0, nil)
		hers := s.CreateToken(mary, nil)
		here, away := "192.0.2.1", "198.51.100.7"
		step := func(status int, method, path string, body any, token, from string) func() {
			return func() {
				s.Do(method, path, body, apitest.As(token), apitest.From(from)).Want(status)
			}
		}
		read := func(token, from string) func() {
			return step(http.StatusForbidden, http.MethodGet, users, nil, token, from)
		}
		enter := func(email, from string) func() {
			return step(http.StatusForbidden, http.MethodPost, signin, credentials(email, password), "", from)
		}
		steps := []func(){
			read(one, here), read(another, here), read(one, away), // permission_denied, of three
			step(http.StatusForbidden, http.MethodGet, users+"?sort_by=email", nil,
				s.CreateToken(0, []string{"users.view"}, changes{"canViewMaskedData": false}), here), // masked_data
			read(session.AccessToken.Token, here), read(hers, here),
			read(session.AccessToken.Token, away), read(hers, away), // ip_not_allowed
			enter("mary@example.com", "203.0.113.1"), enter("john@example.com", "203.0.113.1"),
			enter("mary@example.com", "203.0.113.2"),
		}
		const times = 3
		for range times {
			for _, do := range steps {
				do()
			}
		}
		token := changes{"refreshToken": session.RefreshToken.Token}
		step(http.StatusForbidden, http.MethodPost, refresh, token, "", "203.0.113.1")()
		list := refusals(s, "")
		if len(list) != len(steps) {
			t.Fatalf("%d events, want %d: %+v", len(list), len(steps), list)
		}
		for _, e := range list {
			want := int64(times)
			if e.Source != nil && *e.Source == "203.0.113.1" && *e.Actor.UserID == mary {
				want++ // a refresh is a way in, too
			}
			if e.Count != want {
				t.Errorf("%+v, want %d", e, want)
			}
		}

		// The minute begins with the first refusal, not with the last one.
		first := list[len(list)-1]
		for _, wait := range []time.Duration{30 * time.Second, 29 * time.Second, time.Second, 59 * time.Second, time.Second} {
			s.Clock.Advance(wait)
			read(one, here)()
		}
		list = refusals(s, "&filter[actor]=token:"+fmt.Sprint(*first.Actor.TokenID))
		var counts []string
		for _, e := range list {
			if *e.Source == here {
				counts = append(counts, fmt.Sprint(e.Count))
			}
		}
		if got := strings.Join(counts, " "); got != "1 2 5" {
			t.Errorf("%s: %+v", got, list)
		}
		if last := list[len(list)-1]; last.ID != first.ID || last.Time != first.Time || last.RequestID != first.RequestID {
			t.Errorf("%+v was %+v", last, first)
		}
	})
}

// TestRefusalsByClocksThatDiffer: the count goes on where another instance's
// clock is somewhat behind, and an event of a clock that was far ahead does not
// collect what comes after it.
func TestRefusalsByClocksThatDiffer(t *testing.T) {
	t.Parallel()
	twoInstances(t, func(t *testing.T, s [2]*apitest.Server) {
		as := apitest.As(s[0].CreateToken(0, nil))
		for _, test := range []struct {
			ahead time.Duration
			want  string
		}{{30 * time.Second, "2"}, {time.Hour, "1 3"}} {
			s[1].Clock.Advance(test.ahead)
			s[1].Do(http.MethodGet, users, nil, as).Want(http.StatusForbidden)
			s[0].Do(http.MethodGet, users, nil, as).Want(http.StatusForbidden)
			var counts []string
			for _, e := range refusals(s[0], "") {
				counts = append(counts, fmt.Sprint(e.Count))
			}
			if got := strings.Join(counts, " "); got != test.want {
				t.Errorf("%v ahead: %s, want %s", test.ahead, got, test.want)
			}
		}
	})
}

// TestClientRequestID: what a client calls its request is kept beside our own id.
func TestClientRequestID(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, id := range []string{"", "from the client"} {
			actor := identity.Anonymous(identity.Origin{Source: identity.Actor{}.Source, RequestID: "ours"})
			actor.ClientRequestID = id
			err := s.Store.InTx(t.Context(), func(tx *store.Tx) error {
				return tx.Emit(t.Context(), identity.Event{Type: identity.GroupCreated, Time: s.Clock.Now(), Actor: actor})
			})
			if err != nil {
				t.Fatal(err)
			}
			var list struct{ Data []countedEvent }
			s.Do(http.MethodGet, events+"?limit=1", nil).Want(http.StatusOK).Decode(&list)
			got := list.Data[0]
			shown := ""
			if got.ClientRequestID != nil {
				shown = *got.ClientRequestID
			}
			if got.RequestID != "ours" || shown != id || (got.ClientRequestID == nil) != (id == "") || got.Count != 1 {
				t.Errorf("%q: %+v", id, got)
			}
		}
	})
}

// TestEventTotalIsBounded: so many events are counted and no more.
func TestEventTotalIsBounded(t *testing.T) {
	t.Parallel()
	const counted = 10_000
	eachDatabase(t, func(t *testing.T, s *apitest.Server, _ string, db *sql.DB) {
		const columns = "type, happened_at, actor_name, actor_token_id, actor_user_id, source, request_id, subject_type, " +
			"subject_id, changes, reason"
		double := "INSERT INTO events (" + columns + ") SELECT " + columns + " FROM events"
		for range 13 {
			execute(t, db, double) // of the one event that there is
		}
		execute(t, db, double+" ORDER BY id LIMIT "+fmt.Sprint(counted-1<<13))
		check := func(query string, bounded bool) {
			t.Helper()
			body := s.Do(http.MethodGet, events+query, nil).Want(http.StatusOK).Object()
			bound, present := body["totalIsLowerBound"]
			if body["total"] != float64(counted) || present != bounded || bounded && bound != true {
				t.Errorf("%s: total %v, lower bound %v", query, body["total"], bound)
			}
		}
		check("", false)
		check("?filter[type]=TOKEN_CREATED", false)
		s.CreateToken(0, nil)
		check("", true)
		check("?filter[type]=TOKEN_CREATED", true)
		check("?filter[since]=2020-01-01T00:00:00Z", true)
		check("?offset=9990&limit=20", true)
		answer := s.Do(http.MethodGet, events+"?offset=9990&limit=20", nil).Want(http.StatusOK).Object()
		if data, _ := answer["data"].([]any); len(data) != 11 {
			t.Errorf("%d events from 9990 on", len(data))
		}
	})
}
