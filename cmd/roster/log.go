package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// logWriter writes log lines from a goroutine of its own, so that a reader of the
// log that stops reading cannot block the service. When the queue is full, lines
// are dropped; the next line that is written comes after a line with their number.
type logWriter struct {
	lines chan []byte
	done  chan struct{}

	mu      sync.Mutex
	closed  bool
	dropped int
}

const maxQueuedLines = 4096 // about a megabyte

const droppedLine = `{"level":"WARN","msg":"log lines were dropped: the reader was too slow","count":%d}` + "\n"

func newLogWriter(w io.Writer) *logWriter {
	l := &logWriter{lines: make(chan []byte, maxQueuedLines), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for line := range l.lines {
			if n := l.takeDropped(); n > 0 {
				fmt.Fprintf(w, droppedLine, n)
			}
			_, _ = w.Write(line) // an error of the log cannot be logged
		}
	}()
	return l
}

// Write queues one line. It never fails and never blocks.
func (l *logWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return len(p), nil
	}
	select {
	case l.lines <- append([]byte(nil), p...):
	default:
		l.dropped++
	}
	return len(p), nil
}

// takeDropped returns the number of lines dropped since the last call.
func (l *logWriter) takeDropped() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.dropped
	l.dropped = 0
	return n
}

// close writes the queued lines, for a second at most: the reader may be gone.
func (l *logWriter) close() {
	l.mu.Lock()
	l.closed = true
	close(l.lines)
	l.mu.Unlock()
	const timeout = time.Second
	select {
	case <-l.done:
	case <-time.After(timeout):
	}
}
