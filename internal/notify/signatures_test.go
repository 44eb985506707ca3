package notify_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/pkg/webhooksig"
)

// acceptsStandard verifies a delivery with the library of Standard Webhooks. Its clock cannot be set,
// so this checks the time itself.
func acceptsStandard(d apitest.Delivery, secret string, now time.Time) error {
	library, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(d.Header.Get("webhook-timestamp"), 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return errors.New("not the time")
	}
	return library.VerifyIgnoringTimestamp(d.Body, d.Header)
}

var biDate = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`)

// acceptsPowens verifies a delivery as the description of BI-Signature says.
func acceptsPowens(d apitest.Delivery, path, secret string) error {
	date := d.Header.Get("BI-Signature-Date")
	if !biDate.MatchString(date) {
		return errors.New("the date " + date)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(d.Method + "." + path + "." + date + "." + string(d.Body)))
	if d.Header.Get("BI-Signature") != base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		return errors.New("the signature")
	}
	return nil
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		receiver := apitest.NewReceiver(t)
		path, secret := s.CreateWebhook(receiver.URL + "/hook/x?a=b")
		next := func() apitest.Delivery {
			t.Helper()
			s.Do(http.MethodPost, path+"/test", nil).Want(http.StatusAccepted)
			s.Send()
			got := receiver.Take()
			if len(got) != 1 {
				t.Fatalf("%d deliveries", len(got))
			}
			return got[0]
		}
		ours := func(secrets ...string) webhooksig.Verifier {
			return webhooksig.Verifier{Secrets: secrets, Now: s.Clock.Now}
		}

		d := next()
		if err := errors.Join(acceptsStandard(d, secret, s.Clock.Now()),
			ours(secret).Standard(d.Header, d.Body)); err != nil {
			t.Error(err)
		}
		if d.Header.Get("Authorization") != "" || d.Header.Get("BI-Signature") != "" {
			t.Errorf("%v", d.Header)
		}

		// After a rotation both secrets sign, for a day.
		var rotated struct{ Secret string }
		s.Do(http.MethodPost, path+"/rotate", nil).Want(http.StatusOK).Decode(&rotated)
		s.Clock.Advance(24*time.Hour - time.Second)
		d = next()
		for _, key := range []string{secret, rotated.Secret} {
			if err := acceptsStandard(d, key, s.Clock.Now()); err != nil {
				t.Error(err)
			}
		}
		s.Clock.Advance(time.Second)
		d = next()
		if acceptsStandard(d, secret, s.Clock.Now()) == nil ||
			acceptsStandard(d, rotated.Secret, s.Clock.Now()) != nil {
			t.Error("the old secret signs after a day, or the new one does not")
		}

		s.Do(http.MethodPatch, path, changes{"auth": "bi_signature"}).Want(http.StatusOK)
		d = next()
		if err := errors.Join(acceptsPowens(d, "/hook/x", rotated.Secret),
			ours(rotated.Secret).BI(d.Header, d.Method, "/hook/x", d.Body)); err != nil {
			t.Error(err)
		}
		if d.Header.Get("webhook-signature") != "" || acceptsPowens(d, "/hook/x", secret) == nil {
			t.Errorf("%v", d.Header)
		}

		s.Do(http.MethodPatch, path, changes{"auth": "bearer", "token": "fixed-Secret-1"}).Want(http.StatusOK)
		if d = next(); d.Header.Get("Authorization") != "Bearer fixed-Secret-1" ||
			d.Header.Get("webhook-signature") != "" {
			t.Errorf("%v", d.Header)
		}
		s.Do(http.MethodPatch, path, changes{"auth": "none"}).Want(http.StatusOK)
		if d = next(); d.Header.Get("Authorization") != "" || d.Header.Get("webhook-signature") != "" ||
			d.Header.Get("BI-Signature") != "" {
			t.Errorf("%v", d.Header)
		}
	})
}
