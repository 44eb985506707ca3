package backoffice_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/api/backoffice"
)

// contractCalls are the calls of this dialect in openapi.yaml, as "METHOD path".
func contractCalls(t *testing.T) []string {
	t.Helper()
	contract, err := apitest.Contract()
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	for path, item := range contract.Paths.Map() {
		for method := range item.Operations() {
			if strings.HasPrefix(path, backoffice.Prefix+"/") {
				calls = append(calls, method+" "+path)
			}
		}
	}
	slices.Sort(calls)
	return calls
}

func TestRoutesAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	parameter := regexp.MustCompile(`:(\w+)`)
	var routes []string
	for _, route := range backoffice.New(nil, nil).Routes {
		routes = append(routes, route.Method+" "+backoffice.Prefix+parameter.ReplaceAllString(route.Path, "{$1}"))
	}
	slices.Sort(routes)
	if contract := contractCalls(t); !slices.Equal(routes, contract) {
		t.Errorf("served: %v\ncontract: %v", routes, contract)
	}
}
