package api

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
)

// Query reads query parameters strictly: an unknown, repeated or wrong one is an
// error, because a filter that is silently lost shows or changes too much. Read every
// parameter, then call Err.
type Query struct {
	values   url.Values
	read     map[string]bool
	problems identity.Problems
}

// maxParameters is more than any request needs.
const maxParameters = 256

// NewQuery reads the query of a request.
func NewQuery(c echo.Context) *Query { return parseQuery(c.Request().URL.RawQuery) }

// ReadForm reads a body of application/x-www-form-urlencoded with the same rules.
func ReadForm(c echo.Context) (*Query, error) {
	_, body, err := ReadBody(c, echo.MIMEApplicationForm)
	if err != nil {
		return nil, err
	}
	return parseQuery(string(body)), nil
}

func parseQuery(text string) *Query {
	q := &Query{read: map[string]bool{}}
	values, err := ParseForm(text)
	if err != nil {
		q.fail("query", "malformed_query", "is not a valid query string of at most %d parameters", maxParameters)
		return q
	}
	q.values = values
	return q
}

// QueryOf returns parameters that a body has, under the same rules.
func QueryOf(values url.Values) *Query { return &Query{values: values, read: map[string]bool{}} }

// ParseForm parses the parameters of a form or a URL. It returns an error for malformed
// text and for more than maxParameters.
func ParseForm(text string) (url.Values, error) {
	if strings.Count(text, "&") >= maxParameters {
		return nil, errors.New("too many parameters")
	}
	return url.ParseQuery(text)
}

// Err returns one Invalid error for everything that is wrong with the query, or nil.
func (q *Query) Err() error {
	for _, name := range slices.Sorted(maps.Keys(q.values)) {
		if !q.read[name] {
			name = shorten(strings.ToValidUTF8(name, "\uFFFD"))
			q.fail(name, "unknown_parameter", "is not a parameter of this request")
		}
	}
	return q.problems.Err()
}

// ErrOfKnown is Err for an API whose clients send parameters of their own: an unknown
// one is no error.
func (q *Query) ErrOfKnown() error { return q.problems.Err() }

func (q *Query) fail(name, code, format string, args ...any) {
	q.problems.Add(name, code, fmt.Sprintf(format, args...))
}

// Has reports whether the parameter is present and readable.
func (q *Query) Has(name string) bool {
	_, ok := q.Get(name)
	return ok
}

// Fail records that a parameter has a bad value.
func (q *Query) Fail(name, code, message string) { q.fail(name, code, "%s", message) }

// Get returns a parameter unchanged, if it is present and readable.
func (q *Query) Get(name string) (string, bool) {
	values, present := q.values[name]
	first := !q.read[name]
	q.read[name] = true
	if !present {
		return "", false
	}
	problem := ""
	switch {
	case len(values) > 1:
		problem = "must not be repeated"
	case !utf8.ValidString(values[0]) || strings.ContainsRune(values[0], 0):
		problem = "must be valid UTF-8 without NUL"
	}
	if problem != "" {
		if first {
			q.fail(name, "invalid_parameter", "%s", problem)
		}
		return "", false
	}
	return values[0], true
}

// All returns the values of a parameter that may be repeated.
func (q *Query) All(name string) []string {
	q.read[name] = true
	return q.values[name]
}

// Text returns a parameter of at most maxLength characters, "" where it is absent.
func (q *Query) Text(name string, maxLength int) string {
	s, _ := q.Get(name)
	if utf8.RuneCountInString(s) > maxLength {
		q.fail(name, "too_long", "must have at most %d characters", maxLength)
		return ""
	}
	return s
}

// Int returns a parameter in decimal digits, or the fallback where it is absent or
// wrong. A number beyond int64 counts as the largest int64.
func (q *Query) Int(name string, minimum, maximum, fallback int64) int64 {
	s, ok := q.Get(name)
	if !ok {
		return fallback
	}
	return q.IntOf(name, s, minimum, maximum, fallback)
}

// IntOf is Int for a text that is part of a parameter.
func (q *Query) IntOf(name, s string, minimum, maximum, fallback int64) int64 {
	n, isNumber := digits(s)
	if !isNumber || n < minimum || n > maximum {
		if maximum == math.MaxInt64 {
			q.fail(name, "out_of_range", "must be an integer of at least %d", minimum)
		} else {
			q.fail(name, "out_of_range", "must be an integer from %d to %d", minimum, maximum)
		}
		return fallback
	}
	return n
}

// OneOf returns a parameter that has one of the values, or the first of them where it
// is absent or wrong.
func (q *Query) OneOf(name string, values ...string) string {
	s, ok := q.Get(name)
	if ok && !slices.Contains(values, s) {
		q.fail(name, "invalid_value", "must be one of %s", strings.Join(values, ", "))
		ok = false
	}
	if !ok {
		return values[0]
	}
	return s
}

// digits reads ASCII digits. A number beyond int64 counts as the largest int64.
func digits(s string) (int64, bool) {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return math.MaxInt64, true
	}
	return n, true
}

// PathID reads an id from the path. It returns NotFound for an empty one and Invalid
// for one that is not an integer of at least 1. A number beyond int64 counts as the
// largest int64, which no row has.
func PathID(c echo.Context, name string) (int64, error) {
	text := c.Param(name)
	id, isNumber := digits(text)
	if text == "" {
		return 0, identity.Errorf(identity.NotFound, "not_found", "There is nothing at this address.")
	}
	if !isNumber || id < 1 {
		return 0, identity.InvalidField(name, "invalid_id", "must be an integer of at least 1")
	}
	return id, nil
}
