package service_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/identity"
)

// hold signs a user in as a browser does, and returns the pair of tokens.
func hold(t *testing.T, s *apitest.Server, email string) apitest.Tokens {
	t.Helper()
	tokens := s.SignInWith(email, apitest.Password)
	if err := s.Service.HoldSession(t.Context(), tokens.AccessToken.Token); err != nil {
		t.Fatal(err)
	}
	return tokens
}

// wantUse checks whether a token is taken.
func wantUse(t *testing.T, s *apitest.Server, token string, status int) {
	t.Helper()
	s.Do(http.MethodGet, apitest.MePath, nil, apitest.As(token)).Want(status)
}

// TestHeldSession checks that a browser's session has one token, which lasts while it is used.
func TestHeldSession(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		held, free := hold(t, s, "mary@example.com"), s.SignInWith("mary@example.com", apitest.Password)
		s.Refresh(held.RefreshToken.Token).WantProblem(http.StatusUnauthorized, "invalid_token")
		wantUse(t, s, held.AccessToken.Token, http.StatusOK) // that is no theft: it ends nothing
		s.Clock.Advance(time.Hour)
		wantUse(t, s, free.AccessToken.Token, http.StatusUnauthorized)
		s.Refresh(free.RefreshToken.Token).Want(http.StatusOK) // other sessions are as they were
		wantUse(t, s, held.AccessToken.Token, http.StatusOK)
		for range 3 {
			s.Clock.Advance(11 * time.Hour)
			wantUse(t, s, held.AccessToken.Token, http.StatusOK)
		}
		var list struct {
			Data []struct {
				ExpiresAt time.Time
				Current   bool
			}
		}
		s.Do(http.MethodGet, apitest.MePath+"/sessions", nil, apitest.As(held.AccessToken.Token)).Want(http.StatusOK).
			Decode(&list)
		for _, session := range list.Data {
			if session.Current && !session.ExpiresAt.Equal(s.Clock.Now().Add(12*time.Hour)) {
				t.Errorf("%+v", session)
			}
		}
		// What has been cleaned up meanwhile is not this session.
		if err := s.Service.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Clock.Advance(12*time.Hour - time.Second)
		wantUse(t, s, held.AccessToken.Token, http.StatusOK)
		s.Clock.Advance(12 * time.Hour)
		wantUse(t, s, held.AccessToken.Token, http.StatusUnauthorized)

		over := held.AccessToken.Token
		for name, token := range map[string]string{
			"unknown": "rst_nothing", "": "", "service": s.CreateToken(0, []string{"users.view"}), "over": over,
		} {
			if err := s.Service.HoldSession(t.Context(), token); identity.KindOf(err) != identity.Unauthenticated {
				t.Errorf("%s: %v", name, err)
			}
		}
		wantUse(t, s, over, http.StatusUnauthorized) // it is not brought back to life
	})
}

// TestHeldSessionOfTwoInstances checks that one instance extends and ends what the other has
// in its cache.
func TestHeldSessionOfTwoInstances(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		advance := func(d time.Duration) {
			s[0].Clock.Advance(d)
			s[1].Clock.Advance(d)
		}
		id := s[0].CreateUser("mary@example.com")
		token := hold(t, s[0], "mary@example.com").AccessToken.Token
		for i := range 6 {
			wantUse(t, s[1], token, http.StatusOK) // now both have it in their caches
			wantUse(t, s[0], token, http.StatusOK)
			advance(11 * time.Hour)
			wantUse(t, s[i%2], token, http.StatusOK)
		}
		wantUse(t, s[0], token, http.StatusOK)
		wantUse(t, s[1], token, http.StatusOK)
		s[0].Do(http.MethodPatch, apitest.UserPath(id), changes{"active": false}).Want(http.StatusOK)
		wantUse(t, s[1], token, http.StatusUnauthorized)
		s[0].Do(http.MethodPatch, apitest.UserPath(id), changes{"active": true}).Want(http.StatusOK)
		wantUse(t, s[1], token, http.StatusUnauthorized) // it has ended, not paused
		wantUse(t, s[0], token, http.StatusUnauthorized)

		token = hold(t, s[1], "mary@example.com").AccessToken.Token
		wantUse(t, s[0], token, http.StatusOK)
		wantUse(t, s[1], token, http.StatusOK)
		s[1].Do(http.MethodPost, apitest.SignOutPath, nil, apitest.As(token)).Want(http.StatusNoContent)
		wantUse(t, s[0], token, http.StatusUnauthorized)
	})
}

