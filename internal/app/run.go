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
	"github.com/rosterhq/roster/internal/console"
	"github.com/rosterhq/roster/internal/httpserver"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/service"
	"github.com/rosterhq/roster/internal/store"
)

// Start listens on the address and on that of the metrics, and then sets up the
// administrators of the settings. On the first start without any, it returns a
// new administrator token; otherwise newToken is "". The order matters: the token
// is shown once, so a port in use must fail before the token is made. Requests
// wait for Run.
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
	a.localURL = localURL(addr, a.Addr())
	newToken, err = a.Service.SetUp(ctx, service.Setup{
		Token: c.AdminToken, Email: identity.Email(c.AdminEmail), Password: identity.Password(c.AdminPassword),
		RequireAdminTFA: c.RequireAdminTFA,
	})
	if err == nil && c.AdminEmail != "" {
		err = a.warnOfIgnoredAdministrator(ctx)
	}
	return newToken, err
}

// warnOfIgnoredAdministrator logs that ROSTER_ADMIN_EMAIL names no one: the settings of
// the first administrator count on an empty database only.
func (a *App) warnOfIgnoredAdministrator(ctx context.Context) error {
	exists, err := a.Service.HasAccount(ctx, identity.Email(a.config.AdminEmail))
	if err == nil && !exists {
		a.logger.WarnContext(ctx, "ROSTER_ADMIN_EMAIL has no effect, because the database is not empty: "+
			"create this user with roster user create --group 1", "email", a.config.AdminEmail)
	}
	return err
}

// SetupLink returns the address of the page that creates the first administrator, or "" if
// there is a user or the console is off. Call it after Start.
func (a *App) SetupLink(ctx context.Context) (string, error) {
	if !a.config.Console {
		return "", nil
	}
	code, err := a.Service.SetupCode(ctx)
	if err != nil || code == "" {
		return "", err
	}
	return a.baseURL() + console.SetupPath + "?code=" + code, nil
}

// URL returns the URL of this process, with the port that Start listens on.
func (a *App) URL() string { return a.localURL }

// baseURL returns the start of the links in mail: the public URL or, without one, URL.
func (a *App) baseURL() string {
	if public := a.config.PublicURL; public != nil {
		return public.Scheme + "://" + public.Host
	}
	return a.URL()
}

// localURL returns the URL of a process that is to listen on an address and whose
// listeners, if there are any yet, have others: the port 0 becomes a real one.
func localURL(addr string, listening ...net.Addr) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err != nil || host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	for _, l := range listening {
		if _, p, err := net.SplitHostPort(l.String()); err == nil {
			port = p
		}
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Addr returns the address that Start listens on.
func (a *App) Addr() net.Addr { return a.listener.Addr() }

func (a *App) listen(ctx context.Context, addr string) (net.Listener, error) {
	var listenConfig net.ListenConfig
	listener, err := listenConfig.Listen(ctx, "tcp", addr)
	if err == nil {
		a.onClose(func() error {
			_ = listener.Close() // fails after Run, which closes it
			return nil
		})
	}
	return listener, err
}

// startTracing sends traces to the endpoint of the settings until Close.
func (a *App) startTracing(ctx context.Context) error {
	if a.config.OTLPEndpoint == "" {
		return nil
	}
	stop, err := httpserver.StartTracing(ctx, a.config.OTLPEndpoint, Version(), a.logger)
	if err != nil {
		return err
	}
	a.onClose(func() error {
		const timeout = time.Second // the last traces must not keep the process alive
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		if err := stop(ctx); err != nil {
			a.logger.Warn("cannot send the last traces", "error", err)
		}
		return nil
	})
	return nil
}

// Run serves requests on the listeners of Start and runs the background work. When
// ctx ends or serving fails, it stops both, waits for them and returns the errors.
//
// While it runs, GOMAXPROCS is twice the number of processors. As many passwords
// are hashed at once as there are processors, and Go preempts a hash only after
// ten milliseconds. With the double number, short requests do not queue behind
// hashes: the kernel shares the processors between them.
func (a *App) Run(ctx context.Context) error {
	processors := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(2 * processors)
	defer runtime.GOMAXPROCS(processors)
	warnOfSettings(a.config, a.baseURL(), a.logger)
	a.logger.Info("serving", "addr", a.Addr().String(), "version", Version())

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var metricsErr error
	var work sync.WaitGroup
	if a.metricsListener != nil {
		work.Go(func() { metricsErr = a.metrics.Run(ctx, a.metricsListener, a.logger) })
	}
	work.Go(func() { a.Work(ctx) })
	err := a.Server.Run(ctx, a.listener)
	cancel()
	work.Wait()
	a.logger.Info("stopped")
	return errors.Join(err, metricsErr)
}

// Work runs the background work until ctx ends, and returns when all of it has ended.
func (a *App) Work(ctx context.Context) {
	var work sync.WaitGroup
	work.Go(func() { a.Worker.Run(ctx) })
	work.Go(func() { a.Jobs.Run(ctx) })
	if a.config.PreparedStatements { // else there may be a pooler, which passes no notifications
		work.Go(func() { a.Store.Listen(ctx, func() {}) })
	}
	work.Go(func() { prune(ctx, a.Service, a.logger) })
	work.Go(func() { keepTime(ctx, a.Store.Clock(), a.logger) })
	work.Wait()
}

// warnOfSettings logs the settings that are not fit for production.
func warnOfSettings(c *config.Config, baseURL string, logger *slog.Logger) {
	if c.BcryptCost < secret.DefaultCost {
		logger.Warn("ROSTER_BCRYPT_COST is low: it is meant for tests, not for production", "cost", c.BcryptCost)
	}
	switch {
	case c.SMTPURL == "":
		logger.Warn("ROSTER_SMTP_URL is not set: mail, with its codes and links, is written to this log")
	case c.PublicURL == nil:
		logger.Warn("ROSTER_PUBLIC_URL is not set: the links in mail lead to " + baseURL)
	}
}

// prune deletes expired rows every ten minutes.
func prune(ctx context.Context, svc *service.Service, logger *slog.Logger) {
	const interval = 10 * time.Minute
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := svc.Prune(ctx); err != nil && ctx.Err() == nil {
			logger.Warn("cannot delete expired rows", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// keepTime synchronises the clock with the database every thirty seconds. When that
// fails, the clock goes on by itself.
func keepTime(ctx context.Context, clock *store.Clock, logger *slog.Logger) {
	const interval, timeout = 30 * time.Second, 5 * time.Second
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		syncCtx, cancel := context.WithTimeout(ctx, timeout)
		if err := clock.Sync(syncCtx); err != nil && ctx.Err() == nil {
			logger.Warn("cannot read the clock of the database", "error", err)
		}
		cancel()
	}
}
