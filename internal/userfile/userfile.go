// Package userfile reads files of users: CSV and NDJSON, and what other systems export. It gives
// rows as an import takes them, one at a time, so that its memory does not grow with a file. It
// checks the form of a file only: which values are right, and who may import them, is said by the
// server.
package userfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rosterhq/roster/internal/identity"
)

// Row is a user in a file.
type Row struct {
	// Number is that of the row among the users of the file, from 1.
	Number int64
	// Fields are the members of a row of an import, of types that encoding/json writes. A field that
	// the file has no value for is not there.
	Fields map[string]any
	// Notes say what of the user is not taken over, or otherwise than it is in the file.
	Notes []Note
}

// Note is about one field of a row. Reason goes on from the name of the field.
type Note struct{ Field, Reason string }

// note adds a note.
func (r *Row) note(field, format string, args ...any) {
	r.Notes = append(r.Notes, Note{field, fmt.Sprintf(format, args...)})
}

// set gives a field a value, if there is one.
func (r *Row) set(field, value string) {
	if value != "" {
		r.Fields[field] = value
	}
}

// Format is the format of a file.
type Format string

// The formats.
const (
	CSV        Format = "csv"
	NDJSON     Format = "ndjson"     // one object per line, with the fields of an import
	Keycloak   Format = "keycloak"   // the export of a realm, with users
	Kratos     Format = "kratos"     // identities of Ory Kratos with their credentials
	PocketBase Format = "pocketbase" // the records of a users collection
)

// Formats lists the formats.
var Formats = []Format{CSV, NDJSON, Keycloak, Kratos, PocketBase}

// Bounds of a file.
const (
	maxUser    = 1 << 20   // bytes of one user in JSON
	maxRow     = 256 << 10 // bytes of one user in CSV; a cell takes 24 bytes of memory, also an empty one
	maxCell    = 128 << 10 // bytes
	maxColumns = 200
)

// Fields are the fields of a row of an import.
var Fields = []string{
	fieldID, identity.FieldName, identity.FieldEmail, identity.FieldActive, identity.FieldTFA, identity.FieldGroups,
	identity.FieldPhone, identity.FieldAllowList, identity.FieldClientTags, identity.FieldCanViewMaskedData,
	identity.FieldPasswordHash,
}

const fieldID = "id"

// Reader reads the users of a file.
type Reader struct {
	// next returns the next row without a number, or io.EOF.
	next   func() (Row, error)
	number int64
	err    error // of an earlier call
}

// Open reads the beginning of a file. names says which field a column or a member is, where its
// name is another one: names["Mail"] = "email". "" leaves it out. In the formats of other systems
// they are the names of the fields that a row gets. The error, as all errors of this package, is a
// sentence for the one who has the file.
func Open(format Format, file io.Reader, names map[string]string) (*Reader, error) {
	for name, field := range names {
		if field != "" && !slices.Contains(Fields, field) {
			return nil, fmt.Errorf("%q cannot be %q: the fields are %s", name, field, strings.Join(Fields, ", "))
		}
	}
	in := &bounded{file: file}
	in.renew(maxRow)
	text := bufio.NewReader(in)
	if err := checkEncoding(text); err != nil {
		return nil, err
	}
	var next func() (Row, error)
	var err error
	switch format {
	case CSV:
		next, err = openCSV(text, in, names)
	case NDJSON:
		next = openNDJSON(text, in, names)
	case Keycloak:
		next = renamed(openDocument(text, in, "users", false, keycloakRow), names)
	case Kratos:
		next = renamed(openDocument(text, in, "identities", true, kratosRow), names)
	case PocketBase:
		next = renamed(openDocument(text, in, "items", true, pocketBaseRow), names)
	default:
		err = fmt.Errorf("the format %q is unknown", format)
	}
	return &Reader{next: next}, err
}

// Next returns the next user, or io.EOF after the last one. After an error it returns that error
// again.
func (r *Reader) Next() (Row, error) {
	if r.err != nil {
		return Row{}, r.err
	}
	row, err := r.next()
	if r.number++; errors.Is(err, io.EOF) {
		r.err = err
		return Row{}, err
	}
	if err != nil {
		r.err = fmt.Errorf("user %d: %w", r.number, err)
		return Row{}, r.err
	}
	row.Number = r.number
	return row, nil
}

// renamed returns rows whose fields are renamed.
func renamed(next func() (Row, error), names map[string]string) func() (Row, error) {
	return func() (Row, error) {
		row, err := next()
		for name, field := range names {
			value, found := row.Fields[name]
			if !found || name == field {
				continue
			}
			delete(row.Fields, name)
			if field != "" {
				row.Fields[field] = value
			}
		}
		return row, err
	}
}

// bounded reads a file and fails where one user takes too many bytes: a quote or a string that
// never ends does not fill the memory. What reads a user calls renew before.
type bounded struct {
	file       io.Reader
	left, most int // bytes
}

func (b *bounded) renew(most int) { b.left, b.most = most, most }

// Read reads the file.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, tooLong(b.most)
	}
	n, err := b.file.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

func tooLong(most int) error {
	return fmt.Errorf("is longer than %d KiB; does a quote or a bracket not end?", most>>10)
}

var errEmpty = errors.New("the file is empty")

var errNotUTF8 = errors.New("is not UTF-8; save the file in that encoding")

// checkEncoding skips a mark of UTF-8 at the beginning of a file, and refuses other encodings that
// can be seen there.
func checkEncoding(text *bufio.Reader) error {
	start, err := text.Peek(64)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	utf16 := bytes.HasPrefix(start, []byte("\xff\xfe")) || bytes.HasPrefix(start, []byte("\xfe\xff"))
	switch {
	case len(start) == 0:
		return errEmpty
	case utf16 || bytes.IndexByte(start, 0) >= 0:
		return errors.New("the file is UTF-16 or no text; save it as UTF-8")
	case bytes.HasPrefix(start, []byte("\xef\xbb\xbf")):
		_, err = text.Discard(3)
		return err
	}
	return nil
}

// validText returns errNotUTF8 for a text in another encoding.
func validText(text []byte) error {
	if !utf8.Valid(text) {
		return errNotUTF8
	}
	return nil
}
