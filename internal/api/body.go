package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// Bind reads a JSON body into a T, a struct whose fields are pointers: nil where
// the field is absent. The error names every field that is wrong.
func Bind[T any](c echo.Context) (T, error) {
	body, err := ReadJSON(c)
	if err != nil {
		var zero T
		return zero, err
	}
	return Decode[T](body)
}

// ReadJSON reads a JSON body. It takes one without a media type, and one with the
// type that curl gives to --data if it starts like an object, because the samples in
// the documentation are sent that way. Bearer tokens rule out cross-site forgery.
func ReadJSON(c echo.Context) ([]byte, error) {
	mediaType, body, err := ReadBody(c,
		echo.MIMEApplicationJSON, "", "application/merge-patch+json", echo.MIMEApplicationForm)
	if err == nil && mediaType == echo.MIMEApplicationForm && !StartsObject(body) {
		err = RequireJSON(c.Request())
	}
	return body, err
}

// StartsObject reports whether a body starts like a JSON object.
func StartsObject(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{"))
}

// ReadBody reads a body of one of the media types and returns its type; "" stands for
// a body without a type. The error for another type names the preferred one. The
// server has already limited the length of the body.
func ReadBody(c echo.Context, preferred string, others ...string) (mediaType string, body []byte, err error) {
	request := c.Request()
	encoding := request.Header.Get(echo.HeaderContentEncoding)
	if encoding != "" && !strings.EqualFold(encoding, "identity") {
		return "", nil, echo.NewHTTPError(http.StatusUnsupportedMediaType, "Send the body without Content-Encoding.")
	}
	if mediaType, err = requireType(request, preferred, others...); err != nil {
		return "", nil, err
	}
	body, err = io.ReadAll(request.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		err = TooLarge(tooLarge)
	case err != nil:
		err = echo.NewHTTPError(http.StatusBadRequest, "The body could not be read to its end.").SetInternal(err)
	}
	return mediaType, body, err
}

// RequireJSON returns an error unless the media type of a request is
// application/json.
func RequireJSON(request *http.Request) error {
	_, err := requireType(request, echo.MIMEApplicationJSON)
	return err
}

func requireType(request *http.Request, preferred string, others ...string) (mediaType string, err error) {
	unsupported := echo.NewHTTPError(http.StatusUnsupportedMediaType, "Send the body with Content-Type: "+preferred+".")
	if header := request.Header.Get(echo.HeaderContentType); header != "" {
		var parameters map[string]string
		if mediaType, parameters, err = mime.ParseMediaType(header); err != nil {
			return "", unsupported
		}
		if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
			return "", echo.NewHTTPError(http.StatusUnsupportedMediaType, "Send the body in UTF-8.")
		}
	}
	if mediaType != preferred && !slices.Contains(others, mediaType) {
		return "", unsupported
	}
	return mediaType, nil
}

// TooLarge returns the error for a body that is too long.
func TooLarge(e *http.MaxBytesError) error {
	return echo.NewHTTPError(http.StatusRequestEntityTooLarge, fmt.Sprintf("The body may have at most %d bytes.",
		e.Limit)).SetInternal(e)
}
