package api

import (
	"encoding/csv"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
)

// CSV writes the rows of a table as text of RFC 4180. A program that opens the file
// takes no cell for a formula.
type CSV struct{ rows *csv.Writer }

// StartCSV begins an answer that browsers save as a file. The answer goes out in pieces;
// call Flush after the last row. head is the row of the columns' names.
func StartCSV(c echo.Context, filename string, head ...string) (CSV, error) {
	header := c.Response().Header()
	header.Set(echo.HeaderContentType, "text/csv; charset=utf-8; header=present")
	header.Set(echo.HeaderContentDisposition, mime.FormatMediaType("attachment", map[string]string{"filename": filename}))
	header.Set(echo.HeaderCacheControl, "no-store")
	header.Set(echo.HeaderXContentTypeOptions, "nosniff")
	c.Response().WriteHeader(http.StatusOK)
	file := CSV{csv.NewWriter(c.Response())}
	file.rows.UseCRLF = true
	return file, file.Write(head...)
}

// Write adds a row. It returns the error of the connection, possibly of an earlier row.
func (f CSV) Write(cells ...string) error {
	safe := make([]string, len(cells))
	for i, cell := range cells {
		safe[i] = csvCell(cell)
	}
	return f.rows.Write(safe)
}

// Flush sends what is written.
func (f CSV) Flush() error {
	f.rows.Flush()
	return f.rows.Error()
}

// csvCell returns a text as it stands in a cell. Spreadsheets run a text that starts with
// one of these characters, some of them in their wide form as well: an apostrophe before it
// makes it plain text.
func csvCell(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
	first, size := utf8.DecodeRuneInString(text)
	if size > 0 && strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) {
		return "'" + text
	}
	return text
}
