package backoffice

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
)

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

// writeError answers with a problem document.
func writeError(c echo.Context, f api.Failure) error {
	p := problem{
		Type:      "about:blank",
		Title:     http.StatusText(f.Status),
		Status:    f.Status,
		Detail:    f.Message,
		Instance:  c.Request().URL.EscapedPath(),
		Code:      f.Code,
		Errors:    make([]problemField, len(f.Fields)),
		RequestID: c.Response().Header().Get(echo.HeaderXRequestID),
	}
	for i, field := range f.Fields {
		p.Errors[i] = problemField(field)
	}
	c.Response().Header().Set(echo.HeaderContentType, "application/problem+json")
	c.Response().Status = f.Status
	return c.Echo().JSONSerializer.Serialize(c, p, "")
}
