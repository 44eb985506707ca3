package backoffice

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

// problem is the body of an error (RFC 9457) with our extensions code, errors
// and requestId.
type problem struct {
	Type      string         `json:"type"`
	Title     string         `json:"title"`
	Status    int            `json:"status"`
	Detail    string         `json:"detail"`
	Instance  string         `json:"instance"`
	Code      string         `json:"code"`
	Errors    []problemField `json:"errors"`
	RequestID string         `json:"requestId"`
}

type problemField struct {
	Field   string `json:"field"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// writeError answers with a problem document. Of an error without a kind it
// tells nothing but that there was one.
func writeError(c echo.Context, err error) error {
	p := problemFrom(err)
	p.Type = "about:blank"
	p.Title = http.StatusText(p.Status)
	p.Instance = c.Request().URL.EscapedPath()
	p.RequestID = c.Response().Header().Get(echo.HeaderXRequestID)

	header := c.Response().Header()
	switch p.Status {
	case http.StatusUnauthorized:
		header.Set(echo.HeaderWWWAuthenticate, api.Challenge(p.Code))
	case http.StatusForbidden:
		header.Set(echo.HeaderWWWAuthenticate, api.Challenge("insufficient_scope"))
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		header.Set(echo.HeaderRetryAfter, api.RetryAfter(err))
	}
	header.Set(echo.HeaderContentType, "application/problem+json")
	c.Response().Status = p.Status
	return c.Echo().JSONSerializer.Serialize(c, p, "")
}

func problemFrom(err error) problem {
	var ours *identity.Error
	var echos *echo.HTTPError
	switch {
	case errors.As(err, &ours) && ours.Kind != identity.Internal:
		p := problem{Status: statuses[ours.Kind], Code: ours.Code, Detail: ours.Message, Errors: []problemField{}}
		for _, f := range ours.Fields {
			p.Errors = append(p.Errors, problemField(f))
		}
		return p
	case errors.As(err, &echos) && echos.Code < http.StatusInternalServerError:
		code := strings.ReplaceAll(strings.ToLower(http.StatusText(echos.Code)), " ", "_")
		return problem{Status: echos.Code, Code: code, Detail: fmt.Sprint(echos.Message), Errors: []problemField{}}
	}
	return problem{
		Status: http.StatusInternalServerError, Code: "internal_error", Detail: "Something went wrong on our side.", Errors: []problemField{},
	}
}
