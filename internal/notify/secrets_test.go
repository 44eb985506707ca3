package notify_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// secretOf returns the secret in an answer, or "".
func secretOf(a *apitest.Answer) string {
	secret, _ := a.Object()["secret"].(string)
	return secret
}

// verified returns the indexes of the secrets that signed a delivery.
func verified(d apitest.Delivery, now time.Time, secrets ...string) (by string) {
	for i, secret := range secrets {
		if acceptsStandard(d, secret, now) == nil {
			by += fmt.Sprint(i)
		}
	}
	return by
}

// TestSecretsStayBehind checks that a webhook whose host changes gets a new secret and sends no old
// signature there.
func TestSecretsStayBehind(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		old, place := apitest.NewReceiver(t), apitest.NewReceiver(t)
		old.Answer(http.StatusServiceUnavailable)
		path, first := s.CreateWebhook(old.URL + "/hook")
		second := secretOf(s.Do(http.MethodPost, path+"/rotate", nil).Want(http.StatusOK))
		s.Do(http.MethodPatch, path, changes{"token": "fixed-Secret-1"}).Want(http.StatusOK)
		s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted)
		s.Send()
		if got := old.Take(); len(got) != 1 || verified(got[0], s.Clock.Now(), first, second) != "01" {
			t.Fatalf("%+v", got)
		}

		// Another path of the same place is no other place.
		stayed := s.Do(http.MethodPatch, path, changes{"url": old.URL + "/other?x=y"}).Want(http.StatusOK)
		if secretOf(stayed) != "" {
			t.Errorf("a secret for nothing: %s", stayed.Body)
		}
		moved := s.Do(http.MethodPatch, path, changes{"url": place.URL + "/hook"}).Want(http.StatusOK)
		third := secretOf(moved)
		if third == "" || third == first || third == second {
			t.Errorf("%s", moved.Body)
		}
		if strings.Contains(string(s.Do(http.MethodGet, path, nil).Body), "secret") {
			t.Error("the secret can be read again")
		}
		s.Clock.Advance(time.Minute)
		s.Send()
		got := place.Take()
		if len(got) != 1 || verified(got[0], s.Clock.Now(), first, second, third) != "2" ||
			len(strings.Fields(got[0].Header.Get("webhook-signature"))) != 1 {
			t.Fatalf("%+v", got)
		}
		if strings.Contains(fmt.Sprint(got[0].Header), "fixed-Secret-1") || len(old.Take()) != 0 {
			t.Errorf("%+v", got)
		}
		// The token is gone, too.
		s.Do(http.MethodPatch, path, changes{"auth": "bearer"}).
			WantProblem(http.StatusBadRequest, "validation_failed", "token")

		var list struct {
			Data []struct {
				Changes map[string]struct{ Old, New any }
			}
		}
		answer := s.Do(http.MethodGet, apitest.EventsPath+"?filter[type]=WEBHOOK_UPDATED", nil)
		answer.Decode(&list)
		told := list.Data[0].Changes
		if len(told) != 3 || told["url"].New != place.URL+"/hook" || told["secret"].New != "***" ||
			told["token"].New != "***" {
			t.Errorf("%+v", told)
		}
		for _, hidden := range []string{first, second, third, "fixed-Secret-1"} {
			if strings.Contains(string(answer.Body), hidden) || strings.Contains(s.Log.String(), hidden) {
				t.Errorf("%s is told", hidden)
			}
		}
		// And back: nothing comes back.
		back := secretOf(s.Do(http.MethodPut, path, changes{"url": old.URL + "/hook"}).Want(http.StatusOK))
		s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted)
		s.Send()
		if got := old.Take(); len(got) != 1 || verified(got[0], s.Clock.Now(), first, second, third, back) != "3" {
			t.Errorf("%+v", got)
		}
	})
}

