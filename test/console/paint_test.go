package console

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/tracing"
	"github.com/chromedp/chromedp"

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
	// Work is what the threads of the page have done until then, in milliseconds of CPU, by the
	// names of the browser's trace. Work can be a part of other work.
	Work map[string]float64 `json:"work"`
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
// else, and once more in each. Only the style sheet may block the paint, and a browser asks
// for it and the scripts once. It logs the times, which say something on an idle machine alone, and writes
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
		for _, r := range second.Resources {
			if r.Bytes > 0 && !strings.HasSuffix(r.Name, ".svg") {
				t.Errorf("%s is asked for again", r.Name)
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
	tab := newTab(browser, t, s)
	tab.hold(Email)
	return tab.trace("/console/users"), tab.trace("/console/users?sort_by=id")
}

// traceEvent is an event of a trace ("Trace Event Format"). Times are microseconds.
type traceEvent struct {
	Name     string  `json:"name"`
	Time     float64 `json:"ts"`
	Duration float64 `json:"tdur"` // of the thread's CPU
}

// trace opens a path and returns how it was painted.
func (tab *Tab) trace(path string) paint {
	tab.t.Helper()
	var mu sync.Mutex
	var events []traceEvent
	completed := make(chan struct{})
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	err := chromedp.Listen(ctx, func(event any) {
		switch event := event.(type) {
		case *tracing.EventDataCollected:
			mu.Lock()
			defer mu.Unlock()
			for _, value := range event.Value {
				var e traceEvent
				if json.Unmarshal(value, &e) == nil {
					events = append(events, e)
				}
			}
		case *tracing.EventTracingComplete:
			close(completed)
		}
	})
	if err != nil {
		tab.t.Fatal(err)
	}
	config := &tracing.TraceConfig{IncludedCategories: []string{"devtools.timeline", "loading"}}
	call(tab, "starting the trace", tracing.Start, tracing.StartParams{TraceConfig: config})
	tab.Go(path)
	result := Value[paint](tab, paintOf)
	call(tab, "ending the trace", tracing.End, cdp.Empty{})
	select {
	case <-completed:
	case <-ctx.Done():
		tab.t.Fatal("the trace does not end")
	}
	result.Work = workOf(events)
	return result
}

// call sends a command to the browser that answers nothing of interest.
func call[P, R any](tab *Tab, what string, command cdp.Command[P, R], params P) {
	tab.t.Helper()
	tab.do(what, func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, command, params)
		return chromedp.Void{}, err
	})
}

// workOf adds up the events before the first contentful paint, by their names. It leaves out
// what takes less than a millisecond.
func workOf(events []traceEvent) map[string]float64 {
	var painted float64
	for _, e := range events {
		if e.Name == "firstContentfulPaint" {
			painted = e.Time
		}
	}
	work := map[string]float64{}
	for _, e := range events {
		if e.Time < painted {
			work[e.Name] += e.Duration / 1000
		}
	}
	maps.DeleteFunc(work, func(_ string, ms float64) bool { return ms < 1 })
	return work
}

// median returns the paint in the middle, by its time.
func median(paints []paint) paint {
	slices.SortFunc(paints, func(a, b paint) int { return cmp.Compare(a.FirstContentfulPaint, b.FirstContentfulPaint) })
	return paints[len(paints)/2]
}
