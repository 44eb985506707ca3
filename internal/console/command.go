package console

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rosterhq/roster/internal/identity"
)

// Command returns the command line of roster that does the same as the call, for a POSIX shell. It returns "" where
// no command does exactly the same, and for text that would steer a terminal or change the order of what is read. The
// line has no secret: the command asks for passwords. It also asks before it takes access away.
func (a apiCall) Command() string {
	path, query, _ := strings.Cut(a.Path, "?")
	for _, c := range commands {
		ids, ok := c.match(a.Method, path)
		if !ok {
			continue
		}
		parameters, okQuery := queryFields(query)
		body, okBody := bodyFields(a.Body)
		if !okQuery || !okBody || c.check != nil && !c.check(body) {
			continue
		}
		flags, okQuery := c.query.words(parameters)
		more, okBody := c.body.words(body)
		line := strings.Join(append(append([]string{"roster " + c.wordsWith(ids)}, flags...), more...), " ")
		if okQuery && okBody && isPlain(line) {
			return line
		}
	}
	return ""
}

// command says which command does the same as a call. Where several have the same call, the first counts that knows
// all fields.
type command struct {
	call  string // the method and the path below /api/v2; {id} is an id, {user} an id or me
	words string // the command, with {} for each id in turn
	query parameters
	body  parameters
	check func(body map[string]any) bool // whether the command can send the body; nil for always
}

// match returns the ids in a path, and whether the call is that of the command.
func (c command) match(method, path string) (ids []string, ok bool) {
	if method == "" {
		method = http.MethodGet
	}
	own, parts := strings.Split(c.call, "/"), strings.Split(method+" "+strings.TrimPrefix(path, "/api/v2/"), "/")
	if len(own) != len(parts) || !strings.HasPrefix(path, "/api/v2/") {
		return nil, false
	}
	for i, part := range parts {
		switch {
		case own[i] == "{id}" && isID(part), own[i] == "{user}" && (isID(part) || part == "me"):
			ids = append(ids, part)
		case own[i] != part:
			return nil, false
		}
	}
	return ids, true
}

func (c command) wordsWith(ids []string) string {
	words := c.words
	for _, id := range ids {
		words = strings.Replace(words, "{}", id, 1)
	}
	return words
}

// isID reports whether a text is a positive number in its usual form.
func isID(text string) bool {
	id, err := strconv.ParseInt(text, 10, 64)
	return err == nil && id > 0 && strconv.FormatInt(id, 10) == text
}

// parameter is a field of a query or a body, with the words that say the same. A value is a string, or what
// encoding/json makes of JSON with numbers as json.Number.
type parameter struct {
	name   string
	words  func(value any) (words string, ok bool) // "" for no words; not ok for a value that they cannot say
	usual  any                                     // what the call means without the field; nil if the command does, too
	needed bool                                    // the command cannot do without it
}

// parameters are in the order of the command line.
type parameters []parameter

// words returns the words for all given fields. It is not ok if there is a field or a value without words.
func (p parameters) words(given map[string]any) (words []string, ok bool) {
	known := 0
	for _, parameter := range p {
		value, isGiven := given[parameter.name]
		switch {
		case isGiven:
			known++
		case parameter.needed:
			return nil, false
		case parameter.usual == nil:
			continue
		default:
			value = parameter.usual
		}
		word, ok := parameter.words(value)
		if !ok {
			return nil, false
		}
		if word != "" {
			words = append(words, word)
		}
	}
	return words, known == len(given)
}

// queryFields returns the parameters of a query. It is not ok if one is repeated or empty.
func queryFields(query string) (fields map[string]any, ok bool) {
	values, err := url.ParseQuery(query)
	fields = map[string]any{}
	for name, list := range values {
		if len(list) != 1 || list[0] == "" {
			return nil, false
		}
		fields[name] = list[0]
	}
	return fields, err == nil
}

// bodyFields returns the fields of a body, none for "".
func bodyFields(body string) (fields map[string]any, ok bool) {
	if body == "" {
		return nil, true
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(body)))
	decoder.UseNumber()
	err := decoder.Decode(&fields)
	_, end := decoder.Token()
	return fields, err == nil && fields != nil && end == io.EOF
}

