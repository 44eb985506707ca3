package backoffice_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/service"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// guess tries a wrong password from an address.
func guess(s *apitest.Server, email, address string) *apitest.Answer {
	return try(s, email, "WrongSecret1", noToken(address))
}

func try(s *apitest.Server, email, password string, from apitest.Option) *apitest.Answer {
	return s.Do(http.MethodPost, signin, credentials(email, password), from)
}

// answer sends a code.
func answer(s *apitest.Server, c challenge, code string, from apitest.Option) *apitest.Answer {
	return s.Do(http.MethodPost, confirm, confirmation(c, code), from)
}

// ask asks for a link to choose another password.
func ask(s *apitest.Server, email, address string) {
	s.Do(http.MethodPost, forgot, changes{"email": email}, noToken(address)).Want(http.StatusAccepted)
}

// choose chooses a password with a link.
func choose(s *apitest.Server, token, password string) *apitest.Answer {
	return s.Do(http.MethodPost, reset, changes{"token": token, "password": password}, apitest.As(""))
}

// TestExactlyFiveGuesses: of many guesses at once, on two instances, five are looked at.
func TestExactlyFiveGuesses(t *testing.T) {
	t.Parallel()
	twoInstances(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com")
		for round := range 5 {
			address := fmt.Sprintf("198.51.100.%d", round)
			got := together(20, func(i int) *apitest.Answer { return guess(s[i%2], "mary@example.com", address) })
			if got[http.StatusUnauthorized] != 5 || got[http.StatusTooManyRequests] != 15 {
				t.Errorf("round %d: %v", round, got)
			}
		}
	})
}

// TestGuessesAroundTheMinute: a window has no edge around which twice as many pass.
func TestGuessesAroundTheMinute(t *testing.T) {
	t.Parallel()
	twoInstances(t, func(t *testing.T, s [2]*apitest.Server) {
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

// TestGuessesWhileTheClockIsSetBack: what was tried before still counts.
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
		// A clock that was years ahead locks nobody until then.
		s.Clock.Advance(-3 * 365 * 24 * time.Hour)
		guess(s, "mary@example.com", "198.51.100.7").Want(http.StatusTooManyRequests)
		if err := s.Service.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		guess(s, "mary@example.com", "198.51.100.7").Want(http.StatusUnauthorized)
	})
}

// TestFiftyWrongCodesAnHour: and not fifty more every ten minutes.
func TestFiftyWrongCodesAnHour(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		app, _ := enrol(t, s, signIn(t, s, "mary@example.com", password).AccessToken.Token)
		source := 0
		from := func() apitest.Option { // never the same, so that only the bound for the user counts
			source++
			return noToken(fmt.Sprintf("10.0.%d.%d", source/250, source%250))
		}
		wrong := 0
		for wrong < 50 {
			c := challenged(t, s, "mary@example.com", "totp", from())
			for range 5 {
				answer(s, c, "xxxxxx", from()).WantProblem(http.StatusUnauthorized, "invalid_code")
				wrong++
			}
			if wrong < 50 { // what is over is not looked at and does not count
				answer(s, c, "xxxxxx", from()).WantProblem(http.StatusUnauthorized, "invalid_token")
			}
		}
		for minute := range 60 {
			if minute%7 == 0 {
				c := challenged(t, s, "mary@example.com", "totp", from())
				answer := answer(s, c, "xxxxxx", from()).WantProblem(http.StatusTooManyRequests, "too_many_attempts")
				if got, want := answer.Header.Get("Retry-After"), fmt.Sprint((60-minute)*60); got != want {
					t.Errorf("minute %d: Retry-After %s, want %s", minute, got, want)
				}
			}
			s.Clock.Advance(time.Minute)
		}
		c := challenged(t, s, "mary@example.com", "totp", from())
		answer(s, c, app.code(t, s.Clock.Now()), from()).Want(http.StatusOK)
	})
}

// botnet has a hundred guesses made for an address, from many sources, and then some
// more, also with the right password; it returns all answers in words.
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
		told(try(s, email, password, noToken(fmt.Sprintf("10.2.%d.1", i))).Want(http.StatusTooManyRequests))
	}
	return answers.String()
}

