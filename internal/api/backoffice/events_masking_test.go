package backoffice_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// TestEventsKeepMaskedDataFromAuditors checks that a caller who sees masks can list the events of
// other users without learning their addresses, entries of allow-lists or labels.
func TestEventsKeepMaskedDataFromAuditors(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const home, service, office = "203.0.113.77", "192.0.2.50", "198.51.100.5"
		from := apitest.From(home)
		enter := func(email, password, address string) *apitest.Answer {
			return s.TrySignIn(email, password, apitest.NoToken(address))
		}
		token := func(email, address string) string {
			var p apitest.Tokens
			enter(email, apitest.Password, address).Want(http.StatusOK).Decode(&p)
			return p.AccessToken.Token
		}
		mary := s.CreateUser("mary@website.com", changes{
			"groups": []int{1}, "canViewMaskedData": true, "ipWhitelist": []string{home},
		})
		auditors := s.CreateGroup("Auditors", "audit.view")
		john := s.CreateUser("john@website.com", changes{"groups": []int64{auditors}})

		// Mary comes and goes, is refused, and lets others act for her.
		enter("mary@website.com", "WrongSecret1", home).Want(http.StatusUnauthorized)
		enter("mary@wepsite.com", apitest.Password, home).Want(http.StatusUnauthorized) // a slip
		session := token("mary@website.com", home)
		hers := s.CreateToken(mary, []string{"users.view"}, changes{
			"name": "mary@website.com", "ipWhitelist": []string{home},
		})
		empty := func(name string) changes { return changes{"name": name, "permissions": []string{}} }
		s.Do(http.MethodPost, apitest.GroupsPath, empty("x"), apitest.As(hers), from).Want(http.StatusForbidden)
		as := apitest.As(session)
		s.Do(http.MethodPatch, apitest.UserPath(john), changes{"phone": "+18043257762"}, as, from).Want(http.StatusOK)
		confined := empty("x")
		confined["ipWhitelist"] = []string{home}
		s.Do(http.MethodPost, apitest.TokensPath, confined, as, from).Want(http.StatusCreated)
		group := s.Do(http.MethodPost, apitest.GroupsPath, empty("y"), as, from).Want(http.StatusCreated)
		s.Do(http.MethodDelete, group.Location(), nil, as, from).Want(http.StatusNoContent)
		actor := identity.Actor{
			Name: "session", UserID: mary, Source: netip.MustParseAddr(home), ClientRequestID: "mary's laptop",
		}
		err := s.Store.InTx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Emit(t.Context(), identity.Event{Type: identity.GroupUpdated, Time: s.Clock.Now(), Actor: actor})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		s.CreateWebhook("https://hooks.example.com/services/T0/secret-path?key=x")
		// Services do something of their own, and John comes.
		s.Do(http.MethodPost, apitest.GroupsPath, empty("z"), apitest.From(service)).Want(http.StatusCreated)
		blunt := s.CreateToken(0, []string{"audit.view"}, changes{"canViewMaskedData": false})
		s.Do(http.MethodGet, apitest.UsersPath, nil, apitest.As(blunt), apitest.From(service)).
			Want(http.StatusForbidden)
		enter("john@website.com", "WrongSecret1", office).Want(http.StatusUnauthorized)
		johns := token("john@website.com", office)

		personal := []string{home, "mary@", "mary's laptop", "secret-path"}
		for _, test := range []struct {
			name, token  string
			there, never []string
		}{
			{
				"a session", johns,
				[]string{service, office, "***", "https://hooks.example.com/***", "+18043257762"},
				personal,
			},
			{"a service", blunt, []string{service, "***"}, append([]string{office, "+18043257762"}, personal...)},
			{"who sees everything", apitest.AdminToken, append([]string{service, office}, personal...), nil},
		} {
			for _, query := range []string{
				"", "&filter[user]=" + fmt.Sprint(mary), "&filter[actor]=" + fmt.Sprint(mary),
				"&filter[type]=USER_SIGNIN_FAILED",
				"&filter[type]=TOKEN_CREATED", "&filter[since]=2020-01-01T00:00:00Z",
			} {
				answer := s.Do(http.MethodGet, apitest.EventsPath+"?limit=1000"+query, nil, apitest.As(test.token))
				body := string(answer.Want(http.StatusOK).Body)
				for _, value := range test.never {
					if strings.Contains(body, value) {
						t.Errorf("%s%s: %s in %s", test.name, query, value, body)
					}
				}
				for _, value := range test.there {
					if query == "" && !strings.Contains(body, value) {
						t.Errorf("%s: no %s in %s", test.name, value, body)
					}
				}
			}
		}
		// That there was an address is no secret, nor is how often.
		var list struct{ Data []apitest.Event }
		s.Do(http.MethodGet, apitest.EventsPath+"?filter[actor]="+fmt.Sprint(mary), nil, apitest.As(johns)).
			Want(http.StatusOK).Decode(&list)
		for _, e := range list.Data {
			if e.Source == nil || *e.Source != "***" {
				t.Errorf("%+v", e)
			}
		}
		if len(list.Data) != 7 {
			t.Errorf("%d events of Mary", len(list.Data))
		}
	})
}

