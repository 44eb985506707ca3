package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// stuckWriter blocks each write until release is closed.
type stuckWriter struct {
	stuck   chan struct{}
	release chan struct{}
	text    bytes.Buffer
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	select {
	case w.stuck <- struct{}{}:
	default:
	}
	<-w.release
	return w.text.Write(p)
}

func TestLogNeverWaits(t *testing.T) {
	t.Parallel()
	w := &stuckWriter{stuck: make(chan struct{}, 1), release: make(chan struct{})}
	log := newLogWriter(w)
	fmt.Fprintln(log, "first")
	<-w.stuck // the goroutine blocks in Write, and its queue is empty
	const tooMany = 10
	for i := range maxQueuedLines + tooMany {
		fmt.Fprintln(log, "line", i)
	}
	close(w.release)
	log.close()
	fmt.Fprintln(log, "too late")
	lines := strings.Split(strings.TrimSpace(w.text.String()), "\n")
	last := lines[len(lines)-1]
	if len(lines) != 1+1+maxQueuedLines || lines[0] != "first" || !strings.Contains(lines[1], `"count":10`) ||
		last != fmt.Sprint("line ", maxQueuedLines-1) {
		t.Errorf("%d lines: %v … %s", len(lines), lines[:3], last)
	}
}