// TestBotnetCannotLockTheOwnerOut: after a hundred failures in a day an account may be
// tried only from where its user has signed in before, and nobody learns from that
// whether there is such a user.
func TestBotnetCannotLockTheOwnerOut(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com")
		session := signIn(t, s, "mary@example.com", password) // from 192.0.2.1
		try(s, "mary@example.com", password, noToken("2001:db8::1")).Want(http.StatusOK)
		s.CreateUser("never@example.com")
		known := botnet(s, "Mary@example.com")
		if unknown := botnet(s, "nobody@example.com"); unknown != known {
			t.Errorf("the answers differ:\n%s\n%s", known, unknown)
		}
		if !strings.Contains(known, "too_many_attempts") || !strings.Contains(known, fmt.Sprint(23*60*60)) {
			t.Errorf("%s", known)
		}
		botnet(s, "never@example.com") // who has never signed in has no source
		owner := noToken("192.0.2.1")
		try(s, "mary@example.com", password, owner).Want(http.StatusOK)
		try(s, "mary@example.com", password, noToken("2001:db8::2")).Want(http.StatusOK)
		try(s, "never@example.com", password, owner).Want(http.StatusTooManyRequests)
		// The current password is guessed no more than that at sign-in.
		change := changes{"password": "NewSecret123", "currentPassword": password}
		s.Do(http.MethodPost, refresh, changes{"refreshToken": session.RefreshToken.Token}, owner).
			Want(http.StatusOK).Decode(&session)
		as := apitest.As(session.AccessToken.Token)
		s.Do(http.MethodPatch, me, change, as, apitest.From("10.9.9.9")).
			WantProblem(http.StatusTooManyRequests, "too_many_attempts")
		s.Do(http.MethodPatch, me, change, as, apitest.From("192.0.2.1")).Want(http.StatusOK)
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
		try(s, "mary@example.com", "NewSecret123", noToken("10.9.9.9")).Want(http.StatusOK)
		s.Clock.Advance(90 * 24 * time.Hour)
		if err := s.Service.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		botnet(s, "mary@example.com")
		try(s, "mary@example.com", "NewSecret123", owner).Want(http.StatusTooManyRequests)
		s.Do(http.MethodDelete, apitest.UserPath(id), nil).Want(http.StatusNoContent)
	})
}

// TestRightPasswordsAreNoGuesses: who needs a second factor and gives up on it is not
// one of the hundred.
func TestRightPasswordsAreNoGuesses(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com", changes{"tfa": true})
		s.CreateUser("john@example.com", changes{"ipWhitelist": []string{"192.0.2.1"}})
		for i := range 120 {
			from := noToken(fmt.Sprintf("10.1.%d.1", i))
			challenged(t, s, "mary@example.com", "email", from)
			try(s, "john@example.com", password, from).WantProblem(http.StatusForbidden, "ip_not_allowed")
		}
		challenged(t, s, "mary@example.com", "email", noToken("10.9.9.9"))
		try(s, "john@example.com", password, noToken("192.0.2.1")).Want(http.StatusOK)
	})
}

