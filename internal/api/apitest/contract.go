package apitest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/rosterhq/roster"
)

// Contract is openapi.yaml, loaded.
var Contract = sync.OnceValues(func() (*openapi3.T, error) {
	document, err := openapi3.NewLoader().LoadFromData(roster.OpenAPI)
	if err != nil {
		return nil, err
	}
	document.Servers = nil // paths are matched whatever the host
	return document, document.Validate(context.Background())
})

var contractRouter = sync.OnceValues(func() (routers.Router, error) {
	document, err := Contract()
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(document)
})

// ContractCalls are the calls of a dialect in openapi.yaml, as "METHOD path",
// sorted.
func ContractCalls(prefix string) ([]string, error) {
	document, err := Contract()
	if err != nil {
		return nil, err
	}
	var calls []string
	for path, item := range document.Paths.Map() {
		for method := range item.Operations() {
			if strings.HasPrefix(path, prefix+"/") {
				calls = append(calls, method+" "+path)
			}
		}
	}
	slices.Sort(calls)
	return calls, nil
}

// checkContract returns what is wrong with an answer by openapi.yaml: its
// status, headers or body. Answers for addresses and methods that the contract
// does not have are not its business.
func checkContract(request *http.Request, answer *Answer) error {
	router, err := contractRouter()
	if err != nil {
		return err
	}
	described := request.Clone(request.Context())
	if described.Method == http.MethodHead {
		described.Method = http.MethodGet
	}
	route, parameters, err := router.FindRoute(described)
	if errors.Is(err, routers.ErrPathNotFound) || errors.Is(err, routers.ErrMethodNotAllowed) {
		return nil
	}
	if err != nil {
		return err
	}
	return openapi3filter.ValidateResponse(request.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: described, PathParams: parameters, Route: route},
		Status:                 answer.Status,
		Header:                 answer.Header,
		Body:                   io.NopCloser(bytes.NewReader(answer.Body)),
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true,
			ExcludeResponseBody:   request.Method == http.MethodHead,
			MultiError:            true,
		},
	})
}
