package service_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// TestNoOtherSiteLocksOut checks that requests that a page of another site makes from the victim's
// browser do not count as tries and send no mail.
func TestNoOtherSiteLocksOut(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		victim := apitest.NoToken("192.0.2.1")
		wrong := apitest.Credentials("mary@example.com", "WrongSecret1")
		// what a form of text/plain can make
		const asText = `{"email":"mary@example.com","password":"WrongSecret1","x":"="}`
		for range 10 {
			for _, path := range []string{apitest.SignInPath, apitest.ForgotPath} {
				for _, contentType := range []string{
					"application/x-www-form-urlencoded", "text/plain",
					"multipart/form-data; boundary=b", "",
				} {
					s.Do(http.MethodPost, path, asText, victim, apitest.Header("Content-Type",
						contentType)).Want(http.StatusUnsupportedMediaType)
				}
				s.Do(http.MethodPost, path, url.Values{"email": {"mary@example.com"}, "password": {"x"}},
					victim).Want(http.StatusUnsupportedMediaType)
				s.Do(http.MethodPost, path, wrong, victim, apitest.Header("Sec-Fetch-Site", "cross-site")).
					WantProblem(http.StatusForbidden, "cross_site_request")
			}
		}
		s.TrySignIn("mary@example.com", apitest.Password, victim).Want(http.StatusOK)
		if mails := s.Mails(); len(mails) != 0 {
			t.Errorf("%d mails", len(mails))
		}
		if got := s.Do(http.MethodGet, apitest.EventsPath+"?filter[type]=USER_SIGNIN_FAILED",
			nil).Object()["total"]; got != 0.0 {
			t.Errorf("%v failures", got)
		}
		// The same from a page of ours counts.
		for range 5 {
			s.Do(http.MethodPost, apitest.SignInPath, wrong, victim, apitest.Header("Sec-Fetch-Site",
				"same-origin")).Want(http.StatusUnauthorized)
		}
		s.TrySignIn("mary@example.com", apitest.Password, victim).Want(http.StatusTooManyRequests)
	})
}
