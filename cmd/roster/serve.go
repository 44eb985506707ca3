package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"time"

	"github.com/alecthomas/kong"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/api/backoffice"
	"github.com/rosterhq/roster/internal/api/firefly"
	"github.com/rosterhq/roster/internal/api/powens"
	"github.com/rosterhq/roster/internal/config"
	"github.com/rosterhq/roster/internal/httpserver"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/outbox"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/service"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/webhook"
)

type serveCommand struct{}

// Run opens, migrates, sets up, serves and drains.
func (serveCommand) Run(ctx context.Context, c *config.Config, line *kong.Context, env environment) (err error) {
	logs := newLogWriter(env.stderr)
	defer logs.close()
	logger := slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: c.LogLevel}))
	slog.SetDefault(logger)
	if c.BcryptCost < secret.DefaultCost {
		logger.Warn("ROSTER_BCRYPT_COST is low: passwords are hashed for tests, not for people", "cost", c.BcryptCost)
	}
	if c.OTLPEndpoint != "" {
		stopTracing, err := httpserver.StartTracing(ctx, c.OTLPEndpoint, version())
		if err != nil {
			return err
		}
		defer stopWithin(time.Second, stopTracing, logger)
	}
	deliver, err := mailer(c, logger)
	if err != nil {
		return err
	}
	passwordList, err := c.OpenPasswordList()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, passwordList.Close()) }()
	db, svc, err := openServiceWith(ctx, c, passwordList)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	newToken, err := svc.SetUp(ctx, service.Setup{
		Token: c.AdminToken, Email: identity.Email(c.AdminEmail), Password: identity.Password(c.AdminPassword),
		RequireAdminTFA: c.RequireAdminTFA,
	})
	if err != nil {
		return err
	}

	messages := outbox.NewMetrics(db, db.Clock().Now)
	metrics := httpserver.NewMetrics(db.Collector(), messages)
	dialects := []api.Dialect{backoffice.New(svc, c.PublicURL), firefly.New(svc, c.PublicURL), powens.New(svc)}
	server := httpserver.New(httpserver.Options{
		Dialects:       dialects,
		Authenticate:   svc.Authenticate,
		Refused:        svc.Refused,
		Ready:          db.Ready,
		TrustedProxies: c.TrustedProxies,
		Secure:         c.PublicURL != nil && c.PublicURL.Scheme == "https",
		Logger:         logger,
		Metrics:        metrics,
	})
	var listenConfig net.ListenConfig
	listener, err := listenConfig.Listen(ctx, "tcp", c.ListenAddr(isGiven(line, "addr")))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	metricsDone := make(chan error, 1)
	if c.MetricsAddr == "" {
		metricsDone <- nil
	} else {
		metricsListener, err := listenConfig.Listen(ctx, "tcp", c.MetricsAddr)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		go func() { metricsDone <- metrics.Run(ctx, metricsListener, logger) }()
	}

	work := runBackground(ctx, c, db, svc, dialects, deliver, messages, logger)
	greet(env.stdout, listener.Addr(), newToken)
	logger.Info("serving", "addr", listener.Addr().String(), "version", version())
	err = server.Run(ctx, listener)
	cancel()
	err = errors.Join(err, <-metricsDone)
	work.Wait()
	logger.Info("stopped")
	return err
}

// stopWithin ends what is no reason to keep a process alive.
func stopWithin(patience time.Duration, stop func(context.Context) error, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := stop(ctx); err != nil {
		logger.Warn("sending the last traces", "error", err)
	}
}

// openService is openServiceWith for commands that set no password.
func openService(ctx context.Context, c *config.Config) (*store.Store, *service.Service, error) {
	return openServiceWith(ctx, c, nil)
}

// openServiceWith opens the database, migrated as the settings say, and a service that
// refuses the passwords of a list, which may be nil. As many
// passwords are hashed at once as there are processors. Go runs as many
// goroutines as GOMAXPROCS says, and a hash holds its place for ten
// milliseconds at a time: with twice as many places, requests that only need a
// moment do not queue behind hashes, for the kernel is fairer than that.
func openServiceWith(ctx context.Context, c *config.Config, passwordList *secret.PasswordList,
) (*store.Store, *service.Service, error) {
	warnOfOpenFiles(ctx, c)
	if c.Migrate {
		if _, err := store.Migrate(ctx, c.DatabaseURL); err != nil {
			return nil, nil, err
		}
	}
	db, err := store.Open(c.DatabaseURL, c.StoreOptions())
	if err != nil {
		return nil, nil, err
	}
	if err := db.Clock().Sync(ctx); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	processors := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(2 * processors)
	return db, service.New(service.Options{
		Store: db, Passwords: secret.NewPasswords(c.BcryptCost, processors), PasswordList: passwordList,
		Clock:     db.Clock().Now,
		AccessTTL: c.AccessTokenTTL, RefreshTTL: c.RefreshTokenTTL, SessionTTL: c.SessionTTL, SecretKey: c.SecretKey, BaseURL: c.BaseURL(),
		CheckWebhookURL: webhook.New(c.WebhookAllowPrivate).Check,
	}), nil
}

// warnOfOpenFiles says which files of the database others on this machine may
// read. They are used all the same: the mode may be what the operator wants.
func warnOfOpenFiles(ctx context.Context, c *config.Config) {
	for _, file := range store.FilesOpenToOthers(c.DatabaseURL) {
		slog.WarnContext(ctx, "other users of this machine can open the database file, which has password hashes: run chmod 600 on it",
			"file", file)
	}
}

// greet tells a person where the service is and, on the first start, how to use it.
func greet(w io.Writer, addr net.Addr, newToken string) {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	base := "http://" + net.JoinHostPort(host, port)
	greeting := fmt.Sprintf("Roster is ready at %s, with its documentation at %s/docs\n", base, base)
	if newToken != "" {
		greeting += fmt.Sprintf(firstStart, newToken, newToken, base)
	}
	fmt.Fprint(w, greeting)
}

const firstStart = `
This is the first start. Here is your administrator token, shown this once and good for 30 days:

  %s

Try it:

  curl -g -H 'Authorization: Bearer %s' '%s/api/v2/users?limit=10'

Lost it? "roster token create --admin --name NAME" on this host makes another one.

`