// TestHundredGuessesAtOnce: from many sources at once, on two instances, a hundred are
// looked at and no more.
func TestHundredGuessesAtOnce(t *testing.T) {
	t.Parallel()
	twoInstances(t, func(t *testing.T, s [2]*apitest.Server) {
		s[0].CreateUser("mary@example.com")
		total := map[int]int{}
		for round := range 6 {
			got := together(20, func(i int) *apitest.Answer {
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
			try(s, "mary@example.com", password, noToken(address)).Want(http.StatusOK)
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
				mail.Source != address || !mail.At.Equal(s.Clock.Now()) || mail.Link != apitest.BaseURL+"/password/reset" {
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
		c := challenged(t, s, "mary@example.com", "email", noToken("198.51.100.9"))
		code := s.Mail().Code
		quiet("before the code")
		answer(s, c, code, noToken("198.51.100.9")).Want(http.StatusOK)
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
		try(s, "thief@example.com", password, noToken("203.0.113.201")).Want(http.StatusOK)
		s.Do(http.MethodDelete, apitest.UserPath(id), nil).Want(http.StatusNoContent)
		quiet("to nobody")
	})
}

// TestResetMailsDuringAnOutage: a repetition of a mail is no other link, so that no
// number of them keeps a mail from arriving.
func TestResetMailsDuringAnOutage(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		for i := range 2 {
			ask(s, "mary@example.com", fmt.Sprintf("192.0.2.%d", i))
		}
		const failures = 5
		s.FailMails(2 * failures)
		tokens := map[string][]string{} // by message
		for range failures + 1 {
			for _, mail := range s.Mails() {
				_, token, _ := strings.Cut(mail.Link, "#token=")
				tokens[mail.ID] = append(tokens[mail.ID], token)
			}
			s.Clock.Advance(10 * time.Minute)
		}
		s.Clock.Advance(-5 * time.Minute)
		if len(tokens) != 2 {
			t.Fatalf("%d mails", len(tokens))
		}
		// Others are asked for meanwhile; five are sent in an hour.
		for i := range 5 {
			ask(s, "mary@example.com", fmt.Sprintf("192.0.3.%d", i))
		}
		if mails := s.Mails(); len(mails) != 3 {
			t.Errorf("%d more mails", len(mails))
		}
		last := ""
		for id, sent := range tokens {
			if len(sent) < 3 {
				t.Errorf("mail %s was tried %d times only", id, len(sent))
			}
			for _, replaced := range sent[:len(sent)-1] {
				choose(s, replaced, "NewSecret123").
					WantProblem(http.StatusBadRequest, "validation_failed", "token")
			}
			last = sent[len(sent)-1]
			// The link is good: it is the password that is refused.
			choose(s, last, "mary mary mary").
				WantProblem(http.StatusBadRequest, "validation_failed", "password")
		}
		choose(s, last, "NewSecret123").Want(http.StatusNoContent)
	})
}

// TestNewPasswordTakesWaitingMailsBack: a mail that is still on its way when the
// password changes brings no link and no code any more.
func TestNewPasswordTakesWaitingMailsBack(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com", changes{"tfa": true})
		ask := func() {
			ask(s, "MARY@example.com", "192.0.2.1")
		}
		ask()
		challenged(t, s, "mary@example.com", "email", noToken("192.0.2.1"))
		messages := func() []delivery.Message {
			found, _, err := s.Service.Messages(t.Context(), identity.CommandLine(), delivery.Filter{},
				identity.Page{Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		waiting := messages()
		if len(waiting) != 2 || waiting[0].UserID != id || waiting[1].UserID != id {
			t.Fatalf("%+v", waiting)
		}
		held := make([]delivery.Message, len(waiting)) // as a worker holds them at that moment
		for i := range waiting {
			var err error
			if held[i], err = s.Store.Message(t.Context(), waiting[i].ID); err != nil {
				t.Fatal(err)
			}
		}
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"password": "NewSecret123"}).Want(http.StatusOK)
		if left := messages(); len(left) != 0 {
			t.Errorf("%+v", left)
		}
		send := s.Service.MailSender(mailTo(func(m delivery.Mail) error {
			t.Errorf("sent: %+v", m)
			return nil
		}))
		for _, message := range held {
			if _, err := send(t.Context(), message); err != nil {
				t.Error(err)
			}
		}
		ask()
		s.Do(http.MethodDelete, apitest.UserPath(id), nil).Want(http.StatusNoContent)
		if left := messages(); len(left) != 0 {
			t.Errorf("%+v", left)
		}
	})
}

// TestSignInIsAudited: each step of a sign-in is an event.
func TestSignInIsAudited(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com", changes{"tfa": true})
		from := noToken("192.0.2.1")
		about := func(n int) string { return fmt.Sprintf("filter[user]=%d&limit=%d", id, n) }
		c := challenged(t, s, "mary@example.com", "email", from)
		answer(s, c, s.Mail().Code, from).Want(http.StatusOK)
		wantEvents(t, s, about(3), "USER_SIGNED_IN", "USER_FACTOR_USED email", "USER_SIGNIN_CHALLENGED email")

		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"tfa": false}).Want(http.StatusOK)
		app, recovery := enrol(t, s, signIn(t, s, "mary@example.com", password).AccessToken.Token)
		s.Clock.Advance(time.Minute)
		c = challenged(t, s, "mary@example.com", "totp", from)
		answer(s, c, app.code(t, s.Clock.Now()), from).Want(http.StatusOK)
		wantEvents(t, s, about(3), "USER_SIGNED_IN", "USER_FACTOR_USED totp", "USER_SIGNIN_CHALLENGED totp")
		c = challenged(t, s, "mary@example.com", "totp", from)
		var p pair
		answer(s, c, recovery[0], from).Want(http.StatusOK).Decode(&p)
		wantEvents(t, s, about(3), "USER_SIGNED_IN", "USER_FACTOR_USED recovery_code", "USER_SIGNIN_CHALLENGED totp")

		as := apitest.As(p.AccessToken.Token)
		wrong := changes{"password": "NewSecret123", "currentPassword": "WrongSecret1"}
		s.Do(http.MethodPatch, me, wrong, as).Want(http.StatusBadRequest)
		wantEvents(t, s, about(1), "USER_SIGNIN_FAILED wrong_current_password")
		s.Do(http.MethodPost, reauthenticate, changes{"password": "WrongSecret1"}, as).Want(http.StatusBadRequest)
		wantEvents(t, s, about(2), "USER_SIGNIN_FAILED wrong_current_password", "USER_SIGNIN_FAILED wrong_current_password")
		s.Clock.Advance(time.Minute)
		right := changes{"password": password, "code": app.code(t, s.Clock.Now())}
		s.Do(http.MethodPost, reauthenticate, right, as).Want(http.StatusOK)
		wantEvents(t, s, about(2), "USER_REAUTHENTICATED", "USER_FACTOR_USED totp")

		for _, email := range []string{"Mary@example.com", "nobody@example.com"} {
			s.Do(http.MethodPost, forgot, changes{"email": email}, from).Want(http.StatusAccepted)
		}
		const asking = "USER_PASSWORD_RESET_REQUESTED"
		wantEvents(t, s, "filter[type]="+asking, asking, asking)
		wantEvents(t, s, about(1), asking)
		asked := listEvents(s, "?limit=2").Data
		if asked[0].UserID != nil || *asked[0].Source != "192.0.2.1" || *asked[1].UserID != id ||
			asked[1].Actor.UserID != nil {
			t.Errorf("%+v", asked)
		}
	})
}

