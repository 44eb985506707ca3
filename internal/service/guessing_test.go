package service_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/service"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// guess tries a wrong password from an address.
func guess(s *apitest.Server, email, address string) *apitest.Answer {
	return s.TrySignIn(email, "WrongSecret1", apitest.NoToken(address))
}

// ask requests a link for a new password.
func ask(s *apitest.Server, email, address string) {
	s.Forgot(email, apitest.NoToken(address)).Want(http.StatusAccepted)
}

// TestExactlyFiveGuesses checks that of many simultaneous guesses on two instances exactly five are
// compared.
func TestExactlyFiveGuesses(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com")
		for round := range 5 {
			address := fmt.Sprintf("198.51.100.%d", round)
			got := apitest.Together(20, func(i int) *apitest.Answer {
				return guess(s[i%2], "mary@example.com", address)
			})
			if got[http.StatusUnauthorized] != 5 || got[http.StatusTooManyRequests] != 15 {
				t.Errorf("round %d: %v", round, got)
			}
		}
	})
}

// TestGuessesAroundTheMinute checks that twice as many guesses cannot pass around the end of a window.
func TestGuessesAroundTheMinute(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com")
		advance := func(d time.Duration) {
			s[0].Clock.Advance(d)
			s[1].Clock.Advance(d)
		}
		guess(s[0], "mary@example.com", "198.51.100.7").Want(http.StatusUnauthorized)
		advance(58 * time.Second)
		for i := range 3 {
			guess(s[i%2], "mary@example.com", "198.51.100.7").Want(http.StatusUnauthorized)
		}
		advance(2 * time.Second)
		for i := range 6 {
			want := http.StatusUnauthorized
			if i >= 2 {
				want = http.StatusTooManyRequests
			}
			guess(s[i%2], "mary@example.com", "198.51.100.7").Want(want)
		}
	})
}

// TestGuessesWhileTheClockIsSetBack checks that earlier guesses still count.
func TestGuessesWhileTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		for i := range 10 {
			want := http.StatusUnauthorized
			if i >= 5 {
				want = http.StatusTooManyRequests
			}
			guess(s, "mary@example.com", "198.51.100.7").Want(want)
			s.Clock.Advance(-time.Second)
		}
		// A clock that was years ahead does not lock an account for years.
		s.Clock.Advance(-3 * 365 * 24 * time.Hour)
		guess(s, "mary@example.com", "198.51.100.7").Want(http.StatusTooManyRequests)
		if err := s.Service.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		guess(s, "mary@example.com", "198.51.100.7").Want(http.StatusUnauthorized)
	})
}

// TestFiftyWrongCodesAnHour checks that the limit is per hour, not per ten minutes.
func TestFiftyWrongCodesAnHour(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		app, _ := s.Enrol(s.SignInWith("mary@example.com", apitest.Password).AccessToken.Token)
		source := 0
		from := func() apitest.Option { // never the same, so that only the bound for the user counts
			source++
			return apitest.NoToken(fmt.Sprintf("10.0.%d.%d", source/250, source%250))
		}
		wrong := 0
		for wrong < 50 {
			c := s.Challenge("mary@example.com", "totp", from())
			for range 5 {
				s.Confirm(c, "xxxxxx", from()).WantProblem(http.StatusUnauthorized, "invalid_code")
				wrong++
			}
			if wrong < 50 { // what is over is not looked at and does not count
				s.Confirm(c, "xxxxxx", from()).WantProblem(http.StatusUnauthorized, "invalid_token")
			}
		}
		for minute := range 60 {
			if minute%7 == 0 {
				c := s.Challenge("mary@example.com", "totp", from())
				answer := s.Confirm(c, "xxxxxx", from()).WantProblem(http.StatusTooManyRequests, "too_many_attempts")
				if got, want := answer.Header.Get("Retry-After"), fmt.Sprint((60-minute)*60); got != want {
					t.Errorf("minute %d: Retry-After %s, want %s", minute, got, want)
				}
			}
			s.Clock.Advance(time.Minute)
		}
		c := s.Challenge("mary@example.com", "totp", from())
		s.Confirm(c, app.Code(t, s.Clock.Now()), from()).Want(http.StatusOK)
	})
}

