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

// list is the envelope of every list; a page after a cursor has no total.
type list[T any] struct {
	Total *int64 `json:"total,omitempty"`
	Data  []T    `json:"data"`
}

// wireTime is a time as the Back Office writes it: UTC, numeric offset, no
// fraction. The zero time is null.
type wireTime time.Time

const wireTimeLayout = `"2006-01-02T15:04:05-07:00"`

func (t wireTime) MarshalJSON() ([]byte, error) {
	if time.Time(t).IsZero() {
		return []byte("null"), nil
	}
	return []byte(time.Time(t).UTC().Format(wireTimeLayout)), nil
}

// pageOf reads limit and offset of a list that has no other parameters.
func pageOf(q *api.Query) identity.Page {
	return identity.Page{Limit: limitOf(q), Offset: q.Int("offset", 0, maxInt64, 0)}
}

func limitOf(q *api.Query) int {
	return int(q.Int("limit", 1, identity.MaxPageSize, identity.DefaultPageSize))
}

// setNext tells where a list by position goes on behind a page that shows so many
// of the rows that there are.
func (h *handlers) setNext(c echo.Context, page identity.Page, shown int, total int64) {
	if next := page.Offset + int64(shown); shown > 0 && next < total {
		h.setLink(c, "offset", strconv.FormatInt(next, 10))
	}
}

// setLink sends the Link header (RFC 8288) to the next page: the same request with
// another place to start from.
func (h *handlers) setLink(c echo.Context, name, place string) {
	parameters := c.Request().URL.Query()
	parameters.Del("offset")
	parameters.Set(name, place)
	link := h.link(c.Request().URL.Path + "?" + parameters.Encode())
	c.Response().Header().Set("Link", "<"+link+`>; rel="next"`)
}

// setVersion sends a version as the entity tag.
func setVersion(c echo.Context, version int64) {
	c.Response().Header().Set("ETag", `"`+strconv.FormatInt(version, 10)+`"`)
}

// versionMatch reads If-Match. A weak tag, or one that is not ours, never
// matches (RFC 9110 §13.1.1).
func versionMatch(c echo.Context) identity.VersionMatch {
	header := strings.Join(c.Request().Header.Values("If-Match"), ",")
	if header == "" || strings.TrimSpace(header) == "*" {
		return identity.VersionMatch{}
	}
	match := identity.VersionMatch{Conditional: true}
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimSpace(tag)
		version, err := strconv.ParseInt(strings.Trim(tag, `"`), 10, 64)
		if err == nil && tag == `"`+strconv.FormatInt(version, 10)+`"` {
			match.Versions = append(match.Versions, version)
		}
	}
	return match
}

// created answers a creation.
func created(c echo.Context, location string, body any) error {
	c.Response().Header().Set(echo.HeaderLocation, location)
	return c.JSON(http.StatusCreated, body)
}
