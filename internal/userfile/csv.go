package userfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rosterhq/roster/internal/identity"
)

// readOnly are columns of exports that an import has no use for.
var readOnly = []string{"createTime", "updateTime", "lastSigninTime", "version", "blockedCode"}

// openCSV reads the header of a file of RFC 4180. The columns are separated by commas, or by
// semicolons or tabs if the header has no comma. An empty cell is no value.
func openCSV(text *bufio.Reader, in *bounded, names map[string]string) (func() (Row, error), error) {
	table := csv.NewReader(text)
	table.Comma = separator(text)
	table.ReuseRecord = true
	header, err := table.Read()
	if errors.Is(err, io.EOF) {
		return nil, errEmpty
	}
	if err != nil {
		return nil, fmt.Errorf("the header %w", csvError(err, 1))
	}
	fields, err := columnFields(header, names)
	if err != nil {
		return nil, err
	}
	return func() (Row, error) {
		in.renew(maxRow)
		cells, err := table.Read()
		if err != nil {
			return Row{}, csvError(err, len(fields))
		}
		row := Row{Fields: make(map[string]any, len(fields))}
		for i, cell := range cells {
			if len(cell) > maxCell {
				err = fmt.Errorf("has a cell of more than %d KiB", maxCell>>10)
			} else {
				err = validText([]byte(cell))
			}
			if err != nil {
				line, _ := table.FieldPos(i)
				return Row{}, fmt.Errorf("line %d, column %d: %w", line, i+1, err)
			}
			if cell = plainCell(cell); cell != "" && fields[i] != "" {
				row.Fields[fields[i]] = cellValue(fields[i], cell)
			}
		}
		return row, nil
	}, nil
}

// separator returns what the columns of the first line are separated by.
func separator(text *bufio.Reader) rune {
	header, _ := text.Peek(text.Size())
	header, _, _ = bytes.Cut(header, []byte("\n"))
	for _, candidate := range ",;\t" {
		if bytes.ContainsRune(header, candidate) {
			return candidate
		}
	}
	return ','
}

// csvError returns an error of package csv as a sentence.
func csvError(err error, columns int) error {
	var wrong *csv.ParseError
	switch {
	case !errors.As(err, &wrong):
		return err
	case errors.Is(err, csv.ErrFieldCount):
		return fmt.Errorf("line %d: must have %d columns as the header has; is the file complete?", wrong.StartLine, columns)
	case errors.Is(err, csv.ErrBareQuote):
		return fmt.Errorf("line %d, column %d: a quote stands in a cell that does not begin with one",
			wrong.Line, wrong.Column)
	}
	return fmt.Errorf("line %d: a quoted cell does not end as it should; is the file complete?", wrong.StartLine)
}

// columnFields returns the fields that columns are, "" for those that are left out.
func columnFields(header []string, names map[string]string) ([]string, error) {
	if len(header) > maxColumns {
		return nil, fmt.Errorf("the header has %d columns, more than %d", len(header), maxColumns)
	}
	fields := make([]string, len(header))
	for i, cell := range header {
		name := strings.TrimSpace(plainCell(cell))
		if err := validText([]byte(name)); err != nil {
			return nil, fmt.Errorf("line 1, column %d: %w", i+1, err)
		}
		field, err := fieldOf(name, names)
		if err != nil {
			return nil, fmt.Errorf("column %d, %w", i+1, err)
		}
		if first := slices.Index(fields, field); field != "" && first >= 0 && first < i {
			return nil, fmt.Errorf("columns %d and %d are both %q", first+1, i+1, field)
		}
		fields[i] = field
	}
	if !slices.Contains(fields, identity.FieldEmail) && !slices.Contains(fields, fieldID) {
		return nil, fmt.Errorf("there is no column %q, nor %q: the first line must have the names of the columns",
			identity.FieldEmail, fieldID)
	}
	for name := range names {
		if !slices.ContainsFunc(header, func(cell string) bool { return strings.TrimSpace(cell) == name }) {
			return nil, fmt.Errorf("there is no column %q", name)
		}
	}
	return fields, nil
}

