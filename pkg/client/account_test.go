package client_test

import (
	"bytes"
	"image/png"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/pkg/client"
)

func TestSecondFactor(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com")
		c, ctx := of(t, s.URL, s.SignIn("mary@example.com")), t.Context()
		if _, err := c.Users.EnrolTOTP(ctx); err != nil {
			t.Fatal(err)
		}
		enrolment, err := c.Users.EnrolTOTP(ctx) // in place of the first one
		if err != nil || !strings.Contains(enrolment.URI, enrolment.Secret) {
			t.Fatalf("%v %+v", err, enrolment)
		}
		if _, err := png.Decode(bytes.NewReader(enrolment.QRPNG)); err != nil {
			t.Error(err)
		}
		app := apitest.Authenticator{Secret: enrolment.Secret}
		_, err = c.Users.ConfirmTOTP(ctx, "")
		wantCode(t, err, http.StatusBadRequest, "validation_failed")
		if factor, err := c.Users.SecondFactor(ctx, client.Me); err != nil || factor != (client.SecondFactor{}) {
			t.Errorf("%+v, %v", factor, err)
		}
		codes, err := c.Users.ConfirmTOTP(ctx, app.Code(t, s.Clock.Now()))
		if err != nil || len(codes) != 10 {
			t.Fatalf("%v %v", err, codes)
		}
		factor, factorErr := c.Users.SecondFactor(ctx, client.Me)
		if factorErr != nil || factor.Provider != "totp" || factor.RecoveryCodes != 10 || !factor.Since.Equal(s.Clock.Now()) {
			t.Errorf("%+v, %v", factor, factorErr)
		}
		_, err = c.Users.EnrolTOTP(ctx)
		wantStatus(t, err, http.StatusConflict)

		s.Clock.Advance(20 * time.Minute)
		wantCode(t, c.Users.ResetTOTP(ctx, client.Me), http.StatusForbidden, "reauthentication_required")
		first, err := c.Sessions.Reauthenticate(ctx, password, "")
		if err != nil || !first.CodeRequired || first.Code.Provider != "totp" || !first.FreshUntil.IsZero() ||
			!first.Code.ExpiresAt.After(s.Clock.Now()) {
			t.Errorf("%v %+v", err, first)
		}
		_, err = c.Sessions.Reauthenticate(ctx, password, "000000")
		wantCode(t, err, http.StatusBadRequest, "validation_failed")
		second, err := c.Sessions.Reauthenticate(ctx, password, codes[0])
		if err != nil || second.CodeRequired || !second.FreshUntil.Equal(s.Clock.Now().Add(15*time.Minute)) {
			t.Errorf("%v %+v", err, second)
		}
		if err := c.Users.ResetTOTP(ctx, client.Me); err != nil {
			t.Error(err)
		}
		if _, err := c.Users.EnrolTOTP(ctx); err != nil { // there is none any more
			t.Error(err)
		}
		admin := of(t, s.URL, apitest.AdminToken)
		if err := admin.Users.ResetTOTP(ctx, id); err != nil {
			t.Error(err)
		}
		wantStatus(t, admin.Users.ResetTOTP(ctx, id+1), http.StatusNotFound)
	})
}

func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		s.CreateUser("mary@example.com")
		c, ctx := of(t, s.URL, ""), t.Context()
		s.Mails()
		for _, email := range []string{"nobody@example.com", "mary@example.com"} {
			if err := c.Sessions.ForgotPassword(ctx, email); err != nil {
				t.Errorf("%s: %v", email, err)
			}
		}
		_, token, _ := strings.Cut(s.Mail().Link, "#token=")
		const other = "OtherSecret456"
		wantStatus(t, c.Sessions.ResetPassword(ctx, token, "short"), http.StatusBadRequest)
		if err := c.Sessions.ResetPassword(ctx, token, other); err != nil {
			t.Error(err)
		}
		wantStatus(t, c.Sessions.ResetPassword(ctx, token, other), http.StatusBadRequest) // it works once
		if _, err := c.Sessions.SignIn(ctx, "mary@example.com", other); err != nil {
			t.Error(err)
		}
	})
}

func TestExplainNetwork(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com", map[string]any{"ipWhitelist": []string{"192.0.2.0/24"}})
		c, ctx := of(t, s.URL, apitest.AdminToken), t.Context()
		for ip, want := range map[string]client.NetworkExplanation{
			"192.0.2.7": {Allowed: true, Match: "192.0.2.0/24"}, "198.51.100.7": {},
		} {
			if got, err := c.Users.ExplainNetwork(ctx, id, ip); err != nil || got != want {
				t.Errorf("%s: %v %+v", ip, err, got)
			}
		}
		_, err := c.Users.ExplainNetwork(ctx, id, "nowhere")
		wantStatus(t, err, http.StatusBadRequest)
		_, err = c.Users.ExplainNetwork(ctx, client.Me, "192.0.2.7")
		wantStatus(t, err, http.StatusBadRequest)
	})
}
