package api

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// Link returns the address of a path for a client: absolute where it is known
// where clients reach the service, else the path itself. The Host header, which
// the client chooses, is not to be believed.
func Link(publicURL *url.URL, path string) string {
	if publicURL == nil {
		return path
	}
	return publicURL.Scheme + "://" + publicURL.Host + path
}

// Challenge returns the WWW-Authenticate header of RFC 6750 §3 for the code of
// an error: with an error only where it is one of a token's.
func Challenge(code string) string {
	if code != "invalid_token" && code != "insufficient_scope" {
		return `Bearer realm="roster"`
	}
	return fmt.Sprintf(`Bearer realm="roster", error="%s"`, code)
}

// RetryAfter returns the Retry-After header for an error: whole seconds, at
// least one.
func RetryAfter(err error) string {
	wait := time.Second
	var ours *identity.Error
	if errors.As(err, &ours) && ours.RetryAfter > wait {
		wait = ours.RetryAfter
	}
	return strconv.Itoa(int(math.Ceil(wait.Seconds())))
}
