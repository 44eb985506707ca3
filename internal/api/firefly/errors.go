package firefly

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// wording is the form of an error in Firefly: a status, and the name of the exception
// that Firefly throws. Message replaces the message of the error.
type wording struct {
	status    int
	exception string // "" for an error that lists the wrong fields
	message   string
}

// wordings maps the kinds of errors. Clients do not know the status 409, so a conflict
// has the form of an invalid request.
var wordings = map[identity.Kind]wording{
	identity.Internal:        {http.StatusInternalServerError, "UndisclosedException", ""},
	identity.Invalid:         {status: http.StatusUnprocessableEntity},
	identity.Unauthenticated: {http.StatusUnauthorized, "AuthenticationException", "Unauthenticated"},
	identity.Forbidden:       {http.StatusUnauthorized, "AuthorizationException", ""},
	identity.NotFound:        {http.StatusNotFound, "NotFoundHttpException", "Resource not found"},
	identity.Conflict:        {status: http.StatusUnprocessableEntity},
	identity.Precondition:    {http.StatusPreconditionFailed, "PreconditionFailedHttpException", ""},
	identity.TooManyRequests: {http.StatusTooManyRequests, "ThrottleRequestsException", ""},
	identity.Unavailable:     {http.StatusServiceUnavailable, "ServiceUnavailableHttpException", ""},
}

// exceptions holds the exceptions for Failure.OfRequest, by status.
var exceptions = map[int]string{
	http.StatusMethodNotAllowed:      "MethodNotAllowedHttpException",
	http.StatusNotAcceptable:         "BadHttpHeaderException",
	http.StatusUnsupportedMediaType:  "BadHttpHeaderException",
	http.StatusRequestEntityTooLarge: "PostTooLargeException",
}

// errorBody has either Errors or Exception.
type errorBody struct {
	Message   string              `json:"message"`
	Exception string              `json:"exception,omitempty"`
	Errors    map[string][]string `json:"errors,omitzero"`
}

func writeError(c echo.Context, f api.Failure) error {
	w := wordings[f.Kind]
	if f.OfRequest {
		w = wording{status: f.Status, exception: cmp.Or(exceptions[f.Status], "BadRequestHttpException")}
	}
	return write(c, w.status, echo.MIMEApplicationJSON, bodyFrom(w, f))
}

func bodyFrom(w wording, f api.Failure) errorBody {
	body := errorBody{Message: cmp.Or(w.message, f.Message), Exception: w.exception}
	if w.exception != "" {
		return body
	}
	body.Errors = map[string][]string{}
	for i, field := range f.Fields {
		text := sentence(field)
		body.Errors[field.Field] = append(body.Errors[field.Field], text)
		if i == 0 {
			body.Message = text
		}
	}
	switch more := len(f.Fields) - 1; {
	case more == 1:
		body.Message += " (and 1 more error)"
	case more > 1:
		body.Message += fmt.Sprintf(" (and %d more errors)", more)
	}
	return body
}

// The codes of the field errors that only this dialect has.
const (
	codeRequired = "required"
	codeBoolean  = "invalid_boolean"
	codeChoice   = "invalid_choice"
	codeEmail    = "invalid_email"
)

// sentences holds Firefly's own text for field errors: clients show it or compare it.
var sentences = map[string]string{
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
	if name == "" { // the number of fields that are not listed
		return f.Message + "."
	}
	if known := sentences[f.Code]; known != "" {
		return fmt.Sprintf(known, name)
	}
	return "The " + name + " field " + f.Message + "."
}

// write writes an answer with a body of a media type.
func write(c echo.Context, status int, mediaType string, body any) error {
	c.Response().Header().Set(echo.HeaderContentType, mediaType)
	c.Response().Status = status
	return c.Echo().JSONSerializer.Serialize(c, body, "")
}
