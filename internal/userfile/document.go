package userfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rosterhq/roster/internal/identity"
)

// maxDepth bounds how deep values are nested in what is skipped.
const maxDepth = 100

// document reads the users of a JSON text one after another: the elements of an array, objects one
// after another, or the elements of an array in a member of an object.
type document struct {
	in     *bounded
	tokens *json.Decoder
	list   string // the name of the member
	// loose says that an object without that member is a user itself.
	loose bool
	state int
	found bool // a list or a user
}

// The states of a document.
const (
	outside   = iota
	inArray   // the document is an array
	inList    // in the array of the member
	afterList // in the object, after the array
)

// openDocument returns the users of a document as row reads them.
func openDocument(text *bufio.Reader, in *bounded, list string, loose bool, row func(raw []byte) (Row, error),
) func() (Row, error) {
	d := &document{in: in, tokens: json.NewDecoder(text), list: list, loose: loose}
	return func() (Row, error) {
		raw, err := d.next()
		if errors.Is(err, io.EOF) {
			return Row{}, err
		}
		if err == nil {
			err = validText(raw)
		}
		if err == nil {
			var result Row
			result, err = row(raw)
			if err == nil {
				return result, nil
			}
		}
		return Row{}, jsonError(err)
	}
}

// next returns the JSON of the next user, or io.EOF after the last one if the document is complete.
func (d *document) next() ([]byte, error) {
	for {
		switch d.state {
		case outside:
			d.in.renew(maxUser)
			start, err := d.tokens.Token()
			switch {
			case errors.Is(err, io.EOF) && !d.found:
				return nil, fmt.Errorf("there is no list %q in this file", d.list)
			case err != nil:
				return nil, err
			case start == json.Delim('['):
				if !d.loose {
					return nil, fmt.Errorf("this file is a list; it must be one object that has %q", d.list)
				}
				d.state, d.found = inArray, true
			case start == json.Delim('{'):
				if raw, err := d.object(); raw != nil || err != nil {
					return raw, err
				}
			default:
				return nil, errors.New("this file is no JSON object and no list")
			}
		case inArray, inList:
			if d.more() {
				return d.value()
			}
			if _, err := d.token(); err != nil { // the end of the array
				return nil, err
			}
			if d.state == inArray {
				d.state = outside
			} else {
				d.state = afterList
			}
		case afterList:
			if err := d.skipMembers(); err != nil {
				return nil, err
			}
			d.state = outside
		}
	}
}

// object reads an object after its bracket. It returns nil where the member begins that has the
// users, and where the object has none.
func (d *document) object() ([]byte, error) {
	members, size := map[string]json.RawMessage{}, 0
	for d.more() {
		name, err := d.token()
		if err != nil {
			return nil, err
		}
		if name == d.list {
			if start, err := d.token(); err != nil || start != json.Delim('[') {
				return nil, errors.Join(fmt.Errorf("%q must be a list", d.list), err)
			}
			d.state, d.found = inList, true
			return nil, nil
		}
		if !d.loose {
			if err := d.skip(); err != nil {
				return nil, err
			}
			continue
		}
		value, err := d.value()
		if err != nil {
			return nil, err
		}
		key, _ := name.(string) // it is one: a name has been read
		if members[key] = value; len(key)+len(value)+size > maxUser {
			return nil, tooLong(maxUser)
		}
		size += len(key) + len(value)
	}
	if _, err := d.token(); err != nil || !d.loose {
		return nil, err
	}
	d.found = true
	return json.Marshal(members)
}

// skipMembers reads to the end of an object. What follows the list in a second list of the same name
// would be left out, and is refused.
func (d *document) skipMembers() error {
	for d.more() {
		name, err := d.token()
		if err != nil {
			return err
		}
		if name == d.list {
			return fmt.Errorf("%q is there twice", d.list)
		}
		if err := d.skip(); err != nil {
			return err
		}
	}
	_, err := d.token()
	return err
}

// skip reads a value and forgets it.
func (d *document) skip() error {
	for depth := 0; ; {
		token, err := d.token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
		if depth == 0 {
			return nil
		}
		if depth > maxDepth {
			return fmt.Errorf("values are nested more than %d deep", maxDepth)
		}
	}
}

