package identity

import (
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of a page.
const (
	DefaultPageSize = 50
	MaxPageSize     = 1000
)

// Page selects a part of a short list by position.
type Page struct {
	Limit  int
	Offset int64
}

// Cursor is a place in an ordered list of users: the last row that was returned. It stays
// valid while rows are added and deleted, and costs the same at any depth.
type Cursor struct {
	Sort       UserSort
	Descending bool
	// Broad says that the first page had many matches, so that to read rows in order costs
	// less than to search first. It changes only the cost, never the rows.
	Broad bool
	ID    int64
	Key   string // the row's sort key; "" where Sort is SortByID
}

// maxCursorBytes bounds a cursor. The longest key has 255 characters of 4 bytes, in base64.
const maxCursorBytes = 2048

// String returns the cursor as the opaque text that ParseCursor reads.
func (c Cursor) String() string {
	fields := []string{string(c.Sort), flag(c.Descending), flag(c.Broad), strconv.FormatInt(c.ID, 10), c.Key}
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join(fields, " ")))
}

// ParseCursor reads a cursor; the error is a *ValueError. A forged cursor does no harm: it
// can only name a place in the list.
func ParseCursor(s string) (Cursor, error) {
	errInvalid := invalid("invalid_cursor", "must be taken from a previous page")
	if len(s) > maxCursorBytes {
		return Cursor{}, errInvalid
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || !utf8.Valid(raw) || slices.Contains(raw, 0) {
		return Cursor{}, errInvalid
	}
	const fieldCount = 5
	fields := strings.SplitN(string(raw), " ", fieldCount)
	if len(fields) != fieldCount {
		return Cursor{}, errInvalid
	}
	c := Cursor{
		Sort: UserSort(fields[0]), Descending: fields[1] == flag(true), Broad: fields[2] == flag(true), Key: fields[4],
	}
	c.ID, err = strconv.ParseInt(fields[3], 10, 64)
	if err != nil || !slices.Contains(UserSorts, c.Sort) || c.String() != s {
		return Cursor{}, errInvalid
	}
	if c.Sort == SortByCreation || c.Sort == SortByLastSignin {
		if _, err := c.Time(); err != nil {
			return Cursor{}, errInvalid
		}
	}
	return c, nil
}

// TimeKey returns the Key of a cursor for a list in the order of a time.
func TimeKey(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }

// Time returns the time of a Key that TimeKey has returned. It returns an error outside of
// the years 1 to 9999, which databases cannot store.
func (c Cursor) Time() (time.Time, error) {
	micros, err := strconv.ParseInt(c.Key, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	t := time.UnixMicro(micros).UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}, errors.New("year out of range")
	}
	return t, nil
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
