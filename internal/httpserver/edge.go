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

// patience is how long a client may go on sending a body that has been refused:
// long enough to get its answer, which a connection cut at once would take away.
const patience = 500 * time.Millisecond

// limitBody refuses a request body of more than most bytes: one that is declared
// to be longer before anything is read or anyone is asked, any other where it is
// read. The connection is given up, for the rest of the body is not worth reading.
func limitBody(most int64, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		request, response := c.Request(), c.Response()
		var err error
		if request.ContentLength > most {
			err = api.TooLarge(&http.MaxBytesError{Limit: most})
		} else {
			request.Body = http.MaxBytesReader(response.Writer, request.Body, most)
			err = next(c)
		}
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			response.Header().Set(echo.HeaderConnection, "close")
			// Where there is no deadline to set there is no connection to hold.
			_ = http.NewResponseController(response).SetReadDeadline(time.Now().Add(patience))
		}
		return err
	}
}

// limitTime ends the work on a request after limit, or requestTimeout where it is
// 0. A route with a limit of its own may take as long to read its body and to send
// its answer: the server's own deadlines for that are for short requests.
func limitTime(limit time.Duration, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if limit > 0 {
			// Where there is no deadline to set there is no connection to hold.
			controller, deadline := http.NewResponseController(c.Response()), time.Now().Add(limit+writeTimeout)
			_ = controller.SetReadDeadline(deadline)
			_ = controller.SetWriteDeadline(deadline)
		}
		ctx, cancel := context.WithTimeout(c.Request().Context(), cmp.Or(limit, requestTimeout))
		defer cancel()
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}
