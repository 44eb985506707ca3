package httpserver

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
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

// fromNoOtherSite keeps the pages of other sites from making a browser call a
// public route, whose tries are counted: they could lock a person out. A form can
// send any type but JSON without asking, and what a script may send browsers mark
// with Sec-Fetch-Site. Other routes need a bearer token, which no browser adds by
// itself.
func fromNoOtherSite(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().Header.Get("Sec-Fetch-Site") == "cross-site" {
			return identity.Errorf(identity.Forbidden, "cross_site_request", "The pages of other sites may not do this.")
		}
		if err := api.RequireJSON(c.Request()); err != nil {
			return err
		}
		return next(c)
	}
}
