package firefly_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

const everything = "?include=accounts,attachments,bills,budgets,categories,piggy_banks,tags,transactions"

// register creates a record of a user.
func register(s *apitest.Server, id, record string, attributes any) {
	s.Do(http.MethodPut, "/api/v2/users/"+id+"/records/"+record, object{"attributes": attributes}).
		Want(http.StatusCreated)
}

func TestInclude(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		public := s.At(fireflyLocal)
		id := create(s, "a@example.com")
		other := create(s, "b@example.com")
		register(s, other, "accounts/99", object{})
		public.Do(http.MethodGet, userPath(id)+everything, nil).Want(http.StatusOK).Golden("include_all_empty")

		register(s, id, "accounts/2", object{"name": "Savings", "balance": 12.5})
		register(s, id, "accounts/10", object{"name": "Checking"})
		register(s, id, "bills/2", object{"name": "Rent"})
		register(s, id, "tags/ü:1", object{"tag": "on the way"})
		public.Do(http.MethodGet, userPath(id)+everything, nil).Want(http.StatusOK).Golden("include_all")
		public.Do(http.MethodGet, userPath(id)+"?include=accounts,bills", nil).Want(http.StatusOK).Golden("include")
		public.Do(http.MethodGet, userPath(id)+"/accounts", nil).Want(http.StatusOK).Golden("related")
		public.Do(http.MethodGet, userPath(id)+"/budgets", nil).Want(http.StatusOK).Golden("related_none")
		public.Do(http.MethodGet, userPath(id)+"/relationships/accounts", nil).Want(http.StatusOK).Golden("relationship")
		public.Do(http.MethodGet, userPath(id)+"/relationships/budgets", nil).Want(http.StatusOK).Golden("relationship_none")

		got := s.Do(http.MethodPut, userPath(id)+"?include=bills", object{"blocked": true}).Want(http.StatusOK).Object()
		if included := got["included"].([]any); len(included) != 1 {
			t.Errorf("PUT: %v", included)
		}
		body := object{"email": "c@example.com", "blocked": true}
		got = s.Do(http.MethodPost, users+"?include=bills", body).Want(http.StatusOK).Object()
		want := object{"bills": object{
			"links": object{"self": s.URL + "/api/v1/users/3/relationships/bills", "related": s.URL + "/api/v1/users/3/bills"},
			"data":  []any{},
		}}
		if diff := cmp.Diff(want, got["data"].(object)["relationships"]); diff != "" || got["included"] != nil {
			t.Errorf("POST: %v: %s", got, diff)
		}
		// Both links of a relationship have an answer.
		got = s.Do(http.MethodGet, userPath(id)+everything, nil).Want(http.StatusOK).Object()
		relations := got["data"].(object)["relationships"].(object)
		if len(relations) != len(identity.RecordTypes) {
			t.Errorf("%d relationships", len(relations))
		}
		for _, relation := range relations {
			links := relation.(object)["links"].(object)
			path := func(name string) string { return strings.TrimPrefix(links[name].(string), s.URL) }
			s.Do(http.MethodGet, path("related"), nil).Want(http.StatusOK)
			self := s.Do(http.MethodGet, path("self"), nil).Want(http.StatusOK).Object()
			if diff := cmp.Diff(relation.(object), self); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestUnknownIncludesAreIgnored(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := create(s, "a@example.com")
		register(s, id, "accounts/1", object{})
		register(s, id, "bills/1", object{})
		for include, want := range map[string]string{
			"": "", ",": "", "things": "", "Accounts": "", "account": "", "accounts.currency": "", "accounts;bills": "",
			"\x00": "", "\xff": "", "*": "",
			"accounts": "accounts", "things,accounts,": "accounts", "accounts,accounts": "accounts",
			"bills , accounts": "accounts bills", "bills,accounts": "accounts bills",
			strings.Repeat("x,", 9000) + "bills": "bills",
		} {
			body := s.Do(http.MethodGet, userPath(id)+"?include="+url.QueryEscape(include), nil).Want(http.StatusOK).Object()
			var got, included []string
			relations, _ := body["data"].(object)["relationships"].(object)
			for name := range relations {
				got = append(got, name)
			}
			list, given := body["included"].([]any)
			for _, item := range list {
				included = append(included, item.(object)["type"].(string))
			}
			slices.Sort(got)
			if strings.Join(got, " ") != want || strings.Join(included, " ") != want || given != (want != "") {
				t.Errorf("%q: %v, included %v, want %s", include, got, included, want)
			}
		}
		repeated := "?include=accounts&include=bills&include[]=tags"
		body := s.Do(http.MethodGet, userPath(id)+repeated, nil).Want(http.StatusOK).Object()
		if relations := body["data"].(object)["relationships"].(object); len(relations) != 1 || relations["bills"] == nil {
			t.Errorf("repeated: %v", relations)
		}
		// The list includes nothing.
		if body := s.Do(http.MethodGet, users+everything, nil).Want(http.StatusOK).Object(); body["included"] != nil {
			t.Errorf("%v", body)
		}
	})
}

// TestQueriesAreConstant counts the queries by their spans: a thousand records of all
// types take as many as none, and a long list takes as many as a short one.
func TestQueriesAreConstant(t *testing.T) { //nolint:paralleltest // the tracer is global
	spans := tracetest.NewSpanRecorder()
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)))
	t.Cleanup(func() { otel.SetTracerProvider(before) })
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			databaseURL := storetest.URL(t, engine)
			setUp := apitest.New(t, databaseURL)
			db, err := store.Open(databaseURL, store.Options{Prepare: true, Trace: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			s := apitest.NewOn(t, db, setUp.Clock)
			queries := func(path string) int {
				s.Do(http.MethodGet, path, nil).Want(http.StatusOK) // prepares, records the use of the token
				started := len(spans.Ended())
				s.Do(http.MethodGet, path, nil).Want(http.StatusOK)
				count := 0
				for _, span := range spans.Ended()[started:] {
					if strings.HasPrefix(span.Name(), "sql.") {
						count++
					}
				}
				return count
			}
			id := create(s, "a@example.com")
			one, short, related := queries(userPath(id)+everything), queries(users), queries(userPath(id)+"/accounts")
			if plain := queries(userPath(id)); plain == 0 || one != plain+1 {
				t.Errorf("%d queries without includes, %d with", plain, one)
			}
			const records = 1000
			for i := range records {
				record := identity.Record{ID: identity.RecordID(fmt.Sprint(i)), Attributes: `{"name":"x"}`}
				record.Type = identity.RecordTypes[i%len(identity.RecordTypes)]
				if _, _, err := s.Service.PutRecord(t.Context(), identity.CommandLine(), 1, record); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 20 {
				create(s, fmt.Sprintf("u%d@example.com", i))
			}
			if got := queries(userPath(id) + everything); got != one {
				t.Errorf("%d queries for %d records, %d for none", got, records, one)
			}
			if got := queries(userPath(id) + "/accounts"); got != related {
				t.Errorf("%d queries for many related objects, %d for none", got, related)
			}
			if got := queries(users); got != short {
				t.Errorf("%d queries for a long list, %d for a short one", got, short)
			}
			body := s.Do(http.MethodGet, userPath(id)+everything, nil).Want(http.StatusOK).Object()
			if n := len(body["included"].([]any)); n != records {
				t.Errorf("%d objects", n)
			}
			t.Logf("list %d queries, user %d with all includes, related %d", short, one, related)
		})
	}
}
