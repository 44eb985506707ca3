package api

import (
	"encoding"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-playground/validator/v10"

	"github.com/rosterhq/roster/internal/identity"
)

// maxItems bounds a list whose field has no validate tag with a max of its own.
const maxItems = 256

// Decode reads a JSON object into a T, a struct whose fields, and those of structs
// embedded in it, are pointers with json tags: nil where the field is absent. The
// method Required of T, where it has one, names fields that must not be absent. Where a field is tagged null:"empty"
// null stands for its empty value, where null:"absent" it is as good as leaving
// the field out; elsewhere null is an error. Values parse
// themselves (encoding.TextUnmarshaler, json.Unmarshaler), what remains is said
// in validate tags and, for a list as a whole, by its method Check. The error is
// Invalid and names the fields that are wrong (see identity.Problems).
func Decode[T any](body []byte) (T, error) {
	var target T
	object, err := ParseObject(body)
	if err != nil {
		return target, err
	}
	d := decoder{wrong: map[string]bool{}}
	value := reflect.ValueOf(&target).Elem()
	fields := slices.DeleteFunc(reflect.VisibleFields(value.Type()), func(f reflect.StructField) bool { return f.Anonymous })
	raws := make(map[string]json.RawMessage, len(fields))
	for _, field := range fields {
		raws[field.Tag.Get("json")] = nil
	}
	for name, raw := range object.Members() {
		if _, known := raws[name]; known {
			raws[name] = raw
		}
	}
	for _, field := range fields {
		name := field.Tag.Get("json")
		raw := raws[name]
		switch {
		case raw == nil:
		case string(raw) != "null":
			element := reflect.New(field.Type.Elem())
			d.decode(name, raw, element, mostItems(field))
			value.FieldByIndex(field.Index).Set(element)
		case field.Tag.Get("null") == "empty":
			value.FieldByIndex(field.Index).Set(reflect.New(field.Type.Elem()))
		case field.Tag.Get("null") == "absent":
		default:
			d.fail(name, name, "null_not_allowed", "must not be null")
		}
	}
	d.validate(target)
	if t, ok := any(target).(interface{ Required() []string }); ok {
		for _, name := range t.Required() {
			if raws[name] == nil {
				d.fail(name, name, "required", "is required")
			}
		}
	}
	for name := range object.Members() {
		if _, known := raws[name]; !known {
			d.problems.Add(shorten(name), "unknown_field", "is not a field of this request")
		}
	}
	return target, d.problems.Err()
}

// mostItems is how many items a field may have, if it is a list.
func mostItems(field reflect.StructField) int {
	for rule := range strings.SplitSeq(field.Tag.Get("validate"), ",") {
		if text, found := strings.CutPrefix(rule, "max="); found {
			if n, err := strconv.Atoi(text); err == nil {
				return n
			}
		}
	}
	return maxItems
}

// decoder collects what is wrong with the fields of an object.
type decoder struct {
	problems identity.Problems
	wrong    map[string]bool // the fields that something is wrong with
}

// fail records what is wrong at a path in a field.
func (d *decoder) fail(field, path, code, message string) {
	d.wrong[field] = true
	d.problems.Add(path, code, message)
}

func (d *decoder) failWith(field, path string, err error, target reflect.Type) {
	var value *identity.ValueError
	if errors.As(err, &value) {
		d.fail(field, path, value.Code, value.Message)
		return
	}
	d.fail(field, path, "invalid_type", "must be "+describe(target))
}

// decode reads a field, the items of a list each for itself so that the one at
// fault can be named. A list of more than most items is refused unread.
func (d *decoder) decode(name string, raw json.RawMessage, target reflect.Value, most int) {
	list := target.Elem()
	if _, parsesItself := target.Interface().(json.Unmarshaler); list.Kind() != reflect.Slice || parsesItself {
		d.decodeValue(name, name, raw, target)
		return
	}
	if raw[0] != '[' {
		d.fail(name, name, "invalid_type", "must be an array")
		return
	}
	count := 0
	for range elements(raw) {
		if count++; count > most {
			d.fail(name, name, "too_many", "must have at most "+strconv.Itoa(most)+" items")
			return
		}
	}
	list.Set(reflect.MakeSlice(list.Type(), count, count))
	i := 0
	for item := range elements(raw) {
		d.decodeValue(name, name+"["+strconv.Itoa(i)+"]", item, list.Index(i).Addr())
		i++
	}
	if whole, ok := target.Interface().(interface{ Check() error }); ok && !d.wrong[name] {
		if err := whole.Check(); err != nil {
			d.failWith(name, name, err, list.Type())
		}
	}
}

func (d *decoder) decodeValue(field, path string, raw json.RawMessage, target reflect.Value) {
	var err error
	switch {
	case hasNUL(raw):
		d.fail(field, path, "invalid_text", "must not contain the character NUL")
		return
	case string(raw) == "null":
		err = errNull // encoding/json would leave the zero value
	default:
		err = json.Unmarshal(raw, target.Interface())
	}
	if err != nil {
		d.failWith(field, path, err, target.Type().Elem())
	}
}

var errNull = errors.New("null where a value is needed")

func describe(t reflect.Type) string {
	if t == reflect.TypeFor[time.Time]() {
		return "a time such as 2030-01-31T12:00:00Z"
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return "a string"
	}
	switch t.Kind() { //nolint:exhaustive // the kinds that requests have
	case reflect.Bool:
		return "true or false"
	case reflect.Int64:
		return "an integer"
	}
	return "a string"
}

// validation is built once: the validator caches what it learns of each struct.
var validation = sync.OnceValue(func() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(field reflect.StructField) string { return field.Tag.Get("json") })
	return v
})

// validate checks the validate tags; a field that is known to be wrong already
// is not complained of again.
func (d *decoder) validate(target any) {
	var failures validator.ValidationErrors
	if !errors.As(validation().Struct(target), &failures) {
		return
	}
	for _, failure := range failures {
		name := failure.Field()
		switch {
		case d.wrong[name]:
		case failure.Tag() == "max": // of a list decode has told already
			d.fail(name, name, "out_of_range", "must be at most "+failure.Param())
		case failure.Tag() == "min":
			d.fail(name, name, "out_of_range", "must be at least "+failure.Param())
		default:
			d.fail(name, name, "required", "is required")
		}
	}
}
