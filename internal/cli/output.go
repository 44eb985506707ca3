package cli

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/rosterhq/roster/internal/userfile"
	"github.com/rosterhq/roster/pkg/client"
)

// printer writes items of one type in a format. Its columns are the names of the API.
type printer struct {
	sh      *Shell
	format  string
	out     *bufio.Writer
	fields  []field  // of the items
	columns []string // that a table shows; none for all
	cells   *csv.Writer
	table   *table
	written int
}

// field is a field of a struct.
type field struct {
	name      string // in JSON
	index     []int
	omitEmpty bool
}

// isAbsent reports whether a value stands for none: the client has zero where the API has null.
func (f field) isAbsent(value reflect.Value) bool {
	switch {
	case !value.IsZero():
		return false
	case value.Kind() == reflect.String:
		return f.name != "name" && f.name != "requestId" // of an event that nobody has asked for, "" in the API as well
	case value.CanInt():
		return strings.HasSuffix(f.name, "Id") || f.name == "statusCode"
	}
	return value.Type() == timeType || f.name == "createdBy"
}

// fieldsOf returns the fields of a struct that are in its JSON, in their order.
func fieldsOf(of reflect.Type) []field {
	var fields []field
	for _, f := range reflect.VisibleFields(of) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			fields = append(fields, field{name, f.Index, strings.HasPrefix(options, "omit")})
		}
	}
	return fields
}

func newPrinter[T any](sh *Shell, format string, columns ...string) *printer {
	p := &printer{sh: sh, format: format, out: bufio.NewWriter(sh.Out), fields: fieldsOf(reflect.TypeFor[T]())}
	p.columns = columns
	switch format {
	case "csv":
		p.cells = csv.NewWriter(p.out)
		p.cells.UseCRLF = true
	case "table":
		if len(columns) > 0 {
			p.fields = slices.DeleteFunc(p.fields, func(f field) bool { return !slices.Contains(columns, f.name) })
			slices.SortStableFunc(p.fields, func(a, b field) int {
				return slices.Index(columns, a.name) - slices.Index(columns, b.name)
			})
		}
		p.table = &table{out: p.out, width: sh.width, bold: sh.colour}
		p.table.add(p.names())
	}
	return p
}

func (p *printer) names() []string {
	names := make([]string, len(p.fields))
	for i, f := range p.fields {
		names[i] = f.name
	}
	return names
}

// add writes an item, now or at a later flush.
func (p *printer) add(item any) error {
	p.written++
	value := reflect.ValueOf(item)
	switch p.format {
	case "json":
		separator := ",\n"
		if p.written == 1 {
			separator = "["
		}
		fmt.Fprint(p.out, separator)
		_, err := p.out.Write(jsonOf(value))
		return err
	case "ndjson":
		_, err := p.out.Write(append(jsonOf(value), '\n'))
		return err
	case "csv":
		if p.written == 1 {
			if err := p.cells.Write(p.names()); err != nil {
				return err
			}
		}
		return p.cells.Write(p.row(value, p.csvCell))
	case "name":
		_, err := fmt.Fprintln(p.out, printable(cellText(value.FieldByIndex(p.fields[0].index))))
		return err
	}
	p.table.add(p.row(value, printable))
	if p.table.isFull() {
		return p.table.flush()
	}
	return nil
}

func (p *printer) row(item reflect.Value, as func(string) string) []string {
	row := make([]string, len(p.fields))
	for i, f := range p.fields {
		if of := item.FieldByIndex(f.index); !f.isAbsent(of) {
			row[i] = as(cellText(of))
		}
	}
	return row
}

// flush writes what is there so far.
func (p *printer) flush() error {
	switch p.format {
	case "csv":
		p.cells.Flush()
	case "table":
		if err := p.table.flush(); err != nil {
			return err
		}
	}
	return p.out.Flush()
}

// close ends the output. A list that is cut off by an error gets no end: what reads it must not take it for the whole.
func (p *printer) close() error {
	switch {
	case p.format == "json" && p.written == 0:
		fmt.Fprintln(p.out, "[]")
	case p.format == "json":
		fmt.Fprintln(p.out, "]")
	case p.format == "csv" && p.written == 0:
		if err := p.cells.Write(p.names()); err != nil {
			return err
		}
	}
	return p.flush()
}

