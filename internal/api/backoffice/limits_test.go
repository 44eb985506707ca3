package backoffice

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/identity"
)

// TestLimitsOfLists checks that lists in bodies have the limits of identity, which no struct tag can
// name.
func TestLimitsOfLists(t *testing.T) {
	t.Parallel()
	limits := map[string]int{
		"Groups": identity.MaxGroupsPerUser, "IPWhitelist": identity.MaxAllowListEntries,
		"ClientTags": identity.MaxClientTags,
	}
	for _, request := range []any{createUserRequest{}, updateUserRequest{}, createTokenRequest{}} {
		kind := reflect.TypeOf(request)
		for i := range kind.NumField() {
			field := kind.Field(i)
			if limit, ok := limits[field.Name]; ok &&
				!strings.HasSuffix(field.Tag.Get("validate"), fmt.Sprintf(",max=%d", limit)) {
				t.Errorf("%s.%s: %s, want max=%d", kind.Name(), field.Name, field.Tag, limit)
			}
		}
	}
}
