package powens

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// codes holds the code of Powens for a status. Powens has no code of its own for a
// conflict or for too many requests.
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

// errorBody is the body of an error. Description is the text of the status, Message
// that of the error.
type errorBody struct {
	Code        string `json:"code"`
	Description string `json:"description"`
	Message     string `json:"message"`
	RequestID   string `json:"request_id"`
}

func writeError(c echo.Context, f api.Failure) error {
	body := errorBody{
		Code:        codeOf(f.Status),
		Description: http.StatusText(f.Status),
		Message:     f.Message,
		RequestID:   c.Response().Header().Get(echo.HeaderXRequestID),
	}
	var texts []string
	for _, field := range f.Fields {
		texts = append(texts, strings.TrimSpace(field.Field+" "+field.Message))
		if field.Code == "required" && f.Kind == identity.Invalid {
			body.Code = "missingParameter"
		}
	}
	if len(texts) > 0 {
		body.Message = strings.Join(texts, "; ")
	}
	return c.JSON(f.Status, body)
}

// challenge returns the same challenge for a wrong token and for none.
func challenge(f api.Failure) string {
	if f.Kind == identity.Unauthenticated {
		return api.BearerRealm
	}
	return api.Bearer.Challenge(f)
}

func codeOf(status int) string {
	if code := codes[status]; code != "" {
		return code
	}
	return "invalidValue"
}