// TestOneClock: two instances whose own clocks are twenty minutes apart count, claim
// and let expire together, for both go by the clock of the database.
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
	as := apitest.As(signIn(t, s[1], "mary@example.com", password).AccessToken.Token)
	advance(59 * time.Minute)
	for i := range s {
		s[i].Do(http.MethodGet, me, nil, as).Want(http.StatusOK)
	}
	advance(2 * time.Minute)
	for i := range s {
		s[i].Do(http.MethodGet, me, nil, as).WantProblem(http.StatusUnauthorized, "invalid_token")
	}
	// What one worker has claimed, the other leaves alone.
	s[0].CreateUser("john@example.com", changes{"sendNotify": true})
	var sent atomic.Int64
	first, rest := make(chan struct{}), make(chan struct{})
	var working sync.WaitGroup
	working.Go(func() {
		s[0].NewWorker(mailTo(func(delivery.Mail) error {
			sent.Add(1)
			close(first)
			<-rest
			return nil
		})).Once(t.Context())
	})
	<-first
	s[1].NewWorker(mailTo(func(delivery.Mail) error {
		sent.Add(1)
		return nil
	})).Once(t.Context())
	close(rest)
	working.Wait()
	if n := sent.Load(); n != 1 {
		t.Errorf("the mail was sent %d times", n)
	}
}

// raceDetector says that the race detector slows everything down.
var raceDetector bool

// TestFloodOfOneCaller: who keeps changing passwords in ninety loops at once takes the
// places of others from nobody. It is about time, so it runs alone; that what cannot
// succeed is not hashed, and who may take how many places, is tested without a clock in
// TestWhatCannotSucceedIsNotHashed and in secret.TestFloodIsBounded.
func TestFloodOfOneCaller(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector ninety loops leave no processor for anybody; .ci/run runs this test without it")
	}
	eachAlone(t, func(t *testing.T, s *apitest.Server) {
		for _, flooder := range []struct {
			name   string
			groups []int
			body   string
		}{
			{"nobody", nil, `{"password":"NewSecret123"}`}, // who cannot succeed
			{"right", nil, `{"password":"MySecret123","currentPassword":"MySecret123"}`},
			{"admin", []int{1}, `{"password":"NewSecret123"}`}, // of someone else
		} {
			const loops, cost = 90, 6
			slow := s.WithPasswords(secret.NewPasswords(cost, 1))
			email := flooder.name + "@example.com"
			id := s.CreateUser(email, changes{"groups": append([]int{}, flooder.groups...), "canViewMaskedData": true})
			s.CreateUser("owner-" + email)
			if flooder.groups != nil {
				id = s.CreateUser("other-" + email)
			}
			token := signIn(t, s, email, password).AccessToken.Token
			statuses := flood(t, slow, loops, apitest.UserPath(id), flooder.body, token, func() {
				for range 5 {
					answer := try(slow, "owner-"+email, password, noToken("192.0.2.1"))
					if answer.Status != http.StatusOK {
						t.Errorf("%s: someone else got %d %s", flooder.name, answer.Status, answer.Body)
					}
				}
			})
			if flooder.name != "nobody" && statuses[http.StatusTooManyRequests] == 0 {
				t.Errorf("%s: %v", flooder.name, statuses)
			}
		}
	})
}