// botnet makes a hundred guesses from as many sources, then two hundred tries with the right password,
// and returns all answers as text.
func botnet(s *apitest.Server, email string) string {
	var answers strings.Builder
	told := func(answer *apitest.Answer) {
		var problem struct{ Code, Detail string }
		answer.Decode(&problem)
		fmt.Fprintln(&answers, answer.Status, problem.Code, problem.Detail, answer.Header.Get("Retry-After"))
	}
	for i := range 100 {
		told(guess(s, email, fmt.Sprintf("10.1.%d.1", i)).Want(http.StatusUnauthorized))
	}
	s.Clock.Advance(time.Hour)
	for i := range 200 {
		told(s.TrySignIn(email, apitest.Password, apitest.NoToken(fmt.Sprintf("10.2.%d.1", i))).
			Want(http.StatusTooManyRequests))
	}
	return answers.String()
}

// TestBotnetCannotLockTheOwnerOut checks that after a hundred failures in a day an account can be used
// only from its known sources, and that the answers do not reveal whether it exists.
func TestBotnetCannotLockTheOwnerOut(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com")
		session := s.SignInWith("mary@example.com", apitest.Password) // from 192.0.2.1
		s.TrySignIn("mary@example.com", apitest.Password, apitest.NoToken("2001:db8::1")).Want(http.StatusOK)
		s.CreateUser("never@example.com")
		known := botnet(s, "Mary@example.com")
		if unknown := botnet(s, "nobody@example.com"); unknown != known {
			t.Errorf("the answers differ:\n%s\n%s", known, unknown)
		}
		if !strings.Contains(known, "too_many_attempts") || !strings.Contains(known, fmt.Sprint(23*60*60)) {
			t.Errorf("%s", known)
		}
		botnet(s, "never@example.com") // who has never signed in has no source
		owner := apitest.NoToken("192.0.2.1")
		s.TrySignIn("mary@example.com", apitest.Password, owner).Want(http.StatusOK)
		s.TrySignIn("mary@example.com", apitest.Password, apitest.NoToken("2001:db8::2")).Want(http.StatusOK)
		s.TrySignIn("never@example.com", apitest.Password, owner).Want(http.StatusTooManyRequests)
		// The current password is guessed no more than that at sign-in.
		change := changes{"password": "NewSecret123", "currentPassword": apitest.Password}
		s.Refresh(session.RefreshToken.Token, owner).
			Want(http.StatusOK).Decode(&session)
		as := apitest.As(session.AccessToken.Token)
		s.Do(http.MethodPatch, apitest.MePath, change, as, apitest.From("10.9.9.9")).
			WantProblem(http.StatusTooManyRequests, "too_many_attempts")
		s.Do(http.MethodPatch, apitest.MePath, change, as, apitest.From("192.0.2.1")).Want(http.StatusOK)
		// There are bounds for the owner, too.
		for i := range 6 {
			want := http.StatusUnauthorized
			if i == 5 {
				want = http.StatusTooManyRequests
			}
			guess(s, "mary@example.com", "192.0.2.1").Want(want)
		}
		// What the botnet has tried counts for a day, a source for ninety.
		s.Clock.Advance(24 * time.Hour)
		s.TrySignIn("mary@example.com", "NewSecret123", apitest.NoToken("10.9.9.9")).Want(http.StatusOK)
		s.Clock.Advance(90 * 24 * time.Hour)
		if err := s.Service.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		botnet(s, "mary@example.com")
		s.TrySignIn("mary@example.com", "NewSecret123", owner).Want(http.StatusTooManyRequests)
		s.Do(http.MethodDelete, apitest.UserPath(id), nil).Want(http.StatusNoContent)
	})
}

// TestRightPasswordsAreNoGuesses checks that an abandoned second factor is not one of the hundred
// failures.
func TestRightPasswordsAreNoGuesses(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com", changes{"tfa": true})
		s.CreateUser("john@example.com", changes{"ipWhitelist": []string{"192.0.2.1"}})
		for i := range 120 {
			from := apitest.NoToken(fmt.Sprintf("10.1.%d.1", i))
			s.Challenge("mary@example.com", "email", from)
			s.TrySignIn("john@example.com", apitest.Password, from).WantProblem(http.StatusForbidden, "ip_not_allowed")
		}
		s.Challenge("mary@example.com", "email", apitest.NoToken("10.9.9.9"))
		s.TrySignIn("john@example.com", apitest.Password, apitest.NoToken("192.0.2.1")).Want(http.StatusOK)
	})
}

