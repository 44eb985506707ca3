package api

import (
	"encoding/csv"
	"mime"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/userfile"
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
		safe[i] = userfile.Cell(cell)
	}
	return f.rows.Write(safe)
}

// Flush sends what is written.
func (f CSV) Flush() error {
	f.rows.Flush()
	return f.rows.Error()
}