// eachAlone is apitest.Each, one engine after the other.
func eachAlone(t *testing.T, fn func(t *testing.T, s *apitest.Server)) {
	t.Helper()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) { fn(t, apitest.New(t, storetest.URL(t, engine))) })
	}
}

// flood keeps patching in so many loops while fn runs, and returns how often each status
// came. It looks at nothing else, for the processor is to be the server's.
func flood(t *testing.T, s *apitest.Server, loops int, path, body, token string, fn func()) map[int]int {
	t.Helper()
	client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: loops}}
	defer client.CloseIdleConnections()
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	statuses := map[int]int{}
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	for range loops {
		running.Go(func() {
			for ctx.Err() == nil {
				request, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPatch, s.URL+path,
					strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				request.Header.Set("Content-Type", "application/json")
				request.Header.Set("Authorization", "Bearer "+token)
				request.Header.Set("X-Forwarded-For", "198.51.100.7")
				response, err := client.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				mu.Lock()
				statuses[response.StatusCode]++
				mu.Unlock()
			}
		})
	}
	fn()
	stop()
	running.Wait()
	return statuses
}

// TestWhatCannotSucceedIsNotHashed: a password is hashed once all else has been checked.
func TestWhatCannotSucceedIsNotHashed(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		passwords := secret.NewPasswords(secret.MinCost, 2)
		counted := s.WithPasswords(passwords)
		s.CreateUser("mary@example.com")
		admin := apitest.UserPath(s.CreateUser("admin@example.com", changes{"groups": []int{1}, "canViewMaskedData": true}))
		plain := apitest.UserPath(s.CreateUser("plain@example.com"))
		as := apitest.As(signIn(t, s, "mary@example.com", password).AccessToken.Token)
		helpdesk := apitest.As(s.CreateToken(0, []string{"users.create", "users.update"}))
		const fine = "NewSecret123"
		asHelpdesk := []apitest.Option{helpdesk}
		created := func(c changes) changes { return apitest.NewUser("x@example.com", c) }
		for _, call := range []struct {
			name, method, path string
			body               any
			options            []apitest.Option
			want               int
		}{
			{"no current password", http.MethodPatch, me, changes{"password": fine}, []apitest.Option{as}, 400},
			{"someone else's", http.MethodPatch, plain, changes{"password": fine}, []apitest.Option{as}, 403},
			{"an administrator's", http.MethodPatch, admin, changes{"password": fine}, asHelpdesk, 403},
			{"to Administrators", http.MethodPatch, plain, changes{"password": fine, "groups": []int{1}}, asHelpdesk, 403},
			{"unknown group", http.MethodPatch, plain, changes{"password": fine, "groups": []int{99}}, nil, 400},
			{
				"stale", http.MethodPatch, plain,
				changes{"password": fine},
				[]apitest.Option{apitest.Header("If-Match", `"9"`)},
				412,
			},
			{"nobody's", http.MethodPatch, apitest.UserPath(99), changes{"password": fine}, nil, 404},
			{"personal", http.MethodPatch, plain, changes{"password": "plain-2026-plain"}, nil, 400},
			{"create", http.MethodPost, users, apitest.NewUser("x@example.com"), []apitest.Option{as}, 403},
			{"create an administrator", http.MethodPost, users, created(changes{"groups": []int{1}}), asHelpdesk, 403},
			{"create in an unknown group", http.MethodPost, users, created(changes{"groups": []int{99}}), nil, 400},
			{"create again", http.MethodPost, users, apitest.NewUser("MARY@example.com"), nil, 409},
			{"create, personal", http.MethodPost, users, created(changes{"password": "i am mary, really"}), nil, 400},
			{
				"reset", http.MethodPost, reset,
				changes{"token": "nonsense", "password": fine},
				[]apitest.Option{apitest.As("")},
				400,
			},
		} {
			if counted.Do(call.method, call.path, call.body, call.options...).Want(call.want); passwords.Rounds() != 0 {
				t.Fatalf("%s: a password was hashed", call.name)
			}
		}
		counted.Do(http.MethodPatch, plain, changes{"password": fine}).Want(http.StatusOK)
		if passwords.Rounds() != 1<<secret.MinCost {
			t.Errorf("%d rounds for one password", passwords.Rounds())
		}
	})
}

