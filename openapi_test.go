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

			api := strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/2.0/")
			public := op.Security != nil && len(*op.Security) == 0
			if api == public && !(api && op.Tags[0] == "Sign-in") {
				t.Errorf("%s: public = %v", name, public)
			}
			for status, response := range op.Responses.Map() {
				checkResponse(t, path, name, status, response.Value, public)
			}
		}
	}
}

// checkResponse checks that a response has X-Request-Id and, if it is an error, an
// example of the body.
func checkResponse(t *testing.T, path, name, status string, response *openapi3.Response, public bool) {
	t.Helper()
	if response.Headers["X-Request-Id"] == nil {
		t.Errorf("%s %s: no X-Request-Id", name, status)
	}
	if status < "400" {
		return
	}
	if strings.HasPrefix(path, "/api/v1/") || strings.HasPrefix(path, "/2.0/") {
		if body := response.Content["application/json"]; body == nil || body.Example == nil {
			t.Errorf("%s %s: no error body with an example", name, status)
		}
		return
	}
	if example, ok := problemExample(response); !public && (!ok || fmt.Sprint(example["status"]) != status) {
		t.Errorf("%s %s: no problem document with an example of this status", name, status)
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

// openObjects holds the schemas that allow any field: attributes of records, and bodies of clients of Firefly III.
var openObjects = []string{"RecordAttributes", "FireflyUserCreate", "FireflyUserUpdate"}

// TestObjectsAreClosed checks that all other objects allow no further fields: a mistyped field must be an error, and
// each field of an answer must be documented.
func TestObjectsAreClosed(t *testing.T) {
	for name, schema := range contract(t).Components.Schemas {
		walk(name, schema.Value, func(path string, s *openapi3.Schema) {
			isMap := s.AdditionalProperties.Schema != nil
			isOpen := s.AdditionalProperties.Has == nil || *s.AdditionalProperties.Has
			if s.Type.Is("object") && !isMap && isOpen && !slices.Contains(openObjects, path) {
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

// TestCreatedTokenIsToken checks that CreatedToken has the fields of Token and the secret. allOf cannot say that of
// closed objects.
func TestCreatedTokenIsToken(t *testing.T) {
	wantExtension(t, "CreatedToken", "Token", "token")
}

// TestWebhookWithSecretIsWebhook checks the same of WebhookWithSecret and Webhook.
func TestWebhookWithSecretIsWebhook(t *testing.T) {
	wantExtension(t, "WebhookWithSecret", "Webhook", "secret")
}

// wantExtension checks that a schema has the required fields of another one, one more and no others.
func wantExtension(t *testing.T, name, base, field string) {
	t.Helper()
	schemas := contract(t).Components.Schemas
	want := append(slices.Clone(schemas[base].Value.Required), field)
	schema := schemas[name].Value
	if !slices.Equal(schema.Required, want) || len(schema.Properties) != len(want) {
		t.Errorf("%s: required: %v, want %v; %d properties", name, schema.Required, want, len(schema.Properties))
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
