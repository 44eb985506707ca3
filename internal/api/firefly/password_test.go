package firefly_test

import (
	"net/http"
	"net/url"
	"regexp"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/mail"
	"github.com/rosterhq/roster/internal/mail/mailtest"
)

// TestOnlyWayIn follows the documentation for a new user: the only password is the one
// that the user chooses with a mailed link.
func TestOnlyWayIn(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const email, password = "james@firefly-iii.org", "MySecret123"
		smtp := mailtest.Start(t, mailtest.Config{Encryption: mailtest.StartTLS})
		public, err := url.Parse(apitest.BaseURL)
		if err != nil {
			t.Fatal(err)
		}
		sender, err := mail.New(mail.Config{URL: smtp.URL(), PublicURL: public, Roots: smtp.Roots()})
		if err != nil {
			t.Fatal(err)
		}
		worker := s.NewWorker(sender.Send)
		anonymous := apitest.As("")
		signIn := func(want int) {
			t.Helper()
			s.Do(http.MethodPost, "/api/v2/signin", object{"email": email, "password": password}, anonymous).Want(want)
		}
		id := create(s, email)
		signIn(http.StatusUnauthorized)
		// This API does not set passwords.
		s.Do(http.MethodPut, userPath(id), object{"email": email, "password": password})
		signIn(http.StatusUnauthorized)

		s.Do(http.MethodPost, "/api/v2/password/forgot", object{"email": email}, anonymous).Want(http.StatusAccepted)
		worker.Once(t.Context())
		messages := smtp.Wait(t, 1)
		if to := messages[0].To; len(to) != 1 || to[0] != email || !messages[0].Encrypted {
			t.Errorf("%+v", messages[0])
		}
		link := regexp.MustCompile(regexp.QuoteMeta(apitest.BaseURL+"/password/reset#token=") + `(rst_[\w-]+)`)
		text, html := link.FindStringSubmatch(messages[0].Text), link.FindStringSubmatch(messages[0].HTML)
		if text == nil || html == nil || text[1] != html[1] {
			t.Fatalf("%s\n%s", messages[0].Text, messages[0].HTML)
		}
		choice := object{"token": text[1], "password": password}
		s.Do(http.MethodPost, "/api/v2/password/reset", choice, anonymous).Want(http.StatusNoContent)
		signIn(http.StatusOK)
		s.Do(http.MethodPost, "/api/v2/password/reset", choice, anonymous).Want(http.StatusBadRequest)

		// Blocked here is inactive there.
		s.Do(http.MethodPut, userPath(id), object{"email": email, "blocked": true}).Want(http.StatusOK)
		signIn(http.StatusUnauthorized)
	})
}
