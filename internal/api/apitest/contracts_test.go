package apitest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/api/backoffice"
	"github.com/rosterhq/roster/internal/api/firefly"
	"github.com/rosterhq/roster/internal/app"
)

func contracts(t *testing.T) map[string]*openapi3.T {
	t.Helper()
	all, err := apitest.Contracts()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestContractsAreValid(t *testing.T) {
	for prefix, contract := range contracts(t) {
		if err := contract.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
			t.Errorf("%s: %v", prefix, err)
		}
	}
}

func TestOperations(t *testing.T) {
	ids, paths := map[string]string{}, map[string]bool{}
	for prefix, contract := range contracts(t) {
		for path, item := range contract.Paths.Map() {
			if paths[path] {
				t.Errorf("%s is in two contracts", path)
			}
			paths[path] = true
			for method, op := range item.Operations() {
				name := method + " " + path
				if other, taken := ids[op.OperationID]; taken {
					t.Errorf("%s and %s are both called %s", name, other, op.OperationID)
				}
				ids[op.OperationID] = name
				checkOperation(t, prefix, path, name, op)
			}
		}
	}
}

func checkOperation(t *testing.T, prefix, path, name string, op *openapi3.Operation) {
	t.Helper()
	if op.OperationID == "" || op.Summary == "" || len(op.Tags) != 1 {
		t.Errorf("%s: no operationId, no summary or not one tag", name)
	}
	public := op.Security != nil && len(*op.Security) == 0
	isCall := strings.HasPrefix(path, prefix+"/")
	if isCall == public && !(isCall && op.Tags[0] == "Sign-in") {
		t.Errorf("%s: public = %v", name, public)
	}
	for status, response := range op.Responses.Map() {
		if response.Value.Headers["X-Request-Id"] == nil {
			t.Errorf("%s %s: no X-Request-Id", name, status)
		}
		if prefix != backoffice.Prefix {
			body := response.Value.Content["application/json"]
			if isCall && status >= "400" && (body == nil || body.Example == nil) {
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

func problemExample(r *openapi3.Response) (example map[string]any, ok bool) {
	problem := r.Content["application/problem+json"]
	if problem == nil {
		return nil, false
	}
	example, ok = problem.Example.(map[string]any)
	return example, ok
}

// openObjects are open on purpose: the attributes that services give to records, and the
// extra fields that clients of Firefly III send.
var openObjects = map[string][]string{
	backoffice.Prefix: {"RecordAttributes"},
	firefly.Prefix:    {"RecordAttributes", "UserCreate", "UserUpdate"},
}

// TestObjectsAreClosed checks that a contract rejects mistyped fields and fields of an
// answer that it does not have.
func TestObjectsAreClosed(t *testing.T) {
	for prefix, contract := range contracts(t) {
		for name, schema := range contract.Components.Schemas {
			walk(name, schema.Value, func(path string, s *openapi3.Schema) {
				more := s.AdditionalProperties
				isMap, isClosed := more.Schema != nil, more.Has != nil && !*more.Has
				if s.Type.Includes("object") && !isMap && !isClosed && !slices.Contains(openObjects[prefix], path) {
					t.Errorf("%s: %s: additionalProperties is not false", prefix, path)
				}
				for _, field := range s.Required {
					if s.Properties[field] == nil {
						t.Errorf("%s: %s: requires %s, which is not one of its properties", prefix, path, field)
					}
				}
			})
		}
	}
}

// TestCreatedTokenIsToken checks that CreatedToken is Token with the secret: allOf cannot
// extend a closed object.
func TestCreatedTokenIsToken(t *testing.T) { wantExtended(t, "CreatedToken", "Token", "token") }

// TestWebhookWithSecretIsWebhook checks that WebhookWithSecret is Webhook with the secret.
func TestWebhookWithSecretIsWebhook(t *testing.T) {
	wantExtended(t, "WebhookWithSecret", "Webhook", "secret")
}

// wantExtended checks that a schema of the Back Office is another one with one more field.
func wantExtended(t *testing.T, name, base, field string) {
	t.Helper()
	schemas := contracts(t)[backoffice.Prefix].Components.Schemas
	extended, want := schemas[name].Value, append(slices.Clone(schemas[base].Value.Required), field)
	if !slices.Equal(extended.Required, want) || len(extended.Properties) != len(want) {
		t.Errorf("required: %v of %d properties, want %v", extended.Required, len(extended.Properties), want)
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

// TestContractsSuitGenerators checks what generators of clients have stumbled over: YAML
// anchors; an answer and a schema of one name; a field of a request with a default, which
// TypeScript then requires; the id of a user as a text.
func TestContractsSuitGenerators(t *testing.T) {
	for _, dialect := range app.Dialects(nil, api.Site{}) {
		for i, line := range strings.Split(string(dialect.Contract), "\n") {
			if anchor.MatchString(line) {
				t.Errorf("%s:%d: an anchor or an alias: %s", dialect.Name, i+1, line)
			}
		}
	}
	for prefix, contract := range contracts(t) {
		for name := range contract.Components.Responses {
			if contract.Components.Schemas[name] != nil {
				t.Errorf("%s: an answer and a schema are both called %s", prefix, name)
			}
		}
		for name, schema := range contract.Components.Schemas {
			walk(name, schema.Value, func(path string, s *openapi3.Schema) {
				if s.Default != nil {
					t.Errorf("%s: %s has a default", prefix, path)
				}
				if strings.HasSuffix(path, ".userId") && !s.Type.Includes("integer") {
					t.Errorf("%s: %s is no integer", prefix, path)
				}
			})
		}
		for path, item := range contract.Paths.Map() {
			id := item.Parameters.GetByInAndName(openapi3.ParameterInPath, "userId")
			if id == nil {
				continue
			}
			for value, valid := range map[any]bool{1.0: true, "me": true, "1": false, 0.0: false, "you": false} {
				if err := id.Schema.Value.VisitJSON(value); (err == nil) != valid {
					t.Errorf("%s: %#v: %v", path, value, err)
				}
			}
		}
	}
}

var anchor = regexp.MustCompile(`[:\-\[,] *[&*][A-Za-z]\w*[\],]?\s*$|: +&\w`)

// TestContractsAreServed checks that each contract has its address and a link on /docs.
func TestContractsAreServed(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		page := string(s.Do(http.MethodGet, "/docs", nil).Want(http.StatusOK).Body)
		for i, dialect := range app.Dialects(nil, api.Site{}) {
			address, link := "/openapi/"+dialect.Name, `href="docs?api=`+dialect.Name+`"`
			if i == 0 {
				address, link = "/openapi", `href="docs"`
			}
			served := s.Do(http.MethodGet, address+".yaml", nil, apitest.As("")).Want(http.StatusOK)
			if !bytes.Equal(served.Body, dialect.Contract) {
				t.Errorf("%s.yaml is not the contract of %s", address, dialect.Name)
			}
			served = s.Do(http.MethodGet, address+".json", nil, apitest.As("")).Want(http.StatusOK)
			if diff := cmp.Diff(reloaded(t, dialect.Contract), reloaded(t, served.Body)); diff != "" {
				t.Errorf("%s.json: %s", address, diff)
			}
			if !json.Valid(served.Body) {
				t.Errorf("%s.json is no JSON", address)
			}
			if !strings.Contains(page, link) {
				t.Errorf("/docs has no %s", link)
			}
		}
	})
}

// reloaded returns a contract, in YAML or JSON, as it is after loading.
func reloaded(t *testing.T, document []byte) (content map[string]any) {
	t.Helper()
	loaded, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := loaded.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &content); err != nil {
		t.Fatal(err)
	}
	return content
}
