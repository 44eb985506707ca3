package main

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bar is a requirement with the measured figure.
type bar struct {
	name     string
	limit    string
	measured string
	ok       bool
}

func printHead(o options) {
	fmt.Printf("# Roster under load\n\n%d processors for everything, %s, %d connections, "+
		"%v per request and round, rounds: %d where there is a bar.\n",
		runtime.NumCPU(), runtime.Version(), o.connections, o.duration, o.rounds)
}

// medians returns the median of each figure of the rounds.
func medians(rounds []result) result {
	return result{
		rate: medianOf(rounds, func(r result) float64 { return r.rate }),
		p50:  time.Duration(medianOf(rounds, func(r result) float64 { return float64(r.p50) })),
		p99:  time.Duration(medianOf(rounds, func(r result) float64 { return float64(r.p99) })),
		cpu:  time.Duration(medianOf(rounds, func(r result) float64 { return float64(r.cpu) })),
	}
}

// cells returns the figures of a result as cells of a table.
func cells(rateFormat string, r result) string {
	return fmt.Sprintf(rateFormat+" | %s | %s", r.rate, milliseconds(r.p50), milliseconds(r.p99))
}

// ratio returns the median of the ratios of each round: the speed of the machine can
// differ between rounds.
func ratio(runs, against []result) float64 {
	rounds := make([]float64, min(len(runs), len(against)))
	for i := range rounds {
		if against[i].rate > 0 { // 0 if it failed
			rounds[i] = runs[i].rate / against[i].rate
		}
	}
	return median(rounds)
}

func medianOf(runs []result, of func(result) float64) float64 {
	figures := make([]float64, len(runs))
	for i, r := range runs {
		figures[i] = of(r)
	}
	return median(figures)
}

func median(figures []float64) float64 {
	if len(figures) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(figures))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

var engineNames = map[string]string{postgres: "PostgreSQL", sqlite: "SQLite"}

// printTables prints the figures of an engine, with a group of columns for each size.
func printTables(subjects []*subject) {
	first := subjects[0]
	fmt.Printf("\n## %s\n\n", engineNames[first.engine])
	head, rule := "| Request | compared with |", "| --- | --- |"
	for i, s := range subjects {
		head += fmt.Sprintf(" %s users: requests/s | p50 ms | p99 ms | CPU µs | ratio |", thousands(int64(s.users)))
		rule += strings.Repeat(" ---: |", 5)
		if i > 0 {
			head += fmt.Sprintf(" rate / rate at %s |", thousands(int64(first.users)))
			rule += " ---: |"
		}
	}
	fmt.Printf("%s\n%s\n", head, rule)
	for _, c := range first.scenarios() {
		fmt.Printf("| %s | %s |", c.name, c.against)
		for i, s := range subjects {
			figures := medians(s.runs[c.name])
			rate := thousands(int64(figures.rate))
			if rate == "0" {
				rate = "failed"
			}
			compared := ""
			if c.against != "" {
				compared = fmt.Sprintf("%.2f", ratio(s.runs[c.name], s.runs[c.against]))
			}
			fmt.Printf(" %s | %s | %s | %d | %s |", rate, milliseconds(figures.p50), milliseconds(figures.p99),
				figures.cpu.Microseconds(), compared)
			if i > 0 {
				fmt.Printf(" %.2f |", ratio(s.runs[c.name], first.runs[c.name]))
			}
		}
		fmt.Println()
	}
	printPasswords(subjects)
	fmt.Printf("\n| Process | ready after (slowest of %d) | memory after the start | memory after the load |\n", starts)
	fmt.Println("| --- | ---: | ---: | ---: |")
	for _, s := range subjects {
		fmt.Printf("| %s users | %s ms | %s | %s |\n", thousands(int64(s.users)),
			milliseconds(s.ready), megabytes(s.idle), megabytes(s.loaded))
	}
}

