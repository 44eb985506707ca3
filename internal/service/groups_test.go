package service_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
)

// TestPermissionsOfLaterReleases checks that this release keeps permissions that it does not know.
func TestPermissionsOfLaterReleases(t *testing.T) {
	t.Parallel()
	apitest.EachDatabase(t, func(t *testing.T, s *apitest.Server, _ string, db *sql.DB) {
		group := s.CreateGroup("Support", "users.view")
		path := fmt.Sprintf("%s/%d", apitest.GroupsPath, group)
		stored := func() string {
			return apitest.Query(t, db, fmt.Sprintf("SELECT permissions FROM groups WHERE id = %d", group))[0]
		}
		apitest.Execute(t, db, "UPDATE groups SET permissions = 'users.view users.fly' WHERE name = 'Support'")
		for _, body := range []changes{{"name": "Help"}, {"name": "Desk", "permissions": []string{"users.view"}}} {
			s.Do(http.MethodPatch, path, body).Want(http.StatusOK)
			if got := stored(); got != "|users.view users.fly|" {
				t.Errorf("%v leaves %s", body, got)
			}
		}
		s.Do(http.MethodPatch, path, changes{"permissions": []string{}}).Want(http.StatusOK)
		if got := stored(); got != "||" {
			t.Errorf("%s", got)
		}
	})
}
