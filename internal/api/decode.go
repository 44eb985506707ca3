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
// method Required of T, if it has one, returns the fields that must not be absent.
// In a field tagged null:"empty" null is the empty value; in one tagged null:"absent"
// it counts as absent; elsewhere null is an error. Values parse themselves
// (encoding.TextUnmarshaler, json.Unmarshaler); a json.RawMessage takes any value, for
// another Decode. Other rules are validate tags and, for a whole list, its method Check.
// The error is Invalid and names the fields that are wrong (see identity.Problems); the
// fields that are not wrong are set.
func Decode[T any](body []byte) (T, error) {
	var target T
	object, err := ParseObject(body)
	if err != nil {
		return target, err
	}
	d := decoder{wrong: map[string]bool{}}
	value := reflect.ValueOf(&target).Elem()
	fields := fieldsOf(value.Type())
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
			d.decode(name, raw, element, maxItemsOf(field))
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

// fieldsByType keeps what fieldsOf returns: a call may have a thousand rows to decode.
var fieldsByType sync.Map

// fieldsOf returns the fields of a struct and of the structs embedded in it.
func fieldsOf(of reflect.Type) []reflect.StructField {
	if known, found := fieldsByType.Load(of); found {
		if fields, ok := known.([]reflect.StructField); ok {
			return fields
		}
	}
	fields := slices.DeleteFunc(reflect.VisibleFields(of), func(f reflect.StructField) bool { return f.Anonymous })
	fieldsByType.Store(of, fields)
	return fields
}

// maxItemsOf returns how many items a field may have, if it is a list.
func maxItemsOf(field reflect.StructField) int {
	for rule := range strings.SplitSeq(field.Tag.Get("validate"), ",") {
		if text, found := strings.CutPrefix(rule, "max="); found {
			if n, err := strconv.Atoi(text); err == nil {
				return n
			}
		}
	}
	return maxItems
}

// decoder collects the errors in the fields of an object.
type decoder struct {
	problems identity.Problems
	wrong    map[string]bool // the fields with an error
}

// fail records an error at a path in a field.
func (d *decoder) fail(field, path, code, message string) {
	d.wrong[field] = true
	d.problems.Add(path, code, message)
}

// failWith records the code and message of a *identity.ValueError, or a wrong type for
// any other error.
func (d *decoder) failWith(field, path string, err error, target reflect.Type) {
	var value *identity.ValueError
	if errors.As(err, &value) {
		d.fail(field, path, value.Code, value.Message)
		return
	}
	d.fail(field, path, "invalid_type", "must be "+describe(target))
}

// decode reads a field. It reads each item of a list by itself, so that an error names
// the item, and rejects a list of more than limit items before it reads them.
func (d *decoder) decode(name string, raw json.RawMessage, target reflect.Value, limit int) {
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
		if count++; count > limit {
			d.fail(name, name, "too_many", "must have at most "+strconv.Itoa(limit)+" items")
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
	whole, isWhole := target.Interface().(*json.RawMessage)
	switch {
	case isWhole:
		*whole = raw
		return
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

var errNull = errors.New("null instead of a value")

func describe(t reflect.Type) string {
	if t == reflect.TypeFor[time.Time]() {
		return "a time such as 2030-01-31T12:00:00Z"
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return "a string"
	}
	switch t.Kind() { //nolint:exhaustive // requests have no other kinds
	case reflect.Bool:
		return "true or false"
	case reflect.Int64:
		return "an integer"
	}
	return "a string"
}

// validation is built once: the validator caches the tags of each struct.
var validation = sync.OnceValue(func() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(field reflect.StructField) string { return field.Tag.Get("json") })
	return v
})

// validate checks the validate tags. It skips a field that already has an error.
func (d *decoder) validate(target any) {
	var failures validator.ValidationErrors
	if !errors.As(validation().Struct(target), &failures) {
		return
	}
	for _, failure := range failures {
		name := failure.Field()
		switch {
		case d.wrong[name]:
		case failure.Tag() == "max": // of a number: decode checks lists
			d.fail(name, name, "out_of_range", "must be at most "+failure.Param())
		case failure.Tag() == "min":
			d.fail(name, name, "out_of_range", "must be at least "+failure.Param())
		default:
			d.fail(name, name, "required", "is required")
		}
	}
}
