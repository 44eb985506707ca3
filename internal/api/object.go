package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rosterhq/roster/internal/identity"
)

// Object is the text of a JSON object that ParseObject has checked.
type Object []byte

// ParseObject checks that a body is a JSON object that all parsers read alike: valid
// UTF-8, nothing after the object, no key twice (at any depth), no half of a surrogate
// pair. Its time is proportional to the body; its memory holds the keys of the objects
// that are open at the same time.
func ParseObject(body []byte) (Object, error) {
	if !utf8.Valid(body) {
		return nil, malformed("The body is not valid UTF-8.")
	}
	var syntax *json.SyntaxError
	switch err := json.Unmarshal(body, &anything{}); {
	case len(bytes.TrimSpace(body)) == 0:
		return nil, malformed("The body is empty; send a JSON object.")
	case errors.As(err, &syntax):
		return nil, malformed("The body is not valid JSON at byte %d.", syntax.Offset)
	case err != nil || !StartsObject(body):
		return nil, malformed("The body must be a JSON object.")
	}
	return body, inspect(body)
}

// anything is any valid JSON.
type anything struct{}

// UnmarshalJSON is called with valid JSON only.
func (*anything) UnmarshalJSON([]byte) error { return nil }

func malformed(format string, args ...any) error {
	return identity.Errorf(identity.Invalid, "malformed_json", format, args...)
}

// inspect rejects valid JSON that encoding/json accepts: an object that has a key
// twice, where parsers disagree about which one counts, and lone surrogates, which
// encoding/json silently replaces.
func inspect(text []byte) error {
	type level struct {
		isObject bool
		keys     map[string]bool
	}
	var levels []level
	isKey := false // the next string is a key
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			isKey = text[i] == '{'
			levels = append(levels, level{isObject: isKey})
		case '}', ']':
			levels = levels[:len(levels)-1]
		case ',':
			isKey = levels[len(levels)-1].isObject
		case '"':
			end := stringEnd(text, i)
			if at := loneSurrogate(text[:end], i); at >= 0 {
				return malformed("The body has half a surrogate pair at byte %d.", at)
			}
			if isKey {
				key, top := unquote(text[i:end]), &levels[len(levels)-1]
				if top.keys[key] {
					return identity.InvalidField(shorten(key), "duplicate_field", "is there twice")
				}
				if top.keys == nil {
					top.keys = map[string]bool{}
				}
				top.keys[key], isKey = true, false
			}
			i = end - 1
		}
	}
	return nil
}

// loneSurrogate returns the position of the first escape in text, from a position on,
// that is half of a surrogate pair, or -1.
func loneSurrogate(text []byte, from int) int {
	for i := from; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		switch n := escapedUnit(text, i); {
		case 0xDC00 <= n && n <= 0xDFFF:
			return i
		case 0xD800 <= n && n <= 0xDBFF:
			if low := escapedUnit(text, i+escapeLength); low < 0xDC00 || low > 0xDFFF {
				return i
			}
			i += escapeLength // the low half
		}
		i++ // skip the escaped character: it may be a backslash
	}
	return -1
}

const escapeLength = len(`\uXXXX`)

// escapedUnit returns the UTF-16 unit of the escape \uXXXX at a position, or -1.
func escapedUnit(text []byte, at int) int {
	if at+escapeLength > len(text) || text[at] != '\\' || text[at+1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(text[at+2:at+escapeLength]), 16, 16)
	if err != nil {
		return -1
	}
	return int(n)
}

// hasNUL reports whether a string or a key in valid JSON has the character \u0000,
// which PostgreSQL does not store.
func hasNUL(text []byte) bool {
	if !bytes.Contains(text, []byte(`\u0000`)) {
		return false
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if escapedUnit(text, i) == 0 {
			return true
		}
		i++ // skip the escaped character: it may be a backslash
	}
	return false
}

// Members yields the keys and the values of the object in their order, the values
// without white space around them.
func (o Object) Members() iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		key := ""
		for part, isKey := range parts(o) {
			if isKey {
				key = unquote(part)
			} else if !yield(key, part) {
				return
			}
		}
	}
}

// elements yields the elements of an array in valid JSON.
func elements(array []byte) iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		for part := range parts(array) {
			if !yield(part) {
				return
			}
		}
	}
}

// parts yields the keys and values one level down in an object or an array in valid
// JSON.
func parts(text []byte) iter.Seq2[[]byte, bool] {
	return func(yield func(part []byte, isKey bool) bool) {
		text = bytes.Trim(text, jsonSpace)
		isKey := text[0] == '{'
		for i := 1; i < len(text)-1; {
			switch text[i] {
			case ' ', '\t', '\r', '\n', ':':
				i++
			case ',':
				isKey = text[0] == '{'
				i++
			default:
				end := valueEnd(text, i)
				if !yield(text[i:end:end], isKey) {
					return
				}
				i, isKey = end, false
			}
		}
	}
}

const jsonSpace = " \t\r\n" // RFC 8259 §2

// valueEnd returns the end of the value that starts at a position in valid JSON.
func valueEnd(text []byte, start int) int {
	depth := 0
	for i := start; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = stringEnd(text, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		default:
			if depth > 0 || !endsLiteral(text, i+1) {
				continue
			}
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(text)
}

// endsLiteral reports whether a number, true, false or null ends at a position.
func endsLiteral(text []byte, at int) bool {
	return at == len(text) || strings.IndexByte(jsonSpace+",:]}", text[at]) >= 0
}

// stringEnd returns the end of the string that starts at a position in valid JSON.
func stringEnd(text []byte, start int) int {
	for i := start + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// unquote returns the value of a string in valid JSON.
func unquote(text []byte) string {
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text[1 : len(text)-1])
	}
	var s string
	_ = json.Unmarshal(text, &s) // it is valid
	return s
}

// shorten cuts a name from a request to a length that an answer may repeat.
func shorten(name string) string {
	const maxLength = 64 // characters
	n := 0
	for i := range name {
		if n == maxLength {
			return name[:i] + "…"
		}
		n++
	}
	return name
}
