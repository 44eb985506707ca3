package api

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-playground/validator/v10"

	"github.com/rosterhq/roster/internal/identity"
)

// Decode reads a JSON object into a T, a struct whose fields are pointers with
// json tags: nil where the field is absent. Where a field is tagged null:"empty"
// null stands for its empty value, where null:"absent" it is as good as leaving
// the field out; elsewhere null is an error. Values parse
// themselves (encoding.TextUnmarshaler, json.Unmarshaler), what remains is said
// in validate tags. The error is Invalid and names every field that is wrong.
func Decode[T any](body []byte) (T, error) {
	var target T
	object, err := ParseObject(body)
	if err != nil {
		return target, err
	}
	var problems []identity.FieldError
	value := reflect.ValueOf(&target).Elem()
	for i := range value.NumField() {
		field := value.Type().Field(i)
		name := field.Tag.Get("json")
		raw, present := object[name]
		delete(object, name)
		switch {
		case !present:
		case string(raw) != "null":
			element := reflect.New(field.Type.Elem())
			problems = append(problems, decodeValue(name, raw, element)...)
			value.Field(i).Set(element)
		case field.Tag.Get("null") == "empty":
			value.Field(i).Set(reflect.New(field.Type.Elem()))
		case field.Tag.Get("null") == "absent":
		default:
			problems = append(problems, identity.FieldError{Field: name, Code: "null_not_allowed", Message: "must not be null"})
		}
	}
	problems = append(problems, validate(target, problems)...)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		problems = append(problems, identity.FieldError{Field: shorten(name), Code: "unknown_field", Message: "is not a field of this request"})
	}
	return target, identity.InvalidFields(problems)
}

// decodeValue reads one value, the elements of a list each for itself so that
// the one at fault can be named.
func decodeValue(path string, raw json.RawMessage, target reflect.Value) []identity.FieldError {
	list := target.Elem()
	_, parsesItself := target.Interface().(json.Unmarshaler)
	if list.Kind() != reflect.Slice || parsesItself {
		if err := decodeScalar(raw, target); err != nil {
			return []identity.FieldError{fieldError(path, err, target.Type().Elem())}
		}
		return nil
	}
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return []identity.FieldError{{Field: path, Code: "invalid_type", Message: "must be an array"}}
	}
	list.Set(reflect.MakeSlice(list.Type(), len(items), len(items)))
	var problems []identity.FieldError
	for i, item := range items {
		problems = append(problems, decodeValue(fmt.Sprintf("%s[%d]", path, i), item, list.Index(i).Addr())...)
	}
	return problems
}

var errNull = errors.New("null where a value is needed")

func decodeScalar(raw json.RawMessage, target reflect.Value) error {
	if bytes.Equal(raw, []byte("null")) {
		return errNull // encoding/json would leave the zero value
	}
	return json.Unmarshal(raw, target.Interface())
}

func fieldError(path string, err error, target reflect.Type) identity.FieldError {
	var value *identity.ValueError
	if errors.As(err, &value) {
		return identity.FieldError{Field: path, Code: value.Code, Message: value.Message}
	}
	return identity.FieldError{Field: path, Code: "invalid_type", Message: "must be " + describe(target)}
}

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
func validate(target any, known []identity.FieldError) []identity.FieldError {
	var failures validator.ValidationErrors
	if !errors.As(validation().Struct(target), &failures) {
		return nil
	}
	var problems []identity.FieldError
	for _, failure := range failures {
		isKnown := slices.ContainsFunc(known, func(f identity.FieldError) bool {
			return f.Field == failure.Field() || strings.HasPrefix(f.Field, failure.Field()+"[")
		})
		if isKnown {
			continue
		}
		problem := identity.FieldError{Field: failure.Field(), Code: "required", Message: "is required"}
		switch failure.Tag() {
		case "max":
			problem.Code, problem.Message = "too_many", "must have at most "+failure.Param()+" items"
		case "min":
			problem.Code, problem.Message = "out_of_range", "must be at least "+failure.Param()
		}
		problems = append(problems, problem)
	}
	return problems
}
