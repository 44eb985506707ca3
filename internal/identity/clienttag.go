package identity

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Bounds of client tags.
const (
	MaxClientTags      = 64
	MaxClientTagLength = 255     // characters
	MaxClientTagsBytes = 8 << 10 // of all tags of a user together, as they are stored
)

// ClientTag marks a user with a client. In the documentation of the Back Office a tag is
// an object, in its sample a string: both are accepted and returned as they were given.
// Exactly one of Text and (ID or Name) is set.
type ClientTag struct {
	Text *string
	ID   *int64
	Name *string
}

// MarshalJSON returns the tag in the form in which it was given.
func (t ClientTag) MarshalJSON() ([]byte, error) {
	if t.Text != nil {
		return json.Marshal(*t.Text)
	}
	object := map[string]any{}
	if t.ID != nil {
		object["id"] = *t.ID
	}
	if t.Name != nil {
		object["name"] = *t.Name
	}
	return json.Marshal(object)
}

// UnmarshalJSON reads a string, or an object with id (integer) and name
// (string), at least one of them; the error is a *ValueError.
func (t *ClientTag) UnmarshalJSON(raw []byte) error {
	*t = ClientTag{}
	var err error
	switch {
	case len(raw) > MaxClientTagsBytes: // far longer than any valid tag
		err = invalid("too_long", "must have at most %d bytes", MaxClientTagsBytes)
	case bytes.HasPrefix(raw, []byte(`"`)):
		t.Text, err = parseTagText(raw)
	case bytes.HasPrefix(raw, []byte(`{`)):
		err = t.unmarshalObject(raw)
	default:
		err = invalid("invalid_type", "must be a string or an object with id and name")
	}
	return err
}

func (t *ClientTag) unmarshalObject(raw []byte) error {
	object := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &object); err != nil {
		return invalid("invalid_type", "must be a string or an object with id and name")
	}
	for key, value := range object {
		var err error
		switch key {
		case "id":
			t.ID, err = parseTagID(value)
		case "name":
			t.Name, err = parseTagText(value)
		default:
			err = invalid("unknown_field", "must have no keys but id and name")
		}
		if err != nil {
			return err
		}
	}
	if t.ID == nil && t.Name == nil {
		return invalid("required", "must have an id or a name")
	}
	return nil
}

func parseTagID(raw []byte) (*int64, error) {
	var id *int64
	if err := json.Unmarshal(raw, &id); err != nil || id == nil {
		return nil, invalid("invalid_type", "must have an integer as id")
	}
	return id, nil
}

func parseTagText(raw []byte) (*string, error) {
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		return nil, invalid("invalid_type", "must have a string as name")
	}
	if n := utf8.RuneCountInString(*s); n == 0 || n > MaxClientTagLength {
		return nil, invalid("invalid_length", "must have 1 to %d characters", MaxClientTagLength)
	}
	return s, nil
}

// Equal reports whether both tags have the same form and values.
func (t ClientTag) Equal(other ClientTag) bool {
	return equalPtr(t.Text, other.Text) && equalPtr(t.ID, other.ID) && equalPtr(t.Name, other.Name)
}

func equalPtr[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// ClientTags are the tags that a request gives a user.
type ClientTags []ClientTag

// Check returns a *ValueError where the tags are too long together.
func (tags ClientTags) Check() error {
	text, err := ClientTagsText(tags)
	if err == nil && len(text) > MaxClientTagsBytes {
		err = invalid("too_long", "must have at most %d bytes together", MaxClientTagsBytes)
	}
	return err
}

// ClientTagsText returns the tags as a JSON array, as they are stored.
func ClientTagsText(tags []ClientTag) (string, error) {
	raw, err := json.Marshal(append([]ClientTag{}, tags...))
	return string(raw), err
}

// ClientTagsFrom reads the text that ClientTagsText returns.
func ClientTagsFrom(text string) ([]ClientTag, error) {
	tags := []ClientTag{}
	if text == "[]" { // of nearly all users, in every row of a list
		return tags, nil
	}
	err := json.Unmarshal([]byte(text), &tags)
	return tags, err
}
