package identity

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of a record.
const (
	MaxRecordIDLength  = 64       // characters
	MaxAttributesBytes = 64 << 10 // without white space
)

// Record is an object that a service holds for a user, as that service describes it. It is
// deleted with the user.
type Record struct {
	Type       RecordType
	ID         RecordID // unique among the user's records of this type
	Attributes Attributes
	CreatedAt  time.Time
	UpdatedAt  time.Time // zero until the first change
}

// Name returns the name of the record in events, which do not have its attributes.
func (r Record) Name() string { return string(r.Type) + "/" + string(r.ID) }

// RecordType is the kind of a record, one of RecordTypes.
type RecordType string

// RecordTypes lists the types: those that clients may ask to have included.
var RecordTypes = []RecordType{
	"accounts", "attachments", "bills", "budgets", "categories", "piggy_banks", "tags", "transactions",
}

// ParseRecordType checks a type; the error is a *ValueError.
func ParseRecordType(s string) (RecordType, error) {
	if t := RecordType(s); slices.Contains(RecordTypes, t) {
		return t, nil
	}
	names := make([]string, len(RecordTypes))
	for i, t := range RecordTypes {
		names[i] = string(t)
	}
	return "", invalid("unknown_record_type", "must be one of %s", strings.Join(names, ", "))
}

// RecordID is the id that a service has given to a record: 1 to MaxRecordIDLength visible
// characters without a slash.
type RecordID string

// ParseRecordID checks an id; the error is a *ValueError. It refuses . and .., which clients
// remove from a path.
func ParseRecordID(s string) (RecordID, error) {
	isOdd := func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' || r == '/' }
	if !utf8.ValidString(s) || s == "" || s == "." || s == ".." ||
		utf8.RuneCountInString(s) > MaxRecordIDLength || strings.ContainsFunc(s, isOdd) {
		return "", invalid("invalid_id", "must have 1 to %d visible characters without a slash", MaxRecordIDLength)
	}
	return RecordID(s), nil
}

// Attributes are the content of a record: a JSON object as the service has written it, with
// all digits of its numbers, but without white space between its parts.
type Attributes string

// UnmarshalJSON takes an object; the error is a *ValueError.
func (a *Attributes) UnmarshalJSON(text []byte) error {
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil || !bytes.HasPrefix(compact.Bytes(), []byte("{")) {
		return invalid("invalid_type", "must be an object")
	}
	if compact.Len() > MaxAttributesBytes {
		return invalid("too_long", "must have at most %d bytes", MaxAttributesBytes)
	}
	*a = Attributes(compact.String())
	return nil
}

// MarshalJSON returns the object.
func (a Attributes) MarshalJSON() ([]byte, error) { return []byte(a), nil }
