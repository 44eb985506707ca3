package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/rosterhq/roster/internal/config"
	"github.com/rosterhq/roster/internal/httpserver"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/service"
	"github.com/rosterhq/roster/internal/store"
)

// Start listens on the address, and on that of the metrics, and then gives a new
// installation its first administrator. newToken is the token made on a first
// start, "" at any other. The order matters: the token is shown once, so a port
// that is taken must fail before there is one. Requests wait for Run.
func (a *App) Start(ctx context.Context, addr string) (newToken string, err error) {
	c := a.config
	if err := a.startTracing(ctx); err != nil {
		return "", err
	}
	if a.listener, err = a.listen(ctx, addr); err != nil {
		return "", err
	}
	if c.MetricsAddr != "" {
		if a.metricsListener, err = a.listen(ctx, c.MetricsAddr); err != nil {
			return "", err
		}
	}
	return a.Service.SetUp(ctx, service.Setup{
		Token: c.AdminToken, Email: identity.Email(c.AdminEmail), Password: identity.Password(c.AdminPassword),
		RequireAdminTFA: c.RequireAdminTFA,
	})
}

// Addr returns where Start listens.
func (a *App) Addr() net.Addr { return a.listener.Addr() }

func (a *App) listen(ctx context.Context, addr string) (net.Listener, error) {
	var listenConfig net.ListenConfig
	listener, err := listenConfig.Listen(ctx, "tcp", addr)
	if err == nil {
		a.onClose(func() error {
			_ = listener.Close() // Run has closed it already, if it ran
			return nil
		})
	}
	return listener, err
}

// startTracing sends traces where the settings say, until Close.
func (a *App) startTracing(ctx context.Context) error {
	if a.config.OTLPEndpoint == "" {
		return nil
	}
	stop, err := httpserver.StartTracing(ctx, a.config.OTLPEndpoint, Version())
	if err != nil {
		return err
	}
	a.onClose(func() error {
		const patience = time.Second // the last traces are no reason to keep a process alive
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		if err := stop(ctx); err != nil {
			a.logger.Warn("sending the last traces", "error", err)
		}
		return nil
	})
	return nil
}

// Run serves what Start listens on and does the work beside the requests. It
// returns when ctx has ended, or serving has failed, and all of that is over.
//
// Meanwhile Go runs twice as many goroutines at once as there are processors. As
// many passwords are hashed at once as there are processors, and a hash holds its
// place for ten milliseconds at a time: with twice as many places, requests that
// only need a moment do not queue behind hashes, for the kernel is fairer than that.
func (a *App) Run(ctx context.Context) error {
	processors := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(2 * processors)
	defer runtime.GOMAXPROCS(processors)
	warnOfSettings(a.config, a.logger)
	a.logger.Info("serving", "addr", a.Addr().String(), "version", Version())

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var metricsErr error
	var work sync.WaitGroup
	if a.metricsListener != nil {
		work.Go(func() { metricsErr = a.metrics.Run(ctx, a.metricsListener, a.logger) })
	}
	work.Go(func() { a.Worker.Run(ctx) })
	if a.config.PreparedStatements { // else there may be a pooler in between, through which nothing is ever heard
		work.Go(func() { a.Store.Listen(ctx, func() {}) })
	}
	work.Go(func() { prune(ctx, a.Service, a.logger) })
	work.Go(func() { keepTime(ctx, a.Store.Clock(), a.logger) })
	err := a.Server.Run(ctx, a.listener)
	cancel()
	work.Wait()
	a.logger.Info("stopped")
	return errors.Join(err, metricsErr)
}

// warnOfSettings names the settings that are for trying Roster out.
func warnOfSettings(c *config.Config, logger *slog.Logger) {
	if c.BcryptCost < secret.DefaultCost {
		logger.Warn("ROSTER_BCRYPT_COST is low: passwords are hashed for tests, not for people", "cost", c.BcryptCost)
	}
	switch {
	case c.SMTPURL == "":
		logger.Warn("ROSTER_SMTP_URL is not set: mail, with its codes and links, is written to this log")
	case c.PublicURL == nil:
		logger.Warn("ROSTER_PUBLIC_URL is not set: the links in mail lead to " + c.BaseURL())
	}
}

// prune deletes expired rows every ten minutes.
func prune(ctx context.Context, svc *service.Service, logger *slog.Logger) {
	const interval = 10 * time.Minute
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := svc.Prune(ctx); err != nil && ctx.Err() == nil {
			logger.Warn("forgetting what is over", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// keepTime keeps the clock with the database's.
func keepTime(ctx context.Context, clock *store.Clock, logger *slog.Logger) {
	const interval, patience = 30 * time.Second, 5 * time.Second
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		asking, cancel := context.WithTimeout(ctx, patience)
		if err := clock.Sync(asking); err != nil && ctx.Err() == nil { // it goes on by itself
			logger.Warn("asking the database for the time", "error", err)
		}
		cancel()
	}
}
