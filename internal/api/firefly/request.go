package firefly

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

const mimeJSONAPI = "application/vnd.api+json"

// bindUser reads the fields of a user from a body. Absent fields stay nil. A new user
// needs e-mail and blocked.
func bindUser(c echo.Context, creating bool) (identity.UserChange, error) {
	mediaType, body, err := api.ReadBody(c, echo.MIMEApplicationJSON, "", mimeJSONAPI, echo.MIMEApplicationForm)
	if err != nil {
		return identity.UserChange{}, err
	}
	parse := parseJSON
	if (mediaType == "" || mediaType == echo.MIMEApplicationForm) && !api.StartsObject(body) {
		parse = parseForm
	}
	fields, err := parse(body)
	if err != nil {
		return identity.UserChange{}, err
	}
	return userChange(fields, creating)
}

// fieldNames are the fields that are read. Others are ignored, because clients send
// back all fields of an answer.
var fieldNames = []string{"email", "blocked", "blocked_code"}

// parseJSON returns the fields that a JSON object has.
func parseJSON(body []byte) (map[string]any, error) {
	object, err := api.ParseObject(body)
	if err != nil {
		return nil, err
	}
	fields := map[string]any{}
	for name, raw := range object.Members() {
		if !slices.Contains(fieldNames, name) {
			continue
		}
		var value any
		if err := json.Unmarshal(raw, &value); err != nil {
			value = string(raw) // a number beyond float64, which no field takes
		}
		fields[name] = normal(value)
	}
	return fields, nil
}

// parseForm returns the fields that a form has, the last value of a repeated one.
func parseForm(body []byte) (map[string]any, error) {
	form, err := api.ParseForm(string(body))
	if err != nil {
		return nil, identity.Errorf(identity.Invalid, "malformed_form", "The body is neither a form nor a JSON object.")
	}
	fields := map[string]any{}
	for _, name := range fieldNames {
		if value, given := last(form, name); given {
			fields[name] = normal(value)
		}
	}
	return fields, nil
}

// normal trims a string and turns an empty one into nil.
func normal(value any) any {
	text, isText := value.(string)
	if !isText {
		return value
	}
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	return text
}

func last(values url.Values, name string) (value string, given bool) {
	if all := values[name]; len(all) > 0 {
		return all[len(all)-1], true
	}
	return "", false
}

// userChange returns the change that the fields stand for. The error is Invalid and
// names every wrong field.
func userChange(fields map[string]any, creating bool) (identity.UserChange, error) {
	var change identity.UserChange
	var problems []identity.FieldError
	fail := func(name, code string) { problems = append(problems, identity.FieldError{Field: name, Code: code}) }
	has := func(name string) bool {
		value, given := fields[name]
		if value == nil && (given || creating) {
			fail(name, codeRequired)
		}
		return value != nil
	}
	if has("email") {
		if email, ok := parseEmail(fields["email"]); ok {
			change.Email = &email
		} else {
			fail("email", codeEmail)
		}
	}
	if has("blocked") {
		if blocked, ok := parseBoolean(fields["blocked"]); ok {
			active := !blocked
			change.Active = &active
		} else {
			fail("blocked", codeBoolean)
		}
	}
	if value, given := fields["blocked_code"]; given {
		if code, ok := parseBlockedCode(value); ok {
			change.BlockedCode = &code
		} else {
			fail("blocked_code", codeChoice)
		}
	}
	return change, identity.InvalidFields(problems)
}

func parseEmail(value any) (email identity.Email, ok bool) {
	text, _ := value.(string)
	email, err := identity.ParseEmail(text)
	return email, err == nil
}

// parseBoolean reads all forms of a boolean that Firefly reads.
func parseBoolean(value any) (truth, ok bool) {
	switch v := value.(type) {
	case bool:
		return v, true
	case float64:
		return v == 1, v == 0 || v == 1
	case string:
		v = strings.ToLower(v)
		truth = slices.Contains([]string{"1", "true", "on", "yes", "y"}, v)
		return truth, truth || slices.Contains([]string{"0", "false", "off", "no", "n"}, v)
	}
	return false, false
}

func parseBlockedCode(value any) (code identity.BlockedCode, ok bool) {
	switch value {
	case nil:
		return identity.NoBlockedCode, true
	case string(identity.EmailChanged):
		return identity.EmailChanged, true
	}
	return "", false
}

const (
	// maxNumber limits the number of a page, as in Firefly.
	maxNumber = 1 << 16
	// maxSize limits the size of a page: with the longest addresses the answer is less
	// than 8 MiB.
	maxSize = 10_000
)

// page is the requested part of a list. No parameter is ever wrong.
type page struct {
	number, size int
	sized        bool // the request has a size
}

func pageFrom(query url.Values) page {
	p := page{number: 1, size: identity.DefaultPageSize}
	if text, given := last(query, "page"); given {
		p.number = clamped(text, maxNumber)
	}
	if text, given := last(query, "limit"); given {
		p.size, p.sized = clamped(text, maxSize), true
	}
	return p
}

func (p page) query() identity.UserQuery {
	return identity.UserQuery{
		Sort: identity.SortByID, Descending: true, Limit: p.size, Offset: int64(p.number-1) * int64(p.size), Brief: true,
	}
}

// clamped returns a number from 1 to limit for any text.
func clamped(text string, limit int64) int {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 1
	}
	return int(min(max(n, 1), limit))
}

// includes returns the types of records to include, each once. It ignores unknown
// names.
func includes(query url.Values) []identity.RecordType {
	text, _ := last(query, "include")
	asked := map[string]bool{}
	for name := range strings.SplitSeq(text, ",") {
		asked[strings.TrimSpace(name)] = true
	}
	var types []identity.RecordType
	for _, t := range identity.RecordTypes {
		if asked[string(t)] {
			types = append(types, t)
		}
	}
	return types
}

// userID reads the id of a user from the path. It returns NotFound for any text that is
// no id.
func userID(c echo.Context) (int64, error) {
	id, err := api.PathID(c, "id")
	if err != nil {
		return 0, identity.Errorf(identity.NotFound, "not_found", "There is no such user.").WithCause(err)
	}
	return id, nil
}

// relatedKey reads the user and the type of records that a path names.
func relatedKey(c echo.Context) (int64, identity.RecordType, error) {
	id, err := userID(c)
	if err != nil {
		return 0, "", err
	}
	recordType, err := identity.ParseRecordType(c.Param("name"))
	if err != nil {
		return 0, "", identity.Errorf(identity.NotFound, "not_found", "There is nothing at this address.").WithCause(err)
	}
	return id, recordType, nil
}
