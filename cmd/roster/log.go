package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// logWriter hands log lines to a goroutine of its own, so that whoever reads the
// log cannot stop the service by not reading on: lines that find no room are
// dropped, and their number is told when there is room again.
type logWriter struct {
	lines chan []byte
	done  chan struct{}

	mu      sync.Mutex
	closed  bool
	dropped int
}

const logLines = 4096 // about a megabyte

func newLogWriter(w io.Writer) *logWriter {
	l := &logWriter{lines: make(chan []byte, logLines), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for line := range l.lines {
			if n := l.takeDropped(); n > 0 {
				fmt.Fprintf(w, `{"level":"WARN","msg":"log lines were dropped, for nobody read them in time","count":%d}`+"\n", n)
			}
			_, _ = w.Write(line) // there is nobody to tell
		}
	}()
	return l
}

// Write takes one line. It never fails and never waits.
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

// takeDropped returns how many lines were dropped since it was last asked.
func (l *logWriter) takeDropped() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.dropped
	l.dropped = 0
	return n
}

// close writes what is left, but does not wait for a reader who is gone.
func (l *logWriter) close() {
	l.mu.Lock()
	l.closed = true
	close(l.lines)
	l.mu.Unlock()
	const patience = time.Second
	select {
	case <-l.done:
	case <-time.After(patience):
	}
}