// printPasswords prints the last rows of the table, those of creations, and notes.
func printPasswords(subjects []*subject) {
	first := subjects[0]
	creating := fmt.Sprintf("| POST /users over %d connections | bcrypt alone |", creatingConnections)
	beside := fmt.Sprintf("| %s | %s |", besideRude, getUser)
	besideToo := fmt.Sprintf("| %s | %s |", besidePolite, getUser)
	notes := ""
	for i, s := range subjects {
		gets := medians(s.runs[getUser]).rate
		creating += columns("%.1f", s.creates.result, s.creates.hashes)
		beside += columns("%.0f", s.rude.gets, gets)
		besideToo += columns("%.0f", s.polite.gets, gets)
		if i > 0 {
			creating += fmt.Sprintf(" %.2f |", s.creates.rate/first.creates.rate)
			beside += fmt.Sprintf(" %.2f |", s.rude.gets.rate/first.rude.gets.rate)
			besideToo += fmt.Sprintf(" %.2f |", s.polite.gets.rate/first.polite.gets.rate)
		}
		notes += fmt.Sprintf("\nWith %s users: bcrypt alone %.1f/s; "+
			"%d creates in flight were answered with %s; with Retry-After obeyed, %s.\n",
			thousands(int64(s.users)), s.creates.hashes, floodConnections,
			describeStatuses(s.rude.creates.statuses), describeStatuses(s.polite.creates.statuses))
	}
	fmt.Printf("%s\n%s\n%s\n%s", creating, beside, besideToo, notes)
}

// The names of the reads during the two floods of measureFlood.
const (
	besideRude   = getUser + " while 200 creates are in flight, the refused ones again at once"
	besidePolite = getUser + " while 200 creates are in flight, the refused ones after Retry-After"
)

func columns(rateFormat string, r result, against float64) string {
	return fmt.Sprintf(" %s | | %.2f |", cells(rateFormat, r), r.rate/against) // bcrypt is what takes processors
}

// findBars compares the figures with the requirements. Those on rates and latencies
// are for PostgreSQL only.
func findBars(subjects []*subject, trips float64) (bars []bar) {
	first := subjects[0]
	if first.engine == postgres {
		for _, c := range first.scenarios() {
			if c.atLeast > 0 {
				measured := ratio(first.runs[c.name], first.runs[c.against])
				bars = append(bars, atLeast(c.name+" / "+c.against, measured, c.atLeast))
			}
		}
		const maxTrips = 1.1
		bars = append(bars, bar{"round trips of " + getUser, "≤ 1.1", fmt.Sprintf("%.2f", trips), trips <= maxTrips})
		for _, s := range subjects[1:] {
			for _, c := range first.scenarios() {
				if c.keeps > 0 {
					name := fmt.Sprintf("%s, %s users / %s", c.name,
						thousands(int64(s.users)), thousands(int64(first.users)))
					bars = append(bars, atLeast(name, ratio(s.runs[c.name], first.runs[c.name]), c.keeps))
				}
			}
		}
		bars = append(bars, floodBars(first)...)
	}
	for _, s := range subjects {
		const maxMemory, maxReady = 40e6, time.Second
		bars = append(bars,
			bar{fmt.Sprintf("memory after the start, %s", s), "< 40 MB", megabytes(s.idle), s.idle < maxMemory},
			bar{fmt.Sprintf("ready, %s", s), "< 1 s", milliseconds(s.ready) + " ms", s.ready < maxReady})
	}
	return bars
}

func atLeast(name string, measured, limit float64) bar {
	return bar{name, fmt.Sprintf("≥ %g", limit), fmt.Sprintf("%.2f", measured), measured >= limit}
}

func floodBars(s *subject) []bar {
	const limit = 250 * time.Millisecond
	statuses := s.rude.creates.statuses
	refused := 0
	for status, n := range statuses {
		if status >= http.StatusBadRequest {
			refused += n
		}
	}
	rude, polite := s.rude.gets.p99, s.polite.gets.p99
	return []bar{
		{"p99 of " + besideRude, "< 250 ms", milliseconds(rude) + " ms", rude < limit},
		{"p99 of " + besidePolite, "< 250 ms", milliseconds(polite) + " ms", polite < limit},
		{"creates refused past the queue, with Retry-After", "some", describeStatuses(statuses), refused > 0},
	}
}

func printBars(bars []bar) {
	fmt.Printf("\n## Bars\n\n| What | bar | measured | |\n| --- | ---: | ---: | --- |\n")
	for _, b := range bars {
		verdict := "ok"
		if !b.ok {
			verdict = "**short**"
		}
		fmt.Printf("| %s | %s | %s | %s |\n", b.name, b.limit, b.measured, verdict)
	}
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 1, 64)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

func thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
