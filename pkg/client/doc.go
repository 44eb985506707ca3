// Package client is a typed client of Roster's API, generated from openapi.yaml.
//
// [NewClientWithResponses] makes one; it wants the server's URL and [WithToken]. Each method ending in WithResponse
// makes one call. Its error says that there was no answer to read; otherwise the answer has the result in JSON200 or
// JSON201 (a deletion has none), or else what went wrong in JSONDefault, which is itself an error. Headers such as ETag
// are in HTTPResponse.
//
// An answer that did not come from Roster, say from a proxy in between, has neither: look at StatusCode then.
package client

//go:generate go tool -modfile=../../tools/go.mod oapi-codegen -config oapi-codegen.yaml ../../openapi.yaml

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// WithToken sends token as bearer token with every request.
func WithToken(token string) ClientOption {
	return WithRequestEditorFn(func(_ context.Context, req *http.Request) error {
		req.Header.Set("Authorization", "Bearer "+token)
		return nil
	})
}

// Error returns what went wrong, for people.
func (p *Problem) Error() string {
	return fmt.Sprintf("%s (%d %s)", p.Detail, p.Status, p.Code)
}

// Nullable is a value in an update. The zero Nullable leaves the field as it is.
type Nullable[T any] struct {
	value *T
	set   bool
}

// Value sets the field to v.
func Value[T any](v T) Nullable[T] {
	return Nullable[T]{value: &v, set: true}
}

// Null clears the field.
func Null[T any]() Nullable[T] {
	return Nullable[T]{set: true}
}

// IsZero reports whether the field is left as it is.
func (n Nullable[T]) IsZero() bool {
	return !n.set
}

// MarshalJSON writes the value, or null.
func (n Nullable[T]) MarshalJSON() ([]byte, error) {
	return json.Marshal(n.value)
}
