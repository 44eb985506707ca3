package cli

import (
	"context"
	"net/http"
	"time"

	"github.com/rosterhq/roster/pkg/client"
)

// bearer adds a token to each request: a fixed one, or that of a session, which is renewed in time. A command may
// run for longer than an access token lives.
type bearer struct {
	token   secretText
	session *session // nil for a fixed token
}

// RoundTrip sends a request with the token.
func (b bearer) RoundTrip(request *http.Request) (*http.Response, error) {
	token := b.token
	if b.session != nil {
		var err error
		if token, err = b.session.token(request.Context()); err != nil {
			return nil, err
		}
	}
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+string(token))
	return http.DefaultTransport.RoundTrip(request)
}

// session is the session of a context.
type session struct {
	store contextStore
	name  string
}

// early is how long before its end an access token is replaced.
const early = time.Minute

// token returns an access token that is still good. A refresh token counts once, and its second use ends the
// session: so one process at a time reads it, exchanges it and writes the next.
func (s *session) token(ctx context.Context) (secretText, error) {
	file, err := s.store.read()
	if err != nil {
		return "", err
	}
	if saved, ok := file.find(s.name); ok && time.Until(saved.ExpiresAt) > early {
		return saved.AccessToken, nil
	}
	var token secretText
	err = s.store.change(ctx, func(file *contextFile) error {
		saved, ok := file.find(s.name)
		if !ok {
			return notSignedIn("the context %q is gone: run roster login", s.name)
		}
		if time.Until(saved.ExpiresAt) <= early { // no other process has renewed it meanwhile
			if err := saved.refresh(ctx); err != nil {
				return err
			}
			file.put(saved)
		}
		token = saved.AccessToken
		return nil
	})
	return token, err
}

// refresh exchanges the refresh token.
func (c *savedContext) refresh(ctx context.Context) error {
	roster, err := client.New(c.URL)
	if err != nil {
		return err
	}
	pair, err := roster.Sessions.Refresh(ctx, string(c.RefreshToken))
	if ExitCode(err) == ExitNotSignedIn {
		return notSignedIn("your session at %s is over: run roster login %[1]s", c.URL)
	}
	if err != nil {
		return err
	}
	c.take(pair)
	return nil
}

func (c *savedContext) take(pair client.TokenPair) {
	c.AccessToken, c.ExpiresAt = secretText(pair.AccessToken.Token), pair.AccessToken.ExpiresAt
	c.RefreshToken = secretText(pair.RefreshToken.Token)
}