// TestHundredGuessesAtOnce checks that of simultaneous guesses from many sources on two instances
// exactly a hundred are compared.
func TestHundredGuessesAtOnce(t *testing.T) {
	t.Parallel()
	apitest.EachPair(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com")
		total := map[int]int{}
		for round := range 6 {
			got := apitest.Together(20, func(i int) *apitest.Answer {
				return guess(s[i%2], "mary@example.com", fmt.Sprintf("10.%d.%d.1", round, i))
			})
			for status, n := range got {
				total[status] += n
			}
		}
		if total[http.StatusUnauthorized] != 100 || total[http.StatusTooManyRequests] != 20 {
			t.Errorf("%v", total)
		}
	})
}

func TestNoticeOfANewSource(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("Mary@example.com")
		from := func(address string) {
			t.Helper()
			s.TrySignIn("mary@example.com", apitest.Password, apitest.NoToken(address)).Want(http.StatusOK)
		}
		quiet := func(what string) {
			t.Helper()
			if mails := s.Mails(); len(mails) != 0 {
				t.Errorf("%s: %+v", what, mails)
			}
		}
		told := func(address string) {
			t.Helper()
			mail := s.Mail()
			if mail.Kind != delivery.MailNewSource || mail.To != "Mary@example.com" || mail.Name != "Mary" ||
				mail.Source != address || !mail.At.Equal(s.Clock.Now()) ||
				mail.Link != apitest.BaseURL+"/password/reset" {
				t.Errorf("%+v", mail)
			}
		}
		from("192.0.2.1")
		quiet("the very first sign-in")
		from("192.0.2.1")
		guess(s, "mary@example.com", "192.0.2.7").Want(http.StatusUnauthorized)
		quiet("the same source, and one that did not get in")
		from("203.0.113.7")
		told("203.0.113.7")
		from("203.0.113.7")
		quiet("the same again")
		from("2001:db8::1")
		told("2001:db8::1")
		from("2001:db8::ffff")
		quiet("the same network")
		// With a second factor the sign-in is the one with the code.
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"tfa": true}).Want(http.StatusOK)
		c := s.Challenge("mary@example.com", "email", apitest.NoToken("198.51.100.9"))
		code := s.Mail().Code
		quiet("before the code")
		s.Confirm(c, code, apitest.NoToken("198.51.100.9")).Want(http.StatusOK)
		told("198.51.100.9")
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"tfa": false}).Want(http.StatusOK)
		// Remembered for ninety days after the last time, pruned or not.
		s.Clock.Advance(89 * 24 * time.Hour)
		from("192.0.2.1")
		quiet("within ninety days")
		s.Clock.Advance(89 * 24 * time.Hour)
		from("192.0.2.1")
		quiet("within ninety days after the last time")
		from("203.0.113.7")
		told("203.0.113.7")
		// The mail goes to the address of the sign-in: the next thing that may change.
		from("203.0.113.200")
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"email": "thief@example.com"}).Want(http.StatusOK)
		told("203.0.113.200")
		s.TrySignIn("thief@example.com", apitest.Password, apitest.NoToken("203.0.113.201")).Want(http.StatusOK)
		s.Do(http.MethodDelete, apitest.UserPath(id), nil).Want(http.StatusNoContent)
		quiet("to nobody")
	})
}

