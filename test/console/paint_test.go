package console

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// paint is how a browser has come to the first paint of a page. Times are milliseconds since
// the navigation began, by the browser's own clock (Navigation, Resource and Paint Timing).
type paint struct {
	FirstContentfulPaint float64    `json:"firstContentfulPaint"`
	ResponseStart        float64    `json:"responseStart"`
	ResponseEnd          float64    `json:"responseEnd"`
	DOMInteractive       float64    `json:"domInteractive"`
	Bytes                float64    `json:"bytes"` // of the page, on the wire
	Resources            []resource `json:"resources"`
}

type resource struct {
	Name     string  `json:"name"`
	Blocking string  `json:"blocking"` // "blocking" if no paint can come before it
	Start    float64 `json:"start"`
	End      float64 `json:"end"`
	Bytes    float64 `json:"bytes"` // on the wire; 0 from the browser's cache
}

// paintOf is JavaScript for the paint of the page that is shown.
const paintOf = `new Promise(done => new PerformanceObserver(list => {
	const [n] = performance.getEntriesByType("navigation");
	done({
		firstContentfulPaint: list.getEntriesByName("first-contentful-paint")[0].startTime,
		responseStart: n.responseStart, responseEnd: n.responseEnd, domInteractive: n.domInteractive, bytes: n.transferSize,
		resources: performance.getEntriesByType("resource").map(r => ({
			name: new URL(r.name).pathname, blocking: r.renderBlockingStatus, start: r.startTime, end: r.responseEnd,
			bytes: r.transferSize})),
	});
}).observe({type: "paint", buffered: true}))`

// paintRuns is how many browsers TestFirstPaint starts.
const paintRuns = 5

// TestFirstPaint opens a list of fifty users in browsers that have a session and nothing
// else, and once more in each. Only the style sheet may block the paint, and a browser asks for
// nothing twice. It logs the times, which say something on an idle machine alone, and writes
// those of the median to first-paint.json if ROSTER_SCREENSHOTS is set.
func TestFirstPaint(t *testing.T) {
	skipUnlessAsked(t)
	s := apitest.New(t, storetest.URL(t, storetest.Engines[0]))
	for i := range 60 {
		CreateUser(t, s, identity.User{
			Name: identity.Name(fmt.Sprintf("Mary Ann Evans %d", i)), Email: identity.Email(fmt.Sprintf("m%d@example.com", i)),
			Active: true, Groups: []int64{identity.AdministratorsID},
		})
	}
	Administrator(t, s)
	var cold, warm []paint
	for range paintRuns {
		first, second := paints(t, s)
		cold, warm = append(cold, first), append(warm, second)
		for _, r := range first.Resources {
			if r.Blocking == "blocking" && !strings.HasSuffix(r.Name, ".css") {
				t.Errorf("%s blocks the paint", r.Name)
			}
		}
	}
	result := map[string]paint{"cold": median(cold), "warm": median(warm)}
	t.Logf("first contentful paint: cold %.0f ms, warm %.0f ms", result["cold"].FirstContentfulPaint,
		result["warm"].FirstContentfulPaint)
	text, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if folder := os.Getenv("ROSTER_SCREENSHOTS"); folder != "" {
		if err := os.WriteFile(filepath.Join(folder, "first-paint.json"), append(text, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// paints opens the list of users twice in a new browser.
func paints(t *testing.T, s *apitest.Server) (cold, warm paint) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	browser, err := startBrowser(ctx)
	if err != nil {
		t.Skip(err)
	}
	tab := newTab(t, s, browser)
	tab.hold(Email)
	tab.Go("/console/users")
	cold = Value[paint](tab, paintOf)
	tab.Go("/console/users?sort_by=id")
	return cold, Value[paint](tab, paintOf)
}

// median returns the paint in the middle, by its time.
func median(paints []paint) paint {
	slices.SortFunc(paints, func(a, b paint) int { return cmp.Compare(a.FirstContentfulPaint, b.FirstContentfulPaint) })
	return paints[len(paints)/2]
}
