package backoffice

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// list is the envelope of a list. A page after a cursor has no total.
type list[T any] struct {
	Total *int64 `json:"total,omitempty"`
	Data  []T    `json:"data"`
}

// wireTime is a time on the wire: UTC, numeric offset, no fraction. nil is null.
type wireTime = *timeText

// timeText is a text and no json.Marshaler: encoding/json reads what a Marshaler returns once more.
type timeText time.Time

// onWire returns a time for an answer, nil for the zero time.
func onWire(t time.Time) wireTime {
	if t.IsZero() {
		return nil
	}
	return (*timeText)(&t)
}

func (t *timeText) MarshalText() ([]byte, error) {
	const seconds = len("2006-01-02T15:04:05")
	text := time.Time(*t).UTC().AppendFormat(make([]byte, 0, len(time.RFC3339)), time.RFC3339) // which is fast
	return append(text[:seconds], "+00:00"...), nil
}

// dataFrom returns the bodies of the rows of a list, in their order.
func dataFrom[Row, Body any](rows []Row, from func(Row) Body) []Body {
	data := make([]Body, len(rows))
	for i, row := range rows {
		data[i] = from(row)
	}
	return data
}

// oneOf returns a parameter that has one of the values, or the first of them
// where it is absent.
func oneOf[T ~string](q *api.Query, name string, values ...T) T {
	names := make([]string, len(values))
	for i, value := range values {
		names[i] = string(value)
	}
	return T(q.OneOf(name, names...))
}

// pageOf reads limit and offset.
func pageOf(q *api.Query) identity.Page {
	return identity.Page{Limit: limitOf(q), Offset: q.Int("offset", 0, maxInt64, 0)}
}

func limitOf(q *api.Query) int {
	return int(q.Int("limit", 1, identity.MaxPageSize, identity.DefaultPageSize))
}

// writePage answers with a page of a list by position, and links to the next page.
func writePage[Row, Body any](
	h *handlers, c echo.Context, page identity.Page, rows []Row, total int64, from func(Row) Body,
) error {
	h.setNext(c, page, len(rows), total)
	return c.JSON(http.StatusOK, list[Body]{Total: &total, Data: dataFrom(rows, from)})
}

// setNext links to the next page of a list by position, if there is one.
func (h *handlers) setNext(c echo.Context, page identity.Page, shown int, total int64) {
	if next := page.Offset + int64(shown); shown > 0 && next < total {
		h.setLink(c, "offset", strconv.FormatInt(next, 10))
	}
}

// setAfter links to the next page of a list by cursor, if there is one.
func (h *handlers) setAfter(c echo.Context, next *identity.Cursor) {
	if next != nil {
		h.setLink(c, "after", next.String())
	}
}

// setLink sends the Link header (RFC 8288) to the next page: the same request with
// another start.
func (h *handlers) setLink(c echo.Context, name, place string) {
	parameters := c.Request().URL.Query()
	parameters.Del("offset")
	parameters.Set(name, place)
	link := h.link(c, c.Request().URL.Path+"?"+parameters.Encode())
	c.Response().Header().Set("Link", "<"+link+`>; rel="next"`)
}

// setVersion sends a version as the entity tag.
func setVersion(c echo.Context, version int64) {
	c.Response().Header().Set("ETag", `"`+strconv.FormatInt(version, 10)+`"`)
}

// versionMatch reads If-Match. A weak tag is compared like a strong one, because proxies
// that compress make tags weak (RFC 9110 §8.8.1 has it not match). A tag that is not one
// of ours matches no version. The error is Invalid where the header is no list of tags.
func versionMatch(c echo.Context) (identity.VersionMatch, error) {
	const name = "If-Match"
	header := strings.TrimSpace(strings.Join(c.Request().Header.Values(name), ","))
	if header == "" || header == "*" {
		return identity.VersionMatch{}, nil
	}
	match := identity.VersionMatch{Conditional: true}
	for tag := range strings.SplitSeq(header, ",") {
		opaque, quoted := entityTag(strings.TrimSpace(tag))
		if !quoted {
			return match, identity.InvalidField(name, "invalid_etag", `must be an ETag such as "1", quotes included`)
		}
		if version, err := strconv.ParseInt(opaque, 10, 64); err == nil && opaque == strconv.FormatInt(version, 10) {
			match.Versions = append(match.Versions, version)
		}
	}
	return match, nil
}

// entityTag returns what an entity tag has between its quotes. It reports false for a
// text that is no tag.
func entityTag(tag string) (opaque string, ok bool) {
	tag = strings.TrimPrefix(tag, "W/")
	if len(tag) < len(`""`) || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return "", false
	}
	opaque = tag[1 : len(tag)-1]
	return opaque, !strings.Contains(opaque, `"`)
}

// created answers with 201 and the address of the new resource.
func created(c echo.Context, location string, body any) error {
	c.Response().Header().Set(echo.HeaderLocation, location)
	return c.JSON(http.StatusCreated, body)
}
