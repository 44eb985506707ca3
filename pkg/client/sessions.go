package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// Session is a sign-in of a user.
type Session struct {
	ID           int64     `json:"id"`
	CreateTime   time.Time `json:"createTime"`
	LastUsedTime time.Time `json:"lastUsedTime"` // zero for never
	ExpiresAt    time.Time `json:"expiresAt"`
	FreshUntil   time.Time `json:"freshUntil"` // zero for a session that is not fresh
	Address      string    `json:"address"`
	Client       string    `json:"client"`
	Current      bool      `json:"current"` // it is that of this call
}

// IssuedToken is a token of a session.
type IssuedToken struct {
	Token     string    `json:"token"`
	CreatedAt time.Time `json:"createdAt"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// TokenPair is what a sign-in gives.
type TokenPair struct {
	AccessToken  IssuedToken `json:"accessToken"`  // what Token takes
	RefreshToken IssuedToken `json:"refreshToken"` // what Refresh takes, once
}

// SignIn is the answer to a right password: the tokens, or, where CodeRequired is true, what Confirm takes with a code.
type SignIn struct {
	TokenPair

	CodeRequired bool      `json:"2faRequired"`
	Challenge    Challenge `json:"2faDetails"`
	// EnrolmentRequired says that the tokens are good for enrolling an authenticator only.
	EnrolmentRequired bool `json:"2faEnrolmentRequired"`
}

// Challenge is what Confirm takes with a code.
type Challenge struct {
	Token     string    `json:"token"`
	Provider  string    `json:"provider"` // where the code comes from, email or totp
	ExpiresAt time.Time `json:"expiresAt"`
}

// Reauthentication is the answer to Reauthenticate: until when the session is fresh, or, where CodeRequired is true,
// where the code comes from.
type Reauthentication struct {
	FreshUntil   time.Time  `json:"freshUntil"` // zero if a code is needed
	CodeRequired bool       `json:"2faRequired"`
	Code         CodeSource `json:"2faDetails"`
}

// CodeSource is where a code comes from.
type CodeSource struct {
	Provider  string    `json:"provider"` // email or totp
	ExpiresAt time.Time `json:"expiresAt"`
}

// Sessions is the part of the API about signing in.
type Sessions struct{ c *Client }

// SignIn signs a user in. It needs no Token; make another Client with the access token.
func (s *Sessions) SignIn(ctx context.Context, email, password string) (SignIn, error) {
	body := map[string]string{"email": email, "password": password}
	return one[SignIn](ctx, s.c, newCall(http.MethodPost, "/signin", body))
}

// Confirm ends a sign-in that needs a code.
func (s *Sessions) Confirm(ctx context.Context, challenge, code string) (TokenPair, error) {
	body := map[string]string{"token": challenge, "code": code}
	return one[TokenPair](ctx, s.c, newCall(http.MethodPost, "/2fa/confirm", body))
}

// Refresh returns new tokens for a refresh token, which counts once.
func (s *Sessions) Refresh(ctx context.Context, refreshToken string) (TokenPair, error) {
	return one[TokenPair](ctx, s.c, newCall(http.MethodPost, "/refresh", map[string]string{"refreshToken": refreshToken}))
}

// SignOut ends the session of the client's token.
func (s *Sessions) SignOut(ctx context.Context) error {
	_, err := s.c.do(ctx, newCall(http.MethodPost, "/signout", nil), nil)
	return err
}

// Reauthenticate makes the session of the client's token fresh for 15 minutes. A user with a second factor sends no
// code first, which mails one if there is no authenticator, and then the password again with the code.
func (s *Sessions) Reauthenticate(ctx context.Context, password, code string) (Reauthentication, error) {
	body := map[string]string{"password": password}
	if code != "" {
		body["code"] = code
	}
	return one[Reauthentication](ctx, s.c, newCall(http.MethodPost, "/reauthenticate", body))
}

// ForgotPassword mails a link to choose another password, if there is such a user. It needs no Token.
func (s *Sessions) ForgotPassword(ctx context.Context, email string) error {
	_, err := s.c.do(ctx, newCall(http.MethodPost, "/password/forgot", map[string]string{"email": email}), nil)
	return err
}

// ResetPassword sets another password with the token of a mailed link. All sessions of the user end. It needs no Token.
func (s *Sessions) ResetPassword(ctx context.Context, token, password string) error {
	body := map[string]string{"token": token, "password": password}
	_, err := s.c.do(ctx, newCall(http.MethodPost, "/password/reset", body), nil)
	return err
}

// List returns the sessions of a user, the latest first. Me is the caller.
func (s *Sessions) List(ctx context.Context, userID int64, page Page) iter.Seq2[Session, error] {
	return list[Session](ctx, s.c, path("users", userID, "sessions"), page.query())
}

// End ends a session of a user.
func (s *Sessions) End(ctx context.Context, userID, id int64) error {
	return s.c.remove(ctx, path("users", userID, "sessions", id))
}

// EndAll ends all sessions of a user but that of this call.
func (s *Sessions) EndAll(ctx context.Context, userID int64) error {
	return s.c.remove(ctx, path("users", userID, "sessions"))
}
