package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
)

// Scheme is the authentication scheme of a dialect.
type Scheme struct {
	// Credential returns the credential of a request, which the service then checks. It
	// returns Unauthenticated where there is none.
	Credential func(*http.Request) (string, error)
	// Challenge returns the WWW-Authenticate header of an answer, "" for none.
	Challenge func(Failure) string
	// Guard returns an error for a request that a page of another site can make a
	// browser send. It runs before all other work on a request.
	Guard func(r *http.Request, public bool) error
}

// Bearer is the scheme of RFC 6750: a token in the Authorization header.
var Bearer = Scheme{Credential: bearerToken, Challenge: bearerChallenge, Guard: guardPublic}

// BearerOrBasic is Bearer, or the token as the password of HTTP Basic, as clients of
// OAuth 2.0 send their secrets (RFC 6749 §2.3.1).
var BearerOrBasic = Scheme{Credential: bearerOrBasicToken, Challenge: bearerOrBasicChallenge, Guard: guardPublic}

// bearerOrBasicToken reads the token of a request. The user of HTTP Basic says nothing:
// the token alone tells whose it is. The token is encoded as in a form.
func bearerOrBasicToken(r *http.Request) (string, error) {
	_, password, ok := r.BasicAuth()
	if !ok || len(r.Header.Values(echo.HeaderAuthorization)) > 1 {
		return bearerToken(r)
	}
	token, err := url.QueryUnescape(password)
	if err != nil {
		return "", identity.InvalidField(echo.HeaderAuthorization, "malformed_credentials",
			"must have the token encoded as in a form (RFC 6749, 2.3.1)")
	}
	if token == "" {
		return "", errMissingToken()
	}
	return token, nil
}

// bearerOrBasicChallenge names both schemes where no token or a bad one was sent.
func bearerOrBasicChallenge(f Failure) string {
	bearer := bearerChallenge(f)
	if f.Kind != identity.Unauthenticated {
		return bearer
	}
	return bearer + `, Basic realm="roster"`
}

// bearerToken reads the token of a request from the Authorization header (RFC 6750
// §2.1). It returns Unauthenticated where there is none and Invalid where the header is
// repeated.
func bearerToken(r *http.Request) (string, error) {
	headers := r.Header.Values(echo.HeaderAuthorization)
	if len(headers) > 1 {
		return "", identity.InvalidField(echo.HeaderAuthorization, "repeated", "must not be repeated")
	}
	if len(headers) == 1 {
		scheme, credential, _ := strings.Cut(headers[0], " ")
		credential = strings.TrimSpace(credential)
		if strings.EqualFold(scheme, "Bearer") && credential != "" {
			return credential, nil
		}
	}
	return "", errMissingToken()
}

func errMissingToken() error {
	return identity.Errorf(identity.Unauthenticated, "missing_token",
		"Send an access token: Authorization: Bearer <token>.")
}

// bearerChallenge returns the challenge of RFC 6750 §3, with an error only if the
// request had a token.
func bearerChallenge(f Failure) string {
	switch {
	case f.Kind == identity.Forbidden:
		return challenge("insufficient_scope")
	case f.Kind != identity.Unauthenticated:
		return ""
	case f.Code == "invalid_token" || f.Code == "insufficient_scope":
		return challenge(f.Code)
	}
	return BearerRealm
}

// BearerRealm is the challenge without an error.
const BearerRealm = `Bearer realm="roster"` //nolint:gosec // not a credential

func challenge(code string) string { return fmt.Sprintf(`%s, error="%s"`, BearerRealm, code) }

// guardPublic rejects a call of a public route that the page of another site makes a
// browser send: public routes count attempts, so such a page could lock a user out. A
// form can send any type but JSON without a preflight request, and browsers mark the
// requests of scripts with Sec-Fetch-Site. Other routes need a token, which a browser
// does not add by itself.
func guardPublic(r *http.Request, public bool) error {
	if !public {
		return nil
	}
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return identity.Errorf(identity.Forbidden, "cross_site_request", "The pages of other sites may not do this.")
	}
	return RequireJSON(r)
}
