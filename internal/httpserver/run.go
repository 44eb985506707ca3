package httpserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// The limits for slow and idle clients.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// The phases of a shutdown: for drainDelay the server reports that it is not ready and
// closes each connection after its answer, so that load balancers choose another one;
// then it accepts no connections and finishes requests within shutdownTimeout. There is
// no delay where no client is connected and none was for idlePeriod.
const (
	drainDelay      = 500 * time.Millisecond
	idlePeriod      = 15 * time.Second // more than the interval of most probes
	shutdownTimeout = 8 * time.Second
)

// Run serves on the listener until ctx ends, then finishes the requests in progress.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	return run(ctx, listener, s, s.options.Logger, func(server *http.Server, idle bool) {
		s.draining.Store(true)
		server.SetKeepAlivesEnabled(false)
		if !idle {
			time.Sleep(drainDelay)
		}
	})
}

// Run serves the metrics on the listener until ctx ends.
func (m *Metrics) Run(ctx context.Context, listener net.Listener, logger *slog.Logger) error {
	return run(ctx, listener, m, logger, func(*http.Server, bool) {})
}

func run(
	ctx context.Context, listener net.Listener, handler http.Handler, logger *slog.Logger,
	drain func(server *http.Server, idle bool),
) error {
	var clients clients
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         clients.observe,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	drain(server, clients.idle())
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := server.Shutdown(shutdown)
	if served := <-served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// clients knows whether a server has connections.
type clients struct {
	mu   sync.Mutex
	open int
	last time.Time // of the opening or closing of a connection
}

// observe is the hook of http.Server.
func (c *clients) observe(_ net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.open++
	case http.StateClosed, http.StateHijacked:
		c.open--
	default:
		return
	}
	c.last = time.Now()
}

// idle reports that there is no connection and that there was none for idlePeriod.
func (c *clients) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open == 0 && (c.last.IsZero() || time.Since(c.last) > idlePeriod)
}
