package httpserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
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
// then it accepts no connections and finishes requests within shutdownTimeout.
const (
	drainDelay      = 500 * time.Millisecond
	shutdownTimeout = 8 * time.Second
)

// Run serves on the listener until ctx ends, then finishes the requests in progress.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	return run(ctx, listener, s, s.options.Logger, func(server *http.Server) {
		s.draining.Store(true)
		server.SetKeepAlivesEnabled(false)
		time.Sleep(drainDelay)
	})
}

// Run serves the metrics on the listener until ctx ends.
func (m *Metrics) Run(ctx context.Context, listener net.Listener, logger *slog.Logger) error {
	return run(ctx, listener, m, logger, func(*http.Server) {})
}

func run(
	ctx context.Context, listener net.Listener, handler http.Handler, logger *slog.Logger, drain func(*http.Server),
) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	drain(server)
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := server.Shutdown(shutdown)
	if served := <-served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
