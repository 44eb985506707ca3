package api

import (
	"net/http"

	"github.com/rosterhq/roster/internal/identity"
)

// CookieName returns the name of the cookie that holds the token of a browser's session.
// Over HTTPS the name has the prefix that makes browsers refuse a cookie that another host
// of the domain sets (RFC 6265bis §4.1.3.2).
func CookieName(secure bool) string {
	if secure {
		return "__Host-roster"
	}
	return "roster"
}

// Cookie is the scheme of a browser: the token in a cookie. Guard refuses requests that
// change something and come from a page of another origin.
func Cookie(secure bool) Scheme {
	protection := http.NewCrossOriginProtection()
	return Scheme{
		Credential: func(r *http.Request) (string, error) { return cookieToken(r, CookieName(secure)) },
		Challenge:  func(Failure) string { return "" },
		Guard: func(r *http.Request, _ bool) error {
			if err := protection.Check(r); err != nil {
				return identity.Errorf(identity.Forbidden, "cross_site_request",
					"This was sent by a page of another site. Roster takes changes from its own pages only.")
			}
			return nil
		},
	}
}

// BearerOrCookie is Bearer, or the cookie of a browser where no token is sent, for a call
// that changes nothing.
func BearerOrCookie(secure bool) Scheme {
	scheme := Bearer
	scheme.Credential = func(r *http.Request) (string, error) {
		if len(r.Header.Values("Authorization")) == 0 {
			if token, err := cookieToken(r, CookieName(secure)); err == nil {
				return token, nil
			}
		}
		return bearerToken(r)
	}
	return scheme
}

func cookieToken(r *http.Request, name string) (string, error) {
	cookies := r.CookiesNamed(name)
	if len(cookies) != 1 || cookies[0].Value == "" {
		return "", identity.Errorf(identity.Unauthenticated, "missing_token", "Sign in first.")
	}
	return cookies[0].Value, nil
}