// wantRefused checks that a password is refused for a reason.
func wantRefused(t *testing.T, answer *apitest.Answer, code string) {
	t.Helper()
	var problem struct{ Errors []struct{ Code string } }
	answer.WantProblem(http.StatusBadRequest, "validation_failed", "password").Decode(&problem)
	if problem.Errors[0].Code != code {
		t.Errorf("%s, want %s", answer.Body, code)
	}
}

// TestPersonalPasswords: nobody's password has in it what everyone knows of its owner.
func TestPersonalPasswords(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const personal = "contains_personal"
		person := func(p string) changes {
			return apitest.NewUser("annabel@example.com", changes{"name": "Mary Ann Smith", "password": p})
		}
		for _, p := range []string{"mary ann smith!", "9-MaryAnnSmith-9", "AnnaBel-2026", "my-Roster-pass"} {
			wantRefused(t, s.Do(http.MethodPost, users, person(p)), personal)
		}
		path := apitest.UserPath(s.Do(http.MethodPost, users, person("Mary has a lamb")).Want(http.StatusCreated).ID())
		for _, p := range []string{"mary ann smith!", "AnnaBel-2026"} {
			wantRefused(t, s.Do(http.MethodPatch, path, changes{"password": p}), personal)
		}
		// By what the user will be.
		wantRefused(t, s.Do(http.MethodPatch, path, changes{"name": "John Doe", "password": "johndoe johndoe"}), personal)
		lamb := changes{"email": "lamb@example.com", "password": "Mary has a lamb"}
		wantRefused(t, s.Do(http.MethodPatch, path, lamb), personal)
		other := changes{"name": "John Doe", "email": "jd@example.com", "password": "9-MaryAnnSmith-9"}
		s.Do(http.MethodPatch, path, other).Want(http.StatusOK)
		token := resetToken(t, s, "jd@example.com")
		wantRefused(t, choose(s, token, "John-Doe John Doe"), personal)
		choose(s, token, "NewSecret123").Want(http.StatusNoContent)
		// Random ones, of Firefly's users, are never refused: by chance many have these letters.
		for _, letter := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ" {
			email := strings.Repeat(string(letter), 4) + "@example.com"
			s.Do(http.MethodPost, "/api/v1/users", changes{"email": email, "blocked": false}).Want(http.StatusOK)
		}
	})
}

// TestListedPasswords: a list of the operator's refuses more, wherever a password is set.
func TestListedPasswords(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"plain":  "zebra crossing\r\nCORRECT HORSE\r\n",
		"hashes": "abf7aad6438836dbe526aa231abde2d0eef74d42:7\n", // SHA-1 of "correct horse battery staple"
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := t.TempDir() + "/list"
			writeFile(t, path, content)
			listed := map[string]string{"plain": "Correct Horse", "hashes": "correct horse battery staple"}[name]
			apitest.Each(t, func(t *testing.T, plain *apitest.Server) {
				s := plain.Another(func(o *app.Options) { o.Config.PasswordList = path })
				body := apitest.NewUser("mary@example.com", changes{"password": listed})
				wantRefused(t, s.Do(http.MethodPost, users, body), "breached")
				id := s.CreateUser("mary@example.com")
				wantRefused(t, s.Do(http.MethodPatch, apitest.UserPath(id), changes{"password": listed}), "breached")
				token := resetToken(t, s, "mary@example.com")
				wantRefused(t, choose(s, token, listed), "breached")
				choose(s, token, listed+"!").Want(http.StatusNoContent)
				// Who had it before still gets in.
				plain.CreateUser("john@example.com", changes{"password": listed})
				signIn(t, s, "john@example.com", listed)
			})
		})
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
