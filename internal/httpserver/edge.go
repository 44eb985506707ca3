package httpserver

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
)

// rejectedBodyTimeout is how long a client may go on sending a body that has been
// rejected. If the server cut the connection at once, the client would lose the answer.
const rejectedBodyTimeout = 500 * time.Millisecond

// limitBody rejects a request body of more than limit bytes: where the declared length
// is larger, before authentication, else when the handler reads the body. It then
// closes the connection instead of reading the rest of the body.
func limitBody(limit int64, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		request, response := c.Request(), c.Response()
		var err error
		if request.ContentLength > limit {
			err = api.TooLarge(&http.MaxBytesError{Limit: limit})
		} else {
			request.Body = http.MaxBytesReader(response.Writer, request.Body, limit)
			err = next(c)
		}
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			response.Header().Set(echo.HeaderConnection, "close")
			// An error means that the writer has no connection, so there is nothing to limit.
			_ = http.NewResponseController(response).SetReadDeadline(time.Now().Add(rejectedBodyTimeout))
		}
		return err
	}
}

// limitTime cancels the context of a request after limit, or after the server's Timeout where
// limit is 0. A route with its own limit may also read its body and send its answer for
// that long; the server's deadlines are too short for it.
func (s *Server) limitTime(limit time.Duration, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if limit > 0 {
			// An error means that the writer has no connection, so there is nothing to limit.
			controller, deadline := http.NewResponseController(c.Response()), time.Now().Add(limit+writeTimeout)
			_ = controller.SetReadDeadline(deadline)
			_ = controller.SetWriteDeadline(deadline)
		}
		ctx, cancel := context.WithTimeout(c.Request().Context(), cmp.Or(limit, s.options.Timeout))
		defer cancel()
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}
