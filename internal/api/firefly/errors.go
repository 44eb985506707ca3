package firefly

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// failure is how Firefly tells of an error: a status, and the name of the
// exception that it would have thrown. Message replaces the error's own.
type failure struct {
	status    int
	exception string // "" for one that lists what is wrong with which field
	message   string
}

var (
	internal = failure{http.StatusInternalServerError, "UndisclosedException", "Something went wrong on our side."}
	notFound = failure{http.StatusNotFound, "NotFoundHttpException", "Resource not found"}
)

// failures is the one table from what went wrong to how HTTP says so. Clients
// know of no 409: what cannot be done is told like what is not valid.
var failures = map[identity.Kind]failure{
	identity.Internal:        internal,
	identity.Invalid:         {status: http.StatusUnprocessableEntity},
	identity.Unauthenticated: {http.StatusUnauthorized, "AuthenticationException", "Unauthenticated"},
	identity.Forbidden:       {http.StatusUnauthorized, "AuthorizationException", ""},
	identity.NotFound:        notFound,
	identity.Conflict:        {status: http.StatusUnprocessableEntity},
	identity.Precondition:    {http.StatusPreconditionFailed, "PreconditionFailedHttpException", ""},
	identity.TooManyRequests: {http.StatusTooManyRequests, "ThrottleRequestsException", ""},
	identity.Unavailable:     {http.StatusServiceUnavailable, "ServiceUnavailableHttpException", ""},
}

// exceptions are those for what Echo and the reading of bodies complain of.
var exceptions = map[int]string{
	http.StatusMethodNotAllowed:      "MethodNotAllowedHttpException",
	http.StatusNotAcceptable:         "BadHttpHeaderException",
	http.StatusUnsupportedMediaType:  "BadHttpHeaderException",
	http.StatusRequestEntityTooLarge: "PostTooLargeException",
}

// errorBody has Errors, or else Exception.
type errorBody struct {
	Message   string              `json:"message"`
	Exception string              `json:"exception,omitempty"`
	Errors    map[string][]string `json:"errors,omitzero"`
}

// writeError answers with an error. Of one without a kind it tells nothing but
// that there was one.
func writeError(c echo.Context, err error) error {
	header := c.Response().Header()
	f := internal
	body := errorBody{}
	var ours *identity.Error
	var echos *echo.HTTPError
	switch {
	case errors.As(err, &ours):
		f = failures[ours.Kind]
		body = bodyFrom(f, ours)
		if ours.Kind == identity.Unauthenticated {
			header.Set(echo.HeaderWWWAuthenticate, api.Challenge(ours.Code))
		}
		if ours.Kind == identity.Forbidden {
			header.Set(echo.HeaderWWWAuthenticate, api.Challenge("insufficient_scope"))
		}
	case errors.As(err, &echos) && echos.Code == http.StatusNotFound:
		f = notFound
	case errors.As(err, &echos) && echos.Code < http.StatusInternalServerError:
		f = failure{echos.Code, cmp.Or(exceptions[echos.Code], "BadRequestHttpException"), fmt.Sprint(echos.Message)}
	}
	if f.message != "" {
		body = errorBody{Message: f.message, Exception: f.exception}
	}
	if f.status == http.StatusTooManyRequests || f.status == http.StatusServiceUnavailable {
		header.Set(echo.HeaderRetryAfter, api.RetryAfter(err))
	}
	return write(c, f.status, echo.MIMEApplicationJSON, body)
}

func bodyFrom(f failure, e *identity.Error) errorBody {
	body := errorBody{Message: e.Message, Exception: f.exception}
	if f.exception != "" {
		return body
	}
	body.Errors = map[string][]string{}
	for i, field := range e.Fields {
		text := sentence(field)
		body.Errors[field.Field] = append(body.Errors[field.Field], text)
		if i == 0 {
			body.Message = text
		}
	}
	switch more := len(e.Fields) - 1; {
	case more == 1:
		body.Message += " (and 1 more error)"
	case more > 1:
		body.Message += fmt.Sprintf(" (and %d more errors)", more)
	}
	return body
}

// The codes of this dialect's own complaints about a field.
const (
	codeRequired = "required"
	codeBoolean  = "invalid_boolean"
	codeChoice   = "invalid_choice"
	codeEmail    = "invalid_email"
)

// wording is how Firefly words what clients may show to people, or look for.
var wording = map[string]string{
	codeRequired:  "The %s field is required.",
	codeBoolean:   "The %s field must be true or false.",
	codeChoice:    "The selected %s is invalid.",
	codeEmail:     "The %s must be a valid email address.",
	"email_taken": "The %s has already been taken.",
}

func sentence(f identity.FieldError) string {
	name := strings.ReplaceAll(f.Field, "_", " ")
	if name == "email" {
		name = "email address"
	}
	if name == "" { // about others that are not listed
		return f.Message + "."
	}
	if known := wording[f.Code]; known != "" {
		return fmt.Sprintf(known, name)
	}
	return "The " + name + " field " + f.Message + "."
}

// write answers with a body of a media type.
func write(c echo.Context, status int, mediaType string, body any) error {
	c.Response().Header().Set(echo.HeaderContentType, mediaType)
	c.Response().Status = status
	return c.Echo().JSONSerializer.Serialize(c, body, "")
}