// TestHeldSessionAndSettings starts again with another time to idle: a shorter one counts for
// open sessions from their next use on, a longer one for new ones.
func TestHeldSessionAndSettings(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		with := func(idle time.Duration) *apitest.Server {
			return s.Another(func(o *app.Options) { o.Config.ConsoleIdleTTL = idle })
		}
		old := hold(t, s, "mary@example.com").AccessToken.Token
		longer, shorter := with(48*time.Hour), with(time.Hour)
		fresh := hold(t, longer, "mary@example.com").AccessToken.Token
		s.Clock.Advance(11 * time.Hour)
		wantUse(t, longer, old, http.StatusOK)
		s.Clock.Advance(12 * time.Hour)
		wantUse(t, longer, old, http.StatusUnauthorized)
		wantUse(t, longer, fresh, http.StatusOK)
		s.Clock.Advance(47 * time.Hour)
		wantUse(t, shorter, fresh, http.StatusOK)
		s.Clock.Advance(time.Hour)
		wantUse(t, shorter, fresh, http.StatusUnauthorized)
		wantUse(t, longer, fresh, http.StatusUnauthorized)
	})
}

// TestRenewSession gives a session another token: the old one is over for all instances, and
// nothing else of the session changes.
func TestRenewSession(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com")
		old := hold(t, s[0], "mary@example.com").AccessToken.Token
		wantUse(t, s[1], old, http.StatusOK)
		caller := func(token string) identity.Actor {
			t.Helper()
			actor, err := s[0].Service.Authenticate(t.Context(), token, identity.Origin{})
			if err != nil {
				t.Fatal(err)
			}
			return actor
		}
		before := caller(old)
		renewed, err := s[0].Service.RenewSession(t.Context(), before)
		if err != nil || renewed == old {
			t.Fatal(err)
		}
		wantUse(t, s[1], old, http.StatusUnauthorized)
		wantUse(t, s[0], old, http.StatusUnauthorized)
		if after := caller(renewed); after.SessionID != before.SessionID || after.Fresh != before.Fresh {
			t.Errorf("%+v, before %+v", after, before)
		}
		for i := range 3 { // it is held as before
			s[0].Clock.Advance(11 * time.Hour)
			s[1].Clock.Advance(11 * time.Hour)
			wantUse(t, s[i%2], renewed, http.StatusOK)
		}
		// At once, one call gets the next token: a copy of the old one cannot get one too.
		actor := caller(renewed)
		type result struct {
			token string
			err   error
		}
		results := make(chan result)
		for i := range 6 {
			go func() {
				token, err := s[i%2].Service.RenewSession(t.Context(), actor)
				results <- result{token, err}
			}()
		}
		var got []string
		for range 6 {
			r := <-results
			if r.err == nil {
				got = append(got, r.token)
			} else if identity.KindOf(r.err) != identity.Unauthenticated {
				t.Error(r.err)
			}
		}
		if len(got) != 1 {
			t.Fatalf("%d tokens", len(got))
		}
		wantUse(t, s[1], got[0], http.StatusOK)
		s[0].Do(http.MethodPost, apitest.SignOutPath, nil, apitest.As(got[0])).Want(http.StatusNoContent)
		wantUse(t, s[1], got[0], http.StatusUnauthorized)
		service := caller(s[0].CreateToken(0, []string{"users.view"}))
		if _, err := s[0].Service.RenewSession(t.Context(), service); identity.KindOf(err) != identity.Conflict {
			t.Error(err)
		}
	})
}

// TestSecondFactorState reads what the second factor of a user is.
func TestSecondFactorState(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com")
		token := s.SignIn("mary@example.com")
		state := func(token string) (identity.SecondFactor, error) {
			t.Helper()
			actor, err := s.Service.Authenticate(t.Context(), token, identity.Origin{})
			if err != nil {
				t.Fatal(err)
			}
			return s.Service.SecondFactor(t.Context(), actor, id)
		}
		want := func(want identity.SecondFactor) {
			t.Helper()
			for _, token := range []string{token, s.CreateToken(0, []string{"users.view"})} {
				if got, err := state(token); err != nil || got.Provider != want.Provider || !got.Since.Equal(want.Since) ||
					got.RecoveryCodes != want.RecoveryCodes {
					t.Errorf("%+v, %v; want %+v", got, err, want)
				}
			}
		}
		want(identity.SecondFactor{})
		s.Do(http.MethodPost, apitest.MePath+"/totp", nil, apitest.As(token)).Want(http.StatusOK)
		want(identity.SecondFactor{}) // it is not confirmed
		_, codes := s.Enrol(token)
		want(identity.SecondFactor{Provider: identity.ProviderTOTP, Since: s.Clock.Now(), RecoveryCodes: 10})
		s.Confirm(s.Challenge("mary@example.com", "totp", apitest.From("192.0.2.1")), codes[3]).Want(http.StatusOK)
		want(identity.SecondFactor{Provider: identity.ProviderTOTP, Since: s.Clock.Now(), RecoveryCodes: 9})
		s.Do(http.MethodDelete, apitest.MePath+"/totp", nil, apitest.As(token)).Want(http.StatusNoContent)
		want(identity.SecondFactor{Provider: identity.ProviderEmail})
		s.CreateUser("john@example.com")
		for _, other := range []string{
			s.SignIn("john@example.com"), s.CreateToken(id, []string{"users.self"}), s.CreateToken(0, []string{"groups.view"}),
		} {
			if _, err := state(other); identity.KindOf(err) != identity.Forbidden {
				t.Errorf("%v", err)
			}
		}
	})
}
