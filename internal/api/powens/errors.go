package powens

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// statuses is the one table from what went wrong to how HTTP says so.
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

// codes is the one table from a status to what Powens calls it. It has no word of
// its own for a conflict, or for too much at once.
var codes = map[int]string{
	http.StatusUnauthorized:        "unauthorized",
	http.StatusForbidden:           "forbidden",
	http.StatusConflict:            "forbidden",
	http.StatusTooManyRequests:     "forbidden",
	http.StatusNotFound:            "notFound",
	http.StatusMethodNotAllowed:    "methodNotAllowed",
	http.StatusInternalServerError: "bug",
	http.StatusServiceUnavailable:  "bug",
}

// errorBody is the body of an error: Description says what kind it is, Message
// what went wrong this time.
type errorBody struct {
	Code        string `json:"code"`
	Description string `json:"description"`
	Message     string `json:"message"`
	RequestID   string `json:"request_id"`
}

func writeError(c echo.Context, err error) error {
	status, body := errorFrom(err)
	body.Description = http.StatusText(status)
	header := c.Response().Header()
	body.RequestID = header.Get(echo.HeaderXRequestID)
	switch status {
	case http.StatusUnauthorized:
		header.Set(echo.HeaderWWWAuthenticate, `Bearer realm="roster"`)
	case http.StatusForbidden:
		header.Set(echo.HeaderWWWAuthenticate, `Bearer realm="roster", error="insufficient_scope"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		header.Set(echo.HeaderRetryAfter, api.RetryAfter(err))
	}
	return c.JSON(status, body)
}

func errorFrom(err error) (int, errorBody) {
	var ours *identity.Error
	var echos *echo.HTTPError
	switch {
	case errors.As(err, &ours) && ours.Kind != identity.Internal:
		status := statuses[ours.Kind]
		body := errorBody{Code: codeOf(status), Message: ours.Message}
		for i, field := range ours.Fields {
			text := strings.TrimSpace(field.Field + " " + field.Message)
			if i == 0 {
				body.Message = text
			} else {
				body.Message += "; " + text
			}
			if field.Code == "required" && status == http.StatusBadRequest {
				body.Code = "missingParameter"
			}
		}
		return status, body
	case errors.As(err, &echos) && echos.Code < http.StatusInternalServerError:
		return echos.Code, errorBody{Code: codeOf(echos.Code), Message: strings.TrimSpace(fmt.Sprint(echos.Message))}
	}
	return http.StatusInternalServerError, errorBody{Code: "bug", Message: "Something went wrong on our side."}
}

func codeOf(status int) string {
	if code := codes[status]; code != "" {
		return code
	}
	return "invalidValue"
}