// TestBearerTokensStayBehind checks that the token of one receiver is not sent to another.
func TestBearerTokensStayBehind(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		old, place := apitest.NewReceiver(t), apitest.NewReceiver(t)
		path, _ := s.CreateWebhook(old.URL, changes{"auth": "bearer", "token": "fixed-Secret-1"})
		for _, change := range []changes{
			{"url": place.URL},
			{"url": place.URL, "token": nil},
			{"url": place.URL, "auth": "bearer"},
			{"url": strings.Replace(old.URL, "http:", "https:", 1)},
			{"url": "http://127.0.0.1:1"},
			{"url": "http://127.0.0.1"},
		} {
			answer := s.Do(http.MethodPatch, path, change).
				WantProblem(http.StatusBadRequest, "validation_failed", "token")
			if !strings.Contains(string(answer.Body), `"code":"required"`) {
				t.Errorf("%s", answer.Body)
			}
		}
		send := func() {
			s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted)
			s.Send()
		}
		s.Do(http.MethodPatch, path, changes{"url": old.URL + "/other"}).Want(http.StatusOK)
		send()
		if got := old.Take(); len(got) != 1 || got[0].Header.Get("Authorization") != "Bearer fixed-Secret-1" {
			t.Errorf("%+v", got)
		}
		s.Do(http.MethodPatch, path, changes{"url": place.URL, "token": "other-Secret-2"}).Want(http.StatusOK)
		send()
		if got := place.Take(); len(got) != 1 || got[0].Header.Get("Authorization") != "Bearer other-Secret-2" {
			t.Errorf("%+v", got)
		}
		// To another way of signing first, and then to another place, is no way either.
		s.Do(http.MethodPatch, path, changes{"auth": "none"}).Want(http.StatusOK)
		s.Do(http.MethodPatch, path, changes{"url": old.URL}).Want(http.StatusOK)
		s.Do(http.MethodPatch, path, changes{"auth": "bearer"}).
			WantProblem(http.StatusBadRequest, "validation_failed", "token")
		// A webhook that has moved has a secret, with any kind of authentication.
		secret := secretOf(s.Do(http.MethodPatch, path, changes{"url": place.URL}).Want(http.StatusOK))
		s.Do(http.MethodPatch, path, changes{"auth": "standard"}).Want(http.StatusOK)
		send()
		if got := place.Take(); len(got) != 1 || verified(got[0], s.Clock.Now(), secret) != "0" {
			t.Errorf("%+v", got)
		}
	})
}

// TestEveryReplacedSecretSignsForADay checks this for several rotations in a day, up to the limit.
func TestEveryReplacedSecretSignsForADay(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		receiver := apitest.NewReceiver(t)
		path, secret := s.CreateWebhook(receiver.URL)
		secrets := []string{secret}
		check := func(want string) {
			t.Helper()
			s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted)
			s.Send()
			got := receiver.Take()
			if len(got) != 1 {
				t.Fatalf("%d deliveries", len(got))
			}
			signatures := strings.Fields(got[0].Header.Get("webhook-signature"))
			if by := verified(got[0], s.Clock.Now(), secrets...); by != want || len(signatures) != len(want) {
				t.Errorf("signed by %s, want %s: %q", by, want, signatures)
			}
			// The newest comes first, as receivers that look at one only expect.
			d := got[0]
			d.Header = d.Header.Clone()
			d.Header.Set("webhook-signature", signatures[0])
			if acceptsStandard(d, secrets[len(secrets)-1], s.Clock.Now()) != nil {
				t.Error("the newest secret is not the first")
			}
		}
		rotate := func() *apitest.Answer {
			return s.Do(http.MethodPost, path+"/rotate", nil)
		}
		want := "0"
		for i := range 8 {
			secrets = append(secrets, secretOf(rotate().Want(http.StatusOK)))
			want += fmt.Sprint(i + 1)
			check(want)
			s.Clock.Advance(time.Hour)
		}
		rotate().WantProblem(http.StatusConflict, "too_many_rotations")
		check(want)
		s.Clock.Advance(15*time.Hour + 59*time.Minute) // a minute before a day after the first rotation
		check(want)
		s.Clock.Advance(time.Minute)
		check(want[1:])
		secrets = append(secrets, secretOf(rotate().Want(http.StatusOK)))
		check(want[1:] + "9")
		rotate().WantProblem(http.StatusConflict, "too_many_rotations")
		if err := s.Service.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		check(want[1:] + "9")
		s.Clock.Advance(24 * time.Hour)
		if err := s.Service.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		check("9")
	})
}