// printList writes a list as it comes.
func printList[T any](sh *Shell, format string, items iter.Seq2[T, error], columns ...string) error {
	p := newPrinter[T](sh, format, columns...)
	for item, err := range items {
		if err == nil {
			err = p.add(item)
		}
		if err != nil {
			_ = p.flush() // the error of the list says more
			return err
		}
	}
	return p.close()
}

// printOne writes one item: in a table its fields below each other.
func printOne[T any](sh *Shell, format string, item T) error {
	value := reflect.ValueOf(item)
	switch format {
	case "json":
		_, err := sh.Out.Write(append(jsonOf(value), '\n'))
		return err
	case "table":
		out := bufio.NewWriter(sh.Out)
		t := &table{out: out}
		for _, f := range fieldsOf(value.Type()) {
			of, text := value.FieldByIndex(f.index), ""
			if !f.isAbsent(of) {
				text = cellText(of)
			}
			if text != "" || !f.omitEmpty {
				t.add([]string{f.name, printable(text)})
			}
		}
		if err := t.flush(); err != nil {
			return err
		}
		return out.Flush()
	}
	return printList(sh, format, func(yield func(T, error) bool) { yield(item, nil) })
}

var timeType = reflect.TypeFor[time.Time]()

// cellText returns a value as a text: the elements of a list separated by "; ", as the console's files have them,
// times as RFC 3339.
func cellText(value reflect.Value) string {
	switch who := value.Interface().(type) {
	case client.Actor:
		return whoText(who.UserID, who.TokenID, who.Name)
	case client.Creator:
		return whoText(who.UserID, who.TokenID, "")
	}
	switch {
	case value.Type() == timeType:
		return value.Interface().(time.Time).UTC().Format(time.RFC3339) //nolint:errcheck // its type is checked
	case value.Kind() == reflect.Slice:
		texts := make([]string, value.Len())
		for i := range texts {
			texts[i] = cellText(value.Index(i))
		}
		return strings.Join(texts, "; ")
	case value.Kind() == reflect.String:
		return value.String()
	case value.Kind() == reflect.Map && value.Len() == 0:
		return ""
	}
	if text := string(jsonOf(value)); text != "null" {
		return strings.Trim(text, `"`)
	}
	return ""
}

// whoText returns who did something, as the filter --actor takes it: the id of a user, or token: and the id of a token.
func whoText(userID, tokenID int64, name string) string {
	switch {
	case userID != 0:
		return fmt.Sprint(userID)
	case tokenID != 0:
		return fmt.Sprint("token:", tokenID)
	}
	return name
}

// jsonOf returns a value as the API has it, other than that times are in UTC.
func jsonOf(value reflect.Value) []byte {
	switch {
	case value.Kind() == reflect.Slice && value.Type().Elem().Kind() != reflect.Uint8:
		items := make([][]byte, value.Len())
		for i := range items {
			items[i] = jsonOf(value.Index(i))
		}
		return slices.Concat([]byte("["), bytes.Join(items, []byte(",")), []byte("]"))
	case value.Kind() == reflect.Struct && !value.Type().Implements(reflect.TypeFor[json.Marshaler]()):
		return jsonOfStruct(value)
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value.Interface()); err != nil {
		return []byte("null") // no type of the client has a value that JSON lacks
	}
	return escapeJSON(bytes.TrimSpace(buffer.Bytes()))
}

func jsonOfStruct(value reflect.Value) []byte {
	var members [][]byte
	for _, f := range fieldsOf(value.Type()) {
		of := value.FieldByIndex(f.index)
		if f.omitEmpty && of.IsZero() {
			continue
		}
		text := []byte("null")
		if !f.isAbsent(of) {
			text = jsonOf(of)
		}
		members = append(members, slices.Concat([]byte(`"`+f.name+`":`), text))
	}
	return slices.Concat([]byte("{"), bytes.Join(members, []byte(",")), []byte("}"))
}

// csvCell returns a text as it stands in a cell. On a terminal, control characters are shown.
func (p *printer) csvCell(text string) string {
	if p.sh.width > 0 {
		text = printable(text)
	}
	return userfile.Cell(text)
}
