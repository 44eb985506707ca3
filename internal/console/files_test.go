package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// TestFilesAreKept checks that browsers may keep the files of a page, but not at an address of
// another version, such as that of the page of a newer process during an upgrade.
func TestFilesAreKept(t *testing.T) {
	t.Parallel()
	s := apitest.New(t, storetest.URL(t, storetest.Engines[0])) // files do not know their database
	b := signedIn(t, s)
	a := b.get("/console/users").want(t, http.StatusOK)
	addresses := regexp.MustCompile(`(?:href|src)="(/console/static/[^"#]*\?v=[^"]*)"`).FindAllStringSubmatch(a.body, -1)
	if len(addresses) != 4 { // the style sheet and three scripts
		t.Fatal(addresses)
	}
	for _, found := range addresses {
		path, version, _ := strings.Cut(found[1], "?v=")
		for address, want := range map[string]string{
			found[1]: "public, max-age=31536000, immutable", path: "no-cache", path + "?v=": "no-cache",
			path + "?v=1" + version[1:] + "0": "no-cache",
		} {
			if got := b.get(address).want(t, http.StatusOK).header.Get("Cache-Control"); got != want {
				t.Errorf("%s: Cache-Control is %q, want %q", address, got, want)
			}
		}
	}
}