// TestSecretsOfTheVersionBefore checks that a secret that the previous release replaced, which is in
// the row of the webhook, signs until its end, also after a rotation by this release, and that the
// previous release finds ours there.
func TestSecretsOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	apitest.EachURL(t, func(t *testing.T, s *apitest.Server, engine, url string) {
		db := apitest.OpenDatabase(t, engine, url)
		receiver := apitest.NewReceiver(t)
		path, first := s.CreateWebhook(receiver.URL)
		second := secretOf(s.Do(http.MethodPost, path+"/rotate", nil).Want(http.StatusOK))
		// As the version before leaves it.
		if _, err := db.ExecContext(t.Context(), "DELETE FROM webhook_old_secrets"); err != nil {
			t.Fatal(err)
		}
		signedBy := func(secrets ...string) string {
			t.Helper()
			s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted)
			s.Send()
			got := receiver.Take()
			if len(got) != 1 || len(strings.Fields(got[0].Header.Get("webhook-signature"))) > len(secrets) {
				t.Fatalf("%+v", got)
			}
			return verified(got[0], s.Clock.Now(), secrets...)
		}
		if got := signedBy(first, second); got != "01" {
			t.Errorf("signed by %s", got)
		}
		s.Clock.Advance(time.Hour)
		third := secretOf(s.Do(http.MethodPost, path+"/rotate", nil).Want(http.StatusOK))
		if got := signedBy(first, second, third); got != "012" {
			t.Errorf("signed by %s", got)
		}
		var row, table int
		err := errors.Join(
			db.QueryRowContext(t.Context(), `SELECT count(*) FROM webhooks JOIN webhook_old_secrets AS old
				ON old.webhook_id = webhooks.id AND old.secret = webhooks.old_secret
					AND old.until = webhooks.old_secret_until`).Scan(&row),
			db.QueryRowContext(t.Context(), "SELECT count(*) FROM webhook_old_secrets").Scan(&table))
		if err != nil || row != 1 || table != 2 {
			t.Errorf("%d, %d, %v", row, table, err)
		}
		s.Clock.Advance(23 * time.Hour)
		if got := signedBy(first, second, third); got != "12" {
			t.Errorf("signed by %s", got)
		}
		s.Clock.Advance(time.Hour)
		if got := signedBy(first, second, third); got != "2" {
			t.Errorf("signed by %s", got)
		}
		if err := s.Service.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		kept := apitest.CountRows(t, engine, url, "webhook_old_secrets", "true") +
			apitest.CountRows(t, engine, url, "webhooks", "old_secret <> ''")
		if kept != 0 {
			t.Errorf("%d secrets that are over are kept", kept)
		}
		// With the webhook go its secrets.
		s.Do(http.MethodPost, path+"/rotate", nil).Want(http.StatusOK)
		s.Do(http.MethodDelete, path, nil).Want(http.StatusNoContent)
		if n := apitest.CountRows(t, engine, url, "webhook_old_secrets", "true"); n != 0 {
			t.Errorf("%d secrets of nobody", n)
		}
	})
}

// TestMovingDuringADelivery checks that the old receiver does not get what is meant for the new one,
// even with an attempt in progress.
func TestMovingDuringADelivery(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		old, place := apitest.NewReceiver(t), apitest.NewReceiver(t)
		path, _ := s.CreateWebhook(old.URL, changes{"auth": "bearer", "token": "fixed-Secret-1"})
		old.Handle(func(w http.ResponseWriter, _ *http.Request) {
			s.Do(http.MethodPatch, path, changes{"url": place.URL, "token": "other-Secret-2"})
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted)
		s.Send()
		s.Clock.Advance(time.Hour)
		s.Send()
		if got := old.Take(); len(got) != 1 || got[0].Header.Get("Authorization") != "Bearer fixed-Secret-1" {
			t.Errorf("%+v", got)
		}
		if got := place.Take(); len(got) != 1 || got[0].Header.Get("Authorization") != "Bearer other-Secret-2" {
			t.Errorf("%+v", got)
		}
	})
}
