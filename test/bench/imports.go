package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

// importRun holds how fast an import was, and how fast single requests were answered before it
// and meanwhile.
type importRun struct {
	engine        string
	added, total  time.Duration // until all rows were added, and until all were applied
	idle, peak    int64         // bytes of memory of the server
	quiet, during probe
}

// probe holds the times of single requests, one after the other.
type probe struct{ reads, writes []time.Duration }

const (
	rowsPerCall = 1000 // identity.MaxRowsPerCall
	probePause  = 10 * time.Millisecond
)

// measureImports measures an import on each engine: alone, and beside requests.
func measureImports(ctx context.Context, o options, dir string) error {
	fmt.Printf("\n## Import: %d rows into %d users, end to end through HTTP\n\n", o.imported, o.users[0])
	fmt.Println("| engine | beside requests | added/s | applied/s | rows/s | memory idle | peak " +
		"| read p50 | p99 | meanwhile | p99 | write p50 | p99 | meanwhile | p99 |")
	fmt.Println("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, engine := range o.engines {
		for _, beside := range []bool{false, true} {
			run, err := measureImport(ctx, o, engine, dir, beside)
			if err != nil {
				return fmt.Errorf("%s: %w", engine, err)
			}
			rate := func(d time.Duration) float64 { return float64(o.imported) / d.Seconds() }
			fmt.Printf("| %s | %v | %.0f | %.0f | %.0f | %d MB | %d MB |%s%s\n", engine, beside, rate(run.added),
				rate(run.total-run.added), rate(run.total), run.idle>>20, run.peak>>20,
				probeCells(run.quiet.reads, run.during.reads), probeCells(run.quiet.writes, run.during.writes))
		}
	}
	return nil
}

func probeCells(quiet, during []time.Duration) string {
	text := ""
	for _, times := range [][]time.Duration{quiet, during} {
		if len(times) == 0 {
			text += " | |"
			continue
		}
		slices.Sort(times)
		text += fmt.Sprintf(" %s | %s |", milliseconds(times[len(times)/2]), milliseconds(times[len(times)*99/100]))
	}
	return text
}

func measureImport(ctx context.Context, o options, engine, dir string, beside bool) (run importRun, err error) {
	run = importRun{engine: engine}
	if dir, err = os.MkdirTemp(dir, "import-"); err != nil {
		return run, err
	}
	s, err := newSubject(ctx, engine, o.users[0], dir)
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if s.normal, err = startServer(ctx, s.databaseURL, o.serverLog, o.roster, "serve"); err != nil {
		return run, err
	}
	if s.token, err = s.makeToken(ctx); err != nil {
		return run, err
	}
	if beside {
		if err := s.probeFor(ctx, &run.quiet, time.After(2*o.duration)); err != nil {
			return run, err
		}
	}
	if run.idle, err = s.idleMemory(ctx); err != nil {
		return run, err
	}
	progress("%s: importing %d rows", s, o.imported)
	var meanwhile sync.WaitGroup
	ended := make(chan time.Time)
	var probeErr, memoryErr error
	if beside {
		meanwhile.Go(func() { probeErr = s.probeFor(ctx, &run.during, ended) })
	}
	meanwhile.Go(func() { run.peak, memoryErr = s.peakMemory(ctx, ended) })
	run.added, run.total, err = s.importRows(ctx, o.imported)
	close(ended)
	meanwhile.Wait()
	return run, errors.Join(err, probeErr, memoryErr)
}

// importRows imports new users and returns how long it took to add the rows, and in all.
func (s *subject) importRows(ctx context.Context, n int) (added, total time.Duration, err error) {
	begun := time.Now()
	var job struct {
		ID                   int64
		State                string
		Done, Failed, Create int64
	}
	call := func(method, path string, body any) error {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r, err := s.normal.call(ctx, method, path, adminToken, encoded)
		if err == nil && r.status >= http.StatusBadRequest {
			err = fmt.Errorf("%s %s: %d %s", method, path, r.status, r.body)
		}
		return errors.Join(err, json.Unmarshal(r.body, &job))
	}
	if err := call(http.MethodPost, "/api/v2/jobs", map[string]any{"action": "import"}); err != nil {
		return 0, 0, err
	}
	path := fmt.Sprintf("/api/v2/jobs/%d", job.ID)
	for first := 1; first <= n; first += rowsPerCall {
		var rows []map[string]any
		for i := first; i < first+rowsPerCall && i <= n; i++ {
			p := newPerson(1+i%s.users, s.users)
			row := map[string]any{
				"name": p.name, "email": fmt.Sprintf("imported%d.%s", i, p.email), "active": p.active, "tfa": p.tfa,
				"groups": p.groups, "passwordHash": seededHash,
			}
			if p.phone != "" {
				row["phone"] = "+1" + fmt.Sprintf("%d", 2000000000+i)
			}
			rows = append(rows, row)
		}
		if err := call(http.MethodPost, path+"/rows", map[string]any{"first": first, "rows": rows}); err != nil {
			return 0, 0, err
		}
	}
	added = time.Since(begun)
	if job.Create != int64(n) {
		return 0, 0, fmt.Errorf("%d of %d rows create a user", job.Create, n)
	}
	if err := call(http.MethodPost, path+"/start", nil); err != nil {
		return 0, 0, err
	}
	for job.State != "finished" {
		time.Sleep(100 * time.Millisecond)
		if err := call(http.MethodGet, path, nil); err != nil {
			return 0, 0, err
		}
	}
	if job.Done != int64(n) {
		return 0, 0, fmt.Errorf("%d of %d rows are done, %d have failed", job.Done, n, job.Failed)
	}
	return added, time.Since(begun), nil
}

// probeFor reads and changes users one after the other, with pauses, until ended delivers or is
// closed.
func (s *subject) probeFor(ctx context.Context, p *probe, ended <-chan time.Time) error {
	for i := 1; ; i++ {
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(probePause):
		}
		path, method, body := fmt.Sprintf("/api/v2/users/%d", 1+i*7%s.users), http.MethodGet, []byte(nil)
		times := &p.reads
		if i%2 == 0 {
			method, body, times = http.MethodPatch, fmt.Appendf(nil, `{"name": "Probe %d"}`, i), &p.writes
		}
		begun := time.Now()
		r, err := s.normal.call(ctx, method, path, adminToken, body)
		if err != nil || r.status != http.StatusOK {
			return errors.Join(err, fmt.Errorf("%s %s: %d %s", method, path, r.status, r.body))
		}
		*times = append(*times, time.Since(begun))
	}
}

// peakMemory returns the most memory of the server until ended is closed.
func (s *subject) peakMemory(ctx context.Context, ended <-chan time.Time) (peak int64, err error) {
	for {
		now, err := s.normal.memory(ctx)
		if err != nil {
			return 0, err
		}
		peak = max(peak, now)
		select {
		case <-ended:
			return peak, nil
		case <-time.After(50 * time.Millisecond):
		}
	}
}
