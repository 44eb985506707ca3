package apitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/api/backoffice"
	"github.com/rosterhq/roster/internal/app"
)

// timestamp is how all times look. It is not a pattern in the contracts, because generators
// of code make a type of their own from the format date-time and complain of a pattern.
const timestamp = `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$`

// Contracts returns the loaded contracts of the dialects, by prefix.
var Contracts = sync.OnceValues(func() (map[string]*openapi3.T, error) {
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", decodeLines)
	openapi3.DefineStringFormatValidator("date-time", openapi3.NewRegexpFormatValidator(timestamp))
	contracts := map[string]*openapi3.T{}
	for _, dialect := range app.Dialects(nil, api.Site{}) {
		document, err := openapi3.NewLoader().LoadFromData(dialect.Contract)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dialect.Name, err)
		}
		document.Servers = nil // paths are matched whatever the host
		contracts[dialect.Prefix] = document
	}
	return contracts, nil
})

// decodeLines reads an answer of one JSON value per line as the array of the values.
func decodeLines(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
	lines := []any{}
	decoder := json.NewDecoder(body)
	for {
		var value any
		switch err := decoder.Decode(&value); {
		case errors.Is(err, io.EOF):
			return lines, nil
		case err != nil:
			return nil, err
		}
		lines = append(lines, value)
	}
}

// contractRouters returns a router for each contract. No path is in two of them.
var contractRouters = sync.OnceValues(func() ([]routers.Router, error) {
	contracts, err := Contracts()
	if err != nil {
		return nil, err
	}
	var all []routers.Router
	for _, document := range contracts {
		router, err := gorillamux.NewRouter(document)
		if err != nil {
			return nil, err
		}
		all = append(all, router)
	}
	return all, nil
})

// ContractCalls returns the calls in the contract of a dialect as "METHOD path", sorted.
func ContractCalls(prefix string) ([]string, error) {
	contracts, err := Contracts()
	if err != nil {
		return nil, err
	}
	var calls []string
	for path, item := range contracts[prefix].Paths.Map() {
		for method := range item.Operations() {
			if strings.HasPrefix(path, prefix+"/") {
				calls = append(calls, method+" "+path)
			}
		}
	}
	slices.Sort(calls)
	return calls, nil
}

// checkContract returns an error unless the status, headers and body of an answer
// follow the contract that has its path. It ignores addresses and methods that no
// contract has.
func checkContract(request *http.Request, answer *Answer) error {
	all, err := contractRouters()
	if err != nil {
		return err
	}
	for _, router := range all {
		err = errors.Join(err, checkAgainst(router, request, answer))
	}
	return err
}

func checkAgainst(router routers.Router, request *http.Request, answer *Answer) error {
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
	if err := checkParameters(route, described.URL.Query(), answer.Status); err != nil {
		return err
	}
	return openapi3filter.ValidateResponse(request.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: described, PathParams: parameters, Route: route,
		},
		Status: answer.Status,
		Header: answer.Header,
		Body:   io.NopCloser(bytes.NewReader(answer.Body)),
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true,
			ExcludeResponseBody:   request.Method == http.MethodHead,
			MultiError:            true,
		},
	})
}

// checkParameters returns an error for a query parameter that the Back Office API accepted
// and that is not in its contract. The other APIs ignore the parameters that they do not know.
func checkParameters(route *routers.Route, query url.Values, status int) error {
	if status >= http.StatusBadRequest || !strings.HasPrefix(route.Path, backoffice.Prefix) {
		return nil
	}
	known := slices.Concat(route.PathItem.Parameters, route.Operation.Parameters)
	for name := range query {
		if known.GetByInAndName(openapi3.ParameterInQuery, name) == nil {
			return fmt.Errorf("the parameter %s is not in the contract", name)
		}
	}
	return nil
}