// more reports whether the array or object goes on.
func (d *document) more() bool {
	d.in.renew(maxUser)
	return d.tokens.More()
}

// token returns the next token of a value that has begun.
func (d *document) token() (json.Token, error) {
	d.in.renew(maxUser)
	token, err := d.tokens.Token()
	return token, unexpected(err)
}

func (d *document) value() (json.RawMessage, error) {
	d.in.renew(maxUser)
	var raw json.RawMessage
	err := d.tokens.Decode(&raw)
	return raw, unexpected(err)
}

// unexpected returns the error of a file that ends within a value.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// object returns the members of a JSON object. A member that is there twice is an error.
func object(text []byte) (map[string]any, error) {
	if err := validText(text); err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, errors.New("is no JSON object")
	}
	members := map[string]any{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, jsonError(err)
		}
		name, _ := token.(string) // it is one: the decoder takes no other names
		if _, twice := members[name]; twice {
			return nil, fmt.Errorf("has %.100q twice", name)
		}
		var value any
		if err := decoder.Decode(&value); err != nil {
			return nil, jsonError(err)
		}
		members[name] = value
	}
	if _, err := decoder.Token(); err != nil {
		return nil, jsonError(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("has more than one JSON object")
	}
	return members, nil
}

// jsonError returns an error of package json as a sentence.
func jsonError(err error) error {
	var wrong *json.SyntaxError
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("the JSON ends too early; is the file complete?")
	case errors.As(err, &mistyped) && mistyped.Field == "":
		return fmt.Errorf("must be a JSON object, not %s", mistyped.Value)
	case errors.As(err, &mistyped):
		return fmt.Errorf("%s must not be a JSON %s", mistyped.Field, mistyped.Value)
	case errors.As(err, &wrong):
		return fmt.Errorf("is no JSON: %w", wrong)
	}
	return err
}

// person is what the exports of other systems have in common.
type person struct {
	email, name, username, phone, passwordHash string
}

// row returns a person as a row.
func (p person) row() Row {
	row := Row{Fields: map[string]any{}}
	email := strings.TrimSpace(p.email)
	if email == "" && strings.Contains(p.username, "@") {
		email = strings.TrimSpace(p.username)
		row.note(identity.FieldEmail, "is the user name")
	}
	row.set(identity.FieldEmail, email)
	name := strings.Join(strings.Fields(p.name), " ")
	if name == "" {
		name = p.username
		if local, _, found := strings.Cut(email, "@"); name == "" && found {
			name = local
			row.note(identity.FieldName, "is what stands before the @, because there is none")
		}
	}
	row.set(identity.FieldName, name)
	if phone := phoneSpaces.Replace(p.phone); phone != "" {
		if rest, found := strings.CutPrefix(phone, "00"); found {
			phone = "+" + rest
		}
		if _, err := identity.ParsePhone(phone); err != nil {
			row.note(identity.FieldPhone, "is left out: it %v", err)
		} else {
			row.set(identity.FieldPhone, phone)
		}
	}
	if p.passwordHash != "" {
		if _, err := identity.ParsePasswordHash(p.passwordHash); err != nil {
			row.note(identity.FieldPasswordHash, leftOut+"it %v", err)
		} else {
			row.set(identity.FieldPasswordHash, p.passwordHash)
		}
	}
	return row
}

var phoneSpaces = strings.NewReplacer(" ", "", "-", "", ".", "", "(", "", ")", "", "/", "", "\u00a0", "")

// secondFactor is the note of a user who has an authenticator in the other system.
const secondFactor = "is on, but the authenticator is not taken over: codes come by mail until the user enrols one"

// The notes of what a user signs in with and cannot be taken over.
const (
	leftOut         = "is left out, so the user has to choose a new password: "
	passwordInClear = leftOut + "there is a password in clear, and no hash"
	noHashes        = leftOut + "the export has no hashes"
	otherSignIn     = "is not all: the sign-in by %s is not taken over"
)

// others joins what else a user signs in with; names in a file can be anything.
func others(names []string) string {
	slices.Sort(names)
	text := strings.Join(slices.Compact(names), ", ")
	const most = 100 // characters
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return text
}
