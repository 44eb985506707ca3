package api

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
)

// Failure is the part of an error that a caller may see.
type Failure struct {
	Kind identity.Kind
	// Status is the usual status for the failure. A dialect with other statuses has a
	// table by Kind.
	Status int
	// OfRequest says that the HTTP request itself is wrong: its method (405), its
	// Accept header (406), its size (413), its media type (415) or its end (400). Kind
	// is then Invalid.
	OfRequest  bool
	Code       string // stable, machine-readable, snake_case
	Message    string // one sentence for a person
	Fields     []identity.FieldError
	RetryAfter time.Duration // at least a second where the caller must wait, else 0
}

// statuses has the usual status for each kind.
var statuses = map[identity.Kind]int{
	identity.Internal:        http.StatusInternalServerError,
	identity.Invalid:         http.StatusBadRequest,
	identity.Unauthenticated: http.StatusUnauthorized,
	identity.Forbidden:       http.StatusForbidden,
	identity.NotFound:        http.StatusNotFound,
	identity.Conflict:        http.StatusConflict,
	identity.Precondition:    http.StatusPreconditionFailed,
	identity.TooManyRequests: http.StatusTooManyRequests,
	identity.Unavailable:     http.StatusServiceUnavailable,
}

// FailureFrom returns the failure of an *identity.Error or of an *echo.HTTPError below
// 500. Any other error is an internal failure, which reveals nothing of the error.
func FailureFrom(err error) Failure {
	var ours *identity.Error
	var echos *echo.HTTPError
	switch {
	case errors.As(err, &ours) && ours.Kind != identity.Internal:
		f := Failure{
			Kind: ours.Kind, Status: statuses[ours.Kind], Code: ours.Code, Message: ours.Message, Fields: ours.Fields,
		}
		if f.Kind == identity.TooManyRequests || f.Kind == identity.Unavailable {
			f.RetryAfter = max(ours.RetryAfter, time.Second)
		}
		return f
	case ours == nil && errors.As(err, &echos) && echos.Code < http.StatusInternalServerError:
		f := Failure{
			Kind: identity.Invalid, Status: echos.Code, OfRequest: true,
			Code:    strings.ReplaceAll(strings.ToLower(http.StatusText(echos.Code)), " ", "_"),
			Message: fmt.Sprint(echos.Message),
		}
		if f.Status == http.StatusNotFound {
			f.Kind, f.OfRequest = identity.NotFound, false
		}
		return f
	}
	return Failure{
		Kind: identity.Internal, Status: http.StatusInternalServerError,
		Code: "internal_error", Message: "Something went wrong on our side.",
	}
}

// Answer writes the answer to an error: it sets the HTTP headers, WriteError writes the
// status and the body.
func (d Dialect) Answer(c echo.Context, err error) error {
	f := FailureFrom(err)
	header := c.Response().Header()
	scheme := d.Scheme
	for _, route := range d.Routes {
		if route.Scheme != nil && c.Path() == d.Prefix+route.Path {
			scheme = *route.Scheme
		}
	}
	if challenge := scheme.Challenge(f); challenge != "" {
		header.Set(echo.HeaderWWWAuthenticate, challenge)
	}
	if f.RetryAfter > 0 {
		header.Set(echo.HeaderRetryAfter, strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds()))))
	}
	return d.WriteError(c, f)
}
