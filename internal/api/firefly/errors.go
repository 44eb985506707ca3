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

// wording is how Firefly tells of an error: a status, and the name of the
// exception that it would have thrown. Message replaces the error's own.
type wording struct {
	status    int
	exception string // "" for one that lists what is wrong with which field
	message   string
}

// wordings is the one table from what went wrong to how HTTP says so. Clients
// know of no 409: what cannot be done is told like what is not valid.
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

// exceptions are those of a request that is wrong as such.
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

// The codes of this dialect's own complaints about a field.
const (
	codeRequired = "required"
	codeBoolean  = "invalid_boolean"
	codeChoice   = "invalid_choice"
	codeEmail    = "invalid_email"
)

// sentences is how Firefly words what clients may show to people, or look for.
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
	if name == "" { // about others that are not listed
		return f.Message + "."
	}
	if known := sentences[f.Code]; known != "" {
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
