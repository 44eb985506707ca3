package powens

import (
	"net/http"
	"net/http/httptest"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
)

// Answer is how a dialect tells of an error.
func Answer(dialect api.Dialect, err error) (status int, body []byte) {
	recorder := httptest.NewRecorder()
	c := echo.New().NewContext(httptest.NewRequest(http.MethodGet, Prefix+"/users", http.NoBody), recorder) //nolint:noctx // no request is sent
	if err := dialect.WriteError(c, err); err != nil {
		panic(err)
	}
	return recorder.Code, recorder.Body.Bytes()
}
