package apitest

import (
	"sync"
	"testing"

	"github.com/rosterhq/roster/internal/store/storetest"
)

// EachPair runs fn on each engine, with two instances on one database.
func EachPair(t *testing.T, fn func(t *testing.T, s [2]*Server)) {
	t.Helper()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := storetest.URL(t, engine)
			fn(t, [2]*Server{New(t, url), New(t, url)})
		})
	}
}

// Together calls fn n times at once and returns the number of answers by status.
func Together(n int, fn func(i int) *Answer) map[int]int {
	statuses := make([]int, n)
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range n {
		done.Go(func() {
			start.Wait()
			statuses[i] = fn(i).Status
		})
	}
	start.Done()
	done.Wait()
	counts := map[int]int{}
	for _, status := range statuses {
		counts[status]++
	}
	return counts
}