// isPlain reports whether a terminal shows a text as it is, and a browser copies it unchanged.
func isPlain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
	})
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9@%+:,./_-]+$`)

// flagWith returns a flag with its value, as words that begin with a dash are no flags then.
func flagWith(flag, value string) string {
	if value != "" && !plainWord.MatchString(value) {
		value = shellQuoted(value)
	}
	return flag + "=" + value
}

// textFlag is a flag with a text.
func textFlag(flag string) func(any) (string, bool) {
	return func(value any) (string, bool) {
		s, ok := value.(string)
		return flagWith(flag, s), ok
	}
}

// nullableTextFlag is a flag with a text, where an empty one means null.
func nullableTextFlag(flag string) func(any) (string, bool) {
	return func(value any) (string, bool) {
		if value == nil {
			return flagWith(flag, ""), true
		}
		return textFlag(flag)(value)
	}
}

// numberFlag is a flag with a positive number.
func numberFlag(flag string) func(any) (string, bool) {
	return func(value any) (string, bool) {
		s, ok := numberText(value)
		return flagWith(flag, s), ok && isID(s)
	}
}

func numberText(value any) (string, bool) {
	switch value := value.(type) {
	case string:
		return value, true
	case json.Number:
		return value.String(), true
	}
	return "", false
}

// wordFor has words for some values; the values are strings or booleans.
func wordFor(words map[any]string) func(any) (string, bool) {
	return func(value any) (string, bool) {
		switch value.(type) {
		case string, bool:
			word, ok := words[value]
			return word, ok
		}
		return "", false
	}
}

// boolFlag has words for true and for false.
func boolFlag(yes, no string) func(any) (string, bool) {
	return wordFor(map[any]string{true: yes, false: no, "true": yes, "false": no})
}

// listFlag is a flag with texts or numbers, separated by commas. It cannot say texts that have a comma or are empty.
func listFlag(flag string) func(any) (string, bool) {
	return func(value any) (string, bool) {
		values, ok := value.([]any)
		texts := make([]string, len(values))
		for i, v := range values {
			s, isText := numberText(v)
			ok = ok && isText && s != "" && !strings.ContainsAny(s, `,\`)
			texts[i] = s
		}
		return flagWith(flag, strings.Join(texts, ",")), ok
	}
}

// timeFlag is a flag with a time. The command knows whole seconds, and takes the zero time for none.
func timeFlag(flag string) func(any) (string, bool) {
	return func(value any) (string, bool) {
		s, _ := value.(string)
		t, err := time.Parse(time.RFC3339, s)
		return flagWith(flag, s), err == nil && !t.IsZero() && t.Nanosecond() == 0
	}
}

// nullableTimeFlag is timeFlag, with another flag for null.
func nullableTimeFlag(flag, null string) func(any) (string, bool) {
	return func(value any) (string, bool) {
		if value == nil {
			return null, true
		}
		return timeFlag(flag)(value)
	}
}

// arguments are words behind all flags: one text, or a list of texts.
func arguments(value any) (string, bool) {
	values, ok := value.([]any)
	if !ok {
		values = []any{value}
	}
	line := "--"
	for _, v := range values {
		s, ok := v.(string)
		if !ok {
			return "", false
		}
		line += " " + shellQuoted(s)
	}
	return line, len(values) > 0
}

// silent has no words: the command asks for the value.
func silent(any) (string, bool) { return "", true }

// pageOf returns parameters and those of a page. A call without a limit has 50 rows, a command has all; none but the
// first page has a command.
func pageOf(p ...parameter) parameters {
	return append(p, parameter{name: paramLimit, words: numberFlag("--limit"), usual: strconv.Itoa(defaultRows)},
		parameter{name: paramOffset, words: wordFor(map[any]string{"0": ""})})
}

// changesSome reports whether a body changes something. A command without a change opens an editor.
func changesSome(body map[string]any) bool {
	_, notifies := body[fieldNotify]
	return len(body) > 1 || len(body) == 1 && !notifies
}

// hasPasswordOrInvite reports whether a new user gets a password or an invitation: the command asks for a password
// if there is no invitation.
func hasPasswordOrInvite(body map[string]any) bool {
	_, hasPassword := body[identity.FieldPassword]
	return hasPassword != (body["invite"] == true)
}

// hasTokenForBearer reports whether a new webhook has a token and is a bearer of one, or neither: the command asks
// for a token if it is.
func hasTokenForBearer(body map[string]any) bool {
	return (body[identity.FieldToken] != nil) == (body[identity.FieldAuth] == "bearer")
}

// commands are all commands that do the same as a call.
var commands = []command{
	{call: "GET users", words: "users list", query: pageOf(
		parameter{name: paramName, words: textFlag("--name")},
		parameter{name: paramEmail, words: textFlag("--email")},
		parameter{name: paramSearch, words: textFlag("--search")},
		parameter{name: paramStatus, words: textFlag("--status")},
		parameter{name: paramGroup, words: numberFlag("--group")},
		parameter{name: paramTFA, words: boolFlag("--tfa", "--no-tfa")},
		parameter{name: paramLocked, words: boolFlag("--locked", "--no-locked")},
		parameter{name: paramSigninAfter, words: timeFlag("--last-signin-after")},
		parameter{name: paramSigninBefore, words: timeFlag("--last-signin-before")},
		parameter{name: paramCreatedAfter, words: timeFlag("--created-after")},
		parameter{name: paramCreatedBefore, words: timeFlag("--created-before")},
		parameter{name: paramSort, words: textFlag("--sort")},
		parameter{name: paramOrder, words: wordFor(map[any]string{"asc": "", "desc": "--desc"})},
	)},
	{call: "POST users", words: "users create", check: hasPasswordOrInvite, body: parameters{
		{name: identity.FieldName, words: textFlag("--name"), needed: true},
		{name: identity.FieldEmail, words: textFlag("--email"), needed: true},
		{name: identity.FieldPhone, words: nullableTextFlag("--phone")},
		{name: identity.FieldActive, words: boolFlag("", "--inactive"), needed: true},
		{name: identity.FieldTFA, words: boolFlag("--tfa", ""), needed: true},
		{name: identity.FieldGroups, words: listFlag("--group"), needed: true},
		{name: identity.FieldAllowList, words: listFlag("--ip-whitelist")},
		{name: identity.FieldClientTags, words: listFlag("--tag")},
		{name: identity.FieldCanViewMaskedData, words: boolFlag("--can-view-masked-data", "")},
		{name: "invite", words: boolFlag("--invite", "")},
		{name: fieldNotify, words: boolFlag("--notify", "")},
		{name: identity.FieldPassword, words: silent},
	}},
	{
		call: "POST users/find", words: "users find",
		body: parameters{{name: identity.FieldTexts, words: arguments, needed: true}},
	},
	{call: "GET users/{user}", words: "users get {}"},
	{call: "PATCH users/{user}", words: "users activate {}", body: parameters{
		{name: identity.FieldActive, words: wordFor(map[any]string{true: ""}), needed: true},
	}},
	{
		call: "PATCH users/{user}", words: "users deactivate {}",
		query: parameters{{name: fieldForce, words: boolFlag("--force", "")}},
		body:  parameters{{name: identity.FieldActive, words: wordFor(map[any]string{false: ""}), needed: true}},
	},
	{
		call: "PATCH users/{user}", words: "users edit {}", check: changesSome,
		query: parameters{{name: fieldForce, words: boolFlag("--force", "")}},
		body: parameters{
			{name: identity.FieldName, words: textFlag("--name")},
			{name: identity.FieldEmail, words: textFlag("--email")},
			{name: identity.FieldPhone, words: nullableTextFlag("--phone")},
			{name: identity.FieldActive, words: boolFlag("--active", "--no-active")},
			{name: identity.FieldTFA, words: boolFlag("--tfa", "--no-tfa")},
			{name: identity.FieldGroups, words: listFlag("--group")},
			{name: identity.FieldAllowList, words: listFlag("--ip-whitelist")},
			{name: identity.FieldClientTags, words: listFlag("--tag")},
			{
				name:  identity.FieldCanViewMaskedData,
				words: boolFlag("--can-view-masked-data", "--no-can-view-masked-data"),
			},
			{name: fieldNotify, words: boolFlag("--notify", "")},
		},
	},
	{call: "DELETE users/{user}", words: "users delete {}"},
	{call: "GET users/{user}/sessions", words: "users sessions {}", query: pageOf()},
	{call: "DELETE users/{user}/sessions", words: "users sessions {} --end-all"},
	{call: "DELETE users/{user}/sessions/{id}", words: "users sessions {} --end={}"},

	{call: "GET groups", words: "groups list", query: pageOf()},
	{call: "POST groups", words: "groups create", body: parameters{
		{name: identity.FieldName, words: textFlag("--name"), needed: true},
		{name: identity.FieldPermissions, words: listFlag("--permission"), needed: true},
		{name: identity.FieldRequireTFA, words: boolFlag("--require-tfa", "")},
	}},
	{call: "GET groups/{id}", words: "groups get {}"},
	{call: "PATCH groups/{id}", words: "groups edit {}", check: changesSome, body: parameters{
		{name: identity.FieldName, words: textFlag("--name")},
		{name: identity.FieldPermissions, words: listFlag("--permission")},
		{name: identity.FieldRequireTFA, words: boolFlag("--require-tfa", "--no-require-tfa")},
	}},
	{call: "DELETE groups/{id}", words: "groups delete {}"},

	{call: "GET tokens", words: "tokens list", query: pageOf(
		parameter{name: "filter[userId]", words: numberFlag("--user")},
		parameter{name: "filter[createdBy]", words: textFlag("--created-by")},
		parameter{name: "filter[expiresAfter]", words: timeFlag("--expires-after")},
		parameter{name: "filter[expiresBefore]", words: timeFlag("--expires-before")},
	)},
	{call: "POST tokens", words: "tokens create", body: parameters{
		{name: identity.FieldName, words: textFlag("--name"), needed: true},
		{name: identity.FieldPermissions, words: listFlag("--permission"), needed: true},
		{name: identity.FieldUserID, words: numberFlag("--user")},
		{name: identity.FieldAllowList, words: listFlag("--ip-whitelist")},
		{name: identity.FieldCanViewMaskedData, words: boolFlag("--can-view-masked-data", "")},
		{name: identity.FieldExpiresAt, words: nullableTimeFlag("--expires-at", "--never-expires")},
	}},
	{call: "GET tokens/{id}", words: "tokens get {}"},
	{call: "DELETE tokens/{id}", words: "tokens delete {}"},

	{call: "GET webhooks", words: "webhooks list", query: pageOf(
		parameter{name: "filter[createdBy]", words: textFlag("--created-by")},
	)},
	{call: "POST webhooks", words: "webhooks create", check: hasTokenForBearer, body: parameters{
		{name: identity.FieldEvents, words: listFlag("--event"), needed: true},
		{name: identity.FieldFormat, words: textFlag("--format"), usual: string(identity.WebhookFormatPowens)},
		{name: identity.FieldAuth, words: textFlag("--auth")},
		{name: identity.FieldActive, words: boolFlag("", "--inactive")},
		{name: identity.FieldToken, words: silent},
		{name: identity.FieldURL, words: arguments, needed: true},
	}},
	{call: "GET webhooks/{id}", words: "webhooks get {}"},
	{call: "PATCH webhooks/{id}", words: "webhooks edit {}", check: changesSome, body: parameters{
		{name: identity.FieldURL, words: textFlag("--url")},
		{name: identity.FieldEvents, words: listFlag("--event")},
		{name: identity.FieldFormat, words: textFlag("--format")},
		{name: identity.FieldAuth, words: textFlag("--auth")},
		{name: identity.FieldActive, words: boolFlag("--active", "--no-active")},
	}},
	{call: "DELETE webhooks/{id}", words: "webhooks delete {}"},
	{call: "POST webhooks/{id}/test", words: "webhooks test {}"},
	{call: "POST webhooks/{id}/rotate", words: "webhooks rotate {}"},
	{call: "GET webhooks/{id}/deliveries", words: "webhooks deliveries {}", query: pageOf(
		parameter{name: "filter[state]", words: textFlag("--state")},
	)},
	{call: "POST webhooks/{id}/deliveries/{id}/redeliver", words: "webhooks redeliver {} {}"},

	{call: "GET outbox", words: "outbox list", query: pageOf(
		parameter{
			name:  "filter[state]",
			words: wordFor(map[any]string{"pending": "--state=pending", "dead": "--state=dead"}),
		},
		parameter{name: "filter[kind]", words: textFlag("--kind")},
		parameter{name: "filter[webhook]", words: numberFlag("--webhook")},
		parameter{name: "filter[user]", words: numberFlag("--user")},
	)},
	{call: "GET outbox/counts", words: "outbox counts"},
	{call: "POST outbox/{id}/retry", words: "outbox retry {}"},

	{call: "GET events", words: "events list", query: pageOf(
		parameter{name: "filter[user]", words: numberFlag("--user")},
		parameter{name: "filter[actor]", words: textFlag("--actor")},
		parameter{name: "filter[type]", words: textFlag("--type")},
		parameter{name: "filter[reason]", words: textFlag("--reason")},
		parameter{name: "filter[since]", words: timeFlag("--since")},
		parameter{name: "filter[until]", words: timeFlag("--until")},
	)},
}