// TestRevokedTokenTellsNothingOfItsCreator checks that a caller who sees masks and revokes a
// token learns no address of the user who has created it.
func TestRevokedTokenTellsNothingOfItsCreator(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const home = "203.0.113.77"
		s.CreateUser("mary@website.com", changes{"groups": []int{1}, "ipWhitelist": []string{home}})
		group := s.CreateGroup("Tokens", "tokens.manage", "audit.view")
		s.CreateUser("john@website.com", changes{"groups": []int64{group}})
		from := apitest.From(home)
		token := s.Do(http.MethodPost, apitest.TokensPath, changes{"name": "x", "permissions": []string{}},
			apitest.As(s.SignIn("mary@website.com", from)), from).Want(http.StatusCreated) // has her addresses
		john := apitest.As(s.SignIn("john@website.com"))
		s.Do(http.MethodDelete, token.Location(), nil, john).Want(http.StatusNoContent)
		answer := s.Do(http.MethodGet, apitest.EventsPath+"?filter[type]=TOKEN_REVOKED", nil, john).Want(http.StatusOK)
		if text := string(answer.Body); strings.Contains(text, home) || !strings.Contains(text, "***") {
			t.Error(text)
		}
	})
}

// TestTokenOfATokenTellsNothingOfTheFirstCreator checks the event of a token that a token has created: both have the
// addresses of the user who created the first one.
func TestTokenOfATokenTellsNothingOfTheFirstCreator(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const home = "203.0.113.77"
		from := apitest.From(home)
		s.CreateUser("mary@website.com", changes{"groups": []int{1}, "ipWhitelist": []string{home}})
		create := func(by apitest.Option, permissions ...string) apitest.Option {
			answer := s.Do(http.MethodPost, apitest.TokensPath, changes{"name": "x", "permissions": append([]string{}, permissions...)},
				by, from)
			var created struct{ Token string }
			answer.Want(http.StatusCreated).Decode(&created)
			return apitest.As(created.Token)
		}
		first := create(apitest.As(s.SignIn("mary@website.com", from)), "tokens.manage", "audit.view")
		create(first)
		john := apitest.As(s.CreateToken(0, []string{"audit.view"}, changes{"canViewMaskedData": false}))
		for _, reader := range [][]apitest.Option{{john}, {first, from}} {
			answer := s.Do(http.MethodGet, apitest.EventsPath+"?filter[type]=TOKEN_CREATED", nil, reader...).Want(http.StatusOK)
			if text := string(answer.Body); strings.Contains(text, `"`+home+`"]`) || !strings.Contains(text, "***") {
				t.Error(text)
			}
		}
	})
}