// TestSignInIsAudited checks that each step of a sign-in is an event.
func TestSignInIsAudited(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com", changes{"tfa": true})
		from := apitest.NoToken("192.0.2.1")
		about := func(n int) string { return fmt.Sprintf("filter[user]=%d&limit=%d", id, n) }
		c := s.Challenge("mary@example.com", "email", from)
		s.Confirm(c, s.Mail().Code, from).Want(http.StatusOK)
		s.WantEvents(about(3), "USER_SIGNED_IN", "USER_FACTOR_USED email", "USER_SIGNIN_CHALLENGED email")

		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"tfa": false}).Want(http.StatusOK)
		app, recovery := s.Enrol(s.SignInWith("mary@example.com", apitest.Password).AccessToken.Token)
		s.Clock.Advance(time.Minute)
		c = s.Challenge("mary@example.com", "totp", from)
		s.Confirm(c, app.Code(t, s.Clock.Now()), from).Want(http.StatusOK)
		s.WantEvents(about(3), "USER_SIGNED_IN", "USER_FACTOR_USED totp", "USER_SIGNIN_CHALLENGED totp")
		c = s.Challenge("mary@example.com", "totp", from)
		var p apitest.Tokens
		s.Confirm(c, recovery[0], from).Want(http.StatusOK).Decode(&p)
		s.WantEvents(about(3), "USER_SIGNED_IN", "USER_FACTOR_USED recovery_code", "USER_SIGNIN_CHALLENGED totp")

		as := apitest.As(p.AccessToken.Token)
		wrong := changes{"password": "NewSecret123", "currentPassword": "WrongSecret1"}
		s.Do(http.MethodPatch, apitest.MePath, wrong, as).Want(http.StatusBadRequest)
		s.WantEvents(about(1), "USER_SIGNIN_FAILED wrong_current_password")
		s.Do(http.MethodPost, apitest.ReauthenticatePath, changes{"password": "WrongSecret1"}, as).
			Want(http.StatusBadRequest)
		s.WantEvents(about(2), "USER_SIGNIN_FAILED wrong_current_password", "USER_SIGNIN_FAILED wrong_current_password")
		s.Clock.Advance(time.Minute)
		right := changes{"password": apitest.Password, "code": app.Code(t, s.Clock.Now())}
		s.Do(http.MethodPost, apitest.ReauthenticatePath, right, as).Want(http.StatusOK)
		s.WantEvents(about(2), "USER_REAUTHENTICATED", "USER_FACTOR_USED totp")

		for _, email := range []string{"Mary@example.com", "nobody@example.com"} {
			s.Forgot(email, from).Want(http.StatusAccepted)
		}
		const asking = "USER_PASSWORD_RESET_REQUESTED"
		s.WantEvents("filter[type]="+asking, asking, asking)
		s.WantEvents(about(1), asking)
		asked := s.Events("?limit=2").Data
		if asked[0].UserID != nil || *asked[0].Source != "192.0.2.1" || *asked[1].UserID != id ||
			asked[1].Actor.UserID != nil {
			t.Errorf("%+v", asked)
		}
	})
}

// TestOneClock checks that two instances whose clocks are twenty minutes apart count, claim and expire
// together, by the clock of the database.
func TestOneClock(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t, "postgres")
	var s [2]*apitest.Server
	for i, offset := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		db := storetest.Open(t, url)
		local := apitest.NewClock(time.Now().Add(offset))
		clock := store.NewClock(db, local.Now)
		if err := clock.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		s[i] = apitest.NewOn(t, db, local).Another(func(o *app.Options) { o.Clock = clock.Now })
	}
	advance := func(d time.Duration) {
		s[0].Clock.Advance(d)
		s[1].Clock.Advance(d)
	}
	if _, err := s[0].Service.SetUp(t.Context(), service.Setup{Token: apitest.AdminToken}); err != nil {
		t.Fatal(err)
	}
	s[0].CreateUser("mary@example.com")
	got := map[int]int{}
	for i := range 20 {
		got[guess(s[i%2], "mary@example.com", "198.51.100.7").Status]++
	}
	if got[http.StatusUnauthorized] != 5 || got[http.StatusTooManyRequests] != 15 {
		t.Errorf("guesses: %v", got)
	}
	// A session ends for both at the same time.
	as := apitest.As(s[1].SignInWith("mary@example.com", apitest.Password).AccessToken.Token)
	advance(59 * time.Minute)
	for i := range s {
		s[i].Do(http.MethodGet, apitest.MePath, nil, as).Want(http.StatusOK)
	}
	advance(2 * time.Minute)
	for i := range s {
		s[i].Do(http.MethodGet, apitest.MePath, nil, as).WantProblem(http.StatusUnauthorized, "invalid_token")
	}
	// What one worker has claimed, the other leaves alone.
	s[0].CreateUser("john@example.com", changes{"sendNotify": true})
	var sent atomic.Int64
	first, rest := make(chan struct{}), make(chan struct{})
	var working sync.WaitGroup
	working.Go(func() {
		s[0].NewWorker(apitest.MailFunc(func(delivery.Mail) error {
			sent.Add(1)
			close(first)
			<-rest
			return nil
		})).Once(t.Context())
	})
	<-first
	s[1].NewWorker(apitest.MailFunc(func(delivery.Mail) error {
		sent.Add(1)
		return nil
	})).Once(t.Context())
	close(rest)
	working.Wait()
	if n := sent.Load(); n != 1 {
		t.Errorf("the mail was sent %d times", n)
	}
}
