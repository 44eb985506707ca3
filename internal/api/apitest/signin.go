package apitest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image/png"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/rosterhq/roster/internal/delivery"
)

// Password is the password of NewUser.
const Password = "MySecret123"

// Tokens is the answer to a sign-in.
type Tokens struct {
	AccessToken, RefreshToken struct {
		Token                string
		CreatedAt, ExpiresAt time.Time
	}
}

// Challenge is the answer to a sign-in that needs a second factor.
type Challenge struct {
	Required bool `json:"2faRequired"`
	Details  struct {
		Token, Provider string
		ExpiresAt       time.Time
	} `json:"2faDetails"`
}

// NoToken sends no credential, from an address.
func NoToken(address string) Option {
	return func(r *http.Request) {
		As("")(r)
		From(address)(r)
	}
}

// Credentials returns the body of a sign-in.
func Credentials(email, password string) map[string]any {
	return map[string]any{"email": email, "password": password}
}

// SignInWith signs in from 192.0.2.1 and ends the test unless there are tokens.
func (s *Server) SignInWith(email, password string) Tokens {
	s.tb.Helper()
	var tokens Tokens
	s.TrySignIn(email, password, From("192.0.2.1")).Want(http.StatusOK).Decode(&tokens)
	if tokens.AccessToken.Token == "" {
		s.tb.Fatal("no access token")
	}
	return tokens
}

// Challenge signs in with Password and ends the test unless a second factor of the provider is
// asked for.
func (s *Server) Challenge(email, provider string, from Option) Challenge {
	s.tb.Helper()
	var c Challenge
	s.TrySignIn(email, Password, from).Want(http.StatusOK).Decode(&c)
	if !c.Required || c.Details.Provider != provider || !strings.HasPrefix(c.Details.Token, "rst_") ||
		!c.Details.ExpiresAt.Equal(s.Clock.Now().Add(10*time.Minute)) {
		s.tb.Fatalf("%+v", c)
	}
	return c
}

// Authenticator is the authenticator app of a user.
type Authenticator struct{ Secret string }

// Code returns the code that the app shows at a time.
func (a Authenticator) Code(tb testing.TB, at time.Time) string {
	tb.Helper()
	code, err := totp.GenerateCode(a.Secret, at)
	if err != nil {
		tb.Fatal(err)
	}
	return code
}

// Enrol gives the user of an access token an authenticator, and returns it with the recovery codes.
func (s *Server) Enrol(accessToken string) (Authenticator, []string) {
	s.tb.Helper()
	var enrolment struct{ Secret, URI, QRPNG string }
	s.Do(http.MethodPost, MePath+"/totp", nil, As(accessToken)).Want(http.StatusOK).Decode(&enrolment)
	uri, err := url.Parse(enrolment.URI)
	if err != nil || uri.Scheme != "otpauth" || uri.Host != "totp" ||
		uri.Query().Get("secret") != enrolment.Secret || uri.Query().Get("issuer") != "Roster" {
		s.tb.Fatalf("%s, %v", enrolment.URI, err)
	}
	picture, err := base64.StdEncoding.DecodeString(enrolment.QRPNG)
	if err != nil {
		s.tb.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(picture)); err != nil {
		s.tb.Fatal(err)
	}
	a := Authenticator{enrolment.Secret}
	var codes struct{ RecoveryCodes []string }
	body := map[string]any{"code": a.Code(s.tb, s.Clock.Now())}
	s.Do(http.MethodPost, MePath+"/totp/confirm", body, As(accessToken)).Want(http.StatusOK).Decode(&codes)
	if len(codes.RecoveryCodes) != 10 {
		s.tb.Fatalf("%v", codes)
	}
	return a, codes.RecoveryCodes
}

// ResetToken requests a link for a new password and returns the token in its mail.
func (s *Server) ResetToken(email string) string {
	s.tb.Helper()
	s.Forgot(email, From("192.0.2.1")).Want(http.StatusAccepted)
	mail := s.Mail()
	link, token, _ := strings.Cut(mail.Link, "#token=")
	if mail.Kind != delivery.MailPasswordReset || link != BaseURL+"/password/reset" ||
		!mail.ExpiresAt.Equal(s.Clock.Now().Add(time.Hour)) {
		s.tb.Fatalf("%+v", mail)
	}
	return token
}

// Event is an event in the answer to a list.
type Event struct {
	ID     int64
	Type   string
	Time   string
	UserID *int64
	Actor  struct {
		Name            string
		UserID, TokenID *int64
	}
	SubjectType     string
	SubjectID       *int64
	Source, Reason  *string
	RequestID       string
	ClientRequestID *string
	Count           int64
	Changes         map[string]struct{ Old, New any }
}

// EventList is the answer to a list of events.
type EventList struct {
	Total *int
	Data  []Event
}

// Events lists the events of a query, the latest first.
func (s *Server) Events(query string) EventList {
	s.tb.Helper()
	var list EventList
	s.Do(http.MethodGet, EventsPath+query, nil).Want(http.StatusOK).Decode(&list)
	return list
}

// WantEvents checks the latest events of a query, each as "TYPE reason".
func (s *Server) WantEvents(query string, want ...string) {
	s.tb.Helper()
	got := []string{}
	for _, e := range s.Events("?" + query).Data {
		text := e.Type
		if e.Reason != nil {
			text += " " + *e.Reason
		}
		got = append(got, text)
	}
	gotJSON, _ := json.Marshal(got)
	wantJSON, _ := json.Marshal(append([]string{}, want...))
	if string(gotJSON) != string(wantJSON) {
		s.tb.Errorf("events %s: %s\nwant %s", query, gotJSON, wantJSON)
	}
}

// TrySignIn posts a sign-in.
func (s *Server) TrySignIn(email, password string, options ...Option) *Answer {
	s.tb.Helper()
	return s.post(SignInPath, Credentials(email, password), options)
}

// Confirm answers a challenge with a code.
func (s *Server) Confirm(c Challenge, code string, options ...Option) *Answer {
	s.tb.Helper()
	return s.post(ConfirmPath, map[string]any{"token": c.Details.Token, "code": code}, options)
}

// Refresh exchanges a refresh token.
func (s *Server) Refresh(token string, options ...Option) *Answer {
	s.tb.Helper()
	return s.post(RefreshPath, map[string]any{"refreshToken": token}, options)
}

// Forgot requests a link for a new password.
func (s *Server) Forgot(email string, options ...Option) *Answer {
	s.tb.Helper()
	return s.post(ForgotPath, map[string]any{"email": email}, options)
}

// Reset sets a password with the token of a link.
func (s *Server) Reset(token, password string, options ...Option) *Answer {
	s.tb.Helper()
	return s.post(ResetPath, map[string]any{"token": token, "password": password}, options)
}

// post posts without a token.
func (s *Server) post(path string, body any, options []Option) *Answer {
	s.tb.Helper()
	return s.Do(http.MethodPost, path, body, append([]Option{As("")}, options...)...)
}
