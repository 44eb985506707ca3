package backoffice

import (
	"cmp"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
)

// wording completes the text of an error: the core names no header and no parameter.
type wording struct {
	message string // replaces the message, if not empty
	hint    string // follows the message
	field   string // replaces the name of the field, if not empty
}

// wordings has the wording of the Back Office for a code; other codes need none.
var wordings = map[string]wording{
	"timeout":                {hint: " In a list, a narrower filter, or after= instead of a large offset, is faster."},
	"would_lock_out":         {hint: " Repeat with force=true to do it all the same."},
	"idempotency_key_reused": {message: "This Idempotency-Key was used for another request.", field: keyHeader},
	"idempotency_key_taken":  {message: "Another request with this Idempotency-Key came first."},
}

func (w wording) text(message string) string { return cmp.Or(w.message, message) + w.hint }

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
		Detail:    wordings[f.Code].text(f.Message),
		Instance:  c.Request().URL.EscapedPath(),
		Code:      f.Code,
		Errors:    make([]problemField, len(f.Fields)),
		RequestID: c.Response().Header().Get(echo.HeaderXRequestID),
	}
	for i, field := range f.Fields {
		w := wordings[field.Code]
		p.Errors[i] = problemField{
			Field: cmp.Or(w.field, field.Field), Code: field.Code, Message: w.text(field.Message),
		}
	}
	c.Response().Header().Set(echo.HeaderContentType, "application/problem+json")
	c.Response().Status = f.Status
	return c.Echo().JSONSerializer.Serialize(c, p, "")
}