// fieldOf returns the field that a column or a member is, "" for one that is left out.
func fieldOf(name string, names map[string]string) (string, error) {
	if field, found := names[name]; found {
		return field, nil
	}
	for _, field := range Fields {
		if strings.EqualFold(field, name) {
			return field, nil
		}
	}
	if slices.Contains(readOnly, name) {
		return "", nil
	}
	return "", fmt.Errorf("%.100q, is no field: map it to one, or to nothing to leave it out", name)
}

// formulaStarts are the first characters of what spreadsheets run as a formula, some of them in their wide form as well.
const formulaStarts = "=+-@\t\r\n＝＋－＠"

// isFormula reports whether a spreadsheet could run a text, with or without apostrophes before it.
func isFormula(text string) bool {
	first, size := utf8.DecodeRuneInString(strings.TrimLeft(text, "'"))
	return size > 0 && strings.ContainsRune(formulaStarts, first)
}

// Cell returns a text as it stands in a cell of a CSV file. An apostrophe before what could be a formula makes it plain
// text; an import takes one away. NUL and bytes that are no UTF-8 do not stay.
func Cell(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
	if isFormula(text) {
		return "'" + text
	}
	return text
}

// plainCell returns the text that Cell was given.
func plainCell(cell string) string {
	if rest, quoted := strings.CutPrefix(cell, "'"); quoted && isFormula(rest) {
		return rest
	}
	return cell
}

// cellValue returns the value of a cell. What it cannot read stays text, which the server refuses
// with the reason.
func cellValue(field, cell string) any {
	text := strings.TrimSpace(cell)
	switch field {
	case fieldID:
		if id, err := strconv.ParseInt(text, 10, 64); err == nil {
			return id
		}
	case identity.FieldActive, identity.FieldTFA, identity.FieldCanViewMaskedData:
		switch strings.ToLower(text) {
		case "true", "yes", "1":
			return true
		case "false", "no", "0":
			return false
		}
	case identity.FieldGroups, identity.FieldAllowList, identity.FieldClientTags:
		return cellList(text)
	}
	return cell
}

// cellList reads a list: a JSON array, as the API exports it, or texts separated by semicolons, as the
// console exports groups. A number that is no JSON is a text, and names a group.
func cellList(text string) any {
	if strings.HasPrefix(text, "[") {
		var list []any
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		if decoder.Decode(&list) == nil && decoder.InputOffset() == int64(len(text)) {
			return list
		}
		return text
	}
	list := []any{}
	for item := range strings.SplitSeq(text, ";") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// openNDJSON reads objects, one per line. Empty lines are no rows.
func openNDJSON(text *bufio.Reader, in *bounded, names map[string]string) func() (Row, error) {
	line := 0
	return func() (Row, error) {
		for {
			in.renew(maxUser)
			content, err := text.ReadBytes('\n')
			line++
			if err != nil && !(errors.Is(err, io.EOF) && len(content) > 0) {
				return Row{}, atLine(line, err)
			}
			if content = bytes.TrimSpace(content); len(content) == 0 {
				continue
			}
			fields, err := object(content)
			if err != nil {
				return Row{}, atLine(line, err)
			}
			row := Row{Fields: make(map[string]any, len(fields))}
			for name, value := range fields {
				field, mapped := names[name]
				if !mapped {
					field = name // an unknown one is said by the server
				}
				if _, twice := row.Fields[field]; twice {
					return Row{}, atLine(line, fmt.Errorf("has %q twice", field))
				}
				if field != "" && !slices.Contains(readOnly, field) {
					row.Fields[field] = value
				}
			}
			return row, nil
		}
	}
}

func atLine(line int, err error) error {
	if errors.Is(err, io.EOF) {
		return err
	}
	return fmt.Errorf("line %d: %w", line, err)
}
