package httpserver

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are pipes in memory.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepted:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error { close(p.closed); return nil }

func (p pipes) Addr() net.Addr { return &net.UnixAddr{} }

// TestStopping checks that a server without clients stops at once, and that one that
// clients have used a short while ago first lets them turn away.
func TestStopping(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		client bool
		pause  time.Duration
		want   time.Duration
	}{
		"never used":    {false, 0, 0},
		"used just now": {true, 0, drainDelay},
		"used recently": {true, idlePeriod - time.Second, drainDelay},
		"used long ago": {true, idlePeriod + time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := New(Options{
					Logger: slog.New(slog.DiscardHandler), Ready: func(context.Context) error { return nil },
				})
				listener := pipes{make(chan net.Conn), make(chan struct{})}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- s.Run(ctx, listener) }()
				if test.client {
					connect(t, listener)
				}
				time.Sleep(test.pause) // in the bubble's time
				synctest.Wait()
				began := time.Now()
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took != test.want {
					t.Errorf("stopping took %v, want %v", took, test.want)
				}
			})
		})
	}
}

// connect sends a request on a connection of its own.
func connect(t *testing.T, listener pipes) {
	t.Helper()
	client, server := net.Pipe()
	listener.accepted <- server
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://roster/healthz", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	if err := request.Write(client); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(client), request)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response, err)
	}
	_, _ = response.Body.Close(), client.Close()
}
