package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The load generator runs on the machine of the server, so it must use little time.
// It writes HTTP/1.1 itself, over a fixed number of keep-alive connections. Each
// connection sends a request when the previous one has been answered.

// load is one run of the load generator.
type load struct {
	addr        string
	connections int
	warmUp      time.Duration // not counted
	duration    time.Duration
	seed        uint64
	// request appends a whole request.
	request func(b []byte, r *rand.Rand) []byte
	// accepts lists the expected statuses; any other status ends the run.
	accepts []int
	// obeys makes a connection wait for Retry-After after a refusal.
	obeys bool
	// cpu returns the time that the server has had on processors; nil for not measured.
	cpu func() (time.Duration, error)
}

// result holds the figures of a run.
type result struct {
	rate     float64 // answers per second
	p50, p99 time.Duration
	cpu      time.Duration // of the server, per answer; 0 if it was not measured
	statuses map[int]int   // number of answers by status
}

// timeout is the maximum time for an answer. The timeout of the server is shorter.
const timeout = 20 * time.Second

// run loads the server. It fails with the first error of any connection.
func (l load) run(ctx context.Context) (result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var clients []*client
	defer func() {
		for _, c := range clients {
			_ = c.conn.Close()
		}
	}()
	for range l.connections {
		c, err := dial(ctx, l.addr)
		if err != nil {
			return result{}, err
		}
		clients = append(clients, c)
	}
	begin := time.Now().Add(l.warmUp)
	end := begin.Add(l.duration)
	var running sync.WaitGroup
	for i, c := range clients {
		running.Go(func() {
			random := rand.New(rand.NewPCG(l.seed, uint64(i))) //nolint:gosec // the same requests on every run
			if err := c.loop(ctx, l, random, begin, end); err != nil {
				cancel(err)
			}
		})
	}
	used, err := l.cpuBetween(ctx, begin, end)
	running.Wait()
	switch {
	case ctx.Err() != nil:
		return result{}, context.Cause(ctx)
	case err != nil:
		return result{}, err
	}
	r, err := summarize(clients, l.duration)
	if err == nil {
		r.cpu = time.Duration(float64(used) / (r.rate * l.duration.Seconds()))
	}
	return r, err
}

// cpuBetween returns the processor time of the server between two times. It waits for the second.
func (l load) cpuBetween(ctx context.Context, begin, end time.Time) (time.Duration, error) {
	if l.cpu == nil {
		return 0, nil
	}
	var used [2]time.Duration
	for i, at := range []time.Time{begin, end} {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Until(at)):
		}
		var err error
		if used[i], err = l.cpu(); err != nil {
			return 0, err
		}
	}
	return used[1] - used[0], nil
}

func summarize(clients []*client, duration time.Duration) (result, error) {
	r := result{statuses: map[int]int{}}
	var latencies []time.Duration
	for _, c := range clients {
		latencies = append(latencies, c.latencies...)
		for status, n := range c.statuses {
			r.statuses[status] += n
		}
	}
	if len(latencies) == 0 {
		return r, errors.New("no answer was counted")
	}
	slices.Sort(latencies)
	r.rate = float64(len(latencies)) / duration.Seconds()
	r.p50, r.p99 = percentile(latencies, 50), percentile(latencies, 99)
	return r, nil
}

// percentile returns the smallest element that is not below the given percentage of
// the elements.
func percentile(sorted []time.Duration, percent int) time.Duration {
	const whole = 100
	return sorted[(len(sorted)*percent+whole-1)/whole-1]
}

// client is one connection.
type client struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte // the request

	keepBody bool

	latencies []time.Duration
	statuses  map[int]int
}

func dial(ctx context.Context, addr string) (*client, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	const bufferSize = 32 << 10 // holds a page of users
	return &client{conn: conn, in: bufio.NewReaderSize(conn, bufferSize), statuses: map[int]int{}}, nil
}

// loop sends requests until end and counts the answers that arrive after begin.
func (c *client) loop(ctx context.Context, l load, random *rand.Rand, begin, end time.Time) error {
	if err := c.conn.SetDeadline(end.Add(timeout)); err != nil {
		return err
	}
	for sent := time.Now(); sent.Before(end) && ctx.Err() == nil; {
		c.out = l.request(c.out[:0], random)
		a, err := c.do()
		if err == nil && !slices.Contains(l.accepts, a.status) {
			err = fmt.Errorf("status %d: %s", a.status, bytes.TrimSpace(a.body))
		}
		if err != nil {
			line, _, _ := bytes.Cut(c.out, []byte("\r\n"))
			return fmt.Errorf("%s: %w", line, err)
		}
		arrived := time.Now()
		if arrived.After(begin) && arrived.Before(end) {
			c.latencies = append(c.latencies, arrived.Sub(sent))
			c.statuses[a.status]++
		}
		if sent = arrived; l.obeys && a.retryAfter > 0 {
			time.Sleep(min(a.retryAfter, end.Sub(sent)))
			sent = time.Now()
		}
	}
	return nil
}

// answer holds the parts of an answer that the load generator needs.
type answer struct {
	status     int
	body       []byte        // of a refusal, or with keepBody of any answer
	retryAfter time.Duration // 0 for none
}

// do sends c.out and reads the answer. It fails for an answer without a body, and for
// a 429 or 503 without Retry-After.
func (c *client) do() (answer, error) {
	if _, err := c.conn.Write(c.out); err != nil {
		return answer{}, err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return answer{}, err
	}
	const prefix, statusEnd = "HTTP/1.1 ", len("HTTP/1.1 200")
	if len(line) < statusEnd || string(line[:len(prefix)]) != prefix {
		return answer{}, fmt.Errorf("no HTTP: %q", line)
	}
	var a answer
	if a.status, err = strconv.Atoi(string(line[len(prefix):statusEnd])); err != nil {
		return a, err
	}
	length, err := c.readHeader(&a)
	switch {
	case err != nil:
		return a, err
	case length <= 0:
		return a, fmt.Errorf("status %d without a body of known length", a.status)
	case (a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable) && a.retryAfter <= 0:
		return a, fmt.Errorf("status %d without Retry-After", a.status)
	}
	if c.keepBody || a.status >= http.StatusBadRequest {
		a.body = make([]byte, length)
		_, err = io.ReadFull(c.in, a.body)
	} else {
		_, err = c.in.Discard(length)
	}
	return a, err
}

// readHeader reads to the end of the header and returns Content-Length, 0 if it is
// missing.
func (c *client) readHeader(a *answer) (length int, err error) {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return length, nil
		}
		// The server writes the names in this form.
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, err = strconv.Atoi(string(value))
		} else if value, ok := bytes.CutPrefix(line, []byte("Retry-After: ")); ok {
			a.retryAfter, err = time.ParseDuration(string(value) + "s")
		}
		if err != nil {
			return 0, err
		}
	}
}

// describeStatuses returns the number of answers by status as text.
func describeStatuses(statuses map[int]int) string {
	var counts []string
	for _, status := range slices.Sorted(maps.Keys(statuses)) {
		counts = append(counts, fmt.Sprintf("%d × %d", statuses[status], status))
	}
	return strings.Join(counts, ", ")
}
