package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
)

// TestTailSurvivesAnOutage checks that a follower waits for a server that is away, shows each event once, and ends when it
// may no longer look.
func TestTailSurvivesAnOutage(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	r := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		events := `{"id":1,"type":"USER_CREATED","time":"2026-11-22T12:00:00Z"}`
		switch n := calls.Add(1); {
		case n == 1:
		case n < 8:
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case n == 8:
			events = `{"id":2,"type":"USER_UPDATED","time":"2026-11-22T12:00:01Z"},` + events
		default:
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, `{"data":[%s]}`, events)
	})
	out := r.want(4, "Trying again.", "events", "tail", "--every", "100ms", "-o", "name")
	if out != "1\n2\n" {
		t.Errorf("%q", out)
	}
}

// TestTailIntoAClosedPipe checks that a follower ends when nobody reads it.
func TestTailIntoAClosedPipe(t *testing.T) {
	t.Parallel()
	var last atomic.Int64
	r := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		n := last.Add(1)
		fmt.Fprintf(w, `{"data":[{"id":%d,"type":"USER_CREATED","time":"2026-11-22T12:00:00Z"}]}`, n)
	})
	command := roster(t, r.folder, r.env, "events", "tail", "--every", "100ms", "-o", "ndjson")
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout = writer
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	if line, err := bufio.NewReader(reader).ReadString('\n'); err != nil || !strings.Contains(line, `"id":1`) {
		t.Error(line, err)
	}
	_ = reader.Close()
	if err := command.Wait(); err == nil {
		t.Error("it ends with success")
	}
}
