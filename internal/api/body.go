package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
)

const (
	// MaxBodyBytes bounds a request body.
	MaxBodyBytes = 1 << 20
	// maxDrainBytes is how much of a body that is too large is read all the same:
	// a client that is still sending when the answer comes would not read it.
	maxDrainBytes = 16 << 20
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

// ReadJSON reads a body that claims to be JSON. So does one without a type, and
// one of the type that curl gives to --data, when it starts like an object: the
// documentation's own samples are sent that way, and bearer tokens leave no
// room for cross-site forgery.
func ReadJSON(c echo.Context) ([]byte, error) {
	mediaType, body, err := ReadBody(c, echo.MIMEApplicationJSON, "", "application/merge-patch+json", echo.MIMEApplicationForm)
	if err == nil && mediaType == echo.MIMEApplicationForm && !StartsObject(body) {
		err = unsupportedType(echo.MIMEApplicationJSON)
	}
	return body, err
}

// StartsObject reports whether a body starts like a JSON object.
func StartsObject(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{"))
}

// ReadBody reads a body that claims to be of one of the media types and returns
// which; "" stands for one without a type. Who sends another one is told to send
// the preferred one.
func ReadBody(c echo.Context, preferred string, others ...string) (mediaType string, body []byte, err error) {
	request := c.Request()
	if encoding := request.Header.Get(echo.HeaderContentEncoding); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return "", nil, echo.NewHTTPError(http.StatusUnsupportedMediaType, "Send the body without Content-Encoding.")
	}
	if header := request.Header.Get(echo.HeaderContentType); header != "" {
		var parameters map[string]string
		if mediaType, parameters, err = mime.ParseMediaType(header); err != nil {
			return "", nil, unsupportedType(preferred)
		}
		if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
			return "", nil, echo.NewHTTPError(http.StatusUnsupportedMediaType, "Send the body in UTF-8.")
		}
	}
	if mediaType != preferred && !slices.Contains(others, mediaType) {
		return "", nil, unsupportedType(preferred)
	}
	body, err = readBody(request)
	return mediaType, body, err
}

func unsupportedType(preferred string) error {
	return echo.NewHTTPError(http.StatusUnsupportedMediaType, "Send the body with Content-Type: "+preferred+".")
}

func readBody(request *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(request.Body, MaxBodyBytes+1))
	if err != nil {
		return nil, echo.NewHTTPError(http.StatusBadRequest, "The body could not be read to its end.").SetInternal(err)
	}
	if len(body) > MaxBodyBytes {
		if request.ContentLength <= maxDrainBytes {
			_, _ = io.CopyN(io.Discard, request.Body, maxDrainBytes)
		}
		return nil, echo.NewHTTPError(http.StatusRequestEntityTooLarge, fmt.Sprintf("The body may have at most %d bytes.", MaxBodyBytes))
	}
	return body, nil
}

// ParseObject reads a JSON object, and reads it in the one way that everybody
// would: valid UTF-8, nothing after the object, no key twice (at any depth), no
// NUL and no half of a surrogate pair in any string.
func ParseObject(body []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(body) {
		return nil, malformed("The body is not valid UTF-8.")
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil || object == nil {
		var syntax *json.SyntaxError
		switch {
		case len(bytes.TrimSpace(body)) == 0:
			return nil, malformed("The body is empty; send a JSON object.")
		case errors.As(err, &syntax):
			return nil, malformed("The body is not valid JSON at byte %d.", syntax.Offset)
		}
		return nil, malformed("The body must be a JSON object.")
	}
	if err := checkEscapes(body); err != nil {
		return nil, err
	}
	return object, checkKeys(body)
}

func malformed(format string, args ...any) error {
	return identity.Errorf(identity.Invalid, "malformed_json", format, args...)
}

// checkEscapes looks for escapes that encoding/json would let pass or silently
// replace: \u0000, which no database keeps in a text, and lone surrogates. body
// is valid JSON.
func checkEscapes(body []byte) error {
	const digits = 4
	unit := func(at int) int { // the UTF-16 unit of the escape \uXXXX at a place, or -1
		if at+2+digits > len(body) || body[at] != '\\' || body[at+1] != 'u' {
			return -1
		}
		n, err := strconv.ParseUint(string(body[at+2:at+2+digits]), 16, 16)
		if err != nil {
			return -1
		}
		return int(n)
	}
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		switch n := unit(i); {
		case n == 0:
			return malformed("The body has a NUL character at byte %d.", i)
		case 0xDC00 <= n && n <= 0xDFFF:
			return malformed("The body has half a surrogate pair at byte %d.", i)
		case 0xD800 <= n && n <= 0xDBFF:
			low := unit(i + 2 + digits)
			if low < 0xDC00 || low > 0xDFFF {
				return malformed("The body has half a surrogate pair at byte %d.", i)
			}
			i += 2 + digits // the low half
		}
		i++ // what is escaped: it may be a backslash itself
	}
	return nil
}

// checkKeys refuses an object, at any depth, that has a key twice: readers
// disagree on which one counts. body is valid JSON.
func checkKeys(body []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	type level struct {
		keys  map[string]bool // nil in an array
		isKey bool            // the next token is a key
	}
	var levels []level
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return malformed("The body is not valid JSON.")
		}
		switch token {
		case json.Delim('{'):
			levels = append(levels, level{keys: map[string]bool{}, isKey: true})
			continue
		case json.Delim('['):
			levels = append(levels, level{})
			continue
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
		}
		if len(levels) == 0 {
			continue
		}
		top := &levels[len(levels)-1]
		key, isText := token.(string)
		if top.isKey && isText {
			if top.keys[key] {
				return identity.InvalidField(shorten(key), "duplicate_field", "is there twice")
			}
			top.keys[key], top.isKey = true, false
			continue
		}
		top.isKey = top.keys != nil // a value is over
	}
}

// shorten makes a name that the caller chose fit to be repeated to the caller.
func shorten(name string) string {
	const most = 64
	if utf8.RuneCountInString(name) <= most {
		return name
	}
	return string([]rune(name)[:most]) + "…"
}
