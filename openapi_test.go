package roster

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

func contract(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestContractIsValid(t *testing.T) {
	if err := contract(t).Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Error(err)
	}
}

func TestOperations(t *testing.T) {
	ids := map[string]string{}
	for path, item := range contract(t).Paths.Map() {
		for method, op := range item.Operations() {
			name := method + " " + path
			if op.OperationID == "" || op.Summary == "" || len(op.Tags) != 1 {
				t.Errorf("%s: wants an operationId, a summary and one tag", name)
			}
			if other, taken := ids[op.OperationID]; taken {
				t.Errorf("%s and %s are both called %s", name, other, op.OperationID)
			}
			ids[op.OperationID] = name

			public := op.Security != nil && len(*op.Security) == 0
			if api := strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/2.0/"); api == public && !(api && op.Tags[0] == "Sign-in") {
				t.Errorf("%s: public = %v", name, public)
			}
			for status, response := range op.Responses.Map() {
				if response.Value.Headers["X-Request-Id"] == nil {
					t.Errorf("%s %s: no X-Request-Id", name, status)
				}
				if strings.HasPrefix(path, "/api/v1/") || strings.HasPrefix(path, "/2.0/") {
					if status >= "400" && (response.Value.Content["application/json"] == nil || response.Value.Content["application/json"].Example == nil) {
						t.Errorf("%s %s: no error body with an example", name, status)
					}
				} else if status >= "400" && !public {
					example, ok := problemExample(response.Value)
					if !ok || fmt.Sprint(example["status"]) != status {
						t.Errorf("%s %s: no problem document with an example of this status", name, status)
					}
				}
			}
		}
	}
}

func problemExample(r *openapi3.Response) (example map[string]any, ok bool) {
	problem := r.Content["application/problem+json"]
	if problem == nil {
		return nil, false
	}
	example, ok = problem.Example.(map[string]any)
	return example, ok
}

// What is open on purpose: what services say about their records, and what clients of Firefly III send along.
var openObjects = []string{"RecordAttributes", "FireflyUserCreate", "FireflyUserUpdate"}

// A mistyped field must never pass unnoticed, and an answer has no field that is not written down.
func TestObjectsAreClosed(t *testing.T) {
	for name, schema := range contract(t).Components.Schemas {
		walk(name, schema.Value, func(path string, s *openapi3.Schema) {
			isMap := s.AdditionalProperties.Schema != nil
			if s.Type.Is("object") && !isMap && !slices.Contains(openObjects, path) && (s.AdditionalProperties.Has == nil || *s.AdditionalProperties.Has) {
				t.Errorf("%s: additionalProperties is not false", path)
			}
			for _, field := range s.Required {
				if s.Properties[field] == nil {
					t.Errorf("%s: requires %s, which is not one of its properties", path, field)
				}
			}
		})
	}
}

// CreatedToken is Token and the secret: a closed object cannot be extended by allOf.
func TestCreatedTokenIsToken(t *testing.T) {
	schemas := contract(t).Components.Schemas
	want := append(slices.Clone(schemas["Token"].Value.Required), "token")
	if got := schemas["CreatedToken"].Value.Required; !slices.Equal(got, want) {
		t.Errorf("required: %v, want %v", got, want)
	}
	if got, want := len(schemas["CreatedToken"].Value.Properties), len(want); got != want {
		t.Errorf("%d properties, want %d", got, want)
	}
}

// WebhookWithSecret is Webhook and the secret, likewise.
func TestWebhookWithSecretIsWebhook(t *testing.T) {
	schemas := contract(t).Components.Schemas
	want := append(slices.Clone(schemas["Webhook"].Value.Required), "secret")
	if got := schemas["WebhookWithSecret"].Value.Required; !slices.Equal(got, want) || len(schemas["WebhookWithSecret"].Value.Properties) != len(want) {
		t.Errorf("required: %v, want %v", got, want)
	}
}

func walk(path string, s *openapi3.Schema, visit func(string, *openapi3.Schema)) {
	visit(path, s)
	for name, p := range s.Properties {
		if p.Ref == "" {
			walk(path+"."+name, p.Value, visit)
		}
	}
	for _, p := range s.OneOf {
		walk(path+"|", p.Value, visit)
	}
	if s.Items != nil && s.Items.Ref == "" {
		walk(path+"[]", s.Items.Value, visit)
	}
}
