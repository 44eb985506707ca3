package console

import (
	"encoding/json"
	"strings"
	"unicode"

	"github.com/rosterhq/roster/internal/identity"
)

// tagLine returns a client tag as one line of a form: a text as it is, or else as JSON where
// tagFrom would read something else.
func tagLine(tag identity.ClientTag) string {
	if tag.Text != nil && *tag.Text == strings.TrimSpace(*tag.Text) && !isTagJSON(*tag.Text) &&
		!strings.ContainsFunc(*tag.Text, unicode.IsControl) {
		return *tag.Text
	}
	raw, err := json.Marshal(tag)
	if err != nil {
		return ""
	}
	return string(raw)
}

// tagFrom reads a line that tagLine returns. The error is a *ValueError.
func tagFrom(line string) (identity.ClientTag, error) {
	var tag identity.ClientTag
	raw := []byte(line)
	if !isTagJSON(line) || !json.Valid(raw) {
		var err error
		if raw, err = json.Marshal(line); err != nil {
			return tag, err
		}
	}
	err := tag.UnmarshalJSON(raw)
	return tag, err
}

func isTagJSON(line string) bool { return strings.HasPrefix(line, "{") || strings.HasPrefix(line, `"`) }
