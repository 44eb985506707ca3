package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/rosterhq/roster/pkg/client"
)

// values are fields of a thing by their names in the API, as JSON.
type values map[string]json.RawMessage

// set adds a field, unless value is a nil pointer: a flag that was not given.
func (v values) set(name string, value any) {
	of := reflect.ValueOf(value)
	if of.Kind() == reflect.Pointer {
		if of.IsNil() {
			return
		}
		of = of.Elem()
	}
	if of.Kind() == reflect.Slice && of.IsNil() {
		v[name] = json.RawMessage("[]")
		return
	}
	text, err := json.Marshal(of.Interface())
	if err != nil {
		panic(err) // flags are texts, numbers and lists
	}
	v[name] = text
}

// changeable is a thing of type T that an update of type U changes.
type changeable[T, U any] struct {
	what    string // such as "user 12"
	present T
	again   func(context.Context) (T, error)
	update  func(context.Context, U, ...client.CallOption) (T, error)
	// question is asked before a change of the field asksFor to the value asksAt; "" for none.
	question, asksFor, asksAt string
}

// changeFlags are the flags of the commands that change something.
type changeFlags struct {
	DryRun bool `help:"Show what would change, and change nothing."`
	Yes    bool `help:"Do not ask."`
}

// editableOf returns the names of the fields that an update can change and the thing shows, in their order.
func editableOf[T, U any]() []string {
	var names []string
	shown := fieldsOf(reflect.TypeFor[T]())
	for _, f := range fieldsOf(reflect.TypeFor[U]()) {
		if slices.ContainsFunc(shown, func(s field) bool { return s.name == f.name }) {
			names = append(names, f.name)
		}
	}
	return names
}

// valuesOf returns the editable fields of a thing.
func valuesOf[T, U any](thing T) values {
	all := values{}
	value := reflect.ValueOf(thing)
	editable := editableOf[T, U]()
	for _, f := range fieldsOf(value.Type()) {
		if slices.Contains(editable, f.name) {
			all[f.name] = normal(jsonOf(value.FieldByIndex(f.index)))
		}
	}
	return all
}

// normal returns the one text of a JSON value that is equal to it. null stands for an absent text.
func normal(text []byte) json.RawMessage {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if decoder.Decode(&value) != nil || value == nil {
		return json.RawMessage(`""`)
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(value) != nil {
		return text
	}
	return bytes.TrimSpace(buffer.Bytes())
}

// changed returns the fields of wanted that differ from the present ones.
func changed(present, wanted values) values {
	different := values{}
	for name, value := range wanted {
		if !bytes.Equal(normal(value), normal(present[name])) {
			different[name] = value
		}
	}
	return different
}

// apply shows a change, asks where it ends something, and sends it with the version that it was made for.
func (c changeable[T, U]) apply(
	ctx context.Context, sh *Shell, present T, change values, flags changeFlags, options ...client.CallOption,
) (T, error) {
	var update U
	text, err := json.Marshal(change)
	if err == nil {
		err = json.Unmarshal(text, &update)
	}
	if err != nil {
		return present, invalidValue(err)
	}
	before := valuesOf[T, U](present)
	sh.showChange(c.what, editableOf[T, U](), before, change)
	if flags.DryRun {
		sh.say("This is a dry run: nothing is changed.")
		return present, nil
	}
	if value, ok := change[c.asksFor]; ok && string(value) == c.asksAt {
		if err := sh.confirm(ctx, flags.Yes, "%s %s?", c.question, c.what); err != nil {
			return present, err
		}
	}
	version := reflect.ValueOf(present).FieldByName("Version").Int()
	return c.update(ctx, update, append(options, client.IfVersion(version))...)
}

// change makes the change that flags describe.
func (c changeable[T, U]) change(
	ctx context.Context, sh *Shell, wanted values, flags changeFlags, options ...client.CallOption,
) (T, error) {
	present := c.present
	change := changed(valuesOf[T, U](present), wanted)
	if len(change) == 0 {
		sh.say("%s is like that already.", sentence(c.what))
		return present, nil
	}
	return c.apply(ctx, sh, present, change, flags, options...)
}

// invalidValue puts an error of JSON into words.
func invalidValue(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		kinds := map[reflect.Kind]string{
			reflect.String: "a text", reflect.Bool: "true or false", reflect.Slice: "a list",
			reflect.Int64: "a whole number",
		}
		kind, ok := kinds[wrong.Type.Kind()]
		if !ok {
			kind = "of another kind"
		}
		return &codedError{ExitInvalid, fmt.Sprintf("%s must be %s", wrong.Field, kind)}
	}
	return &codedError{ExitInvalid, err.Error()}
}

// showChange writes the fields that change, old → new.
func (t *Terminal) showChange(what string, order []string, present, change values) {
	t.say("%s:", sentence(what))
	names := slices.Collect(func(yield func(string) bool) {
		for _, name := range order {
			if _, ok := change[name]; ok && !yield(name) {
				return
			}
		}
	})
	for _, name := range slices.Sorted(maps.Keys(change)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		after := styled(t.errColour, green, printable(shown(change[name])))
		if _, ok := present[name]; ok {
			before := styled(t.errColour, red, printable(shown(present[name])))
			fmt.Fprintf(t.Err, "  %s: %s → %s\n", name, before, after)
		} else {
			fmt.Fprintf(t.Err, "  %s: %s\n", name, after)
		}
	}
}

// shown returns a JSON value as a difference shows it.
func shown(value json.RawMessage) string {
	text := string(normal(value))
	if text == `""` {
		return "–"
	}
	var plain string
	if json.Unmarshal([]byte(text), &plain) == nil {
		return plain
	}
	return text
}

func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// isStale reports whether a thing has changed since it was read.
func isStale(err error) bool {
	refused, ok := errors.AsType[*client.Error](err)
	return ok && refused.Status == http.StatusPreconditionFailed
}

// isInvalid reports whether a change was refused for its values.
func isInvalid(err error) bool { return ExitCode(err) == ExitInvalid }
