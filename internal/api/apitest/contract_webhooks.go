package apitest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/rosterhq/roster/internal/api/backoffice"
)

// CheckDelivery returns an error unless the headers and the body of a delivery are those
// of a webhook format in the contract. A header of Roster that the contract lacks is an
// error too.
func CheckDelivery(ctx context.Context, format string, d Delivery) error {
	contracts, err := Contracts()
	if err != nil {
		return err
	}
	contract := contracts[backoffice.Prefix]
	item := contract.Webhooks[format]
	if item == nil {
		return fmt.Errorf("the contract has no webhook %s", format)
	}
	for name := range d.Header {
		kind, _, _ := strings.Cut(name, "-") // names are canonical
		if (kind == "Roster" || kind == "Webhook" || kind == "Bi") && !describes(item.Post.Parameters, name) {
			return fmt.Errorf("the header %s is not in the contract", name)
		}
	}
	request, err := http.NewRequestWithContext(ctx, d.Method, "/", bytes.NewReader(d.Body))
	if err != nil {
		return err
	}
	request.Header = d.Header
	return openapi3filter.ValidateRequest(ctx, &openapi3filter.RequestValidationInput{
		Request: request,
		Route:   &routers.Route{Spec: contract, PathItem: item, Method: http.MethodPost, Operation: item.Post},
		Options: &openapi3filter.Options{MultiError: true},
	})
}

// describes reports whether one of the parameters is the header of a name.
func describes(parameters openapi3.Parameters, name string) bool {
	for _, p := range parameters {
		if p.Value.In == openapi3.ParameterInHeader && strings.EqualFold(p.Value.Name, name) {
			return true
		}
	}
	return false
}
