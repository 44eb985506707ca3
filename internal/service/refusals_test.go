package service_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

func refusals(s *apitest.Server, query string) []apitest.Event {
	var list struct{ Data []apitest.Event }
	s.Do(http.MethodGet, apitest.EventsPath+"?filter[type]=USER_ACCESS_REFUSED"+query, nil).Want(http.StatusOK).
		Decode(&list)
	return list.Data
}

// TestEqualRefusalsAreOneEvent checks that four hundred denied reads on two instances are one event
// with their count.
func TestEqualRefusalsAreOneEvent(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		as := apitest.As(s[0].CreateToken(0, nil))
		refused := func(i int, source string) *apitest.Answer {
			return s[i%2].Do(http.MethodGet, apitest.UsersPath, nil, as, apitest.From(source)).
				Want(http.StatusForbidden)
		}
		const callers, each = 8, 50
		apitest.Together(callers, func(i int) *apitest.Answer {
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
			apitest.Together(callers, func(i int) *apitest.Answer {
				return refused(i, fmt.Sprintf("198.51.100.%d", round))
			})
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

// TestRefusalsOfOthersAreOtherEvents checks that another caller, source, reason or minute makes
// another event, for tokens and for sign-ins.
func TestRefusalsOfOthersAreOtherEvents(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		home := changes{"ipWhitelist": []string{"192.0.2.1"}}
		mary := s.CreateUser("mary@example.com", home)
		s.CreateUser("john@example.com", home)
		session := s.SignInWith("mary@example.com", apitest.Password)
		one, another := s.CreateToken(0, nil), s.CreateToken(0, nil)
		hers := s.CreateToken(mary, nil)
		here, away := "192.0.2.1", "198.51.100.7"
		step := func(status int, method, path string, body any, token, from string) func() {
			return func() {
				s.Do(method, path, body, apitest.As(token), apitest.From(from)).Want(status)
			}
		}
		read := func(token, from string) func() {
			return step(http.StatusForbidden, http.MethodGet, apitest.UsersPath, nil, token, from)
		}
		enter := func(email, from string) func() {
			return step(http.StatusForbidden, http.MethodPost, apitest.SignInPath,
				apitest.Credentials(email, apitest.Password), "", from)
		}
		steps := []func(){
			read(one, here), read(another, here), read(one, away), // permission_denied, of three
			step(http.StatusForbidden, http.MethodGet, apitest.UsersPath+"?sort_by=email", nil,
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
		step(http.StatusForbidden, http.MethodPost, apitest.RefreshPath, token, "", "203.0.113.1")()
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
		for _, wait := range []time.Duration{
			30 * time.Second, 29 * time.Second, time.Second, 59 * time.Second,
			time.Second,
		} {
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
		if last := list[len(list)-1]; last.ID != first.ID || last.Time != first.Time ||
			last.RequestID != first.RequestID {
			t.Errorf("%+v was %+v", last, first)
		}
	})
}

// TestRefusalsByClocksThatDiffer checks that counting continues when the clock of another instance is
// somewhat behind, and that an event of a clock far ahead does not count later denials.
func TestRefusalsByClocksThatDiffer(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		as := apitest.As(s[0].CreateToken(0, nil))
		for _, test := range []struct {
			ahead time.Duration
			want  string
		}{{30 * time.Second, "2"}, {time.Hour, "1 3"}} {
			s[1].Clock.Advance(test.ahead)
			s[1].Do(http.MethodGet, apitest.UsersPath, nil, as).Want(http.StatusForbidden)
			s[0].Do(http.MethodGet, apitest.UsersPath, nil, as).Want(http.StatusForbidden)
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

// TestClientRequestID checks that the id of a client is kept beside our own.
func TestClientRequestID(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, id := range []string{"", "from the client"} {
			actor := identity.Anonymous(identity.Origin{Source: identity.Actor{}.Source, RequestID: "ours"})
			actor.ClientRequestID = id
			err := s.Store.InTx(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Emit(t.Context(),
					identity.Event{Type: identity.GroupCreated, Time: s.Clock.Now(), Actor: actor})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			var list struct{ Data []apitest.Event }
			s.Do(http.MethodGet, apitest.EventsPath+"?limit=1", nil).Want(http.StatusOK).Decode(&list)
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
