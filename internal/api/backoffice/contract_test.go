package backoffice_test

import (
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/api/backoffice"
)

// contractCalls returns the calls of this dialect in its contract, as "METHOD path".
func contractCalls(t *testing.T) []string {
	t.Helper()
	calls, err := apitest.ContractCalls(backoffice.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	return calls
}
